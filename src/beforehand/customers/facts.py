"""The facts that conditions may ask about customers and their holdings, and their loading in bulk.

Floors above add their own with `register_fact`: a name, a type, and SQL over `c`, the customer's row. In SQL `c` is
`customers_customer` and `h` is `customers_holding`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from beforehand.customers.models import AttributeDeclaration
from beforehand.engine.conditions import Collection, Fact, FactType, Schema, by_name
from beforehand.kit.rows import fetch

Loader = Callable[[Sequence[int]], Mapping[int, Any]]

CUSTOMER_FACTS = (
    Fact("customer.external_id", FactType.TEXT, "c.external_id", required=True),
    Fact("customer.kind", FactType.TEXT, "c.kind", required=True),
    Fact("customer.name", FactType.TEXT, "c.name", required=True),
    Fact("customer.language", FactType.TEXT, "c.language", required=True),
    Fact("customer.time_zone", FactType.TEXT, "c.time_zone", required=True),
    Fact("customer.form_of_address", FactType.TEXT, "c.form_of_address", required=True),
    Fact("customer.skill_level", FactType.TEXT, "c.skill_level", required=True),
    Fact("customer.priority", FactType.TEXT, "c.priority", required=True),
    Fact("customer.rhythm", FactType.TEXT, "c.rhythm", required=True),
    Fact("customer.access_needs", FactType.TEXT_LIST, "c.access_needs", json=True, required=True),
    Fact("customer.has_helper", FactType.BOOLEAN, "c.helper_id IS NOT NULL", required=True),
    Fact("customer.created_at", FactType.TIMESTAMP, "c.created_at", required=True),
    Fact(
        "customer.channels",
        FactType.TEXT_LIST,
        "ARRAY(SELECT DISTINCT p.channel FROM customers_contactpoint p WHERE p.customer_id = c.id"
        " AND p.status <> 'dead' ORDER BY p.channel)",
        required=True,
    ),
)
"""`customer.channels` are those on which an address is known that is not dead."""

HOLDING_FACTS = (
    Fact("external_id", FactType.TEXT, "h.external_id", required=True),
    Fact("product", FactType.TEXT, "h.product", required=True),
    Fact("place", FactType.TEXT, "h.place", required=True),
    Fact("since", FactType.DATE, "h.since"),
    Fact("until", FactType.DATE, "h.until"),
    Fact(
        "components",
        FactType.TEXT_LIST,
        "ARRAY(SELECT k.external_id FROM customers_holdingcomponent hc JOIN customers_component k"
        " ON k.id = hc.component_id WHERE hc.holding_id = h.id ORDER BY k.external_id)",
        required=True,
    ),
)
"""`components` are those that the holding itself depends on: `"node-17" in h.components`."""

ATTRIBUTE_TYPES = {
    "text": FactType.TEXT,
    "number": FactType.NUMBER,
    "boolean": FactType.BOOLEAN,
    "date": FactType.DATE,
    "timestamp": FactType.TIMESTAMP,
}


@dataclass(frozen=True, slots=True)
class RegisteredFact:
    """A fact of a floor above; `load` answers its value by customer id, and without it the SQL is asked."""

    fact: Fact
    load: Loader | None = None


_registered: dict[str, RegisteredFact] = {}


def register_fact(fact: Fact, *, load: Loader | None = None) -> None:
    """Let conditions on customers use this fact; its name starts with the package's own word (“cases.open”).

    Call it in the `ready()` of the package's AppConfig. Raises ValueError for a name that is taken by another fact.
    """
    taken = _registered.get(fact.name)
    if taken is not None and taken.fact != fact:
        raise ValueError(f"the fact {fact.name!r} is registered already")
    _registered[fact.name] = RegisteredFact(fact, load)


def declared_attributes(owner: str) -> dict[str, str]:
    """Type by name of the attributes that customers, or holdings, may have."""
    return dict(AttributeDeclaration.objects.filter(owner=owner).order_by("name").values_list("name", "type"))


def customer_schema() -> Schema:
    """All that a condition on a customer may name, with the attributes declared now. One query."""
    declared = list(AttributeDeclaration.objects.order_by("owner", "name"))
    of_customers = [_attribute(d, "customer.attributes.", "c.attributes") for d in declared if d.owner == "customer"]
    of_holdings = [_attribute(d, "attributes.", "h.attributes") for d in declared if d.owner == "holding"]
    registered = [entry.fact for entry in _registered.values()]
    holdings = Collection(
        "holdings",
        by_name([*HOLDING_FACTS, *of_holdings]),
        sql_from="customers_holding h",
        sql_join="h.customer_id = c.id",
    )
    return Schema(facts=by_name([*CUSTOMER_FACTS, *of_customers, *registered]), collections=by_name([holdings]))


def _attribute(declaration: AttributeDeclaration, prefix: str, sql: str) -> Fact:
    return Fact(
        f"{prefix}{declaration.name}",
        ATTRIBUTE_TYPES[declaration.type],
        sql,
        json=True,
        json_key=declaration.name,
        title=declaration.title,
    )


def load_facts(customer_ids: Sequence[int], *, schema: Schema, names: Iterable[str]) -> dict[int, dict[str, Any]]:
    """The values of the named facts of many customers, as `Condition.matches` takes them.

    `names` is a condition's `facts_used`. At most two queries, and one for each registered fact that brings a loader.
    """
    wanted = set(names)
    facts = [fact for name, fact in schema.facts.items() if name in wanted]
    loaders = {f.name: load for f in facts if (entry := _registered.get(f.name)) and (load := entry.load)}
    by_sql = [fact for fact in facts if fact.name not in loaders]
    ids = list(customer_ids)
    columns, params = _columns(by_sql)
    rows = fetch(
        f"SELECT c.id{columns} FROM customers_customer c WHERE c.id = ANY(%(ids)s)",
        {**params, "ids": ids},
    )
    loaded = {row[0]: _values(by_sql, row[1:]) for row in rows}
    for name, load in loaders.items():
        values = load(ids)
        for customer_id, found in loaded.items():
            found[name] = values.get(customer_id)
    for collection in schema.collections.values():
        if collection.name in wanted or any(name.startswith(f"{collection.name}.") for name in wanted):
            items = [f for name, f in collection.item_facts.items() if f"{collection.name}.{name}" in wanted]
            for found in loaded.values():
                found[collection.name] = []
            columns, params = _columns(items)
            for row in fetch(
                f"SELECT c.id{columns} FROM customers_customer c JOIN {collection.sql_from}"
                f" ON {collection.sql_join} WHERE c.id = ANY(%(ids)s)",
                {**params, "ids": ids},
            ):
                loaded[row[0]][collection.name].append(_values(items, row[1:]))
    return loaded


def _columns(facts: Sequence[Fact]) -> tuple[str, dict[str, str]]:
    """The facts as a select list that starts with a comma, and its parameters: keys are bound, as in conditions."""
    params: dict[str, str] = {}
    columns = ""
    for index, fact in enumerate(facts):
        sql = f"({fact.sql})"
        if fact.json_key:
            params[f"key_{index}"] = fact.json_key
            sql = f"({sql} -> %(key_{index})s::text)"
        columns += f", {sql}::text" if fact.json else f", {sql}"
    return columns, params


def _values(facts: Sequence[Fact], values: Sequence[Any]) -> dict[str, Any]:
    """One row by fact name; what is JSON was asked for as text, so that no setting of the connection matters."""
    return {
        fact.name: orjson.loads(value) if fact.json and value is not None else value
        for fact, value in zip(facts, values, strict=True)
    }
