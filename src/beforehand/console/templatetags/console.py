"""The console's navigation: where an agent can go, and where they are."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
from django import template
from django.conf import settings
from django.template.context import Context
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from beforehand.accounts.access import may
from beforehand.console import reasons
from beforehand.console.reasons import audience_name
from beforehand.customers.models import ContactPoint
from beforehand.engine.message_classes import MessageClass
from beforehand.incidents.models import Incident
from beforehand.outbound.models import Channel
from beforehand.outbound.webhooks import shown_secret

register = template.Library()

ON_A_SMALL_SCREEN = 4


@dataclass(frozen=True)
class Place:
    """A page of the navigation; `key` is what a view's `nav` says."""

    key: str
    label: Promise | str
    url_name: str
    icon: str
    action: str = "console:read"
    """Who may not do this is not shown the way there."""


PLACES = (
    Place("today", _("Today"), "console:today", "today"),
    Place("incidents", _("Incidents"), "console:incidents", "incident"),
    Place("say-this", _("Say this"), "console:say-this", "phone"),
    Place("customers", _("Customers"), "console:customers", "customers"),
    Place("messages", _("Messages"), "console:messages", "message"),
    Place("calendar", _("Calendar"), "console:calendar", "calendar"),
    Place("playbooks", _("Playbooks"), "console:playbooks", "playbook"),
    Place("planned", _("Planned work"), "console:planned", "tools"),
    Place("alerts", _("Alerts"), "console:alerts", "alert"),
    Place("readiness", _("Readiness"), "console:readiness", "check"),
    Place("teams", _("Teams"), "console:teams", "person"),
    Place("status", _("Status page"), "portal:status", "status"),
    Place("events", _("Events"), "console:events", "inbox"),
    Place("settings", _("Settings"), "console:settings", "more", "settings:write"),
)


def places(current: str, user: object) -> list[dict[str, Any]]:
    """The navigation's links. A page that this installation does not serve has no link, rather than a dead one."""
    rows = []
    for place in PLACES:
        if not may(user, place.action):
            continue
        try:
            url = reverse(place.url_name)
        except NoReverseMatch:
            continue
        rows.append(
            {"key": place.key, "label": place.label, "icon": place.icon, "url": url, "current": place.key == current}
        )
    return rows


@register.inclusion_tag("console/_nav.html", takes_context=True)
def side_nav(context: Context) -> dict[str, Any]:
    """The navigation at the side of a wide screen."""
    return {"rows": places(str(context.get("nav", "")), context.get("user")), "counts": context.get("nav_counts", {})}


@register.inclusion_tag("console/_bottom_nav.html", takes_context=True)
def bottom_nav(context: Context) -> dict[str, Any]:
    """The navigation at the foot of a small screen: four places, and the rest behind "More"."""
    rows = places(str(context.get("nav", "")), context.get("user"))
    rest = rows[ON_A_SMALL_SCREEN:]
    return {"rows": rows[:ON_A_SMALL_SCREEN], "rest": rest, "rest_current": any(row["current"] for row in rest)}


@register.simple_tag(takes_context=True)
def may_do(context: Context, action: str) -> bool:
    """Whether the one who looks may do this: `{% may_do "incident:write" as can_write %}`. The view asks again."""
    return may(context.get("user"), action)


@register.simple_tag
def oidc_name() -> str:
    """What the company's own sign-in is called; "" where there is none."""
    return str(settings.OIDC_NAME)


@register.filter
def audience(name: str) -> str:
    """Whom a batch is for, as people say it."""
    return audience_name(name)


@register.filter
def affected_tone(state: str) -> str:
    """The tone of a customer's state on a list."""
    return {"affected": "warn", "cured": "ok"}.get(state, "")


@register.filter
def point_tone(status: str) -> str:
    """The tone of an address's state."""
    return {"dead": "urgent", "failing": "warn", "blocked": "urgent"}.get(status, "")


@register.filter
def address_trouble(point: ContactPoint) -> str:
    """Why this address is in doubt or not used, in one sentence."""
    return reasons.address_trouble(point.status, point.status_reason)


@register.filter
def channel_name(channel: str) -> str:
    """A channel as people say it."""
    return str(Channel(channel).label) if channel in Channel.values else channel


CLASS_NAMES = {
    MessageClass.SERVICE_CRITICAL: _("urgent for their service"),
    MessageClass.SERVICE: _("about their service"),
    MessageClass.CARE: _("care"),
    MessageClass.SURVEY: _("questionnaire"),
    MessageClass.MARKETING: _("offer"),
}


@register.filter
def class_name(message_class: str) -> str:
    """What a message is for, as people say it."""
    return str(CLASS_NAMES[MessageClass(message_class)])


@register.filter
def point_address(point: ContactPoint) -> str:
    """An address as people read it: of a browser, only the service that reaches it."""
    if point.channel != ContactPoint.Channel.PUSH:
        return point.address
    return urlsplit(str(orjson.loads(point.address)["endpoint"])).hostname or ""


@register.filter
def signing_secret(point: ContactPoint) -> str:
    """What the owner of a webhook checks our signatures with; empty for any other address."""
    return shown_secret(point.pk) if point.channel == ContactPoint.Channel.WEBHOOK else ""


ACCESS_NEEDS = {"large_print": _("large print"), "read_aloud": _("read aloud")}


@register.filter
def access_need(name: str) -> str:
    """What somebody needs to be able to read us."""
    return str(ACCESS_NEEDS.get(name, name))


@register.filter
def alert_tone(status: str) -> str:
    """The tone of an alert's state."""
    return {"firing": "warn", "resolved": "ok"}.get(status, "")


@register.filter
def incident_kind(kind: str) -> str:
    """A kind of incident as people say it."""
    return str(Incident.Kind(kind).label) if kind in Incident.Kind.values else kind
