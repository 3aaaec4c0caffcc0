"""The delivery engine's statements: claim what is due, record what came of it, recover what a dead worker left.

Each names the bucket. A message is claimed by inserting its delivery row: its key (bucket, message, attempt) is what two
workers cannot both insert.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from beforehand.engine.contacts import ContactFault
from beforehand.kit.rows import array_literal, bulk, bulk_fetch, number_array_literal

IN_FLIGHT = "in_flight"
"""The reason of an end that waits, because the word before it is on its way to this customer right now."""
LANDING = timedelta(seconds=5)
"""How soon such an end looks again."""

# LATERAL with a LIMIT is one index probe per place; an EXISTS would be turned into a scan of all that is queued.
DUE_PLACES = """
SELECT p.priority, b.bucket
FROM (VALUES (1), (2), (4), (5), (6), (7), (8)) AS p(priority), generate_series(0, 63) AS b(bucket),
LATERAL (
    SELECT 1 FROM outbound_message m
    WHERE m.bucket = b.bucket AND m.channel = %(channel)s::text AND m.priority = p.priority AND m.state = 'queued'
      AND m.due_at <= %(now)s::timestamptz
    LIMIT 1
) AS due
ORDER BY p.priority, (b.bucket + %(turn)s::int) %% 64
"""


def due_places(*, channel: str, now: datetime, turn: int) -> list[tuple[int, int]]:
    """(priority, bucket) of wherever something is due, urgent ones first; `turn` lets workers begin in different places."""
    return [(row[0], row[1]) for row in bulk_fetch(DUE_PLACES, {"channel": channel, "now": now, "turn": turn})]


@dataclass(frozen=True, slots=True)
class Claim:
    """One message that this worker alone may send now, with what the last judgement and the text need."""

    bucket: int
    message_id: int
    attempt: int
    batch_id: int
    customer_id: int
    contact_point_id: int | None
    language: str
    time_zone: str
    formal: bool
    large_print: bool
    slots: dict[str, str]
    code: str
    address: str | None
    address_status: str
    is_erased: bool
    name: str
    quiet_from: time | None
    quiet_until: time | None
    tried_before: int
    consent: bool | None
    only_changes: bool
    next_update_at: datetime | None
    reason: str

    @property
    def key(self) -> tuple[int, int, int]:
        return self.bucket, self.message_id, self.attempt


CLAIM = """
WITH due AS (
    SELECT m.bucket, m.id, m.attempts, m.batch_id, m.contact_point_id, m.channel
    FROM outbound_message m JOIN outbound_messagebatch b ON b.id = m.batch_id AND b.state = 'open'
    WHERE m.bucket = %(bucket)s::smallint AND m.priority = %(priority)s::smallint AND m.state = 'queued'
      AND m.due_at <= %(now)s::timestamptz AND m.channel = %(channel)s::text
      AND NOT EXISTS (SELECT FROM outbound_delivery d
                      WHERE d.bucket = m.bucket AND d.message_id = m.id AND d.state = 'sending')
    ORDER BY m.due_at LIMIT %(limit)s::int FOR UPDATE OF m SKIP LOCKED
), begun AS (
    INSERT INTO outbound_delivery (bucket, message_id, attempt, batch_id, contact_point_id, channel, worker, state)
    SELECT bucket, id, attempts + 1, batch_id, contact_point_id, channel, %(worker)s::uuid, 'sending' FROM due
    ON CONFLICT DO NOTHING
    RETURNING bucket, message_id, attempt
)
SELECT m.bucket, m.id, begun.attempt, m.batch_id, m.customer_id, m.contact_point_id, m.language, m.time_zone, m.formal,
       m.large_print,
       coalesce(m.slots, '{}'), m.code, cp.address, coalesce(cp.status, ''), c.erased_at IS NOT NULL,
       coalesce(c.name, ''), c.quiet_from, c.quiet_until, m.tried_before,
       (SELECT s.given FROM customers_consent s
        WHERE s.customer_id = m.customer_id AND s.message_class = b.message_class
          AND s.channel = CASE m.channel WHEN 'call' THEN 'phone' ELSE m.channel END
        ORDER BY s.answered_at DESC, s.id DESC LIMIT 1),
       m.only_changes, m.next_update_at, m.reason
FROM begun
JOIN outbound_message m ON m.bucket = begun.bucket AND m.id = begun.message_id
JOIN outbound_messagebatch b ON b.id = m.batch_id
LEFT JOIN customers_customer c ON c.id = m.customer_id
LEFT JOIN customers_contactpoint cp ON cp.id = m.contact_point_id
WHERE m.bucket = %(bucket)s::smallint
"""


def claim(*, priority: int, bucket: int, channel: str, limit: int, worker: UUID, now: datetime) -> list[Claim]:
    """At most `limit` due messages of one place, now marked as being sent by `worker`; nobody else gets them."""
    rows = bulk_fetch(
        CLAIM,
        {"bucket": bucket, "priority": priority, "now": now, "channel": channel, "limit": limit, "worker": worker},
    )
    return [Claim(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Record:
    """What is written about one attempt, and what becomes of its message."""

    key: tuple[int, int, int]
    delivery_state: str
    code: int | None
    enhanced: str
    answer: str
    message_state: str
    reason: str
    due_at: datetime | None
    fault: ContactFault = ContactFault.NONE
    language: str | None = None


RECORD = """
WITH outcome AS (
    SELECT * FROM unnest(
        %(bucket)s::smallint[], %(message)s::bigint[], %(attempt)s::smallint[], %(delivery_state)s::text[], %(code)s::smallint[],
        %(enhanced)s::text[], %(answer)s::text[], %(state)s::text[], %(reason)s::text[], %(due_at)s::timestamptz[],
        %(language)s::text[])
        AS o(bucket, message_id, attempt, delivery_state, code, enhanced, answer, state, reason, due_at, language)
), closed AS (
    UPDATE outbound_delivery d
    SET state = o.delivery_state, code = o.code, enhanced = o.enhanced, answer = o.answer, ended_at = %(now)s::timestamptz
    FROM outcome o
    WHERE d.bucket = o.bucket AND d.message_id = o.message_id AND d.attempt = o.attempt
      AND d.bucket = ANY(%(buckets)s::smallint[]) AND d.state = 'sending' AND d.worker = %(worker)s::uuid
    RETURNING o.*
), said AS (
    UPDATE outbound_message m
    SET attempts = closed.attempt,
        state = CASE WHEN closed.state = 'queued' AND b.state = 'cancelled' THEN 'cancelled' ELSE closed.state END,
        reason = CASE WHEN closed.state = 'queued' AND b.state = 'cancelled' THEN b.state_reason ELSE closed.reason END,
        due_at = coalesce(closed.due_at, m.due_at),
        language = coalesce(closed.language, m.language),
        ended_at = CASE WHEN closed.state = 'queued' AND b.state <> 'cancelled' THEN NULL ELSE %(now)s::timestamptz END
    FROM closed, outbound_messagebatch b
    WHERE m.bucket = closed.bucket AND m.id = closed.message_id AND m.bucket = ANY(%(buckets)s::smallint[])
      AND b.id = m.batch_id
    RETURNING m.id, m.bucket, m.customer_id, m.channel, m.contact_point_id, m.batch_id, m.state, m.reason, closed.attempt,
              closed.delivery_state, b.origin
)
INSERT INTO events_event (type, actor, subject, customer_id, data, occurred_at)
SELECT CASE WHEN delivery_state = 'accepted' AND channel = 'inbox' THEN 'message.placed'
            WHEN delivery_state = 'accepted' THEN 'message.sent'
            WHEN delivery_state = 'uncertain' THEN 'message.uncertain'
            WHEN state = 'queued' THEN 'message.put_off'
            WHEN state = 'cancelled' THEN 'message.cancelled'
            ELSE 'message.failed' END,
       'outbound', origin, customer_id,
       jsonb_build_object('message', id, 'batch', batch_id, 'channel', channel, 'attempt', attempt)
           || CASE WHEN reason = '' THEN '{}'::jsonb ELSE jsonb_build_object('reason', reason) END,
       %(now)s::timestamptz
FROM said
"""


def record(records: Sequence[Record], *, worker: UUID, now: datetime) -> int:
    """Write the outcomes of attempts that `worker` still holds, and one event each; how many were written.

    Repeating it changes nothing: only an attempt that is still marked as being sent is closed.
    """
    if not records:
        return 0
    # As literals: psycopg's lists would cost a twentieth of all that a mail costs.
    columns: dict[str, Any] = {
        "bucket": number_array_literal(r.key[0] for r in records),
        "buckets": sorted({r.key[0] for r in records}),
        "message": number_array_literal(r.key[1] for r in records),
        "attempt": number_array_literal(r.key[2] for r in records),
        "delivery_state": array_literal(r.delivery_state for r in records),
        "code": number_array_literal(r.code for r in records),
        "enhanced": array_literal(r.enhanced for r in records),
        "answer": array_literal(r.answer for r in records),
        "state": array_literal(r.message_state for r in records),
        "reason": array_literal(r.reason for r in records),
        "due_at": [r.due_at for r in records],
        "language": array_literal(r.language for r in records),
    }
    return bulk(RECORD, {**columns, "worker": worker, "now": now})


PUT_BACK = """
WITH given AS (
    SELECT * FROM unnest(%(bucket)s::smallint[], %(message)s::bigint[], %(attempt)s::smallint[], %(state)s::text[],
                         %(reason)s::text[], %(due_at)s::timestamptz[])
        AS g(bucket, message_id, attempt, state, reason, due_at)
), taken AS (
    DELETE FROM outbound_delivery d USING given g
    WHERE d.bucket = g.bucket AND d.message_id = g.message_id AND d.attempt = g.attempt
      AND d.bucket = ANY(%(buckets)s::smallint[]) AND d.state = 'sending' AND d.worker = %(worker)s::uuid
    RETURNING g.*
), said AS (
    UPDATE outbound_message m
    SET state = CASE WHEN b.state = 'cancelled' THEN 'cancelled' ELSE t.state END,
        reason = CASE WHEN b.state = 'cancelled' THEN b.state_reason ELSE t.reason END,
        reason_until = CASE WHEN t.state = 'queued' THEN t.due_at END,
        next_update_at = CASE WHEN t.state = 'queued' AND t.reason = 'quiet_hours' AND m.next_update_at IS NOT NULL
                              THEN greatest(m.next_update_at, t.due_at + (b.next_update_at - b.decided_at))
                              ELSE m.next_update_at END,
        due_at = coalesce(t.due_at, m.due_at),
        ended_at = CASE WHEN t.state = 'queued' AND b.state <> 'cancelled' THEN NULL ELSE %(now)s::timestamptz END
    FROM taken t, outbound_messagebatch b
    WHERE m.bucket = t.bucket AND m.id = t.message_id AND m.bucket = ANY(%(buckets)s::smallint[]) AND b.id = m.batch_id
    RETURNING m.id, m.customer_id, m.channel, m.batch_id, m.state, m.reason, b.origin
)
INSERT INTO events_event (type, actor, subject, customer_id, data, occurred_at)
SELECT 'message.' || state, 'outbound', origin, customer_id,
       jsonb_build_object('message', id, 'batch', batch_id, 'channel', channel, 'reason', reason), %(now)s::timestamptz
FROM said WHERE state <> 'queued'
"""


@dataclass(frozen=True, slots=True)
class PutBack:
    """A claimed message that never left this house: it waits until `due_at`, or is refused after all."""

    key: tuple[int, int, int]
    state: str
    reason: str
    due_at: datetime | None


def put_back(given: Sequence[PutBack], *, worker: UUID, now: datetime) -> int:
    """Undo claims of messages of which nothing was handed over; their attempt never happened."""
    if not given:
        return 0
    return bulk(
        PUT_BACK,
        {
            "bucket": [one.key[0] for one in given],
            "buckets": sorted({one.key[0] for one in given}),
            "message": [one.key[1] for one in given],
            "attempt": [one.key[2] for one in given],
            "state": [one.state for one in given],
            "reason": [one.reason for one in given],
            "due_at": [one.due_at for one in given],
            "worker": worker,
            "now": now,
        },
    )


SENDING = """
SELECT d.bucket, d.message_id, d.attempt, b.message_class, d.channel
FROM outbound_delivery d JOIN outbound_messagebatch b ON b.id = d.batch_id
WHERE d.bucket = ANY(%(buckets)s::smallint[]) AND d.state = 'sending' AND d.worker = %(worker)s::uuid
"""


def still_sending(worker: UUID) -> list[tuple[tuple[int, int, int], str, str]]:
    """Keys, message classes and channels of the attempts that are marked as being sent by this worker."""
    rows = bulk_fetch(SENDING, {"worker": worker, "buckets": list(range(64))})
    return [((row[0], row[1], row[2]), row[3], row[4]) for row in rows]


def workers_with_attempts() -> Iterable[UUID]:
    """Every worker that has an attempt marked as being sent."""
    rows = bulk_fetch(
        "SELECT DISTINCT worker FROM outbound_delivery WHERE bucket = ANY(%s::smallint[]) AND state = 'sending'",
        [list(range(64))],
    )
    return [row[0] for row in rows]


LANDED = """
SELECT w.message_id, bool_or(d.state = 'sending'),
       (array_agg(NOT ob.why @> '{"is_end": true}' ORDER BY ob.sequence DESC)
        FILTER (WHERE o.state IN ('sent', 'uncertain') OR d.state <> 'sending'))[1]
FROM unnest(%(bucket)s::smallint[], %(message)s::bigint[], %(customer)s::bigint[], %(batch)s::bigint[])
    AS w(bucket, message_id, customer_id, batch_id)
JOIN outbound_messagebatch b ON b.id = w.batch_id
JOIN outbound_message o ON o.bucket = w.bucket AND o.bucket = ANY(%(buckets)s::smallint[])
    AND o.customer_id = w.customer_id AND o.id <> w.message_id
JOIN outbound_messagebatch ob ON ob.id = o.batch_id AND ob.origin = b.origin
LEFT JOIN outbound_delivery d ON d.bucket = o.bucket AND d.message_id = o.id
    AND (d.state IN ('sending', 'uncertain') OR d.channel = 'inbox' AND d.state IN ('accepted', 'delivered'))
GROUP BY w.message_id
"""


def landed(claims: Sequence[Claim]) -> dict[int, bool | None]:
    """Of these ends, by message: whether an earlier word has reached its customer; None while one is still on its way.

    A word that stands in an inbox may be read any day, so its end has to stand there too.
    """
    if not claims:
        return {}
    rows = bulk_fetch(
        LANDED,
        {
            "bucket": [one.bucket for one in claims],
            "buckets": sorted({one.bucket for one in claims}),
            "message": [one.message_id for one in claims],
            "customer": [one.customer_id for one in claims],
            "batch": [one.batch_id for one in claims],
        },
    )
    found = {message_id: None if is_on_its_way else bool(was_told) for message_id, is_on_its_way, was_told in rows}
    return {one.message_id: found.get(one.message_id, False) for one in claims}
