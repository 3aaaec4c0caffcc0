"""The log for people: everything that happened, and who changed what; filtered, page by page, each event whole on its own."""

import json
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from beforehand.accounts.access import may
from beforehand.accounts.models import User
from beforehand.console.access import PageRequest, allowed
from beforehand.console.log_words import KINDS, title_of
from beforehand.console.paging import PAGE, from_microseconds, in_microseconds, read_cursor, write_cursor
from beforehand.console.setting_words import MEANINGS
from beforehand.console.story import WORDS, lines_of
from beforehand.console.story_names import actor_name, users_of
from beforehand.customers.models import Customer
from beforehand.events.browsing import LogFilter, newest_events
from beforehand.events.queries import event_at, private_data
from beforehand.events.subscriptions import StoredEvent
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident


@dataclass(frozen=True, slots=True)
class LogLine:
    """One row: the event, in words, with what it is about and who did it."""

    event: StoredEvent
    title: str
    about: str
    about_url: str
    who: str
    url: str


class LogForm(forms.Form):
    """What is looked for."""

    kind = forms.ChoiceField(
        label=gettext_lazy("About"), required=False, choices=[("", gettext_lazy("Everything")), *KINDS]
    )
    person = forms.ModelChoiceField(
        User.objects.order_by("name"), label=gettext_lazy("Who"), required=False, empty_label=gettext_lazy("Anybody")
    )
    customer = forms.CharField(label=gettext_lazy("Customer number"), required=False, max_length=200)
    until = forms.DateField(
        label=gettext_lazy("Up to and including"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def clean_customer(self) -> Customer | None:
        number = self.cleaned_data["customer"].strip()
        if not number:
            return None
        found = Customer.objects.filter(external_id=number).only("pk").first()
        if found is None:
            raise forms.ValidationError(_("There is no customer with this number."))
        return found


@allowed()
def events(request: PageRequest) -> HttpResponse:
    """Everything that happened, newest first; `?view=changes`: only what people did, and systems in their name."""
    is_audit = request.GET.get("view") == "changes"
    if is_audit and not may(request.user, "audit:read"):
        raise PermissionDenied
    form = LogForm(request.GET)
    wanted = _wanted(form, is_audit=is_audit) if form.is_valid() else None
    before = read_cursor(request.GET.get("cursor", ""), 2)
    at = from_microseconds(before[0]) if before else None
    found = newest_events(wanted, limit=PAGE, before=(at, before[1]) if at and before else None) if wanted else None
    following = found.next if found else None
    context = {
        "nav": "events",
        "form": form,
        "is_audit": is_audit,
        "view": "changes" if is_audit else "",
        "views": [("", _("Everything")), ("changes", _("Who changed what"))],
        "rows": log_lines(found.events) if found else [],
        "next": write_cursor(in_microseconds(following[0]), following[1]) if following else "",
        "is_cut": found.is_cut if found else False,
    }
    return render(request, "console/log/list.html", context)


def _wanted(form: LogForm, *, is_audit: bool) -> LogFilter:
    typed = form.cleaned_data
    until: date | None = typed["until"]
    person: User | None = typed["person"]
    return LogFilter(
        types=tuple(f"{word}." for word in typed["kind"].split()),
        customer_id=typed["customer"].pk if typed["customer"] else None,
        actor=f"user:{person.pk}" if person else "",
        until=timezone.make_aware(datetime.combine(until + timedelta(days=1), time())) if until else None,
        is_audit=is_audit or person is not None,  # an index of the log holds what people did
    )


def log_lines(found: list[StoredEvent]) -> list[LogLine]:
    """Each event as a row; at most eight queries, however many."""
    # What others sent may hold anything under our words, and the timelines' words are for the timelines' events.
    ours = [event for event in found if not event.source and event.type in WORDS]
    told = {event.id: line.title for event, line in lines_of(ours)}
    users = users_of(found, _numbers(found, "user"))
    customers = Customer.objects.in_bulk({event.customer_id for event in found if event.customer_id})
    incidents = {
        origin_of(one.pk): one
        for one in Incident.objects.filter(pk__in=_numbers(found, "incident")).only("title", "public_id")
    }
    return [_line(event, told, users, customers, incidents) for event in found]


def _numbers(found: list[StoredEvent], kind: str) -> set[int]:
    parts = (event.subject.partition(":") for event in found)
    return {int(number) for name, _colon, number in parts if name == kind and number.isdecimal()}


def _line(
    event: StoredEvent,
    told: dict[int, str],
    users: dict[int, str],
    customers: dict[int, Customer],
    incidents: dict[str, Incident],
) -> LogLine:
    about, about_url = event.subject, ""
    if event.customer_id in customers:
        about = customers[event.customer_id].name
        about_url = reverse("console:customer", args=[customers[event.customer_id].public_id])
    elif event.subject in incidents:
        about = incidents[event.subject].title
        about_url = reverse("console:incident", args=[incidents[event.subject].public_id])
    else:
        about = _named(event.subject, users)
    title = told.get(event.id, event.type)
    return LogLine(
        event=event,
        title=title_of(event.type) if title == event.type else title,
        about=about,
        about_url=about_url,
        who=actor_name(event.actor, users) if event.actor else event.source,
        url=reverse("console:event", args=[in_microseconds(event.recorded_at), event.id]),
    )


def _named(subject: str, users: dict[int, str]) -> str:
    """A person's or a setting's name; what has none of its own stays as the log writes it."""
    kind, _colon, rest = subject.partition(":")
    if kind == "user" and rest.isdecimal():
        return users.get(int(rest), subject)
    return str(MEANINGS[rest].label) if kind == "setting" and rest in MEANINGS else subject


@allowed()
def event(request: PageRequest, at: int, event_id: int) -> HttpResponse:
    """One event, with all that is kept of it."""
    recorded_at = from_microseconds(at)
    found = event_at(recorded_at, event_id) if recorded_at else None
    if found is None:
        raise Http404
    private = private_data([found]).get(found.id, {})
    context: dict[str, Any] = {
        "nav": "events",
        "row": log_lines([found])[0],
        "data": _pretty(found.data),
        "private": _pretty(private) if private else "",
    }
    return render(request, "console/log/event.html", context)


def _pretty(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, sort_keys=True)
