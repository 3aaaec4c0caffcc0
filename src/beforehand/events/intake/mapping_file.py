"""Reads a mapping from its YAML file, and says with the line what is wrong with it.

The language is described in docs/intake.md; the files in `mappings/` are its examples. YAML anchors are refused, so
that a small file cannot become a large one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from beforehand.events.intake.errors import IntakeCode, MappingError, Problem
from beforehand.events.intake.expressions import (
    TEMPLATE_PART,
    Expression,
    FirstOf,
    Literal,
    Lookup,
    Pointer,
    Template,
    Time,
    TimeForm,
    pointer_from,
)
from beforehand.events.intake.mapping import AlertFields, Condition, EventFields, Mapping, Members, Rule, Test

MAX_MAPPING_BYTES = 64 * 1024
MAX_MAPPING_DEPTH = 20

Scalar = str | int | float | bool | None
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the file: a scalar, a list or an object, and the line it begins on."""

    line: int
    value: "Scalar | list[_Part] | dict[str, _Part]"


@cache
def shipped_mapping(name: str) -> Mapping:
    """One of the mappings that come with the product: grafana, pagerduty, uptime_kuma. Raises KeyError for another."""
    if name not in shipped_mapping_names():
        raise KeyError(name)
    return load_mapping((resources.files(__package__) / "mappings" / f"{name}.yaml").read_text(encoding="utf-8"))


def shipped_mapping_names() -> list[str]:
    """The names of the mappings that come with the product, sorted."""
    files = (resources.files(__package__) / "mappings").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def load_mapping(text: str) -> Mapping:
    """The mapping that a YAML text writes. Raises MappingError with the line of the first fault."""
    members = _members(_read(text), "A mapping", required=("version", "source", "events"))
    if members["version"].value != 1:
        raise _fault(members["version"], "The version of this language is 1.")
    source = _text(members["source"], "The source")
    rules = members["events"]
    if not isinstance(rules.value, list) or not rules.value:
        raise _fault(rules, "Under events stands a list of rules, at least one.")
    return Mapping(source=source, rules=tuple(_rule(rule) for rule in rules.value))


def _rule(part: _Part) -> Rule:
    members = _members(
        part, "A rule", required=("name",), optional=("for each", "when", "otherwise", "alert", "event", "ignore")
    )
    makers = [name for name in ("alert", "event", "ignore") if name in members]
    if len(makers) != 1:
        raise _fault(part, "A rule has exactly one of alert, event and ignore.")
    for_each = None
    if "for each" in members:
        for_each = _pointer(members["for each"], may_have_star=True)
        if for_each.is_of_item:
            raise _fault(members["for each"], "The pointer of for each begins with /, at the whole body.")
    if "ignore" in members and not _boolean(members["ignore"]):
        raise _fault(members["ignore"], "Write ignore: true, or leave it out.")
    return Rule(
        name=_text(members["name"], "The name"),
        for_each=for_each,
        when=_conditions(members["when"]) if "when" in members else (),
        is_last_resort="otherwise" in members and _boolean(members["otherwise"]),
        make=_maybe(members, "alert", _alert_fields) or _maybe(members, "event", _event_fields),
    )


def _alert_fields(part: _Part) -> AlertFields:
    optional = (
        "fingerprint",
        "annotations",
        "values",
        "starts at",
        "ends at",
        "generator url",
        "one until resolved",
    )
    members = _members(part, "An alert", required=("status", "labels"), optional=optional)
    return AlertFields(
        status=_expression(members["status"]),
        fingerprint=_maybe(members, "fingerprint", _expression),
        labels=_object(members["labels"]),
        annotations=_maybe(members, "annotations", _object) or Members(),
        values=_maybe(members, "values", _object) or Members(),
        starts_at=_maybe(members, "starts at", _time),
        ends_at=_maybe(members, "ends at", _time),
        generator_url=_maybe(members, "generator url", _expression),
        is_one_until_resolved=_maybe(members, "one until resolved", _boolean) or False,
    )


def _event_fields(part: _Part) -> EventFields:
    optional = ("id", "occurred at", "subject", "customer", "data")
    members = _members(part, "An event", required=("type",), optional=optional)
    return EventFields(
        type=_expression(members["type"]),
        id=_maybe(members, "id", _expression),
        occurred_at=_maybe(members, "occurred at", _time),
        subject=_maybe(members, "subject", _expression),
        customer=_maybe(members, "customer", _expression),
        data=_maybe(members, "data", _object) or Members(),
    )


def _maybe(members: dict[str, _Part], name: str, read: Callable[[_Part], _Read]) -> _Read | None:
    return read(members[name]) if name in members else None


def _conditions(part: _Part) -> tuple[Condition, ...]:
    if not isinstance(part.value, dict) or not part.value:
        raise _fault(part, "Under when stand pointers, each with what must stand there.")
    return tuple(_condition(_pointer(_Part(wanted.line, name)), wanted) for name, wanted in part.value.items())


def _condition(pointer: Pointer, wanted: _Part) -> Condition:
    if not isinstance(wanted.value, dict):
        return Condition(pointer, Test.IN, _scalars(wanted))
    if len(wanted.value) != 1 or (name := next(iter(wanted.value))) not in {"not", "exists", "contains"}:
        raise _fault(wanted, "A condition is a value, a list of values, or one of not, exists and contains.")
    operand = wanted.value[name]
    if name == "not":
        return Condition(pointer, Test.NOT_IN, _scalars(operand))
    if name == "exists":
        return Condition(pointer, Test.EXISTS, (_boolean(operand),))
    return Condition(pointer, Test.CONTAINS, (_text(operand, "What a text must contain"),))


def _scalars(part: _Part) -> tuple[Scalar, ...]:
    values: list[Scalar] = []
    for one in part.value if isinstance(part.value, list) else [part]:
        if isinstance(one.value, list | dict):
            raise _fault(one, "Only single values can be compared, not lists or objects.")
        values.append(one.value)
    return tuple(values)


def _object(part: _Part) -> Members:
    if isinstance(part.value, str):
        return Members(all_of=_pointer(part))
    if not isinstance(part.value, dict):
        raise _fault(part, "Here stands a pointer to an object, or names with their values.")
    named = tuple((name, _expression(value)) for name, value in part.value.items() if name != "all of")
    return Members(all_of=_pointer(part.value["all of"]) if "all of" in part.value else None, named=named)


def _expression(part: _Part) -> Expression:
    if isinstance(part.value, list) or part.value is None:
        raise _fault(
            part, "Here stands a value: a pointer, a text, a number, or an object such as {first of: [/a, /b]}."
        )
    if isinstance(part.value, dict):
        return _operation(part, part.value)
    if isinstance(part.value, str):
        if part.value == "." or part.value.startswith(("/", "./")):
            return _pointer(part)
        if TEMPLATE_PART.search(part.value):
            raise _fault(part, f'Write {{template: "{part.value}"}} if pointers are to be filled in here.')
    return Literal(part.value)


def _operation(part: _Part, members: dict[str, _Part]) -> Expression:
    match sorted(members):
        case ["literal"]:
            value = members["literal"].value
            if value is None or isinstance(value, list | dict):
                raise _fault(part, "A literal is a text, a number, true or false.")
            return Literal(value)
        case ["first of"]:
            choices = members["first of"].value
            if not isinstance(choices, list) or not choices:
                raise _fault(part, "Under first of stands a list of values.")
            return FirstOf(tuple(_expression(choice) for choice in choices))
        case ["template"]:
            return _template(members["template"])
        case ["lookup", "table"] | ["lookup", "otherwise", "table"]:
            return _lookup(members)
        case ["time"] | ["as", "time"]:
            return Time(
                _expression(members["time"]), _time_form(members["as"]) if "as" in members else TimeForm.RFC3339
            )
        case names:
            known = "literal; first of; template; lookup with table and otherwise; time with as"
            raise _fault(part, f"There is no value of the form {', '.join(names) or '{}'}. Known are: {known}.")


def _lookup(members: dict[str, _Part]) -> Lookup:
    table = members["table"]
    if not isinstance(table.value, dict) or not table.value:
        raise _fault(table, "A table has a value for each key.")
    rows: list[tuple[str, Literal]] = []
    for key, row in table.value.items():
        if row.value is None or isinstance(row.value, list | dict):
            raise _fault(row, "In a table stand texts, numbers, true and false.")
        rows.append((key, Literal(row.value)))
    return Lookup(_expression(members["lookup"]), tuple(rows), _maybe(members, "otherwise", _expression))


def _template(part: _Part) -> Template:
    text = _text(part, "A template")
    parts: list[str | Pointer] = []
    for index, piece in enumerate(TEMPLATE_PART.split(text)):
        if index % 2:
            parts.append(_pointer(_Part(part.line, piece)))
        elif piece:
            parts.append(piece)
    if not any(isinstance(piece, Pointer) for piece in parts):
        raise _fault(part, "A template has at least one pointer in braces, such as {/a/b}.")
    return Template(tuple(parts))


def _time(part: _Part) -> Expression:
    expression = _expression(part)
    return expression if isinstance(expression, Time) else Time(expression, TimeForm.RFC3339)


def _time_form(part: _Part) -> TimeForm:
    try:
        return TimeForm(_text(part, "The form of a time"))
    except ValueError:
        raise _fault(part, f"A time is written as one of: {', '.join(TimeForm)}.") from None


def _pointer(part: _Part, *, may_have_star: bool = False) -> Pointer:
    try:
        pointer = pointer_from(_text(part, "A pointer"))
    except ValueError as reason:
        raise _fault(part, str(reason)) from None
    if "*" in pointer.tokens and not may_have_star:
        raise _fault(part, "Only the pointer of for each may hold a *.")
    return pointer


def _text(part: _Part, what: str) -> str:
    if not isinstance(part.value, str) or not part.value:
        raise _fault(part, f"{what} must be text.")
    return part.value


def _boolean(part: _Part) -> bool:
    if not isinstance(part.value, bool):
        raise _fault(part, "Here stands true or false.")
    return part.value


def _members(part: _Part, what: str, *, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, _Part]:
    if not isinstance(part.value, dict):
        raise _fault(part, f"{what} is an object with names and values.")
    for name, value in part.value.items():
        if name not in required and name not in optional:
            raise _fault(value, f'{what} has no "{name}"; it may have {", ".join([*required, *optional])}.')
    for name in required:
        if name not in part.value:
            raise _fault(part, f'{what} needs "{name}".')
    return part.value


def _read(text: str) -> _Part:
    """The file as lines and values, without anything that YAML could do beyond that."""
    if len(text.encode(errors="replace")) > MAX_MAPPING_BYTES:
        raise _fault(_Part(1, None), f"A mapping has at most {MAX_MAPPING_BYTES:,} bytes.")
    try:
        depth = 0
        for event in YAML(typ="safe", pure=True).parse(text):
            line = event.start_mark.line + 1
            if isinstance(event, AliasEvent):
                raise _fault(
                    _Part(line, None), "Anchors and aliases (& and *) are not used in mappings; quote a text with *."
                )
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > MAX_MAPPING_DEPTH:
                raise _fault(_Part(line, None), f"A mapping is at most {MAX_MAPPING_DEPTH} levels deep.")
        root: Node | None = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _fault(_Part(line, None), f"This is not YAML: {error.problem or error.context}.") from None
    except (YAMLError, ValueError) as error:
        raise _fault(_Part(1, None), f"This is not YAML: {str(error).splitlines()[0]}.") from None
    if root is None:
        raise _fault(_Part(1, None), "The mapping is empty.")
    return _part(root)


def _part(node: Node) -> _Part:
    line = node.start_mark.line + 1
    if isinstance(node, SequenceNode):
        return _Part(line, [_part(item) for item in node.value])
    if isinstance(node, MappingNode):
        members: dict[str, _Part] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise _fault(_Part(key.start_mark.line + 1, None), "A name is a single text.")
            name = str(key.value)
            if name in members:
                raise _fault(_Part(key.start_mark.line + 1, None), f'The name "{name}" stands here twice.')
            part = _part(value)
            members[name] = part if isinstance(part.value, list | dict) else _Part(key.start_mark.line + 1, part.value)
        return _Part(line, members)
    return _Part(line, _scalar(node, line))


def _scalar(node: Node, line: int) -> Scalar:
    text = str(node.value)
    match str(node.tag).rpartition(":")[2]:
        case "str" | "timestamp":
            return text
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int" | "float" as kind:
            try:
                return int(text) if kind == "int" else float(text)
            except ValueError:
                return text
        case _:
            raise _fault(_Part(line, None), f"Values are texts, numbers, true, false and null, not {node.tag}.")


def _fault(part: _Part, message: str) -> MappingError:
    problem = Problem(IntakeCode.BAD_MAPPING, "", f"Line {part.line}: {message}")
    return MappingError([problem], line=part.line)
