"""Everywhere from the keyboard: one field that goes to any page, incident, customer or playbook, and begins what people do."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from beforehand.accounts.access import may
from beforehand.console.access import PageRequest, allowed
from beforehand.console.templatetags.console import places
from beforehand.customers.models import Customer
from beforehand.incidents.models import Incident
from beforehand.playbooks.models import PlaybookVersion

MOST = 6
"""So many of each kind: who sees more does not look, but types on."""
SHORTEST = 2
"""Fewer letters than these are no customer's name."""

DEEDS = (
    ("incident:open", gettext_lazy("Open an incident"), "console:incident-open", "plus"),
    ("incident:write", gettext_lazy("Plan work"), "console:planned-plan", "tools"),
    ("console:read", gettext_lazy("Somebody calls: say this"), "console:say-this", "phone"),
)


@dataclass(frozen=True, slots=True)
class Way:
    """Somewhere to go, or something to do."""

    label: str
    url: str
    icon: str
    hint: str = ""


@allowed()
def go(request: PageRequest) -> HttpResponse:
    """What these words may mean, in groups: what to do, incidents, customers, playbooks, pages."""
    text = " ".join(request.GET.get("q", "").split())[:200].replace("\0", "")
    groups = [(label, ways) for label, ways in _groups(request, text) if ways]
    context = {"nav": "", "text": text, "groups": groups, "count": sum(len(ways) for _label, ways in groups)}
    is_part = request.htmx.target == "palette-found"
    return render(request, f"console/palette/{'_found' if is_part else 'go'}.html", context)


def _groups(request: PageRequest, text: str) -> Iterator[tuple[str, list[Way]]]:
    incidents = _incidents(text)
    yield _("Do"), _deeds(request, text, incidents)
    yield _("Incidents"), [_to_incident(incident) for incident in incidents]
    if len(text) >= SHORTEST:
        yield _("Customers"), _customers(text)
        yield _("Playbooks"), _playbooks(text)
    pages = [row for row in places("", request.user) if _means(row["label"], text)]
    yield _("Go to"), [Way(row["label"], row["url"], row["icon"]) for row in pages]


def _means(label: object, text: str) -> bool:
    """Whether each of the words begins a word of the label."""
    words = str(label).casefold().split()
    return all(any(word.startswith(wanted) for word in words) for wanted in text.casefold().split())


def _incidents(text: str) -> list[Incident]:
    found = Incident.objects.filter(title__icontains=text) if text else Incident.objects.filter(state="open")
    return sorted(found.order_by("-pk")[:MOST], key=lambda incident: incident.state != Incident.State.OPEN)


def _to_incident(incident: Incident) -> Way:
    where = reverse("console:incident", args=[incident.public_id])
    return Way(incident.title, where, "incident", incident.get_state_display())


def _deeds(request: PageRequest, text: str, incidents: list[Incident]) -> list[Way]:
    ways = [
        Way(str(label), reverse(name), icon)
        for action, label, name, icon in DEEDS
        if may(request.user, action) and _means(label, text)
    ]
    if may(request.user, "incident:write"):
        update = _("Write an update")
        still_open = [incident for incident in incidents if incident.state == Incident.State.OPEN]
        if text and _means(update, text):
            still_open = _incidents("")
        ways += [
            Way(update, reverse("console:incident-update", args=[incident.public_id]), "send", incident.title)
            for incident in still_open
        ]
    return ways


def _customers(text: str) -> list[Way]:
    found = Customer.objects.served().search(text).before(None)[:MOST]
    return [
        Way(one.name, reverse("console:customer", args=[one.public_id]), "customers", one.external_id) for one in found
    ]


def _playbooks(text: str) -> list[Way]:
    found = PlaybookVersion.objects.filter(is_current=True, slug__icontains=text.replace(" ", "-"))
    return [
        Way(one.slug, reverse("console:playbook", args=[one.slug, one.number]), "playbook")
        for one in found.defer("source", "texts").order_by("slug")[:MOST]
    ]
