"""Who holds what on a customer: each package registers its tables, how to give them out, and how to blank them.

A test fails for a table that names a customer and has no holder, and for a holder that forgets a column.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from beforehand.kit.rows import bulk_fetch

Rows = list[dict[str, Any]]


class HindranceReason(StrEnum):
    """Why a customer's data is not erased now, unless somebody says that it must be."""

    OPEN_INCIDENT = "open_incident"
    PROMISE_OWED = "promise_owed"


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Something that is still going on with the customer."""

    reason: HindranceReason
    subject: str
    """What it is about, as an event's subject: “incident:42”."""
    title: str


@dataclass(frozen=True, slots=True)
class Erasing:
    """One erasure, as it is handed to every holder."""

    customer_id: int
    at: datetime
    actor: str


def _nothing_in_the_way(customer_id: int) -> Sequence[Hindrance]:
    return ()


@dataclass(frozen=True, slots=True)
class Holder:
    """What one package holds on customers."""

    name: str
    tables: frozenset[str]
    """The tables with a column that names the customer, or with the customer in their rows."""
    export: Callable[[int], Mapping[str, Rows]]
    """Of one customer: part to rows, ready for JSON."""
    erase: Callable[[Erasing], Mapping[str, int]]
    """Blank what names the person, in the caller's transaction; table to rows changed. Twice does no harm."""
    hindrances: Callable[[int], Sequence[Hindrance]] = _nothing_in_the_way


_HOLDERS: dict[str, Holder] = {}


def register_holder(holder: Holder) -> None:
    """Called by a package when it is loaded; the same name again replaces."""
    _HOLDERS[holder.name] = holder


def holders() -> list[Holder]:
    """All of them, as the packages were loaded: lower floors first."""
    return list(_HOLDERS.values())


def rows_of(select: str, customer_id: int, **params: Any) -> Rows:
    """Whole rows as JSON: `select` is our own SQL after `SELECT to_jsonb(t)`, with `%(customer)s::bigint`.

    Whole rows, so that a column that is added later is in the export without anyone thinking of it.
    """
    return [row[0] for row in bulk_fetch(f"SELECT to_jsonb(t) {select}", {"customer": customer_id, **params})]
