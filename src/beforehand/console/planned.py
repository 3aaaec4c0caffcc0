"""Planned work: what comes, what is under way; plan it, move it, finish it; and calendars, out and in."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override
from django.views.decorators.http import require_POST

from beforehand.accounts.access import may
from beforehand.accounts.ics import MAX_ENTRIES, NotACalendar, write_calendar
from beforehand.accounts.installation import installation
from beforehand.accounts.models import User
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.asking import Question, ask, is_confirmed
from beforehand.console.incident_forms import OpenForm
from beforehand.console.incident_writing import GET_OR_POST, chosen_parts, room_of
from beforehand.incidents.actions import IncidentError
from beforehand.incidents.models import Incident, PlannedWork
from beforehand.incidents.planned import cancel_work, finish_work, move_work, plan_work, start_work
from beforehand.incidents.planned_calendar import DONE, EntryResult, planned_entries, read_planned
from beforehand.incidents.queries import would_touch
from beforehand.kit import clock
from beforehand.kit.signing import TokenRefused, sign, verify
from beforehand.kit.web.mixed import apart

FEED = "planned-work"
FEED_LASTS = timedelta(days=365)
SHOWN = 100
MAX_FILE = 2 << 20
REFUSALS = {
    "not_open": gettext_lazy("The work is over."),
    "ends_before": gettext_lazy("It cannot end before it begins."),
    "too_long": gettext_lazy("It lasts at most 31 days."),
    "is_past": gettext_lazy("This is past."),
    "touches_nobody": gettext_lazy("Choose at least one network part, or write a condition."),
    "has_started": gettext_lazy("It has begun: only its end can be moved."),
    "not_started": gettext_lazy("It has not begun: call it off instead."),
}
RESULTS = {
    EntryResult.PLANNED: gettext_lazy("planned"),
    EntryResult.MOVED: gettext_lazy("moved"),
    EntryResult.UNCHANGED: gettext_lazy("as it was"),
    EntryResult.CALLED_OFF: gettext_lazy("called off"),
    EntryResult.NO_NAME: gettext_lazy("it has no name of its own (UID)"),
    EntryResult.NO_TIME: gettext_lazy("it has no readable beginning and end"),
    EntryResult.REPEATS: gettext_lazy("it repeats: export each by itself"),
    EntryResult.UNKNOWN_COMPONENT: gettext_lazy("it names no network part that we know (CATEGORIES or LOCATION)"),
    **{EntryResult(code): text for code, text in REFUSALS.items() if code in set(EntryResult)},
}


def _picker() -> forms.DateTimeInput:
    return forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class PlanForm(OpenForm):
    """Planned work as a person plans it."""

    field_order = ["title", "starts_at", "ends_at", "announce_at", "severity", "owner", "is_public"]
    starts_at = forms.DateTimeField(
        label=gettext_lazy("Begins"), help_text=gettext_lazy("In your own time zone."), widget=_picker()
    )
    ends_at = forms.DateTimeField(label=gettext_lazy("Ends"), widget=_picker())
    announce_at = forms.DateTimeField(
        label=gettext_lazy("Tell customers"),
        required=False,
        help_text=gettext_lazy("Empty: at once."),
        widget=_picker(),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["kind"], self.fields["began_at"]
        self.fields["severity"].initial = Incident.Severity.MINOR

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        starts_at, ends_at = cleaned.get("starts_at"), cleaned.get("ends_at")
        if starts_at and ends_at and ends_at <= starts_at:
            self.add_error("ends_at", str(REFUSALS["ends_before"]))
        if starts_at and starts_at < clock.now() - timedelta(minutes=5):
            self.add_error("starts_at", str(REFUSALS["is_past"]))
        return cleaned

    def hidden(self) -> list[tuple[str, str]]:
        window = [(name, str(self.data.get(name, ""))) for name in ("starts_at", "ends_at", "announce_at")]
        return [*super().hidden(), *((name, value) for name, value in window if value)]


class WindowForm(forms.Form):
    """Another window."""

    starts_at = forms.DateTimeField(
        label=gettext_lazy("Begins"), help_text=gettext_lazy("In your own time zone."), widget=_picker()
    )
    ends_at = forms.DateTimeField(label=gettext_lazy("Ends"), widget=_picker())


class CalendarForm(forms.Form):
    """A planner's file."""

    file = forms.FileField(
        label=gettext_lazy("Calendar file (.ics)"),
        help_text=gettext_lazy("UID names the work, CATEGORIES or LOCATION the network parts by their numbers."),
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MAX_FILE:
            raise forms.ValidationError(_("The file is larger than 2 MB."))
        return file


def _work(public_id: UUID) -> PlannedWork:
    return get_object_or_404(PlannedWork.objects.select_related("incident"), incident__public_id=public_id)


@allowed()
def planned(request: PageRequest) -> HttpResponse:
    """What is under way and what comes, soonest first; then what was."""
    works = PlannedWork.objects.select_related("incident__owner")
    context = {
        "nav": "planned",
        "coming": works.filter(incident__state=Incident.State.OPEN).order_by("starts_at")[:SHOWN],
        "past": works.exclude(incident__state=Incident.State.OPEN).order_by("-ends_at")[:20],
        "feed": feed_address(request.user, now=clock.now()),
    }
    return render(request, "console/planned/list.html", context)


@allowed("incident:open")
@GET_OR_POST
def plan(request: PageRequest) -> HttpResponse:
    """The form, then the count of whom it touches, then the room."""
    form = PlanForm(request.POST or None, languages=installation().brand.languages)
    if request.method != "POST" or not form.is_valid():
        return render(
            request, "console/planned/plan.html", {"nav": "planned", "form": form, "chosen": chosen_parts(form)}
        )
    typed = form.cleaned_data
    touched = would_touch(component_ids=form.component_ids(), condition=typed["condition"], now=clock.now())
    if not is_confirmed(request, touched):
        return ask(request, _question(form, touched))
    try:
        work = plan_work(
            title=typed["title"],
            starts_at=typed["starts_at"],
            ends_at=typed["ends_at"],
            announce_at=typed["announce_at"],
            severity=typed["severity"],
            component_ids=form.component_ids(),
            condition=typed["condition"],
            texts=form.texts(),
            owner=typed["owner"],
            is_public=typed["is_public"],
            actor=actor_of(request),
        )
    except IncidentError as refused:
        form.add_error(None, str(REFUSALS.get(refused.code, refused.code)))
        return render(
            request, "console/planned/plan.html", {"nav": "planned", "form": form, "chosen": chosen_parts(form)}
        )
    return redirect(room_of(work.incident))


def _question(form: PlanForm, touched: int) -> Question:
    return Question(
        title=_("Plan “%(title)s”?") % apart(title=form.cleaned_data["title"]),
        press=_("Plan it"),
        count=touched,
        count_label=_("customers would be touched by it"),
        lines=[_("They are told when you chose, the day before, when it begins and when it is over.")],
        back=reverse("console:planned-plan"),
        back_label=_("Plan work"),
        hidden=form.hidden(),
        nav="planned",
    )


@allowed("incident:write")
@GET_OR_POST
def move(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Another window; who was told is told so."""
    work = _work(public_id)
    form = WindowForm(request.POST or None, initial={"starts_at": work.starts_at, "ends_at": work.ends_at})
    if work.started_at is not None:
        form.fields["starts_at"].disabled = True
    if request.method == "POST" and form.is_valid():
        starts_at = work.starts_at if work.started_at else form.cleaned_data["starts_at"]
        try:
            move_work(work, starts_at=starts_at, ends_at=form.cleaned_data["ends_at"], actor=actor_of(request))
        except IncidentError as refused:
            form.add_error(None, str(REFUSALS.get(refused.code, refused.code)))
        else:
            messages.success(request, _("Moved. Whoever was told is told so."))
            return redirect(room_of(work.incident))
    context = {"nav": "planned", "work": work, "incident": work.incident, "form": form}
    return render(request, "console/planned/move.html", context)


ENDS: dict[str, Callable[..., object]] = {"start": start_work, "finish": finish_work, "cancel": cancel_work}


@allowed("incident:end")
@require_POST
def change(request: PageRequest, public_id: UUID, how: str) -> HttpResponse:
    """It begins, it is done, or it does not take place: asked first, with the number who hear of it."""
    work = _work(public_id)
    count = work.incident.affected_count
    if not is_confirmed(request, count):
        return ask(request, _end_question(work, how, count))
    try:
        ENDS[how](work, actor=actor_of(request))
    except IncidentError as refused:
        messages.error(request, str(REFUSALS.get(refused.code, refused.code)))
    return redirect(room_of(work.incident))


def _end_question(work: PlannedWork, how: str, count: int) -> Question:
    titles = {
        "start": (_("Does the work begin now?"), _("It begins")),
        "finish": (_("Is the work done?"), _("It is done")),
        "cancel": (_("Call the work off?"), _("Call it off")),
    }
    title, press = titles[how]
    return Question(
        title=title,
        press=press,
        count=count,
        count_label=_("customers are touched by it; those who were told hear of this"),
        back=room_of(work.incident),
        back_label=work.incident.title,
        is_grave=how == "cancel",
        nav="planned",
    )


def feed_address(user: User, *, now: datetime) -> str:
    """Where this person's calendar program reads planned work, for a year, while they are employed."""
    token = sign(FEED, str(user.pk), until=now + FEED_LASTS)
    return f"{settings.BASE_URL}{reverse('console:planned-feed', args=[token])}"


def feed(request: HttpRequest, token: str) -> HttpResponse:
    """Planned work as a calendar file. The link is the key: it opens this and nothing else, until a time."""
    try:
        user = User.objects.filter(pk=int(verify(FEED, token))).first()
    except (TokenRefused, ValueError):
        raise Http404 from None
    if user is None or not may(user, "console:read"):
        raise Http404
    now = clock.now()
    with override(user.language):
        rooms = f"{settings.BASE_URL}{reverse('console:incidents')}"
        entries = planned_entries(since=now - timedelta(days=30), base_url=rooms)
        body = write_calendar(entries, name=_("Planned work"), written_at=now)
    return HttpResponse(
        body,
        content_type="text/calendar; charset=utf-8",
        headers={"Content-Disposition": 'inline; filename="planned-work.ics"', "Cache-Control": "private, no-store"},
    )


@allowed("incident:open")
@GET_OR_POST
def upload(request: PageRequest) -> HttpResponse:
    """Plan, move and call off what a planner's file says; each entry with what became of it."""
    form = CalendarForm(request.POST or None, request.FILES or None)
    context: dict[str, Any] = {"nav": "planned", "form": form}
    if request.method == "POST" and form.is_valid():
        try:
            zone = request.user.time_zone
            read = read_planned(form.cleaned_data["file"].read(), zone=zone, actor=actor_of(request))
        except NotACalendar:
            form.add_error(
                "file", _("This is no calendar file, or it has more than %(most)d entries.") % {"most": MAX_ENTRIES}
            )
        else:
            context["read"] = [(one, RESULTS[one.result], one.result in DONE) for one in read]
    return render(request, "console/planned/upload.html", context)
