"""A checked condition, and its two back ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from beforehand.engine.conditions.check import checked
from beforehand.engine.conditions.closures import NOTHING, Closure, closure
from beforehand.engine.conditions.errors import ConditionWarning
from beforehand.engine.conditions.reading import syntax_tree
from beforehand.engine.conditions.schema import Schema
from beforehand.engine.conditions.sql import Parameter, SqlWriter
from beforehand.engine.conditions.tree import Node


@dataclass(frozen=True)
class SqlCondition:
    """A boolean expression with psycopg placeholders, and what they stand for."""

    text: str
    params: dict[str, Parameter]


@dataclass(frozen=True)
class Condition:
    """A condition that has been read and checked against a schema."""

    source: str
    tree: Node
    warnings: tuple[ConditionWarning, ...]
    # What a loader must fetch: "customer.language", "holdings", "holdings.product", and an open map by its own name.
    facts_used: frozenset[str]
    _answer: Closure = field(repr=False, compare=False)

    def evaluate(self, facts: Mapping[str, object], *, now: datetime) -> bool | None:
        """Whether the condition holds; None if that is unknown.

        Facts are keyed by their dotted names; a collection is a list of mappings keyed by item fact name; an open map
        is a mapping. `now` is aware.
        """
        answer: bool | None = self._answer(facts, NOTHING, now)
        return answer

    def matches(self, facts: Mapping[str, object], *, now: datetime) -> bool:
        """Whether the condition is known to hold."""
        return self._answer(facts, NOTHING, now) is True

    def sql(self, *, now: datetime, prefix: str = "condition_") -> SqlCondition:
        """The condition as SQL for PostgreSQL 15; it is true, false or NULL as `evaluate` is True, False or None.

        Conditions that stand in one statement need different prefixes.
        """
        writer = SqlWriter(now=now, prefix=prefix)
        return SqlCondition(text=writer.write(self.tree), params=writer.params)


def parse(source: str, schema: Schema) -> Condition:
    """The condition that a CEL text states about the facts of a schema. Raises ConditionError."""
    found = checked(syntax_tree(source), schema)
    return Condition(source, found.tree, found.warnings, found.facts_used, closure(found.tree))
