"""Whom an incident touches and no message reaches: they are called, written to, or told by a poster, by the incident's team."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from beforehand.accounts.installation import installation
from beforehand.incidents.affected import origin_of
from beforehand.kit.ids import BUCKETS
from beforehand.kit.rows import bulk_fetch

NOTHING_NEW = ("only_changes", "word_waits")
"""Reasons of words in which nothing was new: they say nothing of whether the customer can be told."""
NOT_TO_BE_TOLD = ("customer_erased", "objected", "no_opt_in", "cap_reached", *NOTHING_NEW)
"""Reasons that say that the customer may not be told, not that they cannot."""

NO_LATER_WORD = """
  AND NOT EXISTS (SELECT FROM outbound_message later JOIN outbound_messagebatch lb ON lb.id = later.batch_id
                  WHERE later.bucket = m.bucket AND later.customer_id = m.customer_id
                    AND lb.origin = %(origin)s::text AND lb.sequence > b.sequence AND later.state <> 'cancelled'
                    AND later.reason <> ALL(%(nothing_new)s::text[]))
  AND NOT EXISTS (SELECT FROM outbound_toldbyperson t
                  WHERE t.bucket = m.bucket AND t.origin = %(origin)s::text AND t.customer_id = m.customer_id)
"""
"""It is our newest word to them, and no person has told them."""

CALLED_ALREADY = """
EXISTS (SELECT FROM outbound_message cm
        JOIN outbound_messagebatch cb ON cb.id = cm.batch_id AND cb.origin = %(origin)s::text
        JOIN outbound_delivery d ON d.bucket = cm.bucket AND d.message_id = cm.id AND d.channel = 'call'
            AND d.state = 'delivered'
        WHERE cm.bucket = m.bucket AND cm.customer_id = m.customer_id
          AND NOT EXISTS (SELECT FROM outbound_messagebatch e
                          WHERE e.origin = %(origin)s::text AND e.why @> '{"is_end": true}' AND e.audience = 'told'
                            AND e.sequence BETWEEN cb.sequence AND b.sequence))
"""
"""Somebody has reached them by telephone since it began, or began again."""

UNTOLD = f"""
FROM (
    SELECT m.bucket, m.customer_id, m.id, m.batch_id, m.reason, m.reason_until, m.channel, m.passed_over, m.ended_at
    FROM outbound_messagebatch b
    JOIN outbound_message m ON m.bucket = ANY(%(buckets)s::smallint[]) AND m.batch_id = b.id AND m.state IN ('refused', 'failed')
    JOIN incidents_affected a ON a.bucket = m.bucket AND a.bucket = ANY(%(buckets)s::smallint[])
        AND a.incident_id = %(incident)s::bigint AND a.customer_id = m.customer_id AND a.state = 'affected'
    WHERE b.origin = %(origin)s::text AND m.reason <> ALL(%(not_to_be)s::text[]) {NO_LATER_WORD}
    UNION ALL
    SELECT m.bucket, m.customer_id, m.id, m.batch_id, 'care_alarm', NULL, m.channel, m.passed_over, b.decided_at
    FROM customers_customer c
    JOIN incidents_affected a ON a.bucket = (c.id %% {BUCKETS})::smallint AND a.bucket = ANY(%(buckets)s::smallint[])
        AND a.incident_id = %(incident)s::bigint AND a.customer_id = c.id AND a.state = 'affected'
    JOIN outbound_message m ON m.bucket = a.bucket AND m.customer_id = c.id AND m.state IN ('queued', 'sent', 'uncertain')
    JOIN outbound_messagebatch b ON b.id = m.batch_id AND b.origin = %(origin)s::text
        AND (b.channels @> '"call"' OR b.why ? 'call_first' AND NOT {CALLED_ALREADY})
    WHERE c.priority = 'care_alarm' AND NOT (m.state = 'queued' AND m.reason = 'quiet_hours') {NO_LATER_WORD}
      AND EXISTS (SELECT FROM customers_contactpoint p
                  WHERE p.customer_id = c.id AND p.channel IN ('phone', 'sms') AND p.status IN ('working', 'failing'))
      AND NOT EXISTS (SELECT FROM outbound_delivery d
                      WHERE d.bucket = m.bucket AND d.message_id = m.id AND d.channel = 'call' AND d.state = 'delivered')
) u
"""
"""Our newest word to them was refused, failed, or waits for a call. Where the playbook calls people, care alarms are called
also where a message has gone out: who wears one may not read it. So are they, once while it lasts, where the playbook calls
them first; but not in a night in which the message waits for the morning."""

COUNTED = """
count(*) FILTER (WHERE u.reason <> 'care_alarm') AS untold, count(*) FILTER (WHERE u.reason = 'care_alarm') AS alarms
"""
PAGE = f"""
WITH u AS MATERIALIZED (
    SELECT CASE WHEN cc.priority = 'care_alarm' THEN 0 ELSE 1 END
               + CASE WHEN u.reason_until > %(now)s::timestamptz
                        OR u.reason = 'call_waits' AND least(u.ended_at + %(within)s::interval, ub.next_update_at)
                                                       > %(now)s::timestamptz THEN 2 ELSE 0 END AS rank, u.*
    {UNTOLD} JOIN customers_customer cc ON cc.id = u.customer_id
    JOIN outbound_messagebatch ub ON ub.id = u.batch_id
)
SELECT counts.untold, counts.alarms, page.* FROM (SELECT {COUNTED} FROM u) counts LEFT JOIN (
SELECT u.rank, u.bucket, u.customer_id, c.public_id, c.external_id, c.name, c.language, c.priority, u.reason, u.channel,
       u.passed_over, u.ended_at,
       coalesce((SELECT jsonb_agg(jsonb_build_array(p.channel, p.address, p.status) ORDER BY p.rank, p.id)
                 FROM customers_contactpoint p WHERE p.customer_id = u.customer_id), '[]'),
       u.id, u.batch_id, u.reason_until
FROM u JOIN customers_customer c ON c.id = u.customer_id
WHERE (u.rank, u.bucket, u.customer_id) > (%(rank)s::int, %(bucket)s::smallint, %(customer)s::bigint)
ORDER BY u.rank, u.bucket, u.customer_id LIMIT %(limit)s::int
) page ON true ORDER BY page.rank, page.bucket, page.customer_id
"""
"""Whom nobody answered for, and whose turn has not come and whose time has not passed, wait behind those to be called now."""


@dataclass(frozen=True, slots=True)
class Untold:
    """A customer whom no message reaches, why, and what there is to reach them by; care alarms come first."""

    rank: int
    bucket: int
    customer_id: int
    public_id: Any
    external_id: str
    name: str
    language: str
    priority: str
    reason: str
    channel: str
    passed_over: list[list[str]] | None
    since: Any
    addresses: list[list[str]]
    """Channel, address and status of each contact point, bad ones too: a person may know better."""
    message_id: int
    batch_id: int
    call_again_at: Any

    @property
    def waits_its_turn(self) -> bool:
        """Whether the team has as many calls before this one as it can make at once, and there is time yet."""
        return self.reason == "call_waits" and self.rank >= 2

    @property
    def place(self) -> tuple[int, int, int]:
        return self.rank, self.bucket, self.customer_id


def _values(incident_id: int, **more: Any) -> dict[str, Any]:
    return {
        "incident": incident_id,
        "origin": origin_of(incident_id),
        "buckets": list(range(BUCKETS)),
        "not_to_be": list(NOT_TO_BE_TOLD),
        "nothing_new": list(NOTHING_NEW),
        **more,
    }


def untold_count(incident_id: int) -> int:
    """How many customers could not be told, and have not been told by a person."""
    return untold_counts(incident_id)[0]


def untold_counts(incident_id: int) -> tuple[int, int]:
    """How many could not be told; and how many care alarms are to be called though a message went out to them."""
    ((untold, alarms),) = bulk_fetch(f"SELECT {COUNTED} {UNTOLD}", _values(incident_id))
    return untold, alarms


CALL_COUNTS = f"""
SELECT count(*) FILTER (WHERE u.reason IN ('to_be_called', 'care_alarm')
                           OR u.reason = 'no_answer' AND u.reason_until <= %(now)s::timestamptz),
       count(*) FILTER (WHERE u.reason = 'call_waits'),
       count(*) FILTER (WHERE u.reason IN ('to_be_called', 'care_alarm', 'no_answer', 'call_waits'))
{UNTOLD}
"""
WAITING_CALLS = f"""
SELECT u.bucket, u.id, cc.priority = 'care_alarm', u.ended_at {UNTOLD} JOIN customers_customer cc ON cc.id = u.customer_id
WHERE u.reason = 'call_waits'
ORDER BY cc.priority = 'care_alarm' DESC, u.ended_at, u.id LIMIT %(limit)s::int
"""


@dataclass(frozen=True, slots=True)
class CallCounts:
    """How many calls are to be made now, how many wait for their turn, and how many are left in all."""

    open: int
    waiting: int
    left: int


def call_counts(incident_id: int, *, now: datetime) -> CallCounts:
    """How the calls of an incident stand."""
    return CallCounts(*bulk_fetch(CALL_COUNTS, _values(incident_id, now=now))[0])


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """A call whose turn has not come: care alarms first, then who has waited longest."""

    bucket: int
    message_id: int
    is_care_alarm: bool
    since: datetime


def waiting_calls(incident_id: int, *, limit: int) -> list[WaitingCall]:
    """The calls of an incident that wait for their turn, in the order in which they get it."""
    return [WaitingCall(*row) for row in bulk_fetch(WAITING_CALLS, _values(incident_id, limit=limit))]


def untold_page(
    incident_id: int, *, now: datetime, after: tuple[int, int, int] | None = None, limit: int
) -> list[Untold]:
    """A page of them: care alarms first. `after` is the `place` of the last one shown."""
    return counted_page(incident_id, now=now, after=after, limit=limit)[0]


def counted_page(
    incident_id: int, *, now: datetime, after: tuple[int, int, int] | None = None, limit: int
) -> tuple[list[Untold], int, int]:
    """The same, and what `untold_counts` says of the whole list, which is worked out once for both."""
    rank, bucket, customer = after or (-1, 0, 0)
    values = {"within": timedelta(minutes=installation().calls_within_minutes), "now": now, "limit": limit}
    rows = bulk_fetch(PAGE, _values(incident_id, **values, rank=rank, bucket=bucket, customer=customer))
    return [Untold(*row[2:]) for row in rows if row[2] is not None], *rows[0][:2]


def untold_ids(incident_id: int, *, among: Sequence[int] | None = None) -> list[int]:
    """The ids of all of them, or of those of a few customers who are among them."""
    rows = bulk_fetch(f"SELECT u.customer_id {UNTOLD}", _values(incident_id))
    known = {row[0] for row in rows}
    return sorted(known if among is None else known & set(among))
