"""Mutes: what they mean opens nothing while they last, and afterwards what still fires."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from django.db import connection

from beforehand.accounts.actions import SCOPES, create_token
from beforehand.api.access import forget_tokens
from beforehand.config.cli import main
from beforehand.detection.models import Alert, Mute
from beforehand.detection.mutes import MuteError, active_mutes, create_mute, end_mute, release_held
from beforehand.detection.queries import muted_counts
from beforehand.engine.conditions import ConditionError
from beforehand.events.models import Event
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from tests.api.callers import Caller, problem
from tests.cast import Cast
from tests.driving import Drive, alert, outage_rule, post_webhook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture
def drive(drive: Drive) -> Iterator[Drive]:
    outage_rule(resolve_after_seconds=100_000)
    return drive


def mute(begin: float = 0, end: float = 60, **changes: Any) -> Mute:
    with travel(at(min(begin, 0))):
        return create_mute(
            **{
                "condition": 'labels.node == "node-7"',
                "starts_at": at(begin),
                "ends_at": at(end),
                "reason": "cards are swapped",
                "actor": "test",
                **changes,
            }
        )


def send(drive: Drive, minutes: float, *alerts: dict[str, Any]) -> None:
    with travel(at(minutes)):
        post_webhook(alerts)
        drive.settle()


def look(drive: Drive, minutes: float) -> None:
    with travel(at(minutes)):
        drive.settle()


def test_a_muted_alert_opens_nothing_until_the_mute_ends_and_then_what_still_fires_does(drive: Drive) -> None:
    made = mute()
    send(drive, 5, alert(starts_at=at(5)), alert(starts_at=at(5), node="node-8"))
    assert Incident.objects.get().scopes.get().component.external_id == "node-8"
    assert muted_counts([made]) == {made.pk: 1}
    assert Event.objects.get(type="detection.held").data["mute"] == made.pk
    look(drive, 59.9)
    assert Incident.objects.count() == 1
    look(drive, 60)
    late = Incident.objects.latest("pk")
    assert (late.began_at, late.scopes.get().component.external_id) == (at(5), "node-7")
    assert muted_counts([made]) == {made.pk: 1}
    look(drive, 61)
    assert Incident.objects.count() == 2


def test_a_muted_alert_that_ended_meanwhile_opens_nothing_and_is_counted(drive: Drive) -> None:
    made = mute()
    send(drive, 5, alert(starts_at=at(5)))
    send(drive, 6, alert(starts_at=at(5)), alert(starts_at=at(5), status="resolved", ends_at=at(6)))
    look(drive, 61)
    assert not Incident.objects.exists()
    assert muted_counts([made]) == {made.pk: 1}
    assert not Event.objects.filter(type__in=["detection.raised", "detection.cleared"]).exists()


def test_a_mute_that_is_over_or_has_not_begun_does_nothing(drive: Drive) -> None:
    mute(-20, 5)
    mute(10, 20)
    send(drive, 5, alert(starts_at=at(5)))
    assert Incident.objects.get().state == "open"
    assert not Alert.objects.filter(is_held=True).exists()


def test_a_mute_made_while_it_fires_leaves_the_incident_open_and_its_end_is_heard(drive: Drive) -> None:
    send(drive, 0, alert(starts_at=at(0)))
    mute(1, 60)
    look(drive, 2)
    assert Incident.objects.get().state == "open"
    send(drive, 3, alert(starts_at=at(0), status="resolved", ends_at=at(3)))
    assert Incident.objects.get().state == "resolved"


def test_a_muted_alert_keeps_no_incident_open(drive: Drive) -> None:
    outage_rule(group_by=["alertname"], resolve_after_seconds=100_000)
    send(drive, 0, alert(starts_at=at(0), node="node-8"))
    mute(1, 60)
    send(drive, 2, alert(starts_at=at(2)))
    send(drive, 3, alert(starts_at=at(0), node="node-8", status="resolved", ends_at=at(3)))
    assert Incident.objects.get().state == "resolved"
    assert Incident.objects.get().scopes.get().component.external_id == "node-8"


def test_a_component_is_muted_with_all_that_depends_on_it(drive: Drive, cast: Cast) -> None:
    mute(condition="", component=cast.region)
    send(drive, 1, alert(starts_at=at(1)), alert(starts_at=at(1), node="node-8"), alert(starts_at=at(1), node="lab"))
    assert Alert.objects.filter(is_held=True).count() == 2
    assert Incident.objects.get().group_key == Alert.objects.get(is_held=False).group_key


def test_with_component_and_condition_both_must_mean_it(drive: Drive, cast: Cast) -> None:
    mute(condition='labels.severity == "info"', component=cast.node)
    send(drive, 1, alert(starts_at=at(1)), alert(starts_at=at(1), severity="info"))
    assert Alert.objects.get(is_held=True).labels["severity"] == "info"


def test_an_alert_that_another_mute_means_stays_muted(drive: Drive) -> None:
    mute(0, 10)
    second = mute(5, 20)
    send(drive, 1, alert(starts_at=at(1)))
    look(drive, 10)
    assert not Incident.objects.exists()
    assert Alert.objects.get().mute == second
    look(drive, 20)
    assert Incident.objects.get().state == "open"


def test_a_condition_that_can_no_longer_be_read_mutes_nothing(drive: Drive) -> None:
    Mute.objects.filter(pk=mute().pk).update(condition="nobody.knows")
    send(drive, 1, alert(starts_at=at(1)))
    assert Incident.objects.get().state == "open"


def test_two_workers_that_see_a_mute_end_raise_once(drive: Drive) -> None:
    mute(0, 10)
    send(drive, 1, alert(starts_at=at(1)))
    released: list[int] = []

    def work() -> None:
        released.append(release_held(now=at(10)))
        connection.close()

    with travel(at(10)):
        workers = [Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        drive.settle()
    assert sorted(released) == [0, 1]
    assert Event.objects.filter(type="detection.raised").count() == 1


def test_a_mute_that_means_nothing_or_has_no_time_is_refused() -> None:
    for code, changes in {
        "means_nothing": {"condition": ""},
        "no_reason": {"reason": "  "},
        "ends_before": {"ends_at": at(0)},
        "is_past": {"starts_at": at(-9), "ends_at": at(-1)},
    }.items():
        with pytest.raises(MuteError) as refused:
            mute(**changes)
        assert refused.value.code == code
    with pytest.raises(ConditionError):
        mute(condition="labels.severity ==")
    assert not Mute.objects.exists()


def test_ending_one_ahead_of_its_time_means_it_never_counts() -> None:
    made = mute(10, 20)
    with travel(at(1)):
        assert end_mute(made, actor="test")
        assert not end_mute(made, actor="test")
    assert active_mutes(now=at(15)) == []
    assert list(Event.objects.order_by("id").values_list("type", flat=True)) == ["mute.created", "mute.ended"]


def test_over_the_api_mutes_are_made_listed_and_ended(drive: Drive) -> None:
    forget_tokens()
    caller = Caller(create_token(name="all", scopes=SCOPES, actor="test")[1])
    reader = Caller(create_token(name="reader", scopes=["incidents:read"], actor="test")[1])
    body = {"component": "north", "ends_at": at(60).isoformat(), "reason": "new power supply"}
    with travel(at(0)):
        made = caller.post("/api/v1/mutes", body, Idempotency_Key="1")
        assert (made.status_code, made.json()["state"]) == (201, "active")
        assert caller.post("/api/v1/mutes", body, Idempotency_Key="1").json() == made.json()
        send(drive, 1, alert(starts_at=at(1)))
        listed = reader.get("/api/v1/mutes?state=active").json()["items"]
        assert [(one["reason"], one["muted"]) for one in listed] == [("new power supply", 1)]
        assert reader.get("/api/v1/mutes?state=over").json()["items"] == []
        assert reader.get("/api/v1/mutes?state=ahead").json()["items"] == []
        assert problem(reader.post("/api/v1/mutes", body), 403)["code"] == "scope_missing"
        refused = problem(caller.post("/api/v1/mutes", {**body, "component": "mars"}), 422)
        assert refused["errors"][0]["pointer"] == "/component"
        refused = problem(caller.post("/api/v1/mutes", {**body, "component": None}), 422)
        assert (refused["code"], refused["errors"][0]["pointer"]) == ("means_nothing", "/condition")
        refused = problem(caller.post("/api/v1/mutes", {**body, "condition": "labels.x =="}), 422)
        assert refused["errors"][0]["line"] == 1
    with travel(at(2)):
        ended = caller.post(f"/api/v1/mutes/{made.json()['id']}/end").json()
        assert (ended["state"], ended["ended_by"].partition(":")[0]) == ("over", "token")
        drive.settle()
    assert Incident.objects.get().state == "open"
    assert caller.post("/api/v1/mutes/00000000-0000-7000-8000-000000000000/end").status_code == 404


def test_by_command_mutes_are_made_listed_and_ended(cast: Cast, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mute", "list"]) == 0
    assert "Nothing is muted" in capsys.readouterr().err
    add = ["mute", "add", "--component", "node-7", "--condition", 'labels.node == "x"', "--why", "a test"]
    with travel(at(0)):
        assert main([*add, "--for", "2h", "--json"]) == 0
        made = json.loads(capsys.readouterr().out)
        assert datetime.fromisoformat(made["ends_at"]) == at(120)
        assert main([*add, "--from", "2026-11-24T22:00+01:00", "--until", "2026-11-25T02:00+01:00"]) == 0
        assert "2026-11-25 01:00 UTC" in capsys.readouterr().err
        assert main(["mute", "list"]) == 0
        assert "node-7" in capsys.readouterr().out
        assert main(["mute", "end", made["id"]]) == 0
        assert main(["mute", "end", made["id"], "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["state"] == "over"
        assert main(["mute", "list", "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)) == 1
        assert main(["mute", "list", "--json", "--all"]) == 0
        assert len(json.loads(capsys.readouterr().out)) == 2


def test_by_command_what_cannot_be_is_refused_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    for said, changes in {
        "lacks its offset": ["--until", "2026-11-24T22:00"],
        "is not a time": ["--until", "tomorrow"],
        "no length of time": ["--for", "2 hours"],
        "there is no component 'mars'": ["--for", "2h", "--component", "mars"],
        "write a condition": ["--for", "2h"],
        "the condition cannot be": ["--for", "2h", "--condition", "labels.x =="],
    }.items():
        assert main(["mute", "add", "--why", "a test", *changes]) == 1
        assert said in capsys.readouterr().err
    assert main(["mute", "end", "7"]) == 1
    assert "there is no mute '7'" in capsys.readouterr().err
