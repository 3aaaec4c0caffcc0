"""The text of the SQL: nothing that an author wrote is in it."""

import re
from datetime import timedelta
from decimal import Decimal

from tests.engine.conditions.answers import ANSWERS
from tests.engine.conditions.example_schema import NOW, ODD_KEY, SCHEMA

from beforehand.engine.conditions import parse


def test_literals_and_keys_are_bound_and_never_written() -> None:
    sql = parse(
        """customer.name == "zq'1" && labels["zq%2"] == "zq3" && details.odd in ["zq4"] && customer.score > 77123""",
        SCHEMA,
    ).sql(now=NOW)

    assert "zq" not in sql.text
    assert "77123" not in sql.text
    assert sorted(map(str, sql.params.values())) == sorted(
        ["zq'1", "zq%2", "zq3", ODD_KEY, "['zq4']", "77123"]
    )  # fmt: skip


def test_each_placeholder_has_its_value_and_each_value_its_placeholder() -> None:
    for _, source, _, _ in ANSWERS:
        sql = parse(source, SCHEMA).sql(now=NOW, prefix="p_")

        assert set(re.findall(r"%\((p_\d+)\)s", sql.text)) == set(sql.params)
        assert sql.text.count("%") == len(re.findall(r"%\(p_\d+\)s", sql.text))


def test_now_is_a_parameter() -> None:
    sql = parse('customer.joined_at < now - duration("1h")', SCHEMA).sql(now=NOW)

    assert sql.text == "((c.joined_at) < %(condition_1)s::timestamptz)"
    assert sql.params == {"condition_1": NOW - timedelta(hours=1)}


def test_the_sql_of_a_plain_comparison_can_use_an_index() -> None:
    assert parse('customer.language == "nl"', SCHEMA).sql(now=NOW).text == "((c.language) = %(condition_1)s::text)"


def test_texts_are_ordered_by_code_point_whatever_the_database_sorts_by() -> None:
    sql = parse('customer.name < "a"', SCHEMA).sql(now=NOW)

    assert sql.text == '(((c.name) COLLATE "C") < (%(condition_1)s::text COLLATE "C"))'


def test_numbers_are_bound_as_decimals_of_one_type() -> None:
    sql = parse("customer.score in [1, 2.5]", SCHEMA).sql(now=NOW)

    assert sql.params == {"condition_1": [Decimal(1), Decimal("2.5")]}
    assert {type(number) for number in sql.params["condition_1"]} == {Decimal}  # type: ignore[union-attr]


def test_a_choice_within_a_choice_does_not_grow_out_of_hand() -> None:
    source = "nullable"
    for _ in range(20):
        source = f"({source}) ? nullable : true"

    assert len(parse(source, SCHEMA).sql(now=NOW).text) < 5000
