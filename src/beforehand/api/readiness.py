"""Readiness: whom a playbook could tell, per component, and who lacks what."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import BaseModel

from beforehand.api.operations import (
    REFUSALS,
    USUAL_LIMIT,
    Limit,
    May,
    Page,
    actor_of,
    paged,
    read_cursor,
)
from beforehand.api.problems import not_found
from beforehand.customers.models import Component
from beforehand.engine.readiness import Lack
from beforehand.insights.models import Readiness, ReadinessRound
from beforehand.insights.readiness import ask_readiness
from beforehand.insights.readiness_queries import lacking, worst_first
from beforehand.kit import clock

router = Router(tags=["readiness"])


class ReadinessOut(BaseModel):
    """Of the customers on a component, or on what depends on it: how many have what the playbook needs; null: of all."""

    component: str | None
    playbook: str
    customers: int
    linked: int
    reachable: int
    spoken: int
    allowed: int
    ready: int
    worked_out_at: datetime


class LackingOut(BaseModel):
    """A customer who could not be told, and what is missing."""

    id: UUID
    external_id: str
    language: str
    missing: list[Lack]


class RoundOut(BaseModel):
    """A working out of everything: asked for, and perhaps under way."""

    id: UUID
    asked_at: datetime
    started_at: datetime | None


def _shown(row: Readiness) -> dict[str, Any]:
    figures = {name: getattr(row, name) for name in ReadinessOut.model_fields if name != "component"}
    return figures | {"component": row.component.external_id if row.component else None}


def _row(playbook: str, component: str) -> Readiness:
    part = Component.objects.filter(external_id=component).first() if component else None
    if component and part is None:
        raise not_found("such component")
    row = Readiness.objects.select_related("component").filter(component=part, playbook=playbook).first()
    if row is None:
        raise not_found("readiness of this playbook there: nobody is on it, or it was not worked out yet")
    return row


@router.get("/{playbook}", auth=May("customers:read"), response={200: Page[ReadinessOut], **REFUSALS})
def list_readiness(request: HttpRequest, playbook: str, limit: Limit = USUAL_LIMIT, cursor: str = "") -> Any:
    """Components by the share of their customers that is ready, the lowest first."""
    place = read_cursor("readiness", cursor, int)
    start = max(0, place[0]) if place else 0
    found = list(worst_first(playbook)[start : start + limit + 1])
    return paged("readiness", found, limit=limit, shown=_shown, place=lambda row: (start + limit,))


@router.get("/{playbook}/all", auth=May("customers:read"), response={200: ReadinessOut, **REFUSALS})
def read_readiness(request: HttpRequest, playbook: str, component: str = "") -> Any:
    """One component's figures, by its external id; without one, those of all customers."""
    return _shown(_row(playbook, component))


@router.get("/{playbook}/lacking", auth=May("customers:read"), response={200: Page[LackingOut], **REFUSALS})
def list_lacking(
    request: HttpRequest,
    playbook: str,
    component: str = "",
    lack: Lack | None = None,
    limit: Limit = USUAL_LIMIT,
    cursor: str = "",
) -> Any:
    """Who lacks this, or anything, of what the playbook needs: the list to mend."""
    place = read_cursor("lacking", cursor, int)
    found = lacking(
        _row(playbook, component), lack=lack, after=place[0] if place else 0, limit=limit + 1, now=clock.now()
    )
    return paged(
        "lacking",
        found,
        limit=limit,
        shown=lambda one: {
            "id": one.public_id,
            "external_id": one.external_id,
            "language": one.language,
            "missing": list(one.missing),
        },
        place=lambda one: (one.customer_id,),
    )


@router.post("", auth=May("customers:write"), response={202: RoundOut, **REFUSALS})
def work_out_readiness(request: HttpRequest) -> Any:
    """Have everything worked out anew; who asks while that goes on gets the round that does."""
    asked: ReadinessRound = ask_readiness(actor=actor_of(request))
    return Status(202, {"id": asked.public_id, "asked_at": asked.asked_at, "started_at": asked.started_at})
