"""When promises are due, warned about, held and judged."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.engine.promises import (
    Precision,
    PromiseFacts,
    PromiseKind,
    PromiseReason,
    PromiseState,
    is_ambiguous,
    outcome_times,
    promise_state,
    promise_times,
    speaking_lead,
    spoken_precision,
    spoken_time,
)

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NOON = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)


def clock(hour, minute=0, second=0):
    return datetime(2026, 3, 28, hour, minute, second, tzinfo=UTC)


def seconds(count):
    return timedelta(seconds=count)


@pytest.mark.parametrize(
    ("interval", "fan_out", "warn_before", "hold_before"),
    [
        (3600, 0, 600, 60),
        (3600, 60, 600, 120),
        (3600, 500, 840, 560),
        (1800, 10, 360, 70),
        (600, 10, 120, 40),
        (60, 5, 12, 8),
        (20, 3, 6, 4),
        (20, 0, 5, 1),
        (6, 0, 5, 1),
        (3, 0, 3, 1),
        (3600, 9999, 1500, 1200),
        (0, 5, 0, 0),
    ],
)
def test_the_owner_is_warned_and_the_holding_message_decided_in_time(interval, fan_out, warn_before, hold_before):
    due_at = NOON + seconds(interval)
    times = promise_times(NOON, due_at, fan_out=seconds(fan_out))
    assert due_at - times.warn_at == seconds(warn_before)
    assert due_at - times.hold_at == seconds(hold_before)


intervals = st.integers(0, 7 * 86_400).map(seconds)
fan_outs = st.integers(0, 20_000).map(seconds)


@given(intervals, fan_outs)
def test_the_times_always_stand_in_order(interval, fan_out):
    times = promise_times(NOON, NOON + interval, fan_out=fan_out)
    assert NOON <= times.warn_at <= times.hold_at <= NOON + interval


@given(intervals.filter(lambda interval: interval > seconds(3)), fan_outs)
def test_the_regular_word_is_decided_before_the_holding_message_would_be(interval, fan_out):
    due_at = NOON + interval
    lead = speaking_lead(interval, fan_out=fan_out)
    assert lead <= interval / 2
    assert due_at - lead < promise_times(NOON, due_at, fan_out=fan_out).hold_at


@pytest.mark.parametrize(
    ("made_at", "due_at"),
    [
        (NOON, NOON - seconds(1)),
        (NOON.replace(tzinfo=None), NOON),
        (NOON, NOON.replace(tzinfo=None)),
    ],
)
def test_times_without_a_zone_or_the_wrong_way_round_are_refused(made_at, due_at):
    with pytest.raises(ValueError, match="promise"):
        promise_times(made_at, due_at, fan_out=seconds(0))


def test_on_the_night_the_clocks_go_forward_an_hour_is_an_hour():
    made_at = datetime(2026, 3, 29, 1, 30, tzinfo=AMSTERDAM)
    due_at = (made_at.astimezone(UTC) + timedelta(hours=1)).astimezone(AMSTERDAM)
    assert (due_at.hour, due_at.minute) == (3, 30)
    times = promise_times(made_at, due_at, fan_out=seconds(0))
    assert times.warn_at == datetime(2026, 3, 29, 1, 20, tzinfo=UTC)
    assert times.hold_at == datetime(2026, 3, 29, 1, 29, tzinfo=UTC)


def test_on_the_night_the_clocks_go_back_an_hour_is_an_hour():
    made_at = datetime(2026, 10, 25, 2, 30, tzinfo=AMSTERDAM)
    due_at = made_at.replace(fold=1)
    times = promise_times(made_at, due_at, fan_out=seconds(0))
    assert times.warn_at == datetime(2026, 10, 25, 1, 20, tzinfo=UTC)
    facts = facts_of(made_at=made_at, due_at=due_at, warn_at=times.warn_at, fulfilled_at=made_at.replace(minute=45))
    assert promise_state(facts, now=due_at).state is PromiseState.KEPT
    late = facts_of(made_at=made_at, due_at=made_at, fulfilled_at=made_at.replace(fold=1))
    assert promise_state(late, now=due_at).state is PromiseState.BROKEN


def facts_of(**changes):
    facts = {
        "kind": PromiseKind.UPDATE, "made_at": clock(12), "due_at": clock(13), "warn_at": clock(12, 50),
        "waiting": 100, "outstanding": 100,
    }  # fmt: skip
    return PromiseFacts(**(facts | changes))


@pytest.mark.parametrize(
    ("now", "changes", "state", "reason"),
    [
        (clock(12, 49, 59), {}, PromiseState.OPEN, PromiseReason.NOT_DUE),
        (clock(12, 50), {}, PromiseState.OPEN, PromiseReason.DUE_SOON),
        (clock(13), {}, PromiseState.OPEN, PromiseReason.DUE_SOON),
        (clock(13, 0, 1), {}, PromiseState.BROKEN, PromiseReason.NOT_AT_ALL),
        (clock(13, 0, 1), {"outstanding": 1}, PromiseState.BROKEN, PromiseReason.NOT_FOR_ALL),
        (clock(14), {"fulfilled_at": clock(12, 10)}, PromiseState.KEPT, PromiseReason.TOLD_IN_TIME),
        (clock(14), {"fulfilled_at": clock(13)}, PromiseState.KEPT, PromiseReason.TOLD_IN_TIME),
        (clock(14), {"fulfilled_at": clock(13, 0, 1)}, PromiseState.BROKEN, PromiseReason.TOO_LATE),
        (clock(12, 59), {"held_at": clock(12, 58)}, PromiseState.BROKEN, PromiseReason.HOLDING_INSTEAD),
        (
            clock(14),
            {"held_at": clock(12, 58), "fulfilled_at": clock(12, 59)},
            PromiseState.BROKEN,
            PromiseReason.HOLDING_INSTEAD,
        ),
        (clock(14), {"ended_at": clock(12, 30)}, PromiseState.ENDED, PromiseReason.NOBODY_WAITING),
        (clock(14), {"ended_at": clock(13, 30)}, PromiseState.BROKEN, PromiseReason.NOT_AT_ALL),
        (
            clock(14),
            {"kind": PromiseKind.OUTCOME, "fulfilled_at": clock(12, 54)},
            PromiseState.KEPT_EARLY,
            PromiseReason.DONE_EARLY,
        ),
        (
            clock(14),
            {"kind": PromiseKind.OUTCOME, "fulfilled_at": clock(12, 54, 1)},
            PromiseState.KEPT,
            PromiseReason.DONE_IN_TIME,
        ),
    ],
)
def test_a_promise_is_judged_by_what_is_known(now, changes, state, reason):
    verdict = promise_state(facts_of(**changes), now=now)
    assert (verdict.state, verdict.reason) == (state, reason)


@pytest.mark.parametrize(
    ("due_at", "interval", "spoken"),
    [
        (clock(10, 26, 1), timedelta(hours=1), clock(10, 30)),
        (clock(10, 30), timedelta(hours=1), clock(10, 30)),
        (clock(10, 30, 1), timedelta(minutes=30), clock(10, 35)),
        (clock(10, 26, 1), timedelta(minutes=29), clock(10, 27)),
        (clock(10, 26), timedelta(minutes=2), clock(10, 26)),
        (clock(10, 26, 1), seconds(20), clock(10, 26, 1)),
        (clock(10, 26, 1).replace(microsecond=5), seconds(20), clock(10, 26, 2)),
        (clock(23, 58), timedelta(hours=1), clock(12) + timedelta(hours=12)),
        # 01:58 on the wall just before the clocks go forward is told as 03:00.
        (
            datetime(2026, 3, 29, 1, 58, tzinfo=AMSTERDAM),
            timedelta(hours=1),
            datetime(2026, 3, 29, 3, 0, tzinfo=AMSTERDAM),
        ),
        # 02:58 in summer time is told as the second 02:00, an hour before 03:00.
        (
            datetime(2026, 10, 25, 2, 58, tzinfo=AMSTERDAM),
            timedelta(hours=1),
            datetime(2026, 10, 25, 2, 0, tzinfo=AMSTERDAM, fold=1),
        ),
    ],
)
def test_people_are_told_a_round_time_that_is_never_too_early(due_at, interval, spoken):
    told = spoken_time(due_at, interval)
    assert told == spoken.astimezone(UTC)
    assert told >= due_at.astimezone(UTC)


def test_a_spoken_time_needs_a_zone():
    with pytest.raises(ValueError, match="zone"):
        spoken_time(NOON.replace(tzinfo=None), timedelta(hours=1))


def test_seconds_are_said_only_where_they_matter():
    assert spoken_precision(timedelta(minutes=2)) is Precision.MINUTE
    assert spoken_precision(seconds(119)) is Precision.SECOND


@pytest.mark.parametrize(
    ("at", "ambiguous"),
    [
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), True),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), True),
        (datetime(2026, 10, 25, 2, 0, tzinfo=UTC), False),
        (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), False),
    ],
)
def test_a_wall_time_that_comes_twice_is_recognised(at, ambiguous):
    assert is_ambiguous(at, AMSTERDAM) is ambiguous


@pytest.mark.parametrize(
    ("hours", "warned_before"),
    [(1, timedelta(minutes=12)), (5, timedelta(hours=1)), (48, timedelta(hours=1)), (0, timedelta(0))],
)
def test_who_promised_that_something_is_done_is_warned_an_hour_before_or_a_fifth_of_the_time(
    hours: float, warned_before: timedelta
) -> None:
    made_at = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    due_at = made_at + timedelta(hours=hours)
    times = outcome_times(made_at, due_at)
    assert due_at - times.warn_at == warned_before
    assert times.hold_at == due_at


def test_nothing_is_promised_to_be_done_before_it_is_promised() -> None:
    made_at = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    with pytest.raises(ValueError, match="before it is made"):
        outcome_times(made_at, made_at - timedelta(seconds=1))
