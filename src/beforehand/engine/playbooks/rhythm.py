"""How often a repeat speaks: intervals that stretch the longer it lasts, and that can leave the night in peace.

Each interval is what customers are promised; the word itself goes out a little earlier. Times of day are the installation's:
a promise to an audience is one time, which every customer reads in their own zone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from beforehand.engine.playbooks.durations import duration_words
from beforehand.engine.quiet_hours import quiet_until

# Kept for sending: a twelfth of the interval (five minutes of an hour), at most ten minutes.
_SENDING_SHARE = 12
_SENDING_AT_MOST = timedelta(minutes=10)

# A daily word is never sooner after the one before than this, or than the interval that it follows.
_DAILY_AT_LEAST = timedelta(hours=1)

# Who wants only what changes hears at the latest after so long, even if nothing did.
LONGEST_SILENCE = timedelta(days=1)


@dataclass(frozen=True)
class Night:
    """When nothing is said, by the installation's clock; it may cross midnight."""

    begins: time
    ends: time

    def __str__(self) -> str:
        return f"{self.begins:%H:%M} to {self.ends:%H:%M}"


@dataclass(frozen=True)
class Stage:
    """An interval, or a time of day (then: each day at that time), and for how long it holds; the last one's `lasts` is None."""

    every: timedelta | time
    lasts: timedelta | None = None
    quiet: Night | None = None

    def __str__(self) -> str:
        every = duration_words(self.every) if isinstance(self.every, timedelta) else f"day at {self.every:%H:%M}"
        lasts = f"for {duration_words(self.lasts)} " if self.lasts else ""
        return f"{lasts}every {every}" + (f", quiet {self.quiet}" if self.quiet else "")


@dataclass(frozen=True)
class Turn:
    """The next word: when it is decided, and by when it is promised."""

    speak_at: datetime
    due_at: datetime


@dataclass(frozen=True)
class Rhythm:
    """The stages of a repeat, in the order in which they come."""

    stages: tuple[Stage, ...]

    @property
    def first_gap(self) -> timedelta:
        """How long after a word the next one is decided in the first stage, at most."""
        every = self.stages[0].every
        return every - _kept_for_sending(every) if isinstance(every, timedelta) else LONGEST_SILENCE

    def turn(self, told_at: datetime, *, since: datetime, zone: str) -> Turn:
        """The word after the one at `told_at`, of a rhythm whose first word was at `since`."""
        return self._turn_of(self._place(told_at - since), told_at, zone)

    def rare_turn(self, told_at: datetime, *, zone: str) -> Turn:
        """The word after the one at `told_at` for who wants only what changes: as in the last stage, or after a day."""
        last = self.stages[-1]
        if isinstance(last.every, timedelta):
            rare = Stage(max(last.every, LONGEST_SILENCE), quiet=last.quiet)
            return Rhythm((rare,))._turn_of(0, told_at, zone)
        return self._turn_of(len(self.stages) - 1, told_at, zone)

    def _place(self, lasted: timedelta) -> int:
        for place, stage in enumerate(self.stages[:-1]):
            lasted -= stage.lasts or timedelta(0)
            if lasted < timedelta(0):
                return place
        return len(self.stages) - 1

    def _turn_of(self, place: int, told_at: datetime, zone: str) -> Turn:
        stage = self.stages[place]
        told = told_at.astimezone(UTC)
        if isinstance(stage.every, timedelta):
            due_at = told + stage.every
        else:
            before = self.stages[place - 1].every if place else _DAILY_AT_LEAST
            at_least = before if isinstance(before, timedelta) else _DAILY_AT_LEAST
            due_at = _next_at(stage.every, told + at_least, ZoneInfo(zone))
        reserve = _kept_for_sending(due_at - told)
        speak_at = due_at - reserve
        if stage.quiet is not None:
            until = quiet_until(speak_at, zone=zone, start=stage.quiet.begins, end=stage.quiet.ends)
            if until is not None:
                return Turn(until, until + reserve)
        return Turn(speak_at, due_at)


def _kept_for_sending(interval: timedelta) -> timedelta:
    return min(interval / _SENDING_SHARE, _SENDING_AT_MOST)


def _next_at(at: time, after: datetime, zone: ZoneInfo) -> datetime:
    """The first time from `after` on that the clock there shows `at`; one that comes twice in a night counts once."""
    day = after.astimezone(zone).date()
    today = datetime.combine(day, at, zone).astimezone(UTC)
    return today if today >= after else datetime.combine(day + timedelta(days=1), at, zone).astimezone(UTC)
