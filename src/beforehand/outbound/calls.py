"""Calls that people make where no quicker channel reaches a customer: each call is an attempt at the message.

Calls are counted apart, from 1001 on, so that one can be noted while another channel's attempt is under way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from psycopg.types.json import Jsonb

from beforehand.engine.calls import AfterCall, CallReason, CallResult, after_call
from beforehand.engine.contacts import ContactFault, ContactStatus, status_after
from beforehand.events.actions import append_event, notify
from beforehand.kit.ids import bucket_of
from beforehand.kit.rows import bulk, fetch
from beforehand.outbound.contact_status import ContactChange, change_contact_points
from beforehand.outbound.models import Channel, Delivery, Message, MessageBatch
from beforehand.outbound.onward import move_on, next_ways

FIRST_CALL = 1001
BY_HAND = UUID(int=0)
"""Stands where a worker stands: no process is to be missed when the call is over."""
LACKS_A_WAY = (Message.State.REFUSED.value, Message.State.FAILED.value)

NUMBERS = """
SELECT id, status FROM customers_contactpoint
WHERE customer_id = %s AND channel IN ('phone', 'sms') AND status IN ('working', 'failing')
ORDER BY id <> coalesce(%s, 0), channel <> 'phone', rank, id
"""
"""The numbers on which a customer can be called: the one that the message names, then telephones, then mobiles."""


@dataclass(frozen=True, slots=True)
class Called:
    """A message, and how the call about it ended."""

    message_id: int
    result: CallResult
    note: str = ""


@transaction.atomic
def record_call(customer_id: int, called: Called, *, actor: str, now: datetime) -> AfterCall:
    """Note a call; who was reached counts as told. Raises `Message.DoesNotExist` for a message that is not this customer's.

    A wrong number is dead, and the next number, or else the next channel, has its turn.
    """
    bucket = bucket_of(customer_id)
    message = Message.objects.select_for_update().get(bucket=bucket, id=called.message_id, customer_id=customer_id)
    batch = MessageBatch.objects.get(pk=message.batch_id)
    numbers: list[tuple[int, str]] = [
        (row[0], row[1]) for row in fetch(NUMBERS, [customer_id, message.contact_point_id])
    ]
    calls = Delivery.objects.filter(bucket=bucket, message_id=message.id, attempt__gte=FIRST_CALL).count()
    after = after_call(called.result, attempt=calls + 1, now=now)
    state = {
        CallResult.REACHED: Delivery.State.DELIVERED,
        CallResult.NO_ANSWER: Delivery.State.DEFERRED,
        CallResult.WRONG_NUMBER: Delivery.State.REJECTED,
    }[called.result]
    Delivery.objects.create(
        bucket=bucket,
        message_id=message.id,
        attempt=FIRST_CALL + calls,
        batch_id=message.batch_id,
        contact_point_id=numbers[0][0] if numbers else None,
        channel=Channel.CALL,
        worker=BY_HAND,
        state=state,
        answer=called.note,
        started_at=now,
        ended_at=now,
    )
    if message.state in LACKS_A_WAY:
        _settle(message, after, numbers, now=now)
    if after.fault is not ContactFault.NONE and after.reason is not None and numbers:
        point, status = numbers[0]
        new = status_after(after.fault, status=ContactStatus(status))
        change_contact_points([ContactChange(point, new, after.reason.value)], now=now)
    append_event(
        type="message.delivered" if after.is_told else "message.put_off" if after.again_at else "message.failed",
        actor=actor,
        subject=batch.origin,
        customer_id=customer_id,
        occurred_at=now,
        data={"message": message.id, "batch": batch.pk, "channel": Channel.CALL.value, "attempt": FIRST_CALL + calls}
        | ({"reason": after.reason.value} if after.reason else {}),
    )
    return after


TAKE_TURN = """
UPDATE outbound_message m SET reason = 'to_be_called' FROM unnest(%(bucket)s::smallint[], %(message)s::bigint[]) AS g(bucket, id)
WHERE m.bucket = g.bucket AND m.id = g.id AND m.bucket = ANY(%(buckets)s::smallint[])
  AND m.state = 'refused' AND m.reason = 'call_waits'
"""


def take_turns(keys: Sequence[tuple[int, int]]) -> int:
    """These messages (bucket and id) wait no longer for a call's turn: somebody is to call now. How many there were."""
    if not keys:
        return 0
    buckets = [bucket for bucket, _ in keys]
    return bulk(
        TAKE_TURN,
        {"bucket": buckets, "message": [message for _, message in keys], "buckets": sorted(set(buckets))},
    )


SETTLE = """
UPDATE outbound_message SET state = %s::text, reason = %s::text, reason_until = %s::timestamptz, channel = %s::text,
       contact_point_id = %s::bigint, ended_at = %s::timestamptz, passed_over = coalesce(%s::jsonb, passed_over)
WHERE bucket = %s::smallint AND id = %s::bigint
"""
REOPEN = "UPDATE outbound_messagebatch SET done_at = NULL WHERE id = %s::bigint AND done_at IS NOT NULL"
"""A batch of which a message has changed its end is counted, and closed, anew."""


def _settle(message: Message, after: AfterCall, numbers: list[tuple[int, str]], *, now: datetime) -> None:
    """Write what the call made of a message that no other channel had taken to its customer."""
    was_to_be_called = message.channel == Channel.CALL
    number = numbers[0][0] if numbers else None
    tried = None if was_to_be_called else [*(message.passed_over or []), [message.channel, message.reason]]
    if after.is_told:
        _write(message, "sent", "", None, number, now, tried)
        bulk(REOPEN, [message.batch_id])
    elif after.reason is CallReason.NO_ANSWER:
        _write(message, "refused", CallReason.NO_ANSWER.value, after.again_at, number, now, tried)
    elif len(numbers) > 1:
        _write(message, "refused", CallReason.TO_BE_CALLED.value, None, numbers[1][0], now, tried)
    else:
        reason = CallReason.WRONG_NUMBER.value
        _write(message, "failed", reason, None, number, now, tried)
        if move_on(next_ways([(message.bucket, message.id, reason)]), now=now):
            bulk(REOPEN, [message.batch_id])
            notify()


def _write(
    message: Message,
    state: str,
    reason: str,
    until: datetime | None,
    number: int | None,
    now: datetime,
    tried: list[list[str]] | None,
) -> None:
    values = [state, reason, until, Channel.CALL.value, number, now, Jsonb(tried) if tried else None]
    bulk(SETTLE, [*values, message.bucket, message.id])
