"""Times that customers were promised for themselves, because the batch's own fell into their night; and who heard by then."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from beforehand.engine.message_classes import RULES, MessageClass
from beforehand.kit.ids import BUCKETS
from beforehand.kit.rows import bulk_fetch
from beforehand.outbound.models import MessageBatch

NOTHING_NEW = ("only_changes", "word_waits")
"""Refusals of words in which nothing was new: no word that anybody waited for."""
SLEEPERS_WAIT = tuple(one.value for one, rule in RULES.items() if not rule.breaks_quiet_hours)
"""The classes whose words wait for the end of a customer's night."""

OWN_TIMES = """
SELECT DISTINCT m.batch_id, m.next_update_at
FROM outbound_message m JOIN outbound_messagebatch b ON b.id = m.batch_id
WHERE m.bucket = ANY(%(buckets)s::smallint[]) AND m.batch_id = ANY(%(batches)s::bigint[])
  AND m.state IN ('queued', 'sent', 'uncertain')
  AND m.next_update_at > CASE WHEN m.only_changes THEN coalesce(b.rare_update_at, b.next_update_at)
                              ELSE b.next_update_at END
ORDER BY m.batch_id, m.next_update_at
"""


def own_times(batches: Iterable[MessageBatch]) -> dict[int, list[datetime]]:
    """By batch, the later times that it promised to those in whose night its own time would have fallen. One query at most.

    They are as many as there are ends of nights among those whom it told: a few for each time zone, however many customers.
    """
    ids = [one.pk for one in batches if MessageClass(one.message_class).value in SLEEPERS_WAIT]
    found: dict[int, list[datetime]] = {}
    if ids:
        for batch_id, at in bulk_fetch(OWN_TIMES, {"batches": ids, "buckets": list(range(BUCKETS))}):
            found.setdefault(batch_id, []).append(at)
    return found


HEARD = """
SELECT count(*), count(*) FILTER (WHERE NOT said.is_heard AND NOT said.has_left),
       count(*) FILTER (WHERE NOT said.is_heard AND NOT said.has_left AND NOT said.is_coming)
FROM outbound_message m
CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(b.step <> 'holding' AND l.ended_at <= %(due)s::timestamptz AND l.state <> 'cancelled'
                            AND l.reason <> ALL(%(nothing_new)s::text[])), false)
           OR EXISTS (SELECT FROM outbound_toldbyperson t
                      WHERE t.bucket = m.bucket AND t.origin = %(origin)s::text AND t.customer_id = m.customer_id
                        AND t.told_at BETWEEN m.ended_at AND %(due)s::timestamptz) AS is_heard,
           coalesce(bool_or(l.state <> 'cancelled' AND l.reason <> ALL(%(nothing_new)s::text[])), false) AS is_coming,
           %(newest)s::bigint IS NOT NULL AND NOT coalesce(bool_or(l.batch_id = %(newest)s::bigint), false) AS has_left
    FROM outbound_message l JOIN outbound_messagebatch b ON b.id = l.batch_id
    WHERE l.bucket = m.bucket AND l.customer_id = m.customer_id AND b.origin = %(origin)s::text
      AND b.sequence > %(sequence)s::int
) said
WHERE m.bucket = ANY(%(buckets)s::smallint[]) AND m.batch_id = %(batch)s::bigint
  AND m.next_update_at = %(due)s::timestamptz AND m.state IN ('sent', 'uncertain')
"""
"""Of those who read this time: who has no word (or stored refusal) of ours since. For whom the newest word to all has no
message is on the list no longer, and waits for nothing."""


@dataclass(frozen=True, slots=True)
class Heard:
    """How many read a time of their own, how many of them had no word by it, and to how many not even one is on its way."""

    told: int
    unheard: int
    forgotten: int


def heard_by(batch: MessageBatch, *, due_at: datetime, newest: MessageBatch | None) -> Heard:
    """Who of those to whom this batch promised `due_at` for themselves had a later word by then. `newest`: the last to all."""
    values = {
        "batch": batch.pk,
        "origin": batch.origin,
        "sequence": batch.sequence,
        "due": due_at,
        "newest": newest.pk if newest else None,
        "nothing_new": list(NOTHING_NEW),
        "buckets": list(range(BUCKETS)),
    }
    return Heard(*bulk_fetch(HEARD, values)[0])
