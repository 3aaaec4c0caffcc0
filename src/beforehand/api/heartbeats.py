"""Heartbeats: what is expected to say at intervals that it lives, and the address where it says so."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.db.models import QuerySet
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
from beforehand.api.problems import invalid, not_found
from beforehand.customers.models import Component
from beforehand.detection.heartbeats import save_heartbeat, take_beat
from beforehand.detection.models import AlertRule, Heartbeat

router = Router(tags=["heartbeats"])
Slug = Annotated[str, Field(pattern=SLUG)]
DAY = 24 * 3600


class HeartbeatIn(Given):
    name: str = Field(min_length=1, max_length=300)
    sender: str = Field("", max_length=300, description="What should send it, for who looks for it.")
    interval_seconds: int = Field(ge=5, le=366 * DAY)
    grace_seconds: int = Field(60, ge=0, le=31 * DAY, description="So much later than expected is still in time.")
    component: str | None = Field(None, max_length=200, description="The external id of a component.")
    rule: str | None = Field(
        None,
        description="The alert rule that says what its silence means; without one, the first that its alert meets.",
    )
    is_enabled: bool = True


class HeartbeatOut(BaseModel):
    """`missed_since` is when the beat that failed to come was expected; null while none is missing."""

    id: UUID
    slug: str
    name: str
    sender: str
    interval_seconds: int
    grace_seconds: int
    component: str | None
    rule: str | None
    is_enabled: bool
    heard_at: datetime | None
    missing_at: datetime
    missed_since: datetime | None


def _shown(heartbeat: Heartbeat) -> dict[str, Any]:
    own = {
        name: getattr(heartbeat, name) for name in HeartbeatOut.model_fields if name not in ("id", "component", "rule")
    }
    return own | {
        "id": heartbeat.public_id,
        "component": heartbeat.component.external_id if heartbeat.component else None,
        "rule": heartbeat.rule.slug if heartbeat.rule else None,
    }


def _all() -> QuerySet[Heartbeat]:
    return Heartbeat.objects.select_related("component", "rule")


@router.get("", auth=May("incidents:read"), response={200: Page[HeartbeatOut], **REFUSALS})
def list_heartbeats(request: HttpRequest, limit: Limit = USUAL_LIMIT, cursor: str = "") -> Any:
    """Heartbeats by name."""
    place = read_cursor("heartbeats", cursor, str)
    found = _all().order_by("slug").filter(slug__gt=place[0] if place else "")
    return paged("heartbeats", list(found[: limit + 1]), limit=limit, shown=_shown, place=lambda one: (one.slug,))


@router.get("/{slug}", auth=May("incidents:read"), response={200: HeartbeatOut, **REFUSALS})
def read_heartbeat(request: HttpRequest, slug: Slug) -> Any:
    """One heartbeat."""
    found = _all().filter(slug=slug).first()
    if found is None:
        raise not_found("such heartbeat")
    return _shown(found)


@router.put("/{slug}", auth=May("settings:write"), response={200: HeartbeatOut, **REFUSALS})
def put_heartbeat(request: HttpRequest, slug: Slug, heartbeat: HeartbeatIn) -> Any:
    """Expect a heartbeat from now on, or change what is expected of it; one that is not enabled is not missed."""
    component = rule = None
    if heartbeat.component is not None:
        component = Component.objects.filter(external_id=heartbeat.component).first()
        if component is None:
            detail = f"There is no component “{heartbeat.component[:100]}”."
            raise invalid(detail, code="unknown_component", pointer="/component")
    if heartbeat.rule is not None:
        rule = AlertRule.objects.filter(slug=heartbeat.rule).first()
        if rule is None:
            raise invalid(f"There is no rule “{heartbeat.rule[:100]}”.", code="unknown_rule", pointer="/rule")
    saved = save_heartbeat(
        slug=slug,
        name=heartbeat.name,
        sender=heartbeat.sender,
        interval_seconds=heartbeat.interval_seconds,
        grace_seconds=heartbeat.grace_seconds,
        component=component,
        rule=rule,
        is_enabled=heartbeat.is_enabled,
        actor=actor_of(request),
    )
    return _shown(saved)


@router.post("/{slug}", auth=May("events:write"), response={204: None, **REFUSALS})
def post_beat(request: HttpRequest, slug: Slug) -> Any:
    """It lives. Whatever the body holds is not looked at."""
    if not take_beat(slug):
        raise not_found("such heartbeat")
    return no_content()
