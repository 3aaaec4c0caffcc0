"""What a telephone's menu reads out, as plain text: what is wrong, per network part and language, and until when."""

import hashlib

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from beforehand.accounts.installation import installation
from beforehand.customers.models import Component
from beforehand.engine.languages import canonical_tag
from beforehand.incidents.spoken import announcements, nothing_known
from beforehand.kit import clock
from beforehand.portal.incidents import FRESH


@require_safe
def telephone(request: HttpRequest) -> HttpResponse:
    """`?part=` is a network part's external id (all, without one), `?language=` the caller's; no sign-in, no customers."""
    brand = installation().brand
    language = canonical_tag(request.GET.get("language", "")[:35]) or brand.language
    name = request.GET.get("part", "")[:200].replace("\0", "")
    part = Component.objects.filter(external_id=name).first() if name else None
    if name and part is None:
        raise Http404
    found = announcements(part, language=language, brand=brand, now=clock.now())
    text = "\n".join(one.words for one in found) or nothing_known(language)
    etag = quote_etag(hashlib.sha256(text.encode()).hexdigest()[:32])
    response = get_conditional_response(request, etag=etag) or HttpResponse(
        f"{text}\n", content_type="text/plain; charset=utf-8"
    )
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = FRESH
    response.headers["Content-Language"] = language
    return response
