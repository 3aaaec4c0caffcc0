"""A message in an inbox tells nobody until they open it: in the counts, the list of the untold, the report, and the log."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from tests.cast import Cast, make_cast
from tests.desk import Desk, speak_by
from tests.driving import alert, driving, outage_rule, post_webhook
from tests.portal.conftest import START, TEXTS

from beforehand.accounts.installation import installation
from beforehand.console.incidents import tally
from beforehand.customers.models import ContactPoint, Customer
from beforehand.engine.calls import CallResult
from beforehand.events.models import Event
from beforehand.incidents.models import Incident
from beforehand.incidents.queries import affected_page
from beforehand.incidents.untold import untold_ids, untold_page
from beforehand.insights.queries import incident_report
from beforehand.kit import clock
from beforehand.outbound.calls import Called, record_call
from beforehand.outbound.delivery import DeliveryLoop, recover_dead
from beforehand.outbound.in_house import InHouseCourier
from beforehand.outbound.inbox import open_message
from beforehand.outbound.media import CallMedium, InboxMedium
from beforehand.outbound.models import Delivery, Message, MessageBatch
from beforehand.outbound.queries import batch_counts
from beforehand.playbooks.calls import tend_calls
from beforehand.playbooks.models import RunTask
from beforehand.playbooks.queries import left_hanging
from beforehand.portal.my_page import Letter, now_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def minutes(number: float) -> datetime:
    return START + timedelta(minutes=number)


@dataclass
class Scene:
    """An outage, and who works on it."""

    cast: Cast
    desk: Desk

    @property
    def incident(self) -> Incident:
        return Incident.objects.get()

    def told(self, channels: str) -> None:
        outage_rule(owner=self.cast.team, texts=TEXTS)
        speak_by(channels)
        post_webhook([alert(starts_at=START)])
        self.desk.settle()

    def ends(self, at: datetime) -> None:
        post_webhook([alert(status="resolved", starts_at=START, ends_at=at)])
        self.desk.settle()


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Aisha and Dana have an inbox; Dana has mail too. Bram has mail, Chitra nothing."""
    cache.clear()
    cast = make_cast()
    ContactPoint.objects.exclude(customer__in=[cast.bram, cast.dana]).delete()
    for customer in (cast.aisha, cast.dana):
        ContactPoint.objects.create(customer=customer, channel="inbox", address="my page")
    with driving() as mails, clock.travel(minutes(3)):
        loops = [
            DeliveryLoop(InHouseCourier(), worker=uuid.uuid4(), medium=medium)
            for medium in (InboxMedium(), CallMedium())
        ]
        yield Scene(cast, Desk(mails, *loops))


def newest(customer: Customer) -> Message:
    return Message.objects.filter(customer_id=customer.pk).latest("id")


def end_of(customer: Customer) -> tuple[str, str, str]:
    message = newest(customer)
    return message.channel, message.state, message.reason


def letters(customer: Customer) -> tuple[Letter, ...]:
    return now_for(customer, language="en", brand=installation().brand, now=clock.now()).inbox


def opened(customer: Customer, *, at: datetime, message: Message | None = None) -> bool:
    with clock.travel(at):
        return open_message(customer.pk, (message or newest(customer)).id, now=at)


def test_who_has_only_an_inbox_could_not_be_told_until_they_open_it(scene: Scene) -> None:
    scene.told("[email, inbox]")
    aisha, incident = scene.cast.aisha, scene.incident
    assert end_of(aisha) == ("inbox", "refused", "unread")
    listed = {one.customer_id: one.reason for one in untold_page(incident.pk, now=minutes(3), limit=10)}
    assert listed == {aisha.pk: "unread", scene.cast.chitra.pk: "no_contact_point"}
    report = incident_report(incident, now=minutes(4))
    assert (report.told, report.not_told) == (2, {"no_contact_point": 1, "unread": 1})
    assert {one.customer_id for one in affected_page(incident.pk, told="told", limit=10)} == {
        scene.cast.bram.pk,
        scene.cast.dana.pk,
    }
    assert opened(aisha, at=minutes(10))
    assert end_of(aisha) == ("inbox", "sent", "")
    assert untold_ids(incident.pk) == [scene.cast.chitra.pk]
    report = incident_report(incident, now=minutes(11))
    assert (report.told, report.not_told) == (3, {"no_contact_point": 1})
    assert report.last_known == timedelta(minutes=10), "told when they opened it, not when it was laid there"
    assert not opened(aisha, at=minutes(12)), "once"


def test_the_counts_of_a_batch_that_is_done_follow_who_opens(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.told("[email, inbox]")
    monkeypatch.setattr("beforehand.outbound.queries.MAY_BE_OPENED", timedelta(0))
    batch = MessageBatch.objects.get()
    assert batch.done_at is not None

    def counted() -> tuple[int, int, int]:
        word = tally(batch_counts([batch])[batch.pk])
        return word["all"], word["sent"], word["not_sent"]

    assert counted() == (4, 2, 2)
    opened(scene.cast.aisha, at=minutes(10))
    assert counted() == (4, 3, 1)
    assert MessageBatch.objects.get().done_at == batch.done_at, "nothing is promised or measured anew by it"


def test_the_log_says_that_it_was_placed_and_only_then_that_it_arrived(scene: Scene) -> None:
    scene.told("[email, inbox]")

    def log() -> list[str]:
        found = Event.objects.filter(customer_id=scene.cast.aisha.pk, type__startswith="message.").order_by("id")
        return list(found.values_list("type", flat=True))

    assert log()[-1] == "message.placed"
    assert "message.sent" not in log()
    opened(scene.cast.aisha, at=minutes(10))
    assert log()[-1] == "message.delivered"


def test_where_another_channel_is_left_it_has_its_turn_at_once_and_the_message_stands_in_the_inbox_as_well(
    scene: Scene,
) -> None:
    scene.told("[inbox, email]")
    dana = scene.cast.dana
    assert end_of(dana) == ("email", "sent", "")
    assert newest(dana).passed_over == [["inbox", "unread"]]
    assert len(scene.desk.mails.mailbox.mails_to("dana@customers.example")) == 1
    assert [one.is_unread for one in letters(dana)] == [True]
    assert dana.pk not in untold_ids(scene.incident.pk)
    before = newest(dana).ended_at
    opened(dana, at=minutes(10))
    assert (end_of(dana), newest(dana).ended_at) == (("email", "sent", ""), before), "told by the mail, then"
    assert [one.is_unread for one in letters(dana)] == [False]
    assert end_of(scene.cast.aisha) == ("inbox", "refused", "unread"), "who has nothing else"


def test_who_is_to_be_called_and_reads_it_first_is_called_no_more(scene: Scene) -> None:
    aisha = scene.cast.aisha
    ContactPoint.objects.create(customer=aisha, channel="phone", address="+212612345678")
    scene.told("[inbox, call]")
    assert end_of(aisha) == ("call", "refused", "to_be_called")
    record_call(aisha.pk, Called(newest(aisha).id, CallResult.NO_ANSWER), actor="test", now=minutes(5))
    assert end_of(aisha) == ("call", "refused", "no_answer")
    assert [one.is_unread for one in letters(aisha)] == [True], "nobody answered, but it stands there"
    opened(aisha, at=minutes(6))
    assert end_of(aisha) == ("inbox", "sent", "")
    assert newest(aisha).reason_until is None
    assert aisha.pk not in untold_ids(scene.incident.pk)
    task = RunTask.objects.get(step="calls")
    assert task.done_at is None
    with clock.travel(minutes(7)):
        tend_calls(now=minutes(7))
    task.refresh_from_db()
    assert task.done_at == minutes(7), "nobody is left to be called"


def test_news_and_the_end_are_laid_beside_what_is_unread_so_nobody_finds_an_old_outage_alone(scene: Scene) -> None:
    scene.told("[email, inbox]")
    aisha = scene.cast.aisha
    first = newest(aisha)
    with clock.travel(minutes(20)):
        scene.ends(minutes(20))
        assert newest(aisha).id != first.id
        assert end_of(aisha) == ("inbox", "refused", "unread")
        assert len(letters(aisha)) == 2
        assert not Message.objects.filter(customer_id=scene.cast.chitra.pk).exclude(reason="no_contact_point").exists()
    opened(aisha, at=minutes(30), message=first)
    assert incident_report(scene.incident, now=minutes(31)).told == 3
    assert not [one for one in left_hanging(now=minutes(40)) if not one.is_owned]


def test_a_message_that_a_dead_worker_was_laying_down_is_laid_down_by_the_next(scene: Scene) -> None:
    class Dies(InHouseCourier):
        """Takes messages, and is never heard of again."""

        def submit(self, flight, landed) -> None:  # type: ignore[no-untyped-def]
            return

    dead = uuid.uuid4()
    alive = scene.desk.loops
    scene.desk.loops = ()
    scene.told("[email, inbox]")
    DeliveryLoop(Dies(), worker=dead, medium=InboxMedium()).step(wait=0)
    assert Delivery.objects.get(channel="inbox").state == "sending"
    assert recover_dead(dead, now=clock.now()) == 1
    assert end_of(scene.cast.aisha)[:2] == ("inbox", "queued"), "not perhaps told: it is not there"
    scene.desk.loops = alive
    scene.desk.settle()
    assert end_of(scene.cast.aisha) == ("inbox", "refused", "unread")
    assert Delivery.objects.filter(channel="inbox").count() == 1


def test_pages_say_that_it_waits_to_be_read(scene: Scene) -> None:
    agent = Client()
    agent.force_login(scene.cast.ester)
    scene.told("[email, inbox]")
    incident = scene.incident
    sentence = "Waiting to be read: it stands in the customer&#x27;s inbox, and they have not opened it yet."
    message = newest(scene.cast.aisha)
    for place in (
        f"/console/incidents/{incident.public_id}/could-not-tell/",
        f"/console/incidents/{incident.public_id}/report/",
        f"/console/messages/{message.bucket}/{message.id}/",
    ):
        assert sentence in agent.get(place).content.decode(), place
    assert "waiting to be read" in agent.get(f"/console/messages/{message.bucket}/{message.id}/").content.decode()
