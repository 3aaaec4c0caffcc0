"""Times, dates and durations as text; PostgreSQL checks with the same patterns, so both read alike or not at all."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

_COMMON_DAY = (
    "[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_LEAP_DAY = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29"

# A cast of a wrong date to `date` is an error in PostgreSQL 15, which has nothing that asks first: hence the whole
# calendar in a pattern. The years 0001 and 9999 are left out so that no offset leads outside what Python can hold.
DATE_PATTERN = f"(?!0000|0001|9999)(?:{_COMMON_DAY}|{_LEAP_DAY})"

# RFC 3339 with a capital T and Z, to the microsecond, offsets up to those in use.
TIMESTAMP_PATTERN = (
    DATE_PATTERN + "T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,6})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
)

LONGEST_DURATION = timedelta(days=36_525)

_DATE = re.compile(DATE_PATTERN)
_TIMESTAMP = re.compile(TIMESTAMP_PATTERN)
_DURATION = re.compile(r"[+-]?(?:[0-9]{1,12}(?:[.][0-9]{1,9})?(?:d|h|ms|us|m|s))+")
_SPAN = re.compile(r"([0-9.]+)([a-z]+)")
_MICROSECONDS = {
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}


def read_date(text: str) -> datetime | None:
    """The instant at which an ISO 8601 date begins in UTC, or None if the text is no date."""
    return start_of_day(date.fromisoformat(text)) if _DATE.fullmatch(text) else None


def read_timestamp(text: str) -> datetime | None:
    """The instant, in UTC, that an RFC 3339 text names, or None if it names none."""
    return datetime.fromisoformat(text).astimezone(UTC) if _TIMESTAMP.fullmatch(text) else None


def start_of_day(day: date) -> datetime:
    """The instant at which a date begins in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def read_duration(text: str) -> timedelta | None:
    """The time that a text such as "1h30m", "-45s" or "30d" names; None if it names none, or over 100 years."""
    if not _DURATION.fullmatch(text):
        return None
    microseconds = sum(Decimal(amount) * _MICROSECONDS[unit] for amount, unit in _SPAN.findall(text))
    if microseconds > LONGEST_DURATION // timedelta(microseconds=1):
        return None
    return timedelta(microseconds=int(microseconds)) * (-1 if text.startswith("-") else 1)
