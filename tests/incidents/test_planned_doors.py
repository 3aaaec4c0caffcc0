"""The doors to planned work: the API, the console's pages, and calendars, out and in."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from icalendar import Calendar

from beforehand.accounts.actions import create_token
from beforehand.accounts.ics import NotACalendar
from beforehand.incidents.actions import refresh_wanted
from beforehand.incidents.models import Incident, PlannedWork
from beforehand.incidents.planned import plan_work
from beforehand.incidents.planned_calendar import EntryResult, read_planned
from beforehand.kit.clock import travel
from tests.api.callers import Caller
from tests.cast import Cast, make_cast

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
START = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
WINDOW = {"starts_at": START.isoformat(), "ends_at": (START + timedelta(hours=3)).isoformat()}


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with travel(NOW):
        yield


@pytest.fixture
def cast() -> Cast:
    return make_cast()


@pytest.fixture
def client(cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.ester)
    client.cookies["zone"] = "Europe/Amsterdam"
    return client


def plan(cast: Cast) -> PlannedWork:
    work = plan_work(
        title="Fibre work",
        starts_at=START,
        ends_at=START + timedelta(hours=3),
        component_ids=[cast.node.pk],
        actor="test",
    )
    refresh_wanted()
    return work


def test_work_is_planned_moved_begun_and_finished_over_the_api(cast: Cast) -> None:
    api = Caller(create_token(name="some", scopes=("incidents:read", "incidents:write"), actor="test")[1])
    given = {"title": "Fibre work", "components": ["node-7"], **WINDOW}
    made = api.post("/api/v1/planned-work", given)
    assert made.status_code == 201, made.content
    address = f"/api/v1/planned-work/{made.json()['id']}"
    assert (made.json()["phase"], made.json()["kind"], made.json()["starts_at"][:16]) == (
        "planned",
        "planned",
        "2026-11-24T01:00",
    )
    later = {"starts_at": "2026-11-25T01:00:00Z", "ends_at": "2026-11-25T02:00:00Z"}
    assert api.post(f"{address}/move", later).json()["moves"] == 1
    refused = api.post(f"{address}/finish")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_started")
    assert api.post(f"{address}/start").json()["phase"] == "started"
    assert api.post(f"{address}/move", {**later, "starts_at": "2026-11-26T01:00:00Z"}).json()["code"] == "has_started"
    done = api.post(f"{address}/finish").json()
    assert (done["phase"], done["state"], done["end_reason"]) == ("finished", "resolved", "finished_early")
    assert api.post(f"{address}/cancel").json()["code"] == "not_open"
    assert [one["id"] for one in api.get("/api/v1/planned-work?phase=finished").json()["items"]] == [made.json()["id"]]
    past = api.post(
        "/api/v1/planned-work", {**given, "starts_at": "2026-11-01T00:00:00Z", "ends_at": "2026-11-01T01:00:00Z"}
    )
    assert (past.status_code, past.json()["code"]) == (422, "is_past")
    assert api.post("/api/v1/planned-work", {**given, "components": []}).json()["code"] == "touches_nobody"


def test_a_person_plans_after_seeing_the_count_moves_and_finishes(cast: Cast, client: Client) -> None:
    typed = {"title": "Fibre work", "starts_at": "2026-11-24T02:00", "ends_at": "2026-11-24T05:00", "severity": "minor",
             "component": str(cast.node.pk), "is_public": "on", "title_en": "Work on the fibre"}  # fmt: skip
    asked = client.post("/console/planned/plan/", typed).content.decode()
    assert "Plan “Fibre work”?" in asked
    assert "<strong>4</strong>" in asked
    assert not PlannedWork.objects.exists()
    backwards = client.post("/console/planned/plan/", {**typed, "ends_at": "2026-11-24T01:00"}).content.decode()
    assert "cannot end before" in backwards
    for _press in range(2):
        pressed = client.post("/console/planned/plan/", {**typed, "confirmed": "yes", "count_seen": "4"})
        assert pressed.status_code == 302
    work = PlannedWork.objects.get()
    assert work.starts_at == START  # Ester's clock is an hour ahead
    assert work.incident.texts == {"en": {"title": "Work on the fibre"}}
    assert "Fibre work" in client.get("/console/planned/").content.decode()
    room = client.get(f"/console/incidents/{work.incident.public_id}/").content.decode()
    assert 'id="window"' in room
    address = f"/console/planned/{work.incident.public_id}/"
    moved = client.post(f"{address}move/", {"starts_at": "2026-11-25T02:00", "ends_at": "2026-11-25T05:00"})
    assert moved.status_code == 302
    work.refresh_from_db()
    assert work.starts_at == START + timedelta(days=1)
    count = Incident.objects.get().affected_count
    assert "begin now?" in client.post(f"{address}start/").content.decode()
    for how in ("start", "finish"):
        client.post(f"{address}{how}/", {"confirmed": "yes", "count_seen": str(count)})
    work.refresh_from_db()
    assert work.phase == "finished"
    assert "cannot" not in client.get(f"/console/incidents/{work.incident.public_id}/").content.decode()


def test_the_calendar_of_planned_work_is_read_by_its_signed_link_and_by_nobody_else(cast: Cast, client: Client) -> None:
    work = plan(cast)
    page = client.get("/console/planned/").content.decode()
    found = re.search(r"(/console/planned/feed/[^<\s]+\.ics)", page)
    assert found
    answer = Client().get(found[1])
    (event,) = Calendar.from_ical(answer.content).walk("VEVENT")
    assert (str(event["summary"]), event.decoded("dtstart")) == ("Fibre work", START)
    assert str(event["uid"]) == f"planned-{work.incident.public_id}@beforehand"
    assert Client().get(found[1].replace(".ics", "x.ics")).status_code == 404


ENTRY = """BEGIN:VEVENT
UID:{uid}
SUMMARY:{title}
DTSTART:{start}
DTEND:{end}
{more}END:VEVENT
"""


def file(*entries: str) -> bytes:
    return (
        ("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//planner//EN\n" + "".join(entries) + "END:VCALENDAR\n")
        .replace("\n", "\r\n")
        .encode()
    )


def entry(
    uid: str = "w1", *, start: str = "20261124T020000", end: str = "20261124T050000", more: str = "LOCATION:node-7\n"
) -> str:
    return ENTRY.format(uid=uid, title="Fibre work", start=start, end=end, more=more)


def results(body: bytes) -> list[EntryResult]:
    return [one.result for one in read_planned(body, zone="Europe/Amsterdam", actor="test")]


def test_a_planners_file_plans_moves_and_calls_off(cast: Cast) -> None:
    assert results(file(entry())) == [EntryResult.PLANNED]
    work = PlannedWork.objects.get()
    assert (work.starts_at, work.external_id) == (START, "w1")
    assert results(file(entry())) == [EntryResult.UNCHANGED]
    assert results(file(entry(start="20261125T010000Z", end="20261125T040000Z"))) == [EntryResult.MOVED]
    work.refresh_from_db()
    assert work.starts_at == START + timedelta(days=1)
    assert results(file(entry(more="STATUS:CANCELLED\n"))) == [EntryResult.CALLED_OFF]
    assert results(file(entry(more="STATUS:CANCELLED\n"))) == [EntryResult.UNCHANGED]
    assert results(file(entry())) == [EntryResult.NOT_OPEN]


def test_one_entry_that_cannot_be_stops_no_other_and_says_why(cast: Cast) -> None:
    body = file(
        entry("a", more="LOCATION:nowhere\n"),
        entry("b", more="RRULE:FREQ=DAILY\nLOCATION:node-7\n"),
        entry("c", start="20261001T020000", end="20261001T030000"),
        entry("d", end="20261124T010000"),
        entry("e", more="CATEGORIES:node-7,node-8\n"),
        entry("", more=""),
    )
    assert results(body) == [
        EntryResult.UNKNOWN_COMPONENT,
        EntryResult.REPEATS,
        EntryResult.IS_PAST,
        EntryResult.ENDS_BEFORE,
        EntryResult.PLANNED,
        EntryResult.NO_NAME,
    ]
    assert PlannedWork.objects.get().incident.scopes.count() == 2
    with pytest.raises(NotACalendar):
        results(b"no calendar at all")


def test_a_file_that_came_from_us_moves_what_it_came_from(cast: Cast) -> None:
    work = plan(cast)
    own = f"planned-{work.incident.public_id}@beforehand"
    assert results(file(entry(own, start="20261126T010000Z", end="20261126T020000Z"))) == [EntryResult.MOVED]
    assert PlannedWork.objects.count() == 1


def test_a_name_that_only_looks_like_ours_is_the_planners_own(cast: Cast) -> None:
    foreign = "planned-" + "x" * 36
    assert results(file(entry(foreign), entry(f"{foreign}@beforehand"))) == [EntryResult.PLANNED] * 2


def test_the_page_reads_a_file_and_shows_what_became_of_each_entry(cast: Cast, client: Client) -> None:
    upload = SimpleUploadedFile("plan.ics", file(entry(), entry("x", more="LOCATION:nowhere\n")), "text/calendar")
    page = client.post("/console/planned/upload/", {"file": upload}).content.decode()
    assert "names no network part" in page
    assert PlannedWork.objects.count() == 1
    upload = SimpleUploadedFile("plan.ics", b"nonsense", "text/calendar")
    assert "no calendar file" in client.post("/console/planned/upload/", {"file": upload}).content.decode()


def test_customers_see_it_coming_once_it_is_announced_and_not_before(cast: Cast) -> None:
    work = plan(cast)
    assert "Fibre work" not in Client().get("/").content.decode()
    PlannedWork.objects.filter(pk=work.pk).update(announced_at=NOW)
    page = Client().get("/").content.decode()
    assert "Fibre work" in page or "planned work" in page
    assert "Planned for" in page
