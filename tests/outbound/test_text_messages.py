"""Text messages over a gateway that speaks Twilio's HTTP API, from the alert to the report that it arrived."""

import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from tests.cast import Cast, make_cast
from tests.desk import speak_by
from tests.driving import Drive, alert, driving, outage_rule, post_webhook
from tests.mailbox import Mailbox
from tests.outbound.scripted_server import Act
from tests.sms_gateway import TOKEN, Answer, FakeSmsGateway

from beforehand.api.sms_hooks import signature
from beforehand.config.worker import Worker
from beforehand.customers.actions import upsert_components
from beforehand.customers.models import ContactPoint
from beforehand.events.models import Event
from beforehand.kit import clock
from beforehand.kit.clock import travel
from beforehand.outbound.delivery import DeliveryLoop, recover_dead
from beforehand.outbound.media import SmsMedium
from beforehand.outbound.models import Delivery, Message, MessageBatch
from beforehand.outbound.sms import SmsCourier

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
PHONES = {"aisha": "+212612345678", "bram": "+31612345678", "chitra": "+919812345678", "dana": "+447911123456"}
BRAM = PHONES["bram"]


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


class Desk:
    """The worker of a test with both of its channels, and the gateway."""

    def __init__(self, mails: Drive, gateway: FakeSmsGateway, courier: SmsCourier) -> None:
        self.mails, self.gateway, self.courier = mails, gateway, courier
        self.texts = DeliveryLoop(courier, worker=uuid.uuid4(), medium=SmsMedium())
        self.refused: dict[str, str] = {}

    def settle(self) -> None:
        for _ in range(20):
            self.mails.settle()
            moved = self.texts.step(wait=0)
            deadline = time.monotonic() + 10
            while not self.texts.is_idle and time.monotonic() < deadline:
                moved += self.texts.step(wait=0.01)
            if not moved:
                return
        raise AssertionError("work never came to rest")

    def node_fails(self) -> None:
        with travel(at(3)):
            post_webhook([alert(starts_at=at(0))])
            self.settle()

    def report(self, number: str, status: str, code: str = "") -> int:
        """The gateway's report on the newest text to a number; the answer's status."""
        text = self.gateway.last_to(number)
        fields = {"MessageSid": text.sid, "MessageStatus": status, "To": number, "AccountSid": "AC1"}
        if code:
            fields["ErrorCode"] = code
        return report(text.report_url, fields)


def report(url: str, fields: dict[str, str], *, token: str = TOKEN) -> int:
    place = urlsplit(url)
    response = Client().post(
        f"{place.path}?{place.query}", fields, headers={"X-Twilio-Signature": signature(token, url, fields.items())}
    )
    return response.status_code


@pytest.fixture
def cast() -> Cast:
    cast = make_cast()
    for name, number in PHONES.items():
        ContactPoint.objects.create(customer=getattr(cast, name), channel="sms", address=number)
    outage_rule(owner=cast.team, resolve_after_seconds=100_000)
    return cast


@pytest.fixture
def no_such_user() -> dict[str, str]:
    """Mail addresses that the mail server refuses, and how."""
    return {}


@pytest.fixture
def desk(cast: Cast, no_such_user: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    def script(command: str, nth: int) -> str | Act | None:
        refusals = [said for address, said in no_such_user.items() if address in command]
        return refusals[0] if command.startswith("RCPT") and refusals else None

    with FakeSmsGateway() as gateway, driving(Mailbox(script)) as mails:
        monkeypatch.setattr(settings, "SMS_GATEWAY", gateway.gateway)
        with SmsCourier(gateway.gateway, connections=2) as courier:
            yield Desk(mails, gateway, courier)


def message_to(cast: Cast, name: str = "bram") -> Message:
    return Message.objects.filter(customer_id=getattr(cast, name).pk).latest("id")


def attempts_for(cast: Cast, name: str = "bram") -> list[tuple[str, str]]:
    found = Delivery.objects.filter(message_id=message_to(cast, name).id).order_by("attempt")
    return [(one.channel, one.state) for one in found]


def test_everyone_is_told_by_text_once_in_their_language_with_the_code_and_the_next_time(
    cast: Cast, desk: Desk
) -> None:
    speak_by("[sms]")
    desk.node_fails()
    assert desk.gateway.counts() == dict.fromkeys(PHONES.values(), 1)
    assert not desk.mails.mailbox.accepted
    text = desk.gateway.last_to(PHONES["dana"]).body
    assert message_to(cast, "dana").code in text
    assert "11:05" in text, "the time of the next word"
    assert "/check" in text
    assert "Internet outage" in text
    assert "Internetstoring" in desk.gateway.last_to(BRAM).body
    assert (message_to(cast).state, attempts_for(cast)) == ("sent", [("sms", "accepted")])


def test_a_report_that_it_arrived_is_kept_and_one_that_is_forged_is_refused(cast: Cast, desk: Desk) -> None:
    speak_by("[sms]")
    desk.node_fails()
    text = desk.gateway.last_to(BRAM)
    fields = {"MessageSid": text.sid, "MessageStatus": "delivered"}
    assert report(text.report_url, fields, token="another token") == 403
    assert report(text.report_url.replace("attempt=", "attempts="), fields) == 400
    assert attempts_for(cast) == [("sms", "accepted")]
    assert desk.report(BRAM, "sent") == 204
    assert desk.report(BRAM, "delivered") == 204
    assert desk.report(BRAM, "undelivered", "30003") == 204, "what has arrived stays so"
    assert attempts_for(cast) == [("sms", "delivered")]
    assert message_to(cast).state == "sent"
    assert Event.objects.filter(type="message.delivered", customer_id=cast.bram.pk).count() == 1


def test_a_gateway_that_accepts_and_later_reports_failure_leads_to_the_next_channel(cast: Cast, desk: Desk) -> None:
    speak_by("[sms, email]")
    desk.node_fails()
    with travel(at(4)):
        assert desk.report(BRAM, "failed", "30005") == 204
        desk.settle()
    assert attempts_for(cast) == [("sms", "undelivered"), ("email", "accepted")]
    told = message_to(cast)
    assert (told.state, told.channel, told.passed_over) == ("sent", "email", [["sms", "number_unknown"]])
    assert desk.mails.mailbox.counts() == {"bram@customers.example": 1}
    assert ContactPoint.objects.get(address=BRAM).status == "failing"
    batch = MessageBatch.objects.get(pk=told.batch_id)
    assert batch.done_at == at(4), "the batch is done when the last of its messages has its end"


def test_without_another_channel_a_failure_reported_later_is_the_end_of_it(cast: Cast, desk: Desk) -> None:
    speak_by("[sms]")
    desk.node_fails()
    with travel(at(4)):
        desk.report(BRAM, "undelivered", "30007")
        desk.settle()
    assert (message_to(cast).state, message_to(cast).reason) == ("failed", "filtered")
    assert ContactPoint.objects.get(address=BRAM).status == "working"


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [(21211, "number_invalid", "dead"), (21610, "opted_out", "blocked"), (21408, "refused_by_provider", "working")],
)
def test_what_the_gateway_refuses_goes_by_mail_and_is_held_against_the_number_only_where_it_speaks_of_it(
    cast: Cast, desk: Desk, code: int, reason: str, status: str
) -> None:
    speak_by("[sms, email]")
    desk.gateway.whims.to_number[BRAM] = Answer(400, code, "refused")
    desk.node_fails()
    assert attempts_for(cast) == [("sms", "rejected"), ("email", "accepted")]
    assert message_to(cast).passed_over == [["sms", reason]]
    assert ContactPoint.objects.get(address=BRAM).status == status
    changes = Event.objects.filter(type="contact_point.failed", customer_id=cast.bram.pk)
    assert [one.data["reason"] for one in changes] == ([] if status == "working" else [reason])


def test_who_is_told_by_mail_gets_no_text_and_whose_mail_is_refused_gets_one(
    cast: Cast, desk: Desk, no_such_user: dict[str, str]
) -> None:
    speak_by("[email, sms]")
    no_such_user["bram@"] = "550 5.1.1 no such user"
    ContactPoint.objects.filter(address="dana@customers.example").delete()
    desk.node_fails()
    assert desk.gateway.counts() == {BRAM: 1, PHONES["dana"]: 1}
    assert desk.mails.mailbox.counts() == {"aisha@customers.example": 1, "chitra@customers.example": 1}
    assert message_to(cast).passed_over == [["email", "mailbox_does_not_exist"]]
    assert message_to(cast, "dana").passed_over == [["email", "no_contact_point"]]
    assert message_to(cast, "aisha").passed_over is None
    assert Message.objects.filter(customer_id=cast.bram.pk).count() == 1
    changed = Event.objects.get(type="message.channel_changed")
    assert (changed.customer_id, changed.data["reason"]) == (cast.bram.pk, "mailbox_does_not_exist")


def test_a_full_mailbox_with_a_telephone_beside_it_gets_a_text_and_stays_good(
    cast: Cast, desk: Desk, no_such_user: dict[str, str]
) -> None:
    speak_by("[email, sms]")
    no_such_user["bram@"] = "552 5.2.2 mailbox full"
    desk.node_fails()
    assert desk.gateway.counts() == {BRAM: 1}
    assert ContactPoint.objects.get(address="bram@customers.example").status == "working"


def test_a_channel_that_runs_over_the_failed_component_is_skipped_until_it_works_again(cast: Cast, desk: Desk) -> None:
    speak_by("[email, sms]")
    upsert_components(
        [{"external_id": "node-7", "kind": "node", "name": "Node 7", "attributes.carries": "email"}],
        actor="t",
        source="t",
    )
    ContactPoint.objects.filter(address=BRAM).delete()
    desk.node_fails()
    assert desk.gateway.counts() == {number: 1 for number in PHONES.values() if number != BRAM}
    assert message_to(cast, "dana").passed_over == [["email", "runs_over_failure"]]
    assert desk.mails.mailbox.counts() == {"bram@customers.example": 1}, "a mail is better than nothing"
    assert message_to(cast).passed_over == [["sms", "no_contact_point"]]
    with travel(at(20)):
        post_webhook([alert(status="resolved", starts_at=at(0), ends_at=at(20))])
        desk.settle()
    assert sum(desk.gateway.counts().values()) == 3, "the all-clear goes by mail: it can be read again"
    assert sum(desk.mails.mailbox.counts().values()) == 1 + 4


def test_a_playbook_with_a_channel_that_nobody_has_set_up_uses_the_next(
    cast: Cast, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SMS_GATEWAY", None)
    speak_by("[sms, email]")
    desk.node_fails()
    assert sum(desk.mails.mailbox.counts().values()) == 4
    assert message_to(cast).passed_over == [["sms", "channel_off"]]


def test_who_has_no_channel_that_works_is_refused_with_the_first_channels_reason(cast: Cast, desk: Desk) -> None:
    speak_by("[email, sms]")
    ContactPoint.objects.filter(customer=cast.bram).update(status="blocked")
    desk.node_fails()
    told = message_to(cast)
    assert (told.state, told.reason, told.channel) == ("refused", "address_blocked", "email")
    assert told.passed_over == [["sms", "address_blocked"]]


def test_a_gateway_that_asks_for_time_gets_it_and_nothing_is_said_twice(cast: Cast, desk: Desk) -> None:
    speak_by("[sms]")
    desk.gateway.whims.always = Answer(429, 20429, "too many requests", retry_after="40")
    desk.node_fails()
    asked = desk.gateway.requests
    assert 1 <= asked <= 4
    assert message_to(cast).state == "queued"
    with travel(at(3.5)):
        desk.settle()
    assert desk.gateway.requests == asked, "it asked for forty seconds"
    desk.gateway.whims.always = None
    with travel(at(4)):
        desk.settle()
    assert desk.gateway.counts() == dict.fromkeys(PHONES.values(), 1)
    assert attempts_for(cast) == [("sms", "accepted")], "what was never handed over is no attempt"


def test_a_gateway_that_hangs_leaves_the_text_uncertain_and_a_report_that_it_arrived_settles_it(
    cast: Cast, desk: Desk
) -> None:
    speak_by("[sms]")
    desk.gateway.whims.to_number[BRAM] = Answer(hang=True)
    desk.node_fails()
    assert (message_to(cast).state, message_to(cast).reason) == ("queued", "uncertain")
    with travel(at(3.1)):
        assert desk.report(BRAM, "delivered") == 204
    with travel(at(20)):
        desk.settle()
    assert desk.gateway.counts()[BRAM] == 1
    assert (message_to(cast).state, attempts_for(cast)) == ("sent", [("sms", "delivered")])


def test_a_text_of_a_worker_that_died_is_said_again_marked_unless_the_gateway_knows_that_it_arrived(
    cast: Cast, desk: Desk
) -> None:
    speak_by("[sms]")
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        desk.mails.settle()
        desk.texts.step(wait=0)  # handed over, and then the worker dies
        deadline = time.monotonic() + 10
        while sum(desk.gateway.counts().values()) < 4 or desk.courier.idle() < 2:
            assert time.monotonic() < deadline, "the texts were not handed over"
            time.sleep(0.005)
        dead, desk.texts = desk.texts, DeliveryLoop(desk.courier, worker=uuid.uuid4(), medium=SmsMedium())
        assert desk.report(BRAM, "delivered") == 204, "it comes before we have written down that it was sent"
        assert recover_dead(dead._worker, now=clock.now()) == 4
        desk.settle()
    assert desk.gateway.counts() == {number: 1 if number == BRAM else 2 for number in PHONES.values()}
    assert attempts_for(cast) == [("sms", "delivered")]
    assert attempts_for(cast, "dana") == [("sms", "uncertain"), ("sms", "accepted")]


def test_a_gateway_that_does_not_know_us_holds_nothing_against_any_customer(
    cast: Cast, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    speak_by("[sms]")
    desk.gateway.whims.always = Answer(401, 20003, "Authenticate")
    desk.node_fails()
    assert not Delivery.objects.exists()
    assert message_to(cast).state == "queued"
    assert set(ContactPoint.objects.values_list("status", flat=True)) == {"working"}


def test_a_whole_worker_sends_texts_beside_mails(cast: Cast, desk: Desk) -> None:
    speak_by("[sms, email]")
    ContactPoint.objects.filter(address=BRAM).delete()
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        worker = Worker()

        def work() -> None:
            worker.run()
            connection.close()

        thread = threading.Thread(target=work)
        thread.start()
        deadline = time.monotonic() + 30
        while (
            Message.objects.filter(state="sent").count() < 3 or sum(desk.gateway.counts().values()) < 3
        ) and time.monotonic() < deadline:
            time.sleep(0.02)
        worker.stop()
        thread.join(30)
    assert not thread.is_alive()
    assert desk.gateway.counts() == {number: 1 for number in PHONES.values() if number != BRAM}
    assert message_to(cast).channel == "email", "it waits for a mail server, which this worker has none of"
