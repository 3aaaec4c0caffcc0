"""Could not tell: the customers of an incident whom no message reaches, to be called, written to, or told by a poster."""

import csv
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.calls import Call, calls_of
from beforehand.console.incidents import find_incident
from beforehand.console.paging import PAGE, read_cursor, write_cursor
from beforehand.console.reasons import not_sent, passed_over
from beforehand.customers.models import ContactPoint
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.incidents.untold import Untold, counted_page, untold_ids, untold_page
from beforehand.kit import clock
from beforehand.outbound.by_hand import tell_by_hand
from beforehand.outbound.models import ToldByPerson

CSV_PAGE = 2000


class ToldForm(forms.Form):
    """Whom a person told, and how."""

    how = forms.ChoiceField(label=gettext_lazy("How were they told?"), choices=ToldByPerson.How.choices)
    note = forms.CharField(label=gettext_lazy("Note"), max_length=500, required=False)
    whom = forms.ChoiceField(choices=[("ticked", ""), ("everyone", "")], required=False)
    customer = forms.TypedMultipleChoiceField(coerce=int, required=False)

    def __init__(self, *args: Any, shown: list[int], **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["customer"].choices = [(pk, str(pk)) for pk in shown]  # type: ignore[attr-defined]


@allowed()
def could_not_tell(request: PageRequest, public_id: UUID) -> HttpResponse:
    """The list, with a reason for each."""
    return _page(request, find_incident(public_id), form=None)


@allowed("incident:write")
@require_POST
def told_by_person(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Mark customers of the list as told: those that are ticked, or all of it."""
    incident = find_incident(public_id)
    untold = untold_ids(incident.pk)
    form = ToldForm(request.POST, shown=untold)
    if not form.is_valid():
        return _page(request, incident, form=form)
    count = tell_by_hand(
        origin_of(incident.pk),
        customer_ids=untold if form.cleaned_data["whom"] == "everyone" else form.cleaned_data["customer"],
        how=ToldByPerson.How(form.cleaned_data["how"]),
        note=form.cleaned_data["note"],
        actor=actor_of(request),
        now=clock.now(),
    )
    said = ngettext("%(count)d customer is marked as told.", "%(count)d customers are marked as told.", count)
    messages.success(request, said % {"count": count})
    return redirect("console:could-not-tell", public_id=incident.public_id)


def _page(request: PageRequest, incident: Incident, *, form: ToldForm | None) -> HttpResponse:
    place = read_cursor(request.GET.get("cursor", ""), 3)
    after = (place[0], place[1], place[2]) if place else None
    found, count, alarms = counted_page(incident.pk, now=clock.now(), after=after, limit=PAGE + 1)
    shown = found[:PAGE]
    calls = calls_of(shown)
    context = {
        "nav": "incidents",
        "incident": incident,
        "rows": [_row(one, calls.get(one.customer_id)) for one in shown],
        "count": count,
        "alarms": alarms,
        "hows": ToldByPerson.How.choices,
        "form": form,
        "next": write_cursor(*shown[-1].place) if len(found) > PAGE else "",
    }
    return render(request, "console/incidents/could_not_tell.html", context)


@allowed()
def could_not_tell_csv(request: PageRequest, public_id: UUID) -> StreamingHttpResponse:
    """The whole list as a file for who calls or prints."""
    incident = find_incident(public_id)
    response = StreamingHttpResponse(_csv(incident.pk), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="could-not-tell-{incident.public_id}.csv"'
    return response


def _row(one: Untold, call: Call | None) -> dict[str, Any]:
    return {
        "call": call,
        "line": one,
        "reasons": [not_sent(one.reason, "failed"), *passed_over(one.passed_over)],
        "addresses": [
            (str(ContactPoint.Channel(channel).label), address, status, str(ContactPoint.Status(status).label))
            for channel, address, status in one.addresses
            if channel != ContactPoint.Channel.PUSH  # no person can do anything with it
        ],
    }


class Echo:
    """A file that hands back what is written to it, so that rows can be streamed."""

    def write(self, row: str) -> str:
        return row


def _csv(incident_id: int) -> Iterator[str]:
    writer = csv.writer(Echo())
    yield "\ufeff"  # so that a spreadsheet reads it as UTF-8
    channels = [channel for channel in ContactPoint.Channel.values if channel != ContactPoint.Channel.PUSH]
    yield writer.writerow(["customer", "name", "language", "priority", "reason", "why", *channels])
    after, now = None, clock.now()
    while found := untold_page(incident_id, now=now, after=after, limit=CSV_PAGE):
        after = found[-1].place
        for one in found:
            by_channel = [
                " ".join(address for known, address, _status in one.addresses if known == channel)
                for channel in channels
            ]
            cells = [one.external_id, one.name, one.language, one.priority, one.reason]
            yield writer.writerow([harmless(cell) for cell in [*cells, not_sent(one.reason, "failed"), *by_channel]])


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; telephone numbers keep their plus."""
    starts = cell[:1] in ("=", "-", "@", "\t", "\r") or (cell[:1] == "+" and not cell[1:].replace(" ", "").isdecimal())
    return f"'{cell}" if starts else cell
