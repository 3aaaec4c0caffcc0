"""Why something that was sent to us could not be taken in: one short tree, `IntakeError` ← `MappingError`.

Every error says which code, where (a JSON pointer, or the name of an HTTP header) and one plain sentence, so that
whoever sends can mend it without asking us. A request is refused whole: nothing of it is stored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

MAX_PROBLEMS = 20
"""So many problems of one request are listed; a sender whose thousand events share a fault needs no thousand lines."""


class IntakeCode(StrEnum):
    """What was wrong, for programs."""

    TOO_LARGE = "too_large"
    TOO_MANY_EVENTS = "too_many_events"
    TOO_DEEP = "too_deep"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    MISSING = "missing"
    WRONG_TYPE = "wrong_type"
    INVALID = "invalid"
    TOO_LONG = "too_long"
    CONFLICT = "conflict"
    NO_RULE_MATCHED = "no_rule_matched"
    BAD_MAPPING = "bad_mapping"


_STATUS = {
    IntakeCode.TOO_LARGE: 413,
    IntakeCode.TOO_MANY_EVENTS: 413,
    IntakeCode.UNSUPPORTED_MEDIA_TYPE: 415,
    IntakeCode.NO_RULE_MATCHED: 422,
    IntakeCode.BAD_MAPPING: 500,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: its code, where it is (JSON pointer, or a header's name; "" is the whole body), one sentence."""

    code: IntakeCode
    pointer: str
    message: str


class IntakeError(Exception):
    """A request that is refused, with every problem found in it, at most `MAX_PROBLEMS`.

    `code`, `pointer` and `message` are those of the first problem. `line` is the line of the body (or of the mapping
    file) when the text itself could not be read. `status` is the HTTP status that fits.
    """

    def __init__(self, problems: Iterable[Problem], *, line: int | None = None) -> None:
        self.problems = tuple(problems)[:MAX_PROBLEMS]
        first = self.problems[0]
        self.code = first.code
        self.pointer = first.pointer
        self.message = first.message
        self.line = line
        self.status = _STATUS.get(first.code, 400)
        super().__init__(f"{first.pointer}: {first.message}" if first.pointer else first.message)


class MappingError(IntakeError):
    """A mapping file that cannot be used; `line` says where in the file."""


def refusal(code: IntakeCode, pointer: str, message: str, *, line: int | None = None) -> IntakeError:
    """An error with a single problem."""
    return IntakeError([Problem(code, pointer, message)], line=line)


class Problems:
    """Collects the problems of one request until there are `MAX_PROBLEMS`.

    `at` is put in front of each field's name: "/3/" inside a batch, "ce-" for headers.
    """

    __slots__ = ("at", "found")

    def __init__(self, at: str = "/") -> None:
        self.at = at
        self.found: list[Problem] = []

    def add(self, code: IntakeCode, field: str, message: str) -> None:
        """Note a fault of `field` (a member's name or a pointer without its first slash)."""
        pointer = self.at + field if field else self.at.removesuffix("/")
        self.found.append(Problem(code, pointer, message))

    def is_full(self) -> bool:
        return len(self.found) >= MAX_PROBLEMS

    def refuse_if_any(self) -> None:
        """Raise IntakeError if something was found."""
        if self.found:
            raise IntakeError(self.found)


def escaped(token: str) -> str:
    """A member's name as a token of a JSON pointer (RFC 6901 §3)."""
    return token.replace("~", "~0").replace("/", "~1")
