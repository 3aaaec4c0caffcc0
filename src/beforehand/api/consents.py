"""Consents: answers to "may we?", appended and never changed."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.api.batches import BatchOut, find_customer, shown_batch
from beforehand.api.idempotency import creates
from beforehand.api.operations import (
    MAX_ROWS,
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
from beforehand.customers.actions import record_consents
from beforehand.customers.models import Consent

router = Router(tags=["consents"])
history = Router(tags=["consents"])


class AnswerOut(BaseModel):
    """One answer: of a class and channel, the one answered last counts."""

    message_class: str
    channel: str
    given: bool
    wording: str
    how: str
    asked_by: str
    answered_at: datetime


class ConsentsIn(Given):
    """Up to 5,000 answers."""

    rows: list[dict[str, Any]] = Field(
        max_length=MAX_ROWS,
        description="Each has customer (external id), message_class, channel, given, wording, how; and may have "
        "asked_by and answered_at.",
    )


def shown_consent(consent: Consent) -> dict[str, Any]:
    """An answer, as JSON."""
    return {name: getattr(consent, name) for name in AnswerOut.model_fields}


@history.get("/{customer}/consents", auth=May("customers:read"), response={200: Page[AnswerOut], **REFUSALS})
def list_consents(request: HttpRequest, customer: str, limit: Limit = USUAL_LIMIT, cursor: str = "") -> Any:
    """Every answer that the customer gave, the one written last first."""
    place = read_cursor("consents", cursor, int)
    found = find_customer(customer).consents.order_by("-pk")
    if place:
        found = found.filter(pk__lt=place[0])
    return paged("consents", list(found[: limit + 1]), limit=limit, shown=shown_consent, place=lambda one: (one.pk,))


@router.post("", auth=May("customers:write"), response={200: BatchOut, **REFUSALS})
@creates
def post_consents(request: HttpRequest, batch: ConsentsIn) -> Any:
    """Add answers; one that says nothing new adds nothing."""
    return shown_batch(record_consents(batch.rows, actor=actor_of(request), source="api"))
