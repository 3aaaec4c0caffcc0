"""Which rule an alert meets: conditions over what an alert says."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import structlog

from beforehand.detection.models import AlertRule
from beforehand.engine.conditions import Condition, ConditionError, Fact, FactType, OpenMap, Schema, by_name, parse

log = structlog.get_logger()

ALERT_FACTS = Schema(
    facts=by_name([Fact("source", FactType.TEXT, "a.source", required=True)]),
    open_maps={
        "labels": OpenMap("labels", "a.labels"),
        "annotations": OpenMap("annotations", "a.annotations"),
    },
)
"""What a condition over an alert may ask."""


@lru_cache(maxsize=512)
def rule_condition(text: str) -> Condition:
    """A condition over an alert, parsed; raises `ConditionError` naming line and column."""
    return parse(text, ALERT_FACTS)


def meets(alert: Mapping[str, Any], condition: str, *, now: datetime) -> bool:
    """Whether the alert (source, labels, annotations) meets a condition; raises `ConditionError`."""
    facts = {"source": alert["source"], "labels": alert["labels"], "annotations": alert["annotations"]}
    return rule_condition(condition).matches(facts, now=now)


def first_match(alert: Mapping[str, Any], rules: Sequence[AlertRule], *, now: datetime) -> AlertRule | None:
    """The first of the rules that the alert meets."""
    for rule in rules:
        try:
            if meets(alert, rule.condition, now=now):
                return rule
        except ConditionError:
            log.exception("alert_rule_condition", rule=rule.slug)
    return None
