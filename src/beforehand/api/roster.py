"""Rosters: who is on duty for a team, its shifts in bulk, and who is away."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.accounts.models import Absence, DutyRole, Shift, Team, User
from beforehand.accounts.rosters import Roster, rosters
from beforehand.accounts.shifts import (
    ShiftGiven,
    ShiftReason,
    put_absence,
    put_shifts,
    remove_absence,
    remove_shifts,
    save_roles,
    save_team_duty,
)
from beforehand.api.batches import BatchOut
from beforehand.api.operations import (
    MAX_ROWS,
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
from beforehand.engine.roster import SpanError, duty_gaps
from beforehand.kit import clock

router = Router(tags=["rosters"])
Email = Annotated[str, Field(min_length=3, max_length=254)]
LOOKED_AHEAD = timedelta(days=14)
DETAILS = {
    ShiftReason.UNKNOWN_ROLE: ("role", "The team has no such role."),
    ShiftReason.UNKNOWN_PERSON: ("person", "Nobody who may sign in has this e-mail address."),
    ShiftReason.NO_PERSON: ("person", "Say whose shift it is."),
    ShiftReason.BACKWARDS: ("ends", "It ends before it begins."),
    ShiftReason.TOO_LONG: ("ends", "A shift or an absence lasts at most 31 days."),
    ShiftReason.TWICE: ("external_id", "Another row has the same name."),
}


class RoleIn(Given):
    slug: str = Field(pattern=SLUG)
    name: str = Field(min_length=1, max_length=200)


class DutyIn(Given):
    """How a team is on duty. `roles` in their order: the first answers for the team's promises."""

    time_zone: str | None = Field(None, max_length=60)
    supervisor: Email | None = None
    members: list[Email] | None = Field(None, max_length=500)
    roles: list[RoleIn] = Field(min_length=1, max_length=20)


class GapOut(BaseModel):
    starts_at: datetime
    ends_at: datetime
    reason: str


class RoleOut(BaseModel):
    """A role now, and when nobody has it in the coming 14 days."""

    slug: str
    name: str
    on_duty: str | None
    deputy: str | None
    reason: str
    gaps: list[GapOut]


class DutyOut(BaseModel):
    time_zone: str
    supervisor: str | None
    members: list[str]
    roles: list[RoleOut]


class ShiftIn(Given):
    """A shift. Times without an offset are the wall clock of the team's zone; place 2 is the deputy."""

    external_id: str = Field(min_length=1, max_length=200)
    person: Email
    role: str = Field("", max_length=50)
    place: Literal[1, 2] = 1
    starts: datetime
    ends: datetime


class ShiftsIn(Given):
    rows: list[ShiftIn] = Field(min_length=1, max_length=MAX_ROWS)


class ShiftOut(BaseModel):
    external_id: str
    person: str
    role: str
    place: int
    starts_at: datetime
    ends_at: datetime


class AbsenceIn(Given):
    person: Email
    starts: datetime
    ends: datetime


class AbsenceOut(BaseModel):
    id: UUID
    person: str
    starts_at: datetime
    ends_at: datetime


def _team(slug: str) -> Team:
    team = Team.objects.filter(slug=slug).select_related("supervisor").first()
    if team is None:
        raise not_found("team of this name")
    return team


def _person(email: str, *, pointer: str) -> User:
    user = User.objects.filter(email=email.lower(), is_active=True).first()
    if user is None:
        raise invalid(DETAILS[ShiftReason.UNKNOWN_PERSON][1], code="unknown_person", pointer=pointer)
    return user


def _duty(team: Team) -> dict[str, Any]:
    now = clock.now()
    until = now + LOOKED_AHEAD
    found = rosters(since=now, until=until, team_ids=[team.pk])
    emails = dict(User.objects.filter(pk__in=_people(found)).values_list("pk", "email"))
    roles = []
    for one in found:
        duty = one.duty_at(now)
        gaps = duty_gaps(one.spans(since=now, until=until))
        roles.append(
            {
                "slug": one.role.slug,
                "name": one.role.name,
                "on_duty": emails.get(duty.person or 0),
                "deputy": emails.get(duty.deputy or 0),
                "reason": duty.reason.value,
                "gaps": [{"starts_at": g.starts_at, "ends_at": g.ends_at, "reason": g.duty.reason.value} for g in gaps],
            }
        )
    return {
        "time_zone": team.time_zone,
        "supervisor": team.supervisor.email if team.supervisor else None,
        "members": list(team.members.order_by("email").values_list("email", flat=True)),
        "roles": roles,
    }


def _people(found: list[Roster]) -> set[int]:
    return {shift.person for one in found for shift in one.shifts}


@router.get("/{slug}/duty", auth=May("roster:read"), response={200: DutyOut, **REFUSALS})
def read_duty(request: HttpRequest, slug: str) -> Any:
    """Who is on duty now, who is the deputy, and when nobody is in the coming 14 days."""
    return _duty(_team(slug))


@router.put("/{slug}/duty", auth=May("roster:write"), response={200: DutyOut, **REFUSALS})
def put_duty(request: HttpRequest, slug: str, duty: DutyIn) -> Any:
    """Say which roles a team has, who belongs to it, who supervises it and in which zone it lives."""
    team = _team(slug)
    if duty.time_zone is not None:
        try:
            ZoneInfo(duty.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise invalid("There is no such time zone.", code="unknown_zone", pointer="/time_zone") from None
    if len({role.slug for role in duty.roles}) < len(duty.roles):
        raise invalid("Two roles have the same slug.", code="twice", pointer="/roles")
    supervisor = _person(duty.supervisor, pointer="/supervisor") if duty.supervisor else None
    members = (
        None
        if duty.members is None
        else [_person(email, pointer=f"/members/{place}") for place, email in enumerate(duty.members)]
    )
    save_team_duty(team, time_zone=duty.time_zone, supervisor=supervisor, members=members, actor=actor_of(request))
    save_roles(team, [(role.slug, role.name) for role in duty.roles], actor=actor_of(request))
    return _duty(team)


@router.get("/{slug}/shifts", auth=May("roster:read"), response={200: Page[ShiftOut], **REFUSALS})
def list_shifts(request: HttpRequest, slug: str, limit: Limit = USUAL_LIMIT, cursor: str = "") -> Any:
    """A team's shifts, the one planned last first."""
    place = read_cursor("shifts", cursor, int)
    found = Shift.objects.filter(role__team=_team(slug)).select_related("role", "person").order_by("-pk")
    rows = list((found.filter(pk__lt=place[0]) if place else found)[: limit + 1])

    def shown(shift: Shift) -> dict[str, Any]:
        same = {name: getattr(shift, name) for name in ("external_id", "place", "starts_at", "ends_at")}
        return same | {"person": shift.person.email, "role": shift.role.slug}

    return paged("shifts", rows, limit=limit, shown=shown, place=lambda shift: (shift.pk,))


@router.post("/{slug}/shifts", auth=May("roster:write"), response={200: BatchOut, **REFUSALS})
def post_shifts(request: HttpRequest, slug: str, shifts: ShiftsIn) -> Any:
    """Create or change shifts by `external_id`, up to 5,000 in a request; rows that cannot be are refused one by one."""
    team = _team(slug)
    if not DutyRole.objects.filter(team=team).exists():
        raise invalid("The team has no roles yet: PUT /teams/{slug}/duty first.", code="no_roles")
    put = put_shifts(team, [ShiftGiven(**row.model_dump()) for row in shifts.rows], actor=actor_of(request))
    return {
        "created": put.created,
        "updated": put.updated,
        "unchanged": put.unchanged,
        "refused": len(put.problems),
        "problems": [
            {
                "row": problem.row - 1,
                "pointer": f"/rows/{problem.row - 1}/{DETAILS[problem.reason][0]}",
                "code": problem.reason.value,
                "detail": DETAILS[problem.reason][1],
            }
            for problem in put.problems
        ],
    }


@router.delete("/{slug}/shifts/{external_id}", auth=May("roster:write"), response={204: None, **REFUSALS})
def delete_shift(request: HttpRequest, slug: str, external_id: str) -> HttpResponse:
    """Take a shift off the roster."""
    if not remove_shifts(_team(slug), [external_id], actor=actor_of(request)):
        raise not_found("shift of this name")
    return no_content()


@router.get("/{slug}/absences", auth=May("roster:read"), response={200: list[AbsenceOut], **REFUSALS})
def list_absences(request: HttpRequest, slug: str) -> Any:
    """Who of the team, or of those with shifts in it, is or will be away."""
    team = _team(slug)
    people = {*team.members.values_list("pk", flat=True)}
    people |= set(Shift.objects.filter(role__team=team, ends_at__gt=clock.now()).values_list("person_id", flat=True))
    found = Absence.objects.filter(person__in=people, ends_at__gt=clock.now()).select_related("person")
    return [_absence(one) for one in found.order_by("starts_at", "pk")[:MAX_ROWS]]


@router.put("/{slug}/absences", auth=May("roster:write"), response={200: AbsenceOut, **REFUSALS})
def put_one_absence(request: HttpRequest, slug: str, absence: AbsenceIn) -> Any:
    """Somebody is away; the same person and beginning again change the end. Why is not asked."""
    team = _team(slug)
    person = _person(absence.person, pointer="/person")
    try:
        found = put_absence(
            person, starts=absence.starts, ends=absence.ends, zone=team.time_zone, actor=actor_of(request)
        )
    except SpanError as error:
        reason = ShiftReason(error.reason.name.lower())
        raise invalid(DETAILS[reason][1], code=reason.value, pointer="/ends") from None
    return _absence(found)


@router.delete("/{slug}/absences/{id}", auth=May("roster:write"), response={204: None, **REFUSALS})
def delete_absence(request: HttpRequest, slug: str, id: UUID) -> HttpResponse:
    """They are there after all."""
    _team(slug)
    absence = Absence.objects.filter(public_id=id).first()
    if absence is None:
        raise not_found("absence of this id")
    remove_absence(absence, actor=actor_of(request))
    return no_content()


def _absence(absence: Absence) -> dict[str, Any]:
    return {
        "id": absence.public_id,
        "person": absence.person.email,
        "starts_at": absence.starts_at,
        "ends_at": absence.ends_at,
    }
