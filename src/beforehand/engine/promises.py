"""When a promise is due, when its owner is warned, when the holding message must go, and how it turned out."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

# The owner is warned ten minutes before, or a fifth of the promised time if that is less, but never under five seconds.
WARN_AT_MOST = timedelta(minutes=10)
WARN_SHARE = 5
WARN_AT_LEAST = timedelta(seconds=5)

# Spare time on top of the expected fan-out: a twentieth of the promised time, between a second and a minute.
SPARE_SHARE = 20
SPARE_AT_LEAST = timedelta(seconds=1)
SPARE_AT_MOST = timedelta(minutes=1)

# Who promised that something is done needs longer than who promised a word: an hour, or a fifth of the time.
WARN_OF_OUTCOME_AT_MOST = timedelta(hours=1)

# An outcome is early when at least a tenth of the promised time was left.
EARLY_SHARE = 10

# From half an hour on, people are told a time that they can remember.
ROUND_FROM = timedelta(minutes=30)
_FIVE_MINUTES = timedelta(minutes=5)
_MINUTES_FROM = timedelta(minutes=2)


class PromiseKind(StrEnum):
    """What is owed: a word, or something done."""

    UPDATE = "update"
    OUTCOME = "outcome"


class CustomerRhythm(StrEnum):
    """What a customer wants to hear of a problem that lasts: every step, or only what changes."""

    EVERY_STEP = "every_step"
    ONLY_CHANGES = "only_changes"


class PromiseState(StrEnum):
    """How a promise stands in the ledger."""

    OPEN = "open"
    KEPT = "kept"
    KEPT_EARLY = "kept_early"
    BROKEN = "broken"
    MOVED = "moved"
    ENDED = "ended"


class PromiseReason(StrEnum):
    """Why a promise stands as it does."""

    NOT_DUE = "not due"
    DUE_SOON = "due soon"
    TOLD_IN_TIME = "told in time"
    HELD_FOR_THE_NIGHT = "held for the night"
    DONE_IN_TIME = "done in time"
    DONE_EARLY = "done early"
    NOBODY_WAITING = "nobody waiting"
    HOLDING_INSTEAD = "holding message instead"
    MOVED_IN_TIME = "moved in time"
    TOO_LATE = "too late"
    NOT_FOR_ALL = "not for all"
    NOT_AT_ALL = "not at all"


class Precision(StrEnum):
    """How finely a time is said to people."""

    MINUTE = "minute"
    SECOND = "second"


@dataclass(frozen=True)
class NextWord:
    """By when the next word is promised; to who wants only what changes, by `rare_at` at the latest."""

    next_at: datetime
    rare_at: datetime


@dataclass(frozen=True)
class PromiseTimes:
    """`made_at` ≤ `warn_at` ≤ `hold_at` ≤ `due_at`, as instants."""

    warn_at: datetime
    hold_at: datetime


@dataclass(frozen=True)
class PromiseFacts:
    """What is known of a promise.

    `fulfilled_at`: when the last customer then waiting had it (an accepted delivery, or a stored and owned refusal).
    `outstanding` and `waiting`: how many still lack it, of how many. `held_at`: when a holding message was decided
    instead. `ended_at`: when nobody was left to whom it was owed.
    """

    kind: PromiseKind
    made_at: datetime
    due_at: datetime
    warn_at: datetime
    waiting: int
    outstanding: int
    fulfilled_at: datetime | None = None
    held_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class PromiseVerdict:
    state: PromiseState
    reason: PromiseReason


def promise_times(made_at: datetime, due_at: datetime, *, fan_out: timedelta) -> PromiseTimes:
    """When to warn the owner, and when to decide on a holding message so that it has reached everybody by `due_at`.

    `fan_out` is how long telling everybody is expected to take. At most a third of the promised time is kept for it.
    Raises `ValueError` for a time without a zone, or a promise due before it was made.
    """
    made, due = _instant(made_at), _instant(due_at)
    interval = due - made
    if interval < timedelta(0):
        raise ValueError("a promise cannot be due before it is made")
    hold_before = min(fan_out + _spare(interval), interval / 3)
    warn_before = max(min(WARN_AT_MOST, interval / WARN_SHARE), WARN_AT_LEAST)
    warn_before = min(max(warn_before, hold_before + min(warn_before, hold_before) / 2), interval)
    return PromiseTimes(warn_at=due - warn_before, hold_at=due - hold_before)


def outcome_times(made_at: datetime, due_at: datetime) -> PromiseTimes:
    """When to warn the owner of an outcome. No holding message stands in for it: its time passes at `due_at` itself.

    Raises `ValueError` for a time without a zone, or a promise due before it was made.
    """
    made, due = _instant(made_at), _instant(due_at)
    if due < made:
        raise ValueError("a promise cannot be due before it is made")
    return PromiseTimes(warn_at=due - min(WARN_OF_OUTCOME_AT_MOST, (due - made) / WARN_SHARE), hold_at=due)


def speaking_lead(interval: timedelta, *, fan_out: timedelta) -> timedelta:
    """How long before a promised time the regular word must be decided: always before the holding message would be."""
    return min(fan_out + 2 * _spare(interval), interval / 2)


def promise_state(facts: PromiseFacts, *, now: datetime) -> PromiseVerdict:
    """How a promise stands at `now`. One answered by a holding message is broken, even if a word follows in time."""
    if facts.held_at is not None:
        return PromiseVerdict(PromiseState.BROKEN, PromiseReason.HOLDING_INSTEAD)
    if facts.fulfilled_at is not None:
        return _fulfilled(facts, facts.fulfilled_at)
    due_at = _instant(facts.due_at)
    if facts.ended_at is not None and _instant(facts.ended_at) <= due_at:
        return PromiseVerdict(PromiseState.ENDED, PromiseReason.NOBODY_WAITING)
    if _instant(now) > due_at:
        is_partly_kept = facts.outstanding < facts.waiting
        return PromiseVerdict(
            PromiseState.BROKEN, PromiseReason.NOT_FOR_ALL if is_partly_kept else PromiseReason.NOT_AT_ALL
        )
    is_soon = _instant(now) >= _instant(facts.warn_at)
    return PromiseVerdict(PromiseState.OPEN, PromiseReason.DUE_SOON if is_soon else PromiseReason.NOT_DUE)


def spoken_time(due_at: datetime, interval: timedelta) -> datetime:
    """The time that people are told, never before `due_at`; the ledger holds the same, so that both mean one moment.

    Rounded up: to five minutes for promises of half an hour or more, to a minute from two minutes on, else to a
    second. Every zone in use today stands a multiple of fifteen minutes from UTC, so a rounded instant is round on
    every wall clock.
    """
    if interval >= ROUND_FROM:
        return _rounded_up(due_at, _FIVE_MINUTES)
    if interval >= _MINUTES_FROM:
        return _rounded_up(due_at, timedelta(minutes=1))
    return _rounded_up(due_at, timedelta(seconds=1))


def spoken_precision(interval: timedelta) -> Precision:
    """Whether the spoken time of such a promise needs its seconds."""
    return Precision.MINUTE if interval >= _MINUTES_FROM else Precision.SECOND


def is_ambiguous(at: datetime, zone: tzinfo) -> bool:
    """Whether the wall clock in `zone` shows this time twice (the night the clocks go back): then say which one."""
    local = at.astimezone(zone)
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def _fulfilled(facts: PromiseFacts, fulfilled_at: datetime) -> PromiseVerdict:
    left = _instant(facts.due_at) - _instant(fulfilled_at)
    if left < timedelta(0):
        return PromiseVerdict(PromiseState.BROKEN, PromiseReason.TOO_LATE)
    if facts.kind is PromiseKind.UPDATE:
        return PromiseVerdict(PromiseState.KEPT, PromiseReason.TOLD_IN_TIME)
    if left >= (_instant(facts.due_at) - _instant(facts.made_at)) / EARLY_SHARE:
        return PromiseVerdict(PromiseState.KEPT_EARLY, PromiseReason.DONE_EARLY)
    return PromiseVerdict(PromiseState.KEPT, PromiseReason.DONE_IN_TIME)


def _instant(at: datetime) -> datetime:
    """In UTC, because Python compares and subtracts two times of one zone as wall clocks: an hour wrong at a change."""
    if at.tzinfo is None:
        raise ValueError("a promise needs a time with a zone")
    return at.astimezone(UTC)


def _spare(interval: timedelta) -> timedelta:
    return min(max(interval / SPARE_SHARE, SPARE_AT_LEAST), SPARE_AT_MOST)


def _rounded_up(at: datetime, step: timedelta) -> datetime:
    instant = _instant(at)
    past = (instant - datetime(1970, 1, 1, tzinfo=UTC)) % step
    return instant if not past else instant + step - past
