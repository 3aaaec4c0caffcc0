"""From alerts to problems: which rule an alert meets, which group it belongs to, when a group begins and is over."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from psycopg.types.json import Jsonb

from beforehand.accounts.models import Team
from beforehand.detection.groups import quieten
from beforehand.detection.matching import first_match, rule_condition
from beforehand.detection.models import (
    FLAP_CHANGES,
    FLAP_HOLD_DOWN_SECONDS,
    FLAP_WINDOW_SECONDS,
    HEARTBEAT_SOURCE,
    HOLD_DOWN_SECONDS,
    RESOLVE_AFTER_SECONDS,
    Alert,
    AlertRule,
)
from beforehand.detection.mutes import ActiveMute, active_mutes, raise_unless_muted
from beforehand.engine.alerts import group_key
from beforehand.events.actions import append_event
from beforehand.events.models import EventKey
from beforehand.kit import clock
from beforehand.kit.rows import fetch

AT_ONCE = 500
"""Alerts that one pass ends, or finds to fire after all."""
REMEMBERED = timedelta(days=1)
"""For so long, an alert that was given up and is heard of again is the same one."""


@transaction.atomic
def save_rule(
    *,
    slug: str,
    name: str,
    condition: str,
    actor: str,
    group_by: Sequence[str] = (),
    component_labels: Sequence[str] = (),
    kind: str = "outage",
    severity: str = "major",
    texts: Mapping[str, Mapping[str, str]] | None = None,
    resolve_after_seconds: int = RESOLVE_AFTER_SECONDS,
    hold_down_seconds: int = HOLD_DOWN_SECONDS,
    flap_changes: int = FLAP_CHANGES,
    flap_window_seconds: int = FLAP_WINDOW_SECONDS,
    flap_hold_down_seconds: int = FLAP_HOLD_DOWN_SECONDS,
    owner: Team | None = None,
    is_enabled: bool = True,
) -> AlertRule:
    """Make or change the rule with this slug; raises `ConditionError`."""
    rule_condition(condition)
    rule, _ = AlertRule.objects.update_or_create(
        slug=slug,
        defaults={
            "name": name,
            "condition": condition,
            "group_by": list(group_by),
            "component_labels": list(component_labels),
            "kind": kind,
            "severity": severity,
            "texts": {language: dict(text) for language, text in (texts or {}).items()},
            "resolve_after_seconds": resolve_after_seconds,
            "hold_down_seconds": hold_down_seconds,
            "flap_changes": flap_changes,
            "flap_window_seconds": flap_window_seconds,
            "flap_hold_down_seconds": flap_hold_down_seconds,
            "owner": owner,
            "is_enabled": is_enabled,
        },
    )
    append_event(type="alert_rule.saved", actor=actor, subject=f"alert_rule:{rule.pk}")
    return rule


def enable_rule(rule: AlertRule, *, actor: str) -> None:
    """Alerts that come from now on are judged by it."""
    _switch(rule, to=True, actor=actor)


def disable_rule(rule: AlertRule, *, actor: str) -> None:
    """Alerts that come from now on are not judged by it; what it opened stays open until its alerts end."""
    _switch(rule, to=False, actor=actor)


@transaction.atomic
def _switch(rule: AlertRule, *, to: bool, actor: str) -> None:
    if AlertRule.objects.filter(pk=rule.pk).exclude(is_enabled=to).update(is_enabled=to):
        kind = "alert_rule.enabled" if to else "alert_rule.disabled"
        append_event(type=kind, actor=actor, subject=f"alert_rule:{rule.pk}")
    rule.is_enabled = to


def take_fired(
    *,
    event_id: int,
    source: str,
    occurred_at: datetime,
    alert: Mapping[str, Any],
    rules: Sequence[AlertRule],
    mutes: Sequence[ActiveMute] = (),
    chosen: AlertRule | None = None,
) -> None:
    """An alert fires: note it, and raise a problem if a rule says that customers are touched and no mute holds it back.

    A rule that was `chosen` for it counts whatever its condition.

    A `resolved` that came first has already closed this instance; then there is nothing to raise.
    """
    starts_at = datetime.fromisoformat(alert["starts_at"])
    rule = chosen or first_match({**alert, "source": source}, rules, now=clock.now())
    key = group_key(rule.slug, rule.group_by, alert["labels"]) if rule else ""
    row = Alert(
        source=source,
        fingerprint=alert["fingerprint"],
        starts_at=starts_at,
        labels=alert["labels"],
        annotations=alert["annotations"],
        status=Alert.Status.FIRING,
        rule=rule,
        group_key=key,
        event_id=event_id,
        expires_at=_expiry(source, alert, rule),
    )
    if _store(row) and rule is not None:
        raise_unless_muted(row, rule, mutes=mutes, began_at=min(starts_at, occurred_at), changed_at=starts_at)


_STORE = """
INSERT INTO detection_alert
    (source, fingerprint, starts_at, expires_at, labels, annotations, status, rule_id, group_key, event_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (source, fingerprint, starts_at) DO NOTHING RETURNING id
"""


def _store(row: Alert) -> bool:
    """Store an alert that is not known yet, in one statement, as thousands may come; False if it is known."""
    values = (row.source, row.fingerprint, row.starts_at, row.expires_at, Jsonb(row.labels), Jsonb(row.annotations))
    made = fetch(_STORE, [*values, row.status, row.rule_id, row.group_key, row.event_id])
    if made:
        row.pk = made[0][0]
        row._state.adding = False
    return bool(made)


def take_resolved(*, event_id: int, source: str, occurred_at: datetime, alert: Mapping[str, Any]) -> None:
    """An alert is over: close its instance, and clear the problem when it was the last one of its group."""
    starts_at = datetime.fromisoformat(alert["starts_at"])
    ends_at = datetime.fromisoformat(alert["ends_at"]) if alert.get("ends_at") else occurred_at
    row, made = Alert.objects.get_or_create(
        source=source,
        fingerprint=alert["fingerprint"],
        starts_at=starts_at,
        defaults={
            "labels": alert["labels"],
            "annotations": alert["annotations"],
            "status": Alert.Status.RESOLVED,
            "ends_at": ends_at,
            "event_id": event_id,
        },
    )
    if made or row.status != Alert.Status.FIRING:
        return
    _close(row, Alert.Status.RESOLVED, ends_at=ends_at)


def _close(row: Alert, status: Alert.Status, *, ends_at: datetime) -> None:
    row.status = status
    row.ends_at = ends_at
    row.save(update_fields=["status", "ends_at"])
    quieten(row, ended_at=ends_at, how=status.value)


def _expiry(source: str, alert: Mapping[str, Any], rule: AlertRule | None) -> datetime | None:
    if source == HEARTBEAT_SOURCE:
        return None  # silence is all there is to hear: it lasts until the next beat
    if alert.get("expires_at"):
        return datetime.fromisoformat(alert["expires_at"])
    return clock.now() + _patience(rule)


@transaction.atomic
def expire_alerts(*, now: datetime) -> int:
    """End the alerts of which nobody has heard for too long: their `resolved` never came. How many.

    A repeat moves only the last-seen time of the alert's identity in the log; so that is looked up before ending one.
    """
    overdue = list(
        Alert.objects.select_for_update(skip_locked=True)
        .filter(status=Alert.Status.FIRING, expires_at__lte=now)
        .prefetch_related("rule")[:AT_ONCE]
    )
    keys = {
        (key.source, key.source_id): key
        for key in EventKey.objects.filter(
            Q(*[Q(source=row.source, source_id=firing_id(row)) for row in overdue], _connector=Q.OR)
            if overdue
            else Q(pk__in=[])
        )
    }
    ended = 0
    for row in overdue:
        key = keys.get((row.source, firing_id(row)))
        # A sender that says when its alert ends unless repeated (Prometheus) is believed; the others get the rule's patience.
        alive_until = (key.ends_at or key.last_seen_at + _patience(row.rule)) if key else now
        if alive_until > now:
            Alert.objects.filter(pk=row.pk).update(expires_at=alive_until)
            continue
        _close(row, Alert.Status.TIMED_OUT, ends_at=now)
        ended += 1
    return ended


_HEARD_AGAIN = """
SELECT a.id, k.last_seen_at
FROM detection_alert a
CROSS JOIN LATERAL (
    SELECT a.fingerprint || ':' || to_char(a.starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
           || CASE WHEN date_part('microseconds', a.starts_at)::int %% 1000000 = 0 THEN ''
                   ELSE to_char(a.starts_at AT TIME ZONE 'UTC', '.US') END || '+00:00' AS name
) one
JOIN events_eventkey k ON k.source = a.source AND k.source_id = one.name || ':firing' AND k.last_seen_at > a.ends_at
WHERE a.status = 'timed_out' AND a.ends_at >= %(since)s
  AND NOT EXISTS (SELECT FROM events_eventkey r WHERE r.source = a.source AND r.source_id = one.name || ':resolved')
ORDER BY a.ends_at LIMIT %(limit)s FOR UPDATE OF a SKIP LOCKED
"""
"""Only those of which there is news, so that however many were given up, none of them waits behind the silent ones."""


@transaction.atomic
def revive_alerts(*, now: datetime) -> int:
    """Alerts that were given up and are heard of again fire after all; how many.

    Their repeats are no new events to the log, so nobody else would notice that the problem never ended.
    """
    heard_at = dict(fetch(_HEARD_AGAIN, {"since": now - REMEMBERED, "limit": AT_ONCE}))
    if not heard_at:
        return 0
    mutes = active_mutes(now=now)
    for row in Alert.objects.filter(pk__in=heard_at).prefetch_related("rule").order_by("pk"):
        row.status = Alert.Status.FIRING
        row.ends_at = None
        row.expires_at = heard_at[row.pk] + _patience(row.rule)
        row.save(update_fields=["status", "ends_at", "expires_at"])
        if row.rule is not None:
            raise_unless_muted(row, row.rule, mutes=mutes, began_at=row.starts_at, changed_at=row.starts_at)
    return len(heard_at)


def _patience(rule: AlertRule | None) -> timedelta:
    """For how long an alert that says no end is believed without a repeat."""
    return timedelta(seconds=rule.resolve_after_seconds if rule else RESOLVE_AFTER_SECONDS)


def firing_id(row: Alert) -> str:
    """The identity under which the log knows that this alert fires."""
    return f"{row.fingerprint}:{row.starts_at.isoformat()}:firing"
