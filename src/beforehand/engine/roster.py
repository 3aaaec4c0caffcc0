"""Who is on duty: from shifts and absences to a person, a deputy, the gaps, and who gets what nobody acknowledged."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from itertools import pairwise

LONGEST_SHIFT = timedelta(days=31)
PARTS_OF_THE_WARNING = 3
"""The time between a warning and the holding message is shared by three: who is on duty, the deputy, the supervisor."""


class SpanReason(StrEnum):
    """Why two times are no shift and no absence."""

    BACKWARDS = "ends before it starts"
    TOO_LONG = "too long"


class SpanError(ValueError):
    """Two times between which nobody can be on duty; `reason` says why."""

    def __init__(self, reason: SpanReason) -> None:
        self.reason = reason
        super().__init__(reason.value)


class DutyReason(StrEnum):
    """Why this person has the duty, or why nobody has."""

    ON_SHIFT = "on shift"
    STANDS_IN = "stands in"
    ALL_AWAY = "all away"
    NO_SHIFT = "no shift"


class Rung(StrEnum):
    """Whose turn it is to answer for a promise; each follows if the one before does not acknowledge."""

    DUTY = "duty"
    DEPUTY = "deputy"
    SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Shift:
    """A person's time on a role, from `starts_at` up to and without `ends_at`. Place 1 has the duty, 2 is the deputy."""

    person: int
    starts_at: datetime
    ends_at: datetime
    place: int = 1


@dataclass(frozen=True, slots=True)
class Absence:
    """When a person is away, whatever their shifts say."""

    person: int
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Duty:
    """Who has the duty at a moment, and who follows; None where there is nobody."""

    person: int | None
    deputy: int | None
    reason: DutyReason


@dataclass(frozen=True, slots=True)
class DutySpan:
    """How the duty stands from `starts_at` up to and without `ends_at`."""

    starts_at: datetime
    ends_at: datetime
    duty: Duty


@dataclass(frozen=True, slots=True)
class Holder:
    """Who answers for a promise, and by which turn."""

    person: int
    rung: Rung


def shift_span(starts: datetime, ends: datetime, *, zone: tzinfo) -> tuple[datetime, datetime]:
    """The instants of a shift written by the wall clock of `zone`; a time with an offset is taken as it is.

    A time that the clocks show twice means the first, one that they skip is read with the offset before the change. Both
    hold for ends and starts alike, so that two shifts which meet on the wall meet in time too, on every night of the year.
    Raises `SpanError`.
    """
    begun, ended = _instant(starts, zone), _instant(ends, zone)
    if ended <= begun:
        raise SpanError(SpanReason.BACKWARDS)
    if ended - begun > LONGEST_SHIFT:
        raise SpanError(SpanReason.TOO_LONG)
    return begun, ended


def duty_at(at: datetime, *, shifts: Iterable[Shift], absences: Iterable[Absence]) -> Duty:
    """Who has the duty at `at`, and the deputy: whoever of those on shift is not away, by place.

    Two in the same place: who came later has taken over, and the other is the deputy.
    """
    on_shift = sorted(
        (shift for shift in shifts if shift.starts_at <= at < shift.ends_at),
        key=lambda shift: (shift.place, -shift.starts_at.timestamp(), shift.person),
    )
    away = {absence.person for absence in absences if absence.starts_at <= at < absence.ends_at}
    present = list(dict.fromkeys(shift.person for shift in on_shift if shift.person not in away))
    if not present:
        return Duty(None, None, DutyReason.ALL_AWAY if on_shift else DutyReason.NO_SHIFT)
    is_own = on_shift[0].person == present[0] and on_shift[0].place == 1
    reason = DutyReason.ON_SHIFT if is_own else DutyReason.STANDS_IN
    return Duty(present[0], present[1] if len(present) > 1 else None, reason)


def duty_spans(
    shifts: Sequence[Shift], absences: Sequence[Absence], *, since: datetime, until: datetime
) -> tuple[DutySpan, ...]:
    """How the duty stands at every moment between two, in order; neighbours differ."""
    edges = {since, until}
    given: list[Shift | Absence] = [*shifts, *absences]
    for one in given:
        edges.update(edge for edge in (one.starts_at, one.ends_at) if since < edge < until)
    times = sorted(edges)
    spans: list[DutySpan] = []
    for starts_at, ends_at in pairwise(times):
        duty = duty_at(starts_at, shifts=shifts, absences=absences)
        if spans and spans[-1].duty == duty:
            starts_at = spans.pop().starts_at
        spans.append(DutySpan(starts_at, ends_at, duty))
    return tuple(spans)


def duty_gaps(spans: Iterable[DutySpan]) -> tuple[DutySpan, ...]:
    """When nobody has the duty."""
    return tuple(span for span in spans if span.duty.person is None)


def handover_gap(gaps: Iterable[DutySpan], *, now: datetime, due_at: datetime) -> DutySpan | None:
    """The first time between now and a promise's due time when nobody would answer for it; None if there is none."""
    return next((gap for gap in gaps if gap.ends_at > now and gap.starts_at <= due_at), None)


def next_holder(duty: Duty, *, supervisor: int | None, after: Rung | None, last: int | None) -> Holder | None:
    """Who answers next for a promise that `last` has not acknowledged at the rung `after` (None: nobody was asked yet).

    Whoever is missing, or was asked just before, is passed over. None when there is nobody left to ask.
    """
    people = {Rung.DUTY: duty.person, Rung.DEPUTY: duty.deputy, Rung.SUPERVISOR: supervisor}
    rungs = list(Rung)
    for rung in rungs[0 if after is None else rungs.index(after) + 1 :]:
        person = people[rung]
        if person is not None and person != last:
            return Holder(person, rung)
    return None


def asked_first(duty: Duty, *, supervisor: int | None, among: Container[int]) -> int | None:
    """Whom to ask something that only people `among` these can do: the duty, else the deputy, else the supervisor."""
    return next((one for one in (duty.person, duty.deputy, supervisor) if one is not None and one in among), None)


def patience(warn_at: datetime, hold_at: datetime, *, setting: timedelta) -> timedelta:
    """How long one person may leave a warning unacknowledged: as set, but so that all three are asked before `hold_at`."""
    return max(timedelta(0), min(setting, (hold_at - warn_at) / PARTS_OF_THE_WARNING))


def has_gone(
    person: int, *, shifts: Iterable[Shift], absences: Iterable[Absence], since: datetime, now: datetime
) -> bool:
    """Whether a person who was on shift at `since` is not there any more. Who had no shift then took it freely, and stays."""
    own = [shift for shift in shifts if shift.person == person]
    if not any(shift.starts_at <= since < shift.ends_at for shift in own):
        return False
    is_away = any(one.person == person and one.starts_at <= now < one.ends_at for one in absences)
    return is_away or not any(shift.starts_at <= now < shift.ends_at for shift in own)


def _instant(at: datetime, zone: tzinfo) -> datetime:
    return (at.replace(tzinfo=zone, fold=0) if at.tzinfo is None else at).astimezone(UTC)
