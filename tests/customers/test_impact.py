"""Whom a problem touches, and why."""

from datetime import UTC, datetime

import pytest

from beforehand.customers.actions import declare_attribute, upsert_components, upsert_customers, upsert_holdings
from beforehand.customers.facts import customer_schema
from beforehand.customers.impact import MAX_DEPTH, components_below, impact_select
from beforehand.customers.models import Component, ComponentDependency, Customer, Holding
from beforehand.engine.conditions import parse
from beforehand.kit.rows import fetch

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BY = {"actor": "test", "source": "test"}


@pytest.fixture(autouse=True)
def ground() -> None:
    """region ← node-1 ← cabinet; node-2 on its own. Bram hangs on the cabinet, Dana on node-1 twice, Elif on node-2."""
    declare_attribute(owner="holding", name="firmware", type="text", actor="test")
    upsert_components(
        [
            {"external_id": "region", "kind": "region", "name": "Region"},
            {"external_id": "node-1", "kind": "node", "name": "Node 1", "depends_on": ["region"]},
            {"external_id": "cabinet", "kind": "cabinet", "name": "Cabinet", "depends_on": ["node-1"]},
            {"external_id": "node-2", "kind": "node", "name": "Node 2"},
        ],
        **BY,
    )
    upsert_customers(
        [{"external_id": n, "name": n.title(), "language": "nl"} for n in ("bram", "dana", "elif", "past")], **BY
    )
    upsert_customers([{"external_id": "aisha", "name": "Aisha", "language": "ar"}], **BY)
    upsert_holdings(
        [
            {"external_id": external_id, "customer": customer, "product": "fibre", "components": components, **more}
            for external_id, customer, components, more in (
                ("b", "bram", ["cabinet"], {"attributes": {"firmware": "1.2"}}),
                ("d1", "dana", ["cabinet"], {"attributes": {"firmware": "1.1"}}),
                ("d2", "dana", ["node-1", "node-2"], {"attributes": {"firmware": "1.2"}}),
                ("e", "elif", ["node-2"], {"until": "2026-03-02"}),
                ("p", "past", ["node-1"], {"until": "2026-03-01"}),
                ("a", "aisha", ["region"], {}),
            )
        ],
        **BY,
    )


def touched(*components: str, condition: str = "") -> list[tuple[str, str | None, str | None]]:
    ids = dict(Component.objects.values_list("external_id", "id"))
    select = impact_select(
        now=NOW,
        component_ids=[ids[name] for name in components],
        condition=parse(condition, customer_schema()) if condition else None,
    )
    by_customer = dict(Customer.objects.values_list("id", "external_id"))
    by_component: dict[int | None, str | None] = {id_: name for name, id_ in ids.items()}
    by_holding = dict(Holding.objects.values_list("id", "external_id"))
    rows = fetch(select.sql, select.params)
    return sorted((by_customer[c], by_component.get(k), by_holding.get(h)) for c, k, h in rows)


def test_everyone_below_a_component_is_touched_once_with_the_nearest_reason() -> None:
    assert touched("node-1") == [("bram", "cabinet", "b"), ("dana", "node-1", "d2")]


def test_what_is_below_reaches_through_every_step() -> None:
    assert touched("region") == [("aisha", "region", "a"), ("bram", "cabinet", "b"), ("dana", "node-1", "d2")]


def test_a_holding_counts_until_the_day_on_which_it_ends() -> None:
    assert ("elif", "node-2", "e") in touched("node-2")
    assert "past" not in {name for name, _, _ in touched("node-1")}


def test_several_components_are_one_scope() -> None:
    assert {name for name, _, _ in touched("cabinet", "node-2")} == {"bram", "dana", "elif"}


def test_a_condition_alone_names_the_holding_that_it_found() -> None:
    assert touched(condition='holdings.exists(h, h.attributes.firmware == "1.2") && customer.language == "nl"') == [
        ("bram", None, "b"),
        ("dana", None, "d2"),
    ]


def test_a_condition_without_a_needed_holding_names_none() -> None:
    assert touched(condition='customer.language == "ar"') == [("aisha", None, None)]
    either = 'customer.language == "ar" || holdings.exists(h, h.attributes.firmware == "1.1")'
    assert touched(condition=either) == [("aisha", None, None), ("dana", None, None)]


def test_with_components_and_a_condition_both_must_hold() -> None:
    condition = 'holdings.exists(h, h.attributes.firmware == "1.1")'
    assert touched("region", condition=condition) == [("dana", "node-1", "d2")]


def test_a_condition_may_ask_for_a_component_by_its_number() -> None:
    assert touched(condition='holdings.exists(h, "node-2" in h.components)') == [
        ("dana", None, "d2"),
        ("elif", None, "e"),
    ]


def test_no_scope_touches_nobody() -> None:
    assert touched() == []


def test_the_list_can_be_written_without_leaving_the_database() -> None:
    select = impact_select(now=NOW, component_ids=[Component.objects.get(external_id="node-1").pk])
    rows = fetch(f"WITH made AS ({select.sql}) SELECT count(*) FROM made", select.params)
    assert rows == [(2,)]


def test_a_circle_that_came_in_past_the_actions_ends_the_search() -> None:
    ids = dict(Component.objects.values_list("external_id", "id"))
    ComponentDependency.objects.create(component_id=ids["region"], depends_on_id=ids["cabinet"])
    assert components_below([ids["node-1"]]) == {ids["node-1"]: 0, ids["cabinet"]: 1, ids["region"]: 2}


def test_a_chain_is_followed_to_a_limit() -> None:
    chain = [
        {"external_id": f"k{n}", "kind": "part", "name": "Part", "depends_on": [f"k{n - 1}"] if n else []}
        for n in range(30)
    ]
    upsert_components(chain, **BY)
    first = Component.objects.get(external_id="k0").pk
    assert max(components_below([first]).values()) == MAX_DEPTH
