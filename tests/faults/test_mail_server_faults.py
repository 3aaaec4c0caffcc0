"""A mail server that puts off, refuses, hangs, hangs up or is away: nobody is lost, and what is in doubt is said so."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from beforehand.customers.models import ContactPoint
from beforehand.events.models import Event
from beforehand.kit.clock import travel
from beforehand.outbound.models import Delivery, Message, MessageBatch
from beforehand.promises.models import Promise
from tests.cast import Cast, make_cast
from tests.driving import Drive, alert, approve_shipped, driving, outage_rule, post_webhook
from tests.mailbox import Mailbox
from tests.outbound.scripted_server import Act

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
EVERYBODY = {f"{name}@customers.example" for name in ("aisha", "bram", "chitra", "dana")}
BRAM = "bram@customers.example"


class Whims:
    """A script that can be changed while the server runs: an answer to the recipients named, or to the end of every message."""

    def __init__(self) -> None:
        self.to_recipient: dict[str, str] = {}
        self.at: dict[str, str | Act] = {}

    def __call__(self, command: str, nth: int) -> str | Act | None:
        for recipient, answer in self.to_recipient.items():
            if command.startswith("RCPT") and recipient in command:
                return answer
        return self.at.get(command.split(" ")[0].upper())


@pytest.fixture
def cast() -> Cast:
    cast = make_cast()
    outage_rule(owner=cast.team, resolve_after_seconds=100_000)
    approve_shipped()
    return cast


@pytest.fixture
def whims() -> Whims:
    return Whims()


@pytest.fixture
def drive(cast: Cast, whims: Whims) -> Iterator[Drive]:
    with driving(Mailbox(whims), options="?timeout=0.5&dot_timeout=0.5") as drive:
        yield drive


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def node_fails(drive: Drive) -> None:
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()


def message_to(cast: Cast, name: str = "bram") -> Message:
    return Message.objects.get(customer_id=getattr(cast, name).pk)


def test_who_is_put_off_is_told_later_and_every_attempt_is_recorded(cast: Cast, whims: Whims, drive: Drive) -> None:
    whims.to_recipient[BRAM] = "451 4.7.1 greylisted"
    node_fails(drive)
    assert drive.mailbox.counts() == dict.fromkeys(EVERYBODY - {BRAM}, 1)
    assert (message_to(cast).state, message_to(cast).reason) == ("queued", "put_off")
    with travel(at(3.6)):
        drive.settle()
    whims.to_recipient.clear()
    with travel(at(6)):
        drive.settle()
    assert drive.mailbox.counts() == dict.fromkeys(EVERYBODY, 1)
    attempts = Delivery.objects.filter(message_id=message_to(cast).id).order_by("attempt")
    assert [(one.state, one.code, one.enhanced) for one in attempts] == [
        ("deferred", 451, "4.7.1"),
        ("deferred", 451, "4.7.1"),
        ("accepted", 250, "2.0.0"),
    ]
    assert (message_to(cast).state, message_to(cast).reason, message_to(cast).attempts) == ("sent", "", 3)


def test_a_mailbox_that_twice_does_not_exist_is_not_written_to_again(cast: Cast, whims: Whims, drive: Drive) -> None:
    whims.to_recipient[BRAM] = "550 5.1.1 no such user"
    node_fails(drive)
    assert (message_to(cast).state, message_to(cast).reason) == ("failed", "mailbox_does_not_exist")
    assert ContactPoint.objects.get(address=BRAM).status == ContactPoint.Status.FAILING, "a server may be wrong once"
    with travel(at(58)):
        drive.settle()
    assert ContactPoint.objects.get(address=BRAM).status == ContactPoint.Status.DEAD
    assert Event.objects.filter(type="contact_point.failed", customer_id=cast.bram.pk).count() == 2
    with travel(at(114)):
        drive.settle()
    update = Message.objects.filter(customer_id=cast.bram.pk).order_by("id").last()
    assert update is not None
    assert (update.state, update.reason) == ("refused", "address_dead")
    assert sum(BRAM in command for command in drive.mailbox.commands if command.startswith("RCPT")) == 2


def test_an_address_that_works_after_all_is_no_longer_in_doubt(cast: Cast, whims: Whims, drive: Drive) -> None:
    whims.to_recipient[BRAM] = "550 5.1.1 no such user"
    node_fails(drive)
    whims.to_recipient.clear()
    with travel(at(58)):
        drive.settle()
    assert ContactPoint.objects.get(address=BRAM).status == ContactPoint.Status.WORKING
    assert Event.objects.filter(type="contact_point.recovered", customer_id=cast.bram.pk).count() == 1


def test_a_full_mailbox_is_no_dead_one(cast: Cast, whims: Whims, drive: Drive) -> None:
    whims.to_recipient[BRAM] = "552 5.2.2 mailbox full"
    node_fails(drive)
    assert (message_to(cast).state, message_to(cast).reason) == ("failed", "mailbox_full")
    assert ContactPoint.objects.get(address=BRAM).status == ContactPoint.Status.WORKING
    whims.to_recipient.clear()
    with travel(at(58)):
        drive.settle()
    assert drive.mailbox.counts()[BRAM] == 1


@pytest.mark.parametrize(("verb", "act"), [("DATA", Act.CLOSE_IN_DATA), ("DATA", Act.CLOSE), ("RCPT", Act.HANG)])
def test_what_was_cut_off_before_its_end_goes_out_once(
    cast: Cast, whims: Whims, drive: Drive, verb: str, act: Act
) -> None:
    whims.at[verb] = act
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        drive.decide()
        drive.decide()
        drive.deliver()
    whims.at.clear()
    for minutes in (5, 8, 20, 60, 200):
        with travel(at(minutes)):
            drive.deliver()
    first = MessageBatch.objects.order_by("id")[0].pk
    assert set(Message.objects.filter(batch_id=first).values_list("state", flat=True)) == {"sent"}
    assert drive.mailbox.counts() == dict.fromkeys(EVERYBODY, 1)


def test_a_server_that_hangs_up_after_the_end_leaves_it_in_doubt_and_it_is_said_again_as_the_same_message(
    cast: Cast, whims: Whims, drive: Drive
) -> None:
    whims.at["."] = Act.ACCEPT_AND_CLOSE
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        drive.decide()
        drive.decide()
        drive.deliver()
    doubtful = {one.message_id for one in Delivery.objects.filter(state="uncertain")}
    assert doubtful
    assert Event.objects.filter(type="message.uncertain").count() == len(doubtful)
    whims.at.clear()
    with travel(at(5)):
        drive.settle()
    counts = drive.mailbox.counts()
    assert set(counts) == EVERYBODY
    assert max(counts.values()) == 2
    for address, times in counts.items():
        assert len({mail["Message-ID"] for mail in drive.mailbox.mails_to(address)}) == 1, times
    assert set(Message.objects.values_list("state", flat=True)) == {"sent"}


def test_a_server_that_always_hangs_up_after_the_end_is_not_fed_for_ever(
    cast: Cast, whims: Whims, drive: Drive
) -> None:
    whims.at["."] = Act.ACCEPT_AND_CLOSE
    node_fails(drive)
    minutes = 3.0
    while Message.objects.filter(state="queued").exists():
        minutes += 30
        assert minutes < 3_000
        with travel(at(minutes)):
            drive.deliver()
    assert set(Message.objects.values_list("state", flat=True)) == {"uncertain"}
    assert max(drive.mailbox.counts().values()) <= 7


def test_a_server_that_is_away_for_a_while_loses_nobody_and_is_not_stormed(cast: Cast, drive: Drive) -> None:
    drive.mailbox.__exit__()
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
        assert set(Message.objects.values_list("state", "reason")) == {("queued", "unreachable")}
        assert not Delivery.objects.exists()  # nothing was handed over: no attempt is counted
        assert drive.loop.step(wait=0) == 0  # and it is left alone for a moment
    with Mailbox(port=drive.mailbox.port) as back:
        for minutes in (4, 5):
            with travel(at(minutes)):
                drive.settle()
        assert back.counts() == dict.fromkeys(EVERYBODY, 1)


def test_an_answer_that_is_no_text_is_kept_as_one(cast: Cast, whims: Whims, drive: Drive) -> None:
    whims.to_recipient[BRAM] = "550 5.7.1 \0\x1b[31m no \ud83d".encode("utf-8", "replace").decode()
    node_fails(drive)
    assert message_to(cast).state == "failed"
    answer = Delivery.objects.get(message_id=message_to(cast).id).answer
    assert "\0" not in answer
    assert drive.mailbox.counts() == dict.fromkeys(EVERYBODY - {BRAM}, 1)


def test_a_mailbox_put_off_beyond_the_promised_time_breaks_the_promise_for_not_being_kept_for_all(
    cast: Cast, whims: Whims, drive: Drive
) -> None:
    node_fails(drive)
    whims.to_recipient[BRAM] = "451 4.2.1 later"
    for minutes in (58, 62, 66):
        with travel(at(minutes)):
            drive.settle()
    first = Promise.objects.order_by("pk")[0]
    assert (first.state, first.reason) == ("broken", "not for all")
    assert Event.objects.filter(type="promise.broken").count() == 1
