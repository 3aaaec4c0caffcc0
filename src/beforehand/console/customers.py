"""Customers: find one; and on one page all of it: who they are, what they own, what is wrong, what we promised and said."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.customer_forms import CustomerForm
from beforehand.console.incident_writing import GET_OR_POST
from beforehand.console.live import live_url
from beforehand.console.messages import with_reasons
from beforehand.console.paging import PAGE, from_microseconds, in_microseconds, read_cursor, write_cursor
from beforehand.console.reasons import why_affected
from beforehand.console.story import lines_of
from beforehand.console.story_names import Entry
from beforehand.customers.actions import change_customer, set_contact_point_status
from beforehand.customers.bulk.problems import ChangeRefused
from beforehand.customers.models import ContactPoint, Customer
from beforehand.customers.queries import customer_overview
from beforehand.events.queries import story_of_customer
from beforehand.incidents.affected import origin_of
from beforehand.incidents.queries import touching
from beforehand.outbound.queries import customer_messages
from beforehand.promises.queries import next_promises


@allowed()
def customers(request: PageRequest) -> HttpResponse:
    """Search by the beginning of a name, number, e-mail address or telephone; newest first."""
    text = request.GET.get("q", "").strip()[:200]
    cursor = read_cursor(request.GET.get("cursor", ""), 1)
    found = list(Customer.objects.served().search(text).before(cursor[0] if cursor else None)[: PAGE + 1])
    shown = found[:PAGE]
    addresses: dict[int, ContactPoint] = {}
    for point in ContactPoint.objects.filter(customer_id__in=[one.pk for one in shown]).order_by("-rank", "-pk"):
        addresses[point.customer_id] = point
    context = {
        "nav": "customers",
        "text": text,
        "rows": [(customer, addresses.get(customer.pk)) for customer in shown],
        "next": write_cursor(shown[-1].pk) if len(found) > PAGE else "",
    }
    is_part = request.htmx.target == "found"
    return render(request, f"console/customers/{'_found' if is_part else 'list'}.html", context)


@dataclass(frozen=True, slots=True)
class Moment:
    """Something on a customer's timeline: an event, or a message with its reasons."""

    at: datetime
    entry: Entry | None = None
    message: dict[str, Any] | None = None


@allowed()
def customer(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Everything about one customer."""
    found = get_object_or_404(Customer.objects.select_related("helper"), public_id=public_id)
    touched = touching(found.pk)
    promises = next_promises([*(origin_of(incident.pk) for incident, _line in touched), f"customer:{found.pk}"])
    context = {
        "nav": "customers",
        "live_url": live_url(f"customer:{found.pk}"),
        "overview": customer_overview(found),
        "customer": found,
        "wrong": [(incident, why_affected(line), promises.get(origin_of(incident.pk))) for incident, line in touched],
        "own_promise": promises.get(f"customer:{found.pk}"),
        **_timeline(found, ""),
    }
    return render(request, "console/customers/customer.html", context)


@allowed()
def customer_timeline(request: PageRequest, public_id: UUID) -> HttpResponse:
    """The timeline, fetched anew, or its next part."""
    found = get_object_or_404(Customer, public_id=public_id)
    return render(request, "console/customers/_timeline.html", _timeline(found, request.GET.get("before", "")))


def _timeline(customer: Customer, before: str) -> dict[str, Any]:
    """Everything said and done, in one line of time, newest first.

    Two sources are merged: only what is newer than the end of both is shown, so that neither has a gap.
    """
    cursor = read_cursor(before, 1)
    at = from_microseconds(cursor[0]) if cursor else None
    story = story_of_customer(customer.pk, limit=2 * PAGE, before=(at, 0) if at else None)
    said = customer_messages(customer.pk, before=at, limit=PAGE)
    ends = [story[-1].recorded_at] if len(story) == 2 * PAGE else []
    ends += [said[-1].ended_at or said[-1].created_at] if len(said) == PAGE else []
    done = [event for event in story if not event.type.startswith("message.")]
    moments = [Moment(event.recorded_at, entry=line) for event, line in lines_of(done)]
    moments += [Moment(row["line"].ended_at or row["line"].created_at, message=row) for row in with_reasons(said)]
    moments = sorted((one for one in moments if not ends or one.at >= max(ends)), key=lambda one: one.at, reverse=True)
    shown = moments[:PAGE]
    # What shares the last one's instant stays on this page: the next one begins strictly before it.
    shown += [one for one in moments[PAGE:] if one.at == shown[-1].at]
    has_more = len(moments) > len(shown) or bool(ends)
    older = write_cursor(in_microseconds(shown[-1].at)) if shown and has_more else ""
    return {"customer": customer, "moments": shown, "older": older, "is_first": cursor is None}


@allowed("customer:write")
@GET_OR_POST
def customer_change(request: PageRequest, public_id: UUID) -> HttpResponse:
    """How we speak to this customer: language, zone, quiet hours, form of address, priority."""
    found = get_object_or_404(Customer, public_id=public_id)
    form = CustomerForm(request.POST or None, initial=CustomerForm.initial_of(found))
    if request.method == "POST" and form.is_valid():
        try:
            change_customer(found.pk, changes=form.changes(), actor=actor_of(request))
        except ChangeRefused as refused:
            for problem in refused.problems:
                form.add_error(problem.column if problem.column in form.fields else None, problem.detail)
        else:
            messages.success(request, _("Saved."))
            return redirect("console:customer", public_id=found.public_id)
    return render(request, "console/customers/change.html", {"nav": "customers", "customer": found, "form": form})


@allowed("customer:write")
@require_POST
def trust(request: PageRequest, public_id: UUID, point_id: int) -> HttpResponse:
    """Say that an address works after all, whatever came back from it."""
    found = get_object_or_404(Customer, public_id=public_id)
    point = get_object_or_404(ContactPoint, pk=point_id, customer=found)
    set_contact_point_status([point.pk], status=ContactPoint.Status.WORKING, reason="", actor=actor_of(request))
    messages.success(request, _("It is used again."))
    return redirect("console:customer", public_id=found.public_id)
