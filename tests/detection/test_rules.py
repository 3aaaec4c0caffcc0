"""Alert rules: conditions that are refused, the first that is met, and what an alert without a rule does."""

from datetime import UTC, datetime, timedelta

import pytest

from beforehand.detection.actions import expire_alerts, save_rule, take_fired, take_resolved
from beforehand.detection.matching import first_match
from beforehand.detection.models import Alert, AlertRule
from beforehand.engine.conditions import ConditionError
from beforehand.events.models import Event
from beforehand.kit.clock import travel

pytestmark = [pytest.mark.django_db, pytest.mark.database]

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def rule(slug: str, condition: str, **changes: object) -> AlertRule:
    return save_rule(slug=slug, name=slug, condition=condition, actor="test", **{"hold_down_seconds": 0, **changes})  # type: ignore[arg-type]


def an_alert(**labels: str) -> dict[str, object]:
    return {
        "source": "prometheus",
        "fingerprint": "f",
        "starts_at": NOW.isoformat(),
        "labels": {"alertname": "NodeDown", "node": "node-7", **labels},
        "annotations": {"summary": "down"},
    }


def fire(alert: dict[str, object]) -> None:
    rules = list(AlertRule.objects.filter(is_enabled=True).order_by("pk"))
    take_fired(event_id=1, source="prometheus", occurred_at=NOW, alert=alert, rules=rules)


def test_a_condition_that_cannot_be_read_is_refused_before_it_is_stored() -> None:
    with pytest.raises(ConditionError):
        rule("bad", "labels.severity ==")
    assert not AlertRule.objects.exists()


def test_saving_again_changes_the_rule() -> None:
    rule("one", 'labels.node == "a"')
    rule("one", 'labels.node == "b"', severity="minor")
    assert AlertRule.objects.get().severity == "minor"
    assert Event.objects.filter(type="alert_rule.saved").count() == 2


def test_the_first_rule_that_is_met_counts_and_a_faulty_one_is_passed_over() -> None:
    faulty = rule("faulty", "true")
    AlertRule.objects.filter(pk=faulty.pk).update(condition="nobody.knows")
    rule("annotations", 'annotations.summary == "up"')
    meant = rule("source", 'source == "prometheus" && labels.alertname.startsWith("Node")')
    rule("all", "true")
    rules = list(AlertRule.objects.order_by("pk"))
    assert first_match(an_alert(), rules, now=NOW) == meant
    assert first_match(an_alert(), rules[:2], now=NOW) is None


def test_an_alert_that_no_rule_means_is_kept_and_raises_nothing() -> None:
    rule("disabled", "true", is_enabled=False)
    with travel(NOW):
        fire(an_alert())
    row = Alert.objects.get()
    assert (row.status, row.rule, row.group_key) == ("firing", None, "")
    take_resolved(event_id=2, source="prometheus", occurred_at=NOW, alert=an_alert())
    assert not Event.objects.filter(type__startswith="detection.").exists()


def test_a_group_is_cleared_with_its_last_alert_only() -> None:
    rule("nodes", "true", group_by=["alertname"], component_labels=["node", "site"])
    with travel(NOW):
        fire(an_alert())
        fire({**an_alert(node="node-8"), "fingerprint": "g"})
    raised = Event.objects.filter(type="detection.raised").order_by("id")
    assert [event.data["components"] for event in raised] == [["node-7"], ["node-8"]]
    take_resolved(event_id=3, source="prometheus", occurred_at=NOW, alert=an_alert())
    assert not Event.objects.filter(type="detection.cleared").exists()
    take_resolved(event_id=4, source="prometheus", occurred_at=NOW, alert={**an_alert(), "fingerprint": "g"})
    assert Event.objects.get(type="detection.cleared").data["how"] == "resolved"


def test_an_alert_that_says_when_it_ends_is_given_until_then() -> None:
    rule("nodes", "true", resolve_after_seconds=60)
    with travel(NOW):
        fire({**an_alert(), "expires_at": (NOW + timedelta(minutes=30)).isoformat()})
    assert expire_alerts(now=NOW + timedelta(minutes=29)) == 0
    assert expire_alerts(now=NOW + timedelta(minutes=30)) == 1
    assert Alert.objects.get().status == "timed_out"
