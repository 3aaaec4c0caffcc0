"""Reads one mapping of a playbook key by key, and notes every problem instead of stopping at the first."""

import re
from collections.abc import Iterable, Mapping
from datetime import time, timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from beforehand.engine.playbooks import yaml_tree
from beforehand.engine.playbooks.durations import DurationError, parse_duration
from beforehand.engine.playbooks.grammar import (
    CLOCK,
    EVENT,
    LANGUAGE,
    MAX_TEXT,
    NAME,
    NUMBER,
    PROMISE,
    PROMISE_IN_RHYTHM,
    WORD,
    Key,
)
from beforehand.engine.playbooks.language import Place, Promise
from beforehand.engine.playbooks.problems import PlaybookErrors, PlaybookProblem, ProblemReason
from beforehand.engine.playbooks.trials import START
from beforehand.engine.playbooks.yaml_tree import Node, Scalar
from beforehand.engine.promises import PromiseKind

Choice = TypeVar("Choice", bound=StrEnum)

# Stands in for a value that could not be read, so that reading goes on; its problem keeps it from being used.
UNREAD = timedelta(0)


class Problems:
    """What was found so far."""

    def __init__(self) -> None:
        self.found: list[PlaybookProblem] = []

    def add(self, place: Node | Place, reason: ProblemReason, **values: str) -> None:
        self.found.append(PlaybookProblem(place.line, place.column, reason, values))

    def raise_any(self) -> None:
        if self.found:
            raise PlaybookErrors(self.found)


class Fields:
    """One mapping, checked against the keys that it may have. Getters answer a stand-in where a value is wrong."""

    def __init__(self, node: yaml_tree.Mapping, keys: Mapping[str, Key], problems: Problems) -> None:
        self.node = node
        self._problems = problems
        self._values = {entry.key.text: entry.value for entry in node.entries}
        for entry in node.entries:
            if entry.key.text not in keys:
                hint = did_you_mean(entry.key.text, keys)
                problems.add(entry.key, ProblemReason.UNKNOWN_KEY, key=entry.key.text, hint=hint)
        for name, key in keys.items():
            if key.is_required and self._value(name) is None:
                problems.add(node, ProblemReason.MISSING_KEY, key=name)

    def place(self, key: str) -> Place:
        """Where the key's value stands; without one, where the mapping begins."""
        return place_of(self._values.get(key, self.node))

    def node_at(self, key: str) -> Node | None:
        return self._value(key)

    def text(self, key: str, limit: int = MAX_TEXT) -> str | None:
        scalar = self._scalar(key)
        if scalar is not None and len(scalar.text) > limit:
            self._problems.add(scalar, ProblemReason.TOO_LONG, key=key, limit=str(limit))
        return scalar.text.strip() if scalar is not None else None

    def name(self, key: str) -> str | None:
        return self._matching(key, NAME, ProblemReason.BAD_NAME)

    def word(self, key: str) -> str | None:
        return self._matching(key, WORD, ProblemReason.BAD_NAME)

    def event(self, key: str) -> str | None:
        scalar = self._scalar(key)
        return None if scalar is None else read_event(scalar, self._problems)

    def language(self, key: str) -> str | None:
        return self._matching(key, LANGUAGE, ProblemReason.BAD_LANGUAGE)

    def number(self, key: str) -> int | None:
        text = self._matching(key, NUMBER, ProblemReason.BAD_NUMBER)
        return int(text) if text is not None and re.fullmatch(NUMBER, text) else None

    def choice(self, key: str, choices: type[Choice], *, among: Iterable[Choice] | None = None) -> Choice:
        """One of the choices; the first of them where none can be read."""
        allowed = list(choices if among is None else among)
        scalar = self._scalar(key)
        return allowed[0] if scalar is None else read_choice(key, scalar, allowed, self._problems)

    def duration(self, key: str) -> timedelta:
        scalar = self._scalar(key)
        return UNREAD if scalar is None else read_duration(scalar, self._problems)

    def moment(self, key: str) -> timedelta:
        """A time in a test: nothing for “start”, else a duration."""
        scalar = self._scalar(key)
        if scalar is None or scalar.text == START:
            return UNREAD
        try:
            return parse_duration(scalar.text)
        except DurationError as error:
            self._problems.add(scalar, ProblemReason.BAD_MOMENT, value=scalar.text, hint=error.hint)
            return UNREAD

    def time_of_day(self, key: str) -> time | None:
        text = self._matching(key, CLOCK, ProblemReason.BAD_TIME_OF_DAY)
        return time.fromisoformat(text) if text is not None and re.fullmatch(CLOCK, text) else None

    def promise(self) -> Promise | None:
        scalar = self._scalar("promise")
        if scalar is None:
            return None
        match = re.fullmatch(PROMISE, scalar.text)
        if match is None:
            self._problems.add(scalar, ProblemReason.BAD_PROMISE, value=scalar.text)
            return None
        if scalar.text == PROMISE_IN_RHYTHM:
            return Promise(PromiseKind.UPDATE, None, place_of(scalar))
        said = Scalar(match.group(1), False, scalar.line, scalar.column)
        return Promise(PromiseKind.UPDATE, read_duration(said, self._problems), place_of(scalar))

    def mapping(self, key: str) -> yaml_tree.Mapping | None:
        node = self._value(key)
        if node is not None and not isinstance(node, yaml_tree.Mapping):
            self._problems.add(node, ProblemReason.NOT_A_MAPPING, key=key)
            return None
        return node

    def items(self, key: str) -> tuple[Node, ...]:
        node = self._value(key)
        if node is None:
            return ()
        if not isinstance(node, yaml_tree.Sequence):
            self._problems.add(node, ProblemReason.NOT_A_LIST, key=key)
            return ()
        return node.items

    def _value(self, key: str) -> Node | None:
        node = self._values.get(key)
        return None if isinstance(node, Scalar) and node.empty else node

    def _scalar(self, key: str) -> Scalar | None:
        node = self._value(key)
        if node is not None and not isinstance(node, Scalar):
            self._problems.add(node, ProblemReason.NOT_TEXT, key=key)
            return None
        return node

    def _matching(self, key: str, pattern: str, reason: ProblemReason) -> str | None:
        scalar = self._scalar(key)
        if scalar is None:
            return None
        if not re.fullmatch(pattern, scalar.text):
            self._problems.add(scalar, reason, value=scalar.text)
        return scalar.text


def form_of(node: yaml_tree.Mapping, forms: Iterable[str], problems: Problems) -> str | None:
    """Which of the forms, each named by a word of its own, a mapping has; None, with a problem noted, for none or two."""
    written = [entry.key for entry in node.entries if entry.key.text in forms]
    if not written:
        problems.add(node, ProblemReason.NO_VERB, choices=", ".join(forms))
        return None
    if len(written) > 1:
        problems.add(written[1], ProblemReason.TWO_VERBS, first=written[0].text, second=written[1].text)
        return None
    return written[0].text


def read_choice(key: str, scalar: Scalar, allowed: list[Choice], problems: Problems) -> Choice:
    """The choice that the scalar names; the first one, with a problem noted, where it names none."""
    for choice in allowed:
        if choice.value == scalar.text:
            return choice
    hint = did_you_mean(scalar.text, [choice.value for choice in allowed])
    problems.add(scalar, ProblemReason.BAD_CHOICE, key=key, value=scalar.text, hint=hint)
    return allowed[0]


def read_event(scalar: Scalar, problems: Problems) -> str:
    """The event type that the scalar names, with a problem noted where it cannot be one."""
    if not re.fullmatch(EVENT, scalar.text):
        problems.add(scalar, ProblemReason.BAD_EVENT, value=scalar.text)
    return scalar.text


def read_name(scalar: Scalar, problems: Problems) -> str:
    """The name that the scalar says, with a problem noted where it cannot be one."""
    if not re.fullmatch(NAME, scalar.text):
        problems.add(scalar, ProblemReason.BAD_NAME, value=scalar.text)
    return scalar.text


def read_duration(scalar: Scalar, problems: Problems) -> timedelta:
    """The duration that the scalar says; `UNREAD`, with a problem noted, where it says none."""
    try:
        return parse_duration(scalar.text)
    except DurationError as error:
        problems.add(scalar, ProblemReason.BAD_DURATION, value=scalar.text, hint=error.hint)
        return UNREAD


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: the nearest known one, or all of them."""
    choices = list(known)
    nearest = get_close_matches(word.lower(), choices, n=1)
    if nearest:
        return f"Did you mean “{nearest[0]}”?"
    return f"Use one of: {', '.join(choices)}." if choices else "Remove it."


def place_of(node: Node | Place) -> Place:
    return Place(node.line, node.column)
