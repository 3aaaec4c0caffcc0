"""What detection hears: alerts that fire and alerts that are over."""

from collections.abc import Sequence

from beforehand.detection.actions import take_fired, take_resolved
from beforehand.detection.models import HEARTBEAT_SOURCE, AlertRule
from beforehand.detection.mutes import active_mutes
from beforehand.detection.queries import chosen_rules
from beforehand.events.queries import private_data
from beforehand.events.subscriptions import StoredEvent, subscriber
from beforehand.kit import clock


@subscriber("detection.alerts", types=["alert.fired", "alert.resolved"])
def take_alerts(events: Sequence[StoredEvent]) -> None:
    """Turn alerts into problems raised and cleared, in the order in which they came."""
    rules = list(AlertRule.objects.filter(is_enabled=True).order_by("pk"))
    mutes = active_mutes(now=clock.now())
    alerts = private_data(events)
    beats = [alerts[one.id]["fingerprint"] for one in events if one.source == HEARTBEAT_SOURCE and one.id in alerts]
    chosen = chosen_rules(beats) if beats else {}
    for event in events:
        alert = alerts.get(event.id)
        if alert is None:
            continue
        if event.type == "alert.fired":
            take_fired(
                event_id=event.id,
                source=event.source,
                occurred_at=event.occurred_at,
                alert=alert,
                rules=rules,
                mutes=mutes,
                chosen=chosen.get(alert["fingerprint"]) if event.source == HEARTBEAT_SOURCE else None,
            )
        else:
            take_resolved(event_id=event.id, source=event.source, occurred_at=event.occurred_at, alert=alert)
