"""Questions about incidents: the list, and whom one touches, page by page. Each statement names the bucket."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.db.models import Case, Count, F, Func, Q, TextField, Value, When
from django.utils import translation
from django.utils.translation import pgettext

from beforehand.customers.impact import components_above, components_below
from beforehand.customers.models import Component
from beforehand.detection.models import Alert, AlertGroup
from beforehand.incidents.affected import origin_of, scope_select
from beforehand.incidents.models import IS_OVER, Incident, IncidentScope
from beforehand.kit.ids import BUCKETS
from beforehand.kit.rows import bulk_fetch, fetch

MAX_PLACES = 6
"""So many names of places an update says; what an incident is on may be hundreds."""


def incidents_page(*, state: str = "", after: tuple[int, int] | None = None, limit: int) -> list[Incident]:
    """Incidents, open ones first, then newest first; `after` is (0 open or 1 ended, id) of the last one shown."""
    found = Incident.objects.annotate(is_over=IS_OVER).select_related("owner").order_by("is_over", "-pk")
    if state:
        found = found.filter(state=state).order_by("-pk")
    if after is not None:
        over, pk = bool(after[0]), after[1]
        later = Q(is_over=over, pk__lt=pk)
        found = found.filter(later if over else later | Q(is_over=True))
    return list(found[:limit])


@dataclass(frozen=True, slots=True)
class AffectedLine:
    """A customer on an incident's list, with what the reason is made of."""

    bucket: int
    customer_id: int
    public_id: Any
    name: str
    language: str
    priority: str
    state: str
    joined_at: datetime
    left_at: datetime | None
    is_by_hand: bool
    told_sequence: int
    product: str | None
    place: str | None
    component: str | None
    """The network part that the product depends on."""
    root: str | None
    """The network part that the incident is on."""
    condition: str | None


COLUMNS = """
SELECT a.bucket, a.customer_id, c.public_id, c.name, c.language, c.priority, a.state, a.joined_at, a.left_at, a.is_by_hand,
       a.told_sequence, h.product, h.place, part.name, root.name, s.condition
"""
REASON = """
JOIN customers_customer c ON c.id = a.customer_id
LEFT JOIN incidents_incidentscope s ON s.id = a.scope_id
LEFT JOIN customers_holding h ON h.id = a.holding_id
LEFT JOIN customers_component part ON part.id = a.component_id
LEFT JOIN customers_component root ON root.id = s.component_id
"""
AFFECTED = f"""
{COLUMNS} FROM (
    SELECT found.* FROM generate_series(%(bucket)s::int, {BUCKETS - 1}) AS b(bucket)
    CROSS JOIN LATERAL (
        SELECT aa.* FROM incidents_affected aa {{customers}}
        WHERE aa.bucket = b.bucket::smallint AND aa.incident_id = %(incident)s::bigint
          AND (b.bucket > %(bucket)s::int OR aa.customer_id > %(customer)s::bigint) {{conditions}}
        ORDER BY aa.customer_id LIMIT %(limit)s::int
    ) found
    LIMIT %(limit)s::int
) a {REASON}
ORDER BY a.bucket, a.customer_id
"""
"""Bucket by bucket in the order of the primary key, until the page is full."""


AMONG = f"""
{COLUMNS} FROM unnest(%(customers)s::bigint[]) AS w(customer_id)
JOIN incidents_affected a ON a.bucket = (w.customer_id %% {BUCKETS})::smallint
    AND a.incident_id = %(incident)s::bigint AND a.customer_id = w.customer_id {REASON} {{last_word}}
WHERE (a.bucket, a.customer_id) > (%(bucket)s::smallint, %(customer)s::bigint) {{conditions}}
ORDER BY a.bucket, a.customer_id LIMIT %(limit)s::int
"""
"""Those of a few customers who are on the list: each is looked up by the primary key."""


NEWEST = f"""
{COLUMNS} FROM (
    SELECT aa.* FROM incidents_affected aa {{customers}}
    WHERE aa.bucket = ANY(%(buckets)s::smallint[]) AND aa.incident_id = %(incident)s::bigint
      AND (%(joined)s::timestamptz IS NULL OR (aa.joined_at, aa.customer_id) < (%(joined)s::timestamptz, %(customer)s::bigint))
      {{conditions}}
    ORDER BY aa.joined_at DESC, aa.customer_id DESC LIMIT %(limit)s::int
) a {REASON}
ORDER BY a.joined_at DESC, a.customer_id DESC
"""
"""Who joined last, first: the whole list is read for it."""


LAST_WORD = """
LEFT JOIN LATERAL (
    SELECT mm.state, mm.reason, mm.channel FROM outbound_message mm
    JOIN outbound_messagebatch b ON b.id = mm.batch_id AND b.origin = %(origin)s::text
    WHERE mm.bucket = {who}.bucket AND mm.customer_id = {who}.customer_id
    ORDER BY mm.id DESC LIMIT 1
) said ON true
LEFT JOIN outbound_toldbyperson hand ON hand.bucket = {who}.bucket AND hand.origin = %(origin)s::text
    AND hand.customer_id = {who}.customer_id
"""
"""What became of our last word to somebody on the list, and whether a person has told them."""

TOLD = {
    "told": "(said.state IN ('sent', 'uncertain') OR hand.customer_id IS NOT NULL)",
    "waiting": "(said.state IS NULL OR said.state = 'queued') AND hand.customer_id IS NULL",
    "not_told": "said.state IN ('refused', 'failed', 'cancelled') AND hand.customer_id IS NULL",
}
"""Told by a message or by a person; not yet; and neither, for a reason."""


def affected_page(
    incident_id: int,
    *,
    state: str = "",
    language: str = "",
    told: str = "",
    reason: str = "",
    channel: str = "",
    customer_ids: Sequence[int] | None = None,
    after: tuple[int, int] | None = None,
    newest_after: tuple[datetime | None, int] | None = None,
    limit: int,
) -> list[AffectedLine]:
    """A page of the affected list; `after` is bucket and customer id of the last one shown.

    With `newest_after` (when the last one shown joined, and their id; None begins) who joined last comes first.
    `told` is a key of `TOLD`; `reason` and `channel` are those of our last word to the customer.
    """
    bucket, customer = after or (0, 0)
    values: dict[str, Any] = {"incident": incident_id, "bucket": bucket, "customer": customer, "limit": limit}
    conditions = ""
    alias, reader = ("aa", "cc") if customer_ids is None else ("a", "c")
    if state:
        conditions += f" AND {alias}.state = %(state)s::text"
        values["state"] = state
    if language:
        conditions += f" AND {reader}.language = %(language)s::text"
        values["language"] = language
    last_word = ""
    if told or reason or channel:
        last_word = LAST_WORD.format(who=alias)
        values |= {"origin": origin_of(incident_id), "reason": reason, "channel": channel}
        conditions += f" AND {TOLD[told]}" if told else ""
        conditions += " AND said.reason = %(reason)s::text" if reason else ""
        conditions += " AND said.channel = %(channel)s::text" if channel else ""
    if customer_ids is not None:
        values["customers"] = list(customer_ids)
        sql = AMONG.format(conditions=conditions, last_word=last_word)
        return [AffectedLine(*row) for row in bulk_fetch(sql, values)]
    customers = "JOIN customers_customer cc ON cc.id = aa.customer_id" if language else ""
    customers += last_word
    if newest_after is not None:
        values |= {"buckets": list(range(BUCKETS)), "joined": newest_after[0], "customer": newest_after[1]}
        sql = NEWEST.format(customers=customers, conditions=conditions)
        return [AffectedLine(*row) for row in bulk_fetch(sql, values)]
    rows = bulk_fetch(AFFECTED.format(customers=customers, conditions=conditions), values)
    return [AffectedLine(*row) for row in rows]


TOUCHING = f"""
{COLUMNS}, a.incident_id FROM incidents_affected a {REASON}
JOIN incidents_incident i ON i.id = a.incident_id AND i.state = 'open'
WHERE a.bucket = %(bucket)s::smallint AND a.customer_id = %(customer)s::bigint AND a.state = 'affected'
ORDER BY a.incident_id DESC
"""


def touching(customer_id: int) -> list[tuple[Incident, AffectedLine]]:
    """The open incidents that touch a customer now, newest first, and why."""
    rows = bulk_fetch(TOUCHING, {"bucket": customer_id % BUCKETS, "customer": customer_id})
    incidents = Incident.objects.in_bulk([row[-1] for row in rows])
    return [(incidents[row[-1]], AffectedLine(*row[:-1])) for row in rows]


ON_LIST = f"""
{COLUMNS} FROM incidents_affected a {REASON}
WHERE a.bucket = %(bucket)s::smallint AND a.incident_id = %(incident)s::bigint AND a.customer_id = %(customer)s::bigint
"""


def on_list(incident_id: int, customer_id: int) -> AffectedLine | None:
    """One customer's row on an incident's list, if they are or were on it."""
    rows = bulk_fetch(ON_LIST, {"bucket": customer_id % BUCKETS, "incident": incident_id, "customer": customer_id})
    return AffectedLine(*rows[0]) if rows else None


LANGUAGE_COUNTS = """
SELECT c.language, count(*) FROM incidents_affected a JOIN customers_customer c ON c.id = a.customer_id
WHERE a.bucket = ANY(%(buckets)s::smallint[]) AND a.incident_id = %(incident)s::bigint AND a.state = 'affected'
GROUP BY c.language ORDER BY count(*) DESC, c.language
"""
LANGUAGES = """
SELECT c.language, count(*), count(*) FILTER (WHERE NOT EXISTS (
    SELECT FROM customers_contactpoint p
    WHERE p.customer_id = c.id AND p.channel = ANY(%(channels)s::text[]) AND p.status NOT IN ('dead', 'blocked')))
FROM incidents_affected a JOIN customers_customer c ON c.id = a.customer_id
WHERE a.bucket = ANY(%(buckets)s::smallint[]) AND a.incident_id = %(incident)s::bigint AND a.state = 'affected'
GROUP BY c.language ORDER BY count(*) DESC, c.language
"""


@dataclass(frozen=True, slots=True)
class LanguageShare:
    """How many of the affected read a language, and how many of those have no working address on any of the channels."""

    language: str
    customers: int
    unreachable: int


def language_counts(incident: Incident) -> dict[str, int]:
    """How many of the affected read each language, most first."""
    return dict(_counted_once(incident, LANGUAGE_COUNTS, "languages", {}))


def language_shares(incident: Incident, *, channels: Collection[str]) -> list[LanguageShare]:
    """The same, and how many of them have no working address on any of the channels."""
    wanted = sorted(channels)
    rows = _counted_once(incident, LANGUAGES, f"shares.{'.'.join(wanted)}", {"channels": wanted})
    return [LanguageShare(*row) for row in rows]


ZONES = """
SELECT DISTINCT c.time_zone FROM incidents_affected a JOIN customers_customer c ON c.id = a.customer_id
WHERE a.bucket = ANY(%(buckets)s::smallint[]) AND a.incident_id = %(incident)s::bigint AND a.state = 'affected'
"""


def affected_zones(incident: Incident) -> list[str]:
    """The time zones in which the affected live."""
    return [zone for (zone,) in _counted_once(incident, ZONES, "zones", {})]


def _counted_once(incident: Incident, sql: str, name: str, more: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Counted once for each state of the list, and at most a minute old: it reads the whole list."""
    stamp = incident.affected_at.timestamp() if incident.affected_at else 0
    key = f"incidents.{name}.{incident.pk}.{incident.opened_at.timestamp()}.{stamp}"
    rows: list[tuple[Any, ...]] | None = cache.get(key)
    if rows is None:
        rows = bulk_fetch(sql, {"buckets": list(range(BUCKETS)), "incident": incident.pk, **more})
        cache.set(key, rows, 60)
    return rows


NOT_ANNOUNCED = Q(planned__isnull=False, planned__announced_at=None)
"""Planned work of which customers are not told yet: it is nobody's business."""

GRAVEST = Case(*[When(severity=value, then=place) for place, value in enumerate(reversed(Incident.Severity.values))])
"""Orders the gravest first, so that a list which is cut short never lacks it."""


def public_now(component: Component | None, *, limit: int) -> list[Incident]:
    """The public incidents that are open, the gravest and newest first: all of them, or those that bear on a component.

    On a component bears what is on it, on something that it depends on, or on something that depends on it: a region
    has what is wrong anywhere in it. Planned work that was not announced is nobody's business yet.
    """
    found = Incident.objects.filter(state=Incident.State.OPEN, is_public=True)
    found = found.exclude(NOT_ANNOUNCED)
    if component is not None:
        ids = {*components_above(component.pk), *components_below([component.pk])}
        on_it = IncidentScope.objects.filter(removed_at=None, component_id__in=ids)
        found = found.filter(pk__in=on_it.values("incident_id"))
    return list(found.order_by(GRAVEST, "-pk")[:limit])


def place_names(incident: Incident) -> dict[str, str]:
    """Where it is, by language: the public names of the network parts that it is on, as far as they have one there."""
    rows = IncidentScope.objects.filter(incident=incident, removed_at=None).exclude(component__texts={})
    found: dict[str, list[str]] = {}
    for texts in rows.order_by("pk").values_list("component__texts", flat=True)[:MAX_PLACES]:
        for language, name in (texts or {}).items():
            if name and name not in found.setdefault(language, []):
                found[language].append(name)
    return {language: _listed(names, language) for language, names in found.items()}


def _listed(names: Sequence[str], language: str) -> str:
    """These names in a row, with the comma that this language writes."""
    with translation.override(language):
        return pgettext("between the parts of a list", ", ").join(names)


LISTED = """
SELECT coalesce(sum((data->>'joined')::int - (data->>'left')::int), 0) FROM events_event
WHERE subject = %s AND subject <> '' AND customer_id IS NULL AND type = 'incident.affected_listed' AND occurred_at > %s
"""


def affected_trend(incident_id: int, *, since: datetime) -> int:
    """How many more are affected than at that time, by what the log says of the list; fewer if negative."""
    return int(fetch(LISTED, [origin_of(incident_id), since])[0][0])


def decided_for(incident_id: int) -> int:
    """How many who are affected now have been decided for: spoken to, or refused with a reason."""
    ((count,),) = bulk_fetch(
        """
        SELECT count(*) FROM incidents_affected
        WHERE bucket = ANY(%s::smallint[]) AND incident_id = %s::bigint AND state = 'affected' AND told_sequence > 0
        """,
        [list(range(BUCKETS)), incident_id],
    )
    return int(count)


def reached_by_scope(incident_id: int, scope_id: int) -> int:
    """How many are on the list because of this part of the scope; some of them may be reached by another part too."""
    ((count,),) = bulk_fetch(
        """
        SELECT count(*) FROM incidents_affected
        WHERE bucket = ANY(%s::smallint[]) AND incident_id = %s::bigint AND state = 'affected' AND scope_id = %s::bigint
        """,
        [list(range(BUCKETS)), incident_id, scope_id],
    )
    return int(count)


def would_touch(*, component_ids: Sequence[int], condition: str, now: datetime) -> int:
    """How many customers an incident on these parts and this condition would touch; raises `ConditionError`."""
    parts = [scope_select(component_id=pk, condition="", now=now) for pk in component_ids]
    if condition:
        parts.append(scope_select(component_id=None, condition=condition, now=now))
    ids: list[str] = []
    parameters: dict[str, Any] = {}
    for number, part in enumerate(parts):
        sql = part.sql
        for name in part.params:
            sql = sql.replace(f"%({name})s", f"%(p{number}_{name})s")
        ids.append(f"SELECT customer_id FROM ({sql}) i{number}")
        parameters |= {f"p{number}_{name}": value for name, value in part.params.items()}
    if not ids:
        return 0
    rows = bulk_fetch(f"SELECT count(*) FROM ({' UNION '.join(ids)}) whom", parameters)
    return int(rows[0][0])


def raised_lately(*, since: datetime) -> dict[str, int]:
    """By the slug of the alert rule, how many incidents its alerts opened since then."""
    rule = Func(F("group_key"), Value(":"), Value(1), function="split_part", output_field=TextField())
    opened = Incident.objects.filter(opened_at__gte=since).exclude(group_key="").values_list(rule)
    return dict(opened.annotate(count=Count("pk")).order_by())


def incidents_of_alerts(alerts: Iterable[Alert]) -> tuple[dict[int, Incident], dict[int, Incident]]:
    """By alert, the incident that its problem opened; and the incident that it is evidence for. Three queries at most."""
    with_rule = [alert for alert in alerts if alert.group_key and not alert.is_held]
    keys = {alert.group_key for alert in with_rule}
    if not keys:
        return {}, {}
    joined = dict(AlertGroup.objects.filter(key__in=keys).exclude(joined="").values_list("key", "joined"))
    by_origin = {
        f"incident:{incident.pk}": incident
        for incident in Incident.objects.filter(pk__in={int(one.partition(":")[2]) for one in joined.values()})
    }
    own: dict[str, list[Incident]] = {}
    for incident in Incident.objects.filter(group_key__in=keys).order_by("pk"):
        own.setdefault(incident.group_key, []).append(incident)
    opened: dict[int, Incident] = {}
    evidence: dict[int, Incident] = {}
    for alert in with_rule:
        # The last one that was known by then; an alert that opened one came a moment before it was known.
        known = [one for one in own.get(alert.group_key, ()) if one.ended_at is None or one.ended_at >= alert.starts_at]
        if joined.get(alert.group_key) in by_origin and alert.status == Alert.Status.FIRING:
            evidence[alert.pk] = by_origin[joined[alert.group_key]]
        elif known:
            opened[alert.pk] = known[0]
    return opened, evidence
