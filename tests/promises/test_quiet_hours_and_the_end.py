"""Who sleeps is promised the morning, and breaks no promise by sleeping; an end waits for the notice that it ends."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from tests.cast import Cast
from tests.driving import Drive, alert, post_webhook
from tests.mailbox import text_of
from tests.promises.story import TOUCHED, at, node_fails, outage_playbook

from beforehand.console.reasons import not_sent
from beforehand.customers.models import Customer
from beforehand.incidents.actions import post_update, reopen_incident, resolve_incident
from beforehand.incidents.affected import take_off_list
from beforehand.incidents.models import Affected, Incident
from beforehand.incidents.untold import untold_count
from beforehand.kit.clock import travel
from beforehand.outbound.claims import Record, claim, due_places, record, still_sending
from beforehand.outbound.models import Message
from beforehand.playbooks.queries import left_hanging
from beforehand.promises.models import AFTER_NIGHT, Promise

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

EVENING = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)  # 20:00 in London, 21:00 in Amsterdam, 01:30 in Kolkata
AISHA, BRAM, CHITRA, DANA = (f"{name}@customers.example" for name in ("aisha", "bram", "chitra", "dana"))


def to(customer: Customer) -> list[Message]:
    return list(Message.objects.filter(customer_id=customer.pk).order_by("id"))


def night_falls(worker: Drive) -> Incident:
    outage_playbook("service")
    incident = node_fails(worker, since=EVENING)
    for minutes in (58, 113, 120.1):
        with travel(at(minutes, since=EVENING)):
            worker.settle()
    return incident


def test_a_promise_is_kept_though_some_of_those_to_whom_it_was_made_sleep(people: Cast, worker: Drive) -> None:
    night_falls(worker)
    late = to(people.bram)[-1]
    assert (late.state, late.reason, late.reason_until) == (
        "queued",
        "quiet_hours",
        datetime(2026, 11, 24, 7, tzinfo=UTC),
    )
    states = list(Promise.objects.exclude(rhythm=AFTER_NIGHT).order_by("pk").values_list("state", "reason"))
    assert states == [("kept", "told in time"), ("kept", "held for the night"), ("open", "")]
    assert left_hanging(now=at(121, since=EVENING)) == []


def test_who_sleeps_is_promised_a_time_after_their_night(people: Cast, worker: Drive) -> None:
    night_falls(worker)
    first, second = worker.mailbox.mails_to(BRAM)
    assert "dinsdag 24 november, 08:15" in " ".join(text_of(first).split())  # 22:05 would be in the middle of it
    assert "08:15" in text_of(second)
    assert "9:05" in text_of(worker.mailbox.mails_to(DANA)[0])
    with travel(datetime(2026, 11, 24, 7, 0, tzinfo=UTC)):
        worker.deliver()
    assert len(worker.mailbox.mails_to(BRAM)) == 3


def test_what_waited_for_the_morning_promises_a_time_that_is_still_to_come(people: Cast, worker: Drive) -> None:
    night_falls(worker)
    first, *others = to(people.chitra)
    assert (first.state, first.reason) == ("queued", "quiet_hours")
    assert {(one.state, one.reason) for one in others} == {("refused", "word_waits")}  # not six of them at eight
    assert not_sent("word_waits").startswith("Not sent: nothing was new, and an earlier message still waits")
    morning = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
    with travel(morning):
        worker.deliver()
    (mail,) = worker.mailbox.mails_to(CHITRA)
    # By then the rhythm is one of three hours, and quiet until seven in Amsterdam: 06:10 UTC.
    assert "11:40" in text_of(mail)
    assert first.next_update_at == morning + timedelta(hours=3, minutes=40)
    with travel(first.next_update_at - timedelta(minutes=10)):
        worker.settle()
    assert len(worker.mailbox.mails_to(CHITRA)) == 2


def test_a_word_that_is_late_for_another_reason_still_breaks_the_promise(people: Cast, worker: Drive) -> None:
    outage_playbook("service")
    node_fails(worker, since=EVENING)
    with travel(at(58, since=EVENING)):
        worker.decide()  # and nothing is delivered
    with travel(at(65.2, since=EVENING)):
        worker.decide()
    assert Promise.objects.order_by("pk").values_list("state", "reason")[0] == ("broken", "not for all")


# The end


def in_flight(worker: Drive) -> uuid.UUID:
    """A worker has just begun to hand over all that is due; the mail server has not answered yet."""
    other = uuid.uuid4()
    now = at(3)
    for priority, bucket in due_places(channel="email", now=now, turn=0):
        claim(priority=priority, bucket=bucket, channel="email", limit=50, worker=other, now=now)
    return other


def lands(worker: uuid.UUID, state: str, message_state: str, *, now: datetime) -> None:
    due_at = now + timedelta(minutes=5) if message_state == "queued" else None
    reason = "put_off" if message_state == "queued" else ""
    answers = [Record(key, state, 451, "", "", message_state, reason, due_at) for key, _, _ in still_sending(worker)]
    record(answers, worker=worker, now=now)


def ends_in_flight(drive: Drive) -> tuple[Incident, uuid.UUID]:
    outage_playbook()
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        for _ in range(6):
            drive.decide()
        other = in_flight(drive)
    incident = Incident.objects.get()
    with travel(at(3.1)):
        resolve_incident(incident, reason="repaired", actor="noor")
        drive.settle()
    assert drive.mailbox.accepted == []  # the end waits for what is under way
    assert set(Message.objects.filter(state="queued").values_list("reason", flat=True)) >= {"in_flight"}
    return incident, other


def goes_on(drive: Drive, *minutes: float) -> None:
    for each in minutes:
        with travel(at(each)):
            drive.settle()


def test_who_was_put_off_as_it_ended_hears_neither_the_notice_nor_an_end(people: Cast, worker: Drive) -> None:
    incident, other = ends_in_flight(worker)
    goes_on(worker, 3.3)
    assert worker.mailbox.accepted == []
    with travel(at(3.4)):
        lands(other, "deferred", "queued", now=at(3.4))
    goes_on(worker, 3.6, 20)
    assert worker.mailbox.accepted == []
    assert set(Message.objects.values_list("state", "reason")) == {
        ("cancelled", "resolved"),
        ("cancelled", "never_told"),
    }
    assert not_sent("never_told", "cancelled").startswith("Not sent: the message before it never arrived")
    assert untold_count(incident.pk) == 0
    assert left_hanging(now=at(21)) == []


@pytest.mark.parametrize(("state", "message_state"), [("accepted", "sent"), ("uncertain", "queued")])
def test_whoever_has_the_notice_or_may_have_it_gets_the_end(
    people: Cast, worker: Drive, state: str, message_state: str
) -> None:
    _, other = ends_in_flight(worker)
    with travel(at(3.4)):
        lands(other, state, message_state, now=at(3.4))
    goes_on(worker, 3.6)
    assert worker.mailbox.counts() == dict.fromkeys(TOUCHED, 1)
    assert {str(mail["Feedback-ID"]).split(":")[1] for mail in worker.mailbox.mails_to(DANA)} == {"all-clear"}


def test_who_was_told_before_gets_the_end_though_the_last_update_never_arrived(people: Cast, worker: Drive) -> None:
    outage_playbook()
    incident = node_fails(worker)
    with travel(at(20)):
        post_update(incident, texts={"en": "News"}, author=people.noor, actor="noor")
        for _ in range(4):
            worker.decide()
        other = uuid.uuid4()
        for priority, bucket in due_places(channel="email", now=at(20), turn=0):
            claim(priority=priority, bucket=bucket, channel="email", limit=50, worker=other, now=at(20))
        resolve_incident(incident, reason="repaired", actor="noor")
        worker.settle()
        assert worker.mailbox.counts() == dict.fromkeys(TOUCHED, 1)
        lands(other, "deferred", "queued", now=at(20))
    goes_on(worker, 20.2)
    assert worker.mailbox.counts() == dict.fromkeys(TOUCHED, 2)


def test_who_left_the_list_in_that_moment_is_treated_likewise(people: Cast, worker: Drive) -> None:
    outage_playbook()
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        for _ in range(6):
            worker.decide()
        other = in_flight(worker)
        incident = Incident.objects.get()
        take_off_list(incident.pk, customer_ids=[people.dana.pk], state=Affected.State.CURED, now=at(3), actor="noor")
        worker.settle()
        assert to(people.dana)[-1].reason == "in_flight"
        lands(other, "rejected", "failed", now=at(3))
    goes_on(worker, 3.2)
    assert [(one.state, one.reason) for one in to(people.dana)][-1] == ("cancelled", "never_told")
    assert worker.mailbox.mails_to(DANA) == []


def test_an_end_that_waits_is_not_said_once_it_broke_again(people: Cast, worker: Drive) -> None:
    incident, other = ends_in_flight(worker)
    with travel(at(3.2)):
        reopen_incident(incident, actor="noor")
        worker.settle()
    assert set(Message.objects.filter(reason="reopened").values_list("state", flat=True)) == {"cancelled"}
    with travel(at(3.4)):
        lands(other, "deferred", "queued", now=at(3.4))
    goes_on(worker, 6.5)
    assert worker.mailbox.counts() == dict.fromkeys(TOUCHED, 1)
    assert {str(mail["Feedback-ID"]).split(":")[1] for mail in worker.mailbox.mails_to(DANA)} == {"first-notice"}
