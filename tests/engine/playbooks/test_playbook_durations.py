"""Durations in words."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.engine.playbooks.durations import (
    DurationError,
    DurationReason,
    duration_parts,
    duration_words,
    parse_duration,
)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("3 minutes", timedelta(minutes=3)),
        ("1 minute", timedelta(minutes=1)),
        ("45 seconds", timedelta(seconds=45)),
        ("2 hours", timedelta(hours=2)),
        ("1 day", timedelta(days=1)),
        ("1 hour 30 minutes", timedelta(minutes=90)),
        ("1 day and 2 hours", timedelta(hours=26)),
        ("1 minutes", timedelta(minutes=1)),
        ("366 days", timedelta(days=366)),
    ],
)
def test_it_reads_what_people_write(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("60", DurationReason.NO_UNIT, "Say the unit, like “60 minutes”."),
        ("3m", DurationReason.NOT_WORDS, "Write “3 minutes”."),
        ("10 secs", DurationReason.NOT_WORDS, "Write “10 seconds”."),
        ("2 HRS", DurationReason.NOT_WORDS, "Write “2 hours”."),
        ("PT5M", DurationReason.NOT_WORDS, "number and a unit"),
        ("soon", DurationReason.NOT_WORDS, "number and a unit"),
        ("-3 minutes", DurationReason.NOT_WORDS, "number and a unit"),
        ("٣ minutes", DurationReason.NOT_WORDS, "number and a unit"),
        ("30 minutes 1 hour", DurationReason.NOT_DESCENDING, "larger unit first"),
        ("1 hour 2 hours", DurationReason.NOT_DESCENDING, "each unit once"),
        ("0 minutes", DurationReason.ZERO, "longer than nothing"),
        ("367 days", DurationReason.TOO_LONG, "366 days"),
    ],
)
def test_it_says_what_to_write_instead(text, reason, hint):
    with pytest.raises(DurationError) as caught:
        parse_duration(text)
    assert caught.value.reason is reason
    assert hint in caught.value.hint


@given(st.integers(min_value=1, max_value=366 * 86_400))
def test_words_read_back_as_the_same_duration(seconds):
    duration = timedelta(seconds=seconds)
    assert parse_duration(duration_words(duration)) == duration


def test_rhythms_stay_in_minutes_and_longer_times_are_split():
    assert duration_words(timedelta(minutes=60)) == "60 minutes"
    assert duration_words(timedelta(minutes=1)) == "1 minute"
    assert duration_parts(timedelta(days=1, seconds=5)) == ((1, "day"), (5, "second"))
