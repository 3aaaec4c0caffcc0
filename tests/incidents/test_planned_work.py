"""Planned work, from the plan to the end: each told, and its alerts held back while the window lasts."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from beforehand.customers.models import ContactPoint, Customer
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
from beforehand.outbound.delivery import DeliveryLoop
from beforehand.outbound.media import SmsMedium
from beforehand.outbound.models import Message, MessageBatch
from beforehand.playbooks.queries import left_hanging
from beforehand.promises.models import Promise
from tests.cast import Cast, make_cast
from tests.driving import Drive, alert, approve_shipped, driving, outage_rule, post_webhook
from tests.mailbox import Mailbox, text_of

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
START = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
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
    early = START - timedelta(hours=22)
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


# At night


def texts_to(customer_id: int) -> list[tuple[str, str, str]]:
    rows = Message.objects.filter(customer_id=customer_id).order_by("id")
    steps = dict(MessageBatch.objects.values_list("pk", "step"))
    return [(steps[one.batch_id].rpartition(".")[2], one.state, one.reason) for one in rows]


class NoGateway:
    """Takes no text: whoever hands one over has judged it wrongly."""

    connections, failures, wait_asked = 1, 0, 0.0

    def idle(self) -> int:
        return 1

    def submit(self, flight: Sequence[Any], landed: Any) -> None:
        raise AssertionError(f"sent at night: {flight}")


@pytest.fixture
def by_text_alone(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Customer:
    """Bram has a mobile number, and nothing else."""
    ContactPoint.objects.filter(customer=cast.bram).delete()
    ContactPoint.objects.create(customer=cast.bram, channel="sms", address="+31612345678", rank=1)
    monkeypatch.setattr("beforehand.outbound.writing.live_channels", lambda: frozenset({"email", "sms", "call"}))
    return cast.bram


def test_work_at_night_wakes_nobody_by_text_and_in_the_morning_they_read_how_it_went(
    cast: Cast, drive: Drive, by_text_alone: Customer
) -> None:
    night = datetime(2026, 11, 24, 0, 0, tzinfo=UTC)
    with travel(NOW):
        work = plan(cast, starts_at=night, ends_at=night + timedelta(hours=5))
        drive.settle()
    assert texts_to(by_text_alone.pk) == [("announced", "queued", "")]
    Message.objects.filter(customer_id=by_text_alone.pk).update(state="sent", ended_at=NOW)
    at(night - timedelta(hours=30), drive)
    Message.objects.filter(customer_id=by_text_alone.pk, state="queued").update(state="sent", ended_at=NOW)
    for hours in (0, 2, 4):
        at(night + timedelta(hours=hours), drive)
    morning = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)  # eight o'clock in Amsterdam
    waiting = Message.objects.filter(customer_id=by_text_alone.pk, state="queued")
    assert set(waiting.values_list("reason", "reason_until", "due_at")) == {("quiet_hours", morning, morning)}
    assert texts_to(by_text_alone.pk)[-3:] == [
        ("started", "queued", "quiet_hours"),
        ("under-way", "queued", "quiet_hours"),
        ("under-way", "refused", "word_waits"),  # nothing was new in it: nobody finds six of them at eight
    ]
    with travel(night + timedelta(hours=5)):
        finish_work(work, actor="test")
        drive.settle()
    assert texts_to(by_text_alone.pk)[-1] == ("finished", "queued", "quiet_hours")
    assert not Message.objects.filter(customer_id=by_text_alone.pk, state="queued").exclude(due_at=morning).exists()
    assert Message.objects.filter(customer_id=by_text_alone.pk, state="queued").count() == 1


def test_a_text_that_is_due_by_day_and_could_not_go_then_is_not_sent_at_night(
    cast: Cast, drive: Drive, by_text_alone: Customer
) -> None:
    with travel(NOW):
        plan(cast)
        drive.settle()
    gateway = DeliveryLoop(NoGateway(), worker=uuid.uuid4(), medium=SmsMedium())
    with travel(NOW.replace(hour=22)):
        gateway.step(wait=0)
    one = Message.objects.get(customer_id=by_text_alone.pk)
    assert (one.state, one.reason, one.due_at) == ("queued", "quiet_hours", datetime(2026, 11, 21, 7, tzinfo=UTC))
