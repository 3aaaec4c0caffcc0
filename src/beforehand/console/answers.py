"""Is it solved? What an incident's customers answered, who waits for a person, and the word that somebody was in touch."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from beforehand.accounts.access import may
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.incidents import find_incident
from beforehand.console.live import live_url
from beforehand.customers.models import Customer
from beforehand.incidents.affected import origin_of
from beforehand.incidents.answered import OpenQuestion, answer_counts, comments, open_questions, patterns
from beforehand.incidents.answers import COMMENT_LIMIT, note_contact
from beforehand.kit import clock
from beforehand.playbooks.personal import responsible_team

LISTED = 100


class ContactForm(forms.Form):
    """What a person found, and whether it goes on."""

    note = forms.CharField(
        label=gettext_lazy("What did you find, and what did you agree?"),
        help_text=gettext_lazy("Colleagues read this."),
        max_length=COMMENT_LIMIT,
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
    )
    goes_on = forms.ChoiceField(
        label=gettext_lazy("Is it settled?"),
        choices=[
            ("no", gettext_lazy("Yes: the customer waits for nothing more")),
            ("yes", gettext_lazy("No: they hear from us again")),
        ],
        widget=forms.RadioSelect,
        initial="no",
    )
    next_at = forms.DateTimeField(
        label=gettext_lazy("By when do they hear from us again?"),
        help_text=gettext_lazy("In your own time zone. Customers read it in theirs."),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("goes_on") != "yes":
            cleaned["next_at"] = None
        elif "next_at" not in self.errors:
            next_at: datetime | None = cleaned.get("next_at")
            if next_at is None:
                self.add_error("next_at", _("Say by when, so that nobody is left waiting."))
            elif next_at <= clock.now():
                self.add_error("next_at", _("That time has passed."))
        return cleaned


@allowed()
def answers(request: PageRequest, public_id: UUID) -> HttpResponse:
    """What customers answered, and who waits for a person."""
    incident = find_incident(public_id)
    waiting = open_questions(limit=LISTED, incident_id=incident.pk)
    context = {
        "nav": "incidents",
        "incident": incident,
        "now": clock.now(),
        "answers": answer_counts(incident.pk),
        "questions": waiting,
        "patterns": patterns(waiting),
        "comments": comments(incident.pk, limit=LISTED),
        "live_url": live_url(origin_of(incident.pk)),
    }
    return render(request, "console/answers/answers.html", context)


@allowed()
@require_http_methods(["GET", "HEAD", "POST"])
def contact(request: PageRequest, public_id: UUID, customer_id: UUID) -> HttpResponse:
    """One customer who says that it is still broken: what we know, and the word that we were in touch."""
    incident = find_incident(public_id)
    customer = get_object_or_404(Customer, public_id=customer_id)
    question = _question(incident.pk, customer.pk)
    can_write = may(request.user, "incident:write")
    form = ContactForm(request.POST or None)
    if request.method == "POST":
        if not can_write:
            raise PermissionDenied
        if question is None:
            messages.info(request, _("Somebody else was quicker: it is settled already."))
            return redirect("console:answers", public_id=public_id)
        if form.is_valid():
            note_contact(
                incident.pk,
                customer,
                note=form.cleaned_data["note"],
                next_at=form.cleaned_data["next_at"],
                owner=responsible_team(incident),
                now=clock.now(),
                actor=actor_of(request),
            )
            messages.success(request, _("Noted. Thank you."))
            return redirect("console:answers", public_id=public_id)
    if question is None:
        raise Http404
    context = {
        "nav": "incidents",
        "incident": incident,
        "customer": customer,
        "question": question,
        "points": customer.contact_points.order_by("rank", "pk")[:20],
        "form": form,
        "can_write": can_write,
    }
    return render(request, "console/answers/contact.html", context)


def _question(incident_id: int, customer_id: int) -> OpenQuestion | None:
    return next(iter(open_questions(limit=1, incident_id=incident_id, customer_id=customer_id)), None)
