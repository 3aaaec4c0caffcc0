"""Holdings in bulk, and the components that they depend on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from beforehand.customers.bulk import checks
from beforehand.customers.bulk.problems import RowReason, shown
from beforehand.customers.bulk.staging import copy_columns, ids_of, new_ids, stage
from beforehand.customers.bulk.table import Table, as_json, check_column, refuse_unknown, require
from beforehand.customers.models import Component, Customer, Holding
from beforehand.kit.rows import bulk, fetch

NAMED = {
    "external_id": checks.text(200),
    "customer": checks.text(200),
    "product": checks.text(200),
    "place": checks.text(300),
    "since": checks.day,
    "until": checks.day,
    "components": checks.words(200),
}
"""Check by field; with the declared attributes, all that a row may state."""

STORED_AS = {
    "customer_id": "bigint",
    "product": "text",
    "place": "text",
    "attributes": "jsonb",
    "since": "date",
    "until": "date",
}


@dataclass(frozen=True, slots=True)
class HoldingsWritten:
    """What became of a batch of holdings; `component_ids` are those that gained or lost a holding."""

    created: int
    updated: int
    links_added: int
    links_removed: int
    component_ids: frozenset[int]


def check_holdings(table: Table, declared: Mapping[str, str]) -> None:
    """Check every column and note what is refused. `declared`: type by attribute name."""
    known = NAMED | {f"attributes.{name}": checks.ATTRIBUTES[type_] for name, type_ in declared.items()}
    refuse_unknown(table, known)
    for name in table.columns:
        check_column(table, name, known[name])
    require(table, "external_id", "customer", "product")
    as_json(table, "attributes", "attributes")


def refuse_wrong_spans(table: Table) -> None:
    """Note rows that end before they begin."""
    for index, (since, until) in enumerate(zip(table.column("since"), table.column("until"), strict=True)):
        if since is not None and until is not None and until < since:
            table.refuse(index, "until", RowReason.ENDS_BEFORE_IT_BEGINS, f"{until} is before {since}.")


def refuse_unknown_customers(table: Table, customers: Mapping[str, int] | None = None) -> Mapping[str, int]:
    """Note every row whose customer is not there; answers the ids of those that are.

    `customers`: ids known already, when the batch brought its own customers.
    """
    if customers is None:
        wanted = {name for name in table.column("customer") if name is not None}
        customers = ids_of(Customer._meta.db_table, sorted(wanted))
    for index, customer in enumerate(table.column("customer")):
        if customer is not None and customer not in customers:
            table.refuse(index, "customer", RowReason.UNKNOWN_CUSTOMER, f"No customer {shown(customer)}.")
    return customers


def refuse_unknown_components(table: Table) -> Mapping[str, int]:
    """Note every row that names a component that is not there; answers the ids of those that are."""
    named = {name for names in table.column("components") for name in names or ()}
    components = ids_of(Component._meta.db_table, sorted(named))
    if len(components) < len(named):
        for index, names in enumerate(table.column("components")):
            for name in names or ():
                if name not in components:
                    table.refuse(index, "components", RowReason.UNKNOWN_COMPONENT, f"No component {shown(name)}.")
    return components


def write_holdings(table: Table, *, customers: Mapping[str, int], components: Mapping[str, int]) -> HoldingsWritten:
    """Write checked rows of which every reference is known. The components a row states replace those it had."""
    table = _last_row_each(table)
    table.columns["customer_id"] = [customers[name] for name in table.columns.pop("customer", [])]
    if "components" in table.columns:
        table.columns["components"] = [
            None if names is None else [components[name] for name in names] for names in table.columns["components"]
        ]
    external_ids = table.column("external_id")
    ids = ids_of(Holding._meta.db_table, external_ids)
    is_new = [external_id not in ids for external_id in external_ids]
    fresh, known = table.select(is_new), table.select([not new for new in is_new])
    for external_id, id_ in zip(fresh.column("external_id"), new_ids(Holding._meta.db_table, len(fresh)), strict=True):
        ids[external_id] = id_
    touched: set[int] = set()
    added = _insert(fresh, ids, touched)
    changed, more, removed = _update(known, ids, touched)
    return HoldingsWritten(len(fresh), changed, added + more, removed, frozenset(touched))


def _last_row_each(table: Table) -> Table:
    external_ids = table.column("external_id")
    last = {external_id: index for index, external_id in enumerate(external_ids)}
    if len(last) == len(external_ids):
        return Table(dict(table.columns), table.lines)
    kept = set(last.values())
    return table.select([index in kept for index in range(len(external_ids))])


def _insert(table: Table, ids: Mapping[str, int], touched: set[int]) -> int:
    """Copy new holdings and their links in; how many links."""
    holding_ids = [ids[external_id] for external_id in table.column("external_id")]
    empty = {"place": "", "attributes": "{}"}
    columns: dict[str, list[Any]] = {"id": holding_ids, "external_id": table.column("external_id")}
    for name in STORED_AS:
        fallback = empty.get(name)
        columns[name] = [fallback if value is None else value for value in table.column(name)]
    copy_columns(Holding._meta.db_table, columns)
    links = [
        (component_id, holding_id, customer_id, until)
        for component_ids, holding_id, customer_id, until in zip(
            table.column("components"), holding_ids, columns["customer_id"], columns["until"], strict=True
        )
        for component_id in component_ids or ()
    ]
    if links:
        names = ("component_id", "holding_id", "customer_id", "until")
        by_name = dict(zip(names, map(list, zip(*links, strict=True)), strict=True))
        copy_columns("customers_holdingcomponent", by_name)
        touched.update(by_name["component_id"])
    return len(links)


def _update(table: Table, ids: Mapping[str, int], touched: set[int]) -> tuple[int, int, int]:
    """Change holdings that differ and their links; how many holdings, links added, links removed."""
    if not len(table):
        return 0, 0, 0
    stated = [name for name in STORED_AS if name in table.columns]
    columns = {"id": [ids[external_id] for external_id in table.column("external_id")]}
    columns |= {name: table.columns[name] for name in (*stated, "components") if name in table.columns}
    stage("customers_holding_stage", {"id": "bigint", **STORED_AS, "components": "bigint[]"}, columns)
    merged = {name: f"coalesce(s.{name}, h.{name})" for name in stated}
    if "attributes" in merged:
        merged["attributes"] = "h.attributes || coalesce(s.attributes, '{}')"
    changed = fetch(
        f"""
        UPDATE customers_holding h SET {", ".join(f"{name} = {value}" for name, value in merged.items())}
        FROM customers_holding_stage s
        WHERE h.id = s.id AND ({", ".join(f"h.{name}" for name in stated)})
              IS DISTINCT FROM ({", ".join(merged.values())})
        RETURNING h.id
        """
    )
    removed = fetch(
        """
        DELETE FROM customers_holdingcomponent hc USING customers_holding_stage s
        WHERE hc.holding_id = s.id AND s.components IS NOT NULL AND hc.component_id <> ALL(s.components)
        RETURNING hc.component_id, hc.holding_id
        """
    )
    bulk(
        """
        UPDATE customers_holdingcomponent hc SET customer_id = h.customer_id, until = h.until
        FROM customers_holding_stage s JOIN customers_holding h USING (id)
        WHERE hc.holding_id = s.id AND (hc.customer_id, hc.until) IS DISTINCT FROM (h.customer_id, h.until)
        """
    )
    added = fetch(
        """
        INSERT INTO customers_holdingcomponent (component_id, holding_id, customer_id, until)
        SELECT k.id, h.id, h.customer_id, h.until
        FROM customers_holding_stage s JOIN customers_holding h USING (id), unnest(s.components) AS k(id)
        ON CONFLICT (component_id, holding_id) DO NOTHING
        RETURNING component_id, holding_id
        """
    )
    if changed:
        moved = "SELECT DISTINCT component_id FROM customers_holdingcomponent WHERE holding_id = ANY(%s::bigint[])"
        touched.update(row[0] for row in fetch(moved, [[row[0] for row in changed]]))
    touched.update(row[0] for row in (*removed, *added))
    return len({row[0] for row in changed} | {row[1] for row in (*removed, *added)}), len(added), len(removed)
