"""Holdings: what customers own or use, in batches; the attributes that they and customers may have."""

from typing import Any

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.api.batches import BatchOut, shown_batch
from beforehand.api.idempotency import creates
from beforehand.api.operations import MAX_ROWS, REFUSALS, Given, May, actor_of
from beforehand.api.problems import from_rows
from beforehand.customers.actions import declare_attribute, upsert_holdings
from beforehand.customers.bulk.problems import ChangeRefused
from beforehand.customers.models import AttributeDeclaration

router = Router(tags=["holdings"])
attributes = Router(tags=["attributes"])


class HoldingsIn(Given):
    """Up to 5,000 holdings. The components that a row states replace those that it had."""

    rows: list[dict[str, Any]] = Field(
        max_length=MAX_ROWS,
        description="Each has external_id, customer (external id) and product; and may have place, attributes, since, "
        "until and components (external ids).",
    )


class AttributeIn(Given):
    type: str = Field(description="text, number, boolean, date or timestamp; it cannot change later.")
    title: str = Field("", max_length=300)


class AttributeOut(BaseModel):
    owner: str
    name: str
    type: str
    title: str


def _shown(declaration: AttributeDeclaration) -> dict[str, Any]:
    return {name: getattr(declaration, name) for name in AttributeOut.model_fields}


@router.post("", auth=May("customers:write"), response={200: BatchOut, **REFUSALS})
@creates
def post_holdings(request: HttpRequest, batch: HoldingsIn) -> Any:
    """Create or change holdings by `external_id`, up to 5,000 in a request."""
    return shown_batch(upsert_holdings(batch.rows, actor=actor_of(request), source="api"))


@attributes.get("", auth=May("customers:read"), response={200: list[AttributeOut], **REFUSALS})
def list_attributes(request: HttpRequest) -> Any:
    """All attributes that are declared."""
    return [_shown(one) for one in AttributeDeclaration.objects.order_by("owner", "name")]


@attributes.put("/{owner}/{name}", auth=May("customers:write"), response={200: AttributeOut, **REFUSALS})
def put_attribute(request: HttpRequest, owner: str, name: str, attribute: AttributeIn) -> Any:
    """Let customers or holdings (`owner`) have an attribute that conditions may use."""
    try:
        declared = declare_attribute(
            owner=owner, name=name, type=attribute.type, title=attribute.title, actor=actor_of(request)
        )
    except ChangeRefused as refused:
        raise from_rows(refused.problems) from None
    return _shown(declared)
