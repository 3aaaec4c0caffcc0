"""What a person does about a promise: takes it with one press, promises an outcome, moves it, says that it is there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.customers.models import Customer
from beforehand.engine.promises import CustomerRhythm
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.kit import clock
from beforehand.kit.web import times
from beforehand.kit.web.mixed import apart
from beforehand.promises.duty import acknowledge
from beforehand.promises.erasure import audience_of
from beforehand.promises.models import AFTER_NIGHT, Promise
from beforehand.promises.outcomes import PromiseRefused, make_outcome, move_outcome, settle_outcome

GET_OR_POST = require_http_methods(["GET", "HEAD", "POST"])
SENTENCES = {
    "past": gettext_lazy("That time has passed."),
    "same_time": gettext_lazy("It is promised for that time already."),
    "one_is_open": gettext_lazy("This is promised already: give that promise a new time."),
    "not_open": gettext_lazy("This promise is not open any more."),
    "not_an_outcome": gettext_lazy("An update is kept by telling, by nothing else."),
}
TITLES = {
    "": gettext_lazy("Next update"),
    "restored": gettext_lazy("Restored"),
    "delivered": gettext_lazy("Delivered"),
    "visited": gettext_lazy("Visited"),
}


@dataclass(frozen=True, slots=True)
class PromiseLine:
    """A promise with the incident that it was made on, or the one customer whom it was made to."""

    promise: Promise
    incident: Incident | None
    customer: Customer | None = None

    @property
    def title(self) -> str:
        """What is owed, in a word or two."""
        return promise_title(self.promise)

    @property
    def about(self) -> str:
        """What it was promised about."""
        if self.customer:
            return self.customer.name
        return self.incident.title if self.incident else self.promise.audience


def promise_title(promise: Promise) -> str:
    """What is owed: a next update, or that something is done."""
    if promise.rhythm == CustomerRhythm.ONLY_CHANGES:
        return _("Next update, to who wants only what changes")
    if promise.rhythm == AFTER_NIGHT:
        return _("Next update, to who was promised it after their night")
    return str(TITLES[promise.outcome])


def incidents_of(promises: Iterable[Promise]) -> set[int]:
    """The ids of the incidents that these promises are about."""
    return {int(one.audience.partition(":")[2]) for one in promises if one.audience.startswith("incident:")}


def promise_lines(promises: Sequence[Promise], known: Sequence[Incident] = ()) -> list[PromiseLine]:
    """Each promise with its incident or its customer; at most two queries."""
    by_origin = {origin_of(incident.pk): incident for incident in known}
    if missing := incidents_of(promises) - {incident.pk for incident in known}:
        by_origin |= {origin_of(incident.pk): incident for incident in Incident.objects.filter(pk__in=missing)}
    alone = {int(one.audience[9:]) for one in promises if one.audience.startswith("customer:")}
    customers = {audience_of(pk): one for pk, one in Customer.objects.in_bulk(alone).items()} if alone else {}
    return [
        PromiseLine(promise, by_origin.get(promise.audience), customers.get(promise.audience)) for promise in promises
    ]


def if_nothing(promise: Promise) -> list[str]:
    """What happens to an open promise if nobody does anything, in the order in which it happens."""
    now = clock.now()
    found = []
    if promise.pass_at is not None and promise.acknowledged_at is None:
        time = times.clock(promise.pass_at, now=now)
        found.append(_("If nobody takes it by %(time)s, the next person is asked.") % {"time": time})
    if promise.kind == Promise.Kind.OUTCOME:
        text = _("If it is not done by %(time)s, the promise counts as broken, and the next update says so.")
        return [*found, text % {"time": times.clock(promise.due_at, now=now)}]
    text = _(
        "If nothing is said by %(time)s, customers get a message that the update is late, and the promise is broken."
    )
    return [*found, text % {"time": times.clock(promise.hold_at, now=now)}]


class TimeForm(forms.Form):
    """A time by which something is done, on the reader's clock."""

    due_at = forms.DateTimeField(
        label=gettext_lazy("By when"),
        help_text=gettext_lazy("In your own time zone. Customers read it in theirs."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def clean_due_at(self) -> datetime:
        due_at: datetime = self.cleaned_data["due_at"]
        if due_at <= clock.now():
            raise forms.ValidationError(str(SENTENCES["past"]))
        return due_at


class OutcomeForm(TimeForm):
    """What is promised, and by when."""

    field_order = ["outcome", "due_at"]
    outcome = forms.ChoiceField(
        label=gettext_lazy("What is promised"),
        choices=[
            ("restored", gettext_lazy("it works again")),
            ("delivered", gettext_lazy("it is delivered")),
            ("visited", gettext_lazy("somebody visits")),
        ],
    )


@allowed()
def promise(request: PageRequest, promise_id: UUID) -> HttpResponse:
    """One promise: by when, who answers for it, and what happens if nobody does anything."""
    found = get_object_or_404(Promise.objects.select_related("owner", "assignee"), public_id=promise_id)
    context = {
        "nav": "today",
        "line": promise_lines([found])[0],
        "promise": found,
        "is_open": found.state == Promise.State.OPEN,
        "is_yours": found.assignee_id == request.user.pk,
        "if_nothing": if_nothing(found) if found.state == Promise.State.OPEN else [],
    }
    return render(request, "console/promises/promise.html", context)


@allowed("incident:write")
@require_POST
def take(request: PageRequest, promise_id: UUID) -> HttpResponse:
    """“I have it”: from now on the promise is this person's; who comes second is told who was quicker."""
    promise = get_object_or_404(Promise, public_id=promise_id)
    said = acknowledge(promise.pk, person=request.user, actor=actor_of(request), now=clock.now())
    if said.is_new:
        messages.success(request, _("It is yours. You are warned no more about it."))
    elif said.holder == request.user:
        messages.info(request, _("It is yours already."))
    elif said.holder is not None:
        messages.info(request, _("%(name)s was quicker and has it.") % apart(name=said.holder.name))
    else:
        messages.info(request, str(SENTENCES["not_open"]))
    return redirect(_back(request))


@allowed("incident:write")
@GET_OR_POST
def make(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Promise everyone whom an incident touches that something is done by a time."""
    incident = _open_incident(public_id)
    form = OutcomeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            make_outcome(
                audience=origin_of(incident.pk),
                outcome=form.cleaned_data["outcome"],
                due_at=form.cleaned_data["due_at"],
                now=clock.now(),
                owner=incident.owner,
                actor=actor_of(request),
            )
        except PromiseRefused as refused:
            form.add_error(None, str(SENTENCES[refused.code]))
        else:
            messages.success(request, _("Promised. Customers hear it with the next message."))
            return redirect(_room(incident))
    context = {"nav": "incidents", "incident": incident, "form": form, "promise": None}
    return render(request, "console/promises/outcome.html", context)


@allowed("incident:write")
@GET_OR_POST
def move(request: PageRequest, public_id: UUID, promise_id: UUID) -> HttpResponse:
    """Give an outcome a new time, and let customers hear of it."""
    incident = _open_incident(public_id)
    promise = _outcome(incident, promise_id)
    form = TimeForm(request.POST or None, initial={"due_at": promise.due_at})
    if request.method == "POST" and form.is_valid():
        try:
            move_outcome(promise, due_at=form.cleaned_data["due_at"], now=clock.now(), actor=actor_of(request))
        except PromiseRefused as refused:
            form.add_error(None, str(SENTENCES[refused.code]))
        else:
            messages.success(request, _("Moved. Customers hear the new time with the next message."))
            return redirect(_room(incident))
    context = {"nav": "incidents", "incident": incident, "form": form, "promise": promise}
    return render(request, "console/promises/outcome.html", context)


@allowed("incident:write")
@require_POST
def done(request: PageRequest, public_id: UUID, promise_id: UUID) -> HttpResponse:
    """It is there: the ledger says kept, kept early, or broken."""
    incident = get_object_or_404(Incident, public_id=public_id)
    try:
        state = settle_outcome(_outcome(incident, promise_id), done_at=clock.now(), actor=actor_of(request))
    except PromiseRefused as refused:
        messages.info(request, str(SENTENCES[refused.code]))
    else:
        messages.success(request, _("Written down: %(state)s.") % {"state": Promise.State(state.value).label})
    return redirect(_room(incident))


def _open_incident(public_id: UUID) -> Incident:
    incident = get_object_or_404(Incident.objects.select_related("owner"), public_id=public_id)
    if incident.state != Incident.State.OPEN:
        raise Http404
    return incident


def _outcome(incident: Incident, promise_id: UUID) -> Promise:
    return get_object_or_404(Promise, public_id=promise_id, audience=origin_of(incident.pk), kind=Promise.Kind.OUTCOME)


def _room(incident: Incident) -> str:
    return reverse("console:incident", args=[incident.public_id])


def _back(request: PageRequest) -> str:
    """Where the press came from, if that is a page of ours; else Today."""
    address = request.POST.get("back", "")
    is_ours = url_has_allowed_host_and_scheme(address, allowed_hosts=None) and address.startswith("/console/")
    return address if is_ours else reverse("console:today")


def outcome_rows(promises: Sequence[Promise], *, now: datetime) -> list[dict[str, Any]]:
    """Outcomes for the room: what, by when, moved from when, and how it stands."""
    return [
        {
            "promise": promise,
            "title": promise_title(promise),
            "moved_from": times.clock(promise.moved_from.due_at, now=now) if promise.moved_from else "",
            "is_open": promise.state == Promise.State.OPEN,
        }
        for promise in promises
    ]
