"""The calendar, what is yours on Today, and the outcomes that a person promises in the incident's room."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from beforehand.accounts.ics import read_shifts
from beforehand.accounts.models import DutyRole, Shift, User
from beforehand.accounts.shifts import ShiftGiven, put_shifts, save_roles
from beforehand.console.calendar import FEED, feed_address
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.kit.signing import sign
from beforehand.promises.models import Promise
from beforehand.promises.watch import watch_promises
from tests.cast import Cast
from tests.console.conftest import at, room
from tests.promises.test_the_roster import CALENDAR

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def plan(cast: Cast, *, hours: float = 14 * 24) -> None:
    save_roles(cast.team, [("duty-manager", "Duty manager")], actor="test")
    put_shifts(
        cast.team,
        [ShiftGiven("e", "ester@company.example", at(-600), at(60 * hours))],
        actor="test",
    )


def page(client: Client, path: str, minutes: float) -> str:
    with travel(at(minutes)):
        answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_calendar_shows_who_is_on_duty_and_marks_the_gap(cast: Cast, agent: Client) -> None:
    assert "No team keeps a roster yet" in page(agent, "/console/calendar/", 0)
    plan(cast, hours=40)
    shown = page(agent, "/console/calendar/", 0)
    assert "nobody is on duty at 1 time" in shown
    assert shown.count("Ester") >= 3  # now, and on each of two days
    assert "nobody" in shown
    assert "Read shifts from a file" not in shown  # an agent does not plan


def test_a_promise_whose_time_falls_into_a_gap_is_a_trouble_until_somebody_is_planned(
    cast: Cast, outage: Incident, agent: Client
) -> None:
    plan(cast, hours=0.5)
    for path in ("/console/", "/console/calendar/"):
        assert "A promise lacks its next owner" in page(agent, path, 4)
    put_shifts(cast.team, [ShiftGiven("f", "farid@company.example", at(30), at(900))], actor="test")
    for path in ("/console/", "/console/calendar/"):
        assert "A promise lacks its next owner" not in page(agent, path, 4)


def test_a_warned_promise_is_yours_on_today_and_one_press_takes_it(
    cast: Cast, outage: Incident, agent: Client, signed_in: Callable[[User], Client]
) -> None:
    plan(cast)
    promise = Promise.objects.get()
    with travel(promise.warn_at):
        watch_promises(now=promise.warn_at)
        assert "I have it" in agent.get("/console/").content.decode()
        other = signed_in(cast.farid)
        assert "I have it" not in other.get("/console/").content.decode()
        take = reverse("console:promise-take", args=[promise.public_id])
        assert agent.post(take, {"back": "/console/calendar/"})["Location"] == "/console/calendar/"
        assert agent.post(take, {"back": "https://elsewhere.example/"})["Location"] == "/console/"
        told = other.post(take, follow=True).content.decode()
    assert "Ester was quicker and has it." in told
    promise.refresh_from_db()
    assert promise.assignee == cast.ester


def test_an_outcome_is_promised_moved_and_settled_in_the_room(outage: Incident, agent: Client) -> None:
    agent.cookies["zone"] = "Europe/Amsterdam"
    make = reverse("console:outcome-make", args=[outage.public_id])
    with travel(at(4)):
        refused = agent.post(make, {"outcome": "restored", "due_at": "2026-11-23T10:00"}).content.decode()
        assert "That time has passed." in refused
        assert agent.post(make, {"outcome": "restored", "due_at": "2026-11-23T16:00"}).status_code == 302
        again = agent.post(make, {"outcome": "restored", "due_at": "2026-11-23T17:00"}).content.decode()
        assert "promised already" in again
    first = Promise.objects.get(kind="outcome")
    assert first.due_at == datetime(2026, 11, 23, 15, 0, tzinfo=UTC)  # the reader's clock is Amsterdam's
    move = reverse("console:outcome-move", args=[outage.public_id, first.public_id])
    with travel(at(5)):
        assert agent.post(move, {"due_at": "2026-11-23T18:00"}).status_code == 302
        shown = agent.get(room(outage)).content.decode()
        assert "moved from 16:00" in shown
        second = Promise.objects.get(kind="outcome", state="open")
        agent.post(reverse("console:outcome-done", args=[outage.public_id, second.public_id]))
        late = agent.post(
            reverse("console:outcome-done", args=[outage.public_id, second.public_id]), follow=True
        ).content.decode()
    assert "not open any more" in late
    assert [one.state for one in Promise.objects.filter(kind="outcome").order_by("pk")] == ["moved", "kept_early"]


def test_a_planners_file_is_read_and_each_entry_that_cannot_be_is_named(cast: Cast, supervisor: Client) -> None:
    save_roles(cast.team, [("duty-manager", "Duty manager")], actor="test")

    def read(body: bytes) -> str:
        file = SimpleUploadedFile("shifts.ics", body, content_type="text/calendar")
        answer = supervisor.post("/console/calendar/shifts/", {"team": cast.team.pk, "file": file})
        return answer.content.decode()

    shown = read(CALENDAR.encode())
    assert "New: 2." in shown
    for name, entry, words in (
        ("A free shift", 3, "it names no person"),
        ("stranger", 4, "nobody with this e-mail address"),
        ("Every week", 5, "it repeats"),
        ("Some day", 6, "no readable beginning"),
    ):
        assert name in shown
        assert f"entry {entry}" in shown
        assert words in shown
    assert "As before: 2." in read(CALENDAR.encode())
    called_off = CALENDAR.replace("UID:early", "UID:early\r\nSTATUS:CANCELLED")
    assert "Called off: 1." in read(called_off.encode())
    assert list(Shift.objects.values_list("external_id", flat=True)) == ["late"]
    assert "This is no calendar file" in read(b"who;when")


def test_a_shift_swapped_by_hand_stays_so_until_the_planner_says_something_new_of_it(
    cast: Cast, supervisor: Client
) -> None:
    save_roles(cast.team, [("duty-manager", "Duty manager"), ("driver", "Driver")], actor="test")

    def read(body: str) -> str:
        file = SimpleUploadedFile("shifts.ics", body.encode(), content_type="text/calendar")
        answer = supervisor.post("/console/calendar/shifts/", {"team": cast.team.pk, "file": file})
        return answer.content.decode()

    def early() -> Shift:
        return Shift.objects.get(external_id="early")

    def swap(person: User, role: str) -> None:
        supervisor.post(
            reverse("console:shift", args=[early().public_id]),
            {
                "person": person.pk,
                "role": DutyRole.objects.get(slug=role).pk,
                "place": 1,
                "starts": "2026-11-23T06:00",
                "ends": "2026-11-23T14:00",
            },
        )

    read(CALENDAR)
    swap(cast.farid, "duty-manager")
    shown = read(CALENDAR)
    assert "1 shift was changed or taken out by hand" in shown
    assert early().person == cast.farid
    swap(cast.farid, "driver")
    assert "1 shift was changed or taken out by hand" in read(CALENDAR)
    assert (early().person, early().role.slug) == (cast.farid, "driver")
    longer = CALENDAR.replace("20261123T140000\r\nATTENDEE;CN=Ester", "20261123T150000\r\nATTENDEE;CN=Ester")
    assert "by hand" not in read(longer)
    assert (early().person, early().role.slug) == (cast.ester, "duty-manager")
    swap(cast.ester, "duty-manager")
    swap(cast.farid, "duty-manager")
    assert "by hand" not in read(CALENDAR)  # the plan was the longer shift, so the shorter one is news
    assert early().person == cast.ester


def test_a_shift_taken_out_by_hand_stays_out_until_the_planner_says_something_new_of_it(
    cast: Cast, supervisor: Client
) -> None:
    save_roles(cast.team, [("duty-manager", "Duty manager"), ("driver", "Driver")], actor="test")

    def read(body: str) -> str:
        file = SimpleUploadedFile("shifts.ics", body.encode(), content_type="text/calendar")
        return supervisor.post("/console/calendar/shifts/", {"team": cast.team.pk, "file": file}).content.decode()

    def take_out() -> None:
        shift = Shift.objects.get(external_id="early")
        supervisor.post(reverse("console:shift-remove", args=[shift.public_id]))

    read(CALENDAR)
    take_out()
    assert "1 shift was changed or taken out by hand" in read(CALENDAR)
    assert "1 shift was changed or taken out by hand" in read(CALENDAR)
    assert not Shift.objects.filter(external_id="early").exists()
    longer = CALENDAR.replace("20261123T140000\r\nATTENDEE;CN=Ester", "20261123T150000\r\nATTENDEE;CN=Ester")
    assert "by hand" not in read(longer)
    take_out()
    assert "by hand" not in read(CALENDAR)  # the plan was the longer shift, so the shorter one is news
    assert Shift.objects.get(external_id="early").person == cast.ester


def test_a_calendar_program_reads_duty_and_promises_by_its_own_link(
    cast: Cast, outage: Incident, client: Client
) -> None:
    plan(cast)
    with travel(at(4)):
        address = feed_address(cast.ester, now=at(4))
        path = address[address.index("/console/") :]
        answer = client.get(path)
        assert answer["Content-Type"].startswith("text/calendar")
        body = answer.content.decode()
        assert "Network operations · Duty manager: Ester" in body.replace("\r\n ", "")
        assert body.count("BEGIN:VEVENT") == 4  # before, during and after: nobody, Ester, the promise
        read_shifts(answer.content)  # what we write is a calendar
        assert client.get(path.replace(".ics", "x.ics")).status_code == 404
        stranger = sign("unsubscribe", str(cast.ester.pk), until=at(900))
        assert client.get(reverse("console:calendar-feed", args=[stranger])).status_code == 404
    with travel(at(4) + timedelta(days=366)):
        assert client.get(path).status_code == 404
    User.objects.filter(pk=cast.ester.pk).update(is_active=False)
    with travel(at(4)):
        assert client.get(path).status_code == 404  # who is no longer employed reads nothing
        assert client.get(reverse("console:calendar-feed", args=[sign(FEED, "x", until=at(900))])).status_code == 404
