"""What customers wrote to us: in the room of what it is about, in one list until somebody has seen to it, and each whole."""

from typing import Any
from uuid import UUID

from django.db.models import Count, Q, Window
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _

from beforehand.console.access import PageRequest, allowed
from beforehand.console.live import live_url
from beforehand.console.paging import PAGE, read_cursor, write_cursor
from beforehand.conversations.models import MessageIn
from beforehand.conversations.queries import about, put_aside, unhandled, with_customers
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident

SHOWN = 20


def replies_about(incident: Incident) -> dict[str, Any]:
    """What customers wrote about an incident: what waits first, then the newest."""
    is_waiting = Q(handled_at=None, kind=MessageIn.Kind.WRITTEN)
    automatic = Window(Count("pk", filter=Q(kind=MessageIn.Kind.AUTO_REPLY)))
    rows = about(origin_of(incident.pk)).select_related("handled_by").annotate(waits=is_waiting, automatic=automatic)
    found = list(rows.order_by("-waits", "-id")[: 5 * SHOWN])
    waiting = [one for one in found if one.waits]
    others = [one for one in found if not one.waits and one.kind != MessageIn.Kind.AUTO_REPLY]
    return {
        "incident": incident,
        "waiting": with_customers(waiting[:SHOWN]),
        "more_waiting": len(waiting) > SHOWN,
        "others": with_customers(others[:SHOWN]),
        "automatic": found[0].automatic if found else 0,
    }


@allowed()
def incident_replies(request: PageRequest, public_id: UUID) -> HttpResponse:
    """The room's part, fetched anew when somebody writes."""
    found = get_object_or_404(Incident, public_id=public_id)
    return render(request, "console/replies/_of_incident.html", replies_about(found))


@allowed()
def replies(request: PageRequest) -> HttpResponse:
    """The list: what waits, or everything, newest first."""
    state = "all" if request.GET.get("state") == "all" else ""
    cursor = read_cursor(request.GET.get("cursor", ""), 1)
    rows = (MessageIn.objects.all() if state else unhandled()).select_related("handled_by").order_by("-id")
    found = list(rows.filter(pk__lt=cursor[0])[: PAGE + 1] if cursor else rows[: PAGE + 1])
    shown = found[:PAGE]
    said = with_customers(shown)
    context = {
        "nav": "today",
        "live_url": live_url("all"),
        "rows": [(one, title) for one, title in zip(said, _titles(said), strict=True)],
        "state": state,
        "states": [("", _("Not seen to")), ("all", _("All"))],
        "next": write_cursor(shown[-1].pk) if len(found) > PAGE else "",
        "aside": put_aside().count(),
    }
    return render(request, "console/replies/list.html", context)


def _titles(said: list[Any]) -> list[str]:
    ids = {int(one.message.origin[9:]) for one in said if one.message.origin.startswith("incident:")}
    titles = dict(Incident.objects.filter(pk__in=ids).values_list("pk", "title"))
    return [
        titles.get(int(one.message.origin[9:]), "") if one.message.origin.startswith("incident:") else ""
        for one in said
    ]


@allowed()
def aside(request: PageRequest) -> HttpResponse:
    """What could not be read, or laid with a customer, and why."""
    cursor = read_cursor(request.GET.get("cursor", ""), 1)
    rows = put_aside().defer("raw")
    found = list(rows.filter(pk__lt=cursor[0])[: PAGE + 1] if cursor else rows[: PAGE + 1])
    shown = found[:PAGE]
    context = {
        "nav": "today",
        "rows": [(one, why_aside(one.reason)) for one in shown],
        "next": write_cursor(shown[-1].pk) if len(found) > PAGE else "",
    }
    return render(request, "console/replies/aside.html", context)


def why_aside(reason: str) -> str:
    """Why something that came in lies where nobody is told of it, in one sentence."""
    return {
        "stranger": _("It answers nothing of ours, and no customer has the sender’s address or number."),
        "several_customers": _("Several customers have the sender’s address or number."),
        "forged": _("It was sent to a reply address that looks like one of ours and is not."),
        "too_large": _("It is larger than we take in: only its header is here."),
        "not_given": _("The mail server has it, and could not give it to us."),
        "unreadable": _("It could not be taken apart."),
        "stops_the_reader": _("Reading it stopped the reader, more than once."),
    }.get(reason, reason)
