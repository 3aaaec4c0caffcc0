import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.engine.pace import Pace, reconnect_delay


@given(
    rate=st.floats(5, 20_000),
    looks=st.lists(st.integers(1, 100).map(lambda halves: halves / 2_000), min_size=30, max_size=60),
    begun_at=st.floats(0, 1e7),
)
def test_the_rate_asked_for_is_reached_within_two_percent(rate: float, looks: list[float], begun_at: float) -> None:
    pace, now, sent = Pace(rate, burst=1 + rate * 0.05), begun_at, 0
    pace = pace.taken(pace.allowed(now), now)  # the first burst is on top of the rate
    for step in looks:
        now += step
        count = pace.allowed(now)
        pace = pace.taken(count, now)
        sent += count
    expected = rate * sum(looks)
    assert abs(sent - expected) <= max(1.0, 0.02 * expected) + 1e-6


@given(st.floats(0.1, 1_000), st.floats(1, 100), st.lists(st.floats(0, 5), max_size=50))
def test_no_span_of_time_ever_sees_more_than_a_burst_and_its_rate(
    rate: float, burst: float, steps: list[float]
) -> None:
    pace, now, sent = Pace(rate, burst), 0.0, 0
    for step in steps:
        now += step
        count = pace.allowed(now)
        pace = pace.taken(count, now)
        sent += count
    assert sent <= burst + rate * now + 1e-6


def test_a_new_pace_holds_its_burst_and_then_earns() -> None:
    pace = Pace(10, burst=5)
    assert pace.allowed(0) == 5
    pace = pace.taken(5, 0)
    assert pace.allowed(0) == 0
    assert pace.allowed(0.1) == 1
    assert pace.allowed(100) == 5
    assert pace.wait(1, 0) == pytest.approx(0.1)
    assert pace.wait(1, 1) == 0
    assert pace.wait(1_000, 0) == pytest.approx(0.5)


def test_a_clock_that_is_set_back_neither_earns_nor_loses() -> None:
    pace = Pace(10, burst=5).taken(5, 100)
    assert pace.allowed(50) == 0
    pace = pace.taken(0, 50)
    assert pace.allowed(100.1) == 1


def test_too_much_taken_is_paid_back() -> None:
    pace = Pace(10, burst=5).taken(15, 0)
    assert pace.allowed(1) == 0
    assert pace.wait(1, 0) == pytest.approx(1.1)
    assert pace.allowed(1.1) == 1


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0.5), (float("nan"), 1)])
def test_a_pace_that_could_never_send_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError):
        Pace(rate, burst)


def test_less_than_none_cannot_be_taken() -> None:
    with pytest.raises(ValueError):
        Pace(1, 1).taken(-1, 0)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(-1, 0), (0, 0), (1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (10**9, 300)]
)
def test_a_server_that_is_gone_is_tried_less_and_less_often(failures: int, seconds: float) -> None:
    assert reconnect_delay(failures) == seconds
