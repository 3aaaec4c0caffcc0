"""Changes of one customer by hand, and declarations of attributes: checked by the same rules as rows in bulk."""

import re
from collections.abc import Mapping
from datetime import time
from difflib import get_close_matches
from typing import Any

from beforehand.customers.bulk import checks
from beforehand.customers.bulk import customers as customer_rows
from beforehand.customers.bulk.problems import ChangeRefused, RowProblem, RowReason, shown
from beforehand.customers.bulk.table import check_column, from_rows, refuse_unknown
from beforehand.customers.facts import declared_attributes
from beforehand.customers.models import AttributeDeclaration, Customer
from beforehand.engine.conditions.schema import RESERVED_NAMES

CLEARED: dict[str, Any] = {
    "salutation": "",
    "helper": None,
    "quiet_from": None,
    "quiet_until": None,
    "access_needs": [],
}
"""What becomes of a field that a change empties; the others always have a value."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


def checked_changes(customer: Customer, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The model fields to set and their values. `attributes` is merged into what is there: None removes one.

    Raises `ChangeRefused` with every problem.
    """
    emptied = {
        name for name, value in changes.items() if value is None or (isinstance(value, str) and not value.strip())
    }
    stated = {name: value for name, value in changes.items() if name not in emptied and name != "attributes"}
    attributes = changes.get("attributes") or {}
    if not isinstance(attributes, Mapping):
        raise ChangeRefused([RowProblem(1, "attributes", RowReason.WRONG_TYPE, "Names with their values are needed.")])
    removed = {name for name, value in attributes.items() if value is None or value == ""}
    stated["attributes"] = {name: value for name, value in attributes.items() if name not in removed}

    table = from_rows([stated], nested=("attributes",))
    fields = {name: check for name, check in customer_rows.NAMED.items() if name != "external_id"}
    declared = declared_attributes(AttributeDeclaration.Owner.CUSTOMER)
    known = fields | {f"attributes.{name}": checks.ATTRIBUTES[type_] for name, type_ in declared.items()}
    refuse_unknown(table, known)
    for name in table.columns:
        check_column(table, name, known[name])
    for name in sorted(emptied - CLEARED.keys() - {"attributes"}):
        reason = RowReason.MISSING if name in fields else RowReason.UNKNOWN_FIELD
        table.refuse(0, name, reason, "This cannot be empty." if name in fields else "There is no such field.")

    after = {name: CLEARED[name] for name in emptied & CLEARED.keys()}
    after |= {name: table.columns[name][0] for name in table.columns if name in fields}
    if "helper" in after:
        helper = Customer.objects.filter(external_id=after["helper"]).first() if after["helper"] else None
        if after["helper"] and helper is None:
            table.refuse(0, "helper", RowReason.UNKNOWN_CUSTOMER, f"No customer {shown(after['helper'])}.")
        elif helper is not None and helper.pk == customer.pk:
            table.refuse(0, "helper", RowReason.CYCLE, "Nobody is their own helper.")
        after.pop("helper")
        after["helper_id"] = helper.pk if helper else None
    if table.problems:
        raise ChangeRefused(table.problems)
    if attributes:
        kept = {name: value for name, value in customer.attributes.items() if name not in removed}
        after["attributes"] = kept | {
            name.removeprefix("attributes."): values[0]
            for name, values in table.columns.items()
            if name.startswith("attributes.")
        }
    return after


def plain(value: Any) -> Any:
    """A field's value as JSON holds it."""
    return value.isoformat() if isinstance(value, time) else value


def declaration_problems(*, owner: str, name: str, type_: str) -> list[RowProblem]:
    """What is wrong with a declaration: its owner, its name (also as conditions must be able to write it), its type."""
    problems = []
    if owner not in AttributeDeclaration.Owner.values:
        problems.append(RowProblem(1, "owner", RowReason.NOT_A_CHOICE, "An attribute is of a customer or a holding."))
    if _NAME.fullmatch(name) is None or name in RESERVED_NAMES:
        detail = f"{shown(name)}: a lower-case letter, then at most 59 letters, digits and underscores; no word of CEL."
        problems.append(RowProblem(1, "name", RowReason.NOT_A_CHOICE, detail))
    if type_ not in checks.ATTRIBUTES:
        near = get_close_matches(type_, list(checks.ATTRIBUTES), n=1)
        detail = f"{shown(type_)} is none of {', '.join(checks.ATTRIBUTES)}."
        problems.append(
            RowProblem(1, "type", RowReason.NOT_A_CHOICE, f"{detail} Did you mean {near[0]}?" if near else detail)
        )
    return problems
