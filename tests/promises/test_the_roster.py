"""The roster: planned over the API or by a calendar file, entry by entry; who is on duty; where nobody is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.api.callers import Caller, problem
from tests.cast import Cast, make_cast

from beforehand.accounts.actions import SCOPES, create_token
from beforehand.accounts.ics import NotACalendar, read_shifts
from beforehand.accounts.models import Shift
from beforehand.accounts.rosters import answering_rosters
from beforehand.accounts.shifts import put_absence, save_roles
from beforehand.api.access import forget_tokens
from beforehand.engine.roster import DutyReason
from beforehand.kit.clock import travel
from beforehand.kit.rows import fetch

pytestmark = [pytest.mark.django_db, pytest.mark.database]
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
TEAM = "/api/v1/teams/network-operations"


@pytest.fixture
def cast() -> Cast:
    cast = make_cast()
    save_roles(cast.team, [("duty-manager", "Duty manager")], actor="test")
    return cast


@pytest.fixture
def caller(cast: Cast) -> Caller:
    forget_tokens()
    return Caller(create_token(name="planner", scopes=SCOPES, actor="test")[1])


def row(name: str, person: str, starts: str, ends: str, **more: Any) -> dict[str, Any]:
    return {"external_id": name, "person": f"{person}@company.example", "starts": starts, "ends": ends, **more}


def test_a_plan_is_written_row_by_row_and_what_cannot_be_is_named(cast: Cast, caller: Caller) -> None:
    rows = [
        row("a", "ester", "2026-11-23T06:00:00", "2026-11-23T14:00:00"),
        row("b", "farid", "2026-11-23T14:00:00", "2026-11-23T06:00:00"),
        row("c", "zeno", "2026-11-23T14:00:00", "2026-11-23T22:00:00"),
        row("d", "farid", "2026-11-23T14:00:00", "2026-11-23T22:00:00", role="cook"),
        row("a", "farid", "2026-11-24T06:00:00", "2026-11-24T14:00:00"),
        row("e", "farid", "2026-11-23T06:00:00", "2026-11-23T14:00:00", place=2),
    ]
    answer = caller.post(f"{TEAM}/shifts", {"rows": rows}).json()
    assert (answer["created"], answer["refused"]) == (2, 4)
    assert [(fault["row"], fault["pointer"], fault["code"]) for fault in answer["problems"]] == [
        (1, "/rows/1/ends", "backwards"),
        (2, "/rows/2/person", "unknown_person"),
        (3, "/rows/3/role", "unknown_role"),
        (4, "/rows/4/external_id", "twice"),
    ]
    assert Shift.objects.get(external_id="a").starts_at == datetime(2026, 11, 23, 5, 0, tzinfo=UTC)  # Amsterdam's wall
    again = caller.post(f"{TEAM}/shifts", {"rows": [rows[0], rows[5]]}).json()
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, 2)
    changed = caller.post(f"{TEAM}/shifts", {"rows": [{**rows[0], "person": "noor@company.example"}]}).json()
    assert (changed["created"], changed["updated"]) == (0, 1)
    listed = caller.get(f"{TEAM}/shifts").json()["items"]
    assert {(one["external_id"], one["person"], one["place"]) for one in listed} == {
        ("a", "noor@company.example", 1),
        ("e", "farid@company.example", 2),
    }
    assert caller.delete(f"{TEAM}/shifts/a").status_code == 204
    problem(caller.delete(f"{TEAM}/shifts/a"), 404)
    kinds = [one[0] for one in fetch("SELECT type FROM events_event WHERE type LIKE 'roster.shifts%%' ORDER BY id")]
    assert kinds == ["roster.shifts_put", "roster.shifts_put", "roster.shifts_removed"]


def test_who_is_on_duty_and_the_gaps_of_two_weeks_are_told(cast: Cast, caller: Caller) -> None:
    with travel(START):
        whole = row("a", "ester", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z")
        rest = row("b", "farid", "2026-11-30T02:00:00Z", "2026-12-10T00:00:00Z")
        caller.post(f"{TEAM}/shifts", {"rows": [whole, rest, {**whole, "external_id": "c", "place": 2,
                                                              "person": "farid@company.example"}]})  # fmt: skip
        (role,) = caller.get(f"{TEAM}/duty").json()["roles"]
    assert (role["on_duty"], role["deputy"]) == ("ester@company.example", "farid@company.example")
    assert role["gaps"] == [
        {"starts_at": "2026-11-30T00:00:00+00:00", "ends_at": "2026-11-30T02:00:00+00:00", "reason": "no shift"}
    ]


def test_somebody_who_is_away_has_no_duty(cast: Cast, caller: Caller) -> None:
    with travel(START):
        caller.post(f"{TEAM}/shifts", {"rows": [row("a", "ester", "2026-11-23T06:00:00", "2026-11-23T18:00:00")]})
        absence = {"person": "ester@company.example", "starts": "2026-11-23T09:00:00", "ends": "2026-11-23T20:00:00"}
        made = caller.put(f"{TEAM}/absences", absence).json()
        assert caller.get(f"{TEAM}/duty").json()["roles"][0]["reason"] == "all away"
        assert [one["id"] for one in caller.get(f"{TEAM}/absences").json()] == [made["id"]]
        refused = problem(caller.put(f"{TEAM}/absences", {**absence, "ends": "2026-11-22T20:00:00"}), 422)
        assert refused["errors"][0]["code"] == "backwards"
        assert caller.delete(f"{TEAM}/absences/{made['id']}").status_code == 204
        assert caller.get(f"{TEAM}/duty").json()["roles"][0]["on_duty"] == "ester@company.example"


def test_the_team_says_its_zone_its_roles_and_its_supervisor(cast: Cast, caller: Caller) -> None:
    duty = {
        "time_zone": "Asia/Kolkata",
        "supervisor": "noor@company.example",
        "members": ["ester@company.example"],
        "roles": [{"slug": "night-watch", "name": "Night watch"}],
    }
    answer = caller.put(f"{TEAM}/duty", duty).json()
    assert (answer["time_zone"], answer["supervisor"], answer["members"]) == (
        "Asia/Kolkata",
        "noor@company.example",
        ["ester@company.example"],
    )
    assert [role["slug"] for role in answer["roles"]] == ["night-watch"]
    assert problem(caller.put(f"{TEAM}/duty", {**duty, "time_zone": "Mars/Base"}), 422)["errors"][0]["pointer"] == (
        "/time_zone"
    )
    problem(caller.put(f"{TEAM}/duty", {**duty, "supervisor": "zeno@company.example"}), 422)


def test_only_who_may_plan_plans(cast: Cast) -> None:
    forget_tokens()
    reader = Caller(create_token(name="reader", scopes=["roster:read"], actor="test")[1])
    assert reader.get(f"{TEAM}/duty").status_code == 200
    problem(reader.post(f"{TEAM}/shifts", {"rows": [row("a", "ester", "2026-11-23", "2026-11-24")]}), 403)


def test_on_the_night_the_clocks_go_back_the_duty_lasts_an_hour_longer(cast: Cast, caller: Caller) -> None:
    caller.post(
        f"{TEAM}/shifts",
        {
            "rows": [
                row("night", "ester", "2026-10-24T22:00:00", "2026-10-25T06:00:00"),
                row("day", "farid", "2026-10-25T06:00:00", "2026-10-25T14:00:00"),
            ]
        },
    )
    night = Shift.objects.get(external_id="night")
    assert night.ends_at - night.starts_at == timedelta(hours=9)
    roster = answering_rosters([cast.team.pk], since=night.starts_at, until=night.ends_at + timedelta(hours=8))[
        cast.team.pk
    ]
    for hour in range(17):
        duty = roster.duty_at(night.starts_at + timedelta(hours=hour))
        assert duty.person == (cast.ester.pk if hour < 9 else cast.farid.pk)


CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:planner
BEGIN:VEVENT
UID:early
SUMMARY:Early
DTSTART;TZID=Europe/Amsterdam:20261123T060000
DTEND;TZID=Europe/Amsterdam:20261123T140000
ATTENDEE;CN=Ester:mailto:Ester@company.example
END:VEVENT
BEGIN:VEVENT
UID:late
SUMMARY:Late
DTSTART:20261123T140000
DURATION:PT8H
ATTENDEE:mailto:farid@company.example
CATEGORIES:duty-manager,deputy
END:VEVENT
BEGIN:VEVENT
UID:nobody
SUMMARY:A free shift
DTSTART:20261124T060000
DTEND:20261124T140000
END:VEVENT
BEGIN:VEVENT
UID:stranger
SUMMARY:Zeno's shift
DTSTART:20261124T060000
DTEND:20261124T140000
ATTENDEE:mailto:zeno@company.example
END:VEVENT
BEGIN:VEVENT
UID:weekly
SUMMARY:Every week
DTSTART:20261125T060000
DTEND:20261125T140000
RRULE:FREQ=WEEKLY
ATTENDEE:mailto:ester@company.example
END:VEVENT
BEGIN:VEVENT
UID:timeless
SUMMARY:Some day
ATTENDEE:mailto:ester@company.example
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


def test_a_planners_calendar_is_read_and_each_entry_that_cannot_be_is_named() -> None:
    found = read_shifts(CALENDAR.encode())
    assert [(one.external_id, one.person, one.role, one.place) for one in found.given] == [
        ("early", "ester@company.example", "", 1),
        ("late", "farid@company.example", "duty-manager", 2),
        ("stranger", "zeno@company.example", "", 1),
    ]
    assert [(one.row, one.name, one.reason.value) for one in found.problems] == [
        (3, "A free shift", "no_person"),
        (5, "Every week", "repeats"),
        (6, "Some day", "no_time"),
    ]


@pytest.mark.parametrize("body", [b"", b"person;from;until", b"\xff\xfe\x00", b"BEGIN:VCALENDAR\r\nnonsense"])
def test_what_is_no_calendar_is_refused_whole(body: bytes) -> None:
    with pytest.raises(NotACalendar):
        read_shifts(body)


def test_a_team_without_shifts_has_nobody_on_duty(cast: Cast) -> None:
    put_absence(cast.ester, starts=START, ends=START + timedelta(hours=1), zone="UTC", actor="test")
    roster = answering_rosters([cast.team.pk], since=START, until=START + timedelta(days=1))[cast.team.pk]
    assert roster.duty_at(START).reason is DutyReason.NO_SHIFT
