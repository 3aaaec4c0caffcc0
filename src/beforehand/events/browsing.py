"""Look through the log: the newest events that fit a filter, page by page, and what comes after a place in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from beforehand.events.places import LogPlace
from beforehand.events.queries import Place
from beforehand.events.subscriptions import StoredEvent
from beforehand.kit.rows import bulk_fetch

WINDOW = 50_000
"""Rows looked through for one page when no index narrows them: a rare type then takes several pages, and each is quick."""
NEAR = 2_000
"""Looked through first."""
AFTER = 5_000

BY_PEOPLE = "(actor LIKE 'user:%%' OR actor LIKE 'token:%%' OR actor IN ('command', 'restore'))"
"""What somebody did, or a system in somebody's name: the audit trail. An index of the log has these words."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which events; what is empty leaves all. A type that ends in a dot means all that begin so."""

    types: tuple[str, ...] = ()
    subject: str = ""
    customer_id: int | None = None
    actor: str = ""
    since: datetime | None = None
    until: datetime | None = None
    is_audit: bool = False
    """Only what people did, or systems in their name."""

    @property
    def prefixes(self) -> list[str]:
        return [one for one in self.types if one.endswith(".")]

    def fits(self, event: StoredEvent) -> bool:
        """Whether this event is one of them, by type and subject."""
        if self.subject and event.subject != self.subject:
            return False
        return not self.types or event.type in self.types or event.type.startswith(tuple(self.prefixes))


@dataclass(frozen=True, slots=True)
class LogPage:
    """Events, newest first, and where the next page begins; None when there is none."""

    events: list[StoredEvent]
    next: Place | None
    is_cut: bool
    """Whether the page ends because so many rows were looked through, and not because it is full."""


NEWEST = """
WITH seen AS MATERIALIZED (
    SELECT recorded_at, id, type FROM events_event
    WHERE {narrow} AND (recorded_at, id) < (%(before_at)s::timestamptz, %(before_id)s::bigint)
    ORDER BY recorded_at DESC, id DESC LIMIT %(window)s::int
), wanted AS (
    SELECT recorded_at, id FROM seen
    WHERE cardinality(%(types)s::text[]) = 0 OR type = ANY(%(types)s::text[]) OR type LIKE ANY(%(prefixes)s::text[])
    ORDER BY recorded_at DESC, id DESC LIMIT %(limit)s::int
)
(SELECT (SELECT count(*) FROM seen), id, recorded_at, null, null, null, null, null, null, null::bigint, null::jsonb
 FROM seen ORDER BY recorded_at, id LIMIT 1)
UNION ALL
SELECT 0, e.id, e.recorded_at, occurred_at, type, source, source_id, actor, subject, customer_id, data
FROM wanted JOIN events_event e USING (recorded_at, id)
"""
FAR = "9999-12-31T00:00:00+00:00"


def newest_events(given: LogFilter, *, limit: int, before: Place | None = None) -> LogPage:
    """The newest events that fit, before a place. One statement, two where a type is rare."""
    # Where no type is asked for, every row that is looked at fits; a common type fills its page from the newest rows.
    found = _newest_within(NEAR if given.types else limit, given, limit=limit, before=before)
    return _newest_within(WINDOW, given, limit=limit, before=before) if found.is_cut else found


def _newest_within(window: int, given: LogFilter, *, limit: int, before: Place | None) -> LogPage:
    """Those among so many rows."""
    narrow, values = _narrow(given)
    before_at, before_id = before or (FAR, 0)
    rows = bulk_fetch(
        NEWEST.format(narrow=" AND ".join(narrow) or "true"),
        {
            **values,
            "before_at": before_at,
            "before_id": before_id,
            "window": window,
            "limit": limit,
            "types": list(given.types),
            "prefixes": [one.replace("_", r"\_") + "%" for one in given.prefixes],
        },
    )
    seen = next((row for row in rows if row[3] is None), None)
    events = [StoredEvent(*row[1:]) for row in rows if row[3] is not None]
    events.sort(key=lambda event: (event.recorded_at, event.id), reverse=True)
    if len(events) == limit:
        return LogPage(events, (events[-1].recorded_at, events[-1].id), is_cut=False)
    if seen is not None and seen[0] == window:
        return LogPage(events, (seen[2], seen[1]), is_cut=True)
    return LogPage(events, None, is_cut=False)


def _narrow(given: LogFilter) -> tuple[list[str], dict[str, Any]]:
    conditions = {
        "customer_id = %(customer)s::bigint": given.customer_id,
        "subject = %(subject)s::text": given.subject,
        "customer_id IS NULL AND subject <> ''": given.subject and given.customer_id is None,  # as its index has it
        "actor = %(actor)s::text": given.actor,
        "recorded_at >= %(since)s::timestamptz": given.since,
        "recorded_at < %(until)s::timestamptz": given.until,
        BY_PEOPLE: given.is_audit,
    }
    values = {
        "customer": given.customer_id,
        "subject": given.subject,
        "actor": given.actor,
        "since": given.since,
        "until": given.until,
    }
    narrow = [condition for condition, value in conditions.items() if value]
    named = {name: value for name, value in values.items() if any(f"%({name})s" in one for one in narrow)}
    return narrow, named


FOLLOWING = """
SELECT epoch, xid::text::bigint, id, recorded_at, occurred_at, type, source, source_id, actor, subject, customer_id, data
FROM events_event
WHERE (epoch, xid, id) > ((SELECT %(epoch)s::int), (SELECT %(xid)s::text::xid8), (SELECT %(id)s::bigint))
  AND (epoch, xid) < ((SELECT epoch FROM events_event ORDER BY epoch DESC, xid DESC, id DESC LIMIT 1),
                      pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY epoch, xid, id LIMIT %(limit)s::int
"""


def events_after(place: LogPlace) -> tuple[Sequence[StoredEvent], LogPlace]:
    """What stands after this place in the log's order, and the place to go on from."""
    values = {"epoch": place.epoch, "xid": str(place.xid), "id": place.event_id, "limit": AFTER}
    rows = bulk_fetch(FOLLOWING, values)
    last = LogPlace(*rows[-1][:3]) if rows else place
    return [StoredEvent(*row[2:]) for row in rows], last
