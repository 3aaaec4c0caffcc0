"""The time zones that this machine knows."""

from functools import cache
from zoneinfo import available_timezones


@cache
def time_zones() -> frozenset[str]:
    """Their names, read once: asking walks through folders and opens each of some 600 files."""
    return frozenset(available_timezones())
