"""The mappings that ship: what Grafana, PagerDuty's senders and Uptime Kuma post, and what we make of it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from beforehand.events.intake.errors import IntakeCode, IntakeError
from beforehand.events.intake.mapping import apply_mapping
from beforehand.events.intake.mapping_file import load_mapping, shipped_mapping, shipped_mapping_names
from beforehand.events.intake.values import AlertStatus, IncomingAlert, IncomingEvent, alert_event, with_known_start

NOW = datetime(2026, 3, 1, 14, 10, tzinfo=UTC)


def alert_of(name: str, body: object) -> IncomingAlert:
    (made,) = apply_mapping(shipped_mapping(name), body, received_at=NOW)
    assert isinstance(made, IncomingAlert)
    return made


def event_of(name: str, body: object) -> IncomingEvent:
    (made,) = apply_mapping(shipped_mapping(name), body, received_at=NOW)
    assert isinstance(made, IncomingEvent)
    return made


def test_three_mappings_ship() -> None:
    assert shipped_mapping_names() == ["grafana", "pagerduty", "uptime_kuma"]
    with pytest.raises(KeyError):
        shipped_mapping("../../secrets")


GRAFANA = {
    "receiver": "beforehand", "status": "firing", "orgId": 1, "version": "1", "truncatedAlerts": 0, "state": "alerting",
    "groupKey": "{}/{}:{alertname=\"PacketLoss\"}", "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
    "externalURL": "https://grafana.example/", "title": "[FIRING:2] PacketLoss", "message": "**Firing**",
    "alerts": [
        {"status": "firing", "labels": {"alertname": "PacketLoss", "node": "GRN-07"}, "annotations": {"summary": "Loss 22.7 %"},
         "startsAt": "2026-03-01T15:05:00+01:00", "endsAt": "0001-01-01T00:00:00Z", "values": {"B": 22.7, "C": 1},
         "generatorURL": "https://grafana.example/alerting/x/edit", "fingerprint": "c6eadffa33fcdf37",
         "silenceURL": "https://grafana.example/silence", "dashboardURL": "", "panelURL": "", "imageURL": ""},
        {"status": "resolved", "labels": {"alertname": "PacketLoss", "node": "AMF-01"}, "annotations": {},
         "startsAt": "2026-03-01T14:01:00Z", "endsAt": "2026-03-01T14:08:00Z", "values": None,
         "generatorURL": "", "fingerprint": "77aa00bb11cc22dd"},
    ],
}  # fmt: skip


def test_grafana_today_gives_one_alert_for_each_in_its_list() -> None:
    firing, resolved = apply_mapping(shipped_mapping("grafana"), GRAFANA, received_at=NOW)
    assert firing == IncomingAlert(
        source="grafana",
        fingerprint="c6eadffa33fcdf37",
        status=AlertStatus.FIRING,
        labels={"alertname": "PacketLoss", "node": "GRN-07"},
        annotations={"summary": "Loss 22.7 %", "silence": "https://grafana.example/silence"},
        starts_at=datetime(2026, 3, 1, 14, 5, tzinfo=UTC),
        starts_at_given=True,
        generator_url="https://grafana.example/alerting/x/edit",
        values={"B": 22.7, "C": 1},
    )
    assert isinstance(resolved, IncomingAlert)
    assert (resolved.status, resolved.ends_at) == (AlertStatus.RESOLVED, datetime(2026, 3, 1, 14, 8, tzinfo=UTC))


LEGACY = {
    "dashboardId": 1, "evalMatches": [{"value": 22.7, "metric": "loss", "tags": {"node": "GRN-07"}}], "message": "Look at GRN-07",
    "orgId": 1, "panelId": 2, "ruleId": 17, "ruleName": "Packet loss", "ruleUrl": "https://grafana.example/d/1", "state": "alerting",
    "tags": {"team": "network"}, "title": "[Alerting] Packet loss",
}  # fmt: skip


@pytest.mark.parametrize("matches", [LEGACY["evalMatches"], [], None, [{"value": 1}, {"value": 2}]])
def test_old_grafana_gives_one_alert_whatever_its_matches(matches: object) -> None:
    alert = alert_of("grafana", LEGACY | {"evalMatches": matches})
    assert (alert.fingerprint, alert.status, alert.starts_at_given) == ("rule-17", AlertStatus.FIRING, False)
    assert alert.labels == {"team": "network", "alertname": "Packet loss", "state": "alerting"}
    assert alert.annotations["summary"] == "[Alerting] Packet loss"


def test_old_grafanas_ok_resolves_the_same_alert() -> None:
    fired = alert_of("grafana", LEGACY)
    resolved = alert_of("grafana", {"ruleId": 17, "ruleName": "Packet loss", "state": "ok", "evalMatches": []})
    assert (resolved.fingerprint, resolved.status, resolved.ends_at) == (fired.fingerprint, AlertStatus.RESOLVED, NOW)


def test_old_grafana_may_say_pending_and_nothing_happens() -> None:
    assert apply_mapping(shipped_mapping("grafana"), LEGACY | {"state": "pending"}, received_at=NOW) == []


def test_a_state_and_an_alert_uid_alone_resolve_a_formatted_webhook() -> None:
    body = {"alert_uid": "08d6891a", "title": "Packet loss", "image_url": None, "state": "alerting", "message": "m",
            "link_to_upstream_details": "https://x.example"}  # fmt: skip
    fired, resolved = alert_of("grafana", body), alert_of("grafana", {"state": "ok", "alert_uid": "08d6891a"})
    assert (fired.status, resolved.status) == (AlertStatus.FIRING, AlertStatus.RESOLVED)
    assert fired.fingerprint == resolved.fingerprint == "uid-08d6891a"
    assert fired.generator_url == "https://x.example"


TRIGGER = {
    "routing_key": "0123456789abcdef0123456789abcdef",
    "event_action": "trigger",
    "dedup_key": "grn-07/down",
    "payload": {
        "summary": "Node GRN-07 is down", "source": "probe-3", "severity": "critical", "timestamp": "2026-03-01T14:05:00.000+0000",
        "component": "olt", "group": "access", "class": "reachability", "custom_details": {"loss": 100},
    },
    "links": [{"href": "https://probe.example/3", "text": "Probe"}],
    "images": [],
}  # fmt: skip


def test_a_pagerduty_trigger_opens_an_alert_without_copying_its_key() -> None:
    payload = {**TRIGGER["payload"], "timestamp": "2026-03-01T14:05:00Z"}  # type: ignore[dict-item]
    alert = alert_of("pagerduty", TRIGGER | {"payload": payload})
    assert (alert.fingerprint, alert.status) == ("grn-07/down", AlertStatus.FIRING)
    assert alert.labels == {
        "alertname": "reachability", "severity": "critical", "source": "probe-3", "component": "olt",
        "group": "access", "class": "reachability",
    }  # fmt: skip
    assert alert.values == {"loss": 100}
    assert alert.starts_at == datetime(2026, 3, 1, 14, 5, tzinfo=UTC)
    assert alert.generator_url == "https://probe.example/3"
    assert "0123456789abcdef" not in str(alert)


def test_a_pagerduty_offset_without_a_colon_is_read_too() -> None:
    assert alert_of("pagerduty", TRIGGER).starts_at == datetime(2026, 3, 1, 14, 5, tzinfo=UTC)


def test_repeated_triggers_with_other_times_are_one_alert_until_the_resolve() -> None:
    first = alert_of(
        "pagerduty", {**TRIGGER, "payload": {"summary": "s", "source": "x", "timestamp": "2026-03-01T14:05:00Z"}}
    )
    again = alert_of(
        "pagerduty", {**TRIGGER, "payload": {"summary": "s", "source": "x", "timestamp": "2026-03-01T14:07:00Z"}}
    )
    known = with_known_start(again, known_start=first.starts_at)
    assert alert_event(known).source_id == alert_event(first).source_id
    resolved = alert_of("pagerduty", {"event_action": "resolve", "dedup_key": "grn-07/down", "routing_key": "r"})
    ended = with_known_start(resolved, known_start=first.starts_at)
    assert (ended.fingerprint, ended.starts_at, ended.ends_at) == (first.fingerprint, first.starts_at, NOW)


def test_a_trigger_without_a_dedup_key_is_known_by_what_and_where() -> None:
    body = {"event_action": "trigger", "payload": {"summary": "Disk full", "source": "db-1", "severity": "warning"}}
    assert alert_of("pagerduty", body).fingerprint == "db-1/Disk full"
    assert alert_of("pagerduty", body | {"event_action": "resolve"}).fingerprint == "db-1/Disk full"


def test_a_resolve_that_names_no_alert_is_refused() -> None:
    with pytest.raises(IntakeError) as caught:
        alert_of("pagerduty", {"event_action": "resolve", "payload": None})
    assert (caught.value.code, caught.value.pointer) == (IntakeCode.MISSING, "/dedup_key")


def test_a_pagerduty_acknowledgement_is_an_event() -> None:
    event = event_of("pagerduty", {"event_action": "acknowledge", "dedup_key": "grn-07/down", "routing_key": "r"})
    assert (event.type, event.subject) == ("alert.acknowledged", "grn-07/down")
    assert event.data == {"dedup_key": "grn-07/down"}


def kuma(status: int, time: str = "2026-03-01 14:05:00.250") -> dict[str, object]:
    return {
        "heartbeat": {"monitorID": 4, "status": status, "time": time, "msg": "connect ETIMEDOUT", "ping": None,
                      "important": True, "duration": 60, "retries": 3, "response": None},
        "monitor": {"id": 4, "name": "Web shop", "type": "http", "url": "https://shop.example", "hostname": None, "tags": []},
        "msg": "[Web shop] [Down] connect ETIMEDOUT",
    }  # fmt: skip


def test_uptime_kuma_down_and_up_are_one_alert() -> None:
    down, reminder = alert_of("uptime_kuma", kuma(0)), alert_of("uptime_kuma", kuma(0, "2026-03-01 14:08:00.250"))
    up = alert_of("uptime_kuma", kuma(1, "2026-03-01 14:09:00"))
    assert down.starts_at == datetime(2026, 3, 1, 14, 5, 0, 250_000, tzinfo=UTC)
    assert down.labels == {"alertname": "Web shop", "monitor": "4", "kind": "http", "url": "https://shop.example"}
    assert down.values == {"duration": 60, "retries": 3}
    assert down.fingerprint == reminder.fingerprint == up.fingerprint == "monitor-4"
    known = with_known_start(reminder, known_start=down.starts_at)
    assert alert_event(known).source_id == alert_event(down).source_id
    ended = with_known_start(up, known_start=down.starts_at)
    assert (ended.status, ended.starts_at) == (AlertStatus.RESOLVED, down.starts_at)
    assert ended.ends_at == datetime(2026, 3, 1, 14, 9, tzinfo=UTC)


def test_uptime_kuma_without_its_monitor_still_counts() -> None:
    assert alert_of("uptime_kuma", kuma(0) | {"monitor": None}).fingerprint == "monitor-4"


@pytest.mark.parametrize("status", [2, 3])
def test_uptime_kuma_pending_and_maintenance_make_nothing(status: int) -> None:
    assert apply_mapping(shipped_mapping("uptime_kuma"), kuma(status), received_at=NOW) == []


def test_uptime_kumas_test_message_is_accepted() -> None:
    event = event_of("uptime_kuma", {"heartbeat": None, "monitor": None, "msg": "Beforehand Testing"})
    assert (event.source, event.type, event.data) == ("uptime-kuma", "intake.test", {"message": "Beforehand Testing"})
    assert event_of("uptime_kuma", {"msg": "Beforehand Testing"}).type == "intake.test"


def test_uptime_kumas_certificate_warning_is_no_test() -> None:
    message = "[Web shop][https://shop.example] server certificate shop.example will expire in 7 days"
    event = event_of("uptime_kuma", {"heartbeat": None, "monitor": None, "msg": message})
    assert (event.type, event.subject) == ("certificate.expiry_warned", message)


@pytest.mark.parametrize("name", ["grafana", "pagerduty", "uptime_kuma"])
@pytest.mark.parametrize("body", [{}, [], None, "text", 7, {"unrelated": True}])
def test_a_body_of_another_sender_is_refused_and_says_so(name: str, body: object) -> None:
    with pytest.raises(IntakeError) as caught:
        apply_mapping(shipped_mapping(name), body, received_at=NOW)
    assert (caught.value.code, caught.value.status) == (IntakeCode.NO_RULE_MATCHED, 422)


def test_the_mapping_in_the_documentation_does_what_it_says() -> None:
    page = (Path(__file__).parents[3] / "docs" / "intake.md").read_text(encoding="utf-8")
    mapping = load_mapping("version: 1\n" + page.split("```yaml\nversion: 1\n")[1].split("```")[0])
    body = {
        "depot": {"id": 3, "name": "Zwolle", "open": False},
        "defaultCustomer": "C-0",
        "shipments": [
            {"barcode": "3S1", "status": "delayed", "scannedAt": 1_772_373_900, "receiver": {"customerNumber": "C-17"}, "details": {"hours": 5}},
            {"barcode": "3S2", "status": "sorted", "scannedAt": 1_772_373_900},
        ],
    }  # fmt: skip
    parcel, depot = apply_mapping(mapping, body, received_at=NOW)
    assert parcel == IncomingEvent(
        source="parcels",
        source_id="3S1-delayed",
        type="parcel.delayed",
        occurred_at=datetime(2026, 3, 1, 14, 5, tzinfo=UTC),
        subject="3S1",
        customer_ref="C-17",
        data={"hours": 5, "depot": "Zwolle"},
    )
    assert isinstance(depot, IncomingAlert)
    assert (depot.fingerprint, depot.labels) == ("depot-3", {"alertname": "DepotClosed", "depot": "Zwolle"})
    assert apply_mapping(mapping, {"shipments": []}, received_at=NOW) == []
    assert apply_mapping(mapping, {"shipments": [{"status": "sorted"}]}, received_at=NOW) == []
