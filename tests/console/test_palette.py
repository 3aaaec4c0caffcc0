"""One field for everywhere: it goes to any page, incident, customer or playbook, and begins what people do."""

import pytest
from django.test import Client

from beforehand.incidents.models import Incident
from tests.cast import Cast
from tests.console.conftest import room

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def found(client: Client, text: str) -> str:
    """The part that htmx asks for."""
    headers = {"HX-Request": "true", "HX-Target": "palette-found"}
    return client.get("/console/go/", {"q": text}, headers=headers).content.decode()


def test_before_anything_is_typed_it_offers_what_is_open_what_to_do_and_every_page(
    agent: Client, outage: Incident
) -> None:
    page = found(agent, "")
    for address in (room(outage), f"{room(outage)}update/", "/console/incidents/open/", "/console/readiness/"):
        assert f'href="{address}"' in page
    assert "<html" not in page


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("readi", "/console/readiness/"),
        ("open inc", "/console/incidents/open/"),
        ("say", "/console/say-this/"),
        ("planned-m", "/console/playbooks/planned-maintenance/1/"),
    ],
)
def test_the_beginnings_of_words_find_pages_deeds_and_playbooks(
    text: str, address: str, agent: Client, outage: Incident
) -> None:
    page = found(agent, text)
    assert f'href="{address}"' in page
    assert page.count("palette-way") <= 3


def test_customers_and_incidents_are_found_by_name(agent: Client, outage: Incident, cast: Cast) -> None:
    assert f"/console/customers/{cast.bram.public_id}/" in found(agent, "vries")
    assert room(outage) in found(agent, outage.title[1:6])
    assert "Nothing found." in found(agent, "qqqq")


def test_write_an_update_offers_every_open_incident_and_none_that_is_over(agent: Client, outage: Incident) -> None:
    assert f"{room(outage)}update/" in found(agent, "write upd")
    Incident.objects.update(state="resolved", ended_at=outage.began_at)
    assert "update/" not in found(agent, "write upd")
    assert "update/" not in found(agent, outage.title)


def test_a_viewer_is_offered_nothing_that_they_may_not_do(viewer: Client, outage: Incident) -> None:
    page = found(viewer, "")
    assert "/console/incidents/open/" not in page
    assert "update/" not in page
    assert room(outage) in page


def test_without_a_script_it_is_a_page_of_its_own(agent: Client, outage: Incident) -> None:
    page = agent.get("/console/go/", {"q": "readi"}).content.decode()
    assert "<html" in page
    assert "/console/readiness/" in page
    assert page.count('id="palette-found"') == 1
