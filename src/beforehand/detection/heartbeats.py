"""Heartbeats: something says at intervals that it lives. Its silence is an alert like any other; its next beat resolves it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import orjson
from django.db import transaction

from beforehand.customers.models import Component
from beforehand.detection.models import HEARTBEAT_SOURCE, AlertRule, Heartbeat
from beforehand.engine.alerts import ExpectedBeat, expected_beat
from beforehand.events.actions import accept_events, append_event
from beforehand.events.intake.values import AlertStatus, IncomingAlert, alert_event
from beforehand.kit import clock
from beforehand.kit.rows import fetch

AT_ONCE = 500


@transaction.atomic
def save_heartbeat(
    *,
    slug: str,
    name: str,
    interval_seconds: int,
    grace_seconds: int,
    actor: str,
    sender: str = "",
    component: Component | None = None,
    rule: AlertRule | None = None,
    is_enabled: bool = True,
) -> Heartbeat:
    """Expect a heartbeat, or change what is expected of it. It is watched from now on; one that is switched off is not missed."""
    now = clock.now()
    heartbeat = Heartbeat.objects.select_for_update(of=("self",)).filter(slug=slug).first() or Heartbeat(slug=slug)
    is_begun = is_enabled and (heartbeat.pk is None or not heartbeat.is_enabled)
    heartbeat.name = name
    heartbeat.sender = sender
    heartbeat.interval_seconds = interval_seconds
    heartbeat.grace_seconds = grace_seconds
    heartbeat.component = component
    heartbeat.rule = rule
    heartbeat.is_enabled = is_enabled
    if is_begun or heartbeat.pk is None:
        heartbeat.watched_since = now
    heartbeat.missing_at = _expected(heartbeat).missing_at
    if not is_enabled:
        _found([heartbeat], now=now)
    heartbeat.save()
    append_event(type="heartbeat.saved", actor=actor, subject=f"heartbeat:{heartbeat.pk}")
    return heartbeat


_BEAT = """
UPDATE detection_heartbeat
SET heard_at = %(now)s, missing_at = %(now)s + make_interval(secs => interval_seconds + grace_seconds)
WHERE slug = %(slug)s AND missed_since IS NULL RETURNING id
"""
"""The ordinary beat: nobody missed it. One statement, written in place."""


@transaction.atomic
def take_beat(slug: str) -> bool:
    """It lives; what its silence raised is over. False if no heartbeat has this name."""
    now = clock.now()
    if fetch(_BEAT, {"slug": slug, "now": now}):
        return True
    heartbeat = Heartbeat.objects.select_for_update(of=("self",)).filter(slug=slug).first()
    if heartbeat is None:
        return False
    _found([heartbeat], now=now)
    heartbeat.heard_at = now
    heartbeat.missing_at = _expected(heartbeat).missing_at
    heartbeat.save(update_fields=["heard_at", "missing_at", "missed_since"])
    return True


@transaction.atomic
def miss_beats(*, now: datetime) -> int:
    """Raise an alert for every heartbeat that is missing from now on; how many. One query while none is."""
    silent = list(
        Heartbeat.objects.select_for_update(skip_locked=True)
        .filter(is_enabled=True, missed_since=None, missing_at__lte=now)
        .prefetch_related("component")
        .order_by("slug")[:AT_ONCE]
    )
    if not silent:
        return 0
    for heartbeat in silent:
        heartbeat.missed_since = _expected(heartbeat).expected_at
    Heartbeat.objects.bulk_update(silent, ["missed_since"])
    _accept([_alert(one, since=one.missed_since or now, ended_at=None) for one in silent])
    return len(silent)


def _expected(heartbeat: Heartbeat) -> ExpectedBeat:
    return expected_beat(
        heard_at=max(heartbeat.heard_at or heartbeat.watched_since, heartbeat.watched_since),
        interval=timedelta(seconds=heartbeat.interval_seconds),
        grace=timedelta(seconds=heartbeat.grace_seconds),
    )


def _found(heartbeats: Sequence[Heartbeat], *, now: datetime) -> None:
    """Resolve the alerts of those that were missed."""
    missed = [(one, one.missed_since) for one in heartbeats if one.missed_since is not None]
    if missed:
        _accept([_alert(one, since=since, ended_at=now) for one, since in missed])
    for heartbeat in heartbeats:
        heartbeat.missed_since = None


def _accept(alerts: Sequence[IncomingAlert]) -> None:
    """Into the log by the way that alerts from outside take, so that all that follows is the same."""
    said = [{"heartbeat": alert.fingerprint, "status": alert.status.value} for alert in alerts]
    accept_events(
        [alert_event(alert) for alert in alerts],
        body=orjson.dumps(said),
        content_type="application/json",
        intake=HEARTBEAT_SOURCE,
    )


def _alert(heartbeat: Heartbeat, *, since: datetime, ended_at: datetime | None) -> IncomingAlert:
    labels = {
        "alertname": "HeartbeatMissing",
        "heartbeat": heartbeat.slug,
        "sender": heartbeat.sender,
        "component": heartbeat.component.external_id if heartbeat.component else "",
    }
    return IncomingAlert(
        source=HEARTBEAT_SOURCE,
        fingerprint=heartbeat.slug,
        status=AlertStatus.RESOLVED if ended_at else AlertStatus.FIRING,
        labels={name: value for name, value in labels.items() if value},
        annotations={"summary": heartbeat.name},
        starts_at=since.astimezone(UTC),
        starts_at_given=True,
        # Between its expected time and now clocks may differ: nothing ends before it began.
        ends_at=max(since, ended_at) if ended_at else None,
    )
