"""The public status page: is something wrong now?"""

import hashlib
from datetime import datetime
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from beforehand.kit import clock
from beforehand.portal.problems import PublicStatus, newest_public, public_status
from beforehand.portal.reader import Reader, reading

LISTED = 25
FRESH = "public, max-age=15, stale-while-revalidate=30"
"""A cache in front of us asks once in 15 seconds, however many customers do."""


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """What is wrong now, what we do about it, when there is news; what was wrong until lately."""
    return _answer(request, "portal/incidents/status.html")


@require_safe
def status_now(request: HttpRequest) -> HttpResponse:
    """The same without the page around it, for a page that stays open."""
    return _answer(request, "portal/incidents/_now.html")


def _answer(request: HttpRequest, template: str) -> HttpResponse:
    now = clock.now()
    with reading(request) as reader:
        found = public_status(language=reader.language, fallback=reader.brand.language, now=now)
        etag = _etag(reader, template, found, now)
        unchanged = get_conditional_response(request, etag=etag)
        if unchanged is not None:
            patch_vary_headers(unchanged, ["Accept-Language", "Cookie"])
            response = unchanged
        elif template.endswith("/_now.html"):
            response = reader.part(template, {"status": found})
        else:
            response = reader.page(template, {"status": found})
    response.headers["ETag"] = etag
    # A page that remembers a chosen language sets a cookie: that answer is one browser's own.
    response.headers["Cache-Control"] = "private, no-cache" if response.cookies else FRESH
    return response


def _etag(reader: Reader, template: str, found: PublicStatus, now: datetime) -> str:
    """Names all that the answer is made of, by the minute: times are written relative to now."""
    made_of = (
        template,
        reader.language,
        timezone.get_current_timezone_name(),
        reader.request.COOKIES.get("theme", ""),
        reader.brand,
        found,
        int(now.timestamp() // 60),
    )
    return quote_etag(hashlib.sha256(repr(made_of).encode()).hexdigest()[:32])


@require_safe
def history(request: HttpRequest) -> HttpResponse:
    """What was wrong and is over, newest first, page by page."""
    before = request.GET.get("before", "")
    try:
        place = UUID(before) if before else None
    except ValueError:
        raise Http404 from None
    with reading(request) as reader:
        found = newest_public(
            language=reader.language, fallback=reader.brand.language, before=place, limit=LISTED + 1, only_ended=True
        )
        shown = found[:LISTED]
        context = {"ended": shown, "next": shown[-1].key if len(found) > LISTED else "", "is_first": place is None}
        response = reader.page("portal/incidents/history.html", context)
    response.headers["Cache-Control"] = "private, no-cache" if response.cookies else FRESH
    return response


@require_safe
def robots(_request: HttpRequest) -> HttpResponse:
    """What search engines keep out of: pages that are one person's, and the house's own."""
    closed = ("/my/", "/unsubscribe/", "/check", "/console/", "/accounts/", "/api/", "/language/")
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in closed), ""]
    return HttpResponse(
        "\n".join(lines), content_type="text/plain; charset=utf-8", headers={"Cache-Control": "public, max-age=86400"}
    )
