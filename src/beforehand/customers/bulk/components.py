"""Components in bulk, and on which others each depends: a graph without a circle."""

from collections.abc import Iterable, Mapping

from beforehand.customers.bulk import checks
from beforehand.customers.bulk.problems import RowReason, shown
from beforehand.customers.bulk.staging import copy_columns, ids_of, new_ids, new_public_ids, stage
from beforehand.customers.bulk.table import Table, as_json, check_column, refuse_unknown, require
from beforehand.customers.models import Component
from beforehand.kit.rows import execute, fetch

NAMED = {
    "external_id": checks.text(200),
    "kind": checks.text(100),
    "name": checks.text(300),
    "depends_on": checks.words(200),
}
"""Check by field; `texts.<language>` and `attributes.<name>` are texts under any name."""

STORED_AS = {"kind": "text", "name": "text", "texts": "jsonb", "attributes": "jsonb"}
OPEN = ("texts.", "attributes.")


def check_components(table: Table) -> None:
    """Check every column and note what is refused."""
    opened = {name: checks.text(checks.MAX_ATTRIBUTE_TEXT) for name in table.columns if name.startswith(OPEN)}
    known = NAMED | opened
    refuse_unknown(table, known)
    for name in table.columns:
        check_column(table, name, known[name])
    require(table, "external_id", "kind", "name")


def dependencies() -> dict[str, set[str]]:
    """For every component that depends on others, on which; by external id."""
    found: dict[str, set[str]] = {}
    for below, above in fetch(
        """
        SELECT k.external_id, o.external_id FROM customers_componentdependency d
        JOIN customers_component k ON k.id = d.component_id JOIN customers_component o ON o.id = d.depends_on_id
        """
    ):
        found.setdefault(below, set()).add(above)
    return found


def refuse_bad_dependencies(table: Table, stored: Mapping[str, set[str]], existing: Iterable[str]) -> None:
    """Note rows that depend on what is not there, or that would close a circle.

    Rows are taken in their order, so of a circle only the row that closes it is refused. `existing`: external ids that
    are stored among those that the table names.
    """
    refused = {problem.line for problem in table.problems}
    there = set(existing)
    rows = [
        (index, name, depends_on)
        for index, (name, depends_on) in enumerate(
            zip(table.column("external_id"), table.column("depends_on"), strict=True)
        )
        if table.lines[index] not in refused
    ]
    while True:
        here = there | {name for _, name, _ in rows}
        missing = {index: [d for d in depends_on or () if d not in here] for index, _, depends_on in rows}
        if not any(missing.values()):
            break
        for index, names in missing.items():
            for name in names:
                table.refuse(index, "depends_on", RowReason.UNKNOWN_COMPONENT, f"No component {shown(name)}.")
        rows = [row for row in rows if not missing[row[0]]]
    graph = dict(stored)
    for index, name, depends_on in rows:
        if depends_on is None:
            continue
        circle = path(graph, depends_on, name)
        if circle:
            table.refuse(index, "depends_on", RowReason.CYCLE, f"In a circle: {' → '.join((name, *circle))}.")
        else:
            graph[name] = set(depends_on)


def path(graph: Mapping[str, set[str]], starts: Iterable[str], goal: str) -> list[str]:
    """A way along dependencies from one of `starts` to `goal`, both named; empty if there is none."""
    came_from: dict[str, str | None] = dict.fromkeys(starts)
    waiting = list(came_from)
    while waiting:
        name = waiting.pop()
        if name == goal:
            steps = [name]
            while (before := came_from[steps[-1]]) is not None:
                steps.append(before)
            return steps[::-1]
        for above in graph.get(name, ()):
            if above not in came_from:
                came_from[above] = name
                waiting.append(above)
    return []


def write_components(table: Table) -> tuple[int, int]:
    """Write checked rows; how many were created and changed. Dependencies that a row states replace its old ones."""
    last = {name: index for index, name in enumerate(table.column("external_id"))}
    kept = set(last.values())
    table = table.select([index in kept for index in range(len(table))])
    as_json(table, "texts", "texts")
    as_json(table, "attributes", "attributes")
    depends_on = table.column("depends_on")
    names = table.column("external_id")
    ids = ids_of(Component._meta.db_table, list({*names, *(name for d in depends_on for name in d or ())}))
    is_new = [name not in ids for name in names]
    fresh = table.select(is_new)
    for name, id_ in zip(fresh.column("external_id"), new_ids(Component._meta.db_table, len(fresh)), strict=True):
        ids[name] = id_
    empty = {"texts": "{}", "attributes": "{}"}
    copy_columns(
        Component._meta.db_table,
        {
            "id": [ids[name] for name in fresh.column("external_id")],
            "public_id": new_public_ids(len(fresh)),
            "external_id": fresh.column("external_id"),
            **{c: [empty.get(c) if v is None else v for v in fresh.column(c)] for c in STORED_AS},
        },
    )
    stage(
        "customers_component_stage",
        {"id": "bigint", **STORED_AS, "depends_on": "bigint[]"},
        {
            "id": [ids[name] for name in names],
            **{column: table.column(column) for column in STORED_AS},
            "depends_on": [None if d is None else [ids[name] for name in d] for d in depends_on],
        },
    )
    changed = {row[0] for row in (*fetch(_CHANGE), *fetch(_ADD), *fetch(_REMOVE))}
    new = {ids[name] for name in fresh.column("external_id")}
    execute("DELETE FROM customers_component_stage")
    return len(new), len(changed - new)


_CHANGE = """
UPDATE customers_component k
SET kind = s.kind, name = s.name, texts = k.texts || coalesce(s.texts, '{}'),
    attributes = k.attributes || coalesce(s.attributes, '{}')
FROM customers_component_stage s
WHERE k.id = s.id AND (k.kind, k.name, k.texts, k.attributes) IS DISTINCT FROM
      (s.kind, s.name, k.texts || coalesce(s.texts, '{}'), k.attributes || coalesce(s.attributes, '{}'))
RETURNING k.id
"""
_ADD = """
INSERT INTO customers_componentdependency (component_id, depends_on_id)
SELECT s.id, d.id FROM customers_component_stage s, unnest(s.depends_on) AS d(id)
ON CONFLICT (component_id, depends_on_id) DO NOTHING
RETURNING component_id
"""
_REMOVE = """
DELETE FROM customers_componentdependency d USING customers_component_stage s
WHERE d.component_id = s.id AND s.depends_on IS NOT NULL AND d.depends_on_id <> ALL(s.depends_on)
RETURNING d.component_id
"""
