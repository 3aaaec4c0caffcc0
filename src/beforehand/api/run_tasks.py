"""Run tasks: what playbooks ask of people, until when, and that it is done."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.api.incidents import find_incident
from beforehand.api.operations import REFUSALS, USUAL_LIMIT, Given, Limit, May, Page, actor_of, paged, read_cursor
from beforehand.api.problems import ApiProblem, not_found
from beforehand.kit import clock
from beforehand.playbooks.actions import finish_task
from beforehand.playbooks.models import RunTask

router = Router(tags=["runs"])


class RunTaskOut(BaseModel):
    """`team` is the team as the playbook names it; `overdue_at` is when its time had passed and it was not done."""

    id: UUID
    run: UUID
    incident: UUID
    playbook: str
    step: str
    title: str
    team: str
    made_at: datetime
    due_at: datetime
    overdue_at: datetime | None
    done_at: datetime | None
    note: str


class DoneIn(Given):
    note: str = Field("", max_length=2_000, description="What was done, for colleagues.")


def _shown(task: RunTask) -> dict[str, Any]:
    same = ("step", "title", "made_at", "due_at", "overdue_at", "done_at", "note")
    return {name: getattr(task, name) for name in same} | {
        "id": task.public_id,
        "run": task.run.public_id,
        "incident": task.run.incident.public_id,
        "playbook": task.run.version.slug,
        "team": task.team_slug,
    }


def _find(task_id: UUID) -> RunTask:
    task = RunTask.objects.select_related("run__incident", "run__version").filter(public_id=task_id).first()
    if task is None:
        raise not_found("such task")
    return task


@router.get("", auth=May("playbooks:read"), response={200: Page[RunTaskOut], **REFUSALS})
def list_run_tasks(
    request: HttpRequest,
    done: bool | None = None,
    incident: UUID | None = None,
    limit: Limit = USUAL_LIMIT,
    cursor: str = "",
) -> Any:
    """Tasks of runs, newest first; `done` says whether those that are done or those that are not."""
    place = read_cursor("run-tasks", cursor, int)
    found = RunTask.objects.select_related("run__incident", "run__version").order_by("-pk")
    if done is not None:
        found = found.filter(done_at__isnull=not done)
    if incident:
        found = found.filter(run__incident=find_incident(incident))
    if place:
        found = found.filter(pk__lt=place[0])
    return paged("run-tasks", list(found[: limit + 1]), limit=limit, shown=_shown, place=lambda task: (task.pk,))


@router.post("/{task_id}/done", auth=May("playbooks:write"), response={200: RunTaskOut, **REFUSALS})
def finish(request: HttpRequest, task_id: UUID, given: DoneIn) -> Any:
    """Say that it is done; a run that waits for it goes on. Refused when somebody has said so already."""
    task = _find(task_id)
    if not finish_task(task.pk, user=None, note=given.note.strip(), actor=actor_of(request), now=clock.now()):
        raise ApiProblem(409, "done_already", "This task is done already.")
    return _shown(_find(task_id))
