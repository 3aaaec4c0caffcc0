"""What alerts say about an incident beyond opening and ending it: that its problem comes and goes, or why others fire.

An alert on a component is no problem of its own while an open incident is on something that the component depends on:
the customers whom it would touch are on that incident's list already. It joins that incident as evidence, and is raised
anew if it still fires once the incident has ended.
"""

from collections.abc import Sequence
from datetime import datetime

from beforehand.customers.impact import MAX_DEPTH
from beforehand.detection.groups import join_group, release_joined
from beforehand.detection.models import AlertRule
from beforehand.engine.alerts import inhibition
from beforehand.events.actions import append_event
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.kit.rows import bulk_fetch

_UPSTREAM = f"""
WITH RECURSIVE above (start_id, component_id, depth) AS (
    SELECT id, id, 0 FROM unnest(%(components)s::bigint[]) AS given(id)
    UNION
    SELECT above.start_id, d.depends_on_id, above.depth + 1
    FROM above JOIN customers_componentdependency d ON d.component_id = above.component_id
    WHERE above.depth < {MAX_DEPTH}
)
SELECT DISTINCT above.start_id, s.incident_id
FROM above
JOIN incidents_incidentscope s ON s.component_id = above.component_id AND s.removed_at IS NULL
JOIN incidents_incident i ON i.id = s.incident_id AND i.state = 'open'
                         AND (i.kind <> 'planned' OR i.began_at <= %(now)s::timestamptz)
WHERE above.depth > 0
"""
"""Up the dependencies, as `customers.impact` goes down them. Planned work explains nothing before it begins."""


def upstream_incidents(component_ids: Sequence[int], *, now: datetime) -> dict[int, set[int]]:
    """For each of these components that has any: the open incidents on what it depends on, directly or not."""
    found: dict[int, set[int]] = {}
    rows = bulk_fetch(_UPSTREAM, {"components": list(component_ids), "now": now}) if component_ids else []
    for component_id, incident_id in rows:
        found.setdefault(component_id, set()).add(incident_id)
    return found


def join_upstream(
    *, group_key: str, rule: AlertRule, alert_id: int, component_ids: Sequence[int], now: datetime
) -> Incident | None:
    """Make an alert evidence for the open incident that explains it; None if it is a problem of its own.

    A problem that has an incident already keeps it. The incident is locked, so it cannot end unheard meanwhile.
    """
    if Incident.objects.filter(group_key=group_key, state=Incident.State.OPEN).exists():
        return None
    decided = inhibition(component_ids, upstream_incidents(component_ids, now=now))
    if decided.incident_id is None:
        return None
    incident = Incident.objects.select_for_update(of=("self",)).get(pk=decided.incident_id)
    if incident.state != Incident.State.OPEN:
        return None
    if join_group(group_key, rule=rule, origin=origin_of(incident.pk)):
        append_event(
            type="incident.evidence_joined",
            actor=f"rule:{rule.slug}",
            subject=origin_of(incident.pk),
            data={
                "incident": incident.pk,
                "group": group_key,
                "rule": rule.pk,
                "alert": alert_id,
                "components": list(component_ids),
                "reason": decided.reason.value,
            },
        )
    return incident


def release_evidence(origin: str) -> int:
    """The incident ended, or is on less than it was: what it explained is judged anew if it still fires; how many problems."""
    return release_joined(origin)


def note_flapping(group_key: str, *, changes: int) -> None:
    """The problem of this group comes and goes: its open incident's story says so."""
    for incident_id in Incident.objects.filter(group_key=group_key, state=Incident.State.OPEN).values_list(
        "pk", flat=True
    ):
        append_event(
            type="incident.flapping", actor="detection", subject=origin_of(incident_id), data={"changes": changes}
        )
