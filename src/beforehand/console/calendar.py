"""Calendar: who is on duty in the coming two weeks, where nobody is, what is due; for other programs too, and from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override
from django.views.decorators.http import require_http_methods

from beforehand.accounts.access import may
from beforehand.accounts.ics import MAX_ENTRIES, CalendarEntry, NotACalendar, read_shifts, write_calendar
from beforehand.accounts.models import DutyRole, Team, User
from beforehand.accounts.rosters import Roster, rosters
from beforehand.accounts.shifts import ShiftProblem, ShiftReason, put_shifts, remove_shifts
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.live import live_url
from beforehand.console.promises import promise_lines, promise_title
from beforehand.engine.roster import DutyReason, DutySpan, duty_gaps
from beforehand.incidents.models import PlannedWork
from beforehand.kit import clock
from beforehand.kit.signing import TokenRefused, sign, verify
from beforehand.kit.web import times
from beforehand.kit.web.mixed import apart
from beforehand.promises.models import Promise
from beforehand.promises.queries import LOOKED_AT, due_soonest, unowned_promises

DAYS = 14
SHOWN_A_DAY = 6
MOST_DUE = 500
FEED = "calendar"
FEED_LASTS = timedelta(days=365)
MAX_FILE = 2 << 20
REASONS = {
    ShiftReason.UNKNOWN_ROLE: gettext_lazy("the team has no role of this name"),
    ShiftReason.UNKNOWN_PERSON: gettext_lazy("nobody with this e-mail address may sign in"),
    ShiftReason.NO_PERSON: gettext_lazy("it names no person (ATTENDEE)"),
    ShiftReason.NO_TIME: gettext_lazy("it has no readable beginning and end"),
    ShiftReason.BACKWARDS: gettext_lazy("it ends before it begins"),
    ShiftReason.TOO_LONG: gettext_lazy("it lasts longer than 31 days"),
    ShiftReason.TWICE: gettext_lazy("another entry has the same name (UID)"),
    ShiftReason.REPEATS: gettext_lazy("it repeats: export each shift by itself"),
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a day: who has the duty, from and until when on the reader's clock. `person` "" means nobody."""

    begins: str
    ends: str
    person: str
    deputy: str
    is_gap: bool
    is_now: bool


@dataclass(slots=True)
class Day:
    """One day of the calendar: for each role its pieces, what is planned and what is due."""

    on: date
    is_today: bool
    columns: list[list[Piece]] = field(default_factory=list)
    planned: list[PlannedWork] = field(default_factory=list)
    due: list[Any] = field(default_factory=list)
    more_due: int = 0


class ShiftsForm(forms.Form):
    """A planner's file of shifts."""

    team = forms.ModelChoiceField(
        Team.objects.filter(duty_roles__isnull=False).distinct().order_by("name"), label=gettext_lazy("Team")
    )
    file = forms.FileField(
        label=gettext_lazy("Calendar file (.ics)"),
        help_text=gettext_lazy(
            "One entry a shift: ATTENDEE is the person, UID names the shift, CATEGORIES the role, and “deputy” for a deputy."
        ),
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MAX_FILE:
            raise forms.ValidationError(_("The file is larger than 2 MB."))
        return file


@allowed()
def calendar(request: PageRequest) -> HttpResponse:
    """The page."""
    now = clock.now()
    zone = times.zone()
    first = now.astimezone(zone).date()
    edges = [datetime.combine(first + timedelta(days=n), time(), zone) for n in range(DAYS + 1)]
    found = rosters(since=edges[0], until=edges[-1])
    names = _names(found)
    spans = [one.spans(since=edges[0], until=edges[-1]) if one.shifts else () for one in found]
    due = _due(until=edges[-1])
    lines = promise_lines(due)
    planned = _planned(since=edges[0], until=edges[-1])
    days = []
    for on, begins, ends in zip((edge.date() for edge in edges), edges, edges[1:], strict=False):
        own = [line for line in lines if begins <= line.promise.due_at < ends]
        columns = [_pieces(span, begins, ends, names=names, now=now) for span in spans]
        works = [work for work in planned if work.starts_at < ends and work.ends_at > begins]
        days.append(Day(on, on == first, columns, works, own[:SHOWN_A_DAY], max(0, len(own) - SHOWN_A_DAY)))
    gaps = [(one, gap) for one, span in zip(found, spans, strict=True) for gap in duty_gaps(span) if gap.ends_at > now]
    context = {
        "nav": "calendar",
        "rosters": found,
        "days": days,
        "on_duty": [(one, *_now_on_duty(one, names, now=now)) for one in found],
        "gaps": gaps,
        "unowned": [(line, gap) for line, gap in _unowned(now=now)],
        "feed": feed_address(request.user, now=now),
        "live_url": live_url("all"),
    }
    return render(request, "console/calendar/calendar.html", context)


@allowed("roster:write")
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: PageRequest) -> HttpResponse:
    """Read shifts from a planner's file: what could be is written, each entry that could not be is named."""
    form = ShiftsForm(request.POST or None, request.FILES or None)
    context: dict[str, Any] = {"nav": "calendar", "form": form, "has_roles": DutyRole.objects.exists()}
    if request.method == "POST" and form.is_valid():
        try:
            file = read_shifts(form.cleaned_data["file"].read())
        except NotACalendar:
            form.add_error(
                "file", _("This is no calendar file, or it has more than %(most)d entries.") % {"most": MAX_ENTRIES}
            )
        else:
            team = form.cleaned_data["team"]
            put = put_shifts(team, file.given, actor=actor_of(request), keeps_swaps=True)
            removed = remove_shifts(team, file.cancelled, actor=actor_of(request)) if file.cancelled else 0
            refused = [ShiftProblem(file.rows[one.row - 1], one.name, one.reason) for one in put.problems]
            problems = sorted([*file.problems, *refused], key=lambda one: one.row)
            context |= {
                "put": put,
                "removed": removed,
                "problems": [(one, REASONS[one.reason]) for one in problems],
            }
    return render(request, "console/calendar/upload.html", context)


def feed_address(user: User, *, now: datetime) -> str:
    """Where a calendar program of this person's reads the calendar, for a year, while they are employed."""
    token = sign(FEED, str(user.pk), until=now + FEED_LASTS)
    return f"{settings.BASE_URL}{reverse('console:calendar-feed', args=[token])}"


def feed(request: HttpRequest, token: str) -> HttpResponse:
    """The calendar as a file. The link is the key: it opens this and nothing else, until a time."""
    try:
        user = User.objects.filter(pk=int(verify(FEED, token))).first()
    except (TokenRefused, ValueError):
        raise Http404 from None
    if user is None or not may(user, "console:read"):
        raise Http404
    now = clock.now()
    since, until = now - timedelta(days=1), now + timedelta(days=DAYS * 3)
    with override(user.language):
        found = rosters(since=since, until=until)
        entries = [*_shift_entries(found, _names(found), since=since, until=until), *_promise_entries(until=until)]
        body = write_calendar(entries, name=_("Beforehand: duty and promises"), written_at=now)
    return HttpResponse(
        body,
        content_type="text/calendar; charset=utf-8",
        headers={"Content-Disposition": 'inline; filename="beforehand.ics"', "Cache-Control": "private, no-store"},
    )


def _shift_entries(
    found: Sequence[Roster], names: dict[int, str], *, since: datetime, until: datetime
) -> Iterable[CalendarEntry]:
    for one in found:
        # From the first shift on, so that an entry keeps its name while days go by.
        first = min((shift.starts_at for shift in one.shifts), default=since)
        for span in one.spans(since=min(first, since), until=until) if one.shifts else ():
            if span.ends_at <= since:
                continue
            who = names.get(span.duty.person or 0) or _("nobody")
            deputy = names.get(span.duty.deputy or 0, "")
            yield CalendarEntry(
                uid=f"duty-{one.role.pk}-{span.starts_at:%Y%m%dT%H%M%SZ}@beforehand",
                title=f"{one.team.name} · {one.role.name}: {who}",
                starts_at=span.starts_at,
                ends_at=span.ends_at,
                text=_("Deputy: %(name)s") % apart(name=deputy) if deputy else "",
                category=one.role.name,
            )


def _promise_entries(*, until: datetime) -> Iterable[CalendarEntry]:
    for line in promise_lines(_due(until=until)):
        yield CalendarEntry(
            uid=f"promise-{line.promise.public_id}@beforehand",
            title=f"{promise_title(line.promise)}: {line.incident.title if line.incident else line.promise.audience}",
            starts_at=line.promise.due_at,
            ends_at=line.promise.due_at,
            url=f"{settings.BASE_URL}{reverse('console:incident', args=[line.incident.public_id])}"
            if line.incident
            else "",
            category=_("promise"),
        )


def _due(*, until: datetime) -> list[Promise]:
    due = Promise.objects.filter(state=Promise.State.OPEN, due_at__lt=until).select_related("owner", "assignee")
    return list(due.order_by("due_at")[:MOST_DUE])


def _planned(*, since: datetime, until: datetime) -> list[PlannedWork]:
    works = PlannedWork.objects.filter(starts_at__lt=until, ends_at__gt=since).select_related("incident")
    over = [PlannedWork.Phase.FINISHED, PlannedWork.Phase.CANCELLED]
    return list(works.exclude(phase__in=over).order_by("starts_at")[:MOST_DUE])


def _unowned(*, now: datetime) -> list[tuple[Any, DutySpan]]:
    missing = unowned_promises(due_soonest(limit=LOOKED_AT), now=now)
    lines = promise_lines([one.promise for one in missing])
    return [(line, one.gap) for line, one in zip(lines, missing, strict=True)]


def _names(found: Iterable[Roster]) -> dict[int, str]:
    people = {shift.person for one in found for shift in one.shifts} | {one.supervisor or 0 for one in found}
    return dict(User.objects.filter(pk__in=people).values_list("pk", "name"))


def _now_on_duty(one: Roster, names: dict[int, str], *, now: datetime) -> tuple[str, str, bool]:
    """Who has the duty now, who is the deputy, and whether that is nobody although the team keeps a roster."""
    duty = one.duty_at(now)
    is_gap = duty.person is None and (bool(one.shifts) or duty.reason is DutyReason.ALL_AWAY)
    return names.get(duty.person or 0, ""), names.get(duty.deputy or 0, ""), is_gap


def _pieces(
    spans: Iterable[DutySpan], begins: datetime, ends: datetime, *, names: dict[int, str], now: datetime
) -> list[Piece]:
    """What of these spans falls into a day, on the clock of that day's zone."""
    pieces = []
    for span in spans:
        if span.ends_at <= begins or span.starts_at >= ends:
            continue
        first, last = max(span.starts_at, begins), min(span.ends_at, ends)
        pieces.append(
            Piece(
                begins=f"{first.astimezone(begins.tzinfo):%H:%M}",
                ends="24:00" if last == ends else f"{last.astimezone(begins.tzinfo):%H:%M}",
                person=names.get(span.duty.person or 0, ""),
                deputy=names.get(span.duty.deputy or 0, ""),
                is_gap=span.duty.person is None,
                is_now=first <= now < last,
            )
        )
    return pieces
