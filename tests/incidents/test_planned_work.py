"""Planned work, from the plan to the end: each told, and its alerts held back while the window lasts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from beforehand.detection.models import Alert, Mute
from beforehand.incidents import planned
from beforehand.incidents.actions import (
    IncidentError,
    narrow_scope,
    refresh_wanted,
    reopen_incident,
    resolve_incident,
    widen_scope,
)
from beforehand.incidents.models import Incident, PlannedWork
from beforehand.incidents.planned import cancel_work, finish_work, move_work, plan_work, start_work
from beforehand.kit import clock
from beforehand.kit.clock import travel
from beforehand.playbooks.queries import left_hanging
from beforehand.promises.models import Promise
from tests.cast import Cast, make_cast
from tests.driving import Drive, alert, approve_shipped, driving, outage_rule, post_webhook
from tests.mailbox import Mailbox, text_of

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
START = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
END = START + timedelta(hours=3)
DANA = "dana@customers.example"


@pytest.fixture
def drive(cast: Cast) -> Iterator[Drive]:
    with driving() as drive:
        yield drive


@pytest.fixture
def box(drive: Drive) -> Mailbox:
    return drive.mailbox


@pytest.fixture
def cast() -> Cast:
    cast = make_cast()
    approve_shipped()
    outage_rule()
    return cast


def plan(cast: Cast, **changes: Any) -> PlannedWork:
    return plan_work(
        **{
            "title": "Fibre work in Groningen",
            "starts_at": START,
            "ends_at": END,
            "component_ids": [cast.node.pk],
            "texts": {"en": {"title": "Fibre work"}, "nl": {"title": "Werk aan de glasvezel"}},
            "actor": "test",
            **changes,
        }
    )


def at(moment: datetime, drive: Drive) -> None:
    """Everything that is due at this moment happens."""
    with travel(moment):
        drive.settle()


def subjects(box: Mailbox) -> list[str]:
    return [str(mail["Subject"]) for mail in box.mails_to(DANA)]


def test_it_is_announced_reminded_started_and_finished_each_told_once(cast: Cast, drive: Drive, box: Mailbox) -> None:
    with travel(NOW):
        work = plan(cast)
        drive.settle()
        assert [one["Subject"].split(":")[0] for one in box.mails_to(DANA)] == ["Fibre work"]
        assert "Werk aan de glasvezel" in str(box.mails_to("bram@customers.example")[0]["Subject"])
        announced = text_of(box.mails_to(DANA)[0])
        assert "We are going to work on our network" in announced
        assert "24 November" in announced
        assert left_hanging(now=NOW) == []
    at(START - timedelta(hours=24), drive)
    assert "reminder" in subjects(box)[-1]
    at(START, drive)
    assert "has begun" in subjects(box)[-1]
    at(START + timedelta(hours=2), drive)
    assert "goes on" in subjects(box)[-1]
    with travel(END):
        assert finish_work(work, actor="test") == "finished"
        drive.settle()
    assert len(subjects(box)) == 5
    assert subjects(box)[-1] == "Fibre work: it is done"
    work.refresh_from_db()
    assert work.phase == PlannedWork.Phase.FINISHED
    incident = Incident.objects.get()
    assert (incident.began_at, incident.ended_at, incident.state) == (START, END, "resolved")
    assert set(Promise.objects.values_list("state", flat=True)) <= {"kept", "ended"}
    assert len(box.mails_to("elif@customers.example")) == 0


def test_it_is_moved_and_reminded_anew_and_called_off(cast: Cast, drive: Drive, box: Mailbox) -> None:
    with travel(NOW):
        work = plan(cast)
        drive.settle()
    later = START + timedelta(days=2)
    with travel(START - timedelta(hours=24)):
        drive.settle()
        assert move_work(work, starts_at=later, ends_at=later + timedelta(hours=1), actor="test")
        assert not move_work(work, starts_at=later, ends_at=later + timedelta(hours=1), actor="test")
        drive.settle()
    moved = text_of(box.mails_to(DANA)[-1])
    assert "is moved" in moved
    assert "Was planned for: Tuesday 24 November" in moved or "24 November" in moved
    at(later - timedelta(hours=24), drive)
    assert "reminder" in subjects(box)[-1]
    with travel(later - timedelta(hours=2)):
        cancel_work(work, actor="test")
        drive.settle()
    assert subjects(box)[-1] == "Fibre work: it does not take place"
    assert not Mute.objects.filter(ends_at__gt=later).exists()
    with pytest.raises(IncidentError, match="planned_is_over"):
        reopen_incident(Incident.objects.get(), actor="test")


def test_late_work_says_so_every_hour_and_its_end_says_it_was_late(cast: Cast, drive: Drive, box: Mailbox) -> None:
    with travel(NOW):
        work = plan(cast)
        drive.settle()
    for moment in (START - timedelta(hours=24), START, START + timedelta(hours=2), END, END + timedelta(hours=1)):
        at(moment, drive)
    assert ["takes longer" in one for one in subjects(box)] == [False, False, False, False, True, True]
    with travel(END + timedelta(minutes=90)):
        assert finish_work(work, actor="test") == "finished_late"
        drive.settle()
    assert "later than planned" in text_of(box.mails_to(DANA)[-1])


def test_work_that_begins_and_ends_early_says_so(cast: Cast, drive: Drive, box: Mailbox) -> None:
    with travel(NOW):
        work = plan(cast)
        drive.settle()
    early = START - timedelta(hours=30)
    with travel(early):
        with pytest.raises(IncidentError, match="not_started"):
            finish_work(work, actor="test")
        assert start_work(work, actor="test")
        drive.settle()
        assert not start_work(work, actor="test")
    assert "has begun" in subjects(box)[-1]
    with travel(early + timedelta(hours=1)):
        assert finish_work(work, actor="test") == "finished_early"
        drive.settle()
    assert "earlier than planned" in text_of(box.mails_to(DANA)[-1])
    assert Incident.objects.get().began_at == early


def test_alerts_in_the_window_open_nothing_and_what_still_fires_afterwards_does(
    cast: Cast, drive: Drive, box: Mailbox
) -> None:
    with travel(NOW):
        work = plan(cast)
        drive.settle()
    at(START, drive)
    with travel(START + timedelta(minutes=10)):
        post_webhook([alert(starts_at=clock.now(), ends_at=END + timedelta(days=1))])
        drive.settle()
        assert Incident.objects.count() == 1
        assert Alert.objects.get().is_held
    with travel(START + timedelta(hours=1)):
        resolve_incident(Incident.objects.get(), reason="resolved", actor="test")
        drive.settle()
        drive.settle()
        work.refresh_from_db()
        assert work.phase == PlannedWork.Phase.FINISHED
        fault = Incident.objects.exclude(kind="planned").get()
        assert fault.state == "open"


def test_alerts_are_held_back_of_what_the_work_is_on_now_and_of_nothing_else(cast: Cast, drive: Drive) -> None:
    with travel(NOW):
        work = plan(cast)
        widen_scope(work.incident, component_ids=[cast.other_node.pk], actor="test")
        drive.settle()
    at(START, drive)
    with travel(START + timedelta(minutes=10)):
        post_webhook([alert(starts_at=clock.now(), node="node-8", ends_at=END + timedelta(days=1))])
        drive.settle()
        assert Alert.objects.get().is_held
        assert not Incident.objects.exclude(kind="planned").exists()
    with travel(START + timedelta(minutes=20)):
        narrow_scope(work.incident.scopes.get(component=cast.other_node), reason="mistaken", actor="test")
        drive.settle()
        assert Incident.objects.exclude(kind="planned").get().state == "open"
        assert Mute.objects.filter(ends_at__gt=clock.now()).get().component == cast.node


def test_an_outage_before_the_window_is_an_incident_of_its_own(cast: Cast, drive: Drive, box: Mailbox) -> None:
    with travel(NOW):
        plan(cast)
        drive.settle()
        post_webhook([alert(starts_at=clock.now())])
        drive.settle()
    assert Incident.objects.filter(kind="outage", state="open").count() == 1


def test_nobody_hears_of_it_before_it_is_to_be_announced(cast: Cast, drive: Drive, box: Mailbox) -> None:
    with travel(NOW):
        plan(cast, announce_at=NOW + timedelta(days=1))
        drive.settle()
        assert subjects(box) == []
    with travel(NOW + timedelta(minutes=30)):
        assert left_hanging(now=clock.now()) == []
    at(NOW + timedelta(days=1), drive)
    assert len(subjects(box)) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ends_at": START}, "ends_before"),
        ({"ends_at": START + timedelta(days=32)}, "too_long"),
        ({"starts_at": NOW - timedelta(hours=2), "ends_at": NOW - timedelta(hours=1)}, "is_past"),
        ({"component_ids": []}, "touches_nobody"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(changes: dict[str, Any], code: str, cast: Cast) -> None:
    with travel(NOW), pytest.raises(IncidentError, match=code):
        plan(cast, **changes)
    assert not PlannedWork.objects.exists()


def test_work_that_cannot_be_told_keeps_no_other_from_being_told(
    cast: Cast, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    with travel(NOW):
        first, second = plan(cast), plan(cast, component_ids=[cast.other_node.pk])
        refresh_wanted()
    tend = planned._tend

    def fails(pk: int, *, now: datetime) -> int:
        if pk == first.pk:
            raise ValueError("something in it")
        return tend(pk, now=now)

    monkeypatch.setattr(planned, "_tend", fails)
    assert planned.tend_planned(now=NOW) == 1
    second.refresh_from_db()
    assert second.announced_at is not None
