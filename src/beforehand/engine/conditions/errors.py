"""Why a condition was refused, and what its author should know though it was not."""

from dataclasses import dataclass
from enum import StrEnum

MAX_CHARACTERS = 4000
MAX_DEPTH = 50


class ConditionProblem(StrEnum):
    """Each reason for which a condition is refused."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    TOO_DEEP = "too_deep"
    SYNTAX = "syntax"
    BAD_TEXT = "bad_text"
    BAD_NUMBER = "bad_number"
    BAD_TIMESTAMP = "bad_timestamp"
    BAD_DURATION = "bad_duration"
    NULL = "null"
    MATCHES = "matches"
    SIZE = "size"
    ARITHMETIC = "arithmetic"
    UNDECLARED = "undeclared"
    MIXED_TYPES = "mixed_types"
    NOT_BOOLEAN = "not_boolean"
    NOT_ALLOWED_CALL = "not_allowed_call"
    WRONG_ARGUMENTS = "wrong_arguments"
    NOT_ALLOWED = "not_allowed"
    NOT_A_VALUE = "not_a_value"
    BAD_IN = "bad_in"
    BAD_KEY = "bad_key"
    NOT_A_COLLECTION = "not_a_collection"
    NESTED_QUANTIFIER = "nested_quantifier"
    VARIABLE_TAKEN = "variable_taken"


_SENTENCES = {
    ConditionProblem.EMPTY: "the condition is empty",
    ConditionProblem.TOO_LONG: f"the condition is longer than {MAX_CHARACTERS} characters",
    ConditionProblem.TOO_DEEP: f"the condition is nested more than {MAX_DEPTH} levels deep",
    ConditionProblem.SYNTAX: "this is not a condition that can be read",
    ConditionProblem.BAD_TEXT: 'a text is written "like this": on one line, known escapes, no NUL, no half characters',
    ConditionProblem.BAD_NUMBER: "the number {name} is too large",
    ConditionProblem.BAD_TIMESTAMP: '{name} is not a time such as "2026-03-01T09:30:00Z" or "2026-03-01"',
    ConditionProblem.BAD_DURATION: '{name} is not a duration of at most 100 years such as "1h30m" or "30d"',
    ConditionProblem.NULL: "null is not used in conditions: write has(…) to ask whether a value is there",
    ConditionProblem.MATCHES: "regular expressions are not allowed: use ==, in, startsWith or contains",
    ConditionProblem.SIZE: "size is not allowed: use exists or all",
    ConditionProblem.ARITHMETIC: "there is no arithmetic in conditions, except now + duration(…) and now - duration(…)",
    ConditionProblem.UNDECLARED: "{name} is not declared",
    ConditionProblem.MIXED_TYPES: "{expected} and {found} cannot stand together here",
    ConditionProblem.NOT_BOOLEAN: "true or false is needed here, and this is a {found}",
    ConditionProblem.NOT_ALLOWED_CALL: "{name}(…) is not allowed",
    ConditionProblem.WRONG_ARGUMENTS: "{name} is written {expected}",
    ConditionProblem.NOT_ALLOWED: "{name} is not allowed in conditions",
    ConditionProblem.NOT_A_VALUE: "{name} is not a single value: write {expected}",
    ConditionProblem.BAD_IN: 'in needs a list of literals, such as ["a", "b"], or a declared list of texts',
    ConditionProblem.BAD_KEY: 'what stands in brackets must be a text, such as ["node"]',
    ConditionProblem.NOT_A_COLLECTION: "{name} is not a collection",
    ConditionProblem.NESTED_QUANTIFIER: "exists and all cannot stand inside one another",
    ConditionProblem.VARIABLE_TAKEN: "{name} is the name of something else: choose another for the item",
}


class ConditionError(Exception):
    """A condition was refused. `str()` is an English sentence; the fields let a surface say it in any language."""

    def __init__(
        self,
        reason: ConditionProblem,
        *,
        line: int = 1,
        column: int = 1,
        name: str = "",
        expected: str = "",
        found: str = "",
        suggestions: tuple[str, ...] = (),
    ) -> None:
        self.reason = reason
        self.line = line  # from 1
        self.column = column  # from 1, in characters
        self.name = name  # what the author wrote
        self.expected = expected  # a type, or how it should be written
        self.found = found  # a type
        self.suggestions = suggestions  # declared names that were probably meant
        super().__init__(str(self))

    def __str__(self) -> str:
        sentence = _SENTENCES[self.reason].format(name=self.name, expected=self.expected, found=self.found)
        hint = f"; did you mean {' or '.join(self.suggestions)}?" if self.suggestions else "."
        return f"Line {self.line}, column {self.column}: {sentence}{hint}"


class ConditionWarningReason(StrEnum):
    """What is allowed but may surprise."""

    MISSING_NEVER_DIFFERS = "missing_never_differs"


@dataclass(frozen=True)
class ConditionWarning:
    """Something that its author may not have meant."""

    reason: ConditionWarningReason
    line: int
    column: int
    name: str  # the fact as written

    def __str__(self) -> str:
        return (
            f"Line {self.line}, column {self.column}: where {self.name} is missing, this does not match; "
            f"say what you want with has({self.name})."
        )
