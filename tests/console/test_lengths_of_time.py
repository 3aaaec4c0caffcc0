"""Lengths of time, said in every language of the product."""

from datetime import timedelta

import pytest
from django.utils import translation

from beforehand.console.runs import spoken_length

LONG = timedelta(days=8, hours=2, minutes=1, seconds=30)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "8 days 2 hours 1 minute 30 seconds"),
        ("nl", "8 dagen 2 uur 1 minuut 30 seconden"),
        ("ar", "8 أيام ساعتان دقيقة 30 ثانية"),
        ("hi", "8 दिन 2 घंटे 1 मिनट 30 सेकंड"),
    ],
)
def test_a_length_of_time_is_said_in_words_of_every_language(language: str, said: str) -> None:
    with translation.override(language):
        assert spoken_length(LONG) == said


def test_a_length_of_time_is_said_in_as_many_units_as_are_asked_for() -> None:
    with translation.override("en"):
        assert spoken_length(LONG, units=2) == "8 days 2 hours"
        assert spoken_length(timedelta(days=400), units=1) == "400 days"
        assert spoken_length(timedelta()) == "0 seconds"
