"""What customers write by text message: taken from the gateway alone, once, with the one whose number it is."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client

from beforehand.api.sms_hooks import signature
from beforehand.conversations.actions import read_waiting
from beforehand.conversations.models import Incoming, MessageIn
from beforehand.customers.models import ContactPoint
from beforehand.events.models import Event
from beforehand.incidents.models import Incident
from beforehand.kit import clock
from beforehand.kit.clock import travel
from beforehand.outbound.models import Message
from tests.cast import Cast
from tests.console.conftest import at, room
from tests.sms_gateway import SENDER, TOKEN, FakeSmsGateway

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

BRAM, PLACE = "+31612345678", "/hooks/sms/message"


@pytest.fixture(autouse=True)
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with FakeSmsGateway() as fake:
        monkeypatch.setattr(settings, "SMS_GATEWAY", fake.gateway)
        yield


@pytest.fixture
def texted(cast: Cast, outage: Incident) -> Incident:
    """Bram has been told by text message."""
    ContactPoint.objects.create(customer=cast.bram, channel="sms", address=BRAM)
    Message.objects.filter(customer_id=cast.bram.pk).update(channel="sms")
    return outage


def says(text: str, *, sid: str = "SM1", number: str = BRAM, token: str = TOKEN, **more: str) -> int:
    """The gateway hands over what somebody wrote; the answer's status."""
    fields = {"MessageSid": sid, "From": number, "To": SENDER, "Body": text, "NumMedia": "0", **more}
    url = f"{settings.BASE_URL}{PLACE}"
    signed = signature(token, url, fields.items())
    status = Client().post(PLACE, fields, headers={"X-Twilio-Signature": signed}).status_code
    read_waiting(now=clock.now())
    return status


def test_a_text_message_comes_back_to_the_room_of_what_it_answers(cast: Cast, texted: Incident, agent: Client) -> None:
    with travel(at(6)):
        assert says("Bij ons werkt het weer & <b>goed</b>") == 200
        assert says("Bij ons werkt het weer & <b>goed</b>") == 200  # the gateway says it again
        page = agent.get(room(texted)).content.decode()
    said = MessageIn.objects.get()
    assert (said.customer_id, said.origin, said.channel, said.language) == (
        cast.bram.pk, f"incident:{texted.pk}", "sms", "nl",
    )  # fmt: skip
    assert "Bij ons werkt het weer &amp; &lt;b&gt;goed" in page
    assert Event.objects.filter(type="conversation.message_received").count() == 1


def test_only_the_gateway_is_heard(texted: Incident) -> None:
    with travel(at(6)):
        assert says("Hello", token="another token") == 403
        assert says("Hello", sid="") == 400
        assert Client().get(PLACE).status_code == 405
        settings.SMS_GATEWAY = None  # the fixture's monkeypatch puts it back
        assert says("Hello") == 404
    assert not Incoming.objects.exists()


@pytest.mark.parametrize("more", [{}, {"OptOutType": "STOP"}])
def test_stop_ends_text_messages_and_start_begins_them_again(
    cast: Cast, texted: Incident, more: dict[str, str]
) -> None:
    point = ContactPoint.objects.get(address=BRAM)
    with travel(at(6)):
        says("Genoeg" if more else " stop ", **more)
        point.refresh_from_db()
        assert (point.status, point.status_reason) == ("blocked", "opted_out")
        says("START", sid="SM2")
    point.refresh_from_db()
    assert point.status == "working"
    assert list(MessageIn.objects.order_by("id").values_list("kind", flat=True)) == ["opt_out", "opt_in"]
    assert not Event.objects.filter(type="conversation.message_received").exists()


def test_start_mends_no_number_that_does_not_exist(cast: Cast, texted: Incident) -> None:
    ContactPoint.objects.filter(address=BRAM).update(status="dead", status_reason="number_unknown")
    with travel(at(6)):
        says("START")
    assert ContactPoint.objects.get(address=BRAM).status == "dead"


def test_a_number_that_nobody_has_is_put_aside_and_an_old_message_is_not_taken_to_be_answered(
    cast: Cast, texted: Incident
) -> None:
    with travel(at(6)):
        says("Hello", number="+15005550006")
    with travel(at(60 * 24 * 30)):
        says("Hallo", sid="SM2")
    assert Incoming.objects.get(state="aside").reason == "stranger"
    assert (MessageIn.objects.get().customer_id, MessageIn.objects.get().origin) == (cast.bram.pk, "")


def test_of_two_customers_with_one_number_it_is_the_one_whom_we_wrote_to(cast: Cast, texted: Incident) -> None:
    ContactPoint.objects.create(customer=cast.dana, channel="sms", address=BRAM)
    with travel(at(6)):
        says("Works")
    assert MessageIn.objects.get().customer_id == cast.bram.pk
