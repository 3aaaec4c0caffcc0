"""Which columns a CSV file of each kind may have; the first line names them, in any order."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from beforehand.customers.bulk import components, consents, customers, holdings
from beforehand.customers.bulk.table import unknown_name
from beforehand.customers.csv_rows import FileReason, ImportRefused


class ImportKind(StrEnum):
    """What the rows of a file are."""

    CUSTOMERS = "customers"
    COMPONENTS = "components"
    HOLDINGS = "holdings"
    CONSENTS = "consents"


HOLDING = "holding."
"""Before the columns of a holding in a file of customers: one line then brings both."""

_REQUIRED = {
    ImportKind.CUSTOMERS: ("external_id", "name"),
    ImportKind.COMPONENTS: ("external_id", "kind", "name"),
    ImportKind.HOLDINGS: ("external_id", "customer", "product"),
    ImportKind.CONSENTS: ("customer", "message_class", "channel", "given", "wording", "how"),
}


def check_header(
    names: Sequence[str],
    kind: ImportKind,
    *,
    customer_attributes: Mapping[str, str],
    holding_attributes: Mapping[str, str],
) -> None:
    """Raise `ImportRefused` for a column that this kind of file does not have, or lacks.

    A whole file is refused for one unknown column: read without it, a million rows would lose what it says.
    """
    of_holdings = [*holdings.NAMED, *(f"attributes.{name}" for name in holding_attributes)]
    known: list[str] = []
    match kind:
        case ImportKind.CUSTOMERS:
            known += [*customers.NAMED, *customers.contact_checks("")]
            known += [f"attributes.{name}" for name in customer_attributes]
            known += [f"{HOLDING}{name}" for name in of_holdings if name != "customer"]
        case ImportKind.COMPONENTS:
            known += [*components.NAMED, *(name for name in names if name.startswith(components.OPEN))]
        case ImportKind.HOLDINGS:
            known += of_holdings
        case ImportKind.CONSENTS:
            known += consents.NAMED
    required = list(_REQUIRED[kind])
    if any(name.startswith(HOLDING) for name in names):
        required += [f"{HOLDING}external_id", f"{HOLDING}product"]
    for name in names:
        if name not in known:
            raise ImportRefused(FileReason.UNKNOWN_COLUMN, f"“{name[:100]}”: {unknown_name(name, known)}")
    for name in required:
        if name not in names:
            raise ImportRefused(FileReason.MISSING_COLUMN, f"There is no column “{name}”.")
