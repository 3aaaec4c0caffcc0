"""Cursors in addresses: whole numbers joined by dots. What is no cursor begins at the beginning."""

from datetime import UTC, datetime, timedelta

PAGE = 25
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_cursor(*numbers: int) -> str:
    """The place after which the next page begins."""
    return ".".join(str(number) for number in numbers)


def read_cursor(text: str, length: int) -> tuple[int, ...] | None:
    """The numbers of a cursor of this length; None for no cursor, or for something else."""
    parts = text.split(".")
    if len(parts) != length or not all(part.isdecimal() and len(part) < 19 for part in parts):
        return None
    return tuple(int(part) for part in parts)


def in_microseconds(at: datetime) -> int:
    """An instant as a whole number, exactly."""
    return (at - EPOCH) // timedelta(microseconds=1)


def from_microseconds(number: int) -> datetime | None:
    """The instant again; None for a number that no clock shows."""
    try:
        return EPOCH + timedelta(microseconds=number)
    except OverflowError:
        return None
