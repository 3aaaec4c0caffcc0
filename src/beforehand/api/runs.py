"""Runs: each use of a playbook for an incident, its place, and a person's word where it waits for one."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel

from beforehand.api.incidents import find_incident
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
from beforehand.api.problems import ApiProblem, not_found
from beforehand.kit import clock
from beforehand.playbooks.models import Run
from beforehand.playbooks.runs import confirm_run

router = Router(tags=["runs"])


class RunOut(BaseModel):
    """`position` is the engine's own account of where the run stands; `pending` the tell that waits for a person."""

    id: UUID
    playbook: str
    version: int
    incident: UUID
    state: str
    position: Any
    pending: Any
    is_confirmed: bool
    wake_at: datetime | None
    started_at: datetime
    finished_at: datetime | None
    finish_reason: str
    error: str


def _shown(run: Run) -> dict[str, Any]:
    same = (
        "state",
        "position",
        "pending",
        "is_confirmed",
        "wake_at",
        "started_at",
        "finished_at",
        "finish_reason",
        "error",
    )
    return {name: getattr(run, name) for name in same} | {
        "id": run.public_id,
        "playbook": run.version.slug,
        "version": run.version.number,
        "incident": run.incident.public_id,
    }


def _find(run_id: UUID) -> Run:
    run = Run.objects.select_related("version", "incident").filter(public_id=run_id).first()
    if run is None:
        raise not_found("such run")
    return run


@router.get("", auth=May("playbooks:read"), response={200: Page[RunOut], **REFUSALS})
def list_runs(
    request: HttpRequest,
    state: Run.State | None = None,
    incident: UUID | None = None,
    limit: Limit = USUAL_LIMIT,
    cursor: str = "",
) -> Any:
    """Runs, newest first."""
    place = read_cursor("runs", cursor, int)
    found = Run.objects.select_related("version", "incident").defer("version__source", "version__texts").order_by("-pk")
    if state:
        found = found.filter(state=state)
    if incident:
        found = found.filter(incident=find_incident(incident))
    if place:
        found = found.filter(pk__lt=place[0])
    return paged("runs", list(found[: limit + 1]), limit=limit, shown=_shown, place=lambda run: (run.pk,))


@router.get("/{run_id}", auth=May("playbooks:read"), response={200: RunOut, **REFUSALS})
def read_run(request: HttpRequest, run_id: UUID) -> Any:
    """One run."""
    return _shown(_find(run_id))


@router.post("/{run_id}/confirm", auth=May("playbooks:write"), response={200: RunOut, **REFUSALS})
def confirm(request: HttpRequest, run_id: UUID) -> Any:
    """Say: tell them. Refused when the run does not ask, or no longer."""
    run = _find(run_id)
    if not confirm_run(run.pk, actor=actor_of(request), now=clock.now()):
        raise ApiProblem(409, "not_asking", "This run does not wait for a confirmation.")
    return _shown(_find(run_id))
