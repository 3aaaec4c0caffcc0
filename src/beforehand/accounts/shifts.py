"""Plan the roster: roles, shifts and absences. What cannot be is named entry by entry, and the rest is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from django.db import transaction

from beforehand.accounts.models import Absence, DutyRole, RemovedShift, Shift, Team, User
from beforehand.engine.roster import SpanError, SpanReason, shift_span
from beforehand.events.actions import append_event


class ShiftReason(StrEnum):
    """Why an entry of a roster was not taken."""

    UNKNOWN_ROLE = "unknown_role"
    UNKNOWN_PERSON = "unknown_person"
    BACKWARDS = "backwards"
    TOO_LONG = "too_long"
    TWICE = "twice"
    NO_PERSON = "no_person"
    NO_TIME = "no_time"
    REPEATS = "repeats"


SPAN_REASONS = {SpanReason.BACKWARDS: ShiftReason.BACKWARDS, SpanReason.TOO_LONG: ShiftReason.TOO_LONG}


@dataclass(frozen=True, slots=True)
class ShiftGiven:
    """A shift as a planner writes it: times without an offset are the team's wall clock. `role` "" is the first role."""

    external_id: str
    person: str
    starts: datetime
    ends: datetime
    role: str = ""
    place: int = 1


@dataclass(frozen=True, slots=True)
class ShiftProblem:
    """An entry that was not taken: its place in what was given (from 1), what it calls itself, and why."""

    row: int
    name: str
    reason: ShiftReason


@dataclass(frozen=True, slots=True)
class ShiftsPut:
    """What became of a plan. `kept` names the shifts that somebody has changed or taken out by hand, and of which it says
    nothing new."""

    created: int
    updated: int
    unchanged: int
    problems: tuple[ShiftProblem, ...]
    kept: tuple[str, ...] = ()


@transaction.atomic
def save_roles(team: Team, roles: Sequence[tuple[str, str]], *, actor: str) -> None:
    """The team's roles as slug and name, in their order; one that is missing goes, with its shifts."""
    DutyRole.objects.filter(team=team).exclude(slug__in=[slug for slug, _ in roles]).delete()
    for position, (slug, name) in enumerate(roles, start=1):
        DutyRole.objects.update_or_create(team=team, slug=slug, defaults={"name": name, "position": position})
    append_event(type="roster.roles_set", actor=actor, subject=f"team:{team.pk}", data={"roles": [r[0] for r in roles]})


@transaction.atomic
def save_team_duty(
    team: Team, *, time_zone: str | None, supervisor: User | None, members: Sequence[User] | None, actor: str
) -> None:
    """The team's zone, members and supervisor; None for a zone or members leaves them."""
    if time_zone is not None:
        team.time_zone = str(ZoneInfo(time_zone))
    team.supervisor = supervisor
    team.save(update_fields=["time_zone", "supervisor"])
    if members is not None:
        team.members.set(members)
    append_event(type="team.changed", actor=actor, subject=f"team:{team.pk}", data={"zone": team.time_zone})


@transaction.atomic
def put_shifts(team: Team, given: Sequence[ShiftGiven], *, actor: str, keeps_swaps: bool = False) -> ShiftsPut:
    """Write these shifts, by the planner's own names for them: the same plan twice changes nothing.

    `keeps_swaps`: what somebody changed by hand stays, and what they took out stays out, until the plan says something
    else of it than it did before.
    """
    roles = {role.slug: role for role in DutyRole.objects.filter(team=team)}
    first = next(iter(sorted(roles.values(), key=lambda role: (role.position, role.pk))), None)
    people = {
        user.email: user
        for user in User.objects.filter(email__in={one.person.lower() for one in given}, is_active=True)
    }
    known: dict[tuple[int, str], Shift] = {}
    swapped: dict[tuple[int, str], Shift] = {}
    for shift in Shift.objects.select_for_update().filter(
        role__team=team, external_id__in={one.external_id for one in given}
    ):
        known[shift.role_id, shift.external_id] = shift
        if shift.planned is not None:
            swapped[shift.planned["role"], shift.external_id] = shift
    removed = {
        one.external_id: one.planned
        for one in RemovedShift.objects.filter(team=team, external_id__in={one.external_id for one in given})
    }
    zone = ZoneInfo(team.time_zone)
    problems: list[ShiftProblem] = []
    kept: list[str] = []
    written: dict[tuple[int, str], Shift] = {}
    unchanged = 0
    for row, one in enumerate(given, start=1):
        found = _read(one, first if not one.role else roles.get(one.role), people.get(one.person.lower()), zone)
        if isinstance(found, Shift) and (found.role_id, found.external_id) in written:
            found = ShiftReason.TWICE
        if isinstance(found, ShiftReason):
            problems.append(ShiftProblem(row, one.external_id, found))
            continue
        key = (found.role_id, found.external_id)
        before = known.get(key)
        if before is not None and _says(before) == _says(found):
            unchanged += 1
        elif keeps_swaps and _plan(found) in (
            swapped[key].planned if key in swapped else None,
            removed.get(one.external_id),
        ):
            kept.append(one.external_id)
        else:
            written[key] = found
    Shift.objects.bulk_create(
        written.values(),
        batch_size=1000,
        update_conflicts=True,
        unique_fields=["role", "external_id"],
        update_fields=["person", "place", "starts_at", "ends_at", "planned"],
    )
    # The plan says something new of what was put under another role by hand: it is not there any more.
    elsewhere = [swapped[key].pk for key in written.keys() & swapped.keys() if swapped[key].role_id != key[0]]
    Shift.objects.filter(pk__in=elsewhere).delete()
    RemovedShift.objects.filter(team=team, external_id__in={name for _, name in written}).delete()
    updated = len(written.keys() & known.keys())
    if written:
        append_event(
            type="roster.shifts_put",
            actor=actor,
            subject=f"team:{team.pk}",
            data={"created": len(written) - updated, "updated": updated, "refused": len(problems)},
        )
    return ShiftsPut(len(written) - updated, updated, unchanged, tuple(problems), tuple(kept))


@transaction.atomic
def swap_shift(shift: Shift, given: ShiftGiven, *, actor: str) -> ShiftsPut:
    """A person gives a shift to somebody else, another time or another role; what was planned is remembered with it."""
    team = shift.role.team
    planned = shift.planned or _plan(shift)
    put = put_shifts(team, [given], actor=actor)
    if put.problems:
        return put
    role = DutyRole.objects.get(team=team, slug=given.role)
    if role.pk != shift.role_id:
        Shift.objects.filter(pk=shift.pk).delete()
    after = Shift.objects.get(role=role, external_id=given.external_id)
    after.planned = None if _plan(after) == planned else planned
    after.save(update_fields=["planned"])
    return put


@transaction.atomic
def take_out_shift(shift: Shift, *, actor: str) -> None:
    """A person takes a shift out; what was planned is remembered, so that the next plan does not bring it back."""
    team = shift.role.team
    RemovedShift.objects.update_or_create(
        team=team, external_id=shift.external_id, defaults={"planned": shift.planned or _plan(shift)}
    )
    remove_shifts(team, [shift.external_id], actor=actor)


def _read(one: ShiftGiven, role: DutyRole | None, person: User | None, zone: ZoneInfo) -> Shift | ShiftReason:
    if role is None:
        return ShiftReason.UNKNOWN_ROLE
    if person is None:
        return ShiftReason.UNKNOWN_PERSON if one.person else ShiftReason.NO_PERSON
    try:
        starts_at, ends_at = shift_span(one.starts, one.ends, zone=zone)
    except SpanError as error:
        return SPAN_REASONS[error.reason]
    return Shift(
        role=role, external_id=one.external_id, person=person, place=one.place, starts_at=starts_at, ends_at=ends_at
    )


def _says(shift: Shift) -> tuple[object, ...]:
    return (shift.person_id, shift.place, shift.starts_at, shift.ends_at)


def _plan(shift: Shift) -> dict[str, object]:
    """All that a planner says of a shift, as it is stored."""
    return {
        "role": shift.role_id,
        "person": shift.person_id,
        "place": shift.place,
        "starts_at": shift.starts_at.astimezone(UTC).isoformat(),
        "ends_at": shift.ends_at.astimezone(UTC).isoformat(),
    }


@transaction.atomic
def remove_shifts(team: Team, external_ids: Sequence[str], *, actor: str) -> int:
    """Take these shifts off the roster; how many there were."""
    removed = Shift.objects.filter(role__team=team, external_id__in=list(external_ids)).delete()[0]
    if removed:
        append_event(type="roster.shifts_removed", actor=actor, subject=f"team:{team.pk}", data={"removed": removed})
    return removed


@transaction.atomic
def put_absence(person: User, *, starts: datetime, ends: datetime, zone: str, actor: str) -> Absence:
    """A person is away; times without an offset are the wall clock of `zone`. Raises `SpanError`."""
    starts_at, ends_at = shift_span(starts, ends, zone=ZoneInfo(zone))
    absence, _ = Absence.objects.update_or_create(person=person, starts_at=starts_at, defaults={"ends_at": ends_at})
    append_event(type="roster.absence_put", actor=actor, subject=f"user:{person.pk}")
    return absence


@transaction.atomic
def remove_absence(absence: Absence, *, actor: str) -> None:
    """They are there after all."""
    append_event(type="roster.absence_removed", actor=actor, subject=f"user:{absence.person_id}")
    absence.delete()
