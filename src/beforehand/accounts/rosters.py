"""The roster as stored: who is on duty for which team, now and in the coming days."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from beforehand.accounts.models import Absence, DutyRole, Role, Shift, Team, User
from beforehand.engine import roster as engine


@dataclass(frozen=True, slots=True)
class Roster:
    """One role of one team with the shifts and absences of a time. People are ids of users."""

    team: Team
    role: DutyRole
    shifts: tuple[engine.Shift, ...]
    absences: tuple[engine.Absence, ...]
    supervisor: int | None

    def duty_at(self, at: datetime) -> engine.Duty:
        """Who has the duty at a moment of that time."""
        return engine.duty_at(at, shifts=self.shifts, absences=self.absences)

    def spans(self, *, since: datetime, until: datetime) -> tuple[engine.DutySpan, ...]:
        """How the duty stands between two moments of that time."""
        return engine.duty_spans(self.shifts, self.absences, since=since, until=until)

    def has_gone(self, person: int, *, since: datetime, now: datetime) -> bool:
        """Whether a person who was on shift at `since` is not there any more."""
        return engine.has_gone(person, shifts=self.shifts, absences=self.absences, since=since, now=now)


def rosters(*, since: datetime, until: datetime, team_ids: Iterable[int] | None = None) -> list[Roster]:
    """Every role of these teams (of all, if None), by team name and the roles' own order. Five queries whatever the size."""
    roles = DutyRole.objects.select_related("team").order_by("team__name", "team_id", "position", "id")
    if team_ids is not None:
        roles = roles.filter(team_id__in=list(team_ids))
    found = list(roles)
    if not found:
        return []
    shifts: dict[int, list[engine.Shift]] = {}
    people: set[int] = set()
    for role_id, person, starts_at, ends_at, place in Shift.objects.filter(
        role__in=found, ends_at__gt=since, starts_at__lt=until, person__is_active=True
    ).values_list("role_id", "person_id", "starts_at", "ends_at", "place"):
        shifts.setdefault(role_id, []).append(engine.Shift(person, starts_at, ends_at, place))
        people.add(person)
    absences: dict[int, list[engine.Absence]] = {}
    for person, starts_at, ends_at in Absence.objects.filter(
        person__in=people, ends_at__gt=since, starts_at__lt=until
    ).values_list("person_id", "starts_at", "ends_at"):
        absences.setdefault(person, []).append(engine.Absence(person, starts_at, ends_at))
    supervisors = _supervisors([role.team for role in found])
    return [
        Roster(
            team=role.team,
            role=role,
            shifts=tuple(shifts.get(role.pk, ())),
            absences=tuple(
                absence
                for person in {shift.person for shift in shifts.get(role.pk, ())}
                for absence in absences.get(person, ())
            ),
            supervisor=supervisors.get(role.team_id),
        )
        for role in found
    ]


def answering_rosters(team_ids: Iterable[int], *, since: datetime, until: datetime) -> dict[int, Roster]:
    """By team, the roster of the role that answers for its promises: its first. A team without roles is not in it."""
    first: dict[int, Roster] = {}
    for one in rosters(since=since, until=until, team_ids=team_ids):
        first.setdefault(one.team.pk, one)
    return first


def _supervisors(teams: Sequence[Team]) -> dict[int, int]:
    """By team, whom to ask last: the person it names, else the first supervisor among its members."""
    members = User.objects.filter(teams__in=teams, is_active=True, role__in=[Role.SUPERVISOR, Role.ADMIN])
    found: dict[int, int] = {}
    for team_id, user_id in members.order_by("-role", "pk").values_list("teams", "pk"):
        found.setdefault(team_id, user_id)
    named = {team.supervisor_id for team in teams if team.supervisor_id is not None}
    active = set(User.objects.filter(pk__in=named, is_active=True).values_list("pk", flat=True)) if named else set()
    return found | {team.pk: team.supervisor_id for team in teams if team.supervisor_id in active}
