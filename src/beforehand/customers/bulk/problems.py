"""What is wrong with a row, and what became of a batch."""

from dataclasses import dataclass, field
from enum import StrEnum


class RowReason(StrEnum):
    """Why a row was refused."""

    MISSING = "missing"
    UNKNOWN_FIELD = "unknown_field"
    WRONG_TYPE = "wrong_type"
    NOT_UTF8 = "not_utf8"
    CONTROL_CHARACTER = "control_character"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    NOT_A_CHOICE = "not_a_choice"
    NOT_A_LANGUAGE = "not_a_language"
    NOT_A_TIME_ZONE = "not_a_time_zone"
    NOT_AN_EMAIL = "not_an_email"
    NOT_A_PHONE = "not_a_phone"
    NOT_A_WEB_ADDRESS = "not_a_web_address"
    NOT_A_SUBSCRIPTION = "not_a_subscription"
    NOT_A_DATE = "not_a_date"
    NOT_A_TIME = "not_a_time"
    NOT_A_TIMESTAMP = "not_a_timestamp"
    NOT_A_NUMBER = "not_a_number"
    NOT_A_BOOLEAN = "not_a_boolean"
    UNDECLARED = "undeclared"
    UNKNOWN_CUSTOMER = "unknown_customer"
    UNKNOWN_COMPONENT = "unknown_component"
    CYCLE = "cycle"
    ENDS_BEFORE_IT_BEGINS = "ends_before_it_begins"
    WRONG_COLUMN_COUNT = "wrong_column_count"
    BAD_QUOTING = "bad_quoting"


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One thing that is wrong with one row."""

    line: int  # the line of the file on which the row begins, or its place in the batch; from 1
    column: str  # as the sender named it; empty: the row as a whole
    reason: RowReason
    detail: str = ""  # English, with the offending value shortened; never more than 300 characters


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch: each row is created, updated, unchanged or refused."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    problems: list[RowProblem] = field(default_factory=list)

    @property
    def refused(self) -> int:
        """Rows, not problems: a row may have several."""
        return len({problem.line for problem in self.problems})


class Refused(Exception):
    """A value that cannot be; raised by a check, turned into a `RowProblem` by who knows the row."""

    def __init__(self, reason: RowReason, detail: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.detail = detail[:300]


class ChangeRefused(ValueError):
    """A change of one thing that was refused, with every problem found."""

    def __init__(self, problems: list[RowProblem]) -> None:
        super().__init__("; ".join(f"{p.column}: {p.reason.value} {p.detail}".strip() for p in problems))
        self.problems = problems


def shown(value: object) -> str:
    """A value as a problem quotes it: short, and harmless to print."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[:60])
    return f"“{text}…”" if len(text) > 59 else f"“{text}”"
