"""Problems as alerts make them: raised with the first, over some time after the last, one however often it comes and goes.

A group's row is locked before anything about it is decided, so two alerts of it that end in two places at once are not
each taken for the last but one.
"""

from datetime import datetime, timedelta

from django.db import models, transaction

from beforehand.detection.models import (
    FLAP_CHANGES,
    FLAP_HOLD_DOWN_SECONDS,
    FLAP_WINDOW_SECONDS,
    HEARTBEAT_SOURCE,
    HOLD_DOWN_SECONDS,
    Alert,
    AlertGroup,
    AlertRule,
)
from beforehand.engine.alerts import Flapping, FlapPolicy, FlapReason, clearing, flapping
from beforehand.events.actions import append_event
from beforehand.kit import clock

AT_ONCE = 500
"""Groups that one pass looks at."""


def flap_policy(rule: AlertRule | None) -> FlapPolicy:
    """What the rule says about problems that come and go; the usual for a rule that is gone."""
    return FlapPolicy(
        changes=rule.flap_changes if rule else FLAP_CHANGES,
        window=timedelta(seconds=rule.flap_window_seconds if rule else FLAP_WINDOW_SECONDS),
        hold_down=timedelta(seconds=rule.hold_down_seconds if rule else HOLD_DOWN_SECONDS),
        flapping_hold_down=timedelta(seconds=rule.flap_hold_down_seconds if rule else FLAP_HOLD_DOWN_SECONDS),
    )


def component_names(alert: Alert, rule: AlertRule) -> list[str]:
    """The external ids of the components that the alert is on; a heartbeat's own component needs no label in the rule."""
    labels = [*rule.component_labels, *(["component"] if alert.source == HEARTBEAT_SOURCE else [])]
    return list(dict.fromkeys(alert.labels[label] for label in labels if alert.labels.get(label)))


def raise_problem(alert: Alert, rule: AlertRule, *, began_at: datetime, changed_at: datetime) -> None:
    """An alert fires: raise its problem, or say that one more alert belongs to it.

    `changed_at` is when it began to fire as far as coming and going is concerned.
    """
    group = _locked(alert.group_key, rule, is_firing=False)
    before = (group.is_firing, group.flapping_until)
    if group.is_firing:
        state = _flapping(group, rule)
    else:
        group.is_firing = True
        group.due_at = None
        state = _count_change(group, rule, changed_at)
    _append_raised(alert, rule, began_at=began_at, state=state)
    _say_if_flapping(group, state)
    if before != (group.is_firing, group.flapping_until):
        group.save()


def quieten(alert: Alert, *, ended_at: datetime, how: str) -> None:
    """An alert has ended: if it was the last one of its problem that fires, the problem is over once it stays quiet."""
    if not alert.group_key or alert.is_held:
        return
    group = _locked(alert.group_key, alert.rule, is_firing=True)
    if not group.is_firing or _firing(group).exists():
        return
    now = clock.now()
    group.is_firing = False
    group.ended_at = min(ended_at, now)
    group.ended_how = how
    state = _count_change(group, alert.rule, ended_at)
    _say_if_flapping(group, state)
    end = clearing(state, now=now, policy=flap_policy(alert.rule), has_timed_out=how == Alert.Status.TIMED_OUT)
    if end.at <= now:
        _clear(group)
    else:
        group.due_at = end.at
    group.save()


@transaction.atomic
def settle_groups(*, now: datetime) -> int:
    """What is due about problems: those that stayed quiet are over, those that wait to be raised anew are raised; how many."""
    due = list(
        AlertGroup.objects.select_for_update(skip_locked=True)
        .filter(due_at__lte=now)
        .prefetch_related("rule")
        .order_by("due_at")[:AT_ONCE]
    )
    for group in due:
        if not group.is_firing:
            _clear(group)
        elif group.rule is not None:
            state = _flapping(group, group.rule)
            for alert in _firing(group).order_by("pk"):
                _append_raised(alert, group.rule, began_at=alert.starts_at, state=state)
        group.due_at = None
        group.save()
    return len(due)


def join_group(key: str, *, rule: AlertRule, origin: str) -> bool:
    """Note that a problem is evidence for what `origin` names, and no problem of its own; False if that was known."""
    group = _locked(key, rule, is_firing=True)
    if group.joined == origin:
        return False
    group.joined = origin
    group.save(update_fields=["joined"])
    return True


@transaction.atomic
def release_joined(origin: str) -> int:
    """What these problems were evidence for has ended: those that still fire when their hold-down is over are raised anew.

    The hold-down lets the alerts end that end for the same reason, a moment later.
    """
    groups = AlertGroup.objects.select_for_update().filter(joined=origin).prefetch_related("rule")
    released = 0
    for group in groups.order_by("key"):
        group.joined = ""
        if group.is_firing:
            group.due_at = clock.now() + flap_policy(group.rule).hold_down
            released += 1
        group.save(update_fields=["joined", "due_at"])
    return released


def _locked(key: str, rule: AlertRule | None, *, is_firing: bool) -> AlertGroup:
    """The group's row, locked; one that has none yet is taken for firing or quiet as said."""
    group = AlertGroup.objects.select_for_update().filter(key=key).first()
    if group is None:
        AlertGroup.objects.bulk_create([AlertGroup(key=key, rule=rule, is_firing=is_firing)], ignore_conflicts=True)
        group = AlertGroup.objects.select_for_update().get(key=key)
    return group


def _firing(group: AlertGroup) -> "models.QuerySet[Alert]":
    return Alert.objects.filter(group_key=group.key, status=Alert.Status.FIRING, is_held=False)


def _flapping(group: AlertGroup, rule: AlertRule | None) -> Flapping:
    changes = [datetime.fromisoformat(change) for change in group.changes]
    return flapping(changes, now=clock.now(), policy=flap_policy(rule))


def _count_change(group: AlertGroup, rule: AlertRule | None, changed_at: datetime) -> Flapping:
    group.changes = [*group.changes, min(changed_at, clock.now()).isoformat()]
    state = _flapping(group, rule)
    group.changes = [change.isoformat() for change in state.changes]
    return state


def _say_if_flapping(group: AlertGroup, state: Flapping) -> None:
    """Write down that it comes and goes; the log hears of it once, until it was steady again."""
    now = clock.now()
    is_new = state.reason is FlapReason.FLAPPING and (group.flapping_until is None or group.flapping_until <= now)
    group.flapping_until = state.until
    if is_new:
        append_event(
            type="detection.flapping",
            actor="detection",
            subject=f"group:{group.key}",
            data={"group": group.key, "changes": len(state.changes), "since": state.changes[0].isoformat()},
        )


def _append_raised(alert: Alert, rule: AlertRule, *, began_at: datetime, state: Flapping) -> None:
    data = {
        "group": alert.group_key,
        "rule": rule.pk,
        "alert": alert.pk,
        "components": component_names(alert, rule),
        "began_at": began_at.isoformat(),
    }
    if state.reason is FlapReason.FLAPPING:
        data["flapping_since"] = state.changes[0].isoformat()
    if alert.source == HEARTBEAT_SOURCE:
        data["heartbeat"] = alert.fingerprint
    append_event(type="detection.raised", actor=f"rule:{rule.slug}", subject=f"group:{alert.group_key}", data=data)


def _clear(group: AlertGroup) -> None:
    ended_at = group.ended_at or clock.now()
    append_event(
        type="detection.cleared",
        actor="detection",
        subject=f"group:{group.key}",
        data={"group": group.key, "how": group.ended_how, "ended_at": ended_at.isoformat()},
    )
    group.joined = ""
