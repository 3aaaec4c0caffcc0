"""An alert on what depends on a component with an open incident is evidence, and a problem of its own only afterwards."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from beforehand.console.story import entries
from beforehand.customers.actions import upsert_components
from beforehand.customers.models import Component
from beforehand.events.models import Event
from beforehand.events.queries import story_of_subject
from beforehand.incidents.actions import narrow_scope, open_incident, resolve_incident
from beforehand.incidents.affected import origin_of
from beforehand.incidents.evidence import upstream_incidents
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from tests.cast import Cast
from tests.driving import Drive, alert, outage_rule, post_webhook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture
def drive(drive: Drive) -> Iterator[Drive]:
    outage_rule(hold_down_seconds=120, resolve_after_seconds=100_000)
    return drive


def send(drive: Drive, minutes: float, *alerts: dict[str, Any]) -> None:
    with travel(at(minutes)):
        post_webhook(alerts)
        drive.settle()


def look(drive: Drive, minutes: float) -> None:
    with travel(at(minutes)):
        drive.settle()


def down(node: str, minutes: float) -> dict[str, Any]:
    return alert(starts_at=at(minutes), node=node)


def up(node: str, since: float, minutes: float) -> dict[str, Any]:
    return alert(starts_at=at(since), node=node, status="resolved", ends_at=at(minutes))


def on(components: list[Component], **changes: Any) -> Incident:
    with travel(at(0)):
        return open_incident(
            **{
                "title": "Power cut",
                "kind": "outage",
                "severity": "major",
                "actor": "test",
                "began_at": at(0),
                "known_at": at(0),
                "component_ids": [one.pk for one in components],
                **changes,
            }
        )


def test_it_joins_the_incident_upstream_as_evidence_once_and_the_story_says_why(drive: Drive) -> None:
    send(drive, 0, down("north", 0))
    send(drive, 1, down("node-7", 1), down("node-8", 1), alert(starts_at=at(1), node="node-7", card="2"))
    upstream = Incident.objects.get()
    joined = Event.objects.filter(type="incident.evidence_joined").order_by("id")
    assert [event.data["reason"] for event in joined] == ["upstream", "upstream"]
    said = [line for line in entries(story_of_subject(origin_of(upstream.pk))) if "explained" in line.title]
    assert sorted(line.body for line in said) == ["Node 7", "Node 8"]


def test_what_still_fires_when_the_incident_has_ended_is_a_problem_of_its_own_from_its_own_beginning(
    drive: Drive,
) -> None:
    send(drive, 0, down("north", 0))
    send(drive, 1, down("node-7", 1), down("node-8", 1))
    send(drive, 20, up("north", 0, 20))
    send(drive, 22, up("node-8", 1, 22))  # the incident counts as over now; node-8 recovers with it
    assert Incident.objects.get().state == "resolved"
    look(drive, 23.9)
    assert Incident.objects.count() == 1
    look(drive, 24)
    own = Incident.objects.latest("pk")
    assert (own.state, own.began_at, own.scopes.get().component.external_id) == ("open", at(1), "node-7")
    send(drive, 30, up("node-7", 1, 30))
    look(drive, 33)
    assert Incident.objects.filter(state="open").count() == 0
    assert Incident.objects.count() == 2


def test_what_ends_before_the_incident_opens_nothing(drive: Drive) -> None:
    send(drive, 0, down("north", 0))
    send(drive, 1, down("node-7", 1))
    send(drive, 5, up("node-7", 1, 5))
    send(drive, 20, up("north", 0, 20))
    look(drive, 40)
    assert Incident.objects.count() == 1


def test_a_component_two_steps_below_joins_too_and_the_same_component_does_not(drive: Drive, cast: Cast) -> None:
    upsert_components(
        [{"external_id": "cabinet-3", "kind": "cabinet", "name": "Cabinet 3", "depends_on": ["node-7"]}],
        actor="test",
        source="test",
    )
    power = on([cast.region])
    send(drive, 1, down("cabinet-3", 1), down("north", 1), down("moon", 1))
    assert Event.objects.get(type="incident.evidence_joined").subject == origin_of(power.pk)
    assert Incident.objects.count() == 3


def test_a_problem_that_has_an_incident_keeps_it(drive: Drive, cast: Cast) -> None:
    send(drive, 0, down("node-7", 0))
    on([cast.region])
    send(drive, 1, alert(starts_at=at(1), node="node-7", card="2"))
    assert Incident.objects.count() == 2
    assert not Event.objects.filter(type="incident.evidence_joined").exists()


def test_when_the_part_that_explained_it_is_taken_out_it_is_a_problem_of_its_own(drive: Drive, cast: Cast) -> None:
    power = on([cast.region, cast.other_node])
    send(drive, 1, down("node-7", 1))
    assert Incident.objects.count() == 1
    with travel(at(2)):
        narrow_scope(power.scopes.get(component=cast.region), reason="mistaken", actor="test")
        drive.settle()
    look(drive, 4)
    assert Incident.objects.count() == 2


def test_what_another_incident_explains_as_well_joins_that_one(drive: Drive, cast: Cast) -> None:
    first, second = on([cast.region]), on([cast.region])
    send(drive, 1, down("node-7", 1))
    with travel(at(5)):
        resolve_incident(first, reason="resolved", actor="test")
        drive.settle()
    look(drive, 7)
    joined = Event.objects.filter(type="incident.evidence_joined").order_by("id")
    assert [event.subject for event in joined] == [origin_of(first.pk), origin_of(second.pk)]
    assert Incident.objects.filter(state="open").count() == 1


def test_planned_work_explains_nothing_before_it_begins(drive: Drive, cast: Cast) -> None:
    work = on([cast.region], kind="planned")
    Incident.objects.filter(pk=work.pk).update(began_at=at(60))
    assert upstream_incidents([cast.node.pk], now=at(59)) == {}
    assert upstream_incidents([cast.node.pk], now=at(60)) == {cast.node.pk: {work.pk}}
    assert upstream_incidents([], now=at(60)) == {}
