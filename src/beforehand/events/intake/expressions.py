"""The small language in which a mapping says where a value stands in a sender's JSON: pointers, and ways to use them.

A pointer (RFC 6901) that begins with "/" starts at the whole body, one that begins with "./" at the item of the rule's
`for each`, and "." is that item itself. What is absent and what is null are the same: nothing (None).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from beforehand.events.intake.errors import IntakeCode, escaped, refusal
from beforehand.events.intake.instants import ZERO, instant, instant_of_epoch, instant_without_zone
from beforehand.events.intake.values import Json, text_of

TEMPLATE_PART = re.compile(r"\{(\.|\.?/[^{}]*)\}")
"""A pointer in braces inside a template: {/a/b}, {./a}, {.}."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where a value stands."""

    is_of_item: bool
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """What pointers are looked up in: the whole body, and the item that the rule is at."""

    body: Json
    item: Json
    item_at: str
    """The item's own pointer from the body, for errors."""

    def find(self, pointer: Pointer) -> Json:
        """The value there, or None."""
        value = self.item if pointer.is_of_item else self.body
        for token in pointer.tokens:
            value = member(value, token)
        return value

    def place(self, pointer: Pointer) -> str:
        """The pointer as seen from the body."""
        path = "".join(f"/{escaped(token)}" for token in pointer.tokens)
        return self.item_at + path if pointer.is_of_item else path


class TimeForm(StrEnum):
    RFC3339 = "rfc3339"
    UTC_TEXT = "utc text"
    EPOCH_SECONDS = "epoch seconds"
    EPOCH_MILLISECONDS = "epoch milliseconds"


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written in the mapping itself."""

    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class FirstOf:
    """The first of several that is there and not empty."""

    choices: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A value translated by a table; what the table lacks becomes `otherwise`."""

    of: "Expression"
    table: tuple[tuple[str, Literal], ...]
    otherwise: "Expression | None"


@dataclass(frozen=True, slots=True)
class Template:
    """Text with values in it: literal parts and pointers by turns. Nothing, if any of the values is."""

    parts: tuple[str | Pointer, ...]


@dataclass(frozen=True, slots=True)
class Time:
    """A value read as a point in time."""

    of: "Expression"
    form: TimeForm


Expression = Pointer | Literal | FirstOf | Lookup | Template | Time


def pointer_from(text: str) -> Pointer:
    """The pointer that a text writes. Raises ValueError with a sentence."""
    if text == ".":
        return Pointer(is_of_item=True, tokens=())
    path = text.removeprefix(".")
    if not path.startswith("/"):
        raise ValueError(f'"{text}" is no pointer: it begins with / (the whole body) or ./ (this item).')
    if re.search(r"~(?![01])", path):
        raise ValueError(f'In the pointer "{text}", ~ must be written ~0, and / inside a name ~1.')
    tokens = (token.replace("~1", "/").replace("~0", "~") for token in path[1:].split("/"))
    return Pointer(is_of_item=path != text, tokens=tuple(tokens))


def member(value: Json, token: str) -> Json:
    """A member of an object, or an element of an array by its number; None if there is none."""
    if isinstance(value, dict):
        return value.get(token)
    # At most nine digits: no array is longer, and Python refuses to convert thousands of digits.
    if isinstance(value, list) and re.fullmatch(r"0|[1-9][0-9]{0,8}", token) and int(token) < len(value):
        return value[int(token)]
    return None


def expand(body: Json, pointer: Pointer) -> Iterator[tuple[Json, str]]:
    """Every value that a pointer with * reaches, with its place; * is each element, or each member's value."""
    found: list[tuple[Json, str]] = [(body, "")]
    for token in pointer.tokens:
        if token != "*":  # noqa: S105 - a step of a path, no secret
            found = [
                (inner, f"{at}/{escaped(token)}") for value, at in found if (inner := member(value, token)) is not None
            ]
        else:
            found = [(inner, f"{at}/{escaped(str(name))}") for value, at in found for name, inner in _children(value)]
    yield from found


def evaluate(expression: Expression, scope: Scope) -> Json | datetime:
    """The value of an expression; None where there is none.

    Raises IntakeError where something stands that has the wrong form, such as a time that is none.
    """
    match expression:
        case Pointer():
            return scope.find(expression)
        case Literal():
            return expression.value
        case FirstOf():
            values = (evaluate(choice, scope) for choice in expression.choices)
            return next((value for value in values if value is not None and value != ""), None)
        case Lookup():
            return _looked_up(expression, scope)
        case Template():
            return _filled(expression, scope)
        case Time():
            return _moment(expression, scope)


def place_of(expression: Expression | None, scope: Scope) -> str:
    """The pointer to name when an expression's value is at fault: the first one in it."""
    match expression:
        case Pointer():
            return scope.place(expression)
        case FirstOf():
            return place_of(expression.choices[0], scope)
        case Lookup() | Time():
            return place_of(expression.of, scope)
        case Template():
            return next((scope.place(part) for part in expression.parts if isinstance(part, Pointer)), scope.item_at)
        case _:
            return scope.item_at


def _children(value: Json) -> list[tuple[str | int, Json]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def _looked_up(lookup: Lookup, scope: Scope) -> Json | datetime:
    value = evaluate(lookup.of, scope)
    if not isinstance(value, datetime | dict | list):
        key = text_of(value, pointer="")
        for name, translation in lookup.table:
            if name == key:
                return translation.value
    return evaluate(lookup.otherwise, scope) if lookup.otherwise is not None else None


def _filled(template: Template, scope: Scope) -> str | None:
    texts: list[str] = []
    for part in template.parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        text = text_of(scope.find(part), pointer=scope.place(part))
        if not text:
            return None
        texts.append(text)
    return "".join(texts)


def _moment(time: Time, scope: Scope) -> datetime | None:
    value = evaluate(time.of, scope)
    if value is None or value == "" or isinstance(value, datetime):
        return value or None
    try:
        moment = _READERS[time.form](value)
    except ValueError as reason:
        raise refusal(IntakeCode.INVALID, place_of(time, scope), str(reason)) from None
    return None if moment == ZERO else moment


def _text_reader(read: Callable[[str], datetime]) -> Callable[[Json], datetime]:
    def reader(value: Json) -> datetime:
        if not isinstance(value, str):
            raise ValueError("A time in this form must be text.")
        return read(value)

    return reader


def _epoch_reader(units_a_second: int) -> Callable[[Json], datetime]:
    def reader(value: Json) -> datetime:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError("A time in this form must be a number.")
        return instant_of_epoch(value, units_a_second=units_a_second)

    return reader


_READERS: dict[TimeForm, Callable[[Json], datetime]] = {
    TimeForm.RFC3339: _text_reader(instant),
    TimeForm.UTC_TEXT: _text_reader(instant_without_zone),
    TimeForm.EPOCH_SECONDS: _epoch_reader(1),
    TimeForm.EPOCH_MILLISECONDS: _epoch_reader(1000),
}
