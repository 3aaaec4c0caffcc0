"""Conditions: CEL text, checked once, then answered by Python closures or by PostgreSQL with the same result.

    schema = Schema(facts=by_name([Fact("customer.language", FactType.TEXT, "c.language")]))
    condition = parse('customer.language == "nl"', schema)
    condition.matches({"customer.language": "nl"}, now=now)
    condition.sql(now=now).text, condition.sql(now=now).params

A value that is missing, or not of its declared type, is unknown (`None`, SQL's NULL); `&&`, `||` and `!` follow
Kleene's logic; inside `exists` and `all` an unknown answer about an item counts as false; only true matches.
"""

from beforehand.engine.conditions.condition import Condition, SqlCondition, parse
from beforehand.engine.conditions.errors import (
    ConditionError,
    ConditionProblem,
    ConditionWarning,
    ConditionWarningReason,
)
from beforehand.engine.conditions.schema import Collection, Fact, FactType, OpenMap, Schema, by_name

__all__ = [
    "Collection",
    "Condition",
    "ConditionError",
    "ConditionProblem",
    "ConditionWarning",
    "ConditionWarningReason",
    "Fact",
    "FactType",
    "OpenMap",
    "Schema",
    "SqlCondition",
    "by_name",
    "parse",
]
