"""Read the log for people and programs: private halves in bulk, a customer's or a subject's story."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from beforehand.events.subscriptions import StoredEvent
from beforehand.kit.rows import bulk_fetch, fetch


def private_data(events: Sequence[StoredEvent]) -> dict[int, dict[str, Any]]:
    """The private half of each of these events that has one, by event id; one statement, pruned to their months."""
    if not events:
        return {}
    rows = bulk_fetch(
        """
        SELECT event_id, data FROM events_eventprivate
        WHERE event_id = ANY(%(ids)s::bigint[])
          AND recorded_at BETWEEN %(first)s::timestamptz AND %(last)s::timestamptz
        """,
        {
            "ids": [event.id for event in events],
            "first": min(event.recorded_at for event in events),
            "last": max(event.recorded_at for event in events),
        },
    )
    return {row[0]: row[1] for row in rows}


STORY = """
SELECT id, recorded_at, occurred_at, type, source, source_id, actor, subject, customer_id, data FROM events_event
WHERE {who}
  AND (%(before_at)s::timestamptz IS NULL
       OR (recorded_at, id) < (%(before_at)s::timestamptz, %(before_id)s::bigint))
ORDER BY recorded_at DESC, id DESC LIMIT %(limit)s
"""

Place = tuple[datetime, int]
"""When an event was recorded, and its id: events of one transaction share the time."""


def story_of_subject(subject: str, *, limit: int = 100, before: Place | None = None) -> list[StoredEvent]:
    """What happened to something ("incident:42"), newest first, without the events of single customers."""
    return _story("subject = %(who)s AND customer_id IS NULL", subject, limit=limit, before=before)


def story_of_customer(customer_id: int, *, limit: int = 100, before: Place | None = None) -> list[StoredEvent]:
    """Everything that happened to one customer, newest first."""
    return _story("customer_id = %(who)s", customer_id, limit=limit, before=before)


def _story(where: str, who: str | int, *, limit: int, before: Place | None) -> list[StoredEvent]:
    before_at, before_id = before or (None, None)
    rows = fetch(STORY.format(who=where), {"who": who, "limit": limit, "before_at": before_at, "before_id": before_id})
    return [StoredEvent(*row) for row in rows]


RECENT = """
SELECT id, recorded_at, occurred_at, type, source, source_id, actor, subject, customer_id, data FROM events_event
WHERE subject = ANY(%(subjects)s) AND customer_id IS NULL AND subject <> '' AND recorded_at >= %(since)s
  AND type = ANY(%(types)s)
ORDER BY recorded_at DESC, id DESC LIMIT %(limit)s
"""


def recent_of_subjects(
    subjects: Sequence[str], *, types: Sequence[str], since: datetime, limit: int
) -> list[StoredEvent]:
    """Events of these types that happened to any of these since then, newest first; not those of single customers."""
    if not subjects:
        return []
    rows = fetch(RECENT, {"subjects": list(subjects), "since": since, "types": list(types), "limit": limit})
    return [StoredEvent(*row) for row in rows]


def event_at(recorded_at: datetime, event_id: int) -> StoredEvent | None:
    """One event of the log."""
    rows = fetch(
        """
        SELECT id, recorded_at, occurred_at, type, source, source_id, actor, subject, customer_id, data
        FROM events_event WHERE recorded_at = %s AND id = %s
        """,
        [recorded_at, event_id],
    )
    return StoredEvent(*rows[0]) if rows else None
