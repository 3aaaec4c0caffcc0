"""Components: the parts that products depend on, and on which others they depend."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.api.batches import BatchOut, shown_batch
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
from beforehand.customers.actions import upsert_components
from beforehand.customers.models import Component, ComponentDependency

router = Router(tags=["components"])


class ComponentOut(BaseModel):
    id: str
    external_id: str
    kind: str
    name: str
    texts: dict[str, str]
    attributes: dict[str, Any]
    depends_on: list[str]


class ComponentsIn(Given):
    """Up to 5,000 components; those on which others depend come first, or stand in the same batch."""

    rows: list[dict[str, Any]] = Field(
        max_length=MAX_ROWS,
        description="Each has external_id, kind and name; and may have texts (its name by language), attributes and "
        "depends_on (external ids).",
    )


@router.get("", auth=May("customers:read"), response={200: Page[ComponentOut], **REFUSALS})
def list_components(
    request: HttpRequest,
    kind: Annotated[str, Field(max_length=100)] = "",
    limit: Limit = USUAL_LIMIT,
    cursor: str = "",
) -> Any:
    """Components in the order in which they were made."""
    place = read_cursor("components", cursor, int)
    found = Component.objects.order_by("pk")
    if kind:
        found = found.filter(kind=kind)
    if place:
        found = found.filter(pk__gt=place[0])
    rows = list(found[: limit + 1])
    depends_on: dict[int, list[str]] = {}
    links = ComponentDependency.objects.filter(component__in=rows).order_by("depends_on__external_id")
    for component_id, name in links.values_list("component_id", "depends_on__external_id"):
        depends_on.setdefault(component_id, []).append(name)

    def shown(component: Component) -> dict[str, Any]:
        return {
            "id": str(component.public_id),
            "external_id": component.external_id,
            "kind": component.kind,
            "name": component.name,
            "texts": component.texts,
            "attributes": component.attributes,
            "depends_on": depends_on.get(component.pk, []),
        }

    return paged("components", rows, limit=limit, shown=shown, place=lambda component: (component.pk,))


@router.post("", auth=May("customers:write"), response={200: BatchOut, **REFUSALS})
@creates
def post_components(request: HttpRequest, batch: ComponentsIn) -> Any:
    """Create or change components by `external_id`, up to 5,000 in a request."""
    return shown_batch(upsert_components(batch.rows, actor=actor_of(request), source="api"))
