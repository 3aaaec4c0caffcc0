"""A schema with every kind of fact, and the database rows that stand for given facts."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from beforehand.engine.conditions import Collection, Fact, FactType, OpenMap, Schema, by_name

NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)

ODD_KEY = """o'd"d %s %(condition_1)s \\ {x} @leaf"""

HOLDINGS = Collection(
    "holdings",
    by_name(
        [
            Fact("product", FactType.TEXT, "h.product", required=True),
            Fact("quantity", FactType.NUMBER, "h.quantity"),
            Fact("since_on", FactType.DATE, "h.since_on"),
            Fact("attributes.firmware", FactType.TEXT, "h.attributes", json=True, json_key="firmware"),
            Fact("attributes.ports", FactType.NUMBER, "h.attributes", json=True, json_key="ports"),
            Fact("attributes.leased", FactType.BOOLEAN, "h.attributes", json=True, json_key="leased"),
        ]
    ),
    sql_from="jsonb_to_recordset(c.holdings) AS h(product text, quantity numeric, since_on date, attributes jsonb, tags jsonb)",
    sql_join="h.product IS NOT NULL OR true",
    open_maps=by_name([OpenMap("tags", "h.tags")]),
)

SCHEMA = Schema(
    facts=by_name(
        [
            Fact("customer.id", FactType.NUMBER, "c.id", required=True),
            Fact("customer.language", FactType.TEXT, "c.language"),
            Fact("customer.name", FactType.TEXT, "c.name"),
            Fact("customer.score", FactType.NUMBER, "c.score"),
            Fact("customer.business", FactType.BOOLEAN, "c.business"),
            Fact("customer.joined_at", FactType.TIMESTAMP, "c.joined_at"),
            Fact("customer.born_on", FactType.DATE, "c.born_on"),
            Fact("customer.reads", FactType.TEXT_LIST, "c.reads"),
            Fact("nullable", FactType.BOOLEAN, "c.nullable"),
            Fact("details.note", FactType.TEXT, "c.details", json=True, json_key="note"),
            Fact("details.size", FactType.NUMBER, "c.details", json=True, json_key="size"),
            Fact("details.insured", FactType.BOOLEAN, "c.details", json=True, json_key="insured"),
            Fact("details.seen_at", FactType.TIMESTAMP, "c.details", json=True, json_key="seen_at"),
            Fact("details.due_on", FactType.DATE, "c.details", json=True, json_key="due_on"),
            Fact("details.colours", FactType.TEXT_LIST, "c.details", json=True, json_key="colours"),
            Fact("details.odd", FactType.TEXT, "c.details", json=True, json_key=ODD_KEY),
            Fact("remark", FactType.TEXT, "c.remark", json=True),
        ]
    ),
    collections=by_name([HOLDINGS]),
    open_maps=by_name([OpenMap("labels", "c.labels")]),
)

# The columns of a row, for `FROM jsonb_to_recordset(…) AS c(…)`.
COLUMNS = (
    "id numeric, language text, name text, score numeric, business boolean, joined_at timestamptz, born_on date, "
    "reads text[], nullable boolean, details jsonb, remark jsonb, labels jsonb, holdings jsonb"
)


def row_of(facts: Mapping[str, Any], position: int) -> dict[str, Any]:
    """The database row on which SQL must answer as Python does on these facts."""
    row: dict[str, Any] = {"id": position, "details": {}, "holdings": [], "position": position}
    for name, value in facts.items():
        prefix, _, last = name.rpartition(".")
        if prefix == "details":
            row["details"][SCHEMA.facts[name].json_key] = value
        elif name == "holdings":
            row["holdings"] = [_item_row(item) for item in value]
        else:
            row[last] = value
    return row


def _item_row(item: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"attributes": {}}
    for name, value in item.items():
        prefix, _, last = name.rpartition(".")
        (row["attributes"] if prefix else row)[last] = value
    return row


def rows_as_json(all_facts: Sequence[Mapping[str, Any]]) -> str:
    """The rows that stand for these facts, numbered from 0 in `position`, as one JSON text."""
    rows = [row_of(facts, position) for position, facts in enumerate(all_facts)]
    return json.dumps(rows, default=_json_value)


def _json_value(value: date) -> str:
    return value.isoformat()
