"""What stands in a customer's inbox: since when, which of it they have opened, and the noting that they do.

Standing there tells nobody. A message counts as told once it was opened; until then its customer is on the list of those
whom no message reaches, unless another channel has reached them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from beforehand.kit.ids import bucket_of
from beforehand.outbound.models import Channel, Delivery, Message
from beforehand.outbound.reports import take_report

IN_THE_INBOX = (Channel.INBOX.value, Channel.PUSH.value)
"""Channels whose messages the customer reads on their page."""
OPENED = "read"

PLACED = Exists(
    Delivery.objects.filter(
        bucket=OuterRef("bucket"),
        message_id=OuterRef("id"),
        channel=Channel.INBOX,
        state__in=[Delivery.State.ACCEPTED, Delivery.State.DELIVERED],
    )
)
"""Of messages: it stands in its customer's inbox, whatever other channels were tried after it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a message stands in its customer's inbox."""

    since: datetime | None
    is_read: bool


def standing_among(customer_id: int, message_ids: Collection[int]) -> dict[int, Standing]:
    """Those of these messages that were placed, and not just announced, or that the customer has opened; by message."""
    return {
        one.message_id: Standing(one.ended_at, one.state == Delivery.State.DELIVERED)
        for one in _placings(customer_id, message_ids)
    }


def open_message(customer_id: int, message_id: int, *, now: datetime) -> bool:
    """Note that the customer opened a message of their inbox; whether it was theirs and unread. It tells them."""
    bucket = bucket_of(customer_id)
    if not Message.objects.filter(bucket=bucket, id=message_id, customer_id=customer_id).exists():
        return False
    placed = _placings(customer_id, [message_id]).last()
    return placed is not None and take_report((bucket, message_id, placed.attempt), status=OPENED, code="", now=now)


def _placings(customer_id: int, message_ids: Collection[int]) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        bucket=bucket_of(customer_id),
        message_id__in=message_ids,
        channel__in=IN_THE_INBOX,
        state__in=[Delivery.State.ACCEPTED, Delivery.State.UNCERTAIN, Delivery.State.DELIVERED],
    ).order_by("message_id", "attempt")
