"""A customer got in touch about an incident: it counts, and what still waited to be sent to them about it is not sent."""

from datetime import datetime

from django.db import transaction

from beforehand.customers.models import Customer
from beforehand.events.actions import append_event
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.kit.ids import bucket_of
from beforehand.kit.rows import fetch
from beforehand.outbound.actions import cancel_for
from beforehand.outbound.by_hand import tell_by_hand
from beforehand.outbound.models import Message, MessageBatch, ToldByPerson
from beforehand.playbooks.audiences import TO_THE_AFFECTED

CONTACT = "contact.received"
REACHED_US = "reached_us"


@transaction.atomic
def note_call(customer: Customer, incident: Incident | None, *, call: str, actor: str, now: datetime) -> bool:
    """They called, and were told on the telephone. False if this very call has been noted already.

    Whoever had not been told counts as told by a person from now on; later news comes to them as to everybody.
    """
    Customer.objects.select_for_update().get(pk=customer.pk)
    known = "SELECT 1 FROM events_event WHERE customer_id = %s AND type = %s AND data->>'call' = %s LIMIT 1"
    if fetch(known, [customer.pk, CONTACT, call]):
        return False
    append_event(
        type=CONTACT,
        actor=actor,
        subject=origin_of(incident.pk) if incident else f"customer:{customer.pk}",
        customer_id=customer.pk,
        data={"channel": "phone", "call": call},
        occurred_at=now,
    )
    if incident is None:
        return True
    origin = origin_of(incident.pk)
    cancel_for(origin, customer_ids=[customer.pk], audiences=TO_THE_AFFECTED, reason=REACHED_US, actor=actor)
    said = Message.objects.filter(
        bucket=bucket_of(customer.pk),
        customer_id=customer.pk,
        batch_id__in=list(MessageBatch.objects.filter(origin=origin).values_list("pk", flat=True)),
        state__in=[Message.State.SENT, Message.State.UNCERTAIN],
    )
    if not said.exists():
        tell_by_hand(origin, customer_ids=[customer.pk], how=ToldByPerson.How.CALL, note="", actor=actor, now=now)
    return True
