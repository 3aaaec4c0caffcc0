"""Who is on duty, who follows, when nobody is: also on the nights when the clocks change."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.engine.roster import (
    Absence,
    Duty,
    DutyReason,
    Holder,
    Rung,
    Shift,
    SpanError,
    SpanReason,
    duty_at,
    duty_gaps,
    duty_spans,
    handover_gap,
    has_gone,
    next_holder,
    patience,
    shift_span,
)

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
ESTER, FARID, NOOR = 1, 2, 3
DAY = datetime(2026, 11, 23, tzinfo=UTC)


def at(hours: float) -> datetime:
    return DAY + timedelta(hours=hours)


def shift(person: int, begins: float, ends: float, place: int = 1) -> Shift:
    return Shift(person, at(begins), at(ends), place)


def wall(day: str, time: str) -> datetime:
    return datetime.fromisoformat(f"{day}T{time}")


EARLY, LATE = shift(ESTER, 6, 14), shift(FARID, 14, 22)


@pytest.mark.parametrize(
    ("hours", "shifts", "absences", "expected"),
    [
        (6, [EARLY], [], Duty(ESTER, None, DutyReason.ON_SHIFT)),
        (14, [EARLY, LATE], [], Duty(FARID, None, DutyReason.ON_SHIFT)),  # an end belongs to the next shift
        (5.99, [EARLY], [], Duty(None, None, DutyReason.NO_SHIFT)),
        (8, [EARLY, shift(FARID, 6, 14, 2)], [], Duty(ESTER, FARID, DutyReason.ON_SHIFT)),
        (8, [EARLY, shift(FARID, 6, 14, 2)], [Absence(ESTER, at(7), at(9))], Duty(FARID, None, DutyReason.STANDS_IN)),
        (9, [EARLY, shift(FARID, 6, 14, 2)], [Absence(ESTER, at(7), at(9))], Duty(ESTER, FARID, DutyReason.ON_SHIFT)),
        (8, [EARLY], [Absence(ESTER, at(0), at(24))], Duty(None, None, DutyReason.ALL_AWAY)),
        (8, [EARLY], [Absence(FARID, at(0), at(24))], Duty(ESTER, None, DutyReason.ON_SHIFT)),
        (13.5, [EARLY, shift(FARID, 13, 22)], [], Duty(FARID, ESTER, DutyReason.ON_SHIFT)),  # who came later took over
        (8, [shift(FARID, 6, 14, 2)], [], Duty(FARID, None, DutyReason.STANDS_IN)),
        (8, [EARLY, shift(ESTER, 6, 14, 2)], [], Duty(ESTER, None, DutyReason.ON_SHIFT)),  # nobody is their own deputy
    ],
)
def test_the_duty_belongs_to_whoever_is_there(
    hours: float, shifts: list[Shift], absences: list[Absence], expected: Duty
) -> None:
    assert duty_at(at(hours), shifts=shifts, absences=absences) == expected


def test_a_gap_between_two_shifts_is_found_and_so_is_the_absence_of_all() -> None:
    shifts = [shift(ESTER, 6, 14), shift(FARID, 15, 22)]
    spans = duty_spans(shifts, [Absence(FARID, at(20), at(22))], since=at(6), until=at(22))
    assert [(gap.starts_at, gap.ends_at, gap.duty.reason) for gap in duty_gaps(spans)] == [
        (at(14), at(15), DutyReason.NO_SHIFT),
        (at(20), at(22), DutyReason.ALL_AWAY),
    ]
    assert [span.duty.person for span in spans] == [ESTER, None, FARID, None]


def test_two_shifts_of_one_person_in_a_row_are_one_span() -> None:
    spans = duty_spans([shift(ESTER, 0, 8), shift(ESTER, 8, 16)], [], since=at(0), until=at(16))
    assert [(span.starts_at, span.ends_at) for span in spans] == [(at(0), at(16))]


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 40), st.integers(1, 20), st.integers(1, 2)).map(
            lambda one: shift(one[0], one[1], one[1] + one[2], one[3])
        ),
        max_size=6,
    ),
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 40), st.integers(1, 20)).map(
            lambda one: Absence(one[0], at(one[1]), at(one[1] + one[2]))
        ),
        max_size=3,
    ),
    st.integers(0, 47),
)
def test_the_spans_say_at_every_moment_what_the_moment_says(
    shifts: list[Shift], absences: list[Absence], hour: int
) -> None:
    spans = duty_spans(shifts, absences, since=at(0), until=at(48))
    assert spans[0].starts_at == at(0)
    assert spans[-1].ends_at == at(48)
    assert all(one.ends_at == two.starts_at and one.duty != two.duty for one, two in pairwise(spans))
    (span,) = [span for span in spans if span.starts_at <= at(hour) < span.ends_at]
    assert span.duty == duty_at(at(hour), shifts=shifts, absences=absences)


def test_the_night_the_clocks_go_back_lasts_an_hour_longer_and_has_no_gap() -> None:
    night = shift_span(wall("2026-10-24", "22:00"), wall("2026-10-25", "02:30"), zone=AMSTERDAM)
    morning = shift_span(wall("2026-10-25", "02:30"), wall("2026-10-25", "06:00"), zone=AMSTERDAM)
    assert night[1] == morning[0] == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # the first 02:30
    assert morning[1] - night[0] == timedelta(hours=9)
    spans = duty_spans([Shift(ESTER, *night), Shift(FARID, *morning)], [], since=night[0], until=morning[1])
    assert duty_gaps(spans) == ()


def test_the_night_the_clocks_go_forward_lasts_an_hour_less_and_has_no_gap() -> None:
    night = shift_span(wall("2026-03-28", "22:00"), wall("2026-03-29", "02:30"), zone=AMSTERDAM)
    morning = shift_span(wall("2026-03-29", "02:30"), wall("2026-03-29", "06:00"), zone=AMSTERDAM)
    assert night[1] == morning[0] == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # a time that no clock shows
    assert morning[1] - night[0] == timedelta(hours=7)


def test_a_time_with_an_offset_is_taken_as_it_is() -> None:
    second = datetime.fromisoformat("2026-10-25T02:30:00+01:00")
    assert shift_span(second, wall("2026-10-25", "06:00"), zone=AMSTERDAM)[0] == datetime(
        2026, 10, 25, 1, 30, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("starts", "ends", "reason"),
    [
        (wall("2026-11-23", "14:00"), wall("2026-11-23", "14:00"), SpanReason.BACKWARDS),
        (wall("2026-11-23", "14:00"), wall("2026-11-23", "06:00"), SpanReason.BACKWARDS),
        (wall("2026-03-29", "02:30"), wall("2026-03-29", "03:15"), SpanReason.BACKWARDS),  # that hour does not exist
        (wall("2026-11-01", "00:00"), wall("2026-12-24", "00:00"), SpanReason.TOO_LONG),
    ],
)
def test_times_between_which_nobody_can_be_on_duty_are_refused(
    starts: datetime, ends: datetime, reason: SpanReason
) -> None:
    with pytest.raises(SpanError) as refused:
        shift_span(starts, ends, zone=AMSTERDAM)
    assert refused.value.reason is reason


def test_a_promise_is_asked_of_duty_then_deputy_then_supervisor() -> None:
    duty = Duty(ESTER, FARID, DutyReason.ON_SHIFT)
    first = next_holder(duty, supervisor=NOOR, after=None, last=None)
    assert first == Holder(ESTER, Rung.DUTY)
    second = next_holder(duty, supervisor=NOOR, after=Rung.DUTY, last=ESTER)
    assert second == Holder(FARID, Rung.DEPUTY)
    third = next_holder(duty, supervisor=NOOR, after=Rung.DEPUTY, last=FARID)
    assert third == Holder(NOOR, Rung.SUPERVISOR)
    assert next_holder(duty, supervisor=NOOR, after=Rung.SUPERVISOR, last=NOOR) is None


def test_who_is_missing_or_was_asked_just_before_is_passed_over() -> None:
    nobody = Duty(None, None, DutyReason.NO_SHIFT)
    assert next_holder(nobody, supervisor=NOOR, after=None, last=None) == Holder(NOOR, Rung.SUPERVISOR)
    assert next_holder(nobody, supervisor=None, after=None, last=None) is None
    alone = Duty(NOOR, None, DutyReason.ON_SHIFT)
    assert next_holder(alone, supervisor=NOOR, after=Rung.DUTY, last=NOOR) is None


def test_all_three_are_asked_before_the_holding_message_must_go() -> None:
    ten = timedelta(minutes=10)
    assert patience(at(1), at(1.15), setting=ten) == timedelta(minutes=3)
    assert patience(at(1), at(3), setting=ten) == ten
    assert patience(at(1), at(0.5), setting=ten) == timedelta(0)


def test_a_promise_whose_time_runs_into_a_gap_lacks_an_owner() -> None:
    gaps = duty_gaps(duty_spans([EARLY, shift(FARID, 15, 22)], [], since=at(6), until=at(22)))
    found = handover_gap(gaps, now=at(8), due_at=at(14.5))
    assert found is not None
    assert found.starts_at == at(14)
    assert handover_gap(gaps, now=at(8), due_at=at(13)) is None
    assert handover_gap(gaps, now=at(15), due_at=at(20)) is None


def test_who_was_on_shift_and_is_no_longer_there_has_gone() -> None:
    def gone(person: int, now: float, *absences: Absence) -> bool:
        return has_gone(person, shifts=[EARLY, LATE], absences=absences, since=at(13), now=at(now))

    assert not gone(ESTER, 13.9)
    assert gone(ESTER, 14)
    assert gone(ESTER, 13.9, Absence(ESTER, at(13.5), at(24)))
    assert not gone(NOOR, 20)  # she had no shift: she took it freely
