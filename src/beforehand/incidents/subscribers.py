"""What incidents hear: problems raised and cleared, and changes in what customers own."""

from collections.abc import Sequence
from datetime import UTC, datetime

from django.utils import translation
from django.utils.translation import gettext as _

from beforehand.accounts.installation import installation
from beforehand.customers.models import Component
from beforehand.detection.models import AlertRule, Heartbeat
from beforehand.events.subscriptions import StoredEvent, subscriber
from beforehand.incidents.actions import open_incident, resolve_incident, want_refreshes
from beforehand.incidents.answers import settle_by_reopening
from beforehand.incidents.evidence import join_upstream, note_flapping, release_evidence
from beforehand.incidents.models import Incident
from beforehand.incidents.planned import close_planned, follow_scope
from beforehand.kit import clock


@subscriber("incidents.detection", types=["detection.raised", "detection.cleared", "detection.flapping"])
def follow_detection(events: Sequence[StoredEvent]) -> None:
    """Open or widen an incident for a problem that was raised; resolve it when the problem is cleared."""
    rules = AlertRule.objects.in_bulk({event.data["rule"] for event in events if "rule" in event.data})
    # What the incident of a problem is on already, by this very transaction, which holds the incident: more of the same
    # alerts change nothing.
    covered: dict[str, set[str]] = {}
    for event in events:
        if event.type == "detection.raised":
            rule = rules.get(event.data["rule"])
            names = covered.get(event.data["group"])
            if rule is not None and (names is None or not names.issuperset(event.data["components"])):
                _raise(event, rule)
                covered.setdefault(event.data["group"], set()).update(event.data["components"])
        elif event.type == "detection.flapping":
            note_flapping(event.data["group"], changes=event.data["changes"])
        else:
            covered.pop(event.data["group"], None)
            for incident in Incident.objects.filter(group_key=event.data["group"], state=Incident.State.OPEN):
                resolve_incident(
                    incident,
                    reason=event.data["how"],
                    actor="detection",
                    ended_at=datetime.fromisoformat(event.data["ended_at"]),
                )


def _raise(event: StoredEvent, rule: AlertRule) -> None:
    names = event.data["components"]
    components = list(Component.objects.filter(external_id__in=names))
    component_ids = [component.pk for component in components]
    if len(components) == len(names) and join_upstream(
        group_key=event.data["group"],
        rule=rule,
        alert_id=event.data["alert"],
        component_ids=component_ids,
        now=clock.now(),
    ):
        return
    open_incident(
        title=_title(event, rule),
        kind=rule.kind,
        severity=rule.severity,
        actor=f"rule:{rule.slug}",
        began_at=datetime.fromisoformat(event.data["began_at"]),
        known_at=event.occurred_at,
        component_ids=component_ids,
        texts=_texts(rule, [component.texts for component in components]),
        group_key=event.data["group"],
        flapping_since=_instant(event.data.get("flapping_since")),
        owner=rule.owner,
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _title(event: StoredEvent, rule: AlertRule) -> str:
    """What the team reads: the rule's name, or, where all we know is a silence, that, in the company's own language."""
    slug = event.data.get("heartbeat")
    heartbeat = Heartbeat.objects.filter(slug=slug).first() if slug else None
    if heartbeat is None:
        return rule.name
    expected_at = datetime.fromisoformat(event.data["began_at"]).astimezone(UTC)
    with translation.override(installation().brand.language):
        return _("No sign of life from %(name)s, expected at %(time)s UTC") % {
            "name": heartbeat.name,
            "time": f"{expected_at:%Y-%m-%d %H:%M}",
        }


def _texts(rule: AlertRule, areas: Sequence[dict[str, str]]) -> dict[str, dict[str, str]]:
    """The rule's texts, with the components' names for customers as the area where the rule names none."""
    texts = {language: dict(text) for language, text in rule.texts.items()}
    for names in areas[:1]:
        for language, name in names.items():
            texts.setdefault(language, {}).setdefault("area", name)
    return texts


@subscriber("incidents.evidence", types=["incident.resolved", "incident.cancelled", "incident.scope_narrowed"])
def follow_ends(events: Sequence[StoredEvent]) -> None:
    """What an incident explained is judged anew once it no longer does."""
    for event in events:
        release_evidence(event.subject)


@subscriber("incidents.answers", types=["incident.reopened"])
def follow_reopening(events: Sequence[StoredEvent]) -> None:
    """Who said that it is still broken was right: from now on they are told with everybody."""
    for event in events:
        settle_by_reopening(int(event.subject.partition(":")[2]), now=clock.now(), actor=event.actor)


@subscriber(
    "incidents.planned",
    types=["incident.resolved", "incident.cancelled", "incident.scope_widened", "incident.scope_narrowed"],
)
def follow_planned(events: Sequence[StoredEvent]) -> None:
    """Planned work holds back the alerts of what it is on, and, once it has ended by whatever way, none any more."""
    for event in events:
        incident_id = int(event.subject.partition(":")[2])
        if event.type in ("incident.resolved", "incident.cancelled"):
            close_planned(incident_id, actor=event.actor)
        else:
            follow_scope(incident_id, added=event.data.get("components", ()), actor=event.actor)


@subscriber(
    "incidents.holdings",
    types=["holdings.imported", "customers.imported", "components.imported", "customer.changed"],
)
def follow_holdings(events: Sequence[StoredEvent]) -> None:
    """Customers moved, or changed what they own, or what that depends on: every open incident's list is worked out anew."""
    if events:
        want_refreshes()
