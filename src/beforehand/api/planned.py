"""Planned work: plan it, move it, say that it begins and that it is done, call it off."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import AwareDatetime, Field

from beforehand.api.idempotency import creates
from beforehand.api.incident_texts import IncidentTexts, Language, plain_texts
from beforehand.api.incidents import (
    IncidentLine,
    Names,
    checked_condition,
    component_ids_named,
    find_incident,
    shown_line,
)
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
from beforehand.api.problems import ApiProblem, not_found
from beforehand.api.teams import find_team
from beforehand.incidents.actions import IncidentError
from beforehand.incidents.models import Incident, PlannedWork
from beforehand.incidents.planned import cancel_work, finish_work, move_work, plan_work, start_work

router = Router(tags=["planned-work"])
SENTENCES = {
    "not_open": "The work is over.",
    "ends_before": "It cannot end before it begins.",
    "too_long": "It lasts at most 31 days.",
    "is_past": "This is past.",
    "touches_nobody": "Name components, or a condition: otherwise it touches nobody.",
    "has_started": "It has begun: only its end can be moved.",
    "not_started": "It has not begun: call it off instead.",
}


class WorkOut(IncidentLine):
    """Planned work: its incident, its window, and how far it is."""

    phase: str
    starts_at: datetime
    ends_at: datetime
    announce_at: datetime
    announced_at: datetime | None
    started_at: datetime | None
    moves: int
    external_id: str


class WorkIn(Given):
    """Work that is known beforehand; customers hear of it at `announce_at`, at once if that is not stated."""

    title: str = Field(min_length=1, max_length=300)
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    components: Names = []
    condition: str = Field("", max_length=4_000)
    severity: Incident.Severity = Incident.Severity.MINOR
    texts: dict[Language, IncidentTexts] = {}
    owner: str | None = Field(None, description="The slug of a team.")
    is_public: bool = True
    announce_at: AwareDatetime | None = None


class WindowIn(Given):
    starts_at: AwareDatetime
    ends_at: AwareDatetime


def _shown(work: PlannedWork) -> dict[str, Any]:
    own = {name: getattr(work, name) for name in WorkOut.model_fields if name not in IncidentLine.model_fields}
    return shown_line(work.incident) | own


def _find(work: UUID) -> PlannedWork:
    found = PlannedWork.objects.select_related("incident__owner").filter(incident=find_incident(work)).first()
    if found is None:
        raise not_found("such planned work")
    return found


def _done(work: UUID, what: Callable[[PlannedWork], object]) -> dict[str, Any]:
    try:
        what(_find(work))
    except IncidentError as error:
        raise ApiProblem(409, error.code, SENTENCES.get(error.code, error.code.replace("_", " "))) from None
    return _shown(_find(work))


@router.get("", auth=May("incidents:read"), response={200: Page[WorkOut], **REFUSALS})
def list_work(
    request: HttpRequest, phase: PlannedWork.Phase | None = None, limit: Limit = USUAL_LIMIT, cursor: str = ""
) -> Any:
    """Planned work, the one planned last first."""
    place = read_cursor("planned-work", cursor, int)
    found = PlannedWork.objects.select_related("incident__owner").order_by("-pk")
    if phase:
        found = found.filter(phase=phase)
    if place:
        found = found.filter(pk__lt=place[0])
    return paged("planned-work", list(found[: limit + 1]), limit=limit, shown=_shown, place=lambda one: (one.pk,))


@router.post("", auth=May("incidents:write"), response={201: WorkOut, **REFUSALS})
@creates
def post_work(request: HttpRequest, work: WorkIn) -> Any:
    """Plan work. Its alerts open nothing while its window lasts."""
    try:
        planned = plan_work(
            title=work.title,
            starts_at=work.starts_at,
            ends_at=work.ends_at,
            component_ids=component_ids_named(work.components),
            condition=checked_condition(work.condition),
            severity=work.severity.value,
            texts=plain_texts(work.texts),
            owner=find_team(work.owner, pointer="/owner") if work.owner else None,
            is_public=work.is_public,
            announce_at=work.announce_at,
            actor=actor_of(request),
        )
    except IncidentError as error:
        raise ApiProblem(422, error.code, SENTENCES.get(error.code, error.code.replace("_", " "))) from None
    return Status(201, _shown(planned))


@router.get("/{work}", auth=May("incidents:read"), response={200: WorkOut, **REFUSALS})
def read_work(request: HttpRequest, work: UUID) -> Any:
    """One, by the id of its incident."""
    return _shown(_find(work))


@router.post("/{work}/move", auth=May("incidents:write"), response={200: WorkOut, **REFUSALS})
def move_planned(request: HttpRequest, work: UUID, window: WindowIn) -> Any:
    """Give it another window; who was told is told so. Once it has begun, only its end moves."""
    return _done(
        work,
        lambda one: move_work(one, starts_at=window.starts_at, ends_at=window.ends_at, actor=actor_of(request)),
    )


@router.post("/{work}/start", auth=May("incidents:write"), response={200: WorkOut, **REFUSALS})
def start_planned(request: HttpRequest, work: UUID) -> Any:
    """It begins now; by itself it begins at its time."""
    return _done(work, lambda one: start_work(one, actor=actor_of(request)))


@router.post("/{work}/finish", auth=May("incidents:write"), response={200: WorkOut, **REFUSALS})
def finish_planned(request: HttpRequest, work: UUID) -> Any:
    """It is done; who was told hears so, and whether it was early or late."""
    return _done(work, lambda one: finish_work(one, actor=actor_of(request)))


@router.post("/{work}/cancel", auth=May("incidents:write"), response={200: WorkOut, **REFUSALS})
def cancel_planned(request: HttpRequest, work: UUID) -> Any:
    """It does not take place; who was told is told so."""
    return _done(work, lambda one: cancel_work(one, actor=actor_of(request)))
