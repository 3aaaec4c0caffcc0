"""Who says that it is still broken is seen to by a person; what an incident taught is written down, owned, and done."""

import pytest
from django.test import Client

from beforehand.events.models import Event
from beforehand.incidents.actions import resolve_incident
from beforehand.incidents.answers import give_answer
from beforehand.incidents.models import Answer, Incident
from beforehand.kit.clock import travel
from beforehand.playbooks.models import WantedChange
from beforehand.promises.models import Promise
from tests.cast import Cast
from tests.console.conftest import at, room
from tests.driving import Drive

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


@pytest.fixture
def broken(cast: Cast, outage: Incident, drive: Drive) -> Incident:
    """Over at 40 minutes; Bram says at 50 that it is still broken."""
    with travel(at(40)):
        resolve_incident(outage, reason="repaired", actor="test")
        drive.settle()
    with travel(at(50)):
        outage.refresh_from_db()
        give_answer(outage, cast.bram, says=Answer.Says.BROKEN, owner=cast.team, now=at(50), actor="portal")
    return outage


def contact_page(incident: Incident, cast: Cast) -> str:
    return f"{room(incident)}answers/{cast.bram.public_id}/"


def test_today_and_the_room_show_who_where_and_what_they_own(cast: Cast, broken: Incident, agent: Client) -> None:
    with travel(at(51)):
        today = agent.get("/console/").content.decode()
        assert "Still broken, they say" in today
        for shown in ("Bram de Vries", "Fibre 500", "Kerkstraat 12", "Node 7", "Network operations"):
            assert shown in today
        assert "customer:" not in today  # the promise is told by the customer's name
        assert "1 customer waits for a person" in agent.get(f"{room(broken)}now/").content.decode()
        assert "Bram de Vries" in agent.get(f"{room(broken)}answers/").content.decode()


def test_a_person_was_in_touch_and_says_so(cast: Cast, broken: Incident, agent: Client) -> None:
    with travel(at(60)):
        assert "bram@customers.example" in agent.get(contact_page(broken, cast)).content.decode()
        answer = agent.post(contact_page(broken, cast), {"note": "His router was off.", "goes_on": "no"})
        assert answer.status_code == 302
        assert agent.get(contact_page(broken, cast)).status_code == 404
        again = agent.post(contact_page(broken, cast), {"note": "Again.", "goes_on": "no"}, follow=True)
        assert "Somebody else was quicker" in again.content.decode()
    said = Answer.objects.get()
    assert (said.settled_how, said.note) == ("contacted", "His router was off.")
    assert Promise.objects.get(audience=f"customer:{cast.bram.pk}").state == "kept"


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"note": "", "goes_on": "no"}, "required"),
        ({"note": "x", "goes_on": "yes"}, "Say by when"),
        ({"note": "x", "goes_on": "yes", "next_at": "2026-11-23T09:00"}, "That time has passed"),
        ({"note": "x", "goes_on": "yes", "next_at": "soon"}, "valid date"),
    ],
)
def test_what_goes_on_needs_a_time_to_come(
    cast: Cast, broken: Incident, agent: Client, given: dict[str, str], fault: str
) -> None:
    with travel(at(60)):
        answer = agent.post(contact_page(broken, cast), given)
    assert answer.status_code == 200
    assert fault in answer.content.decode()
    assert Answer.objects.get().settled_at is None


def test_the_team_writes_down_what_to_change_and_its_owner_has_it_on_today_until_it_is_done(
    cast: Cast, broken: Incident, agent: Client, supervisor: Client
) -> None:
    given = {"slug": "outage", "text": "Tell after one minute.", "owner": cast.noor.pk, "due_on": "2026-12-01"}
    with travel(at(70)):
        assert agent.post(f"{room(broken)}report/", given).status_code == 302
        assert "Tell after one minute." in agent.get(f"{room(broken)}report/").content.decode()
        assert "Tell after one minute." in agent.get("/console/playbooks/outage/1/").content.decode()
        assert "Tell after one minute." not in agent.get("/console/").content.decode()  # Ester does not own it
        assert "Tell after one minute." in supervisor.get("/console/").content.decode()
        change = WantedChange.objects.get()
        where = f"/console/changes/{change.public_id}/done/"
        assert supervisor.post(where, {"back": "today"})["Location"] == "/console/#changes"
        assert "quicker" in supervisor.post(where, follow=True).content.decode()
        assert "Tell after one minute." not in supervisor.get("/console/").content.decode()
    types = Event.objects.filter(type__startswith="playbook.change_").order_by("pk").values_list("type", flat=True)
    assert list(types) == ["playbook.change_wanted", "playbook.change_made"]


def test_a_change_needs_words_an_owner_and_a_day_to_come(cast: Cast, broken: Incident, agent: Client) -> None:
    given = {"slug": "nothing", "text": " ", "owner": 0, "due_on": "2026-11-01"}
    with travel(at(70)):
        page = agent.post(f"{room(broken)}report/", given).content.decode()
    assert "That day has passed." in page
    assert page.count("field-error") >= 4
    assert not WantedChange.objects.exists()


def test_the_report_says_how_soon_they_knew_and_what_they_answered(cast: Cast, broken: Incident, agent: Client) -> None:
    with travel(at(70)):
        page = " ".join(agent.get(f"{room(broken)}report/").content.decode().split())
    assert "within 5 minutes" in page
    assert "1 still broken" in page
