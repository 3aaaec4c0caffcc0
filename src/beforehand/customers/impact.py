"""Whom a problem touches: one SELECT, so that whoever keeps the list can write it with INSERT … SELECT.

A holding is touched if it depends on a component of the scope, or on anything that depends on one, directly or not,
and is not over. A condition is on customers and their holdings. The rows say why: by which component, through which
holding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from beforehand.engine.conditions import Condition
from beforehand.engine.conditions.sql import SqlWriter
from beforehand.engine.conditions.tree import And, Node, Quantifier, Quantity
from beforehand.kit.rows import bulk_fetch

MAX_DEPTH = 20
"""How many steps along dependencies impact follows; a network has five or six."""

COMPONENTS_BELOW = f"""
    below (component_id, depth) AS (
        SELECT unnest(%(component_ids)s::bigint[]), 0
        UNION
        SELECT d.component_id, below.depth + 1
        FROM below JOIN customers_componentdependency d ON d.depends_on_id = below.component_id
        WHERE below.depth < {MAX_DEPTH}
    ),
    closure (component_id, depth) AS (SELECT component_id, min(depth) FROM below GROUP BY component_id)
"""
"""For `WITH RECURSIVE`: `closure` holds the components of `component_ids` and all that depend on them, and how far off.

Actions let no circle in; if one were there, the depth would end it.
"""

EACH_WITH_THOSE_BELOW = f"""
    below (root, component_id, depth) AS (
        SELECT id, id, 0 FROM unnest(%(component_ids)s::bigint[]) AS wanted(id)
        UNION
        SELECT below.root, d.component_id, below.depth + 1
        FROM below JOIN customers_componentdependency d ON d.depends_on_id = below.component_id
        WHERE below.depth < {MAX_DEPTH}
    ),
    closure (root, component_id) AS MATERIALIZED (SELECT DISTINCT root, component_id FROM below)
"""
"""For `WITH RECURSIVE`: `closure` holds each component of `component_ids` as `root` beside itself and all that depend on it."""


@dataclass(frozen=True, slots=True)
class Select:
    """A SELECT and its parameters. The text has psycopg's named placeholders, every one with a cast."""

    sql: str
    params: dict[str, Any]


def components_below(component_ids: Sequence[int]) -> dict[int, int]:
    """These components and all that depend on them, directly or not; with the number of steps."""
    return dict(
        bulk_fetch(
            f"WITH RECURSIVE {COMPONENTS_BELOW} SELECT component_id, depth FROM closure",
            {"component_ids": list(component_ids)},
        )
    )


def components_above(component_id: int) -> list[int]:
    """This component and all that it depends on, directly or not."""
    rows = bulk_fetch(
        f"""
        WITH RECURSIVE above (component_id, depth) AS (
            SELECT %(component_id)s::bigint, 0
            UNION
            SELECT d.depends_on_id, above.depth + 1
            FROM above JOIN customers_componentdependency d ON d.component_id = above.component_id
            WHERE above.depth < {MAX_DEPTH}
        )
        SELECT DISTINCT component_id FROM above
        """,
        {"component_id": component_id},
    )
    return [row[0] for row in rows]


def impact_select(*, now: datetime, component_ids: Sequence[int] = (), condition: Condition | None = None) -> Select:
    """Rows (customer_id, component_id, holding_id), one a customer: whom the scope touches, and why.

    Of several reasons the component nearest to the scope is named, then the oldest holding. With components and a
    condition, both must hold. With a condition alone component_id is NULL, and holding_id is the oldest holding that
    the condition's `exists` found, where it has one that every match needs. With neither, nobody is touched.
    """
    if component_ids and condition is None:
        return Select(_BY_COMPONENT, {"component_ids": list(component_ids), "today": now.date()})
    if condition is None:
        return Select(_NOBODY, {})
    text = condition.sql(now=now)
    if component_ids:
        sql = f"""
            SELECT i.customer_id, i.component_id, i.holding_id
            FROM ({_BY_COMPONENT}) i JOIN customers_customer c ON c.id = i.customer_id
            WHERE c.erased_at IS NULL AND {text.text}
        """
        return Select(sql, {**text.params, "component_ids": list(component_ids), "today": now.date()})
    quantifier = _needed_quantifier(condition.tree)
    if quantifier is None:
        sql = f"""
            SELECT c.id AS customer_id, NULL::bigint AS component_id, NULL::bigint AS holding_id
            FROM customers_customer c WHERE c.erased_at IS NULL AND {text.text}
        """
        return Select(sql, dict(text.params))
    writer = SqlWriter(now=now, prefix="reason_")
    predicate = writer.write(quantifier.predicate)
    sql = f"""
        SELECT c.id AS customer_id, NULL::bigint AS component_id, reason.holding_id
        FROM customers_customer c
        LEFT JOIN LATERAL (
            SELECT h.id AS holding_id FROM {quantifier.collection.sql_from}
            WHERE {quantifier.collection.sql_join} AND {predicate} ORDER BY h.id LIMIT 1
        ) reason ON true
        WHERE c.erased_at IS NULL AND {text.text}
    """
    return Select(sql, {**text.params, **writer.params})


_BY_COMPONENT = f"""
    WITH RECURSIVE {COMPONENTS_BELOW}
    SELECT DISTINCT ON (hc.customer_id) hc.customer_id, hc.component_id, hc.holding_id
    FROM closure JOIN customers_holdingcomponent hc ON hc.component_id = closure.component_id
    WHERE hc.until IS NULL OR hc.until > %(today)s::date
    ORDER BY hc.customer_id, closure.depth, hc.holding_id
"""
_NOBODY = "SELECT NULL::bigint AS customer_id, NULL::bigint AS component_id, NULL::bigint AS holding_id WHERE false"


def _needed_quantifier(node: Node) -> Quantifier | None:
    """The first `exists` over holdings without which the condition cannot hold."""
    if isinstance(node, Quantifier) and node.quantity is Quantity.EXISTS and node.collection.name == "holdings":
        return node
    if isinstance(node, And):
        for part in node.parts:
            found = _needed_quantifier(part)
            if found is not None:
                return found
    return None
