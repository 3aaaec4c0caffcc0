"""Customers: list and search, read whole, create and change in batches, change one."""

from datetime import date, datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field, RootModel

from beforehand.api.batches import BatchOut, find_customer, shown_batch
from beforehand.api.consents import AnswerOut, shown_consent
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
from beforehand.api.problems import from_rows
from beforehand.customers.actions import change_customer, upsert_customers
from beforehand.customers.bulk.problems import ChangeRefused
from beforehand.customers.models import ContactPoint, Customer
from beforehand.customers.queries import customer_overview
from beforehand.incidents.queries import touching
from beforehand.outbound.webhooks import shown_secret

Search = Annotated[str, Field(max_length=200, description="The beginning of a name, number, address or telephone.")]
router = Router(tags=["customers"])


class CustomerLine(BaseModel):
    """A customer in a list."""

    id: str
    external_id: str
    kind: str
    name: str
    language: str
    time_zone: str
    priority: str
    created_at: datetime
    updated_at: datetime


class ContactPointOut(BaseModel):
    channel: str
    address: str
    rank: int
    status: str
    status_reason: str
    verified_at: datetime | None


class WebhookSecretOut(BaseModel):
    """A webhook of the customer, and the secret with which its owner checks our signatures (Standard Webhooks)."""

    address: str
    secret: str


class HoldingOut(BaseModel):
    external_id: str
    product: str
    place: str
    attributes: dict[str, Any]
    since: date | None
    until: date | None
    is_over: bool
    components: list[str]


class OpenIncident(BaseModel):
    """An incident that touches the customer now, and by what."""

    incident: str
    title: str
    product: str | None
    component: str | None
    since: datetime


class CustomerOut(CustomerLine):
    """All that is known of a customer: how to reach them, what they allowed and own, what is wrong now."""

    salutation: str
    form_of_address: str
    skill_level: str
    access_needs: list[str]
    helper: str | None
    quiet_from: str | None
    quiet_until: str | None
    rhythm: str
    attributes: dict[str, Any]
    contact_points: list[ContactPointOut]
    consents: list[AnswerOut]
    holdings: list[HoldingOut]
    affected_by: list[OpenIncident]


class ChangesIn(RootModel[dict[str, Any]]):
    """Field to value: those of a row of a batch, but for external_id and the addresses."""


class CustomersIn(Given):
    """Up to 5,000 customers. What a row does not state stays as it is."""

    rows: list[dict[str, Any]] = Field(
        max_length=MAX_ROWS,
        description="Each has `external_id`, and any of: kind, name, salutation, form_of_address, language, time_zone, "
        "skill_level, access_needs, priority, helper, quiet_from, quiet_until, rhythm, email, sms, phone, post, inbox, "
        "webhook, push, attributes.",
    )
    region: str = Field(
        "", pattern="^([A-Za-z]{2})?$", description="ISO 3166: how national telephone numbers are read."
    )


def _line(customer: Customer) -> dict[str, Any]:
    return {
        "id": str(customer.public_id),
        "external_id": customer.external_id,
        "kind": customer.kind,
        "name": customer.name,
        "language": customer.language,
        "time_zone": customer.time_zone,
        "priority": customer.priority,
        "created_at": customer.created_at,
        "updated_at": customer.updated_at,
    }


def _whole(customer: Customer) -> dict[str, Any]:
    overview = customer_overview(customer)
    return _line(customer) | {
        "salutation": customer.salutation,
        "form_of_address": customer.form_of_address,
        "skill_level": customer.skill_level,
        "access_needs": customer.access_needs,
        "helper": customer.helper.external_id if customer.helper else None,
        "quiet_from": f"{customer.quiet_from:%H:%M}" if customer.quiet_from else None,
        "quiet_until": f"{customer.quiet_until:%H:%M}" if customer.quiet_until else None,
        "rhythm": customer.rhythm,
        "attributes": customer.attributes,
        "contact_points": [
            {name: getattr(point, name) for name in ContactPointOut.model_fields} for point in overview.contact_points
        ],
        "consents": [shown_consent(consent) for consent in overview.consents],
        "holdings": [
            {
                name: getattr(owned.holding, name)
                for name in HoldingOut.model_fields
                if name not in ("is_over", "components")
            }
            | {"is_over": owned.is_over, "components": [component.external_id for component in owned.components]}
            for owned in overview.holdings
        ],
        "affected_by": [
            {
                "incident": str(incident.public_id),
                "title": incident.title,
                "product": line.product,
                "component": line.component,
                "since": line.joined_at,
            }
            for incident, line in touching(customer.pk)
        ],
    }


@router.get("", auth=May("customers:read"), response={200: Page[CustomerLine], **REFUSALS})
def list_customers(
    request: HttpRequest,
    search: Search = "",
    limit: Limit = USUAL_LIMIT,
    cursor: str = "",
) -> Any:
    """Customers, newest first."""
    place = read_cursor("customers", cursor, int)
    found = Customer.objects.served().search(search).before(place[0] if place else None)[: limit + 1]
    return paged("customers", list(found), limit=limit, shown=_line, place=lambda customer: (customer.pk,))


@router.post("", auth=May("customers:write"), response={200: BatchOut, **REFUSALS})
@creates
def post_customers(request: HttpRequest, batch: CustomersIn) -> Any:
    """Create or change customers by `external_id`, up to 5,000 in a request."""
    result = upsert_customers(batch.rows, actor=actor_of(request), source="api", region=batch.region.upper())
    return shown_batch(result)


@router.get("/{customer}", auth=May("customers:read"), response={200: CustomerOut, **REFUSALS})
def read_customer(request: HttpRequest, customer: str) -> Any:
    """One customer whole, by id or external id."""
    return _whole(find_customer(customer))


@router.patch("/{customer}", auth=May("customers:write"), response={200: CustomerOut, **REFUSALS})
def patch_customer(request: HttpRequest, customer: str, changes: ChangesIn) -> Any:
    """Change what is stated; null clears what can be empty; `attributes` are merged, null removes one."""
    found = find_customer(customer)
    try:
        change_customer(found.pk, changes=changes.root, actor=actor_of(request))
    except ChangeRefused as refused:
        raise from_rows(refused.problems) from None
    return _whole(find_customer(str(found.public_id)))


@router.get(
    "/{customer}/webhook-secrets", auth=May("customers:write"), response={200: list[WebhookSecretOut], **REFUSALS}
)
def read_webhook_secrets(request: HttpRequest, customer: str) -> Any:
    """The secret of each of the customer's webhooks, for whoever sets up the other side."""
    points = ContactPoint.objects.filter(customer=find_customer(customer), channel=ContactPoint.Channel.WEBHOOK)
    return [{"address": point.address, "secret": shown_secret(point.pk)} for point in points.order_by("rank", "id")]
