"""What a condition in a playbook may ask of the incident, and whether it is so."""

from datetime import datetime
from functools import lru_cache

from beforehand.engine.conditions import Condition, Fact, FactType, Schema, by_name, parse
from beforehand.engine.playbooks.moves import Reach

INCIDENT_FACTS = Schema(
    facts=by_name(
        [
            Fact("incident.kind", FactType.TEXT, "i.kind", required=True),
            Fact("incident.severity", FactType.TEXT, "i.severity", required=True),
            Fact("incident.affected", FactType.NUMBER, "i.affected_count", required=True),
        ]
    )
)


@lru_cache(maxsize=256)
def incident_condition(text: str) -> Condition:
    """A playbook's condition, parsed; raises `ConditionError`."""
    return parse(text, INCIDENT_FACTS)


def is_met(text: str, reach: Reach, *, now: datetime) -> bool:
    """Whether the condition holds for this incident; raises `ConditionError` for one that cannot be read."""
    facts = {"incident.kind": reach.kind, "incident.severity": reach.severity, "incident.affected": reach.count}
    return incident_condition(text).matches(facts, now=now)
