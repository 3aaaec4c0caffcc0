"""The state of our services for programs: Statuspage's shape, one feed a language, cheap to ask again and again."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from beforehand.customers.actions import upsert_components
from beforehand.incidents.actions import post_update, resolve_incident
from beforehand.incidents.models import Incident, PlannedWork
from beforehand.kit import clock
from beforehand.portal.feeds import DOCUMENTS
from tests.cast import CUSTOMERS, Cast
from tests.portal.conftest import START, TEXTS, outage
from tests.portal.pages import Page, reads_only

Browser = Callable[..., Client]
ATOM = "{http://www.w3.org/2005/Atom}"


def read(reader: Client, name: str, query: str = "") -> Any:
    answer = reader.get(f"/api/v2/{name}.json{query}")
    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == "*"
    return json.loads(answer.content)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_document_is_read_within_a_handful_of_queries_and_names_nobody(
    cast: Cast, browser: Browser, name: str
) -> None:
    outage(cast)
    reader = browser()
    with reads_only(at_most=8):
        answer = reader.get(f"/api/v2/{name}.json")
    text = answer.content.decode()
    for secret in [*(one[0] for one in CUSTOMERS.values()), "Kerkstraat", "NodeDown", "Node 7", "node-8", "internal"]:
        assert secret not in text
    assert json.loads(text)["page"]["name"] == "Noorderlicht"


def test_the_summary_has_the_shape_that_widgets_read(cast: Cast, browser: Browser) -> None:
    incident = outage(cast)
    with clock.travel(START + timedelta(minutes=9)):
        post_update(incident, texts={"en": "We found the break.", "nl": "Gevonden."}, author=None, actor="test")
        summary = read(browser(), "summary", "?lang=en")
    assert set(summary) == {"page", "status", "components", "incidents", "scheduled_maintenances"}
    assert summary["status"] == {"indicator": "critical", "description": "Something important does not work"}
    (told,) = summary["incidents"]
    assert (told["id"], told["name"], told["impact"]) == (str(incident.public_id), TEXTS["en"]["title"], "critical")
    assert (told["status"], told["resolved_at"]) == ("investigating", None)
    assert told["incident_updates"][0]["body"] == "We found the break."
    assert {update["incident_id"] for update in told["incident_updates"]} == {told["id"]}
    assert [part["name"] for part in told["components"]] == ["Groningen"]
    parts = {part["name"]: part["status"] for part in summary["components"]}
    assert parts == {"Groningen": "major_outage", "the north": "operational"}
    assert read(browser(), "incidents", "?lang=nl")["incidents"][0]["incident_updates"][0]["body"] == "Gevonden."


def test_what_depends_on_a_part_that_is_down_is_down_too(cast: Cast, browser: Browser) -> None:
    outage(cast, component_ids=[cast.region.pk], severity="major")
    parts = {part["name"]: part["status"] for part in read(browser(), "components")["components"]}
    assert parts == {"Groningen": "partial_outage", "the north": "partial_outage"}
    assert read(browser(), "status")["status"]["indicator"] == "major"


def test_ids_stay_and_an_end_is_told(cast: Cast, browser: Browser) -> None:
    incident = outage(cast, began_at=START - timedelta(hours=1))
    before = read(browser(), "incidents")["incidents"][0]
    resolve_incident(incident, reason="fixed", actor="test")
    after = read(browser(), "incidents")["incidents"][0]
    assert after["id"] == before["id"]
    assert {one["id"] for one in before["incident_updates"]} < {one["id"] for one in after["incident_updates"]}
    assert (after["status"], after["resolved_at"]) == ("resolved", START.isoformat())
    assert read(browser(), "incidents/unresolved")["incidents"] == []
    assert read(browser(), "status")["status"] == {"indicator": "none", "description": "Everything works"}


def test_planned_work_is_told_apart_and_not_before_it_is_announced(cast: Cast, browser: Browser) -> None:
    incident = outage(cast, kind="planned")
    Incident.objects.filter(pk=incident.pk).update(began_at=START + timedelta(hours=5))
    work = PlannedWork.objects.create(
        incident=incident, starts_at=START + timedelta(hours=5), ends_at=START + timedelta(hours=7), announce_at=START
    )
    assert read(browser(), "scheduled-maintenances")["scheduled_maintenances"] == []
    PlannedWork.objects.filter(pk=work.pk).update(announced_at=START)
    (told,) = read(browser(), "scheduled-maintenances")["scheduled_maintenances"]
    assert (told["status"], told["impact"]) == ("scheduled", "maintenance")
    assert told["scheduled_for"] == work.starts_at.isoformat()
    assert read(browser(), "incidents")["incidents"] == []
    assert read(browser(), "status")["status"]["indicator"] == "none"
    with clock.travel(START + timedelta(hours=6)):
        assert read(browser(), "status")["status"]["indicator"] == "maintenance"
        assert {part["status"] for part in read(browser(), "components")["components"]} == {
            "under_maintenance", "operational"
        }  # fmt: skip


def test_what_is_not_public_is_in_none_of_them(cast: Cast, browser: Browser) -> None:
    outage(cast, is_public=False)
    upsert_components(
        [{"external_id": "secret", "kind": "node", "name": "Secret", "texts": {}}], actor="test", source="test"
    )
    for name in DOCUMENTS:
        text = json.dumps(read(browser(), name))
        assert TEXTS["en"]["title"] not in text
        assert "Secret" not in text


@pytest.mark.parametrize("where", ["/api/v2/summary.json", "/status/feed/nl.atom"])
def test_who_asks_again_is_told_that_nothing_changed(cast: Cast, browser: Browser, where: str) -> None:
    incident, reader = outage(cast), browser()
    first = reader.get(where)
    assert "public" in first["Cache-Control"]
    with clock.travel(START + timedelta(minutes=3)):
        again = reader.get(where, headers={"If-None-Match": first["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        post_update(incident, texts={"en": "News.", "nl": "Nieuws."}, author=None, actor="test")
        assert reader.get(where, headers={"If-None-Match": first["ETag"]}).status_code == 200


@pytest.mark.parametrize("language", ["en", "nl", "ar", "hi"])
def test_there_is_an_atom_feed_in_each_language(cast: Cast, browser: Browser, language: str) -> None:
    incident, reader = outage(cast), browser("fr")
    answer = reader.get(f"/status/feed/{language}.atom")
    assert answer["Content-Type"].startswith("application/atom+xml")
    feed = ElementTree.fromstring(answer.content)
    assert feed.get("{http://www.w3.org/XML/1998/namespace}lang") == language
    (entry,) = feed.findall(f"{ATOM}entry")
    assert entry.findtext(f"{ATOM}title") == TEXTS[language]["title"]
    assert entry.findtext(f"{ATOM}id") == f"urn:uuid:{incident.public_id}"
    assert f'href="/status/feed/{language}.atom"' in reader.get(f"/status/?lang={language}").content.decode()


def test_the_atom_feed_does_not_ask_for_the_parts_that_it_does_not_name(cast: Cast, browser: Browser) -> None:
    outage(cast)
    reader = browser()
    with CaptureQueriesContext(connection) as queries:
        assert TEXTS["en"]["title"] in reader.get("/status/feed/en.atom").content.decode()
    assert [one["sql"] for one in queries if "customers_componentdependency" in one["sql"]] == []


def test_a_language_that_we_have_not_has_no_feed_and_an_empty_one_is_whole(cast: Cast, browser: Browser) -> None:
    assert browser().get("/status/feed/xx.atom").status_code == 404
    feed = ElementTree.fromstring(browser().get("/status/feed/en.atom").content)
    assert feed.findall(f"{ATOM}entry") == []
    assert feed.findtext(f"{ATOM}updated") == "2020-01-01T00:00:00+00:00"


def test_the_history_goes_back_page_by_page_and_holds_only_what_is_over(
    cast: Cast, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beforehand.portal.incidents.LISTED", 2)
    for number in range(3):
        began = START - timedelta(days=300, hours=-number)
        over = outage(cast, began_at=began, texts={"en": {"title": f"Outage {number}"}})
        resolve_incident(over, reason="fixed", actor="test")
    outage(cast, texts={"en": {"title": "Still open"}})
    reader = browser()
    with reads_only(at_most=8):
        html = reader.get("/status/history/").content.decode()
    first = Page(html)
    assert "Outage 2" in first.words
    assert "Outage 1" in first.words
    assert "Outage 0" not in first.words
    assert "Still open" not in first.words
    before = next(str(a["href"]) for _tag, a in first.elements if "before=" in str(a.get("href")))
    assert "Outage 0" in reader.get(f"/status/history/{before}").content.decode()
    assert reader.get("/status/history/?before=x").status_code == 404
