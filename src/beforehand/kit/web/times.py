"""Instants in words: relative, exact and on the clock, in the reader's language and zone.

Zone and language are Django's current ones. The browser's script (frontend/js/relative-time.js) says the same words, so
that a text does not jump when it starts.
"""

from datetime import date, datetime, time, tzinfo
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_skeleton, format_timedelta
from django.utils import timezone
from django.utils.translation import get_language, to_locale
from django.utils.translation import gettext as _

JUST_NOW_SECONDS = 45
SOON_SECONDS = 5 * 60


def babel_locale(language: str | None = None) -> Locale:
    """CLDR's data for this language code (Django's current language when None); English where CLDR has none."""
    return _locale(language or get_language() or "en")


@lru_cache(maxsize=256)
def _locale(code: str) -> Locale:
    for candidate in (to_locale(code), code.split("-")[0]):
        try:
            return Locale.parse(candidate)
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en")


@lru_cache(maxsize=4096)
def _day(day: date, skeleton: str, language: str) -> str:
    """A day in a language's order of its parts: finding that order takes longer than all else on a page of times."""
    return format_skeleton(skeleton, datetime.combine(day, time()), locale=_locale(language))


def zone() -> tzinfo:
    """The reader's zone."""
    return timezone.get_current_timezone()


def exact(moment: datetime) -> str:
    """Date, time and zone: what a hover shows. `moment` is aware."""
    local = moment.astimezone(zone())
    return f"{_day(local.date(), 'yMMMd', get_language() or 'en')}, {local:%H:%M %Z}"


def clock(moment: datetime, *, now: datetime) -> str:
    """The time alone on the reader's present day, else with its date."""
    local = moment.astimezone(zone())
    at = f"{local:%H:%M}"
    if is_today(moment, now=now):
        return at
    skeleton = "MMMd" if local.year == now.astimezone(zone()).year else "yMMMd"
    return f"{_day(local.date(), skeleton, get_language() or 'en')}, {at}"


def is_today(moment: datetime, *, now: datetime) -> bool:
    """Whether both fall on one day in the reader's zone."""
    return moment.astimezone(zone()).date() == now.astimezone(zone()).date()


def relative(moment: datetime, *, now: datetime) -> str:
    """ "3 minutes ago", "in 2 hours"; "just now" within 45 seconds either way."""
    delta = moment - now
    if abs(delta.total_seconds()) < JUST_NOW_SECONDS:
        return _("just now")
    return format_timedelta(delta, granularity="second", add_direction=True, threshold=0.85, locale=babel_locale())


def countdown_state(due_at: datetime, *, now: datetime, soon_seconds: int = SOON_SECONDS) -> str:
    """`overdue` once past, `soon` in the last `soon_seconds`, else `ok`."""
    left = (due_at - now).total_seconds()
    if left < 0:
        return "overdue"
    return "soon" if left < soon_seconds else "ok"
