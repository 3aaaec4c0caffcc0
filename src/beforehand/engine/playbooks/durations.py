"""Durations as people write them: "3 minutes", "1 hour 30 minutes"."""

import re
from datetime import timedelta
from enum import StrEnum

LONGEST = timedelta(days=366)

_UNITS = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
_PART = r"[0-9]{1,8} (?:day|hour|minute|second)s?"
DURATION_PATTERN = rf"{_PART}(?: (?:and )?{_PART}){{0,3}}"

_SHORT = re.compile(r"([0-9]{1,8}) *(s|secs?|m|mins?|h|hrs?|d)\.?", re.IGNORECASE)
_SHORT_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class DurationReason(StrEnum):
    """Why a text is not a duration."""

    NOT_WORDS = "not words"
    NO_UNIT = "no unit"
    NOT_DESCENDING = "not descending"
    ZERO = "zero"
    TOO_LONG = "too long"


HINTS = {
    DurationReason.NOT_WORDS: "Write a number and a unit, like “3 minutes”, “2 hours” or “1 hour 30 minutes”.",
    DurationReason.NO_UNIT: "Say the unit, like “60 minutes”.",
    DurationReason.NOT_DESCENDING: "Write the larger unit first, and each unit once, like “1 hour 30 minutes”.",
    DurationReason.ZERO: "It must be longer than nothing.",
    DurationReason.TOO_LONG: "It can be at most 366 days.",
}


class DurationError(ValueError):
    """A text is not a duration; `reason` says why, and `hint` what to write."""

    def __init__(self, reason: DurationReason, hint: str) -> None:
        self.reason = reason
        self.hint = hint
        super().__init__(hint)


def parse_duration(text: str) -> timedelta:
    """The duration that `text` says; raises `DurationError`."""
    if not re.fullmatch(DURATION_PATTERN, text):
        raise _not_a_duration(text)
    parts = [(int(number), _UNITS[unit]) for number, unit in re.findall(r"([0-9]+) (day|hour|minute|second)", text)]
    sizes = [size for _, size in parts]
    if sizes != sorted(set(sizes), reverse=True):
        raise _error(DurationReason.NOT_DESCENDING)
    seconds = sum(number * size for number, size in parts)
    if seconds == 0:
        raise _error(DurationReason.ZERO)
    if seconds > LONGEST.total_seconds():
        raise _error(DurationReason.TOO_LONG)
    return timedelta(seconds=seconds)


def duration_parts(duration: timedelta) -> tuple[tuple[int, str], ...]:
    """The duration as counts and units ("day", "hour", "minute", "second"), largest first, for a page to word.

    Whole minutes up to two hours stay minutes ("60 minutes"), the way people write rhythms.
    """
    seconds = int(duration.total_seconds())
    if seconds <= 7_200 and seconds % 60 == 0:
        return ((seconds // 60, "minute"),)
    parts: list[tuple[int, str]] = []
    for unit, size in _UNITS.items():
        count, seconds = divmod(seconds, size)
        if count:
            parts.append((count, unit))
    return tuple(parts)


def duration_words(duration: timedelta) -> str:
    """The duration in English, such that `parse_duration` reads it back (whole seconds above zero)."""
    return " ".join(f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in duration_parts(duration))


def _not_a_duration(text: str) -> DurationError:
    if re.fullmatch(r"[0-9]{1,8}", text):
        return _error(DurationReason.NO_UNIT)
    if short := _SHORT.fullmatch(text):
        number, unit = short.groups()
        return DurationError(DurationReason.NOT_WORDS, f"Write “{number} {_SHORT_UNITS[unit[0].lower()]}”.")
    return _error(DurationReason.NOT_WORDS)


def _error(reason: DurationReason) -> DurationError:
    return DurationError(reason, HINTS[reason])
