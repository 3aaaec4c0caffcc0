"""Questions to readiness: the worst first, one part whole, and who lacks what, page by page. None counts customers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import ExpressionWrapper, F, FloatField, QuerySet

from beforehand.customers.impact import COMPONENTS_BELOW
from beforehand.engine.readiness import Lack, lacks
from beforehand.insights.models import Readiness, ReadinessRound
from beforehand.insights.readiness import needs, profiles
from beforehand.kit.rows import bulk_fetch

FEW = 20_000
"""A component with fewer customers is walked from its own side; above, who lacks something is looked at first."""


def last_round() -> ReadinessRound | None:
    """The round that the figures are of."""
    return ReadinessRound.objects.filter(ended_at__isnull=False).order_by("-pk").first()


def is_being_worked_out() -> bool:
    """Whether a newer round waits or runs."""
    newest = ReadinessRound.objects.order_by("-pk").first()
    return newest is not None and newest.ended_at is None


def worst_first(playbook: str) -> QuerySet[Readiness]:
    """Components with customers, by the share that is ready, the lowest first; among equals the one with most customers."""
    share = ExpressionWrapper(F("ready") * 1.0 / F("customers"), output_field=FloatField())
    return (
        Readiness.objects.filter(playbook=playbook, component__isnull=False)
        .select_related("component")
        .annotate(ready_share=share)
        .order_by("ready_share", "-customers", "component_id")
    )


@dataclass(frozen=True, slots=True)
class Lacking:
    """A customer who could not be told, and what is missing."""

    customer_id: int
    public_id: Any
    external_id: str
    name: str
    language: str
    missing: tuple[Lack, ...]


CLOSURE = f"WITH RECURSIVE {COMPONENTS_BELOW}"
FROM_FEW = f"""
{CLOSURE}, on_it AS (
    SELECT DISTINCT hc.customer_id FROM closure
    JOIN customers_holdingcomponent hc ON hc.component_id = closure.component_id
    WHERE (hc.until IS NULL OR hc.until > %(today)s::date) AND hc.customer_id > %(after)s::bigint
    ORDER BY hc.customer_id
), found AS (
    SELECT r.customer_id, r.profile_id FROM on_it CROSS JOIN LATERAL (
        SELECT r.customer_id, r.profile_id FROM insights_customerreadiness r
        WHERE r.customer_id = on_it.customer_id OFFSET 0
    ) r
    WHERE r.profile_id = ANY(%(profiles)s::bigint[]) LIMIT %(limit)s::int
)
"""
"""The `OFFSET 0` keeps them one by one, in their order, until there are enough: how few they are, the planner can't know."""
FROM_MANY = f"""
{CLOSURE}, parts AS MATERIALIZED (SELECT component_id FROM closure), found AS (
    SELECT near.customer_id, near.profile_id FROM unnest(%(profiles)s::bigint[]) AS p(id)
    CROSS JOIN LATERAL (
        SELECT r.customer_id, r.profile_id FROM insights_customerreadiness r
        WHERE r.profile_id = p.id AND r.customer_id > %(after)s::bigint
          AND EXISTS (SELECT FROM customers_holding h JOIN customers_holdingcomponent hc ON hc.holding_id = h.id
                      WHERE h.customer_id = r.customer_id AND (hc.until IS NULL OR hc.until > %(today)s::date)
                        AND hc.component_id IN (SELECT component_id FROM parts))
        ORDER BY r.customer_id LIMIT %(limit)s::int
    ) near
    ORDER BY near.customer_id LIMIT %(limit)s::int
)
"""
OF_ALL = """
WITH found AS (
    SELECT near.customer_id, near.profile_id FROM unnest(%(profiles)s::bigint[]) AS p(id)
    CROSS JOIN LATERAL (
        SELECT r.customer_id, r.profile_id FROM insights_customerreadiness r
        WHERE r.profile_id = p.id AND r.customer_id > %(after)s::bigint ORDER BY r.customer_id LIMIT %(limit)s::int
    ) near
    ORDER BY near.customer_id LIMIT %(limit)s::int
)
"""
SHOWN = """
SELECT c.id, c.public_id, c.external_id, c.name, c.language, found.profile_id
FROM found JOIN customers_customer c ON c.id = found.customer_id WHERE c.erased_at IS NULL ORDER BY c.id
"""


def lacking(row: Readiness, *, lack: Lack | None, after: int = 0, limit: int, now: datetime) -> list[Lacking]:
    """Customers of this row who lack this, or anything, by id; `after` is the last one shown. One query for them."""
    need = needs().get(row.playbook)
    if need is None or row.ready == row.customers:
        return []
    missing = {pk: lacks(profile, need) for pk, profile in profiles().items()}
    wanted = [pk for pk, found in missing.items() if (lack in found if lack else found)]
    source = OF_ALL if row.component_id is None else FROM_FEW if row.customers <= FEW else FROM_MANY
    values: dict[str, Any] = {"profiles": wanted, "after": after, "limit": limit}
    if row.component_id is not None:
        values |= {"component_ids": [row.component_id], "today": now.date()}
    return [
        Lacking(customer_id, public_id, number, name, language, tuple(one for one in Lack if one in missing[profile]))
        for customer_id, public_id, number, name, language, profile in bulk_fetch(source + SHOWN, values)
    ]


def all_lacking(row: Readiness, *, lack: Lack | None, now: datetime) -> Iterator[Lacking]:
    """All of them, fetched a few thousand at a time: for a file."""
    after = 0
    while True:
        part = lacking(row, lack=lack, after=after, limit=5_000, now=now)
        yield from part
        if len(part) < 5_000:
            return
        after = part[-1].customer_id
