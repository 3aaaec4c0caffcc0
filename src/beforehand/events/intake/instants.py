"""Points in time as senders write them, as aware datetimes in UTC."""

import math
import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:(\d\d)(?:\.\d+)?(?:[Zz]|[+-]\d\d:?\d\d)", re.ASCII)
_WITHOUT_ZONE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?", re.ASCII)

ZERO = datetime(1, 1, 1, tzinfo=UTC)
"""Go's zero time, 0001-01-01T00:00:00Z: how Alertmanager and Grafana write "not yet"."""


def instant(text: str) -> datetime:
    """The moment that an RFC 3339 text names, to the microsecond (further digits are cut off).

    Lower-case t and z, a space for the T, and an offset without its colon are read too, because senders write them and
    they can mean nothing else. A leap second (…:60) is the first moment of the next minute, as in POSIX time and
    PostgreSQL. Raises ValueError with a sentence.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("This is not a time such as 2026-03-01T14:05:00Z (RFC 3339, with its offset).")
    is_leap = match[1] == "60"
    plain = f"{text[:17]}59{text[19:]}" if is_leap else text
    if not plain.isupper():
        plain = plain.upper()
    try:
        moment = datetime.fromisoformat(plain)
        if is_leap:
            moment = moment.replace(microsecond=0) + timedelta(seconds=1)
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("There is no such date or time of day.") from None


def instant_without_zone(text: str) -> datetime:
    """The moment that a date and time without an offset names if it is meant in UTC. Raises ValueError."""
    if _WITHOUT_ZONE.fullmatch(text) is None:
        raise ValueError("This is not a time such as 2026-03-01 14:05:00, without an offset.")
    return instant(f"{text}Z")


def instant_of_epoch(value: int | float | str, *, units_a_second: int) -> datetime:
    """The moment so many units after 1970 (1 for seconds, 1000 for milliseconds). Raises ValueError."""
    try:
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=number / units_a_second)
    except (ValueError, OverflowError):
        raise ValueError("This is not a number of seconds or milliseconds since 1970 within the calendar.") from None
