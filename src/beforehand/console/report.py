"""The report of an incident: what there is to learn from it, recomputed; and what the team changes in the playbook for it."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from beforehand.accounts.access import may
from beforehand.accounts.models import User
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.incidents import find_incident
from beforehand.console.reasons import not_sent
from beforehand.console.runs import spoken_length
from beforehand.incidents.models import Incident
from beforehand.insights.queries import IncidentReport, Knew, incident_report
from beforehand.kit import clock
from beforehand.playbooks.learning import changes_from, finish_change, want_change
from beforehand.playbooks.models import PlaybookVersion, Run, WantedChange

REPORT_SECONDS = 60
"""It reads every message of the incident."""
TEXT_LIMIT = 1000


class ChangeForm(forms.Form):
    """What is to change, in which playbook, who sees to it, by which day."""

    slug = forms.ChoiceField(label=gettext_lazy("In which playbook?"))
    text = forms.CharField(
        label=gettext_lazy("What do we change, so that it goes better next time?"),
        max_length=TEXT_LIMIT,
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
    )
    owner = forms.ModelChoiceField(User.objects.none(), label=gettext_lazy("Who sees to it?"), empty_label="–")
    due_on = forms.DateField(
        label=gettext_lazy("By which day?"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, *args: Any, slugs: list[str], **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["slug"].choices = [(slug, slug) for slug in slugs]  # type: ignore[attr-defined]
        self.fields["owner"].queryset = User.objects.filter(is_active=True).order_by("name")  # type: ignore[attr-defined]

    def clean_due_on(self) -> date:
        due_on: date = self.cleaned_data["due_on"]
        if due_on < clock.now().date():
            raise forms.ValidationError(_("That day has passed."))
        return due_on


@allowed()
@require_http_methods(["GET", "HEAD", "POST"])
def report(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Every figure with its definition; and, posted, what the team wants to change."""
    incident = find_incident(public_id)
    can_write = may(request.user, "incident:write")
    if request.method == "POST" and not can_write:
        raise PermissionDenied
    form = ChangeForm(request.POST or None, slugs=_slugs(incident), initial={"owner": request.user.pk})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        want_change(
            incident,
            slug=given["slug"],
            text=given["text"],
            owner=given["owner"],
            due_on=given["due_on"],
            by=request.user,
            now=clock.now(),
            actor=actor_of(request),
        )
        messages.success(request, _("Written down. It stands on their Today until it is done."))
        return redirect(f"{reverse('console:incident-report', args=[public_id])}#changes")
    made = _report(incident)
    context = {
        "nav": "incidents",
        "incident": incident,
        "report": made,
        "never": made.affected - made.told,
        "knew": [(knew_within(one), one.customers) for one in made.knew],
        "not_told": [(count, not_sent(reason)) for reason, count in made.not_told.items()],
        "is_late": made.head_start is not None and made.head_start < timedelta(0),
        "changes": changes_from(incident.pk),
        "form": form,
        "can_write": can_write,
        "today": clock.now().date(),
        "now": clock.now(),
        **{
            name: spoken_length(abs(length), units=2) if length is not None else ""
            for name, length in (
                ("head_start", made.head_start),
                ("by_half", made.known_by_half),
                ("by_most", made.known_by_most),
                ("last_known", made.last_known),
                ("unknown_for", made.known_at - made.began_at),
                ("longest_wait", made.longest_wait),
            )
        },
    }
    return render(request, "console/incidents/report.html", context)


@allowed("incident:write")
@require_POST
def change_done(request: PageRequest, change_id: UUID) -> HttpResponse:
    """It is changed."""
    change = get_object_or_404(WantedChange.objects.select_related("incident"), public_id=change_id)
    if finish_change(change.pk, by=request.user, now=clock.now(), actor=actor_of(request)):
        messages.success(request, _("Done. Thank you."))
    else:
        messages.info(request, _("Somebody else was quicker: it is done already."))
    back = {"today": reverse("console:today")}.get(
        request.POST.get("back", ""), reverse("console:incident-report", args=[change.incident.public_id])
    )
    return redirect(f"{back}#changes")


def knew_within(one: Knew) -> str:
    """A step of the distribution, in words."""
    if one.within is None:
        return _("never")
    if one.within == timedelta.max:
        return _("later")
    return _("within %(time)s") % {"time": spoken_length(one.within, units=1)}


def _report(incident: Incident) -> IncidentReport:
    key = f"console.report.{incident.pk}.{incident.opened_at.timestamp()}.{incident.state}"
    made: IncidentReport | None = cache.get(key)
    if made is None:
        made = incident_report(incident, now=clock.now())
        cache.set(key, made, REPORT_SECONDS)
    return made


def _slugs(incident: Incident) -> list[str]:
    """The playbooks that this incident used, then all others: perhaps one was missing."""
    used = list(Run.objects.filter(incident=incident).order_by("pk").values_list("version__slug", flat=True))
    known = PlaybookVersion.objects.filter(is_current=True).order_by("slug").values_list("slug", flat=True)
    return list(dict.fromkeys([*used, *known]))
