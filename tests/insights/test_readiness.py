"""Readiness per component and playbook, worked out in sets, and the list to mend it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests.api.callers import Caller
from tests.cast import Cast, make_cast
from tests.company import make_company
from tests.driving import approve_shipped

from beforehand.accounts.actions import create_token
from beforehand.customers.actions import change_customer, record_consents, set_contact_point_status, upsert_holdings
from beforehand.customers.models import Component, ContactPoint, Customer
from beforehand.engine.message_classes import MessageClass
from beforehand.engine.readiness import Lack, Need
from beforehand.insights import readiness as working
from beforehand.insights import readiness_queries
from beforehand.insights.models import Readiness, ReadinessRound
from beforehand.insights.readiness import LONGEST_REST, ask_readiness, tend_readiness
from beforehand.insights.readiness_queries import all_lacking, lacking, last_round, worst_first
from beforehand.kit import clock
from beforehand.kit.clock import travel
from beforehand.kit.rows import fetch

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@pytest.fixture
def cast() -> Cast:
    """Node 7: Aisha whole; Bram's mail does not exist; Chitra's television hangs on nothing; Dana reads Thai."""
    cast = make_cast()
    approve_shipped()
    point = ContactPoint.objects.get(customer=cast.bram)
    set_contact_point_status([point.pk], status=ContactPoint.Status.DEAD, reason="5.1.1", actor="test")
    upsert_holdings([{"external_id": "tv", "customer": "chitra", "product": "TV"}], actor="test", source="test")
    change_customer(cast.dana.pk, changes={"language": "th"}, actor="test")
    return cast


def row(component: Component | None) -> Readiness:
    return Readiness.objects.get(component=component, playbook="outage")


def figures(component: Component | None) -> tuple[int, ...]:
    one = row(component)
    return one.customers, one.linked, one.reachable, one.spoken, one.allowed, one.ready


def test_it_counts_who_is_linked_reachable_and_spoken_to_on_a_part_and_on_what_hangs_on_it(cast: Cast) -> None:
    assert tend_readiness(now=clock.now()) == 1
    assert figures(cast.node) == (4, 3, 3, 3, 4, 1)
    assert figures(cast.other_node) == (1, 1, 1, 1, 1, 1)
    assert figures(cast.region) == (5, 4, 4, 4, 5, 2)
    assert figures(None) == (5, 4, 4, 4, 5, 2)
    assert [one.component for one in worst_first("outage")] == [cast.node, cast.region, cast.other_node]


def test_the_list_to_mend_names_each_with_what_is_missing(cast: Cast) -> None:
    tend_readiness(now=clock.now())
    expected = {"bram": (Lack.ADDRESS,), "chitra": (Lack.LINK,), "dana": (Lack.LANGUAGE,)}
    now = clock.now()
    for few in (20_000, 0):  # walked from the component's side, and from those who lack something
        readiness_queries.FEW, before = few, readiness_queries.FEW
        try:
            for part in (cast.node, cast.region, None):
                found = lacking(row(part), lack=None, limit=10, now=now)
                assert {one.external_id: one.missing for one in found} == expected
                assert [one.external_id for one in lacking(row(part), lack=Lack.LINK, limit=10, now=now)] == ["chitra"]
                first = lacking(row(part), lack=None, limit=2, now=now)
                rest = lacking(row(part), lack=None, after=first[-1].customer_id, limit=2, now=now)
                assert [one.external_id for one in (*first, *rest)] == ["bram", "chitra", "dana"]
        finally:
            readiness_queries.FEW = before
    assert lacking(row(cast.other_node), lack=None, limit=10, now=now) == []


def test_a_class_that_asks_for_consent_counts_the_answer_in_force(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(name: str, given: bool, at: datetime) -> dict[str, object]:
        return {"customer": name, "message_class": "marketing", "channel": "email", "given": given, "wording": "May we?",
                "how": "form", "answered_at": at.isoformat()}  # fmt: skip

    record_consents(
        [answer("aisha", True, START), answer("elif", True, START), answer("elif", False, START + timedelta(days=1))],
        actor="test",
        source="test",
    )
    need = Need(frozenset({"email"}), MessageClass.MARKETING, frozenset({"en", "nl", "ar", "hi"}))
    monkeypatch.setattr(working, "needs", lambda: {"outage": need})
    tend_readiness(now=clock.now())
    assert row(None).allowed == 1
    assert row(cast.other_node).ready == 0


def test_it_is_worked_out_once_an_hour_or_when_asked_and_by_one_worker(cast: Cast) -> None:
    with travel(START):
        assert tend_readiness(now=START) == 1
        assert tend_readiness(now=START + timedelta(minutes=59)) == 0
        asked = ask_readiness(actor="user:1")
        assert ask_readiness(actor="user:2") == asked
        upsert_holdings(
            [{"external_id": "tv", "customer": "chitra", "product": "TV", "components": ["node-7"]}],
            actor="test",
            source="test",
        )
        assert tend_readiness(now=START + timedelta(minutes=5)) == 1
        assert row(cast.node).linked == 4
    assert tend_readiness(now=START + timedelta(minutes=66)) == 1
    ReadinessRound.objects.create(asked_at=START, started_at=START + timedelta(hours=2))
    assert tend_readiness(now=START + timedelta(hours=2, minutes=20)) == 0  # another worker is at it
    assert tend_readiness(now=START + timedelta(hours=4, minutes=1)) == 1  # or was, when it died
    newest = last_round()
    assert newest is not None
    assert newest.customers == 5


def test_no_query_is_made_per_customer(cast: Cast) -> None:
    with travel(START):
        tend_readiness(now=START)
    with travel(START + timedelta(hours=1)), CaptureQueriesContext(connection) as few:
        tend_readiness(now=START + timedelta(hours=1))
    make_company(500, node="node-8")
    with travel(START + timedelta(hours=2)), CaptureQueriesContext(connection) as many:
        tend_readiness(now=START + timedelta(hours=2))
    assert row(cast.other_node).customers == 501
    assert len(many) == len(few)
    assert len(list(all_lacking(row(None), lack=None, now=START))) == row(None).customers - row(None).ready


def test_the_pages_show_the_worst_part_its_list_and_a_file(cast: Cast) -> None:
    client = Client()
    client.force_login(cast.ester)
    assert "Nothing has been worked out yet" in client.get("/console/readiness/").content.decode()
    assert client.post("/console/readiness/now/").status_code == 302
    assert tend_readiness(now=clock.now()) == 1
    page = client.get("/console/readiness/?playbook=outage").content.decode()
    assert page.index("Node 7") < page.index("North") < page.index("Node 8")
    address = f"/console/readiness/{cast.node.public_id}/"
    part = client.get(f"{address}?playbook=outage&lack=address").content.decode()
    assert "Bram de Vries" in part
    assert "O&#x27;Neill" not in part
    lines = (
        b"".join(client.get(f"{address}list.csv?playbook=outage").streaming_content).decode("utf-8-sig").splitlines()
    )  # type: ignore[attr-defined]
    assert lines == ["external_id,language,missing", "bram,nl,address", "chitra,hi,link", "dana,th,language"]
    assert client.get("/console/readiness/all/?playbook=outage").status_code == 200


def test_the_api_answers_the_same(cast: Cast) -> None:
    api = Caller(create_token(name="some", scopes=("customers:read", "customers:write"), actor="test")[1])
    assert api.get("/api/v1/readiness/outage/all").status_code == 404
    assert api.post("/api/v1/readiness").status_code == 202
    tend_readiness(now=clock.now())
    first = api.get("/api/v1/readiness/outage?limit=1").json()
    assert [one["component"] for one in first["items"]] == ["node-7"]
    second = api.get(f"/api/v1/readiness/outage?limit=2&cursor={first['next']}").json()
    assert [one["component"] for one in second["items"]] == ["north", "node-8"]
    assert second["next"] is None
    assert api.get("/api/v1/readiness/outage/all?component=node-7").json()["ready"] == 1
    found = api.get("/api/v1/readiness/outage/lacking?component=node-7&lack=link").json()["items"]
    assert [(one["external_id"], one["missing"]) for one in found] == [("chitra", ["link"])]


def test_a_round_that_is_left_in_its_middle_is_done_by_the_next_worker(cast: Cast) -> None:
    rests: list[float] = []

    def leave(seconds: float) -> bool:
        rests.append(seconds)
        return False

    with travel(START):
        assert tend_readiness(now=START, go_on=leave) == 0
        assert len(rests) == 1
        assert not Readiness.objects.exists()
        assert tend_readiness(now=START) == 1
        assert Readiness.objects.exists()
        assert tend_readiness(now=START) == 0


def test_a_slice_that_was_slow_puts_off_the_rest_for_seconds_only(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    clock_reads = iter(range(0, 10_000, 60))
    monkeypatch.setattr("beforehand.insights.readiness.time.monotonic", lambda: float(next(clock_reads)))
    rests: list[float] = []

    def rest(seconds: float) -> bool:
        rests.append(seconds)
        return True

    with travel(START):
        tend_readiness(now=START, go_on=rest)
    assert set(rests) == {LONGEST_REST}


def test_tables_that_were_just_filled_are_known_to_the_planner(cast: Cast) -> None:
    sizes = "SELECT reltuples FROM pg_class WHERE relname = 'customers_customer'"
    with travel(START):
        tend_readiness(now=START)
    assert fetch(sizes)[0][0] == Customer.objects.count()
