"""Updates over the API: put together from blocks, read before they are told; and what a telephone's menu says."""

from typing import Any
from uuid import UUID

import pytest

from beforehand.incidents.models import Incident, IncidentUpdate
from beforehand.kit.clock import travel
from beforehand.playbooks.models import PlaybookVersion, Run
from tests.api.callers import Caller, problem
from tests.api.test_nouns import V1, ok, open_incident
from tests.cast import Cast, make_cast
from tests.console.conftest import at
from tests.driving import approve_shipped

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


@pytest.fixture
def address(caller: Caller, cast: Cast) -> str:
    """Of an incident for which the outage playbook runs."""
    opened = open_incident(caller)
    approve_shipped()
    version = PlaybookVersion.objects.get(slug="outage", is_current=True)
    incident = Incident.objects.get(public_id=UUID(opened["id"]))
    Run.objects.create(version=version, incident=incident, state=Run.State.WAITING, position={})
    return f"{V1}/incidents/{opened['id']}"


def test_the_blocks_of_the_playbook_that_runs_are_there_to_choose_from(caller: Caller, address: str) -> None:
    found = ok(caller.get(f"{address}/blocks"))
    assert found["is_approved"] is True
    (cut,) = [block for block in found["items"] if block["name"] == "cause-cable-cut"]
    assert (cut["kind"], cut["slots"], set(cut["sentences"])) == ("cause", [], {"en", "nl", "ar", "hi"})
    assert cut["facts"]["en"] == "a cable cut by digging works"
    other = open_incident(caller, title="Without a playbook")
    assert ok(caller.get(f"{V1}/incidents/{other['id']}/blocks"))["items"] == []


def test_a_preview_tells_nobody_and_says_what_is_not_translated(caller: Caller, address: str) -> None:
    body = {"blocks": ["cause-cable-cut"], "texts": {"en": "More at noon."}}
    found = ok(caller.post(f"{address}/updates/preview", body))
    assert found["texts"]["en"] == "Digging works have cut one of our cables.\n\nMore at noon."
    assert found["partly_untranslated"] == ["ar", "hi", "nl"]
    assert found["states"]["nl"] == {"cause": "een kabel die bij graafwerk is geraakt"}
    assert ok(caller.post(f"{address}/updates/preview", {"texts": {"en": "x"}}))["untranslated"] == ["nl", "ar", "hi"]
    assert not IncidentUpdate.objects.exists()


def test_an_update_of_blocks_is_told_in_every_language_and_stated(caller: Caller, address: str) -> None:
    body = {
        "blocks": ["next-repaired", "area-named", "cause-cable-cut"],
        "slots": {"area": "", "time": "2026-11-23T12:00:00+01:00"},
    }
    with travel(at(4)):
        posted = ok(caller.post(f"{address}/updates", body), 201)
    assert posted["texts"]["en"].split("\n\n") == [
        "Digging works have cut one of our cables.",
        "The outage is in Groningen.",
        "We expect to have it repaired by 12:00\u202fPM (Netherlands Time). If that changes, we announce the new time.",
    ]
    assert "خرونينغن" in posted["texts"]["ar"]
    assert ok(caller.get(address))["texts"]["hi"]["cause"] == "खुदाई के काम में कटी केबल"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/texts", "invalid"),
        ({"blocks": ["cause-fire"]}, "/blocks", "unknown_block"),
        ({"blocks": ["next-repaired"]}, "/slots/time", "slot_empty"),
        ({"blocks": ["next-repaired"], "slots": {"time": "noon"}}, "/slots/time", "datetime_from_date_parsing"),
        ({"blocks": ["cause-cable-cut"], "slots": {"colour": "red"}}, "/slots/colour", "unknown_field"),
    ],
)
def test_an_update_that_cannot_be_is_refused_with_the_place(
    caller: Caller, address: str, body: dict[str, Any], pointer: str, code: str
) -> None:
    for door in ("updates", "updates/preview"):
        found = problem(caller.post(f"{address}/{door}", body), 422)
        assert (found["errors"][0]["pointer"], found["errors"][0]["code"]) == (pointer, code)
    assert not IncidentUpdate.objects.exists()


def test_a_telephone_menu_says_what_is_wrong_with_a_part_and_with_what_it_is_made_of(
    caller: Caller, cast: Cast, address: str
) -> None:
    for part in ("node-7", "north"):  # the region that has the node
        found = ok(caller.get(f"{V1}/say-this?component={part}&language=nl"))
        assert found["is_wrong"] is True
        assert found["text"] == "Er is een storing in ons netwerk. Waar: Groningen."
    elsewhere = ok(caller.get(f"{V1}/say-this?component=node-8"))
    assert (elsewhere["is_wrong"], elsewhere["items"]) == (False, [])
    assert elsewhere["text"] == "We know of no problem there at the moment."
    assert len(ok(caller.get(f"{V1}/say-this"))["items"]) == 1
    assert problem(caller.get(f"{V1}/say-this?component=node-99"), 404)


def test_a_telephone_menu_keeps_quiet_about_what_is_not_public(caller: Caller, cast: Cast, address: str) -> None:
    Incident.objects.update(is_public=False)
    assert ok(caller.get(f"{V1}/say-this"))["is_wrong"] is False
