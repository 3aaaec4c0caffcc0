"""What stands in a customer's inbox: which of it they have read, and the noting that they do."""

from collections.abc import Collection
from datetime import datetime

from beforehand.kit.ids import bucket_of
from beforehand.outbound.models import Channel, Delivery, Message
from beforehand.outbound.reports import take_report

IN_THE_INBOX = (Channel.INBOX.value, Channel.PUSH.value)
"""Channels whose messages the customer reads on their page."""
OPENED = "read"


def read_among(customer_id: int, message_ids: Collection[int]) -> set[int]:
    """Those of these messages that the customer has opened."""
    return set(
        Delivery.objects.filter(
            bucket=bucket_of(customer_id), message_id__in=message_ids, state=Delivery.State.DELIVERED
        ).values_list("message_id", flat=True)
    )


def open_message(customer_id: int, message_id: int, *, now: datetime) -> bool:
    """Note that the customer opened a message of their inbox; whether it was theirs and unread."""
    bucket = bucket_of(customer_id)
    own = Message.objects.filter(bucket=bucket, id=message_id, customer_id=customer_id, channel__in=IN_THE_INBOX)
    attempts = own.values_list("attempts", flat=True).first()
    return attempts is not None and take_report((bucket, message_id, attempts), status=OPENED, code="", now=now)
