"""Web push (RFC 8030): a knock on the door of a browser, for what stands in its owner's inbox.

What the push service carries is encrypted for the browser alone (RFC 8291), and signed with our key (VAPID, RFC 8292).
"""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import http_ece
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from py_vapid import Vapid02

from beforehand.accounts.installation import Installation, installation
from beforehand.engine.languages import direction
from beforehand.engine.message_classes import MessageClass
from beforehand.engine.retries import Retry, retry_after_post_refusal
from beforehand.outbound.addresses import AddressRefusedError
from beforehand.outbound.claims import Claim
from beforehand.outbound.media import values_of
from beforehand.outbound.models import Channel, MessageBatch
from beforehand.outbound.outside import OutgoingPost
from beforehand.outbound.short_texts import ShortText
from beforehand.outbound.skeletons import Compiler, compile_short_batch
from beforehand.outbound.smtp_protocol import Outcome

GONE = frozenset({404, 410})
KEPT = timedelta(hours=12)
"""How long a push service keeps a message for a browser that is not there."""
SIGNED_FOR, SIGNED_AGAIN = timedelta(hours=12), timedelta(hours=11)
"""A signature is good for at most a day (RFC 8292 §2), and is used for many messages to one service."""
MOST_BYTES = 2_800
"""Of the words; with all around them a push service takes 4,096."""


def public_key(private: str) -> str:
    """What a browser has to know of our key to subscribe with us: base64url, uncompressed."""
    numbers = Vapid02.from_raw(private.encode()).public_key.public_numbers()
    point = b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


def encrypted(content: bytes, *, browser_key: bytes, secret: bytes) -> bytes:
    """The content as only this browser can read it (RFC 8291), with a key made for this one message."""
    body: bytes = http_ece.encrypt(
        content,
        private_key=ec.generate_private_key(ec.SECP256R1()),
        dh=browser_key,
        auth_secret=secret,
        version="aes128gcm",
    )
    return body


@dataclass(frozen=True, slots=True)
class Knock:
    """A compiled notification: who speaks, and the words."""

    title: str
    words: ShortText


def compile_knock(
    batch: MessageBatch,
    *,
    language: str,
    zone: str,
    formal: bool,
    large_print: bool = False,
    only_changes: bool = False,
    next_update_at: datetime | None = None,
) -> Knock:
    """The batch's notification for one kind of reader; raises `TemplateRefusedError`."""
    brand = installation().brand
    words = compile_short_batch(
        batch,
        language=language,
        zone=zone,
        formal=formal,
        large_print=large_print,
        only_changes=only_changes,
        next_update_at=next_update_at,
        brand=brand,
    )
    return Knock(brand.name, words)


class PushMedium:
    """Notifications to browsers that asked for them."""

    channel = Channel.PUSH.value
    flight = 5
    reports_later = True
    by_hand = ""
    until_opened = ""
    compiler: Compiler[Knock] = staticmethod(compile_knock)

    def __init__(self, private_key: str) -> None:
        self._signer = Vapid02.from_raw(private_key.encode())
        self._signed: dict[str, tuple[datetime, str]] = {}

    def rate(self, standard: Installation) -> float:
        """Notifications a second; 0 is as fast as the push services take them."""
        return standard.push_rate

    def made(self, one: Claim, text: Knock, *, message_class: MessageClass, now: datetime) -> OutgoingPost:
        """The notification for one browser; raises `MailValueError` and `AddressRefusedError`."""
        values = values_of(one, now)
        words = text.words.fill(values).encode()[:MOST_BYTES].decode("utf-8", "ignore")
        said = {
            "title": text.title,
            "body": words,
            "url": values["my_page_url"],
            "tag": f"{one.bucket}-{one.message_id}",
            "lang": one.language,
            "dir": direction(one.language).value,
        }
        try:
            subscription = orjson.loads(one.address or "")
            url, keys = subscription["endpoint"], subscription["keys"]
            body = encrypted(orjson.dumps(said), browser_key=_decoded(keys["p256dh"]), secret=_decoded(keys["auth"]))
        except (ValueError, KeyError, TypeError) as error:
            raise AddressRefusedError("this is no subscription of a browser") from error
        headers = (
            ("content-encoding", "aes128gcm"),
            ("content-type", "application/octet-stream"),
            ("ttl", str(int(KEPT.total_seconds()))),
            ("urgency", "high" if message_class is MessageClass.SERVICE_CRITICAL else "normal"),
            ("authorization", self._authorization(url, now)),
        )
        return OutgoingPost(one.key, url, headers, body, GONE)

    def after_rejection(self, outcome: Outcome) -> Retry:
        """What follows when the push service refuses for good."""
        return retry_after_post_refusal(outcome.enhanced or "")

    def _authorization(self, url: str, now: datetime) -> str:
        place = urlsplit(url)
        audience = f"{place.scheme}://{place.netloc}"
        signed_at, header = self._signed.get(audience, (now - SIGNED_FOR, ""))
        if not header or now - signed_at >= SIGNED_AGAIN:
            expires = int((now + SIGNED_FOR).timestamp())
            claims = {"aud": audience, "exp": expires, "sub": f"mailto:{settings.MAIL_FROM}"}
            header = self._signer.sign(claims)["Authorization"]
            self._signed[audience] = (now, header)
        return header


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
