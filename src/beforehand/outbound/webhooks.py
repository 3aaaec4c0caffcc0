"""Messages to organisations as JSON, signed as the Standard Webhooks specification says (v1: HMAC-SHA256).

Each contact point has a secret of its own, derived from the installation's: nothing to store, and nothing to leak. While the
installation's secret is being changed, a message bears a signature by the new one and by each former one.
"""

import base64
import hashlib
import hmac
from datetime import datetime

import orjson
from django.conf import settings

from beforehand.accounts.installation import Installation
from beforehand.engine.message_classes import MessageClass
from beforehand.engine.retries import Retry, retry_after_post_refusal
from beforehand.outbound.claims import Claim
from beforehand.outbound.media import values_of
from beforehand.outbound.models import Channel
from beforehand.outbound.outside import OutgoingPost
from beforehand.outbound.skeletons import Compiler, compile_batch
from beforehand.outbound.smtp_protocol import Outcome
from beforehand.outbound.templates import MailSkeleton

GONE = frozenset({410})


def signing_secrets(contact_point_id: int) -> list[bytes]:
    """The present secret of this address first, then those from former secrets of the installation."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [hmac.digest(secret.encode(), f"webhook:{contact_point_id}".encode(), hashlib.sha256) for secret in secrets]


def shown_secret(contact_point_id: int) -> str:
    """The secret as whoever checks our signatures configures it."""
    return f"whsec_{base64.b64encode(signing_secrets(contact_point_id)[0]).decode()}"


def signatures(contact_point_id: int, *, id: str, at: datetime, body: bytes) -> str:
    """The header `webhook-signature`."""
    said = f"{id}.{int(at.timestamp())}.".encode() + body
    return " ".join(
        f"v1,{base64.b64encode(hmac.digest(secret, said, hashlib.sha256)).decode()}"
        for secret in signing_secrets(contact_point_id)
    )


class WebhookMedium:
    """Messages to a customer's own system, each to its https address."""

    channel = Channel.WEBHOOK.value
    flight = 1
    reports_later = False
    by_hand = ""
    until_opened = ""
    compiler: Compiler[MailSkeleton] = staticmethod(compile_batch)

    def rate(self, standard: Installation) -> float:
        """Posts a second; 0 is as fast as the receivers take them."""
        return standard.webhook_rate

    def made(self, one: Claim, text: MailSkeleton, *, message_class: MessageClass, now: datetime) -> OutgoingPost:
        """The post for one recipient; raises `MailValueError`. Its id is the message's, so a repetition is known as one."""
        values = values_of(one, now)
        said = text.preview(values)
        id = f"msg_{one.bucket}_{one.message_id}"
        body = orjson.dumps(
            {
                "type": "message",
                "timestamp": now,
                "data": {
                    "id": id,
                    "customer": one.name,
                    "class": message_class.value,
                    "language": one.language,
                    "subject": said.subject,
                    "text": said.text,
                    "code": one.code,
                    "page": values["my_page_url"],
                },
            }
        )
        headers = {
            "content-type": "application/json",
            "user-agent": "beforehand",
            "webhook-id": id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signatures(one.contact_point_id or 0, id=id, at=now, body=body),
        }
        return OutgoingPost(one.key, one.address or "", tuple(headers.items()), body, GONE)

    def after_rejection(self, outcome: Outcome) -> Retry:
        """What follows when the receiver refuses for good."""
        return retry_after_post_refusal(outcome.enhanced or "")
