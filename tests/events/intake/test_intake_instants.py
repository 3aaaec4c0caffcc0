"""Times as senders write them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.events.intake.instants import ZERO, instant, instant_of_epoch, instant_without_zone


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T14:05:00Z", datetime(2026, 3, 1, 14, 5, tzinfo=UTC)),
        ("2026-03-01t14:05:00z", datetime(2026, 3, 1, 14, 5, tzinfo=UTC)),
        ("2026-03-01 14:05:00+00:00", datetime(2026, 3, 1, 14, 5, tzinfo=UTC)),
        ("2026-03-01T14:05:00-00:00", datetime(2026, 3, 1, 14, 5, tzinfo=UTC)),
        ("2026-03-01T14:05:00.315+0000", datetime(2026, 3, 1, 14, 5, 0, 315_000, tzinfo=UTC)),
        ("2026-03-01T14:05:00+05:30", datetime(2026, 3, 1, 8, 35, tzinfo=UTC)),
        ("2026-03-01T14:05:00.5Z", datetime(2026, 3, 1, 14, 5, 0, 500_000, tzinfo=UTC)),
        ("2026-03-01T14:05:00.123456789Z", datetime(2026, 3, 1, 14, 5, 0, 123_456, tzinfo=UTC)),
        ("2026-03-01t14:05:00.123456789+01:00", datetime(2026, 3, 1, 13, 5, 0, 123_456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31t23:59:60.75z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T15:59:60-08:00", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", ZERO),
    ],
)
def test_it_reads_every_form_of_rfc_3339(text: str, moment: datetime) -> None:
    assert instant(text) == moment
    assert instant(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-03-01", "2026-03-01T14:05Z", "2026-03-01T14:05:00", "2026-03-01T14:05:00+01", "20260301T140500Z",
     "2026-W09-7T14:05:00Z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T14:60:00Z",
     "2026-03-01T14:05:61Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "0001-01-01T00:00:00+05:00",
     "2026-03-01T14:05:00+24:00", "2026-03-01T14:05:00Z ", "٢٠٢٦-03-01T14:05:00Z", "2026-03-01T14:05:00,5Z"],
)  # fmt: skip
def test_it_refuses_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        instant(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_survives_being_written_and_read(moment: datetime) -> None:
    assert instant(moment.isoformat()) == moment


def test_a_time_without_a_zone_is_read_as_utc() -> None:
    assert instant_without_zone("2026-03-01 14:05:00.250") == datetime(2026, 3, 1, 14, 5, 0, 250_000, tzinfo=UTC)
    with pytest.raises(ValueError, match="offset"):
        instant_without_zone("2026-03-01 14:05:00Z")


@pytest.mark.parametrize("value", [1_767_225_600, "1767225600", 1_767_225_600.0])
def test_seconds_since_1970_are_read_from_numbers_and_text(value: float | str) -> None:
    assert instant_of_epoch(value, units_a_second=1) == datetime(2026, 1, 1, tzinfo=UTC)


def test_milliseconds_are_a_thousandth_of_seconds() -> None:
    assert instant_of_epoch(1_767_225_600_250, units_a_second=1000) == datetime(2026, 1, 1, tzinfo=UTC) + timedelta(
        milliseconds=250
    )


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", 1e300, -1e15])
def test_it_refuses_numbers_outside_the_calendar(value: float | str) -> None:
    with pytest.raises(ValueError, match="1970"):
        instant_of_epoch(value, units_a_second=1)
