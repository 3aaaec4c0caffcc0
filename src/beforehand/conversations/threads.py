"""Conversations: what a customer and we said to each other about one thing, as one list and each whole.

A conversation is not a row: it is every message in of one customer about one origin (an incident, or nothing that we know),
and it is named after the first of them, so its name and its place in the list never change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from beforehand.conversations.models import MessageIn
from beforehand.kit.ids import bucket_of
from beforehand.kit.rows import bulk_fetch
from beforehand.outbound.models import Message, MessageBatch

NEVER = 2**62
MOST_MESSAGES = 200
"""So many of each side are shown of one conversation, the newest."""

FIRST = """
NOT EXISTS (SELECT FROM conversations_messagein e
            WHERE e.customer_id = f.customer_id AND e.origin = f.origin AND e.id < f.id)
"""
WAITS = """
EXISTS (SELECT FROM conversations_messagein w
        WHERE w.customer_id = f.customer_id AND w.origin = f.origin AND w.handled_at IS NULL AND w.kind = 'written')
"""
CONVERSATIONS = f"""
SELECT f.id, f.public_id, f.customer_id, f.origin, f.received_at, m.last_at, m.messages, m.waiting
FROM (
    SELECT f.* FROM conversations_messagein f
    WHERE f.id < %(before)s::bigint {{conditions}} AND {FIRST}
    ORDER BY f.id DESC LIMIT %(limit)s::int
) f
CROSS JOIN LATERAL (
    SELECT max(a.received_at) AS last_at, count(*) AS messages,
           count(*) FILTER (WHERE a.handled_at IS NULL AND a.kind = 'written') AS waiting
    FROM conversations_messagein a WHERE a.customer_id = f.customer_id AND a.origin = f.origin
) m
ORDER BY f.id DESC
"""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What one customer wrote about one thing; `waiting` of it no person has seen to."""

    id: int
    public_id: UUID
    customer_id: int
    origin: str
    began_at: datetime
    last_at: datetime
    messages: int
    waiting: int


def conversations(
    *,
    customer_id: int | None = None,
    origin: str = "",
    is_waiting: bool | None = None,
    before: int | None = None,
    limit: int,
) -> list[Conversation]:
    """Conversations, the one that began last first; `before` is the id of the last one shown. One query."""
    conditions = ""
    values: dict[str, Any] = {"before": before or NEVER, "limit": limit}
    if customer_id is not None:
        conditions += " AND f.customer_id = %(customer)s::bigint"
        values["customer"] = customer_id
    if origin:
        conditions += " AND f.origin = %(origin)s::text"
        values["origin"] = origin
    if is_waiting is not None:
        conditions += f" AND {'' if is_waiting else 'NOT '}{WAITS}"
    rows = bulk_fetch(CONVERSATIONS.format(conditions=conditions), values)
    return [Conversation(*row) for row in rows]


def conversation_of(public_id: UUID) -> Conversation | None:
    """The conversation of this name; None if there is none, or the name is that of a later message of one."""
    conditions = " AND f.public_id = %(public_id)s::uuid"
    values = {"before": NEVER, "limit": 1, "public_id": public_id}
    rows = bulk_fetch(CONVERSATIONS.format(conditions=conditions), values)
    return Conversation(*rows[0]) if rows else None


def written_in(conversation: Conversation) -> list[MessageIn]:
    """The newest of what the customer wrote, oldest first."""
    found = MessageIn.objects.filter(customer_id=conversation.customer_id, origin=conversation.origin)
    return list(found.order_by("-id")[:MOST_MESSAGES])[::-1]


def said_in(conversation: Conversation) -> Sequence[Message]:
    """The newest of what we said to them about it, or did not, oldest first."""
    if not conversation.origin:
        return []
    batches = MessageBatch.objects.filter(origin=conversation.origin).values_list("pk", flat=True)
    found = Message.objects.filter(
        bucket=bucket_of(conversation.customer_id),
        customer_id=conversation.customer_id,
        batch_id__in=list(batches),
    )
    return list(found.order_by("-id")[:MOST_MESSAGES])[::-1]
