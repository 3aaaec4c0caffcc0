"""Questions about what was said: how far a batch is, and messages for pages. Each statement names the bucket."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache

from beforehand.kit.ids import BUCKETS
from beforehand.kit.rows import bulk_fetch
from beforehand.outbound.models import Channel, Gate, Message, MessageBatch

Counts = dict[tuple[str, str], int]
"""(state, reason) of messages to how many."""

BATCH_COUNTS = """
SELECT m.batch_id, m.state, m.reason, count(*) FROM outbound_message m
WHERE m.bucket = ANY(%(buckets)s::smallint[]) AND m.batch_id = ANY(%(batches)s::bigint[])
GROUP BY m.batch_id, m.state, m.reason
"""
MAY_BE_OPENED = timedelta(minutes=1)
"""How old they may be where a message may still be opened in an inbox: its batch is done, and yet its counts move."""
FRESH = timedelta(seconds=2)
"""How old the counts of a batch that still moves may be: an open room asks again and again."""
KEPT = timedelta(days=1)


def batch_counts(batches: Iterable[MessageBatch]) -> dict[int, Counts]:
    """How many messages of each batch stand in which state, and why. A batch that is done is counted rarely."""
    wanted = {_key(batch): batch for batch in batches}
    known: dict[str, Counts] = cache.get_many(wanted)
    missing = {key: batch for key, batch in wanted.items() if key not in known}
    if missing:
        counted: dict[int, Counts] = {batch.pk: {} for batch in missing.values()}
        for batch_id, state, reason, count in bulk_fetch(
            BATCH_COUNTS, {"buckets": list(range(BUCKETS)), "batches": list(counted)}
        ):
            counted[batch_id][state, reason] = count
        for key, batch in missing.items():
            known[key] = counted[batch.pk]
            cache.set(key, known[key], _good_for(batch).total_seconds())
    return {batch.pk: known[key] for key, batch in wanted.items()}


def _good_for(batch: MessageBatch) -> timedelta:
    if not batch.done_at:
        return FRESH
    return MAY_BE_OPENED if Channel.INBOX in batch.channels else KEPT


def _key(batch: MessageBatch) -> str:
    stamp = f"{batch.created_at.timestamp()}-{batch.done_at.timestamp() if batch.done_at else 'open'}"
    return f"outbound.batch_counts.{batch.pk}.{batch.state}.{stamp}"


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message as a list shows it."""

    bucket: int
    id: int
    batch_id: int
    customer_id: int
    customer_public_id: Any
    customer_name: str
    channel: str
    language: str
    time_zone: str
    state: str
    reason: str
    reason_until: datetime | None
    created_at: datetime
    ended_at: datetime | None
    due_at: datetime
    attempts: int
    holding: str
    """What of the customer's it is about, as the text names it."""


LINE = """
m.bucket, m.id, m.batch_id, m.customer_id, c.public_id, c.name, m.channel, m.language, m.time_zone, m.state, m.reason,
m.reason_until, m.created_at, m.ended_at, m.due_at, m.attempts, coalesce(m.slots->>'holding', '')
"""

NEWEST = f"""
WITH found AS MATERIALIZED (
    SELECT f.bucket, f.id FROM generate_series(0, {BUCKETS - 1}) AS b(bucket)
    CROSS JOIN LATERAL (
        SELECT near.bucket, near.id FROM (
            SELECT * FROM outbound_message
            WHERE bucket = b.bucket::smallint AND id < %(before)s::bigint ORDER BY id DESC LIMIT %(depth)s::int
        ) near
        {{where}} ORDER BY near.id DESC LIMIT %(limit)s::int
    ) f
    ORDER BY f.id DESC LIMIT %(limit)s::int
)
SELECT {LINE} FROM found JOIN outbound_message m ON m.bucket = found.bucket AND m.id = found.id
JOIN customers_customer c ON c.id = m.customer_id
ORDER BY m.id DESC
"""
"""The newest of each bucket from the primary key alone, then the rows of those that are shown."""
DEPTH = 500
"""How far back a filtered page looks in each bucket: a rare state must not make it read every message ever sent."""
NEVER = 2**62


def newest_messages(*, state: str = "", before: int | None = None, limit: int) -> list[MessageLine]:
    """Messages by id, newest first. With a state, among the newest `DEPTH` of each bucket below `before`."""
    values: dict[str, Any] = {"before": before or NEVER, "limit": limit, "depth": DEPTH if state else limit}
    if state:
        values["state"] = state
    rows = bulk_fetch(NEWEST.format(where="WHERE near.state = %(state)s::text" if state else ""), values)
    return [MessageLine(*row) for row in rows]


OF_BATCH = f"""
SELECT {LINE} FROM (
    SELECT found.* FROM generate_series(%(bucket)s::int, {BUCKETS - 1}) AS b(bucket)
    CROSS JOIN LATERAL (
        SELECT * FROM outbound_message
        WHERE bucket = b.bucket::smallint AND batch_id = %(batch)s::bigint
          AND (%(state)s::text = '' OR state = %(state)s::text)
          AND (b.bucket > %(bucket)s::int OR customer_id > %(customer)s::bigint)
        ORDER BY customer_id LIMIT %(limit)s::int
    ) found
    LIMIT %(limit)s::int
) m JOIN customers_customer c ON c.id = m.customer_id
ORDER BY m.bucket, m.customer_id
"""
"""In the order of the unique key: no sort, however many the batch told."""


def batch_messages(
    batch_id: int, *, state: str = "", after: tuple[int, int] | None = None, limit: int
) -> list[MessageLine]:
    """Messages of one batch; `after` is bucket and customer id of the last one shown."""
    bucket, customer = after or (0, 0)
    rows = bulk_fetch(
        OF_BATCH, {"batch": batch_id, "state": state, "bucket": bucket, "customer": customer, "limit": limit}
    )
    return [MessageLine(*row) for row in rows]


OF_CUSTOMER = f"""
SELECT {LINE} FROM outbound_message m JOIN customers_customer c ON c.id = m.customer_id
WHERE m.bucket = %(bucket)s::smallint AND m.customer_id = %(customer)s::bigint
  AND (%(before)s::timestamptz IS NULL OR coalesce(m.ended_at, m.created_at) < %(before)s::timestamptz)
ORDER BY coalesce(m.ended_at, m.created_at) DESC, m.id DESC LIMIT %(limit)s::int
"""


def customer_messages(customer_id: int, *, before: datetime | None = None, limit: int) -> list[MessageLine]:
    """What we said to one customer, or did not, newest first."""
    rows = bulk_fetch(
        OF_CUSTOMER,
        {"bucket": customer_id % BUCKETS, "customer": customer_id, "before": before, "limit": limit},
    )
    return [MessageLine(*row) for row in rows]


LAST_OF_EACH = f"""
SELECT {LINE} FROM unnest(%(customers)s::bigint[]) AS w(customer_id)
CROSS JOIN LATERAL (
    SELECT mm.* FROM outbound_message mm JOIN outbound_messagebatch b ON b.id = mm.batch_id
    WHERE mm.bucket = (w.customer_id %% {BUCKETS})::smallint AND mm.customer_id = w.customer_id
      AND b.origin = %(origin)s::text
    ORDER BY mm.id DESC LIMIT 1
) m JOIN customers_customer c ON c.id = m.customer_id
"""


def last_messages(customer_ids: Sequence[int], *, origin: str) -> dict[int, MessageLine]:
    """The last message of this origin to each of these customers, by customer id; one query."""
    rows = bulk_fetch(LAST_OF_EACH, {"customers": list(customer_ids), "origin": origin})
    return {line.customer_id: line for line in (MessageLine(*row) for row in rows)}


LAST_TEXT = """
SELECT m.bucket, m.id FROM unnest(%(customers)s::bigint[]) AS w(customer_id)
CROSS JOIN LATERAL (
    SELECT mm.bucket, mm.id, mm.ended_at FROM outbound_message mm
    WHERE mm.bucket = (w.customer_id %% 64)::smallint AND mm.customer_id = w.customer_id AND mm.channel = 'sms'
      AND mm.state IN ('sent', 'uncertain') AND mm.ended_at >= %(since)s::timestamptz
    ORDER BY mm.ended_at DESC LIMIT 1
) m ORDER BY m.ended_at DESC LIMIT 1
"""


def last_text_to(customer_ids: Sequence[int], *, since: datetime) -> Message | None:
    """The newest text message to any of these customers: what a text from their number answers."""
    found = bulk_fetch(LAST_TEXT, {"customers": list(customer_ids), "since": since})
    return Message.objects.filter(bucket=found[0][0], id=found[0][1]).first() if found else None


def held_since(origin: str) -> datetime | None:
    """Since when nothing of this origin is sent, where somebody holds it back."""
    return Gate.objects.filter(origin=origin, state=Gate.State.HELD).values_list("set_at", flat=True).first()


WAITING = """
SELECT count(*) FROM outbound_messagebatch b
JOIN outbound_message m ON m.bucket = ANY(%(buckets)s::smallint[]) AND m.batch_id = b.id AND m.state = 'queued'
WHERE b.origin = %(origin)s::text AND b.state <> 'cancelled'
"""


def waiting_count(origin: str) -> int:
    """How many messages of this origin wait to be sent."""
    return int(bulk_fetch(WAITING, {"origin": origin, "buckets": list(range(BUCKETS))})[0][0])


BUT_FOR_THE_NIGHT = """
SELECT NOT EXISTS (SELECT FROM outbound_message m
                   WHERE m.batch_id = %(batch)s::bigint AND m.bucket = ANY(%(buckets)s::smallint[]) AND m.state = 'queued'
                     AND NOT (m.reason = 'quiet_hours' AND m.reason_until > %(due)s::timestamptz))
   AND NOT EXISTS (SELECT FROM outbound_message m
                   WHERE m.batch_id = %(batch)s::bigint AND m.bucket = ANY(%(buckets)s::smallint[])
                     AND m.ended_at > %(due)s::timestamptz AND m.reason_until IS NULL
                     AND NOT EXISTS (SELECT FROM outbound_delivery d
                                     WHERE d.bucket = m.bucket AND d.message_id = m.id AND d.channel = 'inbox'
                                       AND d.state = 'delivered' AND d.ended_at <= %(due)s::timestamptz))
"""


def is_said_but_for_the_night(batch: MessageBatch, *, due_at: datetime) -> bool:
    """Whether by `due_at` everyone had this word, or a stored refusal, but those whose quiet hours it waits for.

    To these a later time was promised: `Message.next_update_at`. What stood in an inbox by then may be opened later.
    """
    if batch.spread_at is None or batch.spread_at > due_at:
        return False
    values = {"batch": batch.pk, "buckets": list(range(BUCKETS)), "due": due_at}
    return bool(bulk_fetch(BUT_FOR_THE_NIGHT, values)[0][0])
