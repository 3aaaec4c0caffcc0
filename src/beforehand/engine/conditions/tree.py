"""The typed tree: what a condition says once it has been checked. Both back ends read this and nothing else."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from beforehand.engine.conditions.schema import Collection, Fact, FactType

Constant: TypeAlias = str | bool | int | Decimal | datetime


class Comparison(StrEnum):
    """The six ways to compare."""

    EQUAL = "=="
    DIFFERENT = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


class TextTest(StrEnum):
    """The two questions about a part of a text."""

    STARTS_WITH = "startsWith"
    CONTAINS = "contains"


class Quantity(StrEnum):
    """How many items of a collection must hold."""

    EXISTS = "exists"
    ALL = "all"


@dataclass(frozen=True)
class Literal:
    """A constant: NFC text, a whole or decimal number, a boolean, or an instant in UTC."""

    value: Constant
    type: FactType


@dataclass(frozen=True)
class Now:
    """The moment of evaluation, moved by a fixed time."""

    offset: timedelta
    type: FactType = FactType.TIMESTAMP


@dataclass(frozen=True)
class FactRef:
    """The value of a fact, or of a key of an open map."""

    fact: Fact
    of_item: bool  # of the item that the surrounding quantifier looks at
    map_name: str = ""  # the open map in which the fact's json_key lies

    @property
    def type(self) -> FactType:
        """The type under which the value is compared: a date is an instant."""
        return FactType.TIMESTAMP if self.fact.type is FactType.DATE else self.fact.type


@dataclass(frozen=True)
class Has:
    """Whether a fact has a value of its type; never unknown."""

    ref: FactRef
    type: FactType = FactType.BOOLEAN


@dataclass(frozen=True)
class Not:
    operand: "Node"
    type: FactType = FactType.BOOLEAN


@dataclass(frozen=True)
class And:
    parts: tuple["Node", ...]
    type: FactType = FactType.BOOLEAN


@dataclass(frozen=True)
class Or:
    parts: tuple["Node", ...]
    type: FactType = FactType.BOOLEAN


@dataclass(frozen=True)
class Compare:
    """Both sides are of one type; unknown if either is."""

    comparison: Comparison
    left: "Node"
    right: "Node"
    type: FactType = FactType.BOOLEAN


@dataclass(frozen=True)
class OneOf:
    """Whether a value is among constants of its own type."""

    value: "Node"
    options: tuple[Constant, ...]
    type: FactType = FactType.BOOLEAN


@dataclass(frozen=True)
class Listed:
    """Whether a text is in a fact that is a list of texts; an item that is no text is unknown."""

    value: "Node"
    ref: FactRef
    type: FactType = FactType.BOOLEAN


@dataclass(frozen=True)
class TextPart:
    """Whether a text starts with, or contains, another."""

    test: TextTest
    text: "Node"
    part: "Node"
    type: FactType = FactType.BOOLEAN


@dataclass(frozen=True)
class Choice:
    """`test ? yes : no`; unknown if the test is."""

    test: "Node"
    yes: "Node"
    no: "Node"
    type: FactType


@dataclass(frozen=True)
class Quantifier:
    """Whether some, or all, items of a collection hold; an item of which that is unknown does not."""

    quantity: Quantity
    collection: Collection
    predicate: "Node"
    type: FactType = FactType.BOOLEAN


Node: TypeAlias = (
    Literal | Now | FactRef | Has | Not | And | Or | Compare | OneOf | Listed | TextPart | Choice | Quantifier
)
