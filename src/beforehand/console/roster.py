"""The roster by hand: a shift added, given to somebody else or taken out; an absence reported, one's own or a colleague's."""

from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from beforehand.accounts.access import may
from beforehand.accounts.models import Absence, DutyRole, Shift, Team, User
from beforehand.accounts.shifts import ShiftGiven, put_absence, put_shifts, remove_absence, swap_shift, take_out_shift
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.calendar import REASONS
from beforehand.console.teams import WallField, must_plan, on_the_wall
from beforehand.engine.roster import SpanError, SpanReason
from beforehand.kit import clock

GET_OR_POST = require_http_methods(["GET", "HEAD", "POST"])
SPANS = {
    SpanReason.BACKWARDS: gettext_lazy("It ends before it begins."),
    SpanReason.TOO_LONG: gettext_lazy("It lasts longer than 31 days."),
}


class ShiftForm(forms.Form):
    """Who, for what, from when until when."""

    person = forms.ModelChoiceField(User.objects.none(), label=gettext_lazy("Who"))
    role = forms.ModelChoiceField(DutyRole.objects.none(), label=gettext_lazy("Duty role"), empty_label=None)
    place = forms.TypedChoiceField(
        label=gettext_lazy("As"), coerce=int, choices=[(1, gettext_lazy("on duty")), (2, gettext_lazy("deputy"))]
    )
    starts = WallField(label=gettext_lazy("From"))
    ends = WallField(label=gettext_lazy("Until"))

    def __init__(self, *args: Any, team: Team, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = User.objects.filter(is_active=True, teams=team).order_by("name", "pk")
        self.fields["person"].queryset = own if own.exists() else User.objects.filter(is_active=True).order_by("name")  # type: ignore[attr-defined]
        self.fields["role"].queryset = DutyRole.objects.filter(team=team)  # type: ignore[attr-defined]


@allowed("roster:write")
@GET_OR_POST
def add_shift(request: PageRequest, slug: str) -> HttpResponse:
    """A shift of a team."""
    team = get_object_or_404(Team, slug=slug)
    return _put_shift(request, team, ShiftForm(request.POST or None, team=team), None)


@allowed("roster:write")
@GET_OR_POST
def shift(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Give a shift to somebody else, or another time."""
    found = get_object_or_404(Shift.objects.select_related("role__team"), public_id=public_id)
    team = found.role.team
    initial = {
        "person": found.person_id,
        "role": found.role_id,
        "place": found.place,
        "starts": on_the_wall(found.starts_at, team.time_zone),
        "ends": on_the_wall(found.ends_at, team.time_zone),
    }
    return _put_shift(request, team, ShiftForm(request.POST or None, team=team, initial=initial), found)


def _put_shift(request: PageRequest, team: Team, form: ShiftForm, known: Shift | None) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        name = known.external_id if known else str(uuid4())
        one = ShiftGiven(
            name, given["person"].email, given["starts"], given["ends"], given["role"].slug, given["place"]
        )
        actor = actor_of(request)
        put = swap_shift(known, one, actor=actor) if known else put_shifts(team, [one], actor=actor)
        if not put.problems:
            messages.success(request, _("Saved."))
            return redirect("console:team", slug=team.slug)
        form.add_error("ends", str(REASONS[put.problems[0].reason]))
    context = {"nav": "teams", "team": team, "form": form, "shift": known}
    return render(request, "console/people/shift.html", context)


@allowed("roster:write")
@require_POST
def remove_shift(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Take a shift out."""
    found = get_object_or_404(Shift.objects.select_related("role__team"), public_id=public_id)
    take_out_shift(found, actor=actor_of(request))
    messages.success(request, _("Taken out."))
    return redirect("console:team", slug=found.role.team.slug)


class AbsenceForm(forms.Form):
    """Who is away, from when until when. Why is nobody's business here."""

    person = forms.ModelChoiceField(
        User.objects.filter(is_active=True).order_by("name", "pk"), label=gettext_lazy("Who"), empty_label=None
    )
    starts = WallField(label=gettext_lazy("From"), help_text=gettext_lazy("In your own time zone."))
    ends = WallField(label=gettext_lazy("Until"))

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not may(by, "roster:write"):
            del self.fields["person"]


@allowed()
@GET_OR_POST
def away(request: PageRequest) -> HttpResponse:
    """Who is away and will be; and the word that one is away oneself, or, from a supervisor, that somebody is."""
    form = AbsenceForm(request.POST or None, by=request.user, initial={"person": request.user.pk})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        person = given.get("person") or request.user
        try:
            put_absence(
                person, starts=given["starts"], ends=given["ends"], zone=_zone(request), actor=actor_of(request)
            )
        except SpanError as error:
            form.add_error("ends", str(SPANS[error.reason]))
        else:
            messages.success(request, _("Noted. What is promised in that time goes to whoever is on duty then."))
            return redirect("console:away")
    coming = Absence.objects.filter(ends_at__gt=clock.now()).select_related("person").order_by("starts_at", "pk")[:200]
    context = {"nav": "teams", "tab": "away", "form": form, "coming": coming}
    return render(request, "console/people/away.html", context)


@allowed()
@require_POST
def back(request: PageRequest, public_id: UUID) -> HttpResponse:
    """They are there after all."""
    found = get_object_or_404(Absence, public_id=public_id)
    if found.person_id != request.user.pk:
        must_plan(request)
    remove_absence(found, actor=actor_of(request))
    messages.success(request, _("Taken out."))
    return redirect("console:away")


def _zone(request: PageRequest) -> str:
    """The zone of the reader's clock, as the page shows it."""
    return get_current_timezone_name()
