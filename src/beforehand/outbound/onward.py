"""The next channel when one has failed: the same message goes on by another way, so nobody is told the same thing twice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from beforehand.engine.sending import SendingReason
from beforehand.engine.ways import RUNS_OVER_FAILURE
from beforehand.kit.rows import bulk, bulk_fetch
from beforehand.outbound.claims import PutBack, Record
from beforehand.outbound.in_house import UNREAD
from beforehand.outbound.media import live_channels

ANOTHER_MAY_DO = frozenset(
    {
        SendingReason.CHANNEL_OFF.value,
        SendingReason.NO_CONTACT_POINT.value,
        SendingReason.ADDRESS_DEAD.value,
        SendingReason.ADDRESS_BLOCKED.value,
        SendingReason.OBJECTED.value,
        SendingReason.NO_OPT_IN.value,
        "address_refused",
    }
)
"""Refusals that speak of this channel alone."""

NEXT_WAYS = """
SELECT m.bucket, m.id, next.channel, next.point
FROM unnest(%(bucket)s::smallint[], %(message)s::bigint[]) AS g(bucket, id)
JOIN outbound_message m ON m.bucket = g.bucket AND m.id = g.id AND m.bucket = ANY(%(buckets)s::smallint[])
JOIN outbound_messagebatch b ON b.id = m.batch_id AND b.state <> 'cancelled' AND jsonb_array_length(b.channels) > 1
CROSS JOIN LATERAL (
    SELECT w.channel, p.id AS point FROM jsonb_array_elements_text(b.channels) WITH ORDINALITY AS w(channel, place)
    CROSS JOIN LATERAL (
        SELECT cp.id FROM customers_contactpoint cp
        WHERE cp.customer_id = m.customer_id AND cp.status IN ('working', 'failing')
          AND (cp.channel = w.channel OR w.channel = 'call' AND cp.channel IN ('phone', 'sms'))
        ORDER BY cp.channel = 'sms', cp.rank, cp.id LIMIT 1
    ) p
    WHERE w.channel <> m.channel AND w.channel = ANY(%(live)s::text[])
      AND NOT EXISTS (SELECT FROM jsonb_array_elements(coalesce(m.passed_over, '[]')) o
                      WHERE o->>0 = w.channel AND o->>1 <> %(down)s::text)
    ORDER BY w.place LIMIT 1
) next
"""
"""A channel that was passed over because it runs over what failed is a last resort, and so still a way."""

MOVE = """
WITH given AS (
    SELECT * FROM unnest(%(bucket)s::smallint[], %(message)s::bigint[], %(channel)s::text[], %(point)s::bigint[],
                         %(reason)s::text[]) AS g(bucket, id, channel, point, reason)
), moved AS (
    UPDATE outbound_message m
    SET channel = g.channel, contact_point_id = g.point, tried_before = m.attempts, state = 'queued', reason = '',
        reason_until = NULL, ended_at = NULL, due_at = %(now)s::timestamptz,
        passed_over = coalesce(m.passed_over, '[]') || jsonb_build_array(jsonb_build_array(m.channel, g.reason))
    FROM given g
    WHERE m.bucket = g.bucket AND m.id = g.id AND m.bucket = ANY(%(buckets)s::smallint[])
      AND m.state IN ('queued', 'failed')
    RETURNING m.id, m.customer_id, m.batch_id, m.channel, m.passed_over->-1->>0 AS left_channel, g.reason
)
INSERT INTO events_event (type, actor, subject, customer_id, data, occurred_at)
SELECT 'message.channel_changed', 'outbound', b.origin, moved.customer_id,
       jsonb_build_object('message', moved.id, 'batch', moved.batch_id, 'channel', moved.left_channel,
                          'to', moved.channel, 'reason', moved.reason),
       %(now)s::timestamptz
FROM moved JOIN outbound_messagebatch b ON b.id = moved.batch_id
"""


@dataclass(frozen=True, slots=True)
class Move:
    """A message that goes on by another channel, and why it left the one before."""

    bucket: int
    message_id: int
    channel: str
    contact_point_id: int
    reason: str


def next_ways(failed: Sequence[tuple[int, int, str]]) -> list[Move]:
    """For (bucket, message, reason) that failed on their channel: the next channel of each that has one. One query."""
    if not failed:
        return []
    rows = bulk_fetch(
        NEXT_WAYS,
        {
            "bucket": [bucket for bucket, _, _ in failed],
            "buckets": sorted({bucket for bucket, _, _ in failed}),
            "message": [message for _, message, _ in failed],
            "live": sorted(live_channels()),
            "down": RUNS_OVER_FAILURE,
        },
    )
    reasons = {(bucket, message): reason for bucket, message, reason in failed}
    return [Move(row[0], row[1], row[2], row[3], reasons[row[0], row[1]]) for row in rows]


def onward(said: Sequence[Record | PutBack], *, now: datetime) -> tuple[list[Record | PutBack], list[Move]]:
    """The outcomes, those that have another way left waiting for it instead of failed; and the ways that they take."""
    failed = [(one.key[0], one.key[1], one.reason) for one in said if _has_failed(one)]
    moves = next_ways(failed)
    if not moves:
        return list(said), []
    places = {(move.bucket, move.message_id) for move in moves}
    return [_waiting(one, now) if _has_failed(one) and one.key[:2] in places else one for one in said], moves


def move_on(moves: Sequence[Move], *, now: datetime) -> int:
    """Write the new channel of each, with an event; in the transaction that records what failed."""
    if not moves:
        return 0
    return bulk(
        MOVE,
        {
            "bucket": [move.bucket for move in moves],
            "buckets": sorted({move.bucket for move in moves}),
            "message": [move.message_id for move in moves],
            "channel": [move.channel for move in moves],
            "point": [move.contact_point_id for move in moves],
            "reason": [move.reason for move in moves],
            "now": now,
        },
    )


def _has_failed(one: Record | PutBack) -> bool:
    """What stands in an inbox stays there; but nobody is told by it yet, so the next channel has its turn as well."""
    if isinstance(one, Record):
        return one.message_state == "failed" or one.reason == UNREAD
    return one.state == "refused" and one.reason in ANOTHER_MAY_DO


def _waiting(one: Record | PutBack, now: datetime) -> Record | PutBack:
    if isinstance(one, Record):
        return replace(one, message_state="queued", due_at=now)
    return replace(one, state="queued", due_at=now)
