"""Every page: its door, its queries, and that what is on it is whole."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, reverse

from beforehand.accounts.access import ALLOWED, may
from beforehand.accounts.actions import create_token, create_user
from beforehand.accounts.models import Role, Shift, User
from beforehand.accounts.shifts import ShiftGiven, put_shifts, save_roles
from beforehand.console.paging import in_microseconds
from beforehand.console.urls import urlpatterns
from beforehand.conversations.actions import read_waiting, take_in
from beforehand.conversations.models import MessageIn
from beforehand.customers.models import ContactPoint
from beforehand.detection.heartbeats import save_heartbeat
from beforehand.detection.mutes import create_mute
from beforehand.events.models import Event
from beforehand.incidents.models import Answer, Incident, IncidentScope, PlannedWork
from beforehand.insights.readiness import tend_readiness
from beforehand.kit import clock, rows
from beforehand.kit.clock import travel
from beforehand.kit.ids import bucket_of
from beforehand.kit.rows import bound_cursor
from beforehand.outbound.models import Message
from beforehand.playbooks.models import Run, RunTask, WantedChange
from beforehand.promises.models import Promise
from beforehand.promises.outcomes import make_outcome
from tests.cast import PASSWORD, Cast
from tests.console.conftest import at

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

ONLY_POST = {
    "person-invite-again",
    "shift-remove",
    "away-back",
    "playbook-teams",
    "alert-rule-switch",
    "mute-end",
    "planned-start",
    "planned-finish",
    "planned-cancel",
    "told-by-person",
    "readiness-work-out",
    "change-done",
    "playbook-approve",
    "failure-retry",
    "outcome-done",
    "promise-take",
    "caller-check",
    "caller-called",
    "called",
    "reply-handled",
    "customer-trust",
    "token-revoke",
}
STREAMS = {
    "live",
    "planned-feed",
    "calendar-feed",
    "could-not-tell-csv",
    "affected-csv",
}  # and what a calendar program reads by its own key


A_MAIL = (
    b"From: aisha@customers.example\r\nSubject: Hello\r\nMessage-ID: <1@customers.example>\r\n"
    b"Content-Type: text/html\r\n\r\n<p>Hello</p>"
)


def outcome(incident: Incident) -> Any:
    """The public id of what was promised to be done, promised if it is not yet."""
    audience = f"incident:{incident.pk}"
    known = Promise.objects.filter(audience=audience, kind=Promise.Kind.OUTCOME).first()
    return (
        known
        or make_outcome(audience=audience, outcome="restored", due_at=at(500), now=at(4), owner=None, actor="test")
    ).public_id


def a_shift(cast: Cast) -> Shift:
    """Ester's, on a duty role of her team, planned if it is not yet."""
    save_roles(cast.team, [("duty-manager", "Look")], actor="test")
    put_shifts(cast.team, [ShiftGiven("e", cast.ester.email, at(-60), at(60))], actor="test")
    return Shift.objects.get()


def a_task(run: Run) -> RunTask:
    """Something that the run asks of a person, asked if it is not yet."""
    given = {"title": "Look", "team_slug": "network-operations", "made_at": at(0), "due_at": at(9)}
    return RunTask.objects.get_or_create(run=run, step="look", turn=1, defaults=given)[0]


def a_reply(cast: Cast) -> MessageIn:
    """Something that Aisha wrote, taken in if it is not yet."""
    take_in(channel="email", raw=A_MAIL, now=at(4))
    read_waiting(now=at(4))
    return MessageIn.objects.select_related("incoming").get(customer_id=cast.aisha.pk)


def a_question(incident: Incident, cast: Cast) -> None:
    """Bram says that it is still broken, after an end that was his alone; asked if he has not been yet."""
    Answer.objects.get_or_create(
        bucket=bucket_of(cast.bram.pk), incident_id=incident.pk, customer_id=cast.bram.pk,
        defaults={"says": "broken", "said_at": at(1), "was_over": True, "asked_at": at(1)},
    )  # fmt: skip


def address(pattern: URLPattern, cast: Cast, outage: Incident) -> str:
    message = Message.objects.order_by("id").first()
    run = Run.objects.get()
    event = Event.objects.order_by("id").first()
    assert message is not None
    assert event is not None
    values: dict[str, Any] = {
        "slug": "outage", "number": 1, "name": "first-notice", "language": "ar", "bucket": message.bucket,
        "message_id": message.id, "scope_id": IncidentScope.objects.get().pk, "customer_id": cast.bram.public_id,
        "failure_id": 1, "key": "mail.rate", "at": in_microseconds(event.recorded_at), "event_id": event.id,
        "point_id": ContactPoint.objects.get(customer=cast.aisha).pk,
        "promise_id": outcome(outage) if "promise_id" in pattern.pattern.converters else None,
    }  # fmt: skip
    name = str(pattern.name)
    if name.startswith("planned-"):
        window = {"starts_at": at(0), "ends_at": at(60), "announce_at": at(0)}
        PlannedWork.objects.get_or_create(incident=outage, defaults=window)
    if name.startswith("readiness"):
        tend_readiness(now=at(4))
    values["public_id"] = (
        cast.node.public_id
        if name.startswith("readiness")
        else run.public_id
        if name.startswith("run-")
        else cast.aisha.public_id
        if name.startswith(("customer", "caller"))
        else outage.public_id
    )
    if name.startswith("reply-") or name == "reply":
        written = a_reply(cast)
        values["public_id"] = written.incoming.public_id if name == "reply-raw" else written.public_id
    if name == "change-done":
        due_on = at(99999).date()
        given = {"slug": "outage", "text": "Tell sooner.", "due_on": due_on, "wanted_at": at(4)}
        values["change_id"] = WantedChange.objects.get_or_create(incident=outage, owner=cast.ester, defaults=given)[
            0
        ].public_id
    if name == "answer-contact":
        a_question(outage, cast)
    if name == "token-revoke":
        values["public_id"] = create_token(name="Till", scopes=["events:write"], actor="test")[0].public_id
    if name == "run-task":
        values["public_id"] = a_task(run).public_id
    if name in ("team", "team-change", "shift-add"):
        values["slug"] = cast.team.slug
    if name in ("person", "person-invite-again"):
        values["public_id"] = cast.ester.public_id
    if name in ("shift", "shift-remove"):
        values["public_id"] = a_shift(cast).public_id
    if name.startswith("alert-rule"):
        values["slug"] = "node-down"
    if name == "heartbeat":
        values["slug"] = save_heartbeat(
            slug="probe", name="Node", interval_seconds=60, grace_seconds=9, actor="test"
        ).slug
    if name == "mute-end":
        values["public_id"] = create_mute(
            starts_at=at(0), ends_at=clock.now() + timedelta(1), reason="x", actor="test", component=cast.node
        ).public_id
    wanted = pattern.pattern.converters
    return reverse(f"console:{name}", kwargs={key: values[key] for key in wanted})


ONLY_ADMINISTRATORS = ("person-invite", "customer-erase", "customer-export", "customer-export-page", "settings", "setting", "tokens", "token-new")  # fmt: skip
PAGES = [pattern for pattern in urlpatterns if pattern.name not in STREAMS]


def test_a_stranger_is_sent_to_sign_in_from_every_page(cast: Cast, outage: Incident, client: Client) -> None:
    for pattern in PAGES:
        answer = client.get(address(pattern, cast, outage))
        assert answer.status_code == 302, pattern.name
        assert answer["Location"].startswith("/accounts/login/")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts what Django's own counter does not see: cursors that bind in the server."""
    seen: list[int] = []

    def counted() -> Any:
        seen.append(1)
        return bound_cursor()

    monkeypatch.setattr(rows, "bound_cursor", counted)
    return seen


@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_page_is_whole_within_20_queries(
    language: str, cast: Cast, outage: Incident, supervisor: Client, asked: list[int]
) -> None:
    supervisor.cookies["django_language"] = language
    for pattern in PAGES:
        if pattern.name in ONLY_POST:
            continue
        where = address(pattern, cast, outage)
        asked.clear()
        with travel(at(4)), CaptureQueriesContext(connection) as queries:
            answer = supervisor.get(where)
        assert 2 <= len(queries) + len(asked) <= 20, (pattern.name, len(queries), len(asked))
        if pattern.name in ONLY_ADMINISTRATORS:
            assert answer.status_code == 403, pattern.name
            continue
        assert answer.status_code == (
            302 if pattern.name in ("run-confirm", "incident-reopen", "incident-release") else 200
        ), pattern.name
        if pattern.name != "playbook-text":  # which shows a text as it is written
            content = b"".join(answer)
            assert b"{%" not in content, pattern.name
            assert b"{{" not in content, pattern.name


WRITES = ("incident-report", "change-done", "person-invite", "person", "person-invite-again", "team-make", "team-change", "shift-add", "shift", "shift-remove",
          "playbook-teams", "alert-rule-make", "alert-rule", "alert-rule-switch", "mute-make", "mute-end", "heartbeat-make", "heartbeat",
          "planned-plan", "planned-upload", "planned-move", "planned-start", "planned-finish", "planned-cancel",
          "readiness-work-out", "told-by-person", "customer-erase", "incident-open", "incident-update", "incident-update-preview", "caller-check", "caller-called", "called", "incident-widen", "incident-narrow", "incident-leave", "incident-resolve",
          "outcome-make", "outcome-move", "outcome-done", "promise-take", "reply-handled", "customer-trust", "calendar-upload",
          "incident-false-alarm", "incident-reopen", "incident-hold", "incident-release", "answer-contact", "customer-change", "playbook-approve", "run-confirm", "failure-retry", "run-task",
          "setting", "token-new", "token-revoke", "called")  # fmt: skip


def test_a_viewer_who_posts_is_told_that_they_may_not(cast: Cast, outage: Incident, viewer: Client) -> None:
    for pattern in PAGES:
        if pattern.name in WRITES:
            answer = viewer.post(address(pattern, cast, outage), {"confirmed": "yes", "count_seen": "4"})
            assert answer.status_code == 403, pattern.name
            assert "You may not do this" in answer.content.decode()
    outage.refresh_from_db()
    assert outage.state == Incident.State.OPEN


def test_an_agent_cannot_confirm_or_approve(cast: Cast, outage: Incident, agent: Client) -> None:
    for pattern in PAGES:
        if pattern.name in ("playbook-approve", "run-confirm", "failure-retry", "incident-hold", "incident-release"):
            assert agent.post(address(pattern, cast, outage), {"confirmed": "yes"}).status_code == 403


def test_every_write_is_among_those_tried() -> None:
    found = {str(pattern.name) for pattern in urlpatterns}
    reading = {"events", "event", "settings", "tokens", "people", "teams", "team", "away", "away-back", "you", "promise", "alerts", "alert-rules", "mutes", "heartbeats", "calendar", "calendar-feed", "today", "today-now", "hanging", "live", "incidents", "incident", "incident-now", "incident-timeline",
               "incident-affected", "answers", "could-not-tell", "could-not-tell-csv", "affected-csv", "parts", "reach", "run-sample", "customers", "customer",
               "customer-timeline", "customer-export", "customer-export-page", "planned", "planned-feed", "readiness", "readiness-all",
               "readiness-all-list", "readiness-part", "readiness-list", "messages", "message", "message-mail", "playbooks", "playbook", "playbook-text",
               "playbook-text-mail", "say-this", "caller", "go", "incident-replies", "replies", "replies-aside",
               "reply", "reply-html", "reply-raw"}  # fmt: skip
    assert found == reading | set(WRITES)


def test_each_role_contains_the_one_before_it() -> None:
    roles = [ALLOWED[role] for role in Role.values]
    assert all(smaller < larger for smaller, larger in pairwise(roles))


def test_who_is_no_longer_employed_may_nothing(cast: Cast) -> None:
    assert may(cast.ester, "incident:write")
    cast.ester.is_active = False
    assert not may(cast.ester, "console:read")
    assert not may(None, "console:read")


def test_a_part_that_a_signed_out_page_asks_for_sends_the_whole_page_to_sign_in(client: Client, cast: Cast) -> None:
    answer = client.get("/console/now/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Redirect"]) == (401, "/accounts/login/")


def test_an_unknown_incident_is_a_page_that_says_so(agent: Client) -> None:
    answer = agent.get("/console/incidents/01890a5d-ac96-774b-bcce-b302099a8057/")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


def test_a_page_that_fails_says_so_in_the_readers_language_without_the_fault(
    agent: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_kwargs: object) -> None:
        raise ValueError("the secret detail")

    monkeypatch.setattr("beforehand.console.incidents.incidents_page", broken)
    agent.raise_request_exception = False
    answer = agent.get("/console/incidents/")
    assert answer.status_code == 500
    assert "That did not work" in answer.content.decode()
    assert "secret" not in answer.content.decode()


def test_people_sign_in_and_out_on_pages_of_our_own(cast: Cast, client: Client) -> None:
    page = client.get("/accounts/login/?next=/console/customers/").content.decode()
    assert "Beforehand" in page
    assert "data-theme-toggle" in page
    answer = client.post(
        "/accounts/login/", {"login": cast.ester.email, "password": PASSWORD, "next": "/console/customers/"}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/console/customers/")
    assert "Sign out?" in client.get("/accounts/logout/").content.decode()
    client.post("/accounts/logout/")
    assert client.get("/console/").status_code == 302


def test_a_wrong_password_says_so_and_opens_nothing(cast: Cast, client: Client) -> None:
    page = client.post("/accounts/login/", {"login": cast.ester.email, "password": "wrong"}).content.decode()
    assert 'role="alert"' in page or "field-error" in page
    assert client.get("/console/").status_code == 302


def test_nobody_makes_an_account_for_themselves(client: Client) -> None:
    answer = client.post("/accounts/signup/", {"email": "zeno@x.example", "password1": PASSWORD, "password2": PASSWORD})
    assert not User.objects.filter(email="zeno@x.example").exists()
    assert answer.status_code == 200


def test_an_administrator_may_all(signed_in: Callable[[User], Client]) -> None:
    admin = create_user(email="a@company.example", name="A", role=Role.ADMIN, password=PASSWORD, actor="test")
    assert signed_in(admin).get("/console/incidents/open/").status_code == 200
