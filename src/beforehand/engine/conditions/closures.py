"""The typed tree as Python closures.

A closure takes the subject's facts, the facts of the item under a quantifier, and now; it answers a value, or None for
unknown. Numbers are compared as the decimals that are written, as PostgreSQL's numeric is: 0.1 equals 0.1 whether it
came as a float, a Decimal or a literal.
"""

# Every closure has the one signature, whether or not it needs all of it.

import math
import operator
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from beforehand.engine.conditions import tree
from beforehand.engine.conditions.instants import read_date, read_timestamp, start_of_day
from beforehand.engine.conditions.schema import FactType
from beforehand.engine.conditions.tree import Comparison, Node, Quantity, TextTest

Row: TypeAlias = Mapping[str, object]
Closure: TypeAlias = Callable[[Row, Row, datetime], Any]

NOTHING: Row = {}

_COMPARISONS: dict[Comparison, Callable[[Any, Any], bool]] = {
    Comparison.EQUAL: operator.eq,
    Comparison.DIFFERENT: operator.ne,
    Comparison.LESS: operator.lt,
    Comparison.AT_MOST: operator.le,
    Comparison.MORE: operator.gt,
    Comparison.AT_LEAST: operator.ge,
}
_TEXT_TESTS: dict[TextTest, Callable[[str, str], bool]] = {
    TextTest.STARTS_WITH: str.startswith,
    TextTest.CONTAINS: operator.contains,
}


def closure(node: Node) -> Closure:
    """The function that answers a node of a typed tree."""
    if isinstance(node, tree.Literal):
        value = node.value
        return lambda facts, item, now: value
    if isinstance(node, tree.Now):
        offset = node.offset
        return lambda facts, item, now: now + offset
    if isinstance(node, tree.FactRef):
        return _fact(node)
    if isinstance(node, tree.Has):
        known = _fact(node.ref)
        return lambda facts, item, now: known(facts, item, now) is not None
    if isinstance(node, tree.Not):
        return _not(closure(node.operand))
    if isinstance(node, tree.And):
        return _junction([closure(part) for part in node.parts], decisive=False)
    if isinstance(node, tree.Or):
        return _junction([closure(part) for part in node.parts], decisive=True)
    if isinstance(node, tree.Compare):
        return _both(_COMPARISONS[node.comparison], closure(node.left), closure(node.right))
    if isinstance(node, tree.TextPart):
        return _both(_TEXT_TESTS[node.test], closure(node.text), closure(node.part))
    if isinstance(node, tree.OneOf):
        return _one_of(node)
    if isinstance(node, tree.Listed):
        return _listed(node)
    if isinstance(node, tree.Choice):
        return _choice(closure(node.test), closure(node.yes), closure(node.no))
    return _quantifier(node)


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return value if value.isascii() else unicodedata.normalize("NFC", value)


def _number(value: object) -> int | Decimal | None:
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    if isinstance(value, float):
        return Decimal(float.__repr__(value)) if math.isfinite(value) else None
    return value if isinstance(value, Decimal) and value.is_finite() else None


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _timestamp(value: object) -> datetime | None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        return None
    # In UTC, because Python calls two times in different zones unequal whenever one lies in a repeated hour.
    return value if value.tzinfo is UTC else value.astimezone(UTC)


def _date(value: object) -> datetime | None:
    return start_of_day(value) if isinstance(value, date) and not isinstance(value, datetime) else None


def _json_timestamp(value: object) -> datetime | None:
    return read_timestamp(value) if isinstance(value, str) else None


def _json_date(value: object) -> datetime | None:
    return read_date(value) if isinstance(value, str) else None


def _texts(value: object) -> list[object] | tuple[object, ...] | None:
    return value if isinstance(value, list | tuple) else None


_READERS: dict[FactType, Callable[[object], object]] = {
    FactType.TEXT: _text,
    FactType.NUMBER: _number,
    FactType.BOOLEAN: _boolean,
    FactType.TIMESTAMP: _timestamp,
    FactType.DATE: _date,
    FactType.TEXT_LIST: _texts,
}
_JSON_READERS = _READERS | {FactType.TIMESTAMP: _json_timestamp, FactType.DATE: _json_date}


def _fact(ref: tree.FactRef) -> Closure:
    read = (_JSON_READERS if ref.fact.json else _READERS)[ref.fact.type]
    if ref.map_name:
        return _from_map(ref.map_name, ref.fact.json_key, of_item=ref.of_item)
    name = ref.fact.name
    if ref.of_item:
        return lambda facts, item, now: read(item.get(name))
    return lambda facts, item, now: read(facts.get(name))


def _from_map(name: str, key: str, *, of_item: bool) -> Closure:
    def value(facts: Row, item: Row, now: datetime) -> str | None:
        texts = (item if of_item else facts).get(name)
        return _text(texts.get(key)) if isinstance(texts, Mapping) else None

    return value


def _not(operand: Closure) -> Closure:
    def answer(facts: Row, item: Row, now: datetime) -> bool | None:
        value = operand(facts, item, now)
        return None if value is None else not value

    return answer


def _junction(parts: list[Closure], *, decisive: bool) -> Closure:
    """Kleene's and (decided by one false) or or (by one true)."""

    def answer(facts: Row, item: Row, now: datetime) -> bool | None:
        result: bool | None = not decisive
        for part in parts:
            value: bool | None = part(facts, item, now)
            if value is decisive:
                return decisive
            if value is None:
                result = None
        return result

    return answer


def _both(test: Callable[[Any, Any], bool], left: Closure, right: Closure) -> Closure:
    """A test of two values, unknown if either is."""

    def answer(facts: Row, item: Row, now: datetime) -> bool | None:
        one = left(facts, item, now)
        if one is None:
            return None
        other = right(facts, item, now)
        return None if other is None else test(one, other)

    return answer


def _one_of(node: tree.OneOf) -> Closure:
    value = closure(node.value)
    options = frozenset(node.options)

    def answer(facts: Row, item: Row, now: datetime) -> bool | None:
        one = value(facts, item, now)
        return None if one is None else one in options

    return answer


def _listed(node: tree.Listed) -> Closure:
    """As PostgreSQL's `value = ANY(list)`: an empty list holds nothing, not even an unknown text."""
    value = closure(node.value)
    listed = _fact(node.ref)

    def answer(facts: Row, item: Row, now: datetime) -> bool | None:
        raw = listed(facts, item, now)
        if not raw:
            return None if raw is None else False
        one = value(facts, item, now)
        texts = [_text(text) for text in raw]
        if one is None or (one not in texts and None in texts):
            return None
        return one in texts

    return answer


def _choice(test: Closure, yes: Closure, no: Closure) -> Closure:
    def answer(facts: Row, item: Row, now: datetime) -> object:
        tested = test(facts, item, now)
        return None if tested is None else (yes if tested else no)(facts, item, now)

    return answer


def _quantifier(node: tree.Quantifier) -> Closure:
    name = node.collection.name
    predicate = closure(node.predicate)
    exists = node.quantity is Quantity.EXISTS

    def answer(facts: Row, item: Row, now: datetime) -> bool | None:
        items = facts.get(name)
        if not isinstance(items, list | tuple):
            return None
        for each in items:
            holds = predicate(facts, each if isinstance(each, Mapping) else NOTHING, now) is True
            if holds is exists:
                return exists
        return not exists

    return answer
