"""Messages: what was said to whom, or not, and why; each attempt to get it there."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.api.batches import find_customer
from beforehand.api.incidents import find_incident
from beforehand.api.operations import (
    REFUSALS,
    USUAL_LIMIT,
    Limit,
    May,
    Page,
    paged,
    read_cursor,
    write_cursor,
)
from beforehand.api.problems import invalid, not_found
from beforehand.customers.models import Customer
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.kit.ids import BUCKETS
from beforehand.outbound.models import Delivery, Message, MessageBatch
from beforehand.outbound.queries import batch_messages, newest_messages

router = Router(tags=["messages"])
WINDOW = 500
"""So many of the newest messages a page looks through for a state: none reads every message ever sent."""

_ID = re.compile(r"([0-9]{1,2})-([0-9]{1,18})", re.ASCII)
_ORIGIN = re.compile(r"incident:([0-9]{1,18})", re.ASCII)


class MessageOut(BaseModel):
    """A message; `why` holds the ids and codes from which one sentence says why it was said, `reason` why not."""

    id: str
    customer: str | None
    incident: UUID | None
    step: str
    message_class: str
    channel: str
    language: str
    state: str
    reason: str
    reason_until: datetime | None
    why: dict[str, Any]
    attempts: int
    due_at: datetime
    created_at: datetime
    ended_at: datetime | None


class DeliveryOut(BaseModel):
    """One attempt; `code`, `enhanced` and `answer` are the provider's."""

    attempt: int
    channel: str
    state: str
    code: int | None
    enhanced: str
    answer: str
    started_at: datetime
    ended_at: datetime | None


class PassedOverOut(BaseModel):
    channel: str
    reason: str


class WholeMessageOut(MessageOut):
    """`code` is the short code by which the customer can check that it came from us.

    `passed_over` are the channels before this one, each with why it was not, or could not be, used.
    """

    code: str
    passed_over: list[PassedOverOut]
    next_update_at: datetime | None
    deliveries: list[DeliveryOut]


def incident_ids(origins: Iterable[str]) -> dict[str, UUID]:
    """The public id of each incident among these origins; one query."""
    keys = {origin: int(found[1]) for origin in origins if (found := _ORIGIN.fullmatch(origin))}
    public = dict(Incident.objects.filter(pk__in=keys.values()).values_list("pk", "public_id"))
    return {origin: public[key] for origin, key in keys.items() if key in public}


def _shown(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Messages (rows of the table, or lines of a list) as JSON; three queries, however many."""
    batches = MessageBatch.objects.defer("texts", "facts").in_bulk({row.batch_id for row in rows})
    incidents = incident_ids({batch.origin for batch in batches.values()})
    names = dict(Customer.objects.filter(pk__in={row.customer_id for row in rows}).values_list("pk", "external_id"))
    same = (
        "channel", "language", "state", "reason", "reason_until", "attempts", "due_at", "created_at", "ended_at",
    )  # fmt: skip
    shown = []
    for row in rows:
        batch = batches[row.batch_id]
        shown.append(
            {name: getattr(row, name) for name in same}
            | {
                "id": f"{row.bucket}-{row.id}",
                "customer": names.get(row.customer_id),
                "incident": incidents.get(batch.origin),
                "step": batch.step,
                "message_class": batch.message_class,
                "why": batch.why,
            }
        )
    return shown


@router.get("", auth=May("messages:read"), response={200: Page[MessageOut], **REFUSALS})
def list_messages(
    request: HttpRequest,
    customer: Annotated[str, Field(max_length=200, description="Id or external id.")] = "",
    incident: UUID | None = None,
    state: Message.State | None = None,
    limit: Limit = USUAL_LIMIT,
    cursor: str = "",
) -> Any:
    """Messages, newest first; those of an incident in the order in which they were decided.

    With a state, a page may be shorter than `limit`, even empty, while `next` still leads on.
    """
    if customer and incident:
        raise invalid("Ask for a customer or for an incident, not for both.", parameter="incident")
    if customer:
        return _of_customer(find_customer(customer).pk, state=state, limit=limit, cursor=cursor)
    if incident:
        return _of_incident(find_incident(incident), state=state, limit=limit, cursor=cursor)
    return _of_all(state=state, limit=limit, cursor=cursor)


def _of_customer(customer_id: int, *, state: Message.State | None, limit: int, cursor: str) -> dict[str, Any]:
    place = read_cursor("messages-of-customer", cursor, int)
    found = Message.objects.filter(bucket=customer_id % BUCKETS, customer_id=customer_id).order_by("-id")
    if state:
        found = found.filter(state=state)
    if place:
        found = found.filter(id__lt=place[0])
    return _page("messages-of-customer", list(found[: limit + 1]), limit, lambda row: (row.id,))


def _of_incident(incident: Incident, *, state: Message.State | None, limit: int, cursor: str) -> dict[str, Any]:
    """Batch by batch: the incident's first word to everyone, then the next."""
    place = read_cursor("messages-of-incident", cursor, int, int, int) or (0, 0, 0)
    if not 0 <= place[1] < BUCKETS:
        raise invalid("This cursor is not one of this list.", code="bad_cursor", parameter="cursor")
    batches = MessageBatch.objects.filter(origin=origin_of(incident.pk), pk__gte=place[0]).order_by("pk")
    rows: list[Any] = []
    for batch_id in batches.values_list("pk", flat=True):
        after = (place[1], place[2]) if batch_id == place[0] else None
        wanted = limit + 1 - len(rows)
        rows += batch_messages(batch_id, state=state.value if state else "", after=after, limit=wanted)
        if len(rows) > limit:
            break
    return _page("messages-of-incident", rows, limit, lambda row: (row.batch_id, row.bucket, row.customer_id))


def _of_all(*, state: Message.State | None, limit: int, cursor: str) -> dict[str, Any]:
    place = read_cursor("messages", cursor, int)
    window = WINDOW if state else limit + 1
    looked = newest_messages(before=place[0] if place else None, limit=window)
    rows = [row for row in looked if state is None or row.state == state]
    if len(rows) <= limit and len(looked) == window and state:
        return {"items": _shown(rows), "next": write_cursor("messages", looked[-1].id)}
    return _page("messages", rows, limit, lambda row: (row.id,))


def _page(name: str, rows: Sequence[Any], limit: int, place: Any) -> dict[str, Any]:
    page = paged(name, rows, limit=limit, shown=lambda row: row, place=place)
    return {"items": _shown(page["items"]), "next": page["next"]}


@router.get("/{message}", auth=May("messages:read"), response={200: WholeMessageOut, **REFUSALS})
def read_message(request: HttpRequest, message: str) -> Any:
    """One message with every attempt to deliver it."""
    found = _ID.fullmatch(message)
    bucket, message_id = (int(found[1]), int(found[2])) if found else (-1, -1)
    row = Message.objects.filter(bucket=bucket, id=message_id).first() if found else None
    if row is None:
        raise not_found("such message")
    (shown,) = _shown([row])
    batch = MessageBatch.objects.only("next_update_at").get(pk=row.batch_id)
    deliveries = Delivery.objects.filter(bucket=bucket, message_id=message_id).order_by("attempt")
    return shown | {
        "code": row.code,
        "passed_over": [{"channel": channel, "reason": reason} for channel, reason in row.passed_over or ()],
        "next_update_at": row.next_update_at or batch.next_update_at,
        "deliveries": [{name: getattr(one, name) for name in DeliveryOut.model_fields} for one in deliveries],
    }
