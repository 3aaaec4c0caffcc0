"""Customers and their contact points in bulk: the columns they may have, and the statements that write them."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from beforehand.customers.bulk import checks, web
from beforehand.customers.bulk.problems import RowReason, shown
from beforehand.customers.bulk.staging import copy_columns, ids_of, new_ids, new_public_ids, stage
from beforehand.customers.bulk.table import (
    Table,
    as_json,
    check_column,
    refuse_unknown,
    require,
)
from beforehand.customers.models import ContactPoint, Customer
from beforehand.kit.rows import execute, fetch

NAMED = {
    "external_id": checks.text(200),
    "kind": checks.choice(Customer.Kind.values),
    "name": checks.text(300),
    "salutation": checks.text(300),
    "form_of_address": checks.choice(Customer.FormOfAddress.values),
    "language": checks.language,
    "time_zone": checks.time_zone,
    "skill_level": checks.choice(Customer.SkillLevel.values),
    "access_needs": checks.words(50),
    "priority": checks.choice(Customer.Priority.values),
    "helper": checks.text(200),
    "quiet_from": checks.time_of_day,
    "quiet_until": checks.time_of_day,
    "rhythm": checks.choice(Customer.Rhythm.values),
}
"""Check by field; with the contact channels and the declared attributes, all that a row may state."""

STORED_AS = {
    "kind": "text",
    "name": "text",
    "salutation": "text",
    "form_of_address": "text",
    "language": "text",
    "time_zone": "text",
    "skill_level": "text",
    "access_needs": "jsonb",
    "priority": "text",
    "helper_id": "bigint",
    "quiet_from": "time",
    "quiet_until": "time",
    "rhythm": "text",
    "attributes": "jsonb",
}
"""Columns of `customers_customer` that a batch writes, with their types."""

WHEN_NOT_STATED: dict[str, Any] = {
    "kind": "person",
    "salutation": "",
    "form_of_address": "formal",
    "skill_level": "ordinary",
    "access_needs": "[]",
    "priority": "normal",
    "rhythm": "every_step",
    "attributes": "{}",
}
"""What a new customer gets for a column that its row does not state; language and zone come from the installation."""


def contact_checks(region: str) -> dict[str, checks.Check]:
    """Check by channel, which is also the field's name."""
    number = checks.phone(region)
    return {
        "email": checks.email,
        "sms": number,
        "phone": number,
        "post": checks.text(500),
        "inbox": checks.text(200),
    } | web.CONTACTS


def check_customers(table: Table, declared: Mapping[str, str], *, region: str) -> None:
    """Check every column and note what is refused. `declared`: type by attribute name."""
    known = (
        NAMED | contact_checks(region) | {f"attributes.{name}": checks.ATTRIBUTES[t] for name, t in declared.items()}
    )
    refuse_unknown(table, known)
    for name in table.columns:
        check_column(table, name, known[name])
    require(table, "external_id", "name")
    as_json(table, "attributes", "attributes")


def refuse_unknown_helpers(table: Table) -> dict[str, int]:
    """Note every row whose helper is neither known nor in this batch; answers the ids of those known."""
    wanted = {helper for helper in table.column("helper") if helper is not None}
    if not wanted:
        return {}
    ids = ids_of(Customer._meta.db_table, sorted(wanted))
    here = set(table.column("external_id"))
    for index, helper in enumerate(table.column("helper")):
        if helper is not None and (helper not in ids and helper not in here):
            table.refuse(index, "helper", RowReason.UNKNOWN_CUSTOMER, f"No customer {shown(helper)} so far.")
        elif helper is not None and helper == table.columns["external_id"][index]:
            table.refuse(index, "helper", RowReason.CYCLE, "Nobody is their own helper.")
    return ids


def write_customers(
    table: Table, *, helpers: Mapping[str, int], defaults: Mapping[str, str]
) -> tuple[int, int, dict[str, int]]:
    """Write checked rows; answers how many were created and changed, and the id of every external id.

    `defaults`: language and time zone of a new customer whose row states none.
    """
    contacts = _contacts(table)
    table = _one_row_each(table)
    external_ids = table.column("external_id")
    ids = ids_of(Customer._meta.db_table, external_ids)
    is_new = [external_id not in ids for external_id in external_ids]
    _finish(table)
    fresh = table.select(is_new)
    known = table.select([not new for new in is_new])
    for external_id, id_ in zip(fresh.column("external_id"), new_ids(Customer._meta.db_table, len(fresh)), strict=True):
        ids[external_id] = id_
    reference = {**helpers, **ids}
    for part in (fresh, known):
        if "helper" in part.columns:
            part.columns["helper_id"] = [reference.get(h) if h else None for h in part.columns.pop("helper")]
    _insert(fresh, ids, defaults)
    changed = _update(known, ids)
    changed |= _write_contacts(contacts, ids, new=frozenset(fresh.column("external_id")))
    return len(fresh), len(changed), ids


def _one_row_each(table: Table) -> Table:
    """One row per external id: a later row adds to, and overrules, an earlier one of the same customer."""
    external_ids = table.column("external_id")
    if len(set(external_ids)) == len(external_ids):
        return Table(dict(table.columns), table.lines)
    place: dict[str, int] = {}
    rows: list[list[Any]] = []
    names = list(table.columns)
    for row in zip(*table.columns.values(), strict=True):
        external_id = row[names.index("external_id")]
        if external_id in place:
            kept = rows[place[external_id]]
            rows[place[external_id]] = [old if new is None else new for old, new in zip(kept, row, strict=True)]
        else:
            place[external_id] = len(rows)
            rows.append(list(row))
    columns = {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    return Table(columns, list(range(1, len(rows) + 1)))


def _finish(table: Table) -> None:
    """Leave only what the customer's own row holds: no contact columns, and needs as JSON."""
    for channel in ContactPoint.Channel.values:
        table.columns.pop(channel, None)
    if "access_needs" in table.columns:
        table.columns["access_needs"] = [
            None if needs is None else orjson.dumps(needs).decode() for needs in table.columns["access_needs"]
        ]


def _insert(table: Table, ids: Mapping[str, int], defaults: Mapping[str, str]) -> None:
    external_ids = table.column("external_id")
    columns: dict[str, list[Any]] = {
        "id": [ids[external_id] for external_id in external_ids],
        "public_id": new_public_ids(len(table)),
        "external_id": external_ids,
    }
    fallbacks = {**WHEN_NOT_STATED, **defaults}
    for name in STORED_AS:
        if name in table.columns or name in fallbacks:
            fallback = fallbacks.get(name)
            columns[name] = [fallback if value is None else value for value in table.column(name)]
    copy_columns(Customer._meta.db_table, columns)


def _update(table: Table, ids: Mapping[str, int]) -> set[int]:
    """Change the rows that differ from what is stated; the ids of those changed."""
    stated = [name for name in STORED_AS if name in table.columns]
    if not len(table) or not stated:
        return set()
    columns = {"id": [ids[external_id] for external_id in table.column("external_id")]}
    stage(
        "customers_stage",
        {"id": "bigint", **STORED_AS},
        columns | {name: table.columns[name] for name in stated},
    )
    merged = {name: f"coalesce(s.{name}, c.{name})" for name in stated}
    if "attributes" in merged:
        merged["attributes"] = "c.attributes || coalesce(s.attributes, '{}')"
    rows = fetch(
        f"""
        UPDATE customers_customer c
        SET {", ".join(f"{name} = {value}" for name, value in merged.items())}, updated_at = now()
        FROM customers_stage s
        WHERE c.id = s.id AND ({", ".join(f"c.{name}" for name in stated)}, 1)
              IS DISTINCT FROM ({", ".join(merged.values())}, 1)
        RETURNING c.id
        """
    )
    return {row[0] for row in rows}


def _contacts(table: Table) -> list[tuple[str, str, str]]:
    """(customer's external id, channel, address) of every address stated, each once."""
    external_ids = table.column("external_id")
    return list(
        dict.fromkeys(
            (external_id, channel, address)
            for channel in ContactPoint.Channel.values
            if channel in table.columns
            for external_id, address in zip(external_ids, table.columns[channel], strict=True)
            if address is not None
        )
    )


def _write_contacts(
    contacts: Iterable[tuple[str, str, str]], ids: Mapping[str, int], *, new: frozenset[str]
) -> set[int]:
    """Add addresses; the one that a batch states is tried first, those it does not state step back.

    Answers the ids of the customers, known before, for whom anything changed. An address is never removed here: what
    we sent to it still has to make sense.
    """
    fresh: list[tuple[int, str, str]] = []
    known: list[tuple[int, str, str]] = []
    for external_id, channel, address in contacts:
        (fresh if external_id in new else known).append((ids[external_id], channel, address))
    _copy_contacts("customers_contactpoint", fresh, rank=1, status="working", status_reason="")
    if not known:
        return set()
    stage("customers_contact_stage", {"customer_id": "bigint", "channel": "text", "address": "text"}, {})
    _copy_contacts("customers_contact_stage", known)
    rows = fetch(
        """
        INSERT INTO customers_contactpoint (customer_id, channel, address, rank, status, status_reason)
        SELECT customer_id, channel, address, 1, 'working', '' FROM customers_contact_stage
        ON CONFLICT (customer_id, channel, address) DO UPDATE SET rank = 1 WHERE customers_contactpoint.rank <> 1
        RETURNING customer_id
        """
    )
    execute(
        """
        UPDATE customers_contactpoint p SET rank = 2
        FROM (SELECT DISTINCT customer_id, channel FROM customers_contact_stage) s
        WHERE p.customer_id = s.customer_id AND p.channel = s.channel AND p.rank = 1
          AND NOT EXISTS (SELECT 1 FROM customers_contact_stage t
                          WHERE t.customer_id = p.customer_id AND t.channel = p.channel AND t.address = p.address)
        """
    )
    return {row[0] for row in rows}


def _copy_contacts(table: str, contacts: list[tuple[int, str, str]], **constants: Any) -> None:
    if contacts:
        customer_ids, channels, addresses = map(list, zip(*contacts, strict=True))
        same = {name: [str(value)] * len(contacts) for name, value in constants.items()}
        copy_columns(table, {"customer_id": customer_ids, "channel": channels, "address": addresses, **same})
