"""What an answer means, and by when a person is in touch."""

from datetime import UTC, datetime, time, timedelta

import pytest

from beforehand.engine.answers import AnswerMeaning, answer_meaning, contact_due

NOON = datetime(2026, 11, 23, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("works", "is_over", "meaning"),
    [
        (True, False, AnswerMeaning.EVIDENCE),
        (False, False, AnswerMeaning.KNOWN),
        (True, True, AnswerMeaning.CONFIRMED),
        (False, True, AnswerMeaning.REOPENED),
    ],
)
def test_only_still_broken_after_the_end_asks_a_person(works: bool, is_over: bool, meaning: AnswerMeaning) -> None:
    assert answer_meaning(works=works, is_over=is_over) is meaning


def due(now: datetime, *, before: int = 0, zone: str = "UTC") -> datetime:
    return contact_due(now, within=timedelta(hours=2), before=before, zone=zone, quiet_from=time(22), quiet_to=time(8))


def test_by_day_it_is_the_time_that_we_allow_ourselves_rounded_up() -> None:
    assert due(NOON) == datetime(2026, 11, 23, 14, 5, tzinfo=UTC)


def test_nobody_is_promised_a_call_in_their_night() -> None:
    assert due(datetime(2026, 11, 23, 21, 0, tzinfo=UTC)) == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    assert due(datetime(2026, 11, 23, 3, 0, tzinfo=UTC)) == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def test_the_night_is_the_customers_own() -> None:
    afternoon = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)  # 20:30 in Kolkata, so two hours later it is quiet there
    assert due(afternoon, zone="Asia/Kolkata") == datetime(2026, 11, 24, 3, 30, tzinfo=UTC)
    assert due(afternoon) == datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def test_who_is_let_down_again_is_not_sent_an_apology_every_two_hours() -> None:
    morning = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    hours = [(due(morning, before=times) - morning) / timedelta(hours=1) for times in range(3)]
    assert hours == [2, 4, 8]
    assert due(morning, before=9) == due(morning, before=3) == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
