"""One message that a customer wrote: whole, as it came, and seen to."""

from uuid import UUID

import nh3
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST

from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.confirming import mail_page
from beforehand.console.live import live_url
from beforehand.conversations.actions import handle_message
from beforehand.conversations.models import Incoming, MessageIn
from beforehand.conversations.queries import with_customers
from beforehand.customers.models import Customer
from beforehand.incidents.models import Incident
from beforehand.kit import clock
from beforehand.outbound.media import EMAIL

TAGS = nh3.ALLOWED_TAGS - {"img", "map", "area"}
"""No picture: fetching one would tell its sender that, when and where it was read."""


def _find(public_id: UUID) -> MessageIn:
    return get_object_or_404(MessageIn.objects.select_related("handled_by", "incoming"), public_id=public_id)


@allowed()
def reply(request: PageRequest, public_id: UUID) -> HttpResponse:
    """One message, whole: who, when, about what, and all of its text."""
    found = _find(public_id)
    incident = None
    if found.origin.startswith("incident:"):
        incident = Incident.objects.filter(pk=int(found.origin[9:])).first()
    context = {
        "nav": "today",
        "live_url": live_url(f"customer:{found.customer_id}"),
        "said": with_customers([found])[0],
        "customer": Customer.objects.get(pk=found.customer_id),
        "incident": incident,
        "is_shortened": found.new_text.strip() != found.text.strip(),
        "has_raw": bool(found.incoming and found.incoming.raw),
    }
    return render(request, "console/replies/reply.html", context)


@allowed()
@xframe_options_sameorigin
def reply_html(request: PageRequest, public_id: UUID) -> HttpResponse:
    """The mail as its writer made it look, cleaned now, in a frame that can do nothing."""
    found = _find(public_id)
    if not found.html:
        raise Http404
    return mail_page(nh3.clean(found.html, tags=TAGS, url_schemes={"http", "https", "mailto", "tel"}))


@allowed("customer:write")
@require_POST
def handled(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Note that this person has seen to it."""
    found = _find(public_id)
    if handle_message(found.pk, user=request.user, actor=actor_of(request), now=clock.now()):
        messages.success(request, _("Marked as seen to."))
    else:
        messages.info(request, _("Somebody else was quicker: it is seen to already."))
    back = request.POST.get("back", "")
    if url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        return redirect(back)
    return redirect("console:replies")


@allowed("customer:write")
def raw(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Something that came in, as it came: to be kept as a file, and never opened here."""
    found = get_object_or_404(Incoming, public_id=public_id)
    name = f"{found.public_id}.{'eml' if found.channel == EMAIL else 'txt'}"
    return HttpResponse(
        bytes(found.raw),
        content_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
