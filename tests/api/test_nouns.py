"""The routers: each noun listed, read, created and changed through the same actions that the pages use."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from beforehand.accounts.actions import SCOPES, create_token
from beforehand.accounts.models import ApiToken
from beforehand.customers.models import Consent, Customer, Holding
from beforehand.events.models import Event
from beforehand.incidents.actions import refresh_wanted
from beforehand.incidents.models import Affected, Incident
from beforehand.kit.clock import travel
from beforehand.playbooks.actions import install_shipped
from beforehand.playbooks.bundles import SHIPPED
from beforehand.playbooks.models import PlaybookVersion, Run
from tests.api.callers import Caller, problem
from tests.cast import Cast, make_cast
from tests.driving import alert, approve_shipped, driving, outage_rule, post_webhook

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
V1 = "/api/v1"


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def ok(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, (response.status_code, response.content[:800])
    return response.json() if response.content else None


def open_incident(caller: Caller, **changes: Any) -> dict[str, Any]:
    body = {"title": "Node 7 is down", "components": ["node-7"], "texts": {"nl": {"title": "Storing"}}, **changes}
    opened: dict[str, Any] = ok(caller.post(f"{V1}/incidents", body), 201)
    refresh_wanted()
    return opened


# --- customers -------------------------------------------------------------------------------------------------------


def test_customers_are_listed_and_searched(caller: Caller, cast: Cast) -> None:
    assert {one["external_id"] for one in ok(caller.get(f"{V1}/customers"))["items"]} == {
        "aisha",
        "bram",
        "chitra",
        "dana",
        "elif",
    }
    found = ok(caller.get(f"{V1}/customers?search=bram%20de"))["items"]
    assert [one["id"] for one in found] == [str(cast.bram.public_id)]


@pytest.mark.parametrize("nasty", ["'; DROP TABLE customers_customer; --", "%25", "\\", "_", "%d9%a0%27"])
def test_sql_in_a_search_is_only_text(caller: Caller, cast: Cast, nasty: str) -> None:
    assert ok(caller.get(f"{V1}/customers?search={nasty}"))["items"] == []


def test_a_customer_is_read_whole_by_either_id(caller: Caller, cast: Cast) -> None:
    opened = open_incident(caller)
    by_number = ok(caller.get(f"{V1}/customers/aisha"))
    assert by_number == ok(caller.get(f"{V1}/customers/{cast.aisha.public_id}"))
    assert by_number["contact_points"][0]["address"] == "aisha@customers.example"
    assert by_number["holdings"][0]["components"] == ["node-7"]
    assert [one["incident"] for one in by_number["affected_by"]] == [opened["id"]]


def test_a_batch_of_customers_writes_what_it_can_and_names_what_it_cannot(caller: Caller, cast: Cast) -> None:
    rows = [
        {"external_id": "fatima", "name": "Fatima", "email": "fatima@customers.example"},
        {"external_id": "bram", "name": "Bram de Vries", "language": "nl-BE"},
        {"external_id": "gijs", "name": "Gijs", "language": "klingonese!", "shoe_size": 44},
        {"external_id": "dana", "name": "Dana O'Neill"},
    ]
    answer = ok(caller.post(f"{V1}/customers", {"rows": rows}))
    assert (answer["created"], answer["updated"], answer["unchanged"], answer["refused"]) == (1, 1, 1, 1)
    assert {(one["row"], one["pointer"], one["code"]) for one in answer["problems"]} == {
        (2, "/rows/2/language", "not_a_language"),
        (2, "/rows/2/shoe_size", "unknown_field"),
    }
    assert Customer.objects.get(external_id="bram").language == "nl-BE"


@pytest.mark.parametrize("noun", ["customers", "holdings", "components", "consents"])
@pytest.mark.parametrize("rows", [[], [{}], [{"external_id": 5}], [{"nobody": "x"}, {"customer": None}]])
def test_a_batch_of_which_nothing_can_be_used_is_answered_row_by_row(
    caller: Caller, noun: str, rows: list[dict[str, Any]]
) -> None:
    answer = ok(caller.post(f"{V1}/{noun}", {"rows": rows}))
    assert (answer["created"], answer["updated"], answer["refused"]) == (0, 0, len(rows))


def test_a_batch_has_at_most_five_thousand_rows(caller: Caller) -> None:
    rows = [{"external_id": f"c-{n}", "name": "N"} for n in range(5_001)]
    found = problem(caller.post(f"{V1}/customers", {"rows": rows}), 422)
    assert found["errors"][0]["pointer"] == "/rows"
    assert ok(caller.post(f"{V1}/customers", {"rows": rows[:5_000]}))["created"] == 5_000


def test_a_customer_is_changed_and_unknown_fields_are_named(caller: Caller, cast: Cast) -> None:
    changed = ok(caller.patch(f"{V1}/customers/bram", {"priority": "care_alarm", "helper": "dana"}))
    assert (changed["priority"], changed["helper"]) == ("care_alarm", "dana")
    found = problem(caller.patch(f"{V1}/customers/bram", {"shoe_size": 44, "language": "?"}), 422)
    assert {(one["pointer"], one["code"]) for one in found["errors"]} == {
        ("/shoe_size", "unknown_field"),
        ("/language", "not_a_language"),
    }


def test_attributes_are_declared_before_they_are_written(caller: Caller, cast: Cast) -> None:
    bare = {"external_id": "modem-bram", "attributes": {"firmware": "1.2"}}
    refused = ok(caller.post(f"{V1}/holdings", {"rows": [bare]}))
    assert {one["pointer"] for one in refused["problems"]} == {
        "/rows/0/attributes/firmware",
        "/rows/0/customer",
        "/rows/0/product",
    }
    ok(caller.put(f"{V1}/attributes/holding/firmware", {"type": "text"}))
    row = {"external_id": "modem-bram", "customer": "bram", "product": "Fibre 500", "attributes": {"firmware": "1.2"}}
    assert ok(caller.post(f"{V1}/holdings", {"rows": [row]}))["updated"] == 1
    assert Holding.objects.get(external_id="modem-bram").attributes == {"firmware": "1.2"}
    assert ok(caller.get(f"{V1}/attributes"))[0]["name"] == "firmware"
    problem(caller.put(f"{V1}/attributes/holding/firmware", {"type": "number"}), 422)


def test_components_are_listed_with_what_they_depend_on(caller: Caller, cast: Cast) -> None:
    ok(
        caller.post(
            f"{V1}/components",
            {"rows": [{"external_id": "app", "kind": "app", "name": "App", "depends_on": ["node-8"]}]},
        )
    )
    listed = ok(caller.get(f"{V1}/components"))["items"]
    assert {one["external_id"]: one["depends_on"] for one in listed}["app"] == ["node-8"]
    assert [one["external_id"] for one in ok(caller.get(f"{V1}/components?kind=region"))["items"]] == ["north"]


def test_consents_are_appended_and_their_history_stays(caller: Caller, cast: Cast) -> None:
    def row(given: bool, day: int) -> dict[str, Any]:
        return {
            "customer": "dana",
            "message_class": "marketing",
            "channel": "email",
            "given": given,
            "wording": "May we?",
            "how": "telephone",
            "answered_at": f"2026-11-{day:02d}T10:00:00Z",
        }

    assert ok(caller.post(f"{V1}/consents", {"rows": [row(True, 1), row(False, 2)]}))["created"] == 2
    assert ok(caller.post(f"{V1}/consents", {"rows": [row(True, 1), row(False, 2)]}))["created"] == 0
    assert [one["given"] for one in ok(caller.get(f"{V1}/customers/dana/consents"))["items"]] == [False, True]
    assert [one["given"] for one in ok(caller.get(f"{V1}/customers/dana"))["consents"]] == [False]
    assert Consent.objects.count() == 2


def test_a_segment_is_made_counted_changed_and_deleted(caller: Caller, cast: Cast) -> None:
    address = f"{V1}/segments/dutch"
    ok(caller.put(address, {"name": "Dutch", "condition": 'customer.language == "nl"'}))
    assert ok(caller.get(f"{address}/count")) == {"count": 2}
    ok(caller.put(address, {"name": "Arabic", "condition": 'customer.language == "ar"'}))
    assert ok(caller.get(f"{address}/count")) == {"count": 1}
    assert [one["name"] for one in ok(caller.get(f"{V1}/segments"))["items"]] == ["Arabic"]
    ok(caller.delete(address), 204)
    problem(caller.get(address), 404)


def test_a_faulty_condition_is_refused_with_its_line_and_column(caller: Caller, cast: Cast) -> None:
    body = {"name": "X", "condition": '\ncustomer.langage == "nl"'}
    found = problem(caller.put(f"{V1}/segments/x", body), 422)
    fault = found["errors"][0]
    assert (fault["code"], fault["pointer"], fault["line"], fault["column"]) == ("undeclared", "/condition", 2, 1)
    assert "customer.language" in fault["detail"]


# --- incidents -------------------------------------------------------------------------------------------------------


def test_an_incident_is_opened_and_whom_it_touches_is_listed_with_reasons(caller: Caller, cast: Cast) -> None:
    opened = open_incident(caller, owner="network-operations", severity="critical")
    assert opened["is_list_pending"] is True
    read = ok(caller.get(f"{V1}/incidents/{opened['id']}"))
    assert (read["affected"], read["owner"], read["is_list_pending"]) == (4, "network-operations", False)
    assert {(one["language"], one["customers"]) for one in read["languages"]} == {
        ("ar", 1),
        ("nl", 1),
        ("hi", 1),
        ("en", 1),
    }
    listed = ok(caller.get(f"{V1}/incidents/{opened['id']}/affected"))["items"]
    assert {one["customer"] for one in listed} == {"aisha", "bram", "chitra", "dana"}
    assert {(one["product"], one["component"], one["on"]) for one in listed} == {("Fibre 500", "Node 7", "Node 7")}
    only = ok(caller.get(f"{V1}/incidents/{opened['id']}/affected?language=ar"))["items"]
    assert [one["customer"] for one in only] == ["aisha"]


def test_a_condition_alone_opens_an_incident(caller: Caller, cast: Cast) -> None:
    opened = open_incident(caller, components=[], condition='customer.language == "nl"')
    listed = ok(caller.get(f"{V1}/incidents/{opened['id']}/affected"))["items"]
    assert {one["customer"] for one in listed} == {"bram", "elif"}


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"components": ["node-7", "node-99"]}, "/components/1", "unknown_component"),
        ({"components": []}, "/components", "invalid"),
        ({"condition": "nonsense ==="}, "/condition", "syntax"),
        ({"owner": "nobody"}, "/owner", "unknown_team"),
        ({"severity": "dreadful"}, "/severity", "enum"),
        ({"colour": "red"}, "/colour", "unknown_field"),
        ({"texts": {"nl": {"subject": "x"}}}, "/texts/nl/subject", "unknown_field"),
        ({"began_at": "yesterday"}, "/began_at", "datetime_from_date_parsing"),
        ({"title": ""}, "/title", "string_too_short"),
    ],
)
def test_an_incident_that_cannot_be_is_refused_with_the_place(
    caller: Caller, cast: Cast, changes: dict[str, Any], pointer: str, code: str
) -> None:
    body = {"title": "Node 7 is down", "components": ["node-7"], **changes}
    found = problem(caller.post(f"{V1}/incidents", body), 422)
    assert (found["errors"][0]["pointer"], found["errors"][0]["code"]) == (pointer, code)
    assert not Incident.objects.exists()


def test_an_incident_is_told_of_resolved_and_opened_again(caller: Caller, cast: Cast) -> None:
    address = f"{V1}/incidents/{open_incident(caller)['id']}"
    posted = ok(caller.post(f"{address}/updates", {"texts": {"nl": "Er wordt gewerkt.", "en": "Work goes on."}}), 201)
    assert ok(caller.get(address))["updates"][0] == posted
    assert ok(caller.post(f"{address}/resolve", {}))["state"] == "resolved"
    assert ok(caller.post(f"{address}/resolve", {}))["state"] == "resolved"
    assert problem(caller.post(f"{address}/cancel", {}), 409)["code"] == "not_open"
    assert problem(caller.post(f"{address}/updates", {"texts": {"en": "late"}}), 409)["code"] == "not_open"
    assert ok(caller.post(f"{address}/reopen"))["state"] == "open"
    types = [one["type"] for one in ok(caller.get(f"{address}/timeline"))["items"]]
    assert types[0] == "incident.reopened"
    assert types[-1] == "incident.opened"


def test_a_false_alarm_is_cancelled(caller: Caller, cast: Cast) -> None:
    address = f"{V1}/incidents/{open_incident(caller)['id']}"
    cancelled = ok(caller.post(f"{address}/cancel", {"reason": "sensor_fault"}))
    assert (cancelled["state"], cancelled["end_reason"]) == ("cancelled", "sensor_fault")


def test_the_scope_widens_and_narrows_and_the_list_follows(caller: Caller, cast: Cast) -> None:
    address = f"{V1}/incidents/{open_incident(caller)['id']}"
    wider = ok(caller.post(f"{address}/scope", {"components": ["node-8"]}))
    refresh_wanted()
    assert ok(caller.get(address))["affected"] == 5
    added = next(scope for scope in wider["scopes"] if scope["component"] == "node-8")
    ok(caller.post(f"{address}/scope/{added['id']}/remove", {"reason": "mistaken"}))
    refresh_wanted()
    assert ok(caller.get(address))["affected"] == 4
    listed = ok(caller.get(f"{address}/affected?state=mistaken"))["items"]
    assert [one["customer"] for one in listed] == ["elif"]
    problem(caller.post(f"{address}/scope/999/remove", {"reason": "cured"}), 404)


def test_customers_are_put_on_and_taken_off_by_name(caller: Caller, cast: Cast) -> None:
    address = f"{V1}/incidents/{open_incident(caller)['id']}"
    assert ok(caller.post(f"{address}/affected", {"customers": ["elif", "aisha"]})) == {"moved": 1}
    assert ok(caller.post(f"{address}/affected/remove", {"customers": ["bram"], "state": "cured"})) == {"moved": 1}
    states = {one["customer"]: one["state"] for one in ok(caller.get(f"{address}/affected"))["items"]}
    assert (states["elif"], states["bram"]) == ("affected", "cured")
    found = problem(caller.post(f"{address}/affected", {"customers": ["aisha", "zeno"]}), 422)
    assert found["errors"][0]["pointer"] == "/customers/1"
    ok(caller.post(f"{address}/resolve", {}))
    assert problem(caller.post(f"{address}/affected", {"customers": ["elif"]}), 409)["code"] == "not_open"


def test_the_report_of_an_incident_is_read(caller: Caller, cast: Cast) -> None:
    address = f"{V1}/incidents/{open_incident(caller)['id']}"
    made = ok(caller.get(f"{address}/report"))
    assert (made["affected"], made["told"], made["head_start"]) == (4, 0, None)


@pytest.mark.parametrize(
    "path", ["incidents/{id}", "incidents/{id}/affected", "incidents/{id}/report", "runs/{id}", "customers/{id}"]
)
def test_another_nouns_id_opens_nothing(caller: Caller, cast: Cast, path: str) -> None:
    opened = open_incident(caller)
    for other in (cast.team.slug, str(uuid4()), str(cast.node.public_id)):
        answer = caller.get(f"{V1}/" + path.replace("{id}", other))
        assert answer.status_code in (404, 422)
        problem(answer, answer.status_code)
    if not path.startswith("incidents"):
        problem(caller.get(f"{V1}/" + path.replace("{id}", opened["id"])), 404)


def test_a_part_of_another_incidents_scope_stays(caller: Caller, cast: Cast) -> None:
    first, second = open_incident(caller), open_incident(caller)
    scope = first["scopes"][0]["id"]
    problem(caller.post(f"{V1}/incidents/{second['id']}/scope/{scope}/remove", {"reason": "cured"}), 404)
    assert ok(caller.get(f"{V1}/incidents/{first['id']}"))["scopes"][0]["removed_at"] is None


def test_alert_rules_are_put_and_listed(caller: Caller, cast: Cast) -> None:
    body = {"name": "Node down", "condition": 'labels.alertname == "NodeDown"', "owner": "network-operations"}
    made = ok(caller.put(f"{V1}/alert-rules/node-down", body))
    assert (made["owner"], made["kind"], made["resolve_after_seconds"]) == ("network-operations", "outage", 18000)
    assert ok(caller.get(f"{V1}/alert-rules"))["items"] == [made] == [ok(caller.get(f"{V1}/alert-rules/node-down"))]
    found = problem(caller.put(f"{V1}/alert-rules/node-down", body | {"condition": "labels."}), 422)
    assert found["errors"][0]["line"] == 1
    problem(caller.put(f"{V1}/alert-rules/Node_Down", body), 422)


# --- playbooks, runs, messages, promises -----------------------------------------------------------------------------


def test_a_playbook_is_pulled_changed_pushed_and_approved_by_its_hash(caller: Caller) -> None:
    install_shipped()
    pulled = ok(caller.get(f"{V1}/playbooks/outage"))
    texts = pulled["texts"]
    texts["update"]["en"] += "\nThank you for your patience.\n"
    push = {"source": pulled["source"], "texts": texts, "builds_on": pulled["hash"], "note": "kinder"}
    pushed = ok(caller.put(f"{V1}/playbooks/outage", push))
    assert (pushed["number"], pushed["is_current"], pushed["approved_at"]) == (2, True, None)
    assert problem(caller.put(f"{V1}/playbooks/outage", push | {"note": "again"}), 409)["code"] == "stale"
    assert ok(caller.post(f"{V1}/playbooks/outage/approve", {"hash": pushed["hash"]}))["approved_at"]
    problem(caller.post(f"{V1}/playbooks/outage/approve", {"hash": "other"}), 404)
    assert [one["number"] for one in ok(caller.get(f"{V1}/playbooks/outage/versions"))["items"]] == [2, 1]
    assert ok(caller.get(f"{V1}/playbooks/outage/versions/1"))["hash"] == pulled["hash"]
    shipped = sorted(folder.name for folder in SHIPPED.iterdir())
    assert [one["slug"] for one in ok(caller.get(f"{V1}/playbooks"))["items"]] == shipped


def test_a_faulty_playbook_is_refused_with_file_and_line(caller: Caller) -> None:
    install_shipped()
    pulled = ok(caller.get(f"{V1}/playbooks/outage"))
    broken = pulled["source"].replace("audience:", "audiance:", 1)
    found = problem(caller.put(f"{V1}/playbooks/outage", {"source": broken, "texts": pulled["texts"]}), 422)
    line = next(n for n, text in enumerate(broken.splitlines(), 1) if "audiance:" in text)
    assert ("/source", line) in {(one["pointer"], one["line"]) for one in found["errors"]}
    del pulled["texts"]["update"]
    found = problem(caller.put(f"{V1}/playbooks/outage", {"source": pulled["source"], "texts": pulled["texts"]}), 422)
    assert any("update" in one["detail"] for one in found["errors"])
    problem(caller.put(f"{V1}/playbooks/other", {"source": pulled["source"], "texts": {}}), 422)
    assert PlaybookVersion.objects.filter(slug__in=["outage", "other"]).count() == 1


def test_a_text_that_no_mail_can_be_made_of_is_refused_with_its_file_and_line(caller: Caller) -> None:
    install_shipped(actor="test")
    pulled = ok(caller.get(f"{V1}/playbooks/outage"))
    texts = pulled["texts"] | {
        "update": pulled["texts"]["update"] | {"ar": "---\nsubject: x\n---\n{{ incident.colour }}"}
    }
    found = problem(caller.put(f"{V1}/playbooks/outage", {"source": pulled["source"], "texts": texts}), 422)
    assert [(fault["pointer"], fault["line"]) for fault in found["errors"]] == [("/texts/update/ar", 4)]
    assert "incident.colour" in found["errors"][0]["detail"]
    assert PlaybookVersion.objects.filter(slug__in=["outage", "other"]).count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_was_told_is_read_with_its_deliveries_and_its_promise(caller: Caller) -> None:
    cast = make_cast()
    outage_rule(owner=cast.team)
    approve_shipped()
    with driving() as drive:
        with travel(START):
            post_webhook([alert(starts_at=START)])
            drive.settle()
        with travel(START + timedelta(minutes=3)):
            drive.settle()
    (incident,) = ok(caller.get(f"{V1}/incidents?state=open"))["items"]
    told = ok(caller.get(f"{V1}/messages?incident={incident['id']}"))["items"]
    assert {one["customer"] for one in told} == {"aisha", "bram", "chitra", "dana"}
    assert {one["incident"] for one in told} == {incident["id"]}
    with CaptureQueriesContext(connection) as queries:
        ok(caller.get(f"{V1}/messages?state=sent"))
    assert len(queries) <= 8
    (one,) = ok(caller.get(f"{V1}/messages?customer=aisha"))["items"]
    read = ok(caller.get(f"{V1}/messages/{one['id']}"))
    assert (read["state"], [d["state"] for d in read["deliveries"]]) == ("sent", ["accepted"])
    assert read["code"]
    (promise,) = ok(caller.get(f"{V1}/promises?state=open"))["items"]
    assert (promise["incident"], promise["owner"]) == (incident["id"], "network-operations")
    assert ok(caller.get(f"{V1}/incidents/{incident['id']}"))["next_update_due_at"] == promise["due_at"]
    (run,) = ok(caller.get(f"{V1}/runs?incident={incident['id']}"))["items"]
    assert ok(caller.get(f"{V1}/runs/{run['id']}"))["playbook"] == "outage"
    assert problem(caller.post(f"{V1}/runs/{run['id']}/confirm"), 409)["code"] == "not_asking"


@pytest.mark.django_db(transaction=True)
def test_a_run_that_asks_is_confirmed(caller: Caller) -> None:
    make_cast()
    outage_rule()
    install_shipped()  # and nobody has approved it
    with driving() as drive:
        with travel(START):
            post_webhook([alert(starts_at=START)])
            drive.settle()
        with travel(START + timedelta(minutes=3)):
            drive.settle()
            (run,) = ok(caller.get(f"{V1}/runs?state=confirming"))["items"]
            assert ok(caller.post(f"{V1}/runs/{run['id']}/confirm"))["is_confirmed"] is True
            drive.settle()
        assert len(drive.mailbox.accepted) == 4
    assert not Run.objects.filter(state="confirming").exists()


@pytest.mark.parametrize("message", ["1-1", "64-1", "99999-1", "1-" + "9" * 30, "x", "1_1", "-1-1"])
def test_a_message_that_is_not_there_is_not_found(caller: Caller, message: str) -> None:
    problem(caller.get(f"{V1}/messages/{message}"), 404)


# --- settings, teams, tokens -----------------------------------------------------------------------------------------


def test_settings_are_read_and_put_in_force(caller: Caller) -> None:
    assert ok(caller.get(f"{V1}/settings"))["settings"]["quiet_hours.from"] == "22:00"
    after = ok(caller.put(f"{V1}/settings/limits.confirm_above", {"value": 100}))
    assert after["settings"]["limits.confirm_above"] == 100
    problem(caller.put(f"{V1}/settings/limits.confirm_above", {"value": -1}), 422)
    assert "brand" in problem(caller.put(f"{V1}/settings/colour", {"value": 1}), 404)["detail"]


def test_a_team_is_made_and_renamed(caller: Caller) -> None:
    ok(caller.put(f"{V1}/teams/field", {"name": "Field"}))
    assert ok(caller.put(f"{V1}/teams/field", {"name": "Field work"})) == {"slug": "field", "name": "Field work"}
    assert ok(caller.get(f"{V1}/teams")) == [{"slug": "field", "name": "Field work"}]


def test_a_token_hands_on_only_what_it_has_and_can_be_revoked(db: None) -> None:
    _, secret = create_token(name="root", scopes=["tokens:write", "events:write"], actor="test")
    root = Caller(secret)
    made = ok(root.post(f"{V1}/tokens", {"name": "shop", "scopes": ["events:write"]}), 201)
    shop = Caller(made["secret"])
    batch = {"content_type": "application/cloudevents-batch+json"}
    assert shop.post(f"{V1}/events", [], **batch).status_code == 202
    assert (
        problem(root.post(f"{V1}/tokens", {"name": "x", "scopes": ["customers:read"]}), 403)["code"]
        == "scope_not_yours"
    )
    assert problem(root.post(f"{V1}/tokens", {"name": "x", "scopes": ["all"]}), 422)["code"] == "unknown_scope"
    problem(shop.post(f"{V1}/tokens", {"name": "x", "scopes": ["events:write"]}), 403)
    assert "secret" not in ok(root.get(f"{V1}/tokens"))["items"][0]
    ok(root.delete(f"{V1}/tokens/{made['id']}"), 204)
    assert problem(shop.post(f"{V1}/events", [], **batch), 401)["code"] == "token_revoked"
    assert ApiToken.objects.count() == 2


def test_every_operation_asks_for_its_own_scope(
    caller_with: Callable[..., Caller], stranger: Caller, cast: Cast
) -> None:
    asked = {
        "customers:read": ("GET", "customers"),
        "customers:write": ("POST", "customers"),
        "incidents:read": ("GET", "incidents"),
        "incidents:write": ("POST", "incidents"),
        "messages:read": ("GET", "messages"),
        "conversations:read": ("GET", "conversations"),
        "customers:erase": ("GET", f"customers/{cast.bram.public_id}/export"),
        "promises:read": ("GET", "promises"),
        "promises:write": ("POST", "promises"),
        "roster:read": ("GET", f"teams/{cast.team.slug}/duty"),
        "roster:write": ("PUT", f"teams/{cast.team.slug}/duty"),
        "playbooks:read": ("GET", "playbooks"),
        "playbooks:write": ("PUT", "playbooks/outage"),
        "settings:write": ("GET", "settings"),
        "tokens:write": ("GET", "tokens"),
    }
    assert set(asked) | {"events:write"} == set(SCOPES)
    for scope, (method, path) in asked.items():
        others = caller_with(*(set(SCOPES) - {scope}))
        assert problem(others.send(method, f"{V1}/{path}", {}), 403)["code"] == "scope_missing"
        problem(stranger.send(method, f"{V1}/{path}", {}), 401)
        assert caller_with(scope).send(method, f"{V1}/{path}", {}).status_code in (200, 422)


def test_what_is_done_is_logged_under_the_tokens_name(caller: Caller, cast: Cast) -> None:
    open_incident(caller)
    token = ApiToken.objects.get()
    assert Event.objects.filter(type="incident.opened").get().actor == f"token:{token.pk}"


def test_lists_ask_the_same_number_of_queries_however_long_they_are(caller: Caller, cast: Cast) -> None:
    def counted(path: str) -> int:
        caller.get(f"{V1}/{path}")
        with CaptureQueriesContext(connection) as queries:
            ok(caller.get(f"{V1}/{path}"))
        return len(queries)

    opened = open_incident(caller)
    paths = [
        "customers",
        "components",
        "incidents",
        "customers/aisha",
        f"incidents/{opened['id']}",
        f"incidents/{opened['id']}/affected",
        f"incidents/{opened['id']}/timeline",
    ]
    before = {path: counted(path) for path in paths}
    rows = [{"external_id": f"c-{n}", "name": f"C {n}", "email": f"c{n}@customers.example"} for n in range(40)]
    holdings = [
        {"external_id": f"h-{n}", "customer": f"c-{n}", "product": "P", "components": ["node-7"]} for n in range(40)
    ]
    holdings += [
        {"external_id": f"a-{n}", "customer": "aisha", "product": "P", "components": ["node-7"]} for n in range(9)
    ]
    ok(caller.post(f"{V1}/customers", {"rows": rows}))
    ok(
        caller.post(
            f"{V1}/components",
            {
                "rows": [
                    {"external_id": f"k-{n}", "kind": "node", "name": "K", "depends_on": ["north"]} for n in range(20)
                ]
            },
        )
    )
    ok(caller.post(f"{V1}/holdings", {"rows": holdings}))
    for _ in range(5):
        open_incident(caller)
    caller.post(f"{V1}/incidents/{opened['id']}/scope", {"components": ["node-8"]})
    refresh_wanted()
    assert Affected.objects.filter(incident_id=Incident.objects.earliest("pk").pk).count() == 45
    assert {path: counted(path) for path in paths} == before
    assert max(before.values()) <= 12
