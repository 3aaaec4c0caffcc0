"""Texts as an array parameter arrive as they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.kit.rows import array_literal, bulk_fetch

STORABLE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.mark.django_db
def test_every_text_arrives_as_it_was() -> None:
    @given(st.lists(st.none() | STORABLE | st.sampled_from(["NULL", "", '"', "\\", "{a,b}", "\\n", " x "])))
    def arrives(values: list[str | None]) -> None:
        assert bulk_fetch("SELECT %s::text[]", [array_literal(values)]) == [(values,)]

    arrives()
