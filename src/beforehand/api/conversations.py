"""Conversations: what customers wrote about one thing, and what we said to them about it."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.api.batches import find_customer
from beforehand.api.incidents import find_incident
from beforehand.api.messages import incident_ids
from beforehand.api.operations import REFUSALS, USUAL_LIMIT, Limit, May, Page, paged, read_cursor
from beforehand.api.problems import not_found
from beforehand.conversations.models import MessageIn
from beforehand.conversations.threads import Conversation, conversation_of, conversations, said_in, written_in
from beforehand.customers.models import Customer
from beforehand.incidents.affected import origin_of
from beforehand.outbound.models import Message

router = Router(tags=["conversations"])


class ConversationOut(BaseModel):
    """What a customer wrote about an incident, or about nothing that we know of; `waiting` of it nobody has seen to."""

    id: UUID
    customer: str | None
    incident: UUID | None
    began_at: datetime
    last_at: datetime
    messages: int
    waiting: int


class WrittenOut(BaseModel):
    """What the customer wrote; `answers` is the message of ours that it answers, `new_text` its text without quotations.

    `attachments` are the names of what hung on it; `handled_at` is when a person had seen to it.
    """

    direction: Literal["in"] = "in"
    id: UUID
    channel: str
    kind: str
    at: datetime
    language: str
    sender: str
    is_known_sender: bool
    matched_by: str
    answers: str | None
    subject: str
    text: str
    new_text: str
    attachments: list[str]
    handled_at: datetime | None


class SaidOut(BaseModel):
    """What we said to the customer, or why not; `GET /messages/{id}` has the rest."""

    direction: Literal["out"] = "out"
    id: str
    channel: str
    state: str
    reason: str
    at: datetime
    language: str


class WholeConversationOut(ConversationOut):
    """With the newest 200 messages of each side, oldest first."""

    thread: list[WrittenOut | SaidOut]


def _shown(found: list[Conversation]) -> list[dict[str, Any]]:
    """Conversations as JSON; two queries, however many."""
    incidents = incident_ids({one.origin for one in found})
    names = dict(Customer.objects.filter(pk__in={one.customer_id for one in found}).values_list("pk", "external_id"))
    return [
        {
            "id": one.public_id,
            "customer": names.get(one.customer_id),
            "incident": incidents.get(one.origin),
            "began_at": one.began_at,
            "last_at": one.last_at,
            "messages": one.messages,
            "waiting": one.waiting,
        }
        for one in found
    ]


@router.get("", auth=May("conversations:read"), response={200: Page[ConversationOut], **REFUSALS})
def list_conversations(
    request: HttpRequest,
    customer: Annotated[str, Field(max_length=200, description="Id or external id.")] = "",
    incident: UUID | None = None,
    waiting: Annotated[bool | None, Field(description="Whether something of it waits for a person.")] = None,
    limit: Limit = USUAL_LIMIT,
    cursor: str = "",
) -> Any:
    """Conversations, the one that began last first."""
    place = read_cursor("conversations", cursor, int)
    found = conversations(
        customer_id=find_customer(customer).pk if customer else None,
        origin=origin_of(find_incident(incident).pk) if incident else "",
        is_waiting=waiting,
        before=place[0] if place else None,
        limit=limit + 1,
    )
    page = paged("conversations", found, limit=limit, shown=lambda one: one, place=lambda one: (one.id,))
    return {"items": _shown(page["items"]), "next": page["next"]}


@router.get("/{conversation}", auth=May("conversations:read"), response={200: WholeConversationOut, **REFUSALS})
def read_conversation(request: HttpRequest, conversation: UUID) -> Any:
    """One conversation with what both sides said."""
    found = conversation_of(conversation)
    if found is None:
        raise not_found("such conversation")
    (shown,) = _shown([found])
    thread = [*map(_written, written_in(found)), *map(_said, said_in(found))]
    return shown | {"thread": sorted(thread, key=lambda one: one["at"])}


def _written(one: MessageIn) -> dict[str, Any]:
    same = (
        "channel", "kind", "language", "sender", "is_known_sender", "matched_by", "subject", "text", "new_text",
        "attachments", "handled_at",
    )  # fmt: skip
    answers = f"{one.answers_bucket}-{one.answers_id}" if one.answers_id is not None else None
    own = {"direction": "in", "id": one.public_id, "at": one.received_at, "answers": answers}
    return own | {name: getattr(one, name) for name in same}


def _said(one: Message) -> dict[str, Any]:
    own = {"direction": "out", "id": f"{one.bucket}-{one.id}", "at": one.ended_at or one.created_at}
    return own | {name: getattr(one, name) for name in ("channel", "state", "reason", "language")}
