"""Write a batch's marked times and durations for one reader: their zone, their language, their way with numbers."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time, format_timedelta, get_timezone_location, get_timezone_name
from django.utils import translation
from django.utils.translation import gettext as _

from beforehand.engine.promises import is_ambiguous


def localised_facts(
    facts: Mapping[str, Any], *, language: str, zone: str, now: datetime, formal: bool
) -> dict[str, Any]:
    """The batch's facts with every time as text; `formal` says how to address the reader."""
    written = {key: _write(value, language, ZoneInfo(zone), now) for key, value in facts.items()}
    return {**written, "formal": formal}


def _write(value: Any, language: str, zone: ZoneInfo, now: datetime) -> Any:
    if isinstance(value, dict):
        if "$time" in value:
            at = datetime.fromisoformat(value["$time"])
            return spoken_at(at, language=language, zone=zone, now=now, with_seconds=value.get("precision") == "second")
        if "$duration" in value:
            return spoken_duration(timedelta(seconds=value["$duration"]), language=language)
        return {key: _write(one, language, zone, now) for key, one in value.items()}
    return None if value == "" else value  # Liquid takes an empty text for true


def spoken_at(
    at: datetime,
    *,
    language: str,
    zone: ZoneInfo,
    now: datetime,
    with_seconds: bool = False,
    with_zone: bool = False,
) -> str:
    """“10:30”, or with the day when it is not today there; with the zone's name in the hour that a clock change repeats.

    `with_zone` says whose clock it is, “(Netherlands Time)”: for words that somebody reads whose own shows another time.
    """
    locale = language.replace("-", "_")
    local = at.astimezone(zone)
    clock = format_time(local, "medium" if with_seconds else "short", tzinfo=zone, locale=locale)
    if is_ambiguous(at, zone):
        clock = f"{clock} {get_timezone_name(local, width='short', locale=locale)}"
    if with_zone:
        clock = f"{clock} ({_zone_name(local, zone, locale)})"
    if local.date() == now.astimezone(zone).date():
        return clock
    day = format_date(local.date(), "EEEE d MMMM", locale=locale)
    with translation.override(language):
        # Translators: a day and a time of day, as in “Tuesday 24 November, 10:30”.
        return _("%(day)s, %(time)s") % {"day": day, "time": clock}


def _zone_name(local: datetime, zone: ZoneInfo, locale: str) -> str:
    """A zone by where it holds, since few know what theirs is called; one that belongs to no country by its name."""
    is_nowhere = zone.key == "UTC" or zone.key.startswith("Etc/")
    return get_timezone_name(local, locale=locale) if is_nowhere else get_timezone_location(zone, locale=locale)


def spoken_duration(length: timedelta, *, language: str) -> str:
    """“2 hours”, “35 minutes”: rounded as people say it."""
    whole = timedelta(minutes=max(1, round(length.total_seconds() / 60)))
    if length < timedelta(minutes=1):
        whole = timedelta(seconds=max(1, round(length.total_seconds())))
    return format_timedelta(whole, threshold=1.3, locale=language.replace("-", "_"))
