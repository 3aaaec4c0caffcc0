"""Mutes: alerts that open nothing for a time.

They are stored and counted, and raise their problem afterwards if they still fire.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import transaction

from beforehand.customers.impact import components_below
from beforehand.customers.models import Component
from beforehand.detection.groups import component_names, raise_problem
from beforehand.detection.matching import meets, rule_condition
from beforehand.detection.models import Alert, AlertRule, Mute
from beforehand.engine.alerts import MuteSpan, holding_mute
from beforehand.engine.conditions import ConditionError
from beforehand.events.actions import append_event
from beforehand.kit import clock

log = structlog.get_logger()


class MuteError(ValueError):
    """A mute that cannot be; `code` names why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class ActiveMute:
    """A mute that counts now, and the external ids of the components that it is on: its own and all that depend on it."""

    mute: Mute
    components: frozenset[str]

    def means(self, alert: Alert, rule: AlertRule, *, now: datetime) -> bool:
        """Whether it mutes this alert."""
        if self.mute.component_id is not None and self.components.isdisjoint(component_names(alert, rule)):
            return False
        if not self.mute.condition:
            return True
        facts = {"source": alert.source, "labels": alert.labels, "annotations": alert.annotations}
        try:
            return meets(facts, self.mute.condition, now=now)
        except ConditionError:
            log.exception("mute_condition", mute=self.mute.pk)
            return False


@transaction.atomic
def create_mute(
    *,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    actor: str,
    condition: str = "",
    component: Component | None = None,
) -> Mute:
    """Mute alerts for a time.

    Raises `ConditionError`, and `MuteError` "means_nothing", "no_reason", "ends_before" or "is_past".
    """
    if condition:
        rule_condition(condition)
    elif component is None:
        raise MuteError("means_nothing")
    if not reason.strip():
        raise MuteError("no_reason")
    if ends_at <= starts_at:
        raise MuteError("ends_before")
    if ends_at <= clock.now():
        raise MuteError("is_past")
    mute = Mute.objects.create(
        condition=condition,
        component=component,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=reason.strip(),
        made_by=actor,
    )
    append_event(
        type="mute.created",
        actor=actor,
        subject=f"mute:{mute.pk}",
        data={
            "mute": mute.pk,
            "component": mute.component_id,
            "starts_at": starts_at.isoformat(),
            "ends_at": ends_at.isoformat(),
        },
    )
    return mute


@transaction.atomic
def end_mute(mute: Mute, *, actor: str) -> bool:
    """It mutes no longer; False if it was over already. One that had not begun never counts."""
    now = clock.now()
    mute = Mute.objects.select_for_update(of=("self",)).get(pk=mute.pk)
    if mute.ends_at <= now:
        return False
    mute.starts_at = min(mute.starts_at, now)
    mute.ends_at = now
    mute.ended_by = actor
    mute.save(update_fields=["starts_at", "ends_at", "ended_by"])
    append_event(type="mute.ended", actor=actor, subject=f"mute:{mute.pk}", data={"mute": mute.pk})
    return True


def active_mutes(*, now: datetime) -> list[ActiveMute]:
    """The mutes that count now; a query for each that is on a component, and they are few."""
    mutes = Mute.objects.filter(starts_at__lte=now, ends_at__gt=now).order_by("pk")
    return [ActiveMute(mute, _components(mute)) for mute in mutes]


def _components(mute: Mute) -> frozenset[str]:
    if mute.component_id is None:
        return frozenset()
    below = components_below([mute.component_id])
    return frozenset(Component.objects.filter(pk__in=below).values_list("external_id", flat=True))


def raise_unless_muted(
    alert: Alert, rule: AlertRule, *, mutes: Sequence[ActiveMute], began_at: datetime, changed_at: datetime
) -> bool:
    """An alert fires: hold it back if it is muted, else raise its problem; whether it was raised."""
    now = clock.now()
    meaning = {one.mute.pk: one.mute for one in mutes if one.means(alert, rule, now=now)}
    span = holding_mute(
        [MuteSpan(mute.pk, mute.starts_at, mute.ends_at) for mute in meaning.values()],
        now=now,
    )
    if span is None:
        if alert.is_held:
            alert.is_held = False
            alert.save(update_fields=["is_held"])
        raise_problem(alert, rule, began_at=began_at, changed_at=changed_at)
        return True
    alert.mute, alert.is_held = meaning[span.id], True
    alert.save(update_fields=["mute", "is_held"])
    append_event(
        type="detection.held",
        actor="detection",
        subject=f"group:{alert.group_key}",
        data={"group": alert.group_key, "alert": alert.pk, "mute": span.id},
    )
    return False


@transaction.atomic
def release_held(*, now: datetime) -> int:
    """Alerts that still fire and whose mute is over raise their problem after all, unless another mute means them; how many."""
    held = list(
        Alert.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(status=Alert.Status.FIRING, is_held=True, mute__ends_at__lte=now)
        .prefetch_related("rule")
        .order_by("pk")[:500]
    )
    if not held:
        return 0
    mutes = active_mutes(now=now)
    for alert in held:
        if alert.rule is None:  # the rule is gone: nobody says any more that customers are touched
            Alert.objects.filter(pk=alert.pk).update(is_held=False)
        else:
            raise_unless_muted(alert, alert.rule, mutes=mutes, began_at=alert.starts_at, changed_at=now)
    return len(held)
