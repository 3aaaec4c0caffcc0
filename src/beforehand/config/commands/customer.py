"""`beforehand customer`: give out, or erase, everything that is held on one customer."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from beforehand.config.commands import CommandError, add_json, print_json, ready_database, tell
from beforehand.config.environment import Environment

if TYPE_CHECKING:
    from beforehand.customers.models import Customer


def arguments(parser: argparse.ArgumentParser) -> None:
    """`customer export NUMBER`, `customer erase NUMBER --reason WHY`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    export = actions.add_parser(
        "export", help="everything we hold on a customer", description="Write all that is held on a customer as JSON."
    )
    export.add_argument("customer", metavar="NUMBER", help="the customer's number in your own systems, or our id")
    export.add_argument("--to", type=Path, metavar="FILE", help="write here instead of to standard output")
    export.add_argument("--html", type=Path, metavar="FILE", help="also write a page that a person can read")
    erase = actions.add_parser(
        "erase", help="erase a customer's data", description="Erase what names a customer. It cannot be undone."
    )
    erase.add_argument("customer", metavar="NUMBER", help="the customer's number in your own systems, or our id")
    erase.add_argument("--reason", required=True, metavar="WHY", help="why; it is logged")
    erase.add_argument("--force", action="store_true", help="also while a problem touches them or they are owed a word")
    add_json(erase)


def run(environment: Environment, given: argparse.Namespace) -> int:
    """Export or erase; an erasure that something stands in the way of exits 1."""
    with ready_database(environment):
        customer = _customer(given.customer)
        return _export(customer, given) if given.action == "export" else _erase(customer, given)


def _customer(name: str) -> "Customer":
    from uuid import UUID

    from beforehand.customers.models import Customer

    found = Customer.objects.served().filter(external_id=name).first()
    if found is None:
        try:
            found = Customer.objects.served().filter(public_id=UUID(name)).first()
        except ValueError:
            found = None
    if found is None:
        raise CommandError(f"there is no customer {name}, or they were erased")
    return found


def _export(customer: "Customer", given: argparse.Namespace) -> int:
    from beforehand.console.customer_data import export_page
    from beforehand.customers.erasure import export_customer

    data = export_customer(customer.pk, actor="command")
    text = json.dumps(data, ensure_ascii=False, indent=2, default=str)
    try:
        if given.html:
            given.html.write_text(export_page(data, title=customer.name), encoding="utf-8")
        if given.to:
            given.to.write_text(text + "\n", encoding="utf-8")
        else:
            print(text)
    except OSError as error:
        raise CommandError(f"it cannot be written: {error}") from None
    return 0


def _erase(customer: "Customer", given: argparse.Namespace) -> int:
    from beforehand.customers.erasure import ErasureHindered, ReasonMissing, erase_customer

    try:
        done = erase_customer(customer.pk, reason=given.reason, actor="command", is_forced=given.force)
    except ReasonMissing:
        raise CommandError("say why with --reason") from None
    except ErasureHindered as hindered:
        titles = "; ".join(one.title for one in hindered.hindrances)
        raise CommandError(f"not erased, something is still going on: {titles}. --force erases all the same") from None
    if given.json:
        print_json({"id": str(customer.public_id), "erased_at": done.at, "rows": done.rows, "mentions": done.mentions})
    else:
        tell(f"Erased: {sum(done.rows.values()):,} rows, and {done.mentions:,} mentions elsewhere.")
    return 0
