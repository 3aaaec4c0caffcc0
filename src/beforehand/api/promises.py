"""Promises: what we told customers that we would do, and by when; who answers for it, and how it turned out."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import AwareDatetime, BaseModel, Field

from beforehand.accounts.models import User
from beforehand.api.idempotency import creates
from beforehand.api.messages import incident_ids
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
from beforehand.api.problems import ApiProblem, invalid, not_found
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.kit import clock
from beforehand.promises.duty import acknowledge
from beforehand.promises.models import Promise
from beforehand.promises.outcomes import PromiseRefused, make_outcome, move_outcome, settle_outcome

router = Router(tags=["promises"])
SENTENCES = {
    "past": "That time has passed.",
    "same_time": "It is promised for that time already.",
    "one_is_open": "This is promised already: move that promise.",
    "not_open": "This promise is not open any more.",
    "not_an_outcome": "An update is kept by telling, by nothing else.",
}


class PromiseOut(BaseModel):
    """A promise. `outcome` is empty for an update; `held_by` answers for it now, as `rung` (duty, deputy, supervisor).

    `rhythm` says to whom: those who want every step (every_step), or only what changes (only_changes),
    or those who were told a time after their night (after_night).
    """

    id: UUID
    kind: str
    outcome: str
    rhythm: str
    incident: UUID | None
    state: str
    reason: str
    owner: str | None
    held_by: str | None
    rung: str
    made_at: datetime
    due_at: datetime
    moved_from: datetime | None
    told_at: datetime | None
    warned_at: datetime | None
    acknowledged_at: datetime | None
    ended_at: datetime | None


class OutcomeIn(Given):
    """What is promised to be done for everyone whom an incident touches, and by when."""

    incident: UUID
    outcome: Literal["restored", "delivered", "visited"]
    due_at: AwareDatetime


class MoveIn(Given):
    due_at: AwareDatetime


class DoneIn(Given):
    done_at: AwareDatetime | None = None


class AcknowledgeIn(Given):
    """Whose it is: the e-mail address of somebody who may sign in."""

    person: str = Field(min_length=3, max_length=254)


class AcknowledgedOut(BaseModel):
    """Whether this request made it theirs; of two at once the second is told who has it."""

    is_new: bool
    promise: PromiseOut


SAME = (
    "kind",
    "outcome",
    "rhythm",
    "state",
    "reason",
    "rung",
    "made_at",
    "due_at",
    "told_at",
    "warned_at",
    "acknowledged_at",
    "ended_at",
)


def _shown(promise: Promise, incidents: dict[str, UUID]) -> dict[str, Any]:
    return {name: getattr(promise, name) for name in SAME} | {
        "id": promise.public_id,
        "incident": incidents.get(promise.audience),
        "owner": promise.owner.slug if promise.owner else None,
        "held_by": promise.assignee.email if promise.assignee else None,
        "moved_from": promise.moved_from.due_at if promise.moved_from else None,
    }


def _one(promise: Promise) -> dict[str, Any]:
    found = _found().get(pk=promise.pk)
    return _shown(found, incident_ids({found.audience}))


def _found() -> Any:
    return Promise.objects.select_related("owner", "assignee", "moved_from")


def _promise(public_id: UUID) -> Promise:
    promise: Promise | None = _found().filter(public_id=public_id).first()
    if promise is None:
        raise not_found("promise of this id")
    return promise


def _refused(refused: PromiseRefused) -> ApiProblem:
    if refused.code in ("past", "same_time"):
        return invalid(SENTENCES[refused.code], code=refused.code, pointer="/due_at")
    return ApiProblem(409, refused.code, SENTENCES[refused.code])


@router.get("", auth=May("promises:read"), response={200: Page[PromiseOut], **REFUSALS})
def list_promises(
    request: HttpRequest,
    state: Promise.State | None = None,
    kind: Promise.Kind | None = None,
    limit: Limit = USUAL_LIMIT,
    cursor: str = "",
) -> Any:
    """Promises, the one made last first."""
    place = read_cursor("promises", cursor, int)
    found = _found().order_by("-pk")
    if state:
        found = found.filter(state=state)
    if kind:
        found = found.filter(kind=kind)
    if place:
        found = found.filter(pk__lt=place[0])
    rows = list(found[: limit + 1])
    incidents = incident_ids({promise.audience for promise in rows})
    return paged(
        "promises",
        rows,
        limit=limit,
        shown=lambda promise: _shown(promise, incidents),
        place=lambda promise: (promise.pk,),
    )


@router.post("", auth=May("promises:write"), response={201: PromiseOut, **REFUSALS})
@creates
def promise_outcome(request: HttpRequest, outcome: OutcomeIn) -> Any:
    """Promise that something is done by a time; customers hear it with the next message."""
    incident = Incident.objects.select_related("owner").filter(public_id=outcome.incident).first()
    if incident is None:
        raise invalid("There is no incident of this id.", code="unknown_incident", pointer="/incident")
    if incident.state != Incident.State.OPEN:
        raise ApiProblem(409, "not_open", "The incident has ended.")
    try:
        made = make_outcome(
            audience=origin_of(incident.pk),
            outcome=outcome.outcome,
            due_at=outcome.due_at,
            now=clock.now(),
            owner=incident.owner,
            actor=actor_of(request),
        )
    except PromiseRefused as refused:
        raise _refused(refused) from None
    return Status(201, _one(made))


@router.post("/{id}/move", auth=May("promises:write"), response={201: PromiseOut, **REFUSALS})
@creates
def move(request: HttpRequest, id: UUID, to: MoveIn) -> Any:
    """Give an outcome a new time: the former promise is written down as moved, and customers hear of it."""
    try:
        made = move_outcome(_promise(id), due_at=to.due_at, now=clock.now(), actor=actor_of(request))
    except PromiseRefused as refused:
        raise _refused(refused) from None
    return Status(201, _one(made))


@router.post("/{id}/done", auth=May("promises:write"), response={200: PromiseOut, **REFUSALS})
def done(request: HttpRequest, id: UUID, what: DoneIn) -> Any:
    """An outcome is there: kept, kept early, or broken by its time."""
    promise = _promise(id)
    done_at = what.done_at or clock.now()
    if not promise.made_at <= done_at <= clock.now():
        raise invalid("That is before the promise or in the future.", code="not_then", pointer="/done_at")
    try:
        settle_outcome(promise, done_at=done_at, actor=actor_of(request))
    except PromiseRefused as refused:
        raise _refused(refused) from None
    return _one(promise)


@router.post("/{id}/acknowledge", auth=May("promises:write"), response={200: AcknowledgedOut, **REFUSALS})
def acknowledge_promise(request: HttpRequest, id: UUID, who: AcknowledgeIn) -> Any:
    """Somebody says: it is mine. Whoever was quicker has it."""
    person = User.objects.filter(email=who.person.lower(), is_active=True).first()
    if person is None:
        raise invalid("Nobody who may sign in has this e-mail address.", code="unknown_person", pointer="/person")
    promise = _promise(id)
    said = acknowledge(promise.pk, person=person, actor=actor_of(request), now=clock.now())
    return {"is_new": said.is_new, "promise": _one(promise)}
