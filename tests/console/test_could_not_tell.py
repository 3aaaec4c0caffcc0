"""Whom no message reaches stands on a list with the team that owns it, until a person has told them."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from beforehand.accounts.models import User
from beforehand.customers.models import ContactPoint, Customer
from beforehand.events.models import Event
from beforehand.incidents import untold as untold_module
from beforehand.incidents.models import Incident
from beforehand.incidents.untold import counted_page, untold_count, untold_ids
from beforehand.insights.queries import incident_report
from beforehand.kit.clock import travel
from beforehand.kit.rows import bulk_fetch
from beforehand.outbound.models import ToldByPerson
from tests.cast import Cast
from tests.console.conftest import at
from tests.driving import Drive, alert, approve_shipped, outage_rule, post_webhook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


@pytest.fixture
def untold(cast: Cast, drive: Drive) -> Incident:
    """An outage in which nothing reaches Bram (no address) and Chitra (a dead one, and a telephone)."""
    ContactPoint.objects.filter(customer=cast.bram).delete()
    ContactPoint.objects.filter(customer=cast.chitra).update(status="dead")
    ContactPoint.objects.create(customer=cast.chitra, channel="phone", address="+919812345678")
    Customer.objects.filter(pk=cast.chitra.pk).update(priority="care_alarm")
    outage_rule(owner=cast.team, resolve_after_seconds=100_000)
    approve_shipped()
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    return Incident.objects.get()


def place(incident: Incident, kind: str = "/") -> str:
    return f"/console/incidents/{incident.public_id}/could-not-tell{kind}"


def test_the_list_says_who_why_whose_it_is_and_how_else_to_reach_them_care_alarms_first(
    cast: Cast, untold: Incident, agent: Client
) -> None:
    page = agent.get(place(untold)).content.decode()
    assert "No message reaches 2 customers." in page
    assert "Network operations" in page
    assert page.index("चित्रा शर्मा") < page.index("Bram de Vries")
    assert "Not sent: the address or number does not exist any more." in page
    assert "Not sent: we have no address or number of this customer for this channel." in page
    assert "+919812345678" in page
    assert place(untold) in agent.get(f"/console/incidents/{untold.public_id}/").content.decode()


def test_the_list_is_worked_out_once_for_a_page_and_its_count(
    untold: Incident, agent: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def noted(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        asked.append(sql)
        return bulk_fetch(sql, values)

    monkeypatch.setattr(untold_module, "bulk_fetch", noted)
    assert "No message reaches 2 customers." in agent.get(place(untold)).content.decode()
    assert len(asked) == 1
    first, *_ = counted_page(untold.pk, now=at(5), limit=1)[0]
    later = counted_page(untold.pk, now=at(5), after=first.place, limit=5)
    assert ([one.customer_id == first.customer_id for one in later[0]], *later[1:]) == ([False], 2, 0)
    assert counted_page(untold.pk, now=at(5), after=(9, 0, 0), limit=5) == ([], 2, 0)  # behind the last of them


def test_the_file_holds_the_same_and_no_formula(cast: Cast, untold: Incident, agent: Client) -> None:
    Customer.objects.filter(pk=cast.bram.pk).update(name='=HYPERLINK("http://x")')
    response = agent.get(place(untold, ".csv"))
    text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[arg-type]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["customer"], row["reason"], row["phone"]) for row in rows] == [
        ("chitra", "address_dead", "+919812345678"),
        ("bram", "no_contact_point", ""),
    ]
    assert rows[1]["name"].startswith("'=")


def test_they_count_as_not_told_until_a_person_has_told_them(cast: Cast, untold: Incident, agent: Client) -> None:
    before = incident_report(untold, now=at(10))
    assert (before.told, before.not_told) == (2, {"address_dead": 1, "no_contact_point": 1})
    with travel(at(10)):
        response = agent.post(
            place(untold, "/told/"),
            {"how": "call", "note": "spoke to her", "whom": "ticked", "customer": [cast.chitra.pk]},
        )
    assert response.status_code == 302
    told = ToldByPerson.objects.get()
    assert (told.customer_id, told.how, told.note, told.told_by) == (
        cast.chitra.pk, "call", "spoke to her", f"user:{cast.ester.pk}",
    )  # fmt: skip
    after = incident_report(untold, now=at(11))
    assert (after.told, after.not_told) == (3, {"no_contact_point": 1})
    assert untold_ids(untold.pk) == [cast.bram.pk]
    assert Event.objects.get(type="customer.told_by_person").customer_id == cast.chitra.pk
    with travel(at(12)):
        agent.post(place(untold, "/told/"), {"how": "poster", "whom": "everyone"})
    assert untold_count(untold.pk) == 0
    cache.clear()
    assert "Everyone who is affected could be told." in agent.get(place(untold)).content.decode()


def test_who_may_only_look_marks_nobody_and_nobody_marks_who_is_not_on_the_list(
    cast: Cast, untold: Incident, viewer: Client, agent: Client
) -> None:
    marked = {"how": "call", "whom": "ticked", "customer": [cast.chitra.pk]}
    assert viewer.post(place(untold, "/told/"), marked).status_code == 403
    assert agent.post(place(untold, "/told/"), marked | {"customer": [cast.dana.pk]}).status_code == 200
    assert not ToldByPerson.objects.exists()


def test_who_can_be_told_later_is_off_the_list(cast: Cast, untold: Incident, drive: Drive) -> None:
    ContactPoint.objects.create(customer=cast.bram, channel="email", address="bram@new.example")
    assert untold_count(untold.pk) == 2
    with travel(at(58)):
        drive.settle()
    assert drive.mailbox.counts()["bram@new.example"] == 1
    assert untold_ids(untold.pk) == [cast.chitra.pk]


def test_a_stranger_sees_nothing(untold: Incident, signed_in: Callable[[User], Client]) -> None:
    assert Client().get(place(untold)).status_code == 302
    assert Client().get(place(untold, ".csv")).status_code == 302
