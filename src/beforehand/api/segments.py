"""Segments: named groups of customers, described by a condition, with a live count."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.api.operations import (
    REFUSALS,
    SLUG,
    USUAL_LIMIT,
    Given,
    Limit,
    May,
    Page,
    actor_of,
    no_content,
    paged,
    read_cursor,
)
from beforehand.api.problems import from_condition, not_found
from beforehand.customers.actions import delete_segment, save_segment
from beforehand.customers.models import Segment
from beforehand.customers.queries import segment_count
from beforehand.engine.conditions import ConditionError

router = Router(tags=["segments"])
Slug = Annotated[str, Field(pattern=SLUG)]


class SegmentIn(Given):
    name: str = Field(min_length=1, max_length=300)
    condition: str = Field(max_length=4000, description='CEL, such as customer.language == "nl".')


class SegmentOut(BaseModel):
    id: str
    slug: str
    name: str
    condition: str
    created_at: datetime
    updated_at: datetime


class CountOut(BaseModel):
    count: int


def _shown(segment: Segment) -> dict[str, Any]:
    return {
        "id": str(segment.public_id),
        "slug": segment.slug,
        "name": segment.name,
        "condition": segment.condition,
        "created_at": segment.created_at,
        "updated_at": segment.updated_at,
    }


def _find(slug: str) -> Segment:
    segment = Segment.objects.filter(slug=slug).first()
    if segment is None:
        raise not_found("such segment")
    return segment


@router.get("", auth=May("customers:read"), response={200: Page[SegmentOut], **REFUSALS})
def list_segments(request: HttpRequest, limit: Limit = USUAL_LIMIT, cursor: str = "") -> Any:
    """Segments in the order in which they were made."""
    place = read_cursor("segments", cursor, int)
    found = Segment.objects.order_by("pk").filter(pk__gt=place[0] if place else 0)
    return paged("segments", list(found[: limit + 1]), limit=limit, shown=_shown, place=lambda one: (one.pk,))


@router.get("/{slug}", auth=May("customers:read"), response={200: SegmentOut, **REFUSALS})
def read_segment(request: HttpRequest, slug: Slug) -> Any:
    """One segment."""
    return _shown(_find(slug))


@router.put("/{slug}", auth=May("customers:write"), response={200: SegmentOut, **REFUSALS})
def put_segment(request: HttpRequest, slug: Slug, segment: SegmentIn) -> Any:
    """Make the segment, or change it."""
    try:
        saved = save_segment(slug=slug, name=segment.name, condition=segment.condition, actor=actor_of(request))
    except ConditionError as error:
        raise from_condition(error, pointer="/condition") from None
    return _shown(saved)


@router.delete("/{slug}", auth=May("customers:write"), response={204: None, **REFUSALS})
def remove_segment(request: HttpRequest, slug: Slug) -> Any:
    """Delete the segment; its customers stay."""
    delete_segment(_find(slug), actor=actor_of(request))
    return no_content()


@router.get("/{slug}/count", auth=May("customers:read"), response={200: CountOut, **REFUSALS})
def count_segment(request: HttpRequest, slug: Slug) -> Any:
    """How many customers are in it now."""
    try:
        return {"count": segment_count(_find(slug))}
    except ConditionError as error:  # an attribute that it used is gone
        raise from_condition(error, pointer="/condition") from None
