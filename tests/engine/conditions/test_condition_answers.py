"""What a condition answers in Python."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.engine.conditions.answers import ANSWERS
from tests.engine.conditions.example_schema import NOW, SCHEMA

from beforehand.engine.conditions import parse


@pytest.mark.parametrize(("source", "facts", "answer"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
def test_a_condition_answers_as_the_table_says(source: str, facts: dict[str, Any], answer: bool | None) -> None:
    condition = parse(source, SCHEMA)

    assert condition.evaluate(facts, now=NOW) is answer
    assert condition.matches(facts, now=NOW) is (answer is True)


@pytest.mark.parametrize(
    ("source", "facts"),
    [
        ('customer.language == "nl"', {"customer.language": b"nl"}),
        ('customer.language == "1"', {"customer.language": 1}),
        ("customer.score == 1", {"customer.score": True}),
        ("customer.score == 1", {"customer.score": "1"}),
        ("customer.score < 1", {"customer.score": float("nan")}),
        ("customer.score > 1", {"customer.score": float("inf")}),
        ("customer.score > 1", {"customer.score": Decimal("NaN")}),
        ("customer.business", {"customer.business": 1}),
        ("customer.joined_at < now", {"customer.joined_at": "2026-03-01T00:00:00Z"}),
        ("customer.joined_at < now", {"customer.joined_at": datetime(2026, 3, 1)}),  # noqa: DTZ001
        ("customer.born_on < now", {"customer.born_on": datetime(2026, 3, 1, tzinfo=UTC)}),
        ("customer.born_on < now", {"customer.born_on": "2026-03-01"}),
        ('"a" in customer.reads', {"customer.reads": "abc"}),
        ("details.due_on < now", {"details.due_on": date(2026, 3, 1)}),
        ("holdings.exists(h, true)", {"holdings": None}),
        ("holdings.all(h, true)", {"holdings": {"product": "modem"}}),
        ("!holdings.exists(h, true)", {}),
    ],
)
def test_a_value_of_the_wrong_type_is_unknown(source: str, facts: dict[str, Any]) -> None:
    assert parse(source, SCHEMA).evaluate(facts, now=NOW) is None


def test_an_item_that_is_no_mapping_has_nothing() -> None:
    assert parse("holdings.all(h, !has(h.quantity))", SCHEMA).evaluate({"holdings": ["modem", None]}, now=NOW) is True


def test_a_decimal_from_the_database_equals_the_literal_that_looks_the_same() -> None:
    assert parse("customer.score == 0.1", SCHEMA).matches({"customer.score": Decimal("0.10")}, now=NOW)


def test_an_hour_that_comes_twice_is_told_apart() -> None:
    second = datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Amsterdam"))

    condition = parse('customer.joined_at == timestamp("2026-10-25T01:30:00Z")', SCHEMA)

    assert condition.matches({"customer.joined_at": second}, now=NOW)
    assert not condition.matches({"customer.joined_at": second.replace(fold=0)}, now=NOW)


def test_a_condition_tells_a_loader_what_it_needs() -> None:
    condition = parse(
        'has(labels["node"]) && customer.score > 1 && holdings.exists(h, h.product == "a" && h.tags.b == details.note)',
        SCHEMA,
    )

    assert condition.facts_used == {
        "labels", "customer.score", "holdings", "holdings.product", "holdings.tags", "details.note"
    }  # fmt: skip


def test_the_same_text_is_the_same_condition() -> None:
    assert parse("customer.score > 1", SCHEMA) == parse("customer.score > 1", SCHEMA)
    assert parse("customer.score > 1", SCHEMA).tree == parse("customer.score  >  1", SCHEMA).tree
    assert parse("customer.score > 1", SCHEMA).tree != parse("customer.score > 2", SCHEMA).tree
