"""Alerts that came, and what became of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from beforehand.console.access import PageRequest, allowed
from beforehand.console.paging import PAGE, read_cursor, write_cursor
from beforehand.detection.models import Alert
from beforehand.detection.queries import recent_alerts
from beforehand.incidents.queries import incidents_of_alerts


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of an alert: in a word, in which colour, and the incident that it belongs to."""

    word: str
    tone: str
    incident_id: UUID | None = None
    incident_title: str = ""


@allowed()
def alerts(request: PageRequest) -> HttpResponse:
    """The newest alerts, each with what became of it; of all, or of those that one question asks for."""
    show = request.GET.get("show", "")
    found = recent_alerts().select_related("rule", "mute").order_by("-pk")
    if show == "firing":
        found = found.filter(status=Alert.Status.FIRING)
    elif show == "muted":
        found = found.filter(mute__isnull=False)
    elif show == "no-rule":
        found = found.filter(rule=None)
    place = read_cursor(request.GET.get("cursor", ""), 1)
    page = list((found.filter(pk__lt=place[0]) if place else found)[: PAGE + 1])
    context = {
        "nav": "alerts",
        "tab": "alerts",
        "show": show,
        "choices": [("", _("All")), ("firing", _("Firing now")), ("muted", _("Muted")), ("no-rule", _("No rule"))],
        "rows": with_fates(page[:PAGE]),
        "next": write_cursor(page[PAGE - 1].pk) if len(page) > PAGE else "",
    }
    return render(request, "console/alerts/list.html", context)


def with_fates(alerts: Sequence[Alert]) -> list[tuple[Alert, Fate]]:
    """Each alert with what became of it."""
    opened, evidence = incidents_of_alerts(alerts)
    rows = []
    for alert in alerts:
        if alert.is_held:
            fate = Fate(_("muted"), "")
        elif alert.pk in evidence:
            incident = evidence[alert.pk]
            fate = Fate(_("evidence for"), "accent", incident.public_id, incident.title)
        elif alert.pk in opened:
            incident = opened[alert.pk]
            fate = Fate(_("opened"), "warn" if incident.state == "open" else "ok", incident.public_id, incident.title)
        elif alert.rule_id is None:
            fate = Fate(_("no rule"), "")
        else:
            fate = Fate(_("opened nothing"), "")
        rows.append((alert, fate))
    return rows
