"""Could not tell: the customers of an incident whom no message reaches, and that a person has told them."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.api.affected import Names, customer_ids_of
from beforehand.api.idempotency import creates
from beforehand.api.incidents import find_incident
from beforehand.api.operations import (
    REFUSALS,
    USUAL_LIMIT,
    Given,
    Limit,
    May,
    Page,
    actor_of,
    paged,
    read_cursor,
)
from beforehand.api.problems import not_found
from beforehand.engine.calls import CallResult
from beforehand.incidents.affected import origin_of
from beforehand.incidents.untold import Untold, untold_ids, untold_page
from beforehand.kit import clock
from beforehand.outbound.by_hand import tell_by_hand
from beforehand.outbound.calls import Called, record_call
from beforehand.outbound.models import Message, ToldByPerson

router = Router(tags=["incidents"])


class TriedOut(BaseModel):
    channel: str
    reason: str


class AddressOut(BaseModel):
    channel: str
    address: str
    status: str


class UntoldOut(BaseModel):
    """A customer whom no message reaches: why each channel failed, and what there is to reach them by."""

    customer: str
    name: str
    language: str
    priority: str
    reason: str
    tried: list[TriedOut]
    addresses: list[AddressOut]
    since: datetime | None
    message: int
    """Our newest word to them, which a call is about."""
    call_again_at: datetime | None


class ToldIn(Given):
    """Customers (external ids) whom a person has told."""

    customers: Names
    how: ToldByPerson.How
    note: Annotated[str, Field(max_length=500)] = ""


class CalledIn(Given):
    """How a call to one customer (external id) ended; `message` is the list's."""

    customer: Annotated[str, Field(max_length=200)]
    message: Annotated[int, Field(ge=1, lt=2**63)]
    result: CallResult
    note: Annotated[str, Field(max_length=500)] = ""


class CalledOut(BaseModel):
    """Whether the customer is told now, and if not, when to call again."""

    told: bool
    call_again_at: datetime | None


class ToldOut(BaseModel):
    """How many of them were on the list, and now count as told."""

    told: int


@router.get("/{incident}/could-not-tell", auth=May("incidents:read"), response={200: Page[UntoldOut], **REFUSALS})
def list_untold(request: HttpRequest, incident: UUID, limit: Limit = USUAL_LIMIT, cursor: str = "") -> Any:
    """Whom no message reaches and nobody has told yet; care alarms first. They count as not told."""
    found = find_incident(incident)
    place = read_cursor("could-not-tell", cursor, int, int, int)
    after = (place[0], place[1], place[2]) if place else None
    rows = untold_page(found.pk, now=clock.now(), after=after, limit=limit + 1)

    def shown(row: Untold) -> dict[str, Any]:
        return {
            "customer": row.external_id,
            "name": row.name,
            "language": row.language,
            "priority": row.priority,
            "reason": row.reason,
            "tried": [
                {"channel": row.channel, "reason": row.reason},
                *({"channel": channel, "reason": reason} for channel, reason in row.passed_over or ()),
            ],
            "addresses": [
                {"channel": channel, "address": address, "status": status} for channel, address, status in row.addresses
            ],
            "since": row.since,
            "message": row.message_id,
            "call_again_at": row.call_again_at,
        }

    return paged("could-not-tell", rows, limit=limit, shown=shown, place=lambda row: row.place)


@router.post("/{incident}/could-not-tell/told", auth=May("incidents:write"), response={200: ToldOut, **REFUSALS})
@creates
def mark_told(request: HttpRequest, incident: UUID, whom: ToldIn) -> Any:
    """Say that a person has told these customers, and how; who could be told by message is left alone."""
    found = find_incident(incident)
    ids = untold_ids(found.pk, among=customer_ids_of(whom.customers))
    told = tell_by_hand(
        origin_of(found.pk), customer_ids=ids, how=whom.how, note=whom.note, actor=actor_of(request), now=clock.now()
    )
    return {"told": told}


@router.post("/{incident}/could-not-tell/called", auth=May("incidents:write"), response={200: CalledOut, **REFUSALS})
@creates
def note_call(request: HttpRequest, incident: UUID, call: CalledIn) -> Any:
    """Note how a call to somebody on the list ended: who was reached is told, a wrong number is not used any more."""
    found = find_incident(incident)
    ids = untold_ids(found.pk, among=customer_ids_of([call.customer]))
    try:
        called = Called(call.message, call.result, call.note)
        if not ids:
            raise Message.DoesNotExist
        after = record_call(ids[0], called, actor=actor_of(request), now=clock.now())
    except Message.DoesNotExist:
        raise not_found(f"message {call.message} to customer “{call.customer[:100]}” on the list") from None
    return {"told": after.is_told, "call_again_at": after.again_at}
