"""What a person does to an incident: changes what it is on, takes customers off, ends it, opens it again."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.asking import Question, ask, is_confirmed
from beforehand.console.incident_forms import ScopeForm
from beforehand.console.incidents import find_incident
from beforehand.customers.models import Component, Customer
from beforehand.engine.conditions import ConditionError
from beforehand.incidents.actions import (
    IncidentError,
    cancel_incident,
    narrow_scope,
    reopen_incident,
    resolve_incident,
    widen_scope,
)
from beforehand.incidents.affected import take_off_list
from beforehand.incidents.models import Affected, Incident, IncidentScope
from beforehand.incidents.queries import decided_for, reached_by_scope, would_touch
from beforehand.kit import clock
from beforehand.kit.ids import bucket_of
from beforehand.kit.web.mixed import apart

GET_OR_POST = require_http_methods(["GET", "HEAD", "POST"])
STAYS_OVER = {
    "planned_is_over": gettext_lazy("Planned work that is over is planned anew."),
    "same_problem_is_open": gettext_lazy("The same problem has another incident that is open."),
}
"""Why an incident is not opened again."""


def room_of(incident: Incident) -> str:
    """The address of the incident's room."""
    return reverse("console:incident", args=[incident.public_id])


def asked(incident: Incident, title: str, press: str, count: int, count_label: str, **more: Any) -> Question:
    """A question about this incident, with the way back to its room."""
    return Question(
        title=title, press=press, count=count, count_label=count_label, back=room_of(incident),
        back_label=incident.title, **more,
    )  # fmt: skip


def has_ended(request: PageRequest, incident: Incident) -> HttpResponse:
    """Somebody was quicker: back to the room, with word of it."""
    messages.error(request, _("The incident has ended meanwhile, so nothing was changed."))
    return redirect(room_of(incident))


@allowed("incident:end")
@GET_OR_POST
def end(request: PageRequest, public_id: UUID, how: str) -> HttpResponse:
    """Resolve it, call it a false alarm, or open it again: with the number of people who hear of it."""
    incident = find_incident(public_id)
    if (incident.state == Incident.State.OPEN) == (how == "reopen"):
        messages.info(request, _("Somebody else was quicker: it stands so already."))
        return redirect(room_of(incident))
    told = decided_for(incident.pk)
    if request.method != "POST" or not is_confirmed(request, told):
        return ask(request, _end_question(incident, how, told))
    actor = actor_of(request)
    if how == "resolve":
        resolve_incident(incident, reason="by_hand", actor=actor)
    elif how == "false-alarm":
        cancel_incident(incident, reason="by_hand", actor=actor)
    else:
        try:
            reopen_incident(incident, actor=actor)
        except IncidentError as refused:
            messages.error(request, str(STAYS_OVER[refused.code]))
    return redirect(room_of(incident))


def _end_question(incident: Incident, how: str, told: int) -> Question:
    waiting = _("Who has not been told of it yet hears nothing of it.")
    if how == "resolve":
        label = _("customers heard of it, and hear that it is over")
        return asked(incident, _("Is it over?"), _("Resolve it"), told, label, lines=[waiting], is_grave=True)
    if how == "false-alarm":
        label = _("customers heard of it, and hear that it was a false alarm")
        return asked(
            incident,
            _("Was it a false alarm?"),
            _("Call it a false alarm"),
            told,
            label,
            lines=[waiting],
            is_grave=True,
        )
    return asked(
        incident, _("Open it again?"), _("Open it again"), told, _("customers had heard of it"),
        lines=[_("The playbook starts from the top, and whom it touches is worked out anew.")], is_grave=True,
    )  # fmt: skip


@allowed("incident:write")
@GET_OR_POST
def widen(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Add a network part or a condition to what the incident is on."""
    incident = find_incident(public_id)
    form = ScopeForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        context = {"nav": "incidents", "incident": incident, "form": form, "chosen": chosen_parts(form)}
        return render(request, "console/incidents/widen.html", context)
    condition = form.cleaned_data["condition"]
    touched = would_touch(component_ids=form.component_ids(), condition=condition, now=clock.now())
    if not is_confirmed(request, touched):
        question = asked(
            incident, _("Widen the scope?"), _("Widen it"), touched,
            _("customers are in the new part; those who are not on the list yet join it"), hidden=form.hidden(),
        )  # fmt: skip
        return ask(request, question)
    try:
        widen_scope(incident, actor=actor_of(request), component_ids=form.component_ids(), condition=condition)
    except IncidentError:
        return has_ended(request, incident)
    return redirect(room_of(incident))


def chosen_parts(form: ScopeForm) -> list[Component]:
    """The parts that are ticked already, so that a search does not lose them."""
    typed = form.data if isinstance(form.data, QueryDict) else QueryDict()
    ids = [value for value in typed.getlist("component") if value.isdecimal() and len(value) < 19]
    return list(Component.objects.filter(pk__in=ids))


@allowed("incident:write")
def parts_found(request: PageRequest) -> HttpResponse:
    """Network parts to tick: those that are ticked, then those that the search finds."""
    ids = [int(value) for value in request.GET.getlist("component") if value.isdecimal() and len(value) < 19]
    chosen = list(Component.objects.filter(pk__in=ids))
    text = request.GET.get("parts", "").strip()[:200].replace("\0", "")
    named = Component.objects.filter(Q(name__icontains=text) | Q(external_id__istartswith=text)).exclude(pk__in=ids)
    found = named.order_by("name")[:20] if text else []
    return render(request, "console/incidents/_parts.html", {"chosen": chosen, "found": found})


@allowed("incident:write")
def reach(request: PageRequest) -> HttpResponse:
    """How many customers this scope would touch: counted while it is written."""
    form = ScopeForm(request.GET)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        try:
            context["count"] = would_touch(
                component_ids=form.component_ids(), condition=form.cleaned_data["condition"], now=clock.now()
            )
        except ConditionError as error:
            context["error"] = str(error)
    else:
        context["error"] = " ".join(str(error) for error in form.errors.get("condition", ()))
    return render(request, "console/incidents/_reach.html", context)


@allowed("incident:write")
@GET_OR_POST
def narrow(request: PageRequest, public_id: UUID, scope_id: int) -> HttpResponse:
    """Take a part of the scope away: it works again, or it was a mistake."""
    incident = find_incident(public_id)
    scope = get_object_or_404(IncidentScope.objects.select_related("component"), pk=scope_id, incident=incident)
    count = reached_by_scope(incident.pk, scope.pk)
    reason = request.POST.get("as", "")
    if request.method != "POST" or reason not in ("cured", "mistaken") or not is_confirmed(request, count):
        name = scope.component.name if scope.component else scope.condition
        return _ask_leaving(request, incident, _("Take “%(part)s” out of the scope?") % apart(part=name), count)
    try:
        narrow_scope(scope, reason=reason, actor=actor_of(request))
    except IncidentError:
        return has_ended(request, incident)
    return redirect(room_of(incident))


@allowed("incident:write")
@GET_OR_POST
def leave(request: PageRequest, public_id: UUID, customer_id: UUID) -> HttpResponse:
    """Take one customer off the list: it works again for them, or it never touched them."""
    incident = find_incident(public_id)
    customer = get_object_or_404(Customer, public_id=customer_id)
    is_listed = Affected.objects.filter(
        bucket=bucket_of(customer.pk), incident_id=incident.pk, customer_id=customer.pk, state=Affected.State.AFFECTED
    ).exists()
    if not is_listed or incident.state != Incident.State.OPEN:
        raise Http404
    state = request.POST.get("as", "")
    if request.method != "POST" or state not in ("cured", "mistaken") or not is_confirmed(request, 1):
        return _ask_leaving(request, incident, _("Take %(name)s off the list?") % apart(name=customer.name), 1)
    take_off_list(
        incident.pk, customer_ids=[customer.pk], state=Affected.State(state), now=clock.now(), actor=actor_of(request)
    )
    messages.success(request, _("%(name)s is off the list.") % apart(name=customer.name))
    return redirect(room_of(incident))


def _ask_leaving(request: PageRequest, incident: Incident, title: str, count: int) -> HttpResponse:
    has_changed = request.POST.get("confirmed") == "yes" and request.POST.get("count_seen") != str(count)
    context = {
        "nav": "incidents", "incident": incident, "title": title, "count": count, "has_changed": has_changed,
        "is_unsaid": request.method == "POST" and not has_changed, "back": room_of(incident),
    }  # fmt: skip
    return render(request, "console/incidents/leave.html", context, status=409 if has_changed else 200)
