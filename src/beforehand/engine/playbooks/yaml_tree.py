"""Reads YAML into a small tree in which every part knows its line, and refuses what a playbook never needs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from beforehand.engine.playbooks.problems import PlaybookErrors, PlaybookProblem, ProblemReason

MAX_BYTES = 200_000
MAX_DEPTH = 12
MAX_PARTS = 20_000

# Direction and zero-width controls let a file look different from what it says (CVE-2021-42574, "Trojan Source").
_HIDDEN = re.compile("[\u200b\u2028-\u202e\u2060\u2066-\u2069\ufeff]")


@dataclass(frozen=True)
class Scalar:
    """One value. `empty` says that nothing, `~` or `null` was written, without quotes."""

    text: str
    empty: bool
    line: int
    column: int


@dataclass(frozen=True)
class Entry:
    key: Scalar
    value: "Node"


@dataclass(frozen=True)
class Mapping:
    entries: tuple[Entry, ...]
    line: int
    column: int


@dataclass(frozen=True)
class Sequence:
    items: tuple["Node", ...]
    line: int
    column: int


Node = Scalar | Mapping | Sequence


def read_tree(text: str) -> Node:
    """The one document in `text`; raises `PlaybookErrors`.

    Built from the parser's events without recursion: neither depth nor aliases can cost more than the file's size.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise _refusal(1, 1, ProblemReason.TOO_LARGE, size=str(size), limit=str(MAX_BYTES))
    text = text.removeprefix("\ufeff")
    if hidden := _HIDDEN.search(text):
        raise _refusal_at(text, hidden.start(), ProblemReason.HIDDEN_CHARACTER, code=f"U+{ord(hidden.group()):04X}")
    builder = _Builder()
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except MarkedYAMLError as error:
        raise _not_yaml(error) from error
    except YAMLError as error:  # the reader's error: it knows a position, and no line
        position, character = int(getattr(error, "position", 0)), int(getattr(error, "character", 0))
        raise _refusal_at(text, position, ProblemReason.UNREADABLE_CHARACTER, code=f"U+{character:04X}") from error
    return builder.result()


@dataclass
class _Open:
    """A mapping or sequence whose end has not been read yet."""

    is_mapping: bool
    line: int
    column: int
    parts: list[Node]


class _Builder:
    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._root: Node | None = None
        self._parts = 0
        self._documents = 0
        self._problems: list[PlaybookProblem] = []

    def take(self, event: Event) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _refusal(line, column, ProblemReason.MORE_THAN_ONE_DOCUMENT)
        elif isinstance(event, NodeEvent):
            self._refuse_tricks(event, line, column)
            if isinstance(event, ScalarEvent):
                empty = event.style is None and event.value in ("", "~", "null")
                self._place(Scalar(event.value, empty, line, column))
            else:
                self._open.append(_Open(isinstance(event, MappingStartEvent), line, column, []))
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            closed = self._open.pop()
            if closed.is_mapping:
                self._place(Mapping(tuple(self._entries(closed)), closed.line, closed.column))
            else:
                self._place(Sequence(tuple(closed.parts), closed.line, closed.column))

    def result(self) -> Node:
        if self._problems:
            raise PlaybookErrors(self._problems)
        if self._root is None:
            raise _refusal(1, 1, ProblemReason.EMPTY)
        return self._root

    def _refuse_tricks(self, event: NodeEvent, line: int, column: int) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _refusal(line, column, ProblemReason.TOO_MANY_PARTS, limit=str(MAX_PARTS))
        if isinstance(event, AliasEvent) or event.anchor is not None:
            raise _refusal(line, column, ProblemReason.ANCHOR)
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _refusal(line, column, ProblemReason.TAG, tag=str(tag))
        if isinstance(event, MappingStartEvent | SequenceStartEvent) and len(self._open) >= MAX_DEPTH:
            raise _refusal(line, column, ProblemReason.TOO_DEEP, limit=str(MAX_DEPTH))

    def _place(self, node: Node) -> None:
        if self._open:
            self._open[-1].parts.append(node)
        else:
            self._root = node

    def _entries(self, closed: _Open) -> Iterator[Entry]:
        seen: dict[str, int] = {}
        for key, value in zip(closed.parts[::2], closed.parts[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._problems.append(PlaybookProblem(key.line, key.column, ProblemReason.KEY_NOT_TEXT))
            elif key.text in seen:
                values = {"key": key.text, "first": str(seen[key.text])}
                self._problems.append(PlaybookProblem(key.line, key.column, ProblemReason.DUPLICATE_KEY, values))
            else:
                seen[key.text] = key.line
                yield Entry(key, value)


def _not_yaml(error: MarkedYAMLError) -> PlaybookErrors:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return _refusal(line, column, ProblemReason.NOT_YAML, detail=str(error.problem or error.context))


def _refusal_at(text: str, position: int, reason: ProblemReason, **values: str) -> PlaybookErrors:
    before = text[:position]
    return _refusal(before.count("\n") + 1, position - before.rfind("\n"), reason, **values)


def _refusal(line: int, column: int, reason: ProblemReason, **values: str) -> PlaybookErrors:
    return PlaybookErrors([PlaybookProblem(line, column, reason, values)])
