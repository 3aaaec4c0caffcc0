"""A heartbeat that fails to come raises a problem with an honest title, and its next beat resolves it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from beforehand.accounts.actions import create_token, set_setting
from beforehand.api.access import forget_tokens
from beforehand.detection.heartbeats import miss_beats, save_heartbeat, take_beat
from beforehand.detection.models import Alert, AlertRule, Heartbeat
from beforehand.events.models import Event
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from tests.api.callers import Caller, problem
from tests.cast import Cast
from tests.driving import Drive, outage_rule

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
PATH = "/api/v1/heartbeats/probe-north"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture
def drive(drive: Drive, cast: Cast) -> Iterator[Drive]:
    outage_rule(slug="silence", condition='source == "nobody"', group_by=["heartbeat"], component_labels=[])
    expect(component=cast.node)
    return drive


def expect(**changes: Any) -> Heartbeat:
    with travel(at(0)):
        return save_heartbeat(
            **{
                "slug": "probe-north",
                "name": "Probe in the north",
                "interval_seconds": 600,
                "grace_seconds": 120,
                "rule": AlertRule.objects.get(slug="silence"),
                "actor": "test",
                **changes,
            }
        )


def beat(minutes: float) -> None:
    with travel(at(minutes)):
        assert take_beat("probe-north")


def look(drive: Drive, minutes: float) -> None:
    with travel(at(minutes)):
        drive.settle()


def test_one_that_comes_in_time_or_within_the_grace_raises_nothing(drive: Drive) -> None:
    for minutes in (9, 20.9, 32.8):
        beat(minutes)
        look(drive, minutes)
    look(drive, 44.7)
    assert not Incident.objects.exists()
    assert not Event.objects.filter(type="alert.fired").exists()


def test_one_that_fails_to_come_opens_an_incident_with_an_honest_title_and_the_next_one_ends_it(drive: Drive) -> None:
    beat(5)
    look(drive, 16.9)
    assert not Incident.objects.exists()
    look(drive, 17)
    opened = Incident.objects.get()
    assert opened.title == "No sign of life from Probe in the north, expected at 2026-11-23 10:15 UTC"
    assert opened.began_at == at(15)
    assert opened.scopes.get().component.external_id == "node-7"
    look(drive, 17 + 24 * 60)  # silence does not time out
    assert Incident.objects.get().state == "open"
    beat(1500)
    look(drive, 1500)
    assert (Incident.objects.get().state, Incident.objects.get().ended_at) == ("resolved", at(1500))
    assert Heartbeat.objects.get().missed_since is None
    look(drive, 1512)
    assert Incident.objects.count() == 2


def test_the_title_is_in_the_companys_language_whoever_sets_it_in_motion(drive: Drive) -> None:
    set_setting(key="brand", value={"name": "Noorderlicht", "language": "nl"}, actor="test")
    with translation.override("ar"):
        look(drive, 12)
    assert Incident.objects.get().title.endswith("verwacht om 2026-11-23 10:10 UTC")


def test_one_that_never_came_is_missed_from_when_it_was_first_expected(drive: Drive) -> None:
    look(drive, 12)
    assert Incident.objects.get().began_at == at(10)


def test_without_a_rule_of_its_own_it_opens_what_the_first_rule_that_it_meets_says(drive: Drive) -> None:
    expect(rule=None)
    look(drive, 12)
    assert Alert.objects.get().rule is None
    beat(13)
    outage_rule(slug="any", condition='source == "heartbeat" && labels.heartbeat == "probe-north"')
    look(drive, 25)
    assert Incident.objects.get().kind == "outage"


def test_a_rule_that_is_switched_off_says_nothing(drive: Drive) -> None:
    AlertRule.objects.update(is_enabled=False)
    look(drive, 12)
    assert Alert.objects.get().status == "firing"
    assert not Incident.objects.exists()


def test_one_that_is_switched_off_is_not_missed_and_what_it_raised_is_over(drive: Drive) -> None:
    look(drive, 12)
    with travel(at(14)):
        save_heartbeat(
            slug="probe-north",
            name="Probe",
            interval_seconds=600,
            grace_seconds=120,
            rule=AlertRule.objects.get(),
            is_enabled=False,
            actor="test",
        )
        drive.settle()
    assert Incident.objects.get().state == "resolved"
    look(drive, 60)
    assert Alert.objects.count() == 1
    with travel(at(100)):
        save_heartbeat(
            slug="probe-north",
            name="Probe",
            interval_seconds=600,
            grace_seconds=120,
            rule=AlertRule.objects.get(),
            actor="test",
        )
        assert miss_beats(now=at(111)) == 0
        assert miss_beats(now=at(112)) == 1


def test_two_workers_that_miss_it_raise_one_alert(drive: Drive) -> None:
    missed: list[int] = []

    def work() -> None:
        missed.append(miss_beats(now=at(12)))
        connection.close()

    with travel(at(12)):
        workers = [Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        drive.settle()
    assert sorted(missed) == [0, 1]
    assert Event.objects.filter(type="alert.fired").count() == 1
    assert Incident.objects.count() == 1


def test_they_are_watched_by_one_query_and_a_beat_is_one_statement(drive: Drive) -> None:
    for number in range(20):
        expect(slug=f"probe-{number}")
    with CaptureQueriesContext(
        connection,
    ) as watched:
        assert miss_beats(now=at(1)) == 0
    assert sum("detection_heartbeat" in query["sql"] for query in watched) == 1
    with CaptureQueriesContext(connection) as taken:
        beat(1)
    assert sum("detection_heartbeat" in query["sql"] for query in taken) == 1
    with travel(at(12)):
        drive.settle()
    assert Incident.objects.count() == 20


def test_over_the_api_it_is_expected_and_beats(drive: Drive) -> None:
    forget_tokens()
    admin = Caller(create_token(name="a", scopes=["settings:write", "incidents:read"], actor="test")[1])
    probe = Caller(create_token(name="probe", scopes=["events:write"], actor="test")[1])
    body = {"name": "Probe", "interval_seconds": 600, "component": "node-7", "rule": "silence", "sender": "probe-3"}
    with travel(at(0)):
        shown = admin.put(PATH, body).json()
        assert (shown["grace_seconds"], shown["heard_at"], shown["rule"]) == (60, None, "silence")
        assert datetime.fromisoformat(shown["missing_at"]) == at(11)
    with travel(at(11)):
        drive.settle()
        assert admin.get(PATH).json()["missed_since"] is not None
        assert probe.post(PATH, b"", content_type="text/plain").status_code == 204
        drive.settle()
    assert Incident.objects.get().state == "resolved"
    shown = admin.get("/api/v1/heartbeats").json()["items"][0]
    assert (datetime.fromisoformat(shown["heard_at"]), shown["missed_since"]) == (at(11), None)
    assert probe.post("/api/v1/heartbeats/nobody").status_code == 404
    assert admin.get("/api/v1/heartbeats/nobody").status_code == 404
    assert problem(admin.post(PATH), 403)["code"] == "scope_missing"
    assert problem(admin.put(PATH, {**body, "rule": "none"}), 422)["errors"][0]["pointer"] == "/rule"
    assert problem(admin.put(PATH, {**body, "component": "mars"}), 422)["errors"][0]["pointer"] == "/component"
