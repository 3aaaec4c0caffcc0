"""Mutes: alerts that open nothing for a time, by whom and why."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest
from ninja import Router, Status
from pydantic import AwareDatetime, BaseModel, Field

from beforehand.api.idempotency import creates
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
from beforehand.api.problems import from_condition, invalid, not_found
from beforehand.customers.models import Component
from beforehand.detection.models import Mute
from beforehand.detection.mutes import MuteError, create_mute, end_mute
from beforehand.detection.queries import muted_counts
from beforehand.engine.alerts import MuteState, mute_state
from beforehand.engine.conditions import ConditionError
from beforehand.kit import clock

router = Router(tags=["mutes"])
REFUSED = {
    "means_nothing": ("/condition", "Name a component, or write a condition: otherwise it means no alert."),
    "no_reason": ("/reason", "Say why."),
    "ends_before": ("/ends_at", "It ends before it begins."),
    "is_past": ("/ends_at", "Its end has passed."),
}


class MuteIn(Given):
    """By a condition, by a component with all that depends on it, or, with both, what both mean."""

    condition: str = Field("", max_length=4000, description='CEL over the alert, such as labels.team == "lab".')
    component: str | None = Field(None, max_length=200, description="The external id of a component.")
    starts_at: AwareDatetime | None = Field(None, description="Now, if not stated.")
    ends_at: AwareDatetime
    reason: str = Field(min_length=1, max_length=2000)


class MuteOut(BaseModel):
    """`muted` counts the alerts that it held back so far."""

    id: UUID
    condition: str
    component: str | None
    starts_at: datetime
    ends_at: datetime
    reason: str
    state: MuteState
    made_by: str
    ended_by: str
    created_at: datetime
    muted: int


def shown_mutes(mutes: list[Mute]) -> list[dict[str, Any]]:
    """Mutes as they are answered, counted in one query."""
    counts, now = muted_counts(mutes), clock.now()
    return [
        {
            "id": mute.public_id,
            "condition": mute.condition,
            "component": mute.component.external_id if mute.component else None,
            "starts_at": mute.starts_at,
            "ends_at": mute.ends_at,
            "reason": mute.reason,
            "state": mute_state(starts_at=mute.starts_at, ends_at=mute.ends_at, now=now),
            "made_by": mute.made_by,
            "ended_by": mute.ended_by,
            "created_at": mute.created_at,
            "muted": counts.get(mute.pk, 0),
        }
        for mute in mutes
    ]


@router.get("", auth=May("incidents:read"), response={200: Page[MuteOut], **REFUSALS})
def list_mutes(
    request: HttpRequest, state: MuteState | None = None, limit: Limit = USUAL_LIMIT, cursor: str = ""
) -> Any:
    """Mutes, the one made last first."""
    now = clock.now()
    place = read_cursor("mutes", cursor, int)
    found = Mute.objects.select_related("component").order_by("-pk")
    if place:
        found = found.filter(pk__lt=place[0])
    match state:
        case MuteState.AHEAD:
            found = found.filter(starts_at__gt=now, ends_at__gt=now)
        case MuteState.ACTIVE:
            found = found.filter(starts_at__lte=now, ends_at__gt=now)
        case MuteState.OVER:
            found = found.filter(Q(ends_at__lte=now))
    page = paged("mutes", list(found[: limit + 1]), limit=limit, shown=lambda one: one, place=lambda one: (one.pk,))
    return page | {"items": shown_mutes(page["items"])}


@router.post("", auth=May("settings:write"), response={201: MuteOut, **REFUSALS})
@creates
def post_mute(request: HttpRequest, mute: MuteIn) -> Any:
    """Mute alerts for a time. Incidents that are open stay open."""
    component = None
    if mute.component is not None:
        component = Component.objects.filter(external_id=mute.component).first()
        if component is None:
            detail = f"There is no component “{mute.component[:100]}”."
            raise invalid(detail, code="unknown_component", pointer="/component")
    try:
        made = create_mute(
            condition=mute.condition,
            component=component,
            starts_at=mute.starts_at or clock.now(),
            ends_at=mute.ends_at,
            reason=mute.reason,
            actor=actor_of(request),
        )
    except ConditionError as error:
        raise from_condition(error, pointer="/condition") from None
    except MuteError as error:
        pointer, detail = REFUSED[error.code]
        raise invalid(detail, code=error.code, pointer=pointer) from None
    return Status(201, shown_mutes([made])[0])


@router.post("/{mute}/end", auth=May("settings:write"), response={200: MuteOut, **REFUSALS})
def post_end(request: HttpRequest, mute: UUID) -> Any:
    """End it now: alerts that it held back and that still fire open what they would have opened."""
    found = Mute.objects.filter(public_id=mute).first()
    if found is None:
        raise not_found("such mute")
    end_mute(found, actor=actor_of(request))
    return shown_mutes([Mute.objects.select_related("component").get(pk=found.pk)])[0]
