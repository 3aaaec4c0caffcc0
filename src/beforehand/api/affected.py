"""Whom an incident touches, and why; its timeline; its report."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.api.idempotency import creates
from beforehand.api.incidents import find_incident, refused
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
from beforehand.api.problems import ApiProblem, Fault, invalid
from beforehand.customers.models import Customer
from beforehand.customers.queries import resolve_customers
from beforehand.events.queries import story_of_subject
from beforehand.events.subscriptions import StoredEvent
from beforehand.incidents.actions import IncidentError
from beforehand.incidents.affected import origin_of, put_on_list, take_off_list
from beforehand.incidents.models import Affected, Incident
from beforehand.incidents.queries import affected_page
from beforehand.insights.queries import incident_report
from beforehand.kit import clock

router = Router(tags=["incidents"])
Names = Annotated[list[Annotated[str, Field(max_length=200)]], Field(min_length=1, max_length=MAX_ROWS)]


class AffectedOut(BaseModel):
    """A customer whom the incident touches or touched; why: by which product, on which component, or by hand."""

    customer: str
    name: str
    language: str
    priority: str
    state: str
    joined_at: datetime
    left_at: datetime | None
    is_by_hand: bool
    is_told: bool
    product: str | None
    place: str | None
    component: str | None
    on: str | None
    condition: str | None


class PutOnIn(Given):
    """Customers (external ids) who are touched too."""

    customers: Names


class TakeOffIn(Given):
    """Customers (external ids) who are cured, or never were affected."""

    customers: Names
    state: Annotated[str, Field(pattern="^(cured|mistaken)$")]


class MovedOut(BaseModel):
    """How many joined or left; who stood so already is not counted."""

    moved: int


class EventOut(BaseModel):
    id: int
    type: str
    occurred_at: datetime
    recorded_at: datetime
    actor: str
    data: dict[str, Any]


class LanguageCountOut(BaseModel):
    language: str
    affected: int
    told: int


class AnswersOut(BaseModel):
    """What customers answered on their page, before the end and after it; how many still wait for a person; the figures."""

    works_before: int
    broken_before: int
    works: int
    broken: int
    waiting: int
    scored: int
    score_sum: int


class ReportOut(BaseModel):
    """What there is to learn of it. Durations are in seconds; `head_start` is negative if customers were first.

    `told` are those who have at least one word of ours: a provider accepted it, or perhaps did (`uncertain`, counted in
    both); they opened it in their inbox; or a person told them.
    """

    began_at: datetime
    known_at: datetime
    first_told_at: datetime | None
    ended_at: datetime | None
    affected: int
    told: int
    uncertain: int
    not_told: dict[str, int]
    languages: list[LanguageCountOut]
    known_by_half: float | None
    known_by_most: float | None
    last_known: float | None
    answers: AnswersOut
    longest_wait: float | None
    contacts: int
    first_contact_at: datetime | None
    told_before_contact: int
    promises_kept: int
    promises_broken: int
    head_start: float | None


@router.get("/{incident}/affected", auth=May("incidents:read"), response={200: Page[AffectedOut], **REFUSALS})
def list_affected(
    request: HttpRequest,
    incident: UUID,
    state: Affected.State | None = None,
    language: Annotated[str, Field(max_length=35)] = "",
    limit: Limit = USUAL_LIMIT,
    cursor: str = "",
) -> Any:
    """The affected list with a reason for each customer; in an order that does not move while it is read."""
    found = find_incident(incident)
    place = read_cursor("affected", cursor, int, int)
    if place and not 0 <= place[0] < 64:
        raise invalid("This cursor is not one of this list.", code="bad_cursor", parameter="cursor")
    rows = affected_page(found.pk, state=state.value if state else "", language=language, after=place, limit=limit + 1)
    names = dict(Customer.objects.filter(pk__in=[row.customer_id for row in rows]).values_list("pk", "external_id"))

    def shown(row: Any) -> dict[str, Any]:
        same = ("name", "language", "priority", "state", "joined_at", "left_at", "is_by_hand", "product", "place")
        return {name: getattr(row, name) for name in same} | {
            "customer": names[row.customer_id],
            "is_told": row.told_sequence > 0,
            "component": row.component,
            "on": row.root,
            "condition": row.condition or None,
        }

    return paged("affected", rows, limit=limit, shown=shown, place=lambda row: (row.bucket, row.customer_id))


def customer_ids_of(names: Sequence[str]) -> list[int]:
    """The ids of customers by external id; raises an `ApiProblem` that names those that there are none of."""
    known = resolve_customers(names)
    faults = [
        Fault("unknown_customer", f"There is no customer “{name[:100]}”.", pointer=f"/customers/{place}")
        for place, name in enumerate(names)
        if name not in known
    ]
    if faults:
        raise ApiProblem(422, "unknown_customer", faults[0].detail, faults=faults)
    return sorted({known[name] for name in names})


def _must_be_open(incident: Incident) -> None:
    if incident.state != Incident.State.OPEN:
        raise refused(IncidentError("not_open"))


@router.post("/{incident}/affected", auth=May("incidents:write"), response={200: MovedOut, **REFUSALS})
@creates
def put_on(request: HttpRequest, incident: UUID, whom: PutOnIn) -> Any:
    """Say that these customers are touched too: they stay on the list whatever its scope says."""
    found = find_incident(incident)
    _must_be_open(found)
    customer_ids = customer_ids_of(whom.customers)
    scope = found.scopes.filter(removed_at=None).order_by("pk").first() or found.scopes.order_by("pk").first()
    if scope is None:
        raise ApiProblem(409, "no_scope", "The incident is on nothing; widen its scope first.")
    moved = put_on_list(
        found.pk, customer_ids=customer_ids, scope_id=scope.pk, now=clock.now(), actor=actor_of(request)
    )
    return {"moved": moved}


@router.post("/{incident}/affected/remove", auth=May("incidents:write"), response={200: MovedOut, **REFUSALS})
@creates
def take_off(request: HttpRequest, incident: UUID, whom: TakeOffIn) -> Any:
    """Say that these customers are cured, or never were affected: they stay off, and who was told is told so."""
    found = find_incident(incident)
    _must_be_open(found)
    moved = take_off_list(
        found.pk,
        customer_ids=customer_ids_of(whom.customers),
        state=Affected.State(whom.state),
        now=clock.now(),
        actor=actor_of(request),
    )
    return {"moved": moved}


@router.get("/{incident}/timeline", auth=May("incidents:read"), response={200: Page[EventOut], **REFUSALS})
def timeline(
    request: HttpRequest,
    incident: UUID,
    limit: Limit = USUAL_LIMIT,
    cursor: str = "",
) -> Any:
    """What happened to the incident, newest first, without the events of single customers."""
    found = find_incident(incident)
    place = read_cursor("timeline", cursor, str, int)
    before = (_instant(place[0]), place[1]) if place else None
    rows = story_of_subject(origin_of(found.pk), limit=limit + 1, before=before)

    def shown(event: StoredEvent) -> dict[str, Any]:
        return {name: getattr(event, name) for name in EventOut.model_fields}

    return paged(
        "timeline", rows, limit=limit, shown=shown, place=lambda event: (event.recorded_at.isoformat(), event.id)
    )


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise invalid("This cursor is not one of this list.", code="bad_cursor", parameter="cursor")
    return moment


@router.get("/{incident}/report", auth=May("incidents:read"), response={200: ReportOut, **REFUSALS})
def report(request: HttpRequest, incident: UUID) -> Any:
    """The report as things stand now."""
    made = incident_report(find_incident(incident), now=clock.now())
    plain = asdict(made) | {"head_start": made.head_start}
    return {k: v.total_seconds() if isinstance(v, timedelta) else v for k, v in plain.items()}
