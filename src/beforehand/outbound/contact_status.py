"""What deliveries teach about addresses: written on the contact point, with an event and its reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from beforehand.engine.contacts import CAME_BACK, ContactStatus
from beforehand.kit.rows import bulk

CHANGE = """
WITH given AS (
    SELECT DISTINCT ON (id) * FROM unnest(%(id)s::bigint[], %(status)s::text[], %(reason)s::text[]) AS g(id, status, reason)
), changed AS (
    UPDATE customers_contactpoint p
    SET status = g.status, status_reason = g.reason, status_at = %(now)s::timestamptz
    FROM given g WHERE p.id = g.id AND p.status <> g.status
      AND NOT (g.status = 'working' AND p.status_reason = ANY(%(came_back)s::text[]))
    RETURNING p.id, p.customer_id, p.channel, p.status, p.status_reason
)
INSERT INTO events_event (type, actor, subject, customer_id, data, occurred_at)
SELECT CASE WHEN status = 'working' THEN 'contact_point.recovered' ELSE 'contact_point.failed' END, 'outbound',
       'contact_point:' || id, customer_id,
       jsonb_build_object('channel', channel, 'status', status, 'reason', status_reason), %(now)s::timestamptz
FROM changed
"""


@dataclass(frozen=True, slots=True)
class ContactChange:
    """A contact point's new status, and why."""

    contact_point_id: int
    status: ContactStatus
    reason: str


def change_contact_points(changes: Sequence[ContactChange], *, now: datetime) -> int:
    """Write what changed, one event each; who stands so already is left alone. How many changed.

    What came back after it had been accepted is not mended by being accepted again: see `forgive_addresses`.
    """
    if not changes:
        return 0
    return bulk(
        CHANGE,
        {
            "id": [one.contact_point_id for one in changes],
            "status": [one.status.value for one in changes],
            "reason": [one.reason for one in changes],
            "now": now,
            "came_back": sorted(CAME_BACK),
        },
    )
