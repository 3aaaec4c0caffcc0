"""What a condition may speak of: declared facts, collections of items, and open maps of texts."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar

RESERVED_NAMES = frozenset({"now", "has", "timestamp", "duration", "true", "false", "null", "in"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class FactType(StrEnum):
    """The types that a fact can have. A date is compared as the instant at which it begins in UTC."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DATE = "date"
    TEXT_LIST = "list of texts"


@dataclass(frozen=True)
class Fact:
    """One declared value.

    Values handed to Python are `str`, `int | float | Decimal`, `bool`, aware `datetime`, `date`, and `list[str]`;
    where `json` is true, timestamps and dates are the ISO 8601 texts that JSON holds.
    """

    name: str  # dotted, as written in a condition: "customer.language"
    type: FactType
    sql: str  # an expression of that type (text, integer or numeric, boolean, timestamptz, date, text[]); a `%` is `%%`
    json: bool = False  # `sql` is jsonb: its type is checked before each use, and its text is normalised
    json_key: str = ""  # the value lies under this key of the jsonb object `sql`; any text, as it is bound
    required: bool = False  # never missing, so `!=` needs no `has`
    title: str = ""  # for people


@dataclass(frozen=True)
class OpenMap:
    """Texts under keys that nobody declares, such as the labels of an alert: `labels.severity`, `labels["node"]`."""

    name: str
    sql: str  # a jsonb expression; keys are bound as parameters
    title: str = ""


@dataclass(frozen=True)
class Collection:
    """Rows that belong to the subject, for `exists` and `all`.

    An item's facts are named without a prefix ("product", "attributes.firmware"); their SQL uses `sql_from`'s alias.
    """

    name: str
    item_facts: Mapping[str, Fact]
    sql_from: str  # "holdings h"
    sql_join: str  # "h.customer_id = c.id"
    open_maps: Mapping[str, OpenMap] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True)
class Schema:
    """All that a condition may name. Raises ValueError if two declarations would get in each other's way."""

    facts: Mapping[str, Fact] = field(default_factory=dict)
    collections: Mapping[str, Collection] = field(default_factory=dict)
    open_maps: Mapping[str, OpenMap] = field(default_factory=dict)

    def __post_init__(self) -> None:
        declared = [*self.facts, *self.collections, *self.open_maps]
        for name in declared:
            root = name.partition(".")[0]
            if not _NAME.fullmatch(root) or root in RESERVED_NAMES:
                raise ValueError(f"{name!r} cannot be declared: its first word is reserved or not a name")
        roots = {name.partition(".")[0] for name in (*self.facts, *self.open_maps)}
        if len(set(declared)) < len(declared) or roots & set(self.collections):
            raise ValueError("two declarations have the same name")

    def names(self) -> list[str]:
        """Every name that a condition may start with, for suggestions."""
        return [*self.facts, *self.collections, *self.open_maps]

    def roots(self) -> frozenset[str]:
        """The first words of all declared names: a quantifier's variable must not hide one."""
        return frozenset(name.partition(".")[0] for name in self.names())


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def by_name(declarations: Iterable[N]) -> dict[str, N]:
    """The declarations keyed by their own names. Raises ValueError for a name that comes twice."""
    keyed: dict[str, N] = {}
    for declaration in declarations:
        if declaration.name in keyed:
            raise ValueError(f"{declaration.name!r} is declared twice")
        keyed[declaration.name] = declaration
    return keyed
