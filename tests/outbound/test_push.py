"""Web push to a service that speaks its protocol: only the browser can read it, and a subscription that is gone is dead."""

import base64
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.cast import Cast, make_cast
from tests.desk import Desk, speak_by
from tests.driving import alert, driving, outage_rule, post_webhook
from tests.receiver import Answer, Posted, Receiver

from beforehand.customers.actions import add_contact_point
from beforehand.customers.bulk.problems import ChangeRefused
from beforehand.customers.models import ContactPoint
from beforehand.kit.clock import travel
from beforehand.outbound.delivery import DeliveryLoop
from beforehand.outbound.media import live_channels
from beforehand.outbound.models import Delivery, Message
from beforehand.outbound.outside import PostCourier
from beforehand.outbound.push import PushMedium, encrypted, public_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
KEY = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _hmac(key: bytes, said: bytes) -> bytes:
    made = hmac.HMAC(key, hashes.SHA256())
    made.update(said)
    return made.finalize()


class FakeBrowser:
    """A browser's side of RFC 8291, written from the RFC alone: its keys, and how it reads what came."""

    def __init__(self, private: int | None = None, secret: bytes = b"0123456789abcdef") -> None:
        self.private = (
            ec.generate_private_key(ec.SECP256R1())
            if private is None
            else ec.derive_private_key(private, ec.SECP256R1())
        )
        self.secret = secret

    @property
    def point(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def subscription(self, endpoint: str) -> str:
        return json.dumps({"endpoint": endpoint, "keys": {"p256dh": b64(self.point), "auth": b64(self.secret)}})

    def read(self, body: bytes) -> bytes:
        salt, length = body[:16], body[20]
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        shared = self.private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        info = b"WebPush: info\x00" + self.point + sender
        ikm = _hmac(_hmac(self.secret, shared), info + b"\x01")
        prk = _hmac(salt, ikm)
        key = _hmac(prk, b"Content-Encoding: aes128gcm\x00\x01")[:16]
        nonce = _hmac(prk, b"Content-Encoding: nonce\x00\x01")[:12]
        opened = AESGCM(key).decrypt(nonce, sealed, None)
        content, end = opened.rstrip(b"\x00")[:-1], opened.rstrip(b"\x00")[-1:]
        assert end == b"\x02", "the last record"
        return content


def signed(post: Posted) -> tuple[dict[str, Any], str]:
    """What the service reads of us: the claims, after checking the signature, and our public key."""
    scheme, _, rest = post.headers["authorization"].partition(" ")
    assert scheme == "vapid"
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    head, claims, signature = parts["t"].split(".")
    raw = unb64(signature)
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64(parts["k"]))
    key.verify(der, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    return json.loads(unb64(claims)), parts["k"]


def test_the_browser_of_the_tests_reads_the_example_of_the_rfc() -> None:
    """RFC 8291 §5 and Appendix A."""
    browser = FakeBrowser(
        int.from_bytes(unb64("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), "big"), unb64("BTBZMqHH6r4Tts7J_aSIgg")
    )
    body = (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl"
        "7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    assert browser.read(unb64(body)) == b"When I grow up, I want to be a watermelon"


def test_only_the_browser_can_read_it() -> None:
    browser, other = FakeBrowser(), FakeBrowser()
    body = encrypted("نص".encode(), browser_key=browser.point, secret=browser.secret)
    assert browser.read(body) == "نص".encode()
    with pytest.raises(Exception):  # noqa: B017 -- whatever a cipher says of a wrong key
        other.read(body)


@pytest.fixture
def service() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def phone() -> FakeBrowser:
    return FakeBrowser()


@pytest.fixture
def cast(service: Receiver, phone: FakeBrowser, settings: Any) -> Cast:
    settings.PUSH_KEY, settings.PRIVATE_HOSTS = KEY, ("127.0.0.1",)
    cast = make_cast()
    add_contact_point(
        cast.aisha.pk, channel="push", address=phone.subscription(f"{service.url}/push/abc"), actor="test"
    )
    outage_rule(owner=cast.team, resolve_after_seconds=100_000, texts={"ar": {"title": "انقطاع الإنترنت"}})
    speak_by("[push, email]")
    return cast


@pytest.fixture
def desk(cast: Cast) -> Iterator[Desk]:
    with driving() as mails, PostCourier(connections=2, private_hosts=["127.0.0.1"], timeout=2) as courier:
        yield Desk(mails, DeliveryLoop(courier, worker=uuid.uuid4(), medium=PushMedium(KEY)))


def node_fails(desk: Desk) -> None:
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        desk.settle()


def message_to(cast: Cast) -> Message:
    return Message.objects.get(customer_id=cast.aisha.pk)


def test_a_browser_gets_its_notification_signed_by_us_and_in_its_language(
    cast: Cast, desk: Desk, service: Receiver, phone: FakeBrowser
) -> None:
    node_fails(desk)
    [post] = service.posted
    said = json.loads(phone.read(post.body))
    assert "انقطاع الإنترنت" in said["body"]
    assert message_to(cast).code in said["body"]
    assert (said["lang"], said["dir"]) == ("ar", "rtl")
    assert "/my/" in said["url"]
    assert (post.headers["content-encoding"], post.headers["urgency"]) == ("aes128gcm", "high")
    assert int(post.headers["ttl"]) > 0
    claims, key = signed(post)
    assert key == public_key(KEY)
    assert (claims["aud"], claims["exp"]) == (service.url, int(at(3 + 12 * 60).timestamp()))
    assert claims["sub"].startswith("mailto:")
    assert (message_to(cast).state, message_to(cast).channel) == ("sent", "push")
    assert len(desk.mails.mailbox.accepted) == 3


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_is_gone_is_dead_and_the_next_channel_has_its_turn(
    cast: Cast, desk: Desk, service: Receiver, status: int
) -> None:
    service.usual = Answer(status)
    node_fails(desk)
    point = ContactPoint.objects.get(channel="push")
    assert (point.status, point.status_reason) == ("dead", "gone")
    told = message_to(cast)
    assert (told.state, told.channel, told.passed_over) == ("sent", "email", [["push", "gone"]])


def test_a_service_that_asks_for_time_gets_it(cast: Cast, desk: Desk, service: Receiver) -> None:
    service.script = [Answer(429, {"Retry-After": "120"})]
    node_fails(desk)
    assert (message_to(cast).state, message_to(cast).due_at) == ("queued", at(5))
    with travel(at(4.9)):
        desk.settle()
    assert len(service.posted) == 1
    with travel(at(5)):
        desk.settle()
    assert [one.state for one in Delivery.objects.filter(channel="push").order_by("attempt")] == [
        "deferred",
        "accepted",
    ]


def test_without_a_key_it_is_passed_over_with_the_reason(cast: Cast, desk: Desk, settings: Any) -> None:
    settings.PUSH_KEY = None
    assert "push" not in live_channels()
    node_fails(desk)
    assert message_to(cast).passed_over == [["push", "channel_off"]]
    assert len(desk.mails.mailbox.accepted) == 4


def test_a_service_inside_our_network_is_not_spoken_to(cast: Cast, service: Receiver) -> None:
    with driving() as mails, PostCourier(connections=1, timeout=2) as courier:
        node_fails(Desk(mails, DeliveryLoop(courier, worker=uuid.uuid4(), medium=PushMedium(KEY))))
    assert not service.posted
    assert message_to(cast).passed_over == [["push", "host_refused"]]


@pytest.mark.parametrize(
    "address",
    ["", "{}", "[]", "null", '{"endpoint": "https://push.example/1"}',
     '{"endpoint": "https://push.example/1", "keys": {"p256dh": "AAAA", "auth": "AAAA"}}'],
)  # fmt: skip
def test_what_is_no_subscription_is_refused(cast: Cast, address: str) -> None:
    with pytest.raises(ChangeRefused) as refused:
        add_contact_point(cast.dana.pk, channel="push", address=address, actor="test")
    assert refused.value.problems[0].reason == "not_a_subscription"
