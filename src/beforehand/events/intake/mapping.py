"""Turns any sender's JSON into events and alerts by a mapping: rules, read from a small YAML file (`mapping_file`)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

import orjson

from beforehand.events.intake.alertmanager import fingerprint_of
from beforehand.events.intake.errors import MAX_PROBLEMS, IntakeCode, IntakeError, Problem, refusal
from beforehand.events.intake.expressions import Expression, Pointer, Scope, evaluate, expand, place_of
from beforehand.events.intake.values import (
    MAX_FINGERPRINT_BYTES,
    MAX_IDENTITY_BYTES,
    AlertStatus,
    IncomingAlert,
    IncomingEvent,
    Json,
    short_identity,
    text_of,
)

MAX_ITEMS = 10_000


class Test(StrEnum):
    """How a condition compares what stands there."""

    __test__ = False  # a word of the mapping language, not a test of ours

    IN = "in"
    NOT_IN = "not in"
    EXISTS = "exists"
    CONTAINS = "contains"


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of a rule's `when`."""

    pointer: Pointer
    test: Test
    values: tuple[str | int | float | bool | None, ...]


@dataclass(frozen=True, slots=True)
class Members:
    """An object to be made: all members of one that the sender gave, then named ones on top."""

    all_of: Pointer | None = None
    named: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True, slots=True)
class AlertFields:
    """How a rule makes an alert."""

    status: Expression
    fingerprint: Expression | None
    labels: Members
    annotations: Members
    values: Members
    starts_at: Expression | None
    ends_at: Expression | None
    generator_url: Expression | None
    is_one_until_resolved: bool
    """The time that the sender gives is that of the message, not of the alert's start: repeats belong together."""


@dataclass(frozen=True, slots=True)
class EventFields:
    """How a rule makes an event."""

    type: Expression
    id: Expression | None
    occurred_at: Expression | None
    subject: Expression | None
    customer: Expression | None
    data: Members


@dataclass(frozen=True, slots=True)
class Rule:
    """For each item that satisfies every condition: an alert, an event, or (make=None) nothing, on purpose."""

    name: str
    for_each: Pointer | None
    when: tuple[Condition, ...]
    is_last_resort: bool
    """Only if no rule before it applied to anything in this body."""
    make: AlertFields | EventFields | None


@dataclass(frozen=True, slots=True)
class Mapping:
    """A sender's JSON in rules."""

    source: str
    rules: tuple[Rule, ...]


def apply_mapping(mapping: Mapping, body: Json, *, received_at: datetime) -> list[IncomingEvent | IncomingAlert]:
    """Everything that the rules make of a body (as `body.read_json` returns it), rule by rule.

    Every rule whose conditions hold is used. Raises IntakeError with every problem found, or with `no_rule_matched`
    when no rule knows the body, so that a wrongly connected sender hears of it. An empty list in the place of a
    rule's `for each` is known: it makes nothing.
    """
    made: list[IncomingEvent | IncomingAlert] = []
    problems: list[Problem] = []
    is_known = False
    for rule in mapping.rules:
        if rule.is_last_resort and is_known:
            continue
        for scope in _scopes(rule, body):
            if scope is None:
                is_known = True
            elif all(_holds(condition, scope) for condition in rule.when):
                is_known = True
                try:
                    made.extend(_made(rule, mapping.source, scope, received_at=received_at))
                except IntakeError as error:
                    problems.extend(error.problems)
            if len(problems) >= MAX_PROBLEMS:
                raise IntakeError(problems)
        if len(made) > MAX_ITEMS:
            raise refusal(IntakeCode.TOO_MANY_EVENTS, "", f"The body holds more than {MAX_ITEMS:,} events.")
    if problems:
        raise IntakeError(problems)
    if not is_known:
        message = f'No rule of the mapping for "{mapping.source}" fits this body.'
        raise refusal(IntakeCode.NO_RULE_MATCHED, "", message)
    return made


def _scopes(rule: Rule, body: Json) -> Iterator[Scope | None]:
    """Each item that a rule looks at; a None for a list that is there but empty."""
    if rule.for_each is None:
        yield Scope(body=body, item=body, item_at="")
        return
    is_any = False
    for item, at in expand(body, rule.for_each):
        is_any = True
        yield Scope(body=body, item=item, item_at=at)
    if not is_any and any(value in ([], {}) for value, _ in expand(body, _without_last_star(rule.for_each))):
        yield None


def _without_last_star(pointer: Pointer) -> Pointer:
    last = max((n for n, token in enumerate(pointer.tokens) if token == "*"), default=len(pointer.tokens))  # noqa: S105
    return Pointer(is_of_item=pointer.is_of_item, tokens=pointer.tokens[:last])


def _holds(condition: Condition, scope: Scope) -> bool:
    found = scope.find(condition.pointer)
    match condition.test:
        case Test.IN:
            return any(_is_same(found, value) for value in condition.values)
        case Test.NOT_IN:
            return not any(_is_same(found, value) for value in condition.values)
        case Test.EXISTS:
            return (found is not None) is bool(condition.values[0])
        case Test.CONTAINS:
            return isinstance(found, str) and str(condition.values[0]).lower() in found.lower()


def _is_same(found: Json, value: Json) -> bool:
    """Equality as in JSON: true is not 1, and "1" is not 1."""
    return type(found) is type(value) and bool(found == value)


def _made(rule: Rule, source: str, scope: Scope, *, received_at: datetime) -> list[IncomingEvent] | list[IncomingAlert]:
    match rule.make:
        case AlertFields():
            return [_alert(rule.make, source, scope, received_at=received_at)]
        case EventFields():
            return [_event(rule, rule.make, source, scope)]
        case None:
            return []


def _alert(fields: AlertFields, source: str, scope: Scope, *, received_at: datetime) -> IncomingAlert:
    said = _text(fields.status, scope)
    try:
        status = AlertStatus(said.lower() if said else "")
    except ValueError:
        place = place_of(fields.status, scope)
        raise refusal(
            IntakeCode.INVALID, place, "From this the mapping makes no status: it must be firing or resolved."
        ) from None
    labels = _texts(fields.labels, scope)
    fingerprint = _text(fields.fingerprint, scope)
    if fingerprint is None:
        if fields.fingerprint is not None:
            raise refusal(IntakeCode.MISSING, place_of(fields.fingerprint, scope), "The alert needs its fingerprint.")
        fingerprint = fingerprint_of(labels)
    start, end = _time(fields.starts_at, scope), _time(fields.ends_at, scope)
    is_resolved = status is AlertStatus.RESOLVED
    if start is None:
        start = min(end, received_at) if end is not None and is_resolved else received_at
        is_given = False
    else:
        is_given = not fields.is_one_until_resolved
    return IncomingAlert(
        source=source,
        fingerprint=short_identity(fingerprint, max_bytes=MAX_FINGERPRINT_BYTES),
        status=status,
        labels=labels,
        annotations=_texts(fields.annotations, scope),
        starts_at=start,
        starts_at_given=is_given,
        ends_at=max(start, end or received_at) if is_resolved else None,
        expires_at=None if is_resolved else end,
        generator_url=_text(fields.generator_url, scope) or "",
        values=_object(fields.values, scope),
    )


def _event(rule: Rule, fields: EventFields, source: str, scope: Scope) -> IncomingEvent:
    kind = _text(fields.type, scope)
    if kind is None:
        raise refusal(IntakeCode.MISSING, place_of(fields.type, scope), "The event needs its type.")
    identity = _text(fields.id, scope)
    if identity is None:
        if fields.id is not None:
            raise refusal(IntakeCode.MISSING, place_of(fields.id, scope), "The event needs its id.")
        # The same content again is the same event: a sender that repeats itself adds nothing.
        content = orjson.dumps([rule.name, scope.item], option=orjson.OPT_SORT_KEYS)
        identity = f"sha256:{sha256(content).hexdigest()}"
    return IncomingEvent(
        source=source,
        source_id=short_identity(identity, max_bytes=MAX_IDENTITY_BYTES),
        type=short_identity(kind, max_bytes=MAX_FINGERPRINT_BYTES),
        occurred_at=_time(fields.occurred_at, scope),
        subject=_text(fields.subject, scope),
        customer_ref=_text(fields.customer, scope),
        data=_object(fields.data, scope),
    )


def _text(expression: Expression | None, scope: Scope) -> str | None:
    """An expression's value as text; None if there is none or it is empty."""
    if expression is None:
        return None
    value = evaluate(expression, scope)
    if isinstance(value, datetime):
        return value.isoformat()
    return text_of(value, pointer=place_of(expression, scope)) or None


def _time(expression: Expression | None, scope: Scope) -> datetime | None:
    """An expression's value as a moment; the loader has put a `Time` around whatever stands in a field for times."""
    value = None if expression is None else evaluate(expression, scope)
    return value if isinstance(value, datetime) else None


def _object(members: Members, scope: Scope) -> dict[str, Json]:
    made: dict[str, Json] = {}
    if members.all_of is not None:
        found = scope.find(members.all_of)
        if isinstance(found, dict):
            made.update(found)
        elif found is not None:
            made["value"] = found
    for name, expression in members.named:
        value = evaluate(expression, scope)
        if value is not None:
            made[name] = value.isoformat() if isinstance(value, datetime) else value
    return made


def _texts(members: Members, scope: Scope) -> dict[str, str]:
    """An object of texts (labels, annotations); objects and arrays in it become their JSON, empty ones vanish."""
    made: dict[str, str] = {}
    for name, value in _object(members, scope).items():
        text = orjson.dumps(value).decode() if isinstance(value, dict | list) else text_of(value, pointer="")
        if text:
            made[name] = text
    return made
