"""The calls of the could-not-tell list: what to say, on which number, by when, and how each ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from beforehand.accounts.installation import installation
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.incidents import find_incident
from beforehand.customers.models import ContactPoint, Customer
from beforehand.engine.calls import CallReason, CallResult, call_due
from beforehand.incidents.untold import Untold, untold_ids
from beforehand.kit import clock
from beforehand.outbound.calls import FIRST_CALL, Called, record_call
from beforehand.outbound.models import Delivery, Message, MessageBatch
from beforehand.outbound.reading import aloud
from beforehand.playbooks.calls import close_call_tasks, tend_calls

CALLABLE = (ContactPoint.Channel.PHONE.value, ContactPoint.Channel.SMS.value)
USABLE = (ContactPoint.Status.WORKING.value, ContactPoint.Status.FAILING.value)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that somebody should make."""

    message_id: int
    number: str
    text: str
    language: str
    due_at: datetime
    made: int
    """How often nobody answered."""
    again_at: datetime | None
    is_alarm: bool
    """A message has gone out; the call comes on top, because it is a care alarm."""


def calls_of(lines: Sequence[Untold]) -> dict[int, Call]:
    """The call for each of these customers who has a number, by customer id. Four queries."""
    numbers = {line.customer_id: number for line in lines if not line.waits_its_turn and (number := _number(line))}
    wanted = [line for line in lines if line.customer_id in numbers]
    if not wanted:
        return {}
    keys = {"bucket__in": {line.bucket for line in wanted}, "id__in": [line.message_id for line in wanted]}
    said = list(Message.objects.filter(**keys))
    batches = MessageBatch.objects.in_bulk([line.batch_id for line in wanted])
    texts = aloud(said, batches)
    made = Delivery.objects.filter(
        bucket__in=keys["bucket__in"], message_id__in=keys["id__in"], attempt__gte=FIRST_CALL
    ).values_list("message_id", flat=True)
    counts = {line.message_id: list(made).count(line.message_id) for line in wanted}
    standard = installation()
    languages = {message.id: message.language for message in said}
    found = {}
    for line in wanted:
        is_care = line.priority == Customer.Priority.CARE_ALARM
        within = standard.calls_care_alarm_minutes if is_care else standard.calls_within_minutes
        next_word_at = batches[line.batch_id].next_update_at
        due_at = call_due(line.since, within=timedelta(minutes=within), next_word_at=next_word_at)
        found[line.customer_id] = Call(
            line.message_id,
            numbers[line.customer_id],
            texts.get(line.message_id, ""),
            languages.get(line.message_id, line.language),
            due_at,
            counts[line.message_id],
            line.call_again_at if line.reason == CallReason.NO_ANSWER else None,
            line.reason == Customer.Priority.CARE_ALARM,
        )
    return found


def _number(line: Untold) -> str:
    """The number to call: a telephone before a mobile, in the customer's own order."""
    known = [one for one in line.addresses if one[0] in CALLABLE and one[2] in USABLE]
    return min(known, key=lambda one: one[0] != CALLABLE[0], default=["", "", ""])[1]


@allowed("incident:write")
@require_POST
def called(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Note how a call ended; the button says of which message of whom."""
    incident = find_incident(public_id)
    result, _colon, rest = request.POST.get("call", "").partition(":")
    customer, _colon, message = rest.partition(":")
    known = result in CallResult.__members__.values() and customer.isdecimal() and message.isdecimal()
    if not known or not untold_ids(incident.pk, among=[int(customer[:18])]):
        messages.info(request, _("Somebody else was quicker: this call is noted already."))
        return redirect("console:could-not-tell", public_id=incident.public_id)
    note = request.POST.get("note", "").replace("\0", "").strip()[:500]
    now = clock.now()
    try:
        after = record_call(
            int(customer), Called(int(message), CallResult(result), note), actor=actor_of(request), now=now
        )
    except Message.DoesNotExist:
        messages.info(request, _("We have told this customer something newer meanwhile: please call about that."))
        return redirect("console:could-not-tell", public_id=incident.public_id)
    if after.is_told:
        close_call_tasks(incident.pk, user=request.user, actor=actor_of(request), now=now)
    tend_calls(now=now)  # the next one has its turn at once
    if after.is_told:
        messages.success(request, _("Noted: the customer has been told."))
    elif after.again_at:
        messages.success(request, _("Noted: nobody answered. The customer comes up again later."))
    else:
        messages.success(request, _("Noted: this number is not used any more."))
    return redirect("console:could-not-tell", public_id=incident.public_id)
