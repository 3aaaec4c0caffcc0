"""Customers, components, holdings and consents by the batch."""

from datetime import UTC, datetime

import pytest

from beforehand.customers.actions import (
    declare_attribute,
    record_consents,
    upsert_components,
    upsert_customers,
    upsert_holdings,
)
from beforehand.customers.bulk.problems import BatchResult, ChangeRefused, RowReason
from beforehand.customers.models import (
    Component,
    ComponentDependency,
    Consent,
    ContactPoint,
    Customer,
    Holding,
    HoldingComponent,
)
from beforehand.customers.queries import consents_in_force
from beforehand.events.models import Event

pytestmark = pytest.mark.django_db

BY = {"actor": "user:1", "source": "test"}


def customers(*rows: dict[str, object]) -> BatchResult:
    return upsert_customers(rows, **BY)


def reasons(result: BatchResult) -> list[tuple[int, str, RowReason]]:
    return [(problem.line, problem.column, problem.reason) for problem in result.problems]


def test_a_customer_is_created_with_what_was_stated_and_sound_defaults() -> None:
    result = customers(
        {"external_id": "aisha", "name": "عائشة الفاسي", "language": "ar", "email": "aisha@Mail.example"}
    )
    assert (result.created, result.updated, result.unchanged, result.refused) == (1, 0, 0, 0)
    aisha = Customer.objects.get(external_id="aisha")
    assert (aisha.name, aisha.language, aisha.time_zone) == ("عائشة الفاسي", "ar", "Europe/Amsterdam")
    assert (aisha.kind, aisha.form_of_address, aisha.priority, aisha.access_needs) == ("person", "formal", "normal", [])
    assert aisha.public_id.version == 7
    point = aisha.contact_points.get()
    assert (point.channel, point.address, point.rank, point.status) == ("email", "aisha@mail.example", 1, "working")


def test_the_same_batch_again_changes_nothing_and_says_nothing() -> None:
    row = {"external_id": "bram", "name": "Bram", "access_needs": ["large_print"], "sms": "+31612345678"}
    customers(row)
    before, events = Customer.objects.get().updated_at, Event.objects.count()
    result = customers(row)
    assert (result.created, result.updated, result.unchanged) == (0, 0, 1)
    assert Customer.objects.get().updated_at == before
    assert Event.objects.count() == events


def test_what_a_row_does_not_state_stays_as_it_is() -> None:
    customers({"external_id": "bram", "name": "Bram", "language": "nl", "priority": "care_alarm"})
    result = customers({"external_id": "bram", "name": "Bram de Vries", "language": ""})
    bram = Customer.objects.get()
    assert (result.updated, bram.name, bram.language, bram.priority) == (1, "Bram de Vries", "nl", "care_alarm")


def test_rows_of_the_same_customer_add_up() -> None:
    result = customers(
        {"external_id": "bram", "name": "Bram", "language": "nl", "email": "one@mail.example"},
        {"external_id": "bram", "name": "Bram de Vries", "email": "two@mail.example"},
    )
    assert (result.created, Customer.objects.get().language, Customer.objects.get().name) == (1, "nl", "Bram de Vries")
    assert ContactPoint.objects.count() == 2


def test_a_new_address_is_tried_first_and_the_old_one_is_kept_behind() -> None:
    customers({"external_id": "bram", "name": "Bram", "email": "old@mail.example"})
    assert customers({"external_id": "bram", "name": "Bram", "email": "new@mail.example"}).updated == 1
    ranks = dict(ContactPoint.objects.values_list("address", "rank"))
    assert ranks == {"old@mail.example": 2, "new@mail.example": 1}
    assert customers({"external_id": "bram", "name": "Bram", "email": "new@mail.example"}).unchanged == 1


def test_every_problem_of_a_row_is_named_and_the_rest_is_loaded() -> None:
    result = customers(
        {"external_id": "good", "name": "Good"},
        {"external_id": "bad", "name": "Bad\0", "language": "English", "email": "nobody", "colour": "blue"},
        {"name": "nameless"},
        {"external_id": "alone"},
        {"external_id": "also good", "name": "Also"},
    )
    assert sorted(reasons(result)) == sorted(
        [
            (2, "colour", RowReason.UNKNOWN_FIELD),
            (2, "name", RowReason.CONTROL_CHARACTER),
            (2, "language", RowReason.NOT_A_LANGUAGE),
            (2, "email", RowReason.NOT_AN_EMAIL),
            (3, "external_id", RowReason.MISSING),
            (4, "name", RowReason.MISSING),
        ]
    )
    assert (result.created, result.refused) == (2, 3)
    assert set(Customer.objects.values_list("external_id", flat=True)) == {"good", "also good"}


def test_names_that_attack_are_stored_as_they_are() -> None:
    names = ["'; DROP TABLE customers_customer; --", "a\\tb\\N", "%s %(x)s", "{1,2}", "\\N", "<b>"]
    customers(*({"external_id": f"c\\{n}", "name": name} for n, name in enumerate(names)))
    assert list(Customer.objects.order_by("id").values_list("name", flat=True)) == names


def test_a_helper_must_be_a_customer_and_may_come_in_the_same_batch() -> None:
    result = customers(
        {"external_id": "dana", "name": "Dana", "helper": "chitra"},
        {"external_id": "chitra", "name": "Chitra"},
        {"external_id": "zeno", "name": "Zeno", "helper": "zeno"},
        {"external_id": "bram", "name": "Bram", "helper": "nobody"},
    )
    assert reasons(result) == [(3, "helper", RowReason.CYCLE), (4, "helper", RowReason.UNKNOWN_CUSTOMER)]
    assert Customer.objects.get(external_id="dana").helper.external_id == "chitra"


def test_attributes_are_typed_and_an_undeclared_one_is_refused_with_a_suggestion() -> None:
    declare_attribute(owner="customer", name="contract_value", type="number", actor="user:1")
    result = customers(
        {"external_id": "a", "name": "A", "attributes": {"contract_value": 12.5}},
        {"external_id": "b", "name": "B", "attributes": {"contract_value": "much"}},
        {"external_id": "c", "name": "C", "attributes": {"contract_valeu": 3}},
    )
    assert reasons(result) == [
        (3, "attributes.contract_valeu", RowReason.UNDECLARED),
        (2, "attributes.contract_value", RowReason.NOT_A_NUMBER),
    ]
    assert "attributes.contract_value" in result.problems[0].detail
    assert Customer.objects.get().attributes == {"contract_value": 12.5}


def test_attributes_add_to_those_that_are_there() -> None:
    for name in ("firmware", "colour"):
        declare_attribute(owner="customer", name=name, type="text", actor="user:1")
    customers({"external_id": "a", "name": "A", "attributes": {"firmware": "1.2"}})
    customers({"external_id": "a", "name": "A", "attributes": {"colour": "blue"}})
    assert Customer.objects.get().attributes == {"firmware": "1.2", "colour": "blue"}


@pytest.mark.parametrize(
    ("owner", "name", "type_", "column"),
    [
        ("customer", "Firmware", "text", "name"),
        ("customer", "has space", "text", "name"),
        ("customer", "now", "text", "name"),
        ("customer", "x" * 61, "text", "name"),
        ("customer", "size", "txt", "type"),
        ("component", "size", "text", "owner"),
    ],
)
def test_an_attribute_that_no_condition_could_use_is_not_declared(
    owner: str, name: str, type_: str, column: str
) -> None:
    with pytest.raises(ChangeRefused) as refused:
        declare_attribute(owner=owner, name=name, type=type_, actor="user:1")
    assert [problem.column for problem in refused.value.problems] == [column]


def test_a_declared_type_does_not_change() -> None:
    declare_attribute(owner="holding", name="firmware", type="text", actor="user:1")
    with pytest.raises(ChangeRefused, match="declared as text"):
        declare_attribute(owner="holding", name="firmware", type="number", actor="user:1")


# --- Components


def components(*rows: dict[str, object]) -> BatchResult:
    return upsert_components([{"kind": "node", "name": row["external_id"], **row} for row in rows], **BY)


def test_components_depend_on_others_that_are_there_or_in_the_batch() -> None:
    result = components(
        {"external_id": "node", "depends_on": ["region"], "texts": {"nl": "Knoop"}},
        {"external_id": "region"},
        {"external_id": "orphan", "depends_on": ["nowhere"]},
        {"external_id": "grandchild", "depends_on": ["orphan"]},
    )
    assert reasons(result) == [
        (3, "depends_on", RowReason.UNKNOWN_COMPONENT),
        (4, "depends_on", RowReason.UNKNOWN_COMPONENT),
    ]
    assert "nowhere" in result.problems[0].detail
    assert Component.objects.get(external_id="node").texts == {"nl": "Knoop"}
    assert ComponentDependency.objects.count() == 1


def test_a_circle_is_refused_by_name_where_it_would_close() -> None:
    result = components(
        {"external_id": "a"}, {"external_id": "b", "depends_on": "a"}, {"external_id": "c", "depends_on": "b"}
    )
    assert not result.problems
    result = components({"external_id": "a", "depends_on": "c"}, {"external_id": "d", "depends_on": "d"})
    assert reasons(result) == [(1, "depends_on", RowReason.CYCLE), (2, "depends_on", RowReason.CYCLE)]
    assert "a → c → b → a" in result.problems[0].detail
    assert ComponentDependency.objects.count() == 2


def test_stated_dependencies_replace_the_old_ones() -> None:
    components({"external_id": "a"}, {"external_id": "b"}, {"external_id": "c", "depends_on": "a"})
    assert components({"external_id": "c", "depends_on": ["b"]}).updated == 1
    assert components({"external_id": "c"}).unchanged == 1
    edges = ComponentDependency.objects.values_list("component__external_id", "depends_on__external_id")
    assert list(edges) == [("c", "b")]
    assert components({"external_id": "b", "depends_on": "c", "name": "B"}).problems[0].reason is RowReason.CYCLE


# --- Holdings


def holdings(*rows: dict[str, object]) -> BatchResult:
    return upsert_holdings([{"customer": "bram", "product": "fibre", **row} for row in rows], **BY)


@pytest.fixture
def ground() -> None:
    """Two nodes, and two customers."""
    components({"external_id": "node-1"}, {"external_id": "node-2"})
    customers({"external_id": "bram", "name": "Bram"}, {"external_id": "dana", "name": "Dana"})


@pytest.mark.usefixtures("ground")
def test_a_holding_belongs_to_a_customer_and_depends_on_components() -> None:
    result = holdings(
        {"external_id": "h1", "components": ["node-1", "node-2"], "since": "2025-01-01", "until": "2030-01-01"},
        {"external_id": "h2", "customer": "zeno"},
        {"external_id": "h3", "components": "node-9; node-1"},
        {"external_id": "h4", "since": "2025-01-02", "until": "2025-01-01"},
    )
    assert sorted(reasons(result)) == [
        (2, "customer", RowReason.UNKNOWN_CUSTOMER),
        (3, "components", RowReason.UNKNOWN_COMPONENT),
        (4, "until", RowReason.ENDS_BEFORE_IT_BEGINS),
    ]
    bram = Customer.objects.get(external_id="bram")
    links = HoldingComponent.objects.values_list("customer_id", "until__year")
    assert list(links) == [(bram.pk, 2030), (bram.pk, 2030)]


@pytest.mark.usefixtures("ground")
def test_one_event_tells_which_components_gained_or_lost_holdings() -> None:
    holdings({"external_id": "h1", "components": "node-1"}, {"external_id": "h2"})
    event = Event.objects.get(type="holdings.imported")
    first, second = (Component.objects.get(external_id=name).pk for name in ("node-1", "node-2"))
    assert event.data == {
        "created": 2,
        "updated": 0,
        "unchanged": 0,
        "refused": 0,
        "links_added": 1,
        "links_removed": 0,
        "component_ids": [first],
    }
    result = holdings({"external_id": "h1", "components": "node-2"})
    assert result.updated == 1
    event = Event.objects.filter(type="holdings.imported").latest("id")
    assert (event.data["links_added"], event.data["links_removed"]) == (1, 1)
    assert event.data["component_ids"] == sorted([first, second])


@pytest.mark.usefixtures("ground")
def test_a_holding_that_moves_to_another_customer_takes_its_links_along() -> None:
    holdings({"external_id": "h1", "components": "node-1"})
    holdings({"external_id": "h1", "customer": "dana", "until": "2026-01-01"})
    dana = Customer.objects.get(external_id="dana")
    link = HoldingComponent.objects.get()
    assert (link.customer_id, str(link.until)) == (dana.pk, "2026-01-01")
    event = Event.objects.filter(type="holdings.imported").latest("id")
    assert event.data["component_ids"] == [link.component_id]


@pytest.mark.usefixtures("ground")
def test_an_empty_list_of_components_cuts_every_link_and_an_unstated_one_none() -> None:
    holdings({"external_id": "h1", "components": ["node-1", "node-2"]})
    assert holdings({"external_id": "h1"}).unchanged == 1
    assert HoldingComponent.objects.count() == 2
    assert holdings({"external_id": "h1", "components": []}).updated == 1
    assert HoldingComponent.objects.count() == 0
    assert Holding.objects.count() == 1


# --- Consents


def consents(*rows: dict[str, object]) -> BatchResult:
    usual = {"customer": "bram", "message_class": "outage", "channel": "email", "wording": "May we?", "how": "form"}
    return record_consents([{**usual, **row} for row in rows], **BY)


@pytest.mark.usefixtures("ground")
def test_consents_are_a_history_of_which_the_last_answer_counts() -> None:
    consents(
        {"given": True, "answered_at": "2025-01-01T10:00:00Z"}, {"given": "no", "answered_at": "2025-06-01T10:00:00Z"}
    )
    bram = Customer.objects.get(external_id="bram")
    assert consents_in_force([bram.pk]) == {bram.pk: {("outage", "email"): False}}
    # An older answer that arrives late does not overrule a newer one.
    assert consents({"given": True, "answered_at": "2024-01-01T10:00:00Z"}).created == 1
    assert consents_in_force([bram.pk]) == {bram.pk: {("outage", "email"): False}}
    assert Consent.objects.count() == 3


@pytest.mark.usefixtures("ground")
def test_an_answer_that_says_nothing_new_is_not_added() -> None:
    assert consents({"given": True}, {"given": True}).created == 1
    assert consents({"given": True}).unchanged == 1
    assert consents({"given": False}).created == 1
    assert consents({"given": True}).created == 1
    dated = {"given": True, "answered_at": datetime(2025, 1, 1, tzinfo=UTC)}
    assert consents(dated).created == 1
    assert consents(dated).unchanged == 1


@pytest.mark.usefixtures("ground")
def test_a_consent_without_its_wording_or_its_customer_is_refused() -> None:
    result = consents({"given": True, "wording": ""}, {"given": True, "customer": "zeno"}, {"given": "perhaps"})
    assert sorted(reasons(result)) == [
        (1, "wording", RowReason.MISSING),
        (2, "customer", RowReason.UNKNOWN_CUSTOMER),
        (3, "given", RowReason.NOT_A_BOOLEAN),
    ]
