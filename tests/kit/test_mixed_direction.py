"""A name in a sentence that runs the other way is isolated, and nothing else is."""

import pytest
from django.utils import translation

from beforehand.kit.web.mixed import FSI, PDI, apart, isolated


@pytest.mark.parametrize(
    ("language", "text", "is_isolated"),
    [
        ("ar", "Internet outage", True),
        ("ar", "انقطاع UTR-04", True),
        ("ar", "انقطاع", False),
        ("ar", "10:30", False),
        ("ar", "", False),
        ("en", "عائشة الفاسي", True),
        ("en", "Fibre عائشة", True),
        ("hi", "चित्रा शर्मा, Fibre 500", False),
        ("en", "Bram de Vries", False),
    ],
)
def test_a_text_is_isolated_where_it_runs_otherwise_than_the_reader_reads(
    language: str, text: str, is_isolated: bool
) -> None:
    with translation.override(language):
        assert isolated(text) == (f"{FSI}{text}{PDI}" if is_isolated else text)


def test_the_values_of_a_sentence_are_kept_apart_and_numbers_stay_numbers() -> None:
    with translation.override("ar"):
        assert apart(title="Fibre", count=4) == {"title": f"{FSI}Fibre{PDI}", "count": 4}
