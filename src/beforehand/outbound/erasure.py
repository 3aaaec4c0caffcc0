"""What was said to one customer: given out as it was sent, and blanked. That they were told, when and by what, stays."""

from typing import Any

from beforehand.customers.holders import Erasing, Holder, Rows, register_holder, rows_of
from beforehand.kit.ids import bucket_of
from beforehand.kit.rows import bulk
from beforehand.outbound.models import Message, MessageBatch
from beforehand.outbound.reading import as_sent
from beforehand.outbound.templates import MailValueError, TemplateRefusedError


def _export(customer_id: int) -> dict[str, Rows]:
    bucket = bucket_of(customer_id)
    messages = rows_of(
        """
        FROM outbound_message t WHERE bucket = %(bucket)s::smallint AND customer_id = %(customer)s::bigint ORDER BY id
        """,
        customer_id,
        bucket=bucket,
    )
    said = {
        message.id: message for message in Message.objects.filter(bucket=bucket, customer_id=customer_id).order_by("id")
    }
    batches = MessageBatch.objects.in_bulk({message.batch_id for message in said.values()})
    for row in messages:
        message = said.get(row["id"])
        batch = batches.get(row["batch_id"])
        row["as_sent"] = _words(message, batch) if message and batch else None
    deliveries = rows_of(
        """
        FROM outbound_delivery t WHERE bucket = %(bucket)s::smallint AND message_id IN (
            SELECT id FROM outbound_message
            WHERE bucket = %(bucket)s::smallint AND customer_id = %(customer)s::bigint)
        ORDER BY message_id, attempt
        """,
        customer_id,
        bucket=bucket,
    )
    by_hand = rows_of(
        """
        FROM outbound_toldbyperson t WHERE bucket = %(bucket)s::smallint AND customer_id = %(customer)s::bigint
        ORDER BY told_at
        """,
        customer_id,
        bucket=bucket,
    )
    return {"messages": messages, "deliveries": deliveries, "told_by_person": by_hand}


def _words(message: Message, batch: MessageBatch) -> dict[str, Any] | None:
    try:
        mail = as_sent(message, batch)
    except (TemplateRefusedError, MailValueError):
        return None
    return {"subject": mail.subject, "text": mail.text} if mail else None


STOP = """
WITH stopped AS (
    UPDATE outbound_message m SET state = 'cancelled', reason = 'customer_erased', ended_at = %(at)s::timestamptz
    FROM outbound_messagebatch b
    WHERE m.bucket = %(bucket)s::smallint AND m.customer_id = %(customer)s::bigint AND m.state = 'queued'
      AND b.id = m.batch_id
      AND NOT EXISTS (SELECT FROM outbound_delivery d
                      WHERE d.bucket = m.bucket AND d.message_id = m.id AND d.state = 'sending')
    RETURNING m.id, m.batch_id, m.customer_id, m.channel, b.origin
)
INSERT INTO events_event (type, actor, subject, customer_id, data, occurred_at)
SELECT 'message.cancelled', %(actor)s::text, origin, customer_id,
       jsonb_build_object('message', id, 'batch', batch_id, 'channel', channel, 'reason', 'customer_erased'),
       %(at)s::timestamptz
FROM stopped
"""
BLANK_MESSAGES = """
UPDATE outbound_message SET slots = NULL
WHERE bucket = %(bucket)s::smallint AND customer_id = %(customer)s::bigint AND slots IS NOT NULL
"""
BLANK_DELIVERIES = """
UPDATE outbound_delivery SET answer = ''
WHERE bucket = %(bucket)s::smallint AND answer <> '' AND message_id IN (
    SELECT id FROM outbound_message WHERE bucket = %(bucket)s::smallint AND customer_id = %(customer)s::bigint)
"""
"""A mail server's answer likes to repeat the address."""
BLANK_NOTES = """
UPDATE outbound_toldbyperson SET note = ''
WHERE bucket = %(bucket)s::smallint AND customer_id = %(customer)s::bigint AND note <> ''
"""


def _erase(erasing: Erasing) -> dict[str, int]:
    values = {
        "customer": erasing.customer_id,
        "bucket": bucket_of(erasing.customer_id),
        "at": erasing.at,
        "actor": erasing.actor,
    }
    own = {name: values[name] for name in ("customer", "bucket")}
    bulk(STOP, values)
    return {
        "outbound_delivery": bulk(BLANK_DELIVERIES, own),
        "outbound_message": bulk(BLANK_MESSAGES, own),
        "outbound_toldbyperson": bulk(BLANK_NOTES, own),
    }


def register() -> None:
    """Say what this package holds."""
    register_holder(
        Holder(
            name="outbound",
            tables=frozenset({"outbound_message", "outbound_delivery", "outbound_toldbyperson"}),
            export=_export,
            erase=_erase,
        )
    )
