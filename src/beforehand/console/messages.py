"""Messages: what was said to whom, each with one sentence why, or why not; and one as the customer got it."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin

from beforehand.console.access import PageRequest, allowed
from beforehand.console.confirming import mail_page
from beforehand.console.live import live_url
from beforehand.console.paging import PAGE, read_cursor, write_cursor
from beforehand.console.reasons import (
    holding_name,
    outcome,
    passed_over,
    state_name,
    which_step,
    why_affected,
    why_said,
)
from beforehand.customers.models import ContactPoint, Customer
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.incidents.queries import on_list
from beforehand.outbound.models import Delivery, Message, MessageBatch
from beforehand.outbound.queries import MessageLine, batch_messages, newest_messages
from beforehand.outbound.reading import as_sent
from beforehand.outbound.templates import MailValueError, RenderedMail, TemplateRefusedError


@allowed()
def message_list(request: PageRequest) -> HttpResponse:
    """The newest messages, or those of one batch of an incident."""
    state = request.GET.get("state", "")
    state = state if state in Message.State.values else ""
    incident = _incident(request.GET.get("incident", ""))
    batches = _batches(incident)
    batch = _chosen_batch(batches, request.GET.get("batch", ""))
    lines, following = _page(batch, state, request.GET.get("cursor", ""))
    context = {
        "nav": "messages",
        "rows": with_reasons(lines),
        "next": following,
        "state": state,
        "states": [("", _("All")), *Message.State.choices],
        "incident": incident,
        "batch": batch,
        "batches": [(one.pk, f"{one.sequence}. {one.step}") for one in batches],
        "recent": Incident.objects.order_by("-pk")[:20],
        "looked_back": bool(state) and batch is None,
    }
    return render(request, "console/messages/list.html", context)


def _incident(text: str) -> Incident | None:
    try:
        return Incident.objects.filter(public_id=text).first() if text else None
    except (ValueError, ValidationError):
        raise Http404 from None


def _batches(incident: Incident | None) -> list[MessageBatch]:
    if incident is None:
        return []
    found = MessageBatch.objects.filter(origin=origin_of(incident.pk)).defer("texts", "facts")
    return list(found.order_by("-sequence")[:30])


def _chosen_batch(batches: list[MessageBatch], text: str) -> MessageBatch | None:
    """The batch of that number, or an incident's last one."""
    return next((one for one in batches if str(one.pk) == text), batches[0] if batches else None)


def _page(batch: MessageBatch | None, state: str, cursor: str) -> tuple[list[MessageLine], str]:
    if batch is not None:
        after = read_cursor(cursor, 2)
        found = batch_messages(batch.pk, state=state, after=(after[0], after[1]) if after else None, limit=PAGE + 1)
        last = found[PAGE - 1] if len(found) > PAGE else None
        return found[:PAGE], write_cursor(last.bucket, last.customer_id) if last else ""
    before = read_cursor(cursor, 1)
    found = newest_messages(state=state, before=before[0] if before else None, limit=PAGE + 1)
    return found[:PAGE], write_cursor(found[PAGE - 1].id) if len(found) > PAGE else ""


def with_reasons(lines: list[MessageLine]) -> list[dict[str, Any]]:
    """Each message with its step and the one sentence that says why it was sent, or why not. Two queries."""
    batches = MessageBatch.objects.defer("texts", "facts").in_bulk({line.batch_id for line in lines})
    titles = incident_titles(batches.values())
    rows = []
    for line in lines:
        batch = batches[line.batch_id]
        said = outcome(line, batch_state=batch.state, held_because=batch.state_reason)
        why = why_said(batch, incident_title=titles.get(batch.origin, ""), holding=line.holding)
        rows.append(
            {
                "line": line,
                "batch": batch,
                "outcome": said,
                "why": why,
                "state": state_name(line.state, line.reason),
            }
        )
    return rows


def incident_titles(batches: Any) -> dict[str, str]:
    """Origin to the incident's title; one query."""
    ids = {int(batch.origin[9:]) for batch in batches if batch.origin.startswith("incident:")}
    return {origin_of(pk): title for pk, title in Incident.objects.filter(pk__in=ids).values_list("pk", "title")}


def _find(bucket: int, message_id: int) -> tuple[Message, MessageBatch]:
    message = Message.objects.filter(bucket=bucket, id=message_id).first()
    if message is None:
        raise Http404
    return message, MessageBatch.objects.get(pk=message.batch_id)


@allowed()
def message(request: PageRequest, bucket: int, message_id: int) -> HttpResponse:
    """One message: why, what became of it, and the text."""
    found, batch = _find(bucket, message_id)
    incident = Incident.objects.filter(pk=batch.why.get("incident")).first()
    listed = on_list(incident.pk, found.customer_id) if incident else None
    mail, error = _mail(found, batch)
    context = {
        "nav": "messages",
        "live_url": live_url(f"customer:{found.customer_id}"),
        "message": found,
        "state": state_name(found.state, found.reason),
        "batch": batch,
        "incident": incident,
        "customer": Customer.objects.get(pk=found.customer_id),
        "point": ContactPoint.objects.filter(pk=found.contact_point_id or 0).first(),
        "outcome": outcome(found, batch_state=batch.state, held_because=batch.state_reason),
        "why": why_said(
            batch,
            incident_title=incident.title if incident else "",
            holding=holding_name(listed) if listed else str((found.slots or {}).get("holding", "")),
        ),
        "affected": why_affected(listed) if listed else "",
        "passed_over": passed_over(found.passed_over),
        "step": which_step(batch),
        "mail": mail,
        "error": error,
        "attempts": list(Delivery.objects.filter(bucket=bucket, message_id=message_id).order_by("attempt")),
    }
    return render(request, "console/messages/message.html", context)


def _mail(message: Message, batch: MessageBatch) -> tuple[RenderedMail | None, str]:
    try:
        return as_sent(message, batch), ""
    except (TemplateRefusedError, MailValueError) as error:
        return None, str(error)


@allowed()
@xframe_options_sameorigin
def message_mail(request: PageRequest, bucket: int, message_id: int) -> HttpResponse:
    """The mail as the customer got it, in a frame that can do nothing."""
    mail, error = _mail(*_find(bucket, message_id))
    if mail is None and not error:
        raise Http404
    if mail is not None and mail.html:
        return mail_page(mail.html)
    return mail_page(mail.text if mail else error, is_html=False)
