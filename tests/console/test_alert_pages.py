"""Alerts and what became of them, rules tried before they are saved, mutes, heartbeats: on pages, by those who may."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from beforehand.accounts.models import User
from beforehand.detection.actions import save_rule
from beforehand.detection.heartbeats import save_heartbeat, take_beat
from beforehand.detection.models import Alert, AlertRule, Heartbeat, Mute
from beforehand.detection.mutes import create_mute
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from tests.cast import Cast
from tests.console.conftest import at
from tests.driving import Drive, alert, post_webhook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

RULE = {
    "name": "Disks", "slug": "disks", "condition": 'labels.alertname == "DiskFull"', "kind": "degraded", "severity": "minor",
    "component_labels": "node, host", "group_by": "alertname,node", "hold_down_seconds": "60", "resolve_after_seconds": "600",
    "flap_changes": "3", "flap_window_seconds": "900", "flap_hold_down_seconds": "900", "is_enabled": "on",
    "title_nl": "Trage opslag",
}  # fmt: skip


def page_of(client: Client, path: str) -> str:
    answer = client.get(f"/console/alerts/{path}")
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def some_alerts(cast: Cast, drive: Drive, outage: Incident) -> Incident:
    """Node 7 is down; besides, a disk is full that no rule knows, node 8 fails in a mute, and the door of node 7 is open."""
    save_rule(
        slug="doors", name="Doors", condition='labels.alertname == "DoorOpen"', group_by=["alertname"],
        component_labels=["node"], actor="test",
    )  # fmt: skip
    with travel(at(4)):
        create_mute(
            starts_at=at(0), ends_at=at(60), reason="New batteries", actor=f"user:{cast.noor.pk}",
            component=cast.other_node,
        )  # fmt: skip
        post_webhook([
            alert(starts_at=at(4), node="node-9", alertname="DiskFull"),
            alert(starts_at=at(4), node="node-8"),
        ])  # fmt: skip
        drive.settle()
    return outage


def test_each_alert_says_what_became_of_it(some_alerts: Incident, agent: Client, supervisor: Client) -> None:
    with travel(at(5)):
        page = page_of(agent, "")
    rows = page.split("<tr>")[2:]
    assert len(rows) == 3
    of = {name: next(row for row in rows if name in row) for name in ("DiskFull", "node=node-8", "node=node-7")}
    assert "no rule" in of["DiskFull"]
    assert "New batteries" in of["node=node-8"]
    assert f"/console/incidents/{some_alerts.public_id}/" in of["node=node-7"]
    assert "Make a rule from it" not in page
    disk = Alert.objects.get(labels__alertname="DiskFull")
    assert f"/console/alerts/rule/?alert={disk.pk}" in page_of(supervisor, "")


def test_alerts_are_shown_by_what_became_of_them(some_alerts: Incident, agent: Client) -> None:
    found = {show: page_of(agent, f"?show={show}").count("<tr>") - 1 for show in ("", "firing", "muted", "no-rule")}
    assert found == {"": 3, "firing": 3, "muted": 1, "no-rule": 1}


def test_an_alert_that_an_open_incident_explains_is_evidence_for_it(
    cast: Cast, drive: Drive, agent: Client, supervisor: Client
) -> None:
    save_rule(
        slug="all", name="All", condition="true", group_by=["alertname", "node"], component_labels=["node"],
        hold_down_seconds=0, actor="test",
    )  # fmt: skip
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0), node="north", alertname="RegionDown")])
        drive.settle()
        post_webhook([alert(starts_at=at(0), node="node-7")])
        drive.settle()
    page = page_of(agent, "")
    row = next(row for row in page.split("<tr>") if "node=node-7" in row)
    assert "evidence for" in row
    assert str(Incident.objects.get().public_id) in row


def test_a_draft_from_an_alert_knows_its_name_and_its_network_part(some_alerts: Incident, supervisor: Client) -> None:
    node = Alert.objects.get(labels__node="node-7")
    page = page_of(supervisor, f"rule/?alert={node.pk}")
    assert "labels.alertname == &quot;NodeDown&quot;" in page
    assert 'value="node-down"' in page
    assert 'value="alertname, node"' in page
    assert "it would have matched these 2" in page  # tried at once, as it stands there
    assert "Make a rule" in page_of(supervisor, "rule/?alert=99999999999999999999")


def test_a_rule_is_tried_on_recent_alerts_and_nothing_is_saved_by_that(
    some_alerts: Incident, supervisor: Client
) -> None:
    tried = {**RULE, "condition": "true", "component_labels": "node", "try": "yes"}
    page = supervisor.post("/console/alerts/rule/", tried).content.decode()
    assert "it would have matched these 3" in page
    assert "Node 7" in page
    assert page.count("names no network part that we know") == 1  # node-9
    assert page.count("is asked before it, and takes this one") == 2
    assert not AlertRule.objects.filter(slug="disks").exists()
    assert "Trage opslag" in page


def test_a_rule_is_made_changed_and_keeps_texts_that_the_form_does_not_show(cast: Cast, supervisor: Client) -> None:
    answer = supervisor.post("/console/alerts/rule/", {**RULE, "save": "yes"})
    assert (answer.status_code, answer["Location"]) == (302, "/console/alerts/rules/disks/")
    rule = AlertRule.objects.get()
    assert (rule.component_labels, rule.group_by) == (["node", "host"], ["alertname", "node"])
    assert (rule.texts, rule.hold_down_seconds, rule.is_enabled) == ({"nl": {"title": "Trage opslag"}}, 60, True)
    AlertRule.objects.update(texts={**rule.texts, "tr": {"title": "Yavaş"}})
    changed = {**RULE, "name": "Full disks", "owner": str(cast.team.pk), "save": "yes"}
    supervisor.post("/console/alerts/rules/disks/", {**changed, "slug": "other"})
    rule = AlertRule.objects.get()
    assert (rule.slug, rule.name, rule.owner, set(rule.texts)) == ("disks", "Full disks", cast.team, {"nl", "tr"})


def test_a_mistake_is_named_with_its_place_and_what_was_typed_stays(supervisor: Client) -> None:
    given = {**RULE, "condition": "labels.severity ==\n 3", "slug": "Not a slug", "save": "yes"}
    page = supervisor.post("/console/alerts/rule/", given).content.decode()
    assert "Line 1, column" in page or "Line 2, column" in page
    assert "labels.severity ==" in page
    assert not AlertRule.objects.exists()
    supervisor.post("/console/alerts/rule/", {**RULE, "save": "yes"})
    again = supervisor.post("/console/alerts/rule/", {**RULE, "save": "yes"}).content.decode()
    assert "There is a rule of this short name already." in again


def test_rules_say_what_they_did_lately_and_are_switched(some_alerts: Incident, supervisor: Client) -> None:
    with travel(at(5)):
        page = page_of(supervisor, "rules/")
    row = next(row for row in page.split("<tr>") if "Fibre node down" in row)
    assert row.count('<td data-label="Alerts in 7 days" class="is-number">2</td>') == 1  # one of them muted
    assert row.count('<td data-label="Incidents in 7 days" class="is-number">1</td>') == 1
    supervisor.post("/console/alerts/rules/node-down/switch/", {"to": "off"})
    assert not AlertRule.objects.get(slug="node-down").is_enabled
    assert "out of force" in page_of(supervisor, "rules/")
    supervisor.post("/console/alerts/rules/node-down/switch/", {"to": "on"})
    assert AlertRule.objects.get(slug="node-down").is_enabled


def test_a_mute_is_made_shown_with_what_it_holds_back_and_ended(
    some_alerts: Incident, supervisor: Client, cast: Cast
) -> None:
    with travel(at(5)):
        page = page_of(supervisor, "mutes/")
        assert "1 alert held back" in page
        assert "Noor" in page
        mute = Mute.objects.get()
        supervisor.post(f"/console/alerts/mutes/{mute.public_id}/end/")
        mute.refresh_from_db()
        assert (mute.ends_at, mute.ended_by) == (at(5), f"user:{cast.noor.pk}")
        again = supervisor.post(f"/console/alerts/mutes/{mute.public_id}/end/", follow=True)
        assert "It was over already." in again.content.decode()
        given = {"component": "node 7", "condition": 'labels.a == "b"', "ends_at": "2026-11-24T10:00", "reason": "Work"}
        assert supervisor.post("/console/alerts/mute/", given)["Location"] == "/console/alerts/mutes/"
    made = Mute.objects.order_by("-pk")[0]
    assert (made.component, made.starts_at, made.reason) == (cast.node, at(5), "Work")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ends_at": "2026-11-24T10:00", "reason": "x"}, "Say which alerts"),
        ({"component": "nowhere", "ends_at": "2026-11-24T10:00", "reason": "x"}, "There is no network part"),
        ({"component": "node-7", "ends_at": "2026-11-22T10:00", "reason": "x"}, "It ends before it begins."),
        (
            {"component": "node-7", "starts_at": "2026-11-21T10:00", "ends_at": "2026-11-22T10:00", "reason": "x"},
            "That time has passed.",
        ),
        ({"condition": "labels ==", "ends_at": "2026-11-24T10:00", "reason": "x"}, "Line 1, column"),
        ({"component": "node-7", "ends_at": "2026-11-24T10:00"}, "required"),
    ],
)
def test_a_mute_that_cannot_be_says_why_and_mutes_nothing(
    given: dict[str, str], said: str, cast: Cast, supervisor: Client
) -> None:
    with travel(at(0)):
        assert said in supervisor.post("/console/alerts/mute/", given).content.decode()
    assert not Mute.objects.exists()


def test_heartbeats_that_are_missing_stand_first_and_each_shows_its_address(cast: Cast, supervisor: Client) -> None:
    with travel(at(0)):
        given = {"name": "A probe", "slug": "probe", "interval_seconds": "60", "grace_seconds": "0", "component": "node-7",
                 "is_enabled": "on"}  # fmt: skip
        answer = supervisor.post("/console/alerts/heartbeat/", given)
        assert answer["Location"] == "/console/alerts/heartbeats/probe/"
        save_heartbeat(slug="a-import", name="Import", interval_seconds=600, grace_seconds=0, actor="test")
        save_heartbeat(slug="off", name="Old", interval_seconds=6, grace_seconds=0, is_enabled=False, actor="test")
    with travel(at(1.5)):
        take_beat("a-import")
        page = page_of(supervisor, "heartbeats/")
    assert page.index("A probe") < page.index("Import") < page.index("Old")
    assert "1 is missing" in page
    assert "/api/v1/heartbeats/probe" in page_of(supervisor, "heartbeats/probe/")
    assert Heartbeat.objects.get(slug="probe").component == cast.node
    with travel(at(2)):
        supervisor.post("/console/alerts/heartbeats/probe/", {**given, "interval_seconds": "3600", "slug": "other"})
    probe = Heartbeat.objects.get(slug="probe")
    assert probe.missing_at == at(0) + timedelta(hours=1)
    assert "There is a heartbeat" in supervisor.post("/console/alerts/heartbeat/", given).content.decode()


def test_an_agent_reads_and_changes_nothing(
    cast: Cast, outage: Incident, agent: Client, signed_in: Callable[[User], Client]
) -> None:
    save_heartbeat(slug="probe", name="Probe", interval_seconds=60, grace_seconds=0, actor="test")
    assert "fieldset" in page_of(agent, "rules/node-down/")
    assert 'name="save"' not in page_of(agent, "rules/node-down/")
    for path in ("rules/node-down/", "heartbeats/probe/", "rule/", "mute/", "heartbeat/"):
        assert agent.post(f"/console/alerts/{path}", {**RULE, "save": "yes"}).status_code == 403, path
