"""Teams: who is in them, who supervises, what they are on duty for, and their roster."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from beforehand.accounts.access import may
from beforehand.accounts.actions import save_team
from beforehand.accounts.models import Absence, DutyRole, Role, Shift, Team, User
from beforehand.accounts.rosters import rosters
from beforehand.accounts.shifts import save_roles, save_team_duty
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.engine.roster import duty_gaps
from beforehand.kit import clock
from beforehand.kit.web.times import zone
from beforehand.kit.zones import time_zones

GET_OR_POST = require_http_methods(["GET", "HEAD", "POST"])
AHEAD = timedelta(days=14)
SHOWN = 60


class TeamForm(forms.Form):
    """A team, its people and its duty roles."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    slug = forms.SlugField(
        label=gettext_lazy("Short name"),
        help_text=gettext_lazy("As playbooks name it, such as network-operations. It stays."),
    )
    members = forms.ModelMultipleChoiceField(
        User.objects.filter(is_active=True).order_by("name", "pk"), required=False, label=gettext_lazy("Members"),
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip
    supervisor = forms.ModelChoiceField(
        User.objects.filter(is_active=True, role__in=[Role.SUPERVISOR, Role.ADMIN]).order_by("name", "pk"), required=False,
        label=gettext_lazy("Supervisor"), empty_label=gettext_lazy("nobody in particular"),
        help_text=gettext_lazy("Who is asked when neither the person on duty nor the deputy answers."),
    )  # fmt: skip
    roles = forms.CharField(
        label=gettext_lazy("Duty roles"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy(
            "One a line; the first answers for promises. One taken out goes with its shifts. None: the whole team is asked."
        ),
    )  # fmt: skip
    time_zone = forms.CharField(
        label=gettext_lazy("Time zone of the shifts"), initial="Europe/Amsterdam",
        help_text=gettext_lazy("Such as Europe/Amsterdam or Asia/Kolkata."),
    )  # fmt: skip

    def __init__(self, *args: Any, team: Team | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.team = team
        if team is not None:
            del self.fields["slug"]

    def clean_slug(self) -> str:
        slug = str(self.cleaned_data["slug"])
        if Team.objects.filter(slug=slug).exists():
            raise forms.ValidationError(_("There is a team of this short name already."))
        return slug

    def clean_time_zone(self) -> str:
        name = str(self.cleaned_data["time_zone"]).strip()
        if name not in time_zones():
            raise forms.ValidationError(_("There is no time zone of this name. Write it like Europe/Amsterdam."))
        return name

    def clean_roles(self) -> list[tuple[str, str]]:
        """Slug and name of each; a role that is there already keeps its slug, and so its shifts."""
        names = list(
            dict.fromkeys(line.strip() for line in str(self.cleaned_data["roles"]).splitlines() if line.strip())
        )
        known = dict(DutyRole.objects.filter(team=self.team).values_list("name", "slug")) if self.team else {}
        taken = set(known.values())
        roles = []
        for name in names:
            slug = known.get(name) or slugify(name)[:40] or "role"
            number = 2
            while name not in known and slug in taken:
                slug, number = f"{slugify(name)[:40] or 'role'}-{number}", number + 1
            taken.add(slug)
            roles.append((slug, name))
        return roles

    def save(self, *, actor: str) -> Team:
        """Write the team as it stands here."""
        given = self.cleaned_data
        with transaction.atomic():
            team = save_team(slug=self.team.slug if self.team else given["slug"], name=given["name"], actor=actor)
            save_team_duty(
                team,
                time_zone=given["time_zone"],
                supervisor=given["supervisor"],
                members=list(given["members"]),
                actor=actor,
            )
            save_roles(team, given["roles"], actor=actor)
        return team


@allowed()
def teams(request: PageRequest) -> HttpResponse:
    """Every team: how many are in it, who has the duty now, and when nobody will have it."""
    now = clock.now()
    found = list(Team.objects.select_related("supervisor").annotate(size=Count("members")).order_by("name"))
    by_team: dict[int, list[tuple[str, str, int]]] = {}
    known = rosters(since=now, until=now + AHEAD)
    people = {shift.person for one in known for shift in one.shifts}
    names = dict(User.objects.filter(pk__in=people).values_list("pk", "name"))
    for one in known:
        gaps = duty_gaps(one.spans(since=now, until=now + AHEAD))
        by_team.setdefault(one.team.pk, []).append(
            (one.role.name, names.get(one.duty_at(now).person or 0, ""), len(gaps))
        )
    rows = [(team, by_team.get(team.pk, [])) for team in found]
    return render(request, "console/people/teams.html", {"nav": "teams", "tab": "teams", "rows": rows})


@allowed("roster:write")
@GET_OR_POST
def make(request: PageRequest) -> HttpResponse:
    """A new team."""
    form = TeamForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = form.save(actor=actor_of(request))
        messages.success(request, _("Saved."))
        return redirect("console:team", slug=made.slug)
    return render(request, "console/people/team_form.html", {"nav": "teams", "form": form, "team": None})


@allowed("roster:write")
@GET_OR_POST
def change(request: PageRequest, slug: str) -> HttpResponse:
    """Its people and what they are on duty for."""
    found = get_object_or_404(Team, slug=slug)
    initial = {
        "name": found.name,
        "members": found.members.all(),
        "supervisor": found.supervisor_id,
        "roles": "\n".join(found.duty_roles.values_list("name", flat=True)),
        "time_zone": found.time_zone,
    }
    form = TeamForm(request.POST or None, team=found, initial=initial)
    if request.method == "POST" and form.is_valid():
        form.save(actor=actor_of(request))
        messages.success(request, _("Saved."))
        return redirect("console:team", slug=found.slug)
    return render(request, "console/people/team_form.html", {"nav": "teams", "form": form, "team": found})


@allowed()
def team(request: PageRequest, slug: str) -> HttpResponse:
    """One team: who is in it, its coming shifts, when nobody is on duty, who is away."""
    found = get_object_or_404(Team.objects.select_related("supervisor"), slug=slug)
    now = clock.now()
    known = rosters(since=now, until=now + AHEAD, team_ids=[found.pk])
    gaps = [(one.role, gap) for one in known for gap in duty_gaps(one.spans(since=now, until=now + AHEAD))]
    shifts = Shift.objects.filter(role__team=found, ends_at__gt=now).select_related("role", "person")
    members = list(found.members.order_by("-is_active", "name"))
    away = Absence.objects.filter(person__in=members, ends_at__gt=now).select_related("person").order_by("starts_at")
    context = {
        "nav": "teams",
        "team": found,
        "members": members,
        "roles": list(found.duty_roles.all()),
        "on_duty": {one.role.pk: one.duty_at(now).person for one in known},
        "shifts": list(shifts.order_by("starts_at", "place")[:SHOWN]),
        "gaps": gaps[:12],
        "away": list(away[:SHOWN]),
        "now": now,
    }
    return render(request, "console/people/team.html", context)


def on_the_wall(at: datetime, name: str) -> datetime:
    """An instant as a zone's clocks show it, for a form."""
    return at.astimezone(ZoneInfo(name)).replace(tzinfo=None)


class WallField(forms.DateTimeField):
    """A time as it is written on a wall: whose wall is for the action to say, so no zone is put to it here."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def prepare_value(self, value: Any) -> Any:
        return value

    def to_python(self, value: Any) -> Any:
        found = super().to_python(value)
        return found.astimezone(zone()).replace(tzinfo=None) if found is not None and found.tzinfo else found


def must_plan(request: PageRequest) -> None:
    """Raise unless this person plans rosters."""
    if not may(request.user, "roster:write"):
        raise PermissionDenied
