"""Incidents: list, read, open, tell an update, widen and narrow, end, open again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import AwareDatetime, BaseModel, Field

from beforehand.api.idempotency import creates
from beforehand.api.incident_texts import IncidentTexts, Language, plain_texts
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
from beforehand.api.problems import ApiProblem, Fault, from_condition, invalid, not_found
from beforehand.api.teams import find_team
from beforehand.customers.facts import customer_schema
from beforehand.customers.models import Component
from beforehand.detection.queries import flapping_until
from beforehand.engine.conditions import ConditionError, parse
from beforehand.incidents.actions import (
    IncidentError,
    cancel_incident,
    narrow_scope,
    open_incident,
    reopen_incident,
    resolve_incident,
    widen_scope,
)
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident, IncidentScope
from beforehand.incidents.queries import decided_for, language_shares
from beforehand.kit import clock
from beforehand.playbooks.queries import incident_addresses
from beforehand.promises.queries import next_promises

router = Router(tags=["incidents"])
Names = Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=1_000)]
Reason = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
SENTENCES = {
    "not_open": "The incident has ended.",
    "planned_is_over": "Planned work that ended is planned anew.",
    "same_problem_is_open": "The same alerts have another open incident.",
    "unknown_reason": "A part is removed because it is cured or was mistaken.",
}


class IncidentLine(BaseModel):
    """An incident in a list. `affected` counts the customers who are affected now."""

    id: UUID
    title: str
    kind: str
    severity: str
    state: str
    owner: str | None
    is_public: bool
    began_at: datetime
    known_at: datetime
    opened_at: datetime
    ended_at: datetime | None
    end_reason: str
    affected: int


class ScopeOut(BaseModel):
    """A part of what the incident is on: a component with all that depends on it, or a condition."""

    id: int
    component: str | None
    condition: str
    added_at: datetime
    added_by: str
    removed_at: datetime | None
    removed_reason: str


class UpdateOut(BaseModel):
    id: UUID
    texts: dict[str, str]
    posted_at: datetime


class LanguageOut(BaseModel):
    """`unreachable` have no working address for any channel of the playbook that is set up here."""

    language: str
    customers: int
    unreachable: int


class IncidentOut(IncidentLine):
    """`decided` counts the affected who were spoken to, or not, for a stored reason."""

    texts: dict[str, dict[str, str]]
    scopes: list[ScopeOut]
    updates: list[UpdateOut]
    languages: list[LanguageOut]
    decided: int
    affected_at: datetime | None
    is_list_pending: bool
    next_update_due_at: datetime | None
    flapping_until: datetime | None = Field(description="Its alerts come and go, until then at least; null if not.")


class IncidentIn(Given):
    """A problem, or planned work; on components and/or on whom a condition matches."""

    title: str = Field(min_length=1, max_length=300)
    kind: Incident.Kind = Incident.Kind.OUTAGE
    severity: Incident.Severity = Incident.Severity.MAJOR
    components: Names = []
    condition: str = Field("", max_length=4_000)
    texts: dict[Language, IncidentTexts] = {}
    owner: str | None = Field(None, description="The slug of a team.")
    is_public: bool = True
    began_at: AwareDatetime | None = Field(None, description="When customers were first touched; now, if not stated.")


class ScopeIn(Given):
    components: Names = []
    condition: str = Field("", max_length=4_000)


class ResolveIn(Given):
    reason: Reason = "resolved"
    ended_at: AwareDatetime | None = None


class CancelIn(Given):
    reason: Reason = "false_alarm"


class RemoveIn(Given):
    reason: Annotated[str, Field(pattern="^(cured|mistaken)$")]


def find_incident(incident: UUID) -> Incident:
    """The incident with this id; raises `ApiProblem` 404."""
    found = Incident.objects.select_related("owner").filter(public_id=incident).first()
    if found is None:
        raise not_found("such incident")
    return found


def refused(error: IncidentError) -> ApiProblem:
    """What cannot be done to the incident as it stands."""
    return ApiProblem(409, error.code, SENTENCES.get(error.code, error.code.replace("_", " ")))


def shown_line(incident: Incident) -> dict[str, Any]:
    """An incident as a list shows it."""
    shown = {
        name: getattr(incident, name) for name in IncidentLine.model_fields if name not in ("id", "owner", "affected")
    }
    owner = incident.owner.slug if incident.owner else None
    return shown | {"id": incident.public_id, "owner": owner, "affected": incident.affected_count}


def whole(incident: Incident) -> dict[str, Any]:
    """All of an incident but its list and its story; nine queries, however many it touches."""
    origin = origin_of(incident.pk)
    promise = next_promises([origin]).get(origin)
    return shown_line(incident) | {
        "texts": incident.texts,
        "scopes": [
            {
                "id": scope.pk,
                "component": scope.component.external_id if scope.component else None,
                "condition": scope.condition,
                "added_at": scope.added_at,
                "added_by": scope.added_by,
                "removed_at": scope.removed_at,
                "removed_reason": scope.removed_reason,
            }
            for scope in incident.scopes.select_related("component").order_by("pk")
        ],
        "updates": [
            {"id": update.public_id, "texts": update.texts, "posted_at": update.posted_at}
            for update in incident.updates.order_by("-pk")[:50]
        ],
        "languages": [
            {"language": share.language, "customers": share.customers, "unreachable": share.unreachable}
            for share in language_shares(incident, channels=incident_addresses(incident))
        ],
        "decided": decided_for(incident.pk),
        "affected_at": incident.affected_at,
        "is_list_pending": incident.affected_wanted_at is not None,
        "next_update_due_at": promise.due_at if promise else None,
        "flapping_until": flapping_until(incident.group_key, now=clock.now()),
    }


def component_ids_named(names: Sequence[str]) -> list[int]:
    """The components with these external ids; raises `ApiProblem` 422 naming those that there are not."""
    known = dict(Component.objects.filter(external_id__in=names).values_list("external_id", "pk"))
    faults = [
        Fault("unknown_component", f"There is no component “{name[:100]}”.", pointer=f"/components/{place}")
        for place, name in enumerate(names)
        if name not in known
    ]
    if faults:
        raise ApiProblem(422, "unknown_component", faults[0].detail, faults=faults)
    return [known[name] for name in names]


def checked_condition(condition: str) -> str:
    """The condition; raises `ApiProblem` 422 for one that cannot be."""
    try:
        if condition:
            parse(condition, customer_schema())
    except ConditionError as error:
        raise from_condition(error, pointer="/condition") from None
    return condition


@router.get("", auth=May("incidents:read"), response={200: Page[IncidentLine], **REFUSALS})
def list_incidents(
    request: HttpRequest,
    state: Incident.State | None = None,
    limit: Limit = USUAL_LIMIT,
    cursor: str = "",
) -> Any:
    """Incidents, newest first."""
    place = read_cursor("incidents", cursor, int)
    found = Incident.objects.select_related("owner").order_by("-pk")
    if state:
        found = found.filter(state=state)
    if place:
        found = found.filter(pk__lt=place[0])
    return paged("incidents", list(found[: limit + 1]), limit=limit, shown=shown_line, place=lambda one: (one.pk,))


@router.post("", auth=May("incidents:write"), response={201: IncidentOut, **REFUSALS})
@creates
def post_incident(request: HttpRequest, incident: IncidentIn) -> Any:
    """Open an incident. Whom it touches is worked out at once, in the background: `is_list_pending` says until when."""
    component_ids = component_ids_named(incident.components)
    condition = checked_condition(incident.condition)
    if not component_ids and not condition:
        raise invalid("Name components, or a condition: otherwise it touches nobody.", pointer="/components")
    now = clock.now()
    opened = open_incident(
        title=incident.title,
        kind=incident.kind.value,
        severity=incident.severity.value,
        actor=actor_of(request),
        began_at=incident.began_at or now,
        known_at=now,
        component_ids=component_ids,
        condition=condition,
        texts=plain_texts(incident.texts),
        owner=find_team(incident.owner, pointer="/owner") if incident.owner else None,
        is_public=incident.is_public,
    )
    return Status(201, whole(opened))


@router.get("/{incident}", auth=May("incidents:read"), response={200: IncidentOut, **REFUSALS})
def read_incident(request: HttpRequest, incident: UUID) -> Any:
    """One incident with its counts, what it is on, and what was told."""
    return whole(find_incident(incident))


@router.post("/{incident}/resolve", auth=May("incidents:write"), response={200: IncidentOut, **REFUSALS})
def resolve(request: HttpRequest, incident: UUID, end: ResolveIn) -> Any:
    """It is over. Saying so again changes nothing."""
    found = find_incident(incident)
    if end.ended_at and end.ended_at < found.began_at:
        raise invalid("It cannot end before it began.", pointer="/ended_at")
    resolve_incident(found, reason=end.reason, actor=actor_of(request), ended_at=end.ended_at)
    return _ended(found, Incident.State.RESOLVED)


@router.post("/{incident}/cancel", auth=May("incidents:write"), response={200: IncidentOut, **REFUSALS})
def cancel(request: HttpRequest, incident: UUID, end: CancelIn) -> Any:
    """It was a false alarm; who was told is told so."""
    found = find_incident(incident)
    cancel_incident(found, reason=end.reason, actor=actor_of(request))
    return _ended(found, Incident.State.CANCELLED)


def _ended(incident: Incident, wanted: Incident.State) -> dict[str, Any]:
    if incident.state != wanted:
        raise ApiProblem(409, "not_open", f"The incident has ended already: {incident.state}.")
    return whole(incident)


@router.post("/{incident}/reopen", auth=May("incidents:write"), response={200: IncidentOut, **REFUSALS})
def reopen(request: HttpRequest, incident: UUID) -> Any:
    """It is not over after all."""
    found = find_incident(incident)
    try:
        reopen_incident(found, actor=actor_of(request))
    except IncidentError as error:
        raise refused(error) from None
    return whole(find_incident(incident))


@router.post("/{incident}/scope", auth=May("incidents:write"), response={200: IncidentOut, **REFUSALS})
@creates
def widen(request: HttpRequest, incident: UUID, scope: ScopeIn) -> Any:
    """Add to what it is on; customers whom that reaches join."""
    found = find_incident(incident)
    component_ids = component_ids_named(scope.components)
    condition = checked_condition(scope.condition)
    if not component_ids and not condition:
        raise invalid("Name components, or a condition.", pointer="/components")
    try:
        widen_scope(found, component_ids=component_ids, condition=condition, actor=actor_of(request))
    except IncidentError as error:
        raise refused(error) from None
    return whole(find_incident(incident))


@router.post(
    "/{incident}/scope/{scope_id}/remove", auth=May("incidents:write"), response={200: IncidentOut, **REFUSALS}
)
def narrow(request: HttpRequest, incident: UUID, scope_id: int, removal: RemoveIn) -> Any:
    """Take a part away because it is cured, or was mistaken; whom only it reached leaves, and is told so."""
    found = find_incident(incident)
    scope = IncidentScope.objects.select_related("incident").filter(incident=found, pk=scope_id).first()
    if scope is None:
        raise not_found("such part of the incident")
    try:
        narrow_scope(scope, reason=removal.reason, actor=actor_of(request))
    except IncidentError as error:
        raise refused(error) from None
    return whole(find_incident(incident))
