"""Promises over the API: an outcome is made, moved and settled; one press is one owner."""

from datetime import UTC, datetime, timedelta

import pytest

from beforehand.incidents.actions import open_incident, resolve_incident
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.promises.models import Promise
from tests.api.callers import Caller, problem
from tests.cast import Cast, make_cast

pytestmark = [pytest.mark.django_db, pytest.mark.database]
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
PROMISES = "/api/v1/promises"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture
def cast() -> Cast:
    return make_cast()


@pytest.fixture
def incident(cast: Cast) -> Incident:
    return open_incident(
        title="Node 7", kind="outage", severity="major", actor="test", began_at=at(0), known_at=at(0),
        component_ids=[cast.node.pk], owner=cast.team,
    )  # fmt: skip


def outcome(incident: Incident, due: float) -> dict[str, str]:
    return {"incident": str(incident.public_id), "outcome": "restored", "due_at": at(due).isoformat()}


def test_an_outcome_is_made_moved_and_settled(caller: Caller, incident: Incident) -> None:
    with travel(at(1)):
        made = caller.post(PROMISES, outcome(incident, 120))
        assert made.status_code == 201
        assert problem(caller.post(PROMISES, outcome(incident, 130)), 409)["code"] == "one_is_open"
        assert problem(caller.post(PROMISES, outcome(incident, -5)), 422)["code"] == "past"
        one = made.json()
        moved = caller.post(f"{PROMISES}/{one['id']}/move", {"due_at": at(240).isoformat()}).json()
        assert (moved["state"], moved["moved_from"]) == ("open", one["due_at"])
        assert problem(caller.post(f"{PROMISES}/{one['id']}/move", {"due_at": at(250).isoformat()}), 409)["code"] == (
            "not_open"
        )
    with travel(at(30)):
        later = {"done_at": at(31).isoformat()}
        assert problem(caller.post(f"{PROMISES}/{moved['id']}/done", later), 422)["code"] == "not_then"
        done = caller.post(f"{PROMISES}/{moved['id']}/done", {}).json()
    assert (done["state"], done["ended_at"][:16]) == ("kept_early", "2026-11-23T10:30")
    states = [one["state"] for one in caller.get(f"{PROMISES}?kind=outcome").json()["items"]]
    assert states == ["kept_early", "moved"]


def test_an_update_is_neither_moved_nor_settled_by_hand(caller: Caller, incident: Incident, cast: Cast) -> None:
    update = Promise.objects.create(
        audience=f"incident:{incident.pk}", made_by="run:1:x:1", made_at=at(0), due_at=at(60), warn_at=at(50),
        hold_at=at(58), owner=cast.team,
    )  # fmt: skip
    with travel(at(1)):
        assert problem(caller.post(f"{PROMISES}/{update.public_id}/done", {}), 409)["code"] == "not_an_outcome"
        moved = caller.post(f"{PROMISES}/{update.public_id}/move", {"due_at": at(90).isoformat()})
        assert problem(moved, 409)["code"] == "not_an_outcome"


def test_whoever_acknowledges_first_has_it(caller: Caller, incident: Incident) -> None:
    with travel(at(1)):
        made = caller.post(PROMISES, outcome(incident, 120)).json()
        take = f"{PROMISES}/{made['id']}/acknowledge"
        first = caller.post(take, {"person": "Ester@company.example"}).json()
        second = caller.post(take, {"person": "farid@company.example"}).json()
        assert problem(caller.post(take, {"person": "zeno@company.example"}), 422)["code"] == "unknown_person"
    assert (first["is_new"], second["is_new"]) == (True, False)
    assert second["promise"]["held_by"] == "ester@company.example"


def test_nothing_is_promised_of_what_is_over_or_unknown(caller: Caller, incident: Incident) -> None:
    with travel(at(1)):
        resolve_incident(incident, reason="test", actor="test")
        assert problem(caller.post(PROMISES, outcome(incident, 120)), 409)["code"] == "not_open"
        unknown = {**outcome(incident, 120), "incident": "01a205b8-66db-7739-aef9-e482b09cbef0"}
        assert problem(caller.post(PROMISES, unknown), 422)["code"] == "unknown_incident"
    problem(caller.post(f"{PROMISES}/01a205b8-66db-7739-aef9-e482b09cbef0/done", {}), 404)
