"""What the log holds on one customer: given out whole, and blanked, with every mention where no id says whose it is."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from beforehand.kit.rows import bulk, bulk_fetch, fetch

TABLES = frozenset({"events_event", "events_eventprivate"})
"""The tables of the log that name a customer by id."""

KEPT = "erasure_reason"
"""The one thing that a private half may say of who was erased: why, without a name in it."""

OF_CUSTOMER = """
SELECT jsonb_build_object(
    'id', e.id, 'recorded_at', e.recorded_at, 'occurred_at', e.occurred_at, 'type', e.type, 'source', e.source,
    'source_id', e.source_id, 'actor', e.actor, 'subject', e.subject, 'data', e.data, 'private', p.data)
FROM events_event e
LEFT JOIN events_eventprivate p ON p.event_id = e.id AND p.recorded_at = e.recorded_at
WHERE e.customer_id = %(customer)s::bigint ORDER BY e.recorded_at, e.id
"""


def export_events(customer_id: int) -> list[dict[str, Any]]:
    """Everything that happened to this customer, oldest first, with the private halves."""
    return [row[0] for row in bulk_fetch(OF_CUSTOMER, {"customer": customer_id})]


def blank_private(customer_id: int) -> int:
    """Blank the private halves of this customer's events; how many. The events stay, so counts hold."""
    return bulk(
        """
        UPDATE events_eventprivate SET data = '{}'::jsonb
        WHERE customer_id = %(customer)s::bigint AND data <> '{}'::jsonb AND NOT data ? %(kept)s::text
        """,
        {"customer": customer_id, "kept": KEPT},
    )


def forget_mentions(needles: Sequence[str]) -> int:
    """Take these texts out of what no id ties to a customer: private halves, raw bodies, errors; how many rows.

    A day of the log is a transaction, so call it outside of one: the log is large, and this reads all of it.
    """
    if not needles:
        return 0
    patterns = [_like(one) for one in needles]
    changed = 0
    ((first, last),) = fetch("SELECT min(recorded_at), max(recorded_at) FROM events_eventprivate")
    day: datetime | None = first
    while day is not None and day <= last:
        following = day + timedelta(days=1)
        changed += bulk(
            """
            DELETE FROM events_eventprivate
            WHERE recorded_at >= %(from)s::timestamptz AND recorded_at < %(until)s::timestamptz AND customer_id IS NULL
              AND data::text ILIKE ANY(%(patterns)s::text[])
            """,
            {"from": day, "until": following, "patterns": patterns},
        )
        day = following
    for spelling in sorted({form for one in needles for form in _spellings(one)}):
        changed += bulk(
            "UPDATE events_intakebody SET body = ''::bytea WHERE position(%(needle)s::bytea IN body) > 0",
            {"needle": spelling},
        )
    return changed + bulk(
        "UPDATE events_subscriptionfailure SET error = '' WHERE error ILIKE ANY(%(patterns)s::text[])",
        {"patterns": patterns},
    )


def _like(needle: str) -> str:
    """A pattern that finds the text inside JSON, where quotes and backslashes are written otherwise."""
    written = json.dumps(needle, ensure_ascii=False)[1:-1]
    return "%" + written.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def _spellings(needle: str) -> set[bytes]:
    """How bodies from outside may write it: as it is, or with everything beyond ASCII escaped."""
    return {needle.encode(), json.dumps(needle)[1:-1].encode(), needle.lower().encode()}
