"""What a condition may say, but its author should know."""

import pytest
from tests.engine.conditions.example_schema import SCHEMA

from beforehand.engine.conditions import ConditionWarning, ConditionWarningReason, parse


def warned(source: str) -> list[tuple[str, int, int]]:
    return [(warning.name, warning.line, warning.column) for warning in parse(source, SCHEMA).warnings]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("customer.language != 'nl'", [("customer.language", 1, 1)]),
        ("!(customer.language == 'nl')", [("customer.language", 1, 1)]),
        ("true &&\n !(customer.language in ['nl'])", [("customer.language", 2, 2)]),
        ("!nullable", [("nullable", 1, 1)]),
        ("!(labels.node == 'a')", [("labels.node", 1, 1)]),
        ("details.size != customer.score", [("details.size", 1, 1), ("customer.score", 1, 1)]),
        ("customer.name != 'a' || !(customer.name != 'b')", [("customer.name", 1, 1)]),
        ("holdings.exists(h, h.quantity != 1)", [("h.quantity", 1, 20)]),
        (
            "holdings.exists(h, has(h.quantity) && h.quantity != 1) || holdings.all(h, h.quantity != 1)",
            [("h.quantity", 1, 75)],
        ),
    ],
)
def test_denying_a_fact_that_may_be_missing_warns_once(source: str, expected: list[tuple[str, int, int]]) -> None:
    assert warned(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "customer.language == 'nl'",
        "customer.id != 5",
        "has(customer.language) && customer.language != 'nl'",
        "!has(customer.language) || customer.language != 'nl'",
        "!has(customer.language)",
        "!holdings.exists(h, h.quantity == 1)",
        "holdings.exists(h, h.product != 'modem')",
        "customer.name == 'a' && 1 != 2",
    ],
)
def test_no_warning_where_nothing_surprises(source: str) -> None:
    assert warned(source) == []


def test_a_warning_is_a_plain_sentence() -> None:
    (warning,) = parse("customer.language != 'nl'", SCHEMA).warnings

    assert warning == ConditionWarning(ConditionWarningReason.MISSING_NEVER_DIFFERS, 1, 1, "customer.language")
    assert str(warning) == (
        "Line 1, column 1: where customer.language is missing, this does not match; "
        "say what you want with has(customer.language)."
    )
