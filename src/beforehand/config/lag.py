"""How far behind the work is: one figure, from the rows themselves, for beats, Today, `doctor` and alerts alike."""

from beforehand.events.subscriptions import all_subscriptions
from beforehand.kit.rows import fetch

LAG = """
SELECT greatest(
    (SELECT coalesce(max(extract(epoch FROM now() - following.recorded_at)), 0)
     FROM events_subscriptioncursor c
     CROSS JOIN LATERAL (
         SELECT e.recorded_at FROM events_event e
         WHERE (e.epoch, e.xid, e.id) > ((SELECT c.epoch), (SELECT c.xid::text::xid8), (SELECT c.event_id))
         ORDER BY e.epoch, e.xid, e.id LIMIT 1) following
     WHERE c.name = ANY(%(names)s)),
    (SELECT coalesce(extract(epoch FROM now() - min(wake_at)), 0) FROM playbooks_run
     WHERE state IN ('waiting', 'telling') AND wake_at <= now()))
"""


def work_lag() -> float:
    """Seconds for which the oldest event that a subscriber has not read, or the run that is due longest, has waited."""
    names = [subscription.name for subscription in all_subscriptions()]  # no cursor of a subscriber that is no more
    return max(0.0, float(fetch(LAG, {"names": names})[0][0]))
