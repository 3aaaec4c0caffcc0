"""What may be declared."""

import pytest

from beforehand.engine.conditions import Collection, Fact, FactType, OpenMap, Schema, by_name, parse

SCORE = Fact("score", FactType.NUMBER, "score")


@pytest.mark.parametrize("name", ["now", "has.x", "in", "1st", "a b.c", "timestamp"])
def test_a_name_that_could_not_be_written_is_not_declared(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be declared"):
        Schema(facts=by_name([Fact(name, FactType.TEXT, "x")]))


def test_one_name_does_not_mean_two_things() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        by_name([SCORE, SCORE])
    with pytest.raises(ValueError, match="same name"):
        Schema(facts=by_name([SCORE]), open_maps=by_name([OpenMap("score", "x")]))
    with pytest.raises(ValueError, match="same name"):
        Schema(facts=by_name([SCORE]), collections=by_name([Collection("score", {}, "x", "true")]))


def test_a_fact_may_be_declared_inside_an_open_map() -> None:
    schema = Schema(
        facts=by_name([Fact("labels.count", FactType.NUMBER, "x", json=True, json_key="count")]),
        open_maps=by_name([OpenMap("labels", "x")]),
    )

    assert parse("labels.count > 1 && labels.node == 'a'", schema).facts_used == {"labels", "labels.count"}


def test_a_collection_without_facts_still_counts_its_rows() -> None:
    schema = Schema(collections=by_name([Collection("holdings", {}, "holdings h", "h.customer_id = c.id")]))

    assert parse("holdings.exists(h, true)", schema).facts_used == {"holdings"}
