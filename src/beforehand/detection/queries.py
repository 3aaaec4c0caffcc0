"""Questions about alerts that stand."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, QuerySet

from beforehand.detection.matching import meets
from beforehand.detection.models import Alert, AlertGroup, AlertRule, Heartbeat, Mute
from beforehand.kit.rows import bulk_fetch

LOOKED_BACK = timedelta(days=30)

_OPEN_STARTS = """
SELECT DISTINCT ON (g.source, g.fingerprint) g.source, g.fingerprint, f.starts_at
FROM unnest(%(sources)s::text[], %(fingerprints)s::text[]) AS g(source, fingerprint)
JOIN events_eventkey k ON k.source = g.source
     AND k.source_id >= g.fingerprint || ':' AND k.source_id < g.fingerprint || ';'
     AND k.last_seen_at >= %(since)s::timestamptz
CROSS JOIN LATERAL (
    SELECT substr(k.source_id, length(g.fingerprint) + 2, length(k.source_id) - length(g.fingerprint) - 8) AS starts_at
    WHERE right(k.source_id, 7) = ':firing'
) f
WHERE f.starts_at ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+\\+00:00$'
  AND NOT EXISTS (SELECT FROM events_eventkey r WHERE r.source = k.source
                  AND r.source_id = g.fingerprint || ':' || f.starts_at || ':resolved')
  AND NOT EXISTS (SELECT FROM detection_alert a WHERE a.source = k.source AND a.fingerprint = g.fingerprint
                  AND a.starts_at = f.starts_at::timestamptz AND a.status <> 'firing')
ORDER BY g.source, g.fingerprint, k.first_seen_at DESC
"""
"""The log's identities are asked first, because detection may be a moment behind; a fingerprint may hold colons."""


def open_starts(alerts: Collection[tuple[str, str]], *, now: datetime) -> dict[tuple[str, str], datetime]:
    """When each of these alerts (source, fingerprint) began that fire now; who is not in it does not fire.

    A sender that repeats itself without a start would otherwise open a new alert each time. One statement.
    """
    pairs = sorted(alerts)
    rows = bulk_fetch(
        _OPEN_STARTS,
        {
            "sources": [source for source, _ in pairs],
            "fingerprints": [fingerprint for _, fingerprint in pairs],
            "since": now - LOOKED_BACK,
        },
    )
    return {(source, fingerprint): datetime.fromisoformat(starts_at) for source, fingerprint, starts_at in rows}


def flapping_until(group_key: str, *, now: datetime) -> datetime | None:
    """Until when at least the problem of this group comes and goes; None if it does not now."""
    if not group_key:
        return None
    return (
        AlertGroup.objects.filter(key=group_key, flapping_until__gt=now)
        .values_list("flapping_until", flat=True)
        .first()
    )


def muted_counts(mutes: Iterable[Mute]) -> dict[int, int]:
    """How many alerts each of these mutes held back, those that have ended included; one query."""
    found = Alert.objects.filter(mute__in=[mute.pk for mute in mutes])
    return dict(found.values_list("mute").annotate(count=Count("pk")).order_by())


RECENT = 20_000
"""So many alerts, the newest, are looked at where a page asks what happened lately."""


def recent_alerts() -> QuerySet[Alert]:
    """The newest alerts, as a bounded part of however many there ever were."""
    newest = Alert.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    return Alert.objects.filter(pk__gt=newest - RECENT)


def met_lately(*, since: datetime) -> dict[int, tuple[int, datetime]]:
    """By rule, how many of the recent alerts met it since then, and when the last of them came; one query."""
    found = recent_alerts().filter(rule__isnull=False, received_at__gte=since).values_list("rule")
    rows = found.annotate(count=Count("pk"), last=Max("received_at")).order_by()
    return {rule_id: (count, last) for rule_id, count, last in rows}


@dataclass(frozen=True, slots=True)
class Trial:
    """What a condition would have matched among the newest alerts."""

    looked_at: int
    alerts: tuple[Alert, ...]


def tried_condition(condition: str, *, now: datetime, limit: int = 500) -> Trial:
    """Try a condition on the newest alerts; raises `ConditionError`."""
    newest = list(Alert.objects.select_related("rule").order_by("-pk")[:limit])
    met = [
        alert
        for alert in newest
        if meets({"source": alert.source, "labels": alert.labels, "annotations": alert.annotations}, condition, now=now)
    ]
    return Trial(len(newest), tuple(met))


def chosen_rules(slugs: Collection[str]) -> dict[str, AlertRule]:
    """The rule that was chosen for each of these heartbeats, where one was and is in force."""
    found = Heartbeat.objects.filter(slug__in=slugs, rule__is_enabled=True).select_related("rule")
    return {one.slug: one.rule for one in found if one.rule is not None}
