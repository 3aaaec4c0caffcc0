"""Quiet hours in the recipient's own zone: until when to stay silent, whatever the clocks do that night."""

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


AFTERWARDS = timedelta(minutes=15)
"""What waited for the end of the quiet hours has arrived so long after it."""


def time_after_quiet_hours(due_at: datetime, *, zone: str, start: time, end: time) -> datetime:
    """By when a customer hears what is promised for `due_at`: soon after their quiet hours where it would fall into them."""
    until = quiet_until(due_at, zone=zone, start=start, end=end)
    return due_at if until is None else until + AFTERWARDS


def quiet_until(now: datetime, *, zone: str, start: time, end: time) -> datetime | None:
    """When the silence that holds at `now` ends (aware, UTC), or None outside quiet hours.

    The window runs from `start` up to and without `end` by the wall clock of `zone`, across midnight if `end` is earlier.
    Equal times mean no quiet hours. An end that a clock change skips is read with the offset before the change, so that
    silence is never shorter than written; one that comes twice counts the first time, and then the silence is over. Raises
    `ZoneInfoNotFoundError` for an unknown zone.
    """
    if start == end:
        return None
    local = now.astimezone(_zone(zone))
    wall = local.time()
    crosses_midnight = end < start
    is_quiet = (wall >= start or wall < end) if crosses_midnight else start <= wall < end
    if not is_quiet:
        return None
    day = local.date() + timedelta(days=1) if crosses_midnight and wall >= start else local.date()
    ending = datetime.combine(day, end, _zone(zone)).astimezone(UTC)
    return ending if ending > now else None  # the hour that comes twice: the silence ended the first time round
