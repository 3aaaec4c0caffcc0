"""Before sending, a person sees how many, in which languages, by which channels, which texts are missing, and a sample."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.clickjacking import xframe_options_sameorigin

from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.asking import is_confirmed
from beforehand.console.incident_writing import GET_OR_POST, room_of
from beforehand.console.runs import confirm_reason, spoken_length
from beforehand.kit import clock
from beforehand.outbound.models import Channel
from beforehand.outbound.templates import MailValueError, TemplateRefusedError
from beforehand.playbooks.models import Run
from beforehand.playbooks.queries import planned_tell
from beforehand.playbooks.runs import confirm_run
from beforehand.playbooks.samples import planned_mail

SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""A mail is shown as it is, and can neither run, load nor send anything."""


def _run(public_id: UUID) -> Run:
    return get_object_or_404(Run.objects.select_related("incident__owner", "version"), public_id=public_id)


@allowed("run:confirm")
@GET_OR_POST
def confirm(request: PageRequest, public_id: UUID) -> HttpResponse:
    """What would be said, to whom; and the press that says it."""
    run = _run(public_id)
    plan = planned_tell(run, now=clock.now()) if run.state == Run.State.CONFIRMING else None
    if plan is None:
        messages.info(request, _("Nothing waits for confirmation any more."))
        return redirect(room_of(run.incident))
    count = run.incident.affected_count
    if request.method == "POST" and is_confirmed(request, count):
        if confirm_run(run.pk, actor=actor_of(request), now=clock.now()):
            messages.success(request, _("Confirmed. They are being told now."))
        return redirect(room_of(run.incident))
    has_changed = request.POST.get("confirmed") == "yes"
    context = {
        "nav": "incidents",
        "run": run,
        "incident": run.incident,
        "plan": plan,
        "count": count,
        "has_changed": has_changed,
        "reason": confirm_reason(str((run.pending or {}).get("reason", "")), count=count),
        "channels": pgettext("between the parts of a list", ", ").join(
            str(Channel(one).label) for one in plan.channels
        ),
        "promise": spoken_length(plan.promise) if plan.promise else "",
        "rows": [
            (
                share,
                share in plan.untranslated,
                share.language if share not in plan.untranslated else plan.fallback_language,
            )
            for share in plan.shares
        ],
    }
    return render(request, "console/incidents/confirm.html", context, status=409 if has_changed else 200)


@allowed()
@xframe_options_sameorigin
def sample(request: PageRequest, public_id: UUID, language: str) -> HttpResponse:
    """The mail itself, as one of the affected would get it."""
    try:
        mail = planned_mail(_run(public_id), language, now=clock.now())
    except (TemplateRefusedError, MailValueError) as error:
        return mail_page(str(error), is_html=False)
    if mail is None:
        raise Http404
    return mail_page(mail.html)


def mail_page(html: str, *, is_html: bool = True) -> HttpResponse:
    """A mail in a frame of its own; text as text."""
    kind = "text/html" if is_html else "text/plain"
    return HttpResponse(html, content_type=f"{kind}; charset=utf-8", headers={"Content-Security-Policy": SANDBOX})
