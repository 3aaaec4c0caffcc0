"""Alerts from Prometheus, Alertmanager and Grafana, with the traps that each of them lays."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.events.intake.alertmanager import AlertGroup, decode_alerts, decode_webhook, fingerprint_of
from beforehand.events.intake.errors import IntakeCode, IntakeError
from beforehand.events.intake.values import AlertStatus, IncomingAlert, alert_event, with_known_start

NOW = datetime(2026, 3, 1, 14, 10, tzinfo=UTC)
START = datetime(2026, 3, 1, 14, 5, 0, 250_000, tzinfo=UTC)
LABELS = {"alertname": "FibreNodeDown", "node": "GRN-07", "severity": "critical"}
ALERT = {
    "status": "firing",
    "labels": LABELS,
    "annotations": {"summary": "Fibre node GRN-07 does not answer"},
    "startsAt": "2026-03-01T14:05:00.250Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus.example:9090/graph?g0.expr=up",
    "fingerprint": "a1b2c3d4e5f60718",
}
MESSAGE = {
    "version": "4",
    "groupKey": '{}:{alertname="FibreNodeDown"}',
    "truncatedAlerts": 2,
    "status": "firing",
    "receiver": "beforehand",
    "groupLabels": {"alertname": "FibreNodeDown"},
    "commonLabels": LABELS,
    "commonAnnotations": {},
    "routeLabels": {},
    "externalURL": "http://alertmanager.example:9093",
    "notification_reason": "first",
    "alerts": [ALERT],
}


def webhook(*alerts: object, **message: object) -> AlertGroup:
    return decode_webhook(orjson.dumps(MESSAGE | {"alerts": list(alerts)} | message), received_at=NOW)


def one(**changes: object) -> IncomingAlert:
    return webhook({name: value for name, value in (ALERT | changes).items() if value is not ...}).alerts[0]


def posted(**changes: object) -> IncomingAlert:
    alert = {"labels": LABELS} | changes
    return decode_alerts(orjson.dumps([alert]), received_at=NOW, resolve_timeout=timedelta(minutes=5))[0]


def test_it_reads_alertmanagers_message_verbatim() -> None:
    group = webhook(ALERT)
    assert (group.truncated, group.group_key) == (2, '{}:{alertname="FibreNodeDown"}')
    assert (group.receiver, group.external_url) == ("beforehand", "http://alertmanager.example:9093")
    assert group.alerts == [
        IncomingAlert(
            source="alertmanager",
            fingerprint="a1b2c3d4e5f60718",
            status=AlertStatus.FIRING,
            labels=LABELS,
            annotations={"summary": "Fibre node GRN-07 does not answer"},
            starts_at=START,
            starts_at_given=True,
            generator_url="http://prometheus.example:9090/graph?g0.expr=up",
        )
    ]


def test_a_resolved_alert_has_its_end_and_the_same_fingerprint_and_start() -> None:
    resolved = one(status="resolved", endsAt="2026-03-01T14:09:00Z")
    assert (resolved.status, resolved.ends_at) == (AlertStatus.RESOLVED, datetime(2026, 3, 1, 14, 9, tzinfo=UTC))
    assert (resolved.fingerprint, resolved.starts_at) == (one().fingerprint, one().starts_at)


def test_the_event_of_an_alert_is_identified_by_fingerprint_start_and_status() -> None:
    fired = alert_event(one())
    assert (fired.source, fired.type, fired.occurred_at) == ("alertmanager", "alert.fired", START)
    assert fired.source_id == "a1b2c3d4e5f60718:2026-03-01T14:05:00.250000+00:00:firing"
    assert fired.subject == "FibreNodeDown"
    assert fired.data["labels"] == LABELS
    orjson.dumps(fired.data, option=orjson.OPT_PASSTHROUGH_DATETIME)
    resolved = alert_event(one(status="resolved", endsAt="2026-03-01T14:09:00Z", labels={"node": "GRN-07"}))
    assert (resolved.type, resolved.occurred_at) == ("alert.resolved", datetime(2026, 3, 1, 14, 9, tzinfo=UTC))
    assert resolved.source_id == "a1b2c3d4e5f60718:2026-03-01T14:05:00.250000+00:00:resolved"
    assert resolved.subject == "a1b2c3d4e5f60718"


def test_a_repeat_has_the_same_identity_though_other_members_changed() -> None:
    repeat = alert_event(one(annotations={"summary": "Still down"}, newMember={"x": 1}))
    assert (repeat.source, repeat.source_id) == (alert_event(one()).source, alert_event(one()).source_id)


def test_unknown_members_are_kept_and_never_an_error() -> None:
    assert one(silenceURL="http://x", anything=[1]).extra == {"silenceURL": "http://x", "anything": [1]}


@pytest.mark.parametrize("nothing", ["0001-01-01T00:00:00Z", "", None, ...])
def test_an_absent_time_may_be_written_in_four_ways(nothing: object) -> None:
    firing = one(startsAt=nothing, endsAt=nothing)
    assert (firing.starts_at, firing.starts_at_given, firing.ends_at, firing.expires_at) == (NOW, False, None, None)
    resolved = one(status="resolved", endsAt=nothing)
    assert (resolved.starts_at, resolved.ends_at) == (START, NOW)


@pytest.mark.parametrize(
    ("status", "ends_at", "group_status", "expected"),
    [
        ("RESOLVED", ..., "firing", AlertStatus.RESOLVED),
        ("firing", "2026-03-01T14:09:00Z", "resolved", AlertStatus.FIRING),
        (..., "2026-03-01T14:09:00Z", "firing", AlertStatus.RESOLVED),
        (..., "2026-03-01T14:11:00Z", "resolved", AlertStatus.FIRING),
        (..., ..., "resolved", AlertStatus.RESOLVED),
        (None, ..., "firing", AlertStatus.FIRING),
        (..., ..., None, AlertStatus.FIRING),
    ],
)
def test_an_alert_without_a_status_is_judged_by_its_end_then_by_its_group(
    status: object, ends_at: object, group_status: object, expected: AlertStatus
) -> None:
    alert = {name: value for name, value in (ALERT | {"status": status, "endsAt": ends_at}).items() if value is not ...}
    assert webhook(alert, status=group_status).alerts[0].status is expected


def test_nothing_ends_before_it_began() -> None:
    assert one(status="resolved", endsAt="2026-03-01T14:00:00Z").ends_at == START


def test_a_missing_fingerprint_is_the_one_prometheus_computes() -> None:
    # From the tests of Prometheus' own library: 5799056148416392346 and, for no labels, FNV's offset.
    assert fingerprint_of({"name": "garland, briggs", "fear": "love is not enough"}) == f"{5799056148416392346:016x}"
    assert fingerprint_of({}) == "cbf29ce484222325"
    for nothing in (..., None, ""):
        assert one(fingerprint=nothing).fingerprint == fingerprint_of(LABELS)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=5))
def test_a_fingerprint_does_not_depend_on_the_order_of_labels(labels: dict[str, str]) -> None:
    fingerprint = fingerprint_of(labels)
    assert fingerprint == fingerprint_of(dict(reversed(labels.items())))
    assert len(fingerprint) == 16
    assert fingerprint != fingerprint_of(labels | {"another": "label"})


def test_an_endless_fingerprint_is_shortened_to_one_that_an_index_holds() -> None:
    assert one(fingerprint="x" * 256).fingerprint.startswith("sha256:")
    assert one(fingerprint="x" * 255).fingerprint == "x" * 255


def test_labels_that_are_numbers_become_text_and_empty_ones_vanish() -> None:
    alert = one(labels={"port": 443, "up": False, "ratio": 0.5, "empty": "", "none": None}, fingerprint=...)
    assert alert.labels == {"port": "443", "up": "false", "ratio": "0.5"}
    assert alert.fingerprint == fingerprint_of(alert.labels)


def test_an_alert_may_have_no_annotations_and_a_group_no_alerts() -> None:
    assert one(annotations=None).annotations == {}
    assert decode_webhook(b'{"alerts": null}', received_at=NOW) == AlertGroup([], 0, "", "", "")
    assert webhook().alerts == []


def test_grafanas_dialect_goes_through_the_same_door() -> None:
    grafana = {
        "receiver": "beforehand", "status": "firing", "orgId": 1, "version": "1", "groupKey": "{}:{}", "truncatedAlerts": 0,
        "title": "[FIRING:1] Packet loss", "state": "alerting", "message": "…", "externalURL": "https://grafana.example/",
        "alerts": [ALERT | {"values": {"B": 22.7, "C": 1}, "silenceURL": "s", "dashboardURL": "d", "panelURL": "p",
                            "imageURL": "i", "valueString": "[ var='B' value=22.7 ]"}],
    }  # fmt: skip
    group = decode_webhook(orjson.dumps(grafana), received_at=NOW, source="grafana")
    alert = group.alerts[0]
    assert (alert.source, alert.values, alert.ends_at, group.truncated) == ("grafana", {"B": 22.7, "C": 1}, None, 0)
    assert alert.extra["dashboardURL"] == "d"
    assert one(values=None).values == {}
    assert one(values=5).values == {"value": 5}


@pytest.mark.parametrize(
    ("alert", "code", "pointer"),
    [
        (5, IntakeCode.WRONG_TYPE, "/alerts/1"),
        ({}, IntakeCode.MISSING, "/alerts/1/labels"),
        ({"labels": []}, IntakeCode.WRONG_TYPE, "/alerts/1/labels"),
        ({"labels": {"a/b": {}}}, IntakeCode.WRONG_TYPE, "/alerts/1/labels/a~1b"),
        ({"labels": {}, "annotations": "x"}, IntakeCode.WRONG_TYPE, "/alerts/1/annotations"),
        ({"labels": {}, "status": "ok"}, IntakeCode.INVALID, "/alerts/1/status"),
        ({"labels": {}, "status": ["firing"]}, IntakeCode.INVALID, "/alerts/1/status"),
        ({"labels": {}, "startsAt": "soon"}, IntakeCode.INVALID, "/alerts/1/startsAt"),
        ({"labels": {}, "startsAt": 1_767_225_600}, IntakeCode.INVALID, "/alerts/1/startsAt"),
        ({"labels": {}, "endsAt": "2026-02-30T00:00:00Z"}, IntakeCode.INVALID, "/alerts/1/endsAt"),
        ({"labels": {}, "fingerprint": {}}, IntakeCode.WRONG_TYPE, "/alerts/1/fingerprint"),
        ({"labels": {}, "generatorURL": []}, IntakeCode.WRONG_TYPE, "/alerts/1/generatorURL"),
    ],
)
def test_a_fault_in_an_alert_is_named_with_its_place(alert: object, code: IntakeCode, pointer: str) -> None:
    with pytest.raises(IntakeError) as caught:
        webhook(ALERT, alert)
    assert [(problem.code, problem.pointer) for problem in caught.value.problems] == [(code, pointer)]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [(b"[]", ""), (b"null", ""), (b"{}", "/alerts"), (b'{"alerts": {}}', "/alerts"), (b'{"alerts": "x"}', "/alerts")],
)
def test_a_message_that_is_none_is_refused(body: bytes, pointer: str) -> None:
    with pytest.raises(IntakeError) as caught:
        decode_webhook(body, received_at=NOW)
    assert caught.value.pointer == pointer


def test_more_alerts_than_one_transaction_holds_are_refused() -> None:
    with pytest.raises(IntakeError) as caught:
        decode_alerts(b"[" + b"1," * 10_000 + b"1]", received_at=NOW)
    assert caught.value.status == 413


def test_twenty_faults_are_listed_and_the_rest_left_out() -> None:
    with pytest.raises(IntakeError) as caught:
        webhook(*[{"labels": {}, "status": "?", "startsAt": "?"}] * 300)
    assert len(caught.value.problems) == 20


def test_what_prometheus_posts_expires_unless_it_is_repeated() -> None:
    assert posted(startsAt="2026-03-01T14:05:00.250Z", endsAt="2026-03-01T14:14:00Z") == IncomingAlert(
        source="alertmanager",
        fingerprint=fingerprint_of(LABELS),
        status=AlertStatus.FIRING,
        labels=LABELS,
        annotations={},
        starts_at=START,
        starts_at_given=True,
        expires_at=datetime(2026, 3, 1, 14, 14, tzinfo=UTC),
    )
    assert posted().expires_at == NOW + timedelta(minutes=5)


def test_what_prometheus_posts_with_a_past_end_is_resolved() -> None:
    alert = posted(startsAt="2026-03-01T14:05:00Z", endsAt="2026-03-01T14:10:00Z")
    assert (alert.status, alert.ends_at, alert.expires_at) == (AlertStatus.RESOLVED, NOW, None)


def test_only_times_decide_what_is_posted_there() -> None:
    assert posted(status="resolved").status is AlertStatus.FIRING


def test_what_ended_without_a_start_started_at_its_end() -> None:
    alert = posted(endsAt="2026-03-01T14:08:00Z")
    assert alert.starts_at == alert.ends_at == datetime(2026, 3, 1, 14, 8, tzinfo=UTC)
    assert not alert.starts_at_given
    assert posted(endsAt="2026-03-01T14:20:00Z").starts_at == NOW


def test_a_repeat_without_a_start_belongs_to_the_alert_already_open() -> None:
    first = posted()
    later = decode_alerts(orjson.dumps([{"labels": LABELS}]), received_at=NOW + timedelta(minutes=1))[0]
    assert alert_event(later).source_id != alert_event(first).source_id
    known = with_known_start(later, known_start=first.starts_at)
    assert alert_event(known).source_id == alert_event(first).source_id
    assert known == replace(later, starts_at=first.starts_at)


def test_a_start_that_was_given_or_is_earlier_stays() -> None:
    given_start = posted(startsAt="2026-03-01T14:05:00.250Z")
    assert with_known_start(given_start, known_start=START - timedelta(hours=1)) is given_start
    guessed = posted()
    assert with_known_start(guessed, known_start=None) is guessed
    assert with_known_start(guessed, known_start=NOW + timedelta(hours=1)) is guessed


members = st.sampled_from([*sorted(ALERT), "values", "other"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=9).filter(lambda t: t.isprintable()) | st.sampled_from(["firing", "2026-03-01T14:05:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(st.dictionaries(members, json_values, max_size=8) | json_values, max_size=3) | json_values)
def test_random_alerts_are_read_or_refused_but_never_break(alerts: object) -> None:
    with suppress(IntakeError):
        for alert in decode_webhook(orjson.dumps({"alerts": alerts}), received_at=NOW).alerts:
            orjson.dumps(alert_event(alert).data)
    with suppress(IntakeError):
        for alert in decode_alerts(orjson.dumps(alerts), received_at=NOW):
            assert (alert.ends_at is None) == (alert.status is AlertStatus.FIRING)
