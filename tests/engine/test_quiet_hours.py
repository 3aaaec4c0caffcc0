"""Quiet hours by the recipient's wall clock, on ordinary nights and on those when the clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.engine.quiet_hours import quiet_until

NIGHT = {"start": time(22), "end": time(8)}
AMSTERDAM = "Europe/Amsterdam"


def local(zone: str, *parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(zone), fold=fold)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("zone", "now", "until"),
    [
        (AMSTERDAM, (2026, 11, 23, 21, 59, 59), None),
        (AMSTERDAM, (2026, 11, 23, 22, 0), (2026, 11, 24, 8, 0)),
        (AMSTERDAM, (2026, 11, 23, 23, 30), (2026, 11, 24, 8, 0)),
        (AMSTERDAM, (2026, 11, 24, 7, 59, 59), (2026, 11, 24, 8, 0)),
        (AMSTERDAM, (2026, 11, 24, 8, 0), None),
        ("Asia/Kolkata", (2026, 11, 23, 22, 15), (2026, 11, 24, 8, 0)),
        ("Pacific/Apia", (2026, 11, 23, 3, 0), (2026, 11, 23, 8, 0)),
        (AMSTERDAM, (2026, 10, 24, 23, 0), (2026, 10, 25, 8, 0)),  # an hour longer: the clocks go back at three
        (AMSTERDAM, (2027, 3, 27, 23, 0), (2027, 3, 28, 8, 0)),  # an hour shorter
        ("America/Sao_Paulo", (2018, 11, 3, 23, 0), (2018, 11, 4, 8, 0)),  # the clocks go forward at midnight
    ],
)
def test_the_night_is_quiet_until_the_morning_there(
    zone: str, now: tuple[int, ...], until: tuple[int, ...] | None
) -> None:
    expected = local(zone, *until).astimezone(UTC) if until else None
    assert quiet_until(local(zone, *now), zone=zone, **NIGHT) == expected


def test_a_window_within_one_day_is_quiet_in_between_only() -> None:
    noon = {"start": time(12), "end": time(14)}
    assert quiet_until(local(AMSTERDAM, 2026, 6, 1, 11, 59), zone=AMSTERDAM, **noon) is None
    assert quiet_until(local(AMSTERDAM, 2026, 6, 1, 13), zone=AMSTERDAM, **noon) == local(AMSTERDAM, 2026, 6, 1, 14)
    assert quiet_until(local(AMSTERDAM, 2026, 6, 1, 14), zone=AMSTERDAM, **noon) is None


def test_equal_times_mean_no_quiet_hours() -> None:
    assert quiet_until(local(AMSTERDAM, 2026, 6, 1, 8), zone=AMSTERDAM, start=time(8), end=time(8)) is None


def test_an_end_in_the_hour_that_is_skipped_is_read_as_if_the_clocks_had_not_changed() -> None:
    asked = quiet_until(local(AMSTERDAM, 2027, 3, 28, 1), zone=AMSTERDAM, start=time(22), end=time(2, 30))
    assert asked == local(AMSTERDAM, 2027, 3, 28, 3, 30)


def test_an_end_in_the_hour_that_comes_twice_is_the_first_and_the_silence_is_then_over() -> None:
    window = {"zone": AMSTERDAM, "start": time(22), "end": time(2, 30)}
    assert quiet_until(local(AMSTERDAM, 2026, 10, 25, 2, 10), **window) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert quiet_until(local(AMSTERDAM, 2026, 10, 25, 2, 10, fold=1), **window) is None


def test_on_the_day_that_samoa_left_out_the_morning_after_is_meant() -> None:
    evening = local("Pacific/Apia", 2011, 12, 29, 23)
    assert quiet_until(evening, zone="Pacific/Apia", **NIGHT) == local("Pacific/Apia", 2011, 12, 31, 8)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        quiet_until(datetime(2026, 1, 1, tzinfo=UTC), zone="Mars/Olympus", **NIGHT)


ZONES = [AMSTERDAM, "Asia/Kolkata", "Pacific/Apia", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Casablanca"]


@given(
    now=st.integers(1_262_304_000, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    zone=st.sampled_from(ZONES),
    start=st.times(),
    end=st.times(),
)
def test_silence_ends_later_than_now_and_within_a_day_and_a_few_hours(
    now: datetime, zone: str, start: time, end: time
) -> None:
    until = quiet_until(now, zone=zone, start=start, end=end)
    if until is not None:
        assert until.utcoffset() == timedelta(0)
        assert now < until <= now + timedelta(hours=26 if zone != "Pacific/Apia" else 50)


@given(
    day=st.dates(date(2026, 1, 1), date(2027, 12, 31)),
    minute=st.integers(0, 1439),
    zone=st.sampled_from(ZONES),
    start=st.times(),
    end=st.times(),
)
def test_on_nights_without_a_clock_change_the_wall_clock_decides(
    day: date, minute: int, zone: str, start: time, end: time
) -> None:
    wall = time(minute // 60, minute % 60)
    now = datetime.combine(day, wall, ZoneInfo(zone))
    around = {(now + timedelta(days=days)).utcoffset() for days in (-2, -1, 0, 1, 2)}
    if len(around) > 1:
        return
    inside = start <= wall < end if start <= end else wall >= start or wall < end
    assert (quiet_until(now, zone=zone, start=start, end=end) is not None) == inside
