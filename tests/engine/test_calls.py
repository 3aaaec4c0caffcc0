"""What follows from a call, and by when one is to be made."""

from datetime import UTC, datetime, timedelta

import pytest

from beforehand.engine.calls import AfterCall, CallReason, CallResult, after_call, call_due
from beforehand.engine.contacts import ContactFault

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def test_reached_is_told() -> None:
    assert after_call(CallResult.REACHED, attempt=3, now=NOW) == AfterCall(True)


@pytest.mark.parametrize(("attempt", "minutes"), [(1, 15), (2, 30), (3, 60), (9, 60)])
def test_nobody_answers_less_and_less_often(attempt: int, minutes: int) -> None:
    after = after_call(CallResult.NO_ANSWER, attempt=attempt, now=NOW)
    assert after == AfterCall(False, CallReason.NO_ANSWER, NOW + timedelta(minutes=minutes))


def test_a_wrong_number_is_held_against_the_number() -> None:
    after = after_call(CallResult.WRONG_NUMBER, attempt=1, now=NOW)
    assert after == AfterCall(False, CallReason.WRONG_NUMBER, None, ContactFault.INVALID)


@pytest.mark.parametrize(("next_word", "due"), [(None, 60), (30, 30), (90, 60), (-5, 60)])
def test_a_call_is_due_in_the_agreed_time_and_before_the_next_word(next_word: int | None, due: int) -> None:
    next_word_at = None if next_word is None else NOW + timedelta(minutes=next_word)
    assert call_due(NOW, within=timedelta(minutes=60), next_word_at=next_word_at) == NOW + timedelta(minutes=due)
