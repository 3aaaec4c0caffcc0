"""The report of an incident. Every figure is recomputed from messages, promises and the log each time it is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from beforehand.incidents.affected import origin_of
from beforehand.incidents.answered import AnswerCounts, answer_counts
from beforehand.incidents.models import Incident
from beforehand.kit.ids import BUCKETS
from beforehand.kit.rows import bulk_fetch
from beforehand.promises.models import Promise

CONTACT = "contact.received"
"""The event by which a shop, a telephone system or a desk tells us that a customer wrote or called; what customers write
to us by mail and text message counts with it, and what their machines answer does not."""


@dataclass(frozen=True)
class LanguageCount:
    """How many who read a language were affected, and how many of them were told."""

    language: str
    affected: int
    told: int


@dataclass(frozen=True)
class Knew:
    """How many knew within a time of the beginning, and later than the one before; None: never."""

    within: timedelta | None
    customers: int


STEPS = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60, 240, 1440))


@dataclass(frozen=True)
class IncidentReport:
    """What there is to learn from one incident.

    `affected` counts everyone who ever was on the list. `told` are those of whom a provider accepted a message, or perhaps
    did (`uncertain`, counted in both), who opened one that stood in their inbox, and those whom a person told where no
    message could. A customer who was never told counts as never in `known_by_half`, the time by which half of the affected
    had been told. `head_start` is how long we knew before the first affected customer wrote or called; negative if they
    were first, None if nobody wrote. `longest_wait` is the longest time any told customer went without news between their
    first message and the end.
    """

    began_at: datetime
    known_at: datetime
    first_told_at: datetime | None
    ended_at: datetime | None
    affected: int
    told: int
    uncertain: int
    not_told: dict[str, int]
    languages: list[LanguageCount]
    known_by_half: timedelta | None
    known_by_most: timedelta | None
    last_known: timedelta | None
    """When the last who was told was told, from the beginning."""
    knew: tuple[Knew, ...]
    """How soon they knew: every customer stands in one of these, the untold in the last."""
    answers: AnswerCounts
    longest_wait: timedelta | None
    contacts: int
    first_contact_at: datetime | None
    told_before_contact: int
    promises_kept: int
    promises_broken: int

    @property
    def head_start(self) -> timedelta | None:
        return self.first_contact_at - self.known_at if self.first_contact_at else None


FIRST_TOLD = """
WITH affected AS (
    SELECT a.bucket, a.customer_id FROM incidents_affected a
    WHERE a.bucket = ANY(%(buckets)s::smallint[]) AND a.incident_id = %(incident)s::bigint
), by_message AS (
    SELECT m.bucket, m.customer_id, min(m.ended_at) AS first_at, bool_and(m.state = 'uncertain') AS is_uncertain
    FROM outbound_message m JOIN outbound_messagebatch b ON b.id = m.batch_id
    WHERE m.bucket = ANY(%(buckets)s::smallint[]) AND b.origin = %(origin)s::text AND m.state IN ('sent', 'uncertain')
    GROUP BY m.bucket, m.customer_id
), told AS (
    SELECT * FROM by_message
    UNION ALL
    SELECT t.bucket, t.customer_id, t.told_at, false FROM outbound_toldbyperson t
    WHERE t.bucket = ANY(%(buckets)s::smallint[]) AND t.origin = %(origin)s::text
      AND NOT EXISTS (SELECT FROM by_message m WHERE m.bucket = t.bucket AND m.customer_id = t.customer_id)
)
SELECT c.language, count(*), count(told.first_at), count(*) FILTER (WHERE told.is_uncertain), min(told.first_at),
       array_agg(extract(epoch FROM told.first_at - %(began_at)s::timestamptz)::float8)
           FILTER (WHERE told.first_at IS NOT NULL)
FROM affected JOIN customers_customer c ON c.id = affected.customer_id
LEFT JOIN told ON told.bucket = affected.bucket AND told.customer_id = affected.customer_id
GROUP BY c.language ORDER BY count(*) DESC, c.language
"""

NOT_TOLD = """
SELECT reason, count(*) FROM (
    SELECT DISTINCT ON (a.bucket, a.customer_id)
           CASE WHEN m.customer_id IS NULL THEN 'nothing_said'
                WHEN m.state = 'queued' THEN coalesce(nullif(m.reason, ''), 'waiting')
                ELSE coalesce(nullif(m.reason, ''), m.state) END AS reason
    FROM incidents_affected a
    LEFT JOIN LATERAL (
        SELECT m.customer_id, m.state, m.reason, m.id FROM outbound_message m
        JOIN outbound_messagebatch b ON b.id = m.batch_id AND b.origin = %(origin)s::text
        WHERE m.bucket = a.bucket AND m.customer_id = a.customer_id
    ) m ON true
    WHERE a.bucket = ANY(%(buckets)s::smallint[]) AND a.incident_id = %(incident)s::bigint
      AND NOT EXISTS (
        SELECT FROM outbound_message s JOIN outbound_messagebatch b ON b.id = s.batch_id AND b.origin = %(origin)s::text
        WHERE s.bucket = a.bucket AND s.customer_id = a.customer_id AND s.state IN ('sent', 'uncertain'))
      AND NOT EXISTS (
        SELECT FROM outbound_toldbyperson t
        WHERE t.bucket = a.bucket AND t.origin = %(origin)s::text AND t.customer_id = a.customer_id)
    ORDER BY a.bucket, a.customer_id, m.id
) untold GROUP BY reason ORDER BY count(*) DESC, reason
"""

LONGEST_WAIT = """
SELECT max(extract(epoch FROM gap)) FROM (
    SELECT coalesce(lead(m.ended_at) OVER news, %(until)s::timestamptz) - m.ended_at AS gap
    FROM outbound_message m JOIN outbound_messagebatch b ON b.id = m.batch_id
    WHERE m.bucket = ANY(%(buckets)s::smallint[]) AND b.origin = %(origin)s::text AND m.state = 'sent'
      AND m.ended_at <= %(until)s::timestamptz
    WINDOW news AS (PARTITION BY m.bucket, m.customer_id ORDER BY m.ended_at)
) waits
"""

CONTACTS = """
SELECT count(*), min(e.occurred_at), count(*) FILTER (WHERE EXISTS (
    SELECT FROM outbound_message m JOIN outbound_messagebatch b ON b.id = m.batch_id AND b.origin = %(origin)s::text
    WHERE m.bucket = a.bucket AND m.customer_id = a.customer_id AND m.state = 'sent' AND m.ended_at < e.occurred_at))
FROM events_event e
JOIN incidents_affected a ON a.bucket = (e.customer_id % 64)::smallint AND a.incident_id = %(incident)s::bigint
                         AND a.customer_id = e.customer_id
WHERE (e.type = 'contact.received' OR e.type = 'conversation.message_received')
  AND (e.subject = %(origin)s::text OR e.subject NOT LIKE 'incident:%%')
  AND e.occurred_at BETWEEN %(began_at)s::timestamptz AND %(until)s::timestamptz
""".replace("% 64", "%% 64")


def incident_report(incident: Incident, *, now: datetime) -> IncidentReport:
    """The report as things stand at `now`; a handful of statements, each over the incident's own rows."""
    parameters = {
        "incident": incident.pk,
        "origin": origin_of(incident.pk),
        "buckets": list(range(BUCKETS)),
        "began_at": incident.began_at,
        "until": incident.ended_at or now,
    }
    by_language = bulk_fetch(FIRST_TOLD, parameters)
    waits = sorted(seconds for row in by_language for seconds in row[5] or ())
    affected = sum(row[1] for row in by_language)
    ((contacts, first_contact_at, told_before),) = bulk_fetch(CONTACTS, parameters)
    ((longest,),) = bulk_fetch(LONGEST_WAIT, parameters)
    promises = list(Promise.objects.filter(audience=origin_of(incident.pk)).values_list("state", flat=True))
    return IncidentReport(
        began_at=incident.began_at,
        known_at=incident.known_at,
        first_told_at=min((row[4] for row in by_language if row[4]), default=None),
        ended_at=incident.ended_at,
        affected=affected,
        told=sum(row[2] for row in by_language),
        uncertain=sum(row[3] for row in by_language),
        not_told=dict(bulk_fetch(NOT_TOLD, parameters)),
        languages=[LanguageCount(row[0], row[1], row[2]) for row in by_language],
        known_by_half=_share_knew(waits, affected, 0.5),
        known_by_most=_share_knew(waits, affected, 0.9),
        last_known=timedelta(seconds=waits[-1]) if waits else None,
        knew=how_soon(waits, affected),
        answers=answer_counts(incident.pk),
        longest_wait=timedelta(seconds=float(longest)) if longest is not None else None,
        contacts=contacts,
        first_contact_at=first_contact_at,
        told_before_contact=told_before,
        promises_kept=sum(state in (Promise.State.KEPT, Promise.State.KEPT_EARLY) for state in promises),
        promises_broken=promises.count(Promise.State.BROKEN),
    )


def how_soon(waits: Sequence[float], affected: int) -> tuple[Knew, ...]:
    """The distribution of these seconds over steps of time; who has none never knew. It adds up to `affected`."""
    bounds = [*STEPS, timedelta.max]
    found, earlier = [], 0
    for bound in bounds:
        until = sum(seconds <= bound.total_seconds() for seconds in waits)
        if until > earlier:
            found.append(Knew(bound, until - earlier))
        earlier = until
    never = affected - len(waits)
    return (*found, Knew(None, never)) if never else tuple(found)


def _share_knew(waits: list[float], affected: int, share: float) -> timedelta | None:
    """When this share of all affected had been told, from the beginning; None if so many never were."""
    needed = max(1, round(affected * share))
    return timedelta(seconds=waits[needed - 1]) if affected and len(waits) >= needed else None
