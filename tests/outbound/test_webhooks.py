"""Messages to an organisation's own system: signed, tried again, and never to a machine inside our own network."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from standardwebhooks import Webhook
from tests.cast import Cast, make_cast
from tests.desk import Desk, speak_by
from tests.driving import alert, driving, outage_rule, post_webhook
from tests.receiver import Answer, Receiver

from beforehand.config.worker import Worker
from beforehand.customers.actions import add_contact_point
from beforehand.customers.bulk.problems import ChangeRefused
from beforehand.customers.models import ContactPoint
from beforehand.kit.clock import travel
from beforehand.outbound import outside
from beforehand.outbound.delivery import DeliveryLoop
from beforehand.outbound.models import Delivery, Message
from beforehand.outbound.outside import HostRefusedError, PostCourier, is_outside, judged_addresses
from beforehand.outbound.webhooks import WebhookMedium, shown_secret

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime.now(UTC).replace(microsecond=0)
"""Now, since the library that checks signatures reads the clock."""


@pytest.fixture(autouse=True)
def _begin_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test anew: it takes a signature of five minutes ago for an old one."""
    monkeypatch.setitem(globals(), "START", datetime.now(UTC).replace(microsecond=0))


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def cast(receiver: Receiver, settings: Any) -> Cast:
    """Dana is an organisation with a system of its own; the others have mail."""
    settings.PRIVATE_HOSTS = ("127.0.0.1",)
    cast = make_cast()
    ContactPoint.objects.filter(customer=cast.dana).delete()
    add_contact_point(cast.dana.pk, channel="webhook", address=f"{receiver.url}/hook", actor="test")
    outage_rule(owner=cast.team, resolve_after_seconds=100_000, texts={"en": {"title": "Internet outage"}})
    speak_by("[webhook, email]")
    return cast


@pytest.fixture
def desk(cast: Cast) -> Iterator[Desk]:
    with driving() as mails, PostCourier(connections=2, private_hosts=["127.0.0.1"], timeout=2) as courier:
        yield Desk(mails, DeliveryLoop(courier, worker=uuid.uuid4(), medium=WebhookMedium()))


def node_fails(desk: Desk) -> None:
    with travel(at(0)):
        post_webhook([alert(starts_at=at(-5))])
        desk.settle()


def message_to(cast: Cast) -> Message:
    return Message.objects.get(customer_id=cast.dana.pk)


def attempts(cast: Cast) -> list[tuple[str, str]]:
    found = Delivery.objects.filter(message_id=message_to(cast).id).order_by("attempt")
    return [(one.channel, one.state) for one in found]


def test_it_gets_the_message_as_json_with_a_signature_that_holds(cast: Cast, desk: Desk, receiver: Receiver) -> None:
    node_fails(desk)
    assert (message_to(cast).channel, message_to(cast).state) == ("webhook", "sent")
    [post] = receiver.posted
    point = ContactPoint.objects.get(channel="webhook")
    said = Webhook(shown_secret(point.pk)).verify(post.body, post.headers)
    assert said["data"]["id"] == post.headers["webhook-id"]
    assert "Internet outage" in said["data"]["subject"]
    assert message_to(cast).code in said["data"]["text"]
    assert (said["data"]["language"], said["data"]["class"]) == ("en", "service-critical")
    assert len(desk.mails.mailbox.accepted) == 3
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(shown_secret(point.pk + 1)).verify(post.body, post.headers)


def test_while_the_secret_is_changed_the_former_one_still_holds(
    cast: Cast, desk: Desk, receiver: Receiver, settings: Any
) -> None:
    former = shown_secret(ContactPoint.objects.get(channel="webhook").pk)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret of at least thirty-two characters"
    node_fails(desk)
    Webhook(former).verify(receiver.posted[0].body, receiver.posted[0].headers)


def test_it_is_tried_again_under_the_same_id_and_not_before_it_asked(
    cast: Cast, desk: Desk, receiver: Receiver
) -> None:
    receiver.script = [Answer(503, {"Retry-After": "600"}), Answer(500)]
    node_fails(desk)
    assert (message_to(cast).state, message_to(cast).due_at) == ("queued", at(10))
    with travel(at(9)):
        desk.settle()
    assert len(receiver.posted) == 1
    with travel(at(10)):
        desk.settle()
    assert message_to(cast).due_at == at(12)
    with travel(at(13)):
        desk.settle()
    assert (message_to(cast).state, len({one.headers["webhook-id"] for one in receiver.posted})) == ("sent", 1)
    assert attempts(cast) == [("webhook", "deferred"), ("webhook", "deferred"), ("webhook", "accepted")]


@pytest.mark.parametrize(("status", "reason", "left"), [(410, "gone", "dead"), (400, "refused_by_provider", "working")])
def test_what_it_refuses_goes_by_the_next_channel_and_an_address_that_is_gone_is_dead(
    cast: Cast, desk: Desk, receiver: Receiver, status: int, reason: str, left: str
) -> None:
    ContactPoint.objects.create(customer=cast.dana, channel="email", address="dana@customers.example")
    receiver.usual = Answer(status)
    node_fails(desk)
    assert attempts(cast) == [("webhook", "rejected"), ("email", "accepted")]
    assert message_to(cast).passed_over == [["webhook", reason]]
    assert ContactPoint.objects.get(channel="webhook").status == left


def test_a_redirect_is_not_followed(cast: Cast, desk: Desk, receiver: Receiver) -> None:
    receiver.usual = Answer(307, {"Location": f"{receiver.url}/elsewhere"})
    node_fails(desk)
    assert [post.path for post in receiver.posted] == ["/hook"]
    assert (message_to(cast).state, message_to(cast).reason) == ("failed", "refused_by_provider")


def test_a_host_inside_our_network_is_not_spoken_to(cast: Cast, receiver: Receiver) -> None:
    ContactPoint.objects.create(customer=cast.dana, channel="email", address="dana@customers.example")
    ContactPoint.objects.filter(channel="webhook").update(address=receiver.url.replace("http:", "https:"))
    with driving() as mails, PostCourier(connections=1, timeout=2) as courier:
        node_fails(Desk(mails, DeliveryLoop(courier, worker=uuid.uuid4(), medium=WebhookMedium())))
    assert not receiver.posted
    assert message_to(cast).passed_over == [["webhook", "host_refused"]]
    assert "not out in the world" in Delivery.objects.get(channel="webhook").answer


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.9", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::a01:203", "2002:7f00:1::"],
)  # fmt: skip
def test_these_are_not_out_in_the_world(address: str) -> None:
    assert not is_outside(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_these_are(address: str) -> None:
    assert is_outside(address)


def test_one_inner_address_among_a_hosts_addresses_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(2, 1, 6, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.7")]
    monkeypatch.setattr(outside.socket, "getaddrinfo", lambda *args, **more: found)
    with pytest.raises(HostRefusedError, match=r"10\.0\.0\.7"):
        judged_addresses("mixed.example", 443, ())
    assert judged_addresses("Mixed.example", 443, {"mixed.example"}) == ["93.184.216.34", "10.0.0.7"]


@pytest.mark.parametrize(
    "address",
    ["http://example.com/hook", "https://", "ftp://example.com", "https://user:pw@example.com", "https://a b.example",
     "https://example.com/#part", "https://example.com:99999/", "example.com", "https://" + "a" * 2000 + ".example"],
)  # fmt: skip
def test_an_address_that_cannot_be_one_is_refused_with_its_field(cast: Cast, address: str) -> None:
    with pytest.raises(ChangeRefused) as refused:
        add_contact_point(cast.dana.pk, channel="webhook", address=address, actor="test")
    assert refused.value.problems[0].reason == "not_a_web_address"


def test_the_body_is_what_the_documentation_shows(cast: Cast, desk: Desk, receiver: Receiver) -> None:
    node_fails(desk)
    said = json.loads(receiver.posted[0].body)
    assert set(said) == {"type", "timestamp", "data"}
    assert set(said["data"]) == {"id", "customer", "class", "language", "subject", "text", "code", "page"}


def test_a_whole_worker_serves_the_channels_beside_mail_and_text(cast: Cast, receiver: Receiver) -> None:
    speak_by("[webhook, inbox, call]")
    ContactPoint.objects.create(customer=cast.bram, channel="inbox", address="my page")
    ContactPoint.objects.create(customer=cast.chitra, channel="phone", address="+919812345678")
    post_webhook([alert(starts_at=at(-5))])
    worker = Worker()

    def work() -> None:
        worker.run()
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()

    def ends() -> dict[int, tuple[str, str, str]]:
        return {one.customer_id: (one.channel, one.state, one.reason) for one in Message.objects.all()}

    wanted = {
        cast.dana.pk: ("webhook", "sent", ""),
        cast.bram.pk: ("inbox", "refused", "unread"),
        cast.chitra.pk: ("call", "refused", "to_be_called"),
        cast.aisha.pk: ("webhook", "refused", "no_contact_point"),
    }
    deadline = time.monotonic() + 60
    while ends() != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    worker.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert ends() == wanted
    assert len(receiver.posted) == 1
