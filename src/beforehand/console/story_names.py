"""What a line of a timeline is, and the names that lines need, fetched in bulk."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext as _

from beforehand.accounts.models import User
from beforehand.conversations.models import MessageIn
from beforehand.customers.models import Component
from beforehand.events.subscriptions import StoredEvent
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident, IncidentUpdate
from beforehand.kit.web.mixed import apart
from beforehand.outbound.models import MessageBatch
from beforehand.playbooks.models import RunTask


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a timeline."""

    at: datetime
    title: str
    icon: str = "info"
    tone: str = ""
    body: str = ""
    lang: str = ""
    url: str = ""
    link: str = ""
    """The words of the link."""


@dataclass
class Known:
    """What the lines name, fetched in bulk."""

    users: dict[int, str] = field(default_factory=dict)
    components: dict[int, str] = field(default_factory=dict)
    updates: dict[int, dict[str, str]] = field(default_factory=dict)
    batches: dict[int, MessageBatch] = field(default_factory=dict)
    tasks: dict[int, str] = field(default_factory=dict)
    said: dict[int, MessageIn] = field(default_factory=dict)
    incidents: dict[str, tuple[str, UUID]] = field(default_factory=dict)
    """Origin to title and public id: for the events of customers, which name the incident as their subject."""


def users_of(events: Sequence[StoredEvent], others: Set[int] = frozenset()) -> dict[int, str]:
    """The names of who did these things, and of some others."""
    acting = {event.actor[5:] for event in events if event.actor[:5] == "user:" and event.actor[5:].isdigit()}
    wanted = {int(number) for number in acting} | others
    return dict(User.objects.filter(pk__in=wanted).values_list("pk", "name")) if wanted else {}


def known_of(events: Sequence[StoredEvent]) -> Known:
    """The names that these events need: at most seven queries, however many events."""
    named = {event.data["person"] for event in events if event.type.startswith("promise.") and event.data.get("person")}
    components = {pk for event in events for pk in event.data.get("components") or ()}
    components |= {event.data["component"] for event in events if event.data.get("component")}
    updates = {event.data["update"] for event in events if event.type == "incident.update_posted"}
    batches = {event.data["batch"] for event in events if event.type.startswith("message.batch")}
    touching = {event.subject for event in events if event.type.startswith("incident.customer_")}
    known = Known()
    if touching:
        found = Incident.objects.filter(pk__in=[int(origin.partition(":")[2]) for origin in touching])
        known.incidents = {origin_of(one.pk): (one.title, one.public_id) for one in found.only("title", "public_id")}
    known.users = users_of(events, named)
    tasks = {event.data["task"] for event in events if event.type.startswith("run.task_")}
    if tasks:
        known.tasks = dict(RunTask.objects.filter(pk__in=tasks).values_list("pk", "title"))
    said = {event.data["message_in"] for event in events if event.type.startswith("conversation.")}
    if said:
        known.said = MessageIn.objects.defer("text", "html").in_bulk(list(said))
    if components:
        known.components = dict(Component.objects.filter(pk__in=components).values_list("pk", "name"))
    if updates:
        known.updates = dict(IncidentUpdate.objects.filter(pk__in=updates).values_list("pk", "texts"))
    if batches:
        known.batches = MessageBatch.objects.defer("texts", "facts").in_bulk(list(batches))
    return known


def actor_name(actor: str, users: dict[int, str]) -> str:
    """Who did it, as people say it."""
    kind, _colon, rest = actor.partition(":")
    if kind == "user" and rest.isdigit():
        return users.get(int(rest), _("somebody who left"))
    if kind == "rule":
        return _("the alert rule “%(rule)s”") % apart(rule=rest)
    if kind == "token":
        return _("another system, over the API")
    if kind == "run":
        return _("the playbook")
    return _("Beforehand")
