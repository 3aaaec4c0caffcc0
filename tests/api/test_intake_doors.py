"""The doors for events: what was answered with success is committed, whatever else comes is refused with its place."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.db import OperationalError, connection

from beforehand.accounts.actions import create_token, revoke_token
from beforehand.accounts.models import ApiToken
from beforehand.api import access
from beforehand.detection.actions import expire_alerts
from beforehand.events.models import Event, EventKey, EventPrivate, IntakeBody
from beforehand.events.subscriptions import ensure_cursors, run_all_once
from beforehand.kit.clock import travel
from tests.api.callers import Caller, problem
from tests.cast import make_cast
from tests.driving import alert, wait_until_readable

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
EVENTS = "/api/v1/events"
WEBHOOK = "/api/v1/intake/alertmanager"
PROMETHEUS = "/api/v2/alerts"
ONE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "https://shop.example/orders",
        "type": "order.shipped",
        "time": "2026-11-23T09:00:00Z",
        "data": {"parcel": number},
        **changes,
    }


def webhook(*alerts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"version": "4", "groupKey": "{}:{}", "status": "firing", "alerts": list(alerts), **changes}


def given() -> Any:
    """Events that came from outside, not those that the test's own set-up appended."""
    return Event.objects.exclude(source="").exclude(source="test")


def test_a_batch_is_stored_with_its_data_and_its_raw_copy(caller: Caller) -> None:
    batch = [event(1), event(2), event(3)]
    answer = caller.post(EVENTS, batch, content_type=BATCH)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 3, "duplicates": 0}
    assert list(given().order_by("id").values_list("source_id", flat=True)) == ["e-1", "e-2", "e-3"]
    ids = list(given().order_by("id").values_list("id", flat=True))
    assert [EventPrivate.objects.get(event_id=one).data for one in ids] == [{"parcel": 1}, {"parcel": 2}, {"parcel": 3}]
    (copy,) = IntakeBody.objects.all()
    assert (bytes(copy.body), copy.source, copy.accepted) == (orjson.dumps(batch), "cloudevents", 3)


@pytest.mark.django_db(transaction=True)
def test_what_was_answered_with_success_is_committed(caller: Caller) -> None:
    assert caller.post(EVENTS, event(), content_type=ONE).status_code == 202
    connection.close()  # whatever was not committed is gone
    assert given().count() == 1


def test_the_same_event_again_changes_nothing_and_succeeds(caller: Caller) -> None:
    caller.post(EVENTS, event(), content_type=ONE)
    again = caller.post(EVENTS, [event(1), event(1), event(2)], content_type=BATCH)
    assert (again.status_code, again.json()) == (202, {"accepted": 1, "duplicates": 2})
    assert given().count() == 2
    assert EventKey.objects.get(source_id="e-1").seen == 2


def test_events_out_of_order_keep_their_own_times(caller: Caller) -> None:
    caller.post(EVENTS, event(1, time="2026-11-23T09:30:00Z"), content_type=ONE)
    caller.post(EVENTS, event(2, time="2026-11-23T09:10:00Z"), content_type=ONE)
    assert list(given().order_by("occurred_at").values_list("source_id", flat=True)) == ["e-2", "e-1"]


def test_binary_mode_takes_attributes_from_headers(caller: Caller) -> None:
    answer = caller.post(
        EVENTS,
        {"parcel": 9},
        **{
            "ce-specversion": "1.0",
            "ce-id": "b-1",
            "ce-source": "/shop",
            "ce-type": "order.shipped",
            "ce-subject": "%C3%A9",
        },
    )
    assert answer.json() == {"accepted": 1, "duplicates": 0}
    assert given().get().subject == "é"


def test_an_event_finds_its_customer(caller: Caller) -> None:
    cast = make_cast()
    caller.post(EVENTS, event(customer="aisha"), content_type=ONE)
    assert Event.objects.get(source_id="e-1").customer_id == cast.aisha.pk


def test_an_empty_batch_is_taken(caller: Caller) -> None:
    assert caller.post(EVENTS, [], content_type=BATCH).json() == {"accepted": 0, "duplicates": 0}


def test_a_batch_with_one_bad_event_is_refused_whole_and_names_the_place(caller: Caller) -> None:
    found = problem(caller.post(EVENTS, [event(1), event(2, source="")], content_type=BATCH), 422)
    assert found["errors"] == [
        {"code": "missing", "detail": "The attribute source is required and must not be empty.", "pointer": "/1/source"}
    ]
    assert not given().exists()
    assert not IntakeBody.objects.exists()


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b'{"specversion": ', ONE, 400, "not_json"),
        (b'{"id": "\xff"}', ONE, 400, "not_utf8"),
        (b"[" * 100_000 + b"]" * 100_000, BATCH, 400, "too_deep"),
        (orjson.dumps(event(data={"a": 1})).replace(b"1.0", b"0.3"), ONE, 422, "invalid"),
        (b"[]", "application/json", 415, "unsupported_media_type"),
        (b"<event/>", "application/cloudevents+xml", 415, "unsupported_media_type"),
        (b"[1, null]", BATCH, 422, "wrong_type"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(
    caller: Caller, body: bytes, content_type: str, status: int, code: str
) -> None:
    assert problem(caller.post(EVENTS, body, content_type=content_type), status)["code"] == code


def test_data_nested_too_deep_is_refused(caller: Caller) -> None:
    data: Any = 1
    for _ in range(60):
        data = {"a": data}
    assert problem(caller.post(EVENTS, event(data=data), content_type=ONE), 400)["code"] == "too_deep"


def test_a_body_of_ten_megabytes_is_too_large(caller: Caller) -> None:
    for path, content_type in ((EVENTS, BATCH), (WEBHOOK, "application/json"), (PROMETHEUS, "application/json")):
        answer = caller.post(path, b" " * (10 * 1024 * 1024 + 1), content_type=content_type)
        assert problem(answer, 413)["code"] == "too_large"
    assert not IntakeBody.objects.exists()


def test_a_body_just_below_ten_megabytes_is_taken(caller: Caller) -> None:
    body = orjson.dumps([event()])
    body += b" " * (10 * 1024 * 1024 - len(body))
    assert caller.post(EVENTS, body, content_type=BATCH).status_code == 202


def test_sql_and_strange_characters_are_only_text(caller: Caller) -> None:
    nasty = "'; DROP TABLE events_event; -- %s {} \\ \u202e"
    caller.post(EVENTS, event(subject=nasty, data={"note": nasty + "\0"}), content_type=ONE)
    assert given().get().subject == nasty


# --- who may ---------------------------------------------------------------------------------------------------------


def test_a_stranger_is_asked_for_a_token(stranger: Caller) -> None:
    answer = stranger.post(EVENTS, event(), content_type=ONE)
    assert problem(answer, 401)["code"] == "token_missing"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="beforehand"'


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer ", "bfh_x", "Bearer wrong", "Bearer ключ"])
def test_a_wrong_token_opens_nothing(header: str, db: None) -> None:
    zeno = Caller(None)
    zeno.headers = {"Authorization": header}
    answer = zeno.post(EVENTS, event(), content_type=ONE)
    assert problem(answer, 401)["code"] in {"token_missing", "token_unknown"}
    assert not given().exists()


def test_an_expired_token_opens_nothing(db: None) -> None:
    with travel(NOW):
        _, secret = create_token(name="t", scopes=["events:write"], actor="test", expires_at=NOW + timedelta(hours=1))
        assert Caller(secret).post(EVENTS, event(), content_type=ONE).status_code == 202
    with travel(NOW + timedelta(hours=1)):  # even while it is remembered
        answer = Caller(secret).post(EVENTS, event(2), content_type=ONE)
    assert problem(answer, 401)["code"] == "token_expired"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_revoked_token_opens_nothing(db: None) -> None:
    token, secret = create_token(name="t", scopes=["events:write"], actor="test")
    revoke_token(token, actor="test")
    assert problem(Caller(secret).post(EVENTS, event(), content_type=ONE), 401)["code"] == "token_revoked"


def test_a_token_revoked_while_it_is_remembered_opens_nothing_after_that(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, secret = create_token(name="t", scopes=["events:write"], actor="test")
    assert Caller(secret).post(EVENTS, event(), content_type=ONE).status_code == 202
    revoke_token(token, actor="test")
    monkeypatch.setattr(access, "REMEMBERED_SECONDS", 0.0)
    assert problem(Caller(secret).post(EVENTS, event(2), content_type=ONE), 401)["code"] == "token_revoked"


def test_a_token_without_the_scope_is_told_which_one(caller_with: Callable[..., Caller]) -> None:
    answer = caller_with("customers:read").post(EVENTS, event(), content_type=ONE)
    assert problem(answer, 403)["code"] == "scope_missing"
    assert 'scope="events:write"' in answer.headers["WWW-Authenticate"]


def test_the_use_of_a_token_is_noted_at_most_once_a_minute(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    token, secret = create_token(name="t", scopes=["events:write"], actor="test")
    monkeypatch.setattr(access, "REMEMBERED_SECONDS", 0.0)
    for seconds in (0, 30, 61):
        with travel(NOW + timedelta(seconds=seconds)):
            Caller(secret).post(EVENTS, event(seconds), content_type=ONE)
        if seconds < 60:
            assert ApiToken.objects.get(pk=token.pk).last_used_at == NOW
    assert ApiToken.objects.get(pk=token.pk).last_used_at == NOW + timedelta(seconds=61)


def test_who_sends_too_fast_is_told_how_long_to_wait(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "BURST", 2.0)
    monkeypatch.setattr(access, "REQUESTS_PER_SECOND", 0.01)
    answers = [caller.post(EVENTS, [], content_type=BATCH) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert problem(answers[2], 429)["code"] == "too_many_requests"
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 101


def test_only_post_is_answered(caller: Caller) -> None:
    for path in (EVENTS, WEBHOOK, PROMETHEUS, "/api/v1/intake/grafana"):
        answer = caller.get(path)
        problem(answer, 405)
        assert answer.headers["Allow"] == "POST"


def test_the_handshake_of_cloudevents_web_hooks_is_answered(stranger: Caller) -> None:
    asked = {"WebHook-Request-Origin": "eventemitter.example", "WebHook-Request-Rate": "120"}
    answer = stranger.send("OPTIONS", EVENTS, **asked)
    assert answer.status_code == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventemitter.example"
    assert answer.headers["WebHook-Allowed-Rate"] == "120"
    assert "POST" in answer.headers["Allow"]


def test_a_database_that_is_away_is_said_so_that_the_sender_tries_again(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr("beforehand.api.intake.accept_events", gone)
    answer = caller.post(EVENTS, event(), content_type=ONE)
    assert problem(answer, 503)["code"] == "database_unavailable"
    assert answer.headers["Retry-After"]


# --- alerts ----------------------------------------------------------------------------------------------------------


def test_alertmanagers_webhook_is_taken_verbatim(caller: Caller) -> None:
    message = webhook(alert(starts_at=NOW), alert(starts_at=NOW, node="node-8"), truncatedAlerts=3, somethingNew=[1])
    assert caller.post(WEBHOOK, message).json() == {"accepted": 2, "duplicates": 0}
    assert caller.post(WEBHOOK, message).json() == {"accepted": 0, "duplicates": 2}
    assert set(given().values_list("type", flat=True)) == {"alert.fired"}
    assert [event.data for event in Event.objects.filter(type="intake.alerts_left_out")] == [{"left_out": 3}] * 2


def test_a_resolved_alert_may_come_before_its_firing(caller: Caller) -> None:
    over = alert(starts_at=NOW, status="resolved", ends_at=NOW + timedelta(minutes=5))
    caller.post(WEBHOOK, webhook(over, status="resolved"))
    caller.post(WEBHOOK, webhook(alert(starts_at=NOW)))
    assert list(given().order_by("occurred_at").values_list("type", flat=True)) == ["alert.fired", "alert.resolved"]


def test_an_alert_with_a_wrong_time_is_refused_with_its_pointer(caller: Caller) -> None:
    found = problem(caller.post(WEBHOOK, webhook(alert(starts_at=NOW) | {"startsAt": "yesterday"})), 422)
    assert found["errors"][0]["pointer"] == "/alerts/0/startsAt"


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/xml", "application/json; charset=latin-1"])
def test_alerts_come_as_json(caller: Caller, content_type: str) -> None:
    for path in (WEBHOOK, PROMETHEUS, "/api/v1/intake/grafana"):
        assert problem(caller.post(path, b"{}", content_type=content_type), 415)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("path", [PROMETHEUS, "/api/v1/intake/prometheus/api/v2/alerts"])
def test_prometheus_may_point_straight_at_us(caller: Caller, path: str) -> None:
    posted = {
        "labels": {"alertname": "NodeDown", "node": "node-7"},
        "annotations": {},
        "startsAt": "2026-11-23T09:58:00.123456789Z",
        "endsAt": "2026-11-23T10:04:00Z",
        "generatorURL": "http://prometheus.example/graph",
    }
    with travel(NOW):
        assert caller.post(path, [posted]).json() == {"accepted": 1, "duplicates": 0}
    assert EventKey.objects.get().ends_at == datetime(2026, 11, 23, 10, 4, tzinfo=UTC)
    with travel(NOW + timedelta(minutes=1)):
        caller.post(path, [posted | {"endsAt": "2026-11-23T10:05:00Z"}])
    key = EventKey.objects.get()
    assert (key.seen, key.ends_at) == (2, datetime(2026, 11, 23, 10, 5, tzinfo=UTC))
    with travel(NOW + timedelta(minutes=2)):
        caller.post(path, [posted | {"endsAt": "2026-11-23T10:01:30Z"}])
    assert sorted(given().values_list("type", flat=True)) == ["alert.fired", "alert.resolved"]


def test_an_alert_without_a_start_stays_one_alert_until_it_is_resolved(caller: Caller) -> None:
    bare = {"labels": {"alertname": "NodeDown", "node": "n:7"}}
    for minutes in (0, 1, 2):
        with travel(NOW + timedelta(minutes=minutes)):
            caller.post(PROMETHEUS, [bare, bare])
    assert given().count() == 1
    with travel(NOW + timedelta(minutes=3)):
        caller.post(PROMETHEUS, [bare | {"endsAt": "2026-11-23T10:02:30Z"}])
    assert sorted(given().values_list("type", flat=True)) == ["alert.fired", "alert.resolved"]
    with travel(NOW + timedelta(minutes=4)):
        caller.post(PROMETHEUS, [bare])
    assert list(given().filter(type="alert.fired").order_by("id").values_list("occurred_at", flat=True)) == [
        NOW,
        NOW + timedelta(minutes=4),
    ]


@pytest.mark.django_db(transaction=True)
def test_an_alert_that_ended_without_word_begins_anew(caller: Caller) -> None:
    ensure_cursors()
    bare = {"labels": {"alertname": "NodeDown", "node": "node-7"}}
    with travel(NOW):
        caller.post(PROMETHEUS, [bare])
        wait_until_readable()
        run_all_once()
    with travel(NOW + timedelta(hours=1)):
        assert expire_alerts(now=NOW + timedelta(hours=1)) == 1
        caller.post(PROMETHEUS, [bare])
    assert given().filter(type="alert.fired").count() == 2


def test_colons_in_a_fingerprint_do_not_confuse_two_alerts(caller: Caller) -> None:
    trigger = {"event_action": "trigger", "payload": {"summary": "down", "source": "probe", "severity": "critical"}}
    for minutes, key in ((0, "node:7"), (1, "node"), (2, "node:7"), (3, "node")):
        with travel(NOW + timedelta(minutes=minutes)):
            assert caller.post("/api/v1/intake/pagerduty", trigger | {"dedup_key": key}).status_code == 202
    assert given().filter(type="alert.fired").count() == 2


# --- mappings --------------------------------------------------------------------------------------------------------


def test_a_shipped_mapping_is_found_by_its_name(caller: Caller) -> None:
    body = {"heartbeat": None, "monitor": None, "msg": "Test"}
    assert caller.post("/api/v1/intake/uptime_kuma", body).status_code == 202


@pytest.mark.parametrize("source", ["nobody", "..", "%2e%2e%2fsecret", "grafana/x", "Grafana", "a" * 300])
def test_an_unknown_source_is_told_the_known_ones(caller: Caller, source: str) -> None:
    found = problem(caller.post(f"/api/v1/intake/{source}", {}), 404)
    assert "alertmanager, grafana, pagerduty, uptime_kuma" in found["detail"]


def test_a_body_that_no_rule_fits_is_refused(caller: Caller) -> None:
    assert problem(caller.post("/api/v1/intake/pagerduty", {"hello": 1}), 422)["code"] == "no_rule_matched"


def test_a_companys_own_mapping_is_read_from_its_folder(
    caller: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beforehand.api.mappings.folder", lambda: tmp_path)
    file = tmp_path / "parcels.yaml"
    file.write_text(
        "version: 1\nsource: parcels\nevents:\n  - name: scan\n    event: {type: parcel.scanned, id: /id}\n"
    )
    assert caller.post("/api/v1/intake/parcels", {"id": 7}).json() == {"accepted": 1, "duplicates": 0}
    assert given().get().type == "parcel.scanned"
    file.write_text("version: 1\nsource: parcels\nevents: nothing\n")
    found = problem(caller.post("/api/v1/intake/parcels", {"id": 8}), 500)
    assert (found["code"], found["errors"][0]["line"]) == ("bad_mapping", 3)
    assert "parcels.yaml" in found["detail"]


def test_the_homes_folder_holds_a_companys_mappings() -> None:
    from beforehand.api import mappings

    assert mappings.folder() == settings.ENVIRONMENT.home / "mappings"
