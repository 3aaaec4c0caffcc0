"""One customer: found, shown, changed by hand; and segments of many."""

from datetime import UTC, datetime, time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from beforehand.customers.actions import (
    add_contact_point,
    change_customer,
    declare_attribute,
    record_consents,
    save_segment,
    set_contact_point_status,
    upsert_components,
    upsert_customers,
    upsert_holdings,
    verify_contact_point,
)
from beforehand.customers.bulk.problems import ChangeRefused
from beforehand.customers.facts import customer_schema, load_facts, register_fact
from beforehand.customers.models import ContactPoint, Customer, Segment
from beforehand.customers.queries import (
    customer_overview,
    language_counts,
    resolve_customers,
    segment_count,
    segment_customers,
)
from beforehand.engine.conditions import ConditionError, Fact, FactType, parse
from beforehand.events.models import Event, EventPrivate
from beforehand.events.resolvers import resolve_customers as resolve_for_intake
from beforehand.kit import clock

pytestmark = pytest.mark.django_db

BY = {"actor": "user:1", "source": "test"}


@pytest.fixture
def bram() -> Customer:
    """Bram, with three neighbours."""
    upsert_customers(
        [
            {"external_id": "K-1001", "name": "Bram de Vries", "language": "nl", "email": "Bram@mail.example"},
            {"external_id": "K-1002", "name": "Brigitta Ångström", "sms": "+31612345678"},
            {"external_id": "K-1003", "name": "عائشة الفاسي", "language": "ar"},
            {"external_id": "K-2001", "name": "100% Real_Name\\", "language": "en"},
        ],
        **BY,
    )
    return Customer.objects.get(external_id="K-1001")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("br", {"K-1001", "K-1002"}),
        ("BRAM  de v", {"K-1001"}),
        ("brigitta å", {"K-1002"}),
        ("عائ", {"K-1003"}),
        ("K-100", {"K-1001", "K-1002", "K-1003"}),
        ("bram@MAIL.example", {"K-1001"}),
        ("+31 6 1234", {"K-1002"}),
        ("0031-6-12345678", {"K-1002"}),
        ("100%", {"K-2001"}),
        ("_00%", set()),
        ("vries", {"K-1001"}),
        ("vries bra", {"K-1001"}),
        ("ries", set()),
        ("o'bram & (", set()),
        ("100% real_name\\", {"K-2001"}),
        ("nobody", set()),
        ("a\0b", set()),
        ("half \ud83d", set()),
        ("لا\u200cاله", set()),
    ],
)
@pytest.mark.usefixtures("bram")
def test_a_customer_is_found_by_name_number_address_or_telephone(text: str, found: set[str]) -> None:
    assert set(Customer.objects.search(text).values_list("external_id", flat=True)) == found


def test_a_hindi_name_is_found_by_the_beginning_of_each_of_its_words() -> None:
    upsert_customers([{"external_id": "K-1", "name": "चित्रा अय्यर", "language": "hi"}], **BY)
    for text in ("चित्रा", "चित्", "अय्यर", "अय्यर चित्रा"):
        assert Customer.objects.search(text).count() == 1, text
    assert not Customer.objects.search("चीनी").exists()


@pytest.mark.usefixtures("bram")
def test_pages_go_from_the_newest_to_the_oldest_without_a_gap() -> None:
    first = list(Customer.objects.served().search(" ").before(None)[:3])
    rest = list(Customer.objects.served().before(first[-1].pk)[:3])
    assert [c.external_id for c in (*first, *rest)] == ["K-2001", "K-1003", "K-1002", "K-1001"]


def test_the_page_of_one_customer_costs_five_queries_however_much_they_own(bram: Customer) -> None:
    upsert_components([{"external_id": f"n{i}", "kind": "node", "name": f"Node {i}"} for i in range(9)], **BY)
    upsert_holdings(
        [
            {"external_id": f"h{i}", "customer": "K-1001", "product": "fibre", "components": [f"n{i}", "n0"], **more}
            for i, more in enumerate([{}, {"since": "2025-01-01", "until": "2025-02-01"}, *[{}] * 7])
        ],
        **BY,
    )
    record_consents(
        [
            {"customer": "K-1001", "message_class": c, "channel": "email", "given": g, "wording": "?", "how": "form"}
            for c, g in (("offer", True), ("offer", False), ("outage", True))
        ],
        **BY,
    )
    with (
        CaptureQueriesContext(
            connection,
        ) as queries,
        clock.travel(datetime(2026, 1, 1, tzinfo=UTC)),
    ):
        overview = customer_overview(bram)
    assert len(queries) == 5
    assert [(c.message_class, c.given) for c in overview.consents] == [("offer", False), ("outage", True)]
    assert [point.address for point in overview.contact_points] == ["Bram@mail.example"]
    assert len(overview.holdings) == 9
    assert [one.is_over for one in overview.holdings] == [False] * 8 + [True]
    assert overview.holdings[-1].holding.external_id == "h1"
    assert [component.name for component in overview.holdings[-1].components] == ["Node 0", "Node 1"]


def test_a_change_by_hand_is_one_event_whose_words_lie_in_its_private_half(bram: Customer) -> None:
    changed = change_customer(
        bram.pk,
        changes={
            "language": "nl_BE",
            "quiet_from": "21:30",
            "helper": "K-1002",
            "name": "Bram de Vries",
            "priority": "high",
        },
        actor="user:7",
    )
    changed.refresh_from_db()
    assert (changed.language, changed.quiet_from, changed.priority) == ("nl-BE", time(21, 30), "high")
    assert changed.helper is not None
    assert changed.helper.external_id == "K-1002"
    event = Event.objects.get(type="customer.changed")
    assert (event.actor, event.customer_id) == ("user:7", bram.pk)
    assert event.data == {"fields": ["helper", "language", "priority", "quiet_from"]}
    private = EventPrivate.objects.get(event_id=event.id)
    assert (private.data["before"]["language"], private.data["after"]["language"]) == ("nl", "nl-BE")
    assert private.data["after"]["quiet_from"] == "21:30:00"


def test_a_change_that_changes_nothing_is_no_event(bram: Customer) -> None:
    change_customer(bram.pk, changes={"language": "nl"}, actor="user:7")
    assert not Event.objects.filter(type="customer.changed").exists()


def test_what_can_be_empty_is_cleared_and_the_rest_is_not(bram: Customer) -> None:
    change_customer(bram.pk, changes={"helper": "K-1002", "salutation": "Beste Bram", "quiet_from": "21:00"}, actor="x")
    change_customer(bram.pk, changes={"helper": None, "salutation": " ", "quiet_from": None}, actor="x")
    bram.refresh_from_db()
    assert (bram.helper, bram.salutation, bram.quiet_from) == (None, "", None)
    with pytest.raises(ChangeRefused) as refused:
        change_customer(bram.pk, changes={"name": None, "colour": ""}, actor="x")
    assert [(p.column, p.reason.value) for p in refused.value.problems] == [
        ("colour", "unknown_field"),
        ("name", "missing"),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"language": "Dutch"},
        {"helper": "K-1001"},
        {"helper": "K-9999"},
        {"external_id": "K-1002"},
        {"attributes": {"undeclared": 1}},
        {"attributes": "firmware"},
        {"time_zone": "Mars/Olympus"},
        {"name": "two\nlines"},
    ],
)
def test_a_change_that_cannot_be_leaves_everything_as_it_was(bram: Customer, changes: dict[str, object]) -> None:
    with pytest.raises(ChangeRefused):
        change_customer(bram.pk, changes={"priority": "high", **changes}, actor="x")
    bram.refresh_from_db()
    assert bram.priority == "normal"


def test_attributes_are_merged_and_none_removes_one(bram: Customer) -> None:
    for name in ("segment_code", "floor"):
        declare_attribute(owner="customer", name=name, type="text", actor="x")
    change_customer(bram.pk, changes={"attributes": {"segment_code": "A", "floor": "3"}}, actor="x")
    change_customer(bram.pk, changes={"attributes": {"segment_code": None, "floor": "4"}}, actor="x")
    bram.refresh_from_db()
    assert bram.attributes == {"floor": "4"}


def test_contact_points_are_added_set_aside_and_verified(bram: Customer) -> None:
    added = add_contact_point(bram.pk, channel="sms", address="06 12345679", region="NL", actor="x")
    assert added.address == "+31612345679"
    assert add_contact_point(bram.pk, channel="sms", address="+31612345679", actor="x") == added
    with pytest.raises(ChangeRefused):
        add_contact_point(bram.pk, channel="email", address="not one", actor="x")
    ids = list(bram.contact_points.values_list("id", flat=True))
    assert set_contact_point_status(ids, status=ContactPoint.Status.DEAD, reason="5.1.1", actor="mail") == 2
    assert set_contact_point_status(ids, status=ContactPoint.Status.DEAD, reason="5.1.1", actor="mail") == 0
    events = Event.objects.filter(type="customer.contact_point_status_set", customer_id=bram.pk)
    assert {event.data["status"] for event in events} == {"dead"}
    assert events.count() == 2
    verified = verify_contact_point(added.pk, actor="x")
    assert (verified.status, verified.status_reason) == ("working", "")
    verify_contact_point(added.pk, actor="x")
    assert Event.objects.filter(type="customer.contact_point_verified").count() == 1


def test_intake_finds_customers_by_the_names_that_the_outside_has_for_them(bram: Customer) -> None:
    assert resolve_customers(["K-1001", "unknown"]) == {"K-1001": bram.pk}
    assert resolve_for_intake({"K-1001"}) == {"K-1001": bram.pk}


@pytest.mark.usefixtures("bram")
def test_a_segment_counts_and_lists_who_matches_now() -> None:
    segment = save_segment(slug="dutch", name="Dutch", condition='customer.language == "nl"', actor="user:1")
    assert segment_count(segment) == 1
    upsert_customers([{"external_id": f"N{n}", "name": "N", "language": "nl"} for n in range(4)], **BY)
    assert segment_count(segment) == 5
    first = segment_customers(segment, limit=3)
    rest = segment_customers(segment, limit=3, before=first[-1].pk)
    assert [c.external_id for c in (*first, *rest)] == ["N3", "N2", "N1", "N0", "K-1001"]
    save_segment(slug="dutch", name="Dutch", condition='"email" in customer.channels', actor="user:1")
    assert segment_count(Segment.objects.get()) == 1
    assert Event.objects.filter(type="segment.saved").count() == 2


@pytest.mark.parametrize("condition", ["", 'customer.langauge == "nl"', "customer.language", "1 +"])
def test_a_segment_with_a_condition_that_cannot_be_is_not_saved(condition: str) -> None:
    with pytest.raises(ConditionError):
        save_segment(slug="s", name="S", condition=condition, actor="user:1")
    assert not Segment.objects.exists()


def test_facts_loaded_in_bulk_and_sql_agree(bram: Customer) -> None:
    declare_attribute(owner="customer", name="value", type="number", actor="x")
    declare_attribute(owner="holding", name="firmware", type="text", actor="x")
    upsert_components([{"external_id": "n1", "kind": "node", "name": "N"}], **BY)
    upsert_customers([{"external_id": "K-1001", "name": "Bram de Vries", "attributes": {"value": 12.5}}], **BY)
    upsert_customers([{"external_id": "K-1002", "name": "Brigitta", "access_needs": ["large_print"]}], **BY)
    upsert_holdings(
        [
            {"external_id": "h1", "customer": "K-1001", "product": "fibre", "components": "n1", "since": "2025-03-05",
             "attributes": {"firmware": "1.2"}},
            {"external_id": "h2", "customer": "K-1003", "product": "mobile"},
        ],
        **BY,
    )  # fmt: skip
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for source in (
        "customer.attributes.value > 10",
        '"large_print" in customer.access_needs',
        '"email" in customer.channels',
        'customer.created_at > now - duration("1d")',
        'holdings.exists(h, h.attributes.firmware == "1.2" && "n1" in h.components)',
        'holdings.exists(h, h.since >= timestamp("2025-03-01T00:00:00Z"))',
        'holdings.all(h, h.product == "fibre")',
        "has(customer.attributes.value) && !customer.has_helper",
    ):
        schema = customer_schema()
        condition = parse(source, schema)
        ids = list(Customer.objects.values_list("id", flat=True))
        facts = load_facts(ids, schema=schema, names=condition.facts_used)
        by_python = {id_ for id_ in ids if condition.matches(facts[id_], now=now)}
        sql = condition.sql(now=now)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT c.id FROM customers_customer c WHERE {sql.text}", sql.params)
            by_sql = {row[0] for row in cursor.fetchall()}
        assert by_python == by_sql, source
        assert by_sql, source


def test_a_floor_above_adds_facts_of_its_own(bram: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beforehand.customers.facts._registered", {})
    fact = Fact("cases.open", FactType.NUMBER, "2", required=True)
    register_fact(fact, load=lambda ids: dict.fromkeys(ids, 2))
    register_fact(fact)
    register_fact(fact, load=lambda ids: dict.fromkeys(ids, 2))
    with pytest.raises(ValueError, match="registered already"):
        register_fact(Fact("cases.open", FactType.TEXT, "'x'"))
    schema = customer_schema()
    assert load_facts([bram.pk], schema=schema, names=["cases.open"]) == {bram.pk: {"cases.open": 2}}
    assert segment_count(Segment(condition="cases.open >= 2")) == 4


@pytest.mark.usefixtures("bram")
def test_the_languages_of_an_audience_are_counted() -> None:
    assert language_counts([c.pk for c in Customer.objects.exclude(external_id="K-1002")]) == {
        "ar": 1,
        "en": 1,
        "nl": 1,
    }
