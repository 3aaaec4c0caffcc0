"""Whoever picks up the telephone finds the caller, checks who they are, and reads aloud what is true for them now."""

import re
from datetime import datetime

import pytest
from django.test import Client

from beforehand.customers.models import Customer
from beforehand.events.models import Event
from beforehand.incidents.actions import change_texts
from beforehand.incidents.models import Incident
from beforehand.insights.queries import incident_report
from beforehand.kit.clock import travel
from beforehand.outbound.models import Message, ToldByPerson
from tests.cast import Cast
from tests.console.conftest import at
from tests.driving import Drive

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def where(customer: Customer) -> str:
    return f"/console/say-this/{customer.public_id}/"


def said(agent: Client, customer: Customer, *, when: datetime | None = None) -> str:
    """The page once the caller is checked."""
    with travel(when or at(4)):
        agent.post(f"{where(customer)}check/", {"right": ["number", "place"]})
        return agent.get(where(customer)).content.decode()


def aloud(page: str) -> str:
    (words,) = re.findall(r'<blockquote class="say"[^>]*>(.*?)</blockquote>', page, re.DOTALL)
    return words


@pytest.mark.parametrize("typed", ["bram", "de vries", "BRAM@customers", "Kerkstraat 12"])
def test_a_caller_is_found_by_name_number_address_and_place(typed: str, agent: Client, cast: Cast) -> None:
    assert "Bram de Vries" in agent.get("/console/say-this/", {"q": typed}).content.decode()


def test_a_caller_is_found_by_the_code_in_their_message(agent: Client, cast: Cast, outage: Incident) -> None:
    message = Message.objects.get(customer_id=cast.bram.pk)
    page = agent.get("/console/say-this/", {"q": message.code.lower().replace("-", " ")}).content.decode()
    assert "Bram de Vries" in page
    assert "Dana" not in page


def test_until_they_are_checked_nothing_is_said_of_them_but_what_to_ask(
    agent: Client, cast: Cast, outage: Incident
) -> None:
    page = agent.get(where(cast.bram)).content.decode()
    assert "Where they have it" in page
    assert "outage" not in page.lower()
    assert 'class="say"' not in page


def test_one_right_answer_is_not_enough(agent: Client, cast: Cast, outage: Incident) -> None:
    page = agent.post(f"{where(cast.bram)}check/", {"right": ["number", "number"]}, follow=True).content.decode()
    assert "Tick 2 right answers before you go on." in page
    assert not Event.objects.filter(type="customer.identified").exists()


def test_who_is_checked_hears_in_their_language_what_is_wrong_until_when_and_why(
    agent: Client, cast: Cast, outage: Incident
) -> None:
    texts = {"nl": {"cause": "een geraakte kabel", "advice": "Laat het modem aanstaan."}, "en": {"cause": "a cut"}}
    change_texts(outage, texts=texts, actor="test")
    words = aloud(said(agent, cast.bram))
    assert len(words.split()) <= 40
    for part in ("Fibre 500, Kerkstraat 12", "een geraakte kabel", "12:05", "Laat het modem aanstaan."):
        assert part in words
    assert "a cut" not in aloud(said(agent, cast.aisha))
    event = Event.objects.filter(type="customer.identified", customer_id=cast.bram.pk).get()
    assert event.data == {"by": ["number", "place"]}


def test_a_time_that_has_passed_is_not_read_out(agent: Client, cast: Cast, outage: Incident) -> None:
    assert "12:05" in aloud(said(agent, cast.bram))
    assert "12:05" not in aloud(said(agent, cast.bram, when=at(70)))


def test_a_check_is_good_for_half_an_hour_and_for_this_caller_only(agent: Client, cast: Cast, outage: Incident) -> None:
    assert 'class="say"' in said(agent, cast.bram)
    with travel(at(35)):
        assert 'class="say"' not in agent.get(where(cast.bram)).content.decode()
    with travel(at(5)):
        assert 'class="say"' not in agent.get(where(cast.dana)).content.decode()


def test_whom_nothing_touches_hears_that_nothing_is_known(agent: Client, cast: Cast, outage: Incident) -> None:
    page = said(agent, cast.elif_)
    assert "No incident touches them." in page
    assert aloud(page)


def test_a_call_is_noted_once_counts_as_a_contact_and_as_told(
    agent: Client, cast: Cast, outage: Incident, drive: Drive
) -> None:
    Message.objects.filter(customer_id=cast.bram.pk).update(state="queued", reason="quiet_hours")
    typed = {"call": "7b8c", "incident": str(outage.public_id)}
    with travel(at(4)):
        for _press in range(2):
            page = agent.post(f"{where(cast.bram)}called/", typed, follow=True).content.decode()
    assert "The call was noted already." in page
    (event,) = Event.objects.filter(type="contact.received")
    assert (event.customer_id, event.subject, event.data["channel"]) == (cast.bram.pk, f"incident:{outage.pk}", "phone")
    assert Message.objects.get(customer_id=cast.bram.pk).reason == "reached_us"
    assert ToldByPerson.objects.get().customer_id == cast.bram.pk
    report = incident_report(outage, now=at(10))
    assert (report.contacts, report.first_contact_at) == (1, at(4))


def test_who_had_our_message_is_not_marked_as_told_by_a_person(
    agent: Client, cast: Cast, outage: Incident, drive: Drive
) -> None:
    agent.post(f"{where(cast.bram)}called/", {"call": "1", "incident": str(outage.public_id)})
    assert not ToldByPerson.objects.exists()


def test_a_call_about_something_else_is_no_contact_about_this_incident(
    agent: Client, cast: Cast, outage: Incident
) -> None:
    with travel(at(4)):
        agent.post(f"{where(cast.elif_)}called/", {"call": "1", "incident": str(outage.public_id)})
    assert Event.objects.get(type="contact.received").subject == f"customer:{cast.elif_.pk}"
    assert incident_report(outage, now=at(10)).contacts == 0


def test_a_viewer_finds_and_reads_but_checks_and_notes_nothing(viewer: Client, cast: Cast, outage: Incident) -> None:
    assert viewer.get(where(cast.bram)).status_code == 200
    assert viewer.post(f"{where(cast.bram)}check/", {"right": ["number", "place"]}).status_code == 403
    assert viewer.post(f"{where(cast.bram)}called/", {"call": "1"}).status_code == 403
