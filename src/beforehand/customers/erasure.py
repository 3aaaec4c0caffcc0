"""Everything that we hold on one customer, given out, or erased: what must stay stays without a person in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from beforehand.accounts.actions import forget_answers_naming
from beforehand.customers.holders import Erasing, Hindrance, Holder, Rows, holders, register_holder, rows_of
from beforehand.customers.models import ContactPoint, Customer
from beforehand.events import erasure as log
from beforehand.events.actions import append_event
from beforehand.kit import clock
from beforehand.kit.rows import bulk

SETTLING = timedelta(days=2)
"""For so long after an erasure it is done again: what was on its way then (a mail server's answer) comes in later."""
SHORTEST_NEEDLE = 6
"""Shorter names are not looked for where no id says whose they are: “Jan” stands in every January."""


class ErasureError(Exception):
    """A customer who is not erased."""


class ErasureHindered(ErasureError):
    """Something is still going on with the customer; `hindrances` says what. A reason overrides it."""

    def __init__(self, hindrances: list[Hindrance]) -> None:
        super().__init__(", ".join(sorted({one.reason.value for one in hindrances})))
        self.hindrances = hindrances


class ReasonMissing(ErasureError):
    """Nobody erases a customer without saying why."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure changed: rows by table, and mentions where no id says whose they are."""

    at: datetime
    rows: dict[str, int]
    mentions: int


def hindrances_of(customer_id: int) -> list[Hindrance]:
    """What is still going on with this customer: incidents that touch them, promises that they are owed."""
    return [one for holder in holders() for one in holder.hindrances(customer_id)]


def export_customer(customer_id: int, *, actor: str) -> dict[str, Any]:
    """Everything that we hold on this customer, part by part, ready for JSON; that it was given out is logged."""
    found: dict[str, Any] = {"exported_at": clock.now().isoformat()}
    for holder in holders():
        found.update(holder.export(customer_id))
    append_event(
        type="customer.exported",
        actor=actor,
        customer_id=customer_id,
        data={"parts": {name: len(rows) for name, rows in found.items() if isinstance(rows, list)}},
    )
    return found


def erase_customer(customer_id: int, *, reason: str, actor: str, is_forced: bool = False) -> Erased:
    """Erase what names this customer, everywhere; raises `ErasureHindered` unless forced, `ReasonMissing` without one.

    Ids, counts, and that they were told stay, without a person in them. Mentions that no id ties to the customer (raw
    bodies, answers of the API) are looked for afterwards by name and address, in transactions of their own.
    """
    if not reason.strip():
        raise ReasonMissing
    needles = _needles(customer_id)
    at, rows = _erase(customer_id, reason=_without(needles, reason), actor=actor, is_forced=is_forced)
    return Erased(at=at, rows=rows, mentions=log.forget_mentions(needles) + forget_answers_naming(needles))


@transaction.atomic
def _erase(customer_id: int, *, reason: str, actor: str, is_forced: bool) -> tuple[datetime, dict[str, int]]:
    customer = Customer.objects.select_for_update().get(pk=customer_id)
    now = clock.now()
    if customer.erased_at is not None:
        return customer.erased_at, {}
    hindrances = hindrances_of(customer_id)
    if hindrances and not is_forced:
        raise ErasureHindered(hindrances)
    rows = _blank(Erasing(customer_id=customer_id, at=now, actor=actor))
    append_event(
        type="customer.erased",
        actor=actor,
        customer_id=customer_id,
        data={
            "rows": rows,
            "despite": [{"reason": one.reason.value, "subject": one.subject} for one in hindrances],
        },
        private={log.KEPT: reason},
    )
    return now, rows


def _blank(erasing: Erasing) -> dict[str, int]:
    """Higher floors first: what they ask of lower ones (who is on a list) must still be there."""
    rows: dict[str, int] = {}
    for holder in reversed(holders()):
        rows.update({table: count for table, count in holder.erase(erasing).items() if count})
    return rows


def erase_again(*, now: datetime) -> int:
    """Blank what came in late for customers who were erased not long ago; how many rows."""
    recent = Customer.objects.filter(erased_at__gt=now - SETTLING).values_list("pk", "erased_at")
    changed = 0
    for customer_id, erased_at in recent:
        with transaction.atomic():
            rows = _blank(Erasing(customer_id=customer_id, at=erased_at or now, actor="erasure"))
        changed += sum(rows.values())
    return changed


def erased_customers() -> dict[UUID, datetime]:
    """Who was erased, by public id, and when. Kept beside the database, it outlives it."""
    rows = Customer.objects.exclude(erased_at=None).values_list("public_id", "erased_at")
    return {public_id: at for public_id, at in rows if at is not None}


def replay_erasures(erased: Mapping[UUID, datetime], *, actor: str) -> int:
    """Erase those of these customers whom a backup brought back; how many. Doing it again changes nothing."""
    returned = Customer.objects.served().filter(public_id__in=list(erased)).values_list("pk", "public_id")
    for customer_id, public_id in list(returned):
        reason = f"erased on {erased[public_id]:%Y-%m-%d}, and again after a restore"
        erase_customer(customer_id, reason=reason, actor=actor, is_forced=True)
    return len(returned)


def _needles(customer_id: int) -> list[str]:
    """Texts by which this customer, and nobody else, may be mentioned."""
    customer = Customer.objects.get(pk=customer_id)
    named = {customer.name, customer.salutation, customer.external_id}
    named |= set(ContactPoint.objects.filter(customer_id=customer_id).values_list("address", flat=True))
    return sorted(one for one in named if len(one) >= SHORTEST_NEEDLE)


def _without(needles: list[str], text: str) -> str:
    for needle in needles:
        text = text.replace(needle, "…")
    return text


# --- what this floor and those below it hold ---------------------------------------------------------------------------


def _export_own(customer_id: int) -> dict[str, Rows]:
    return {
        "customer": rows_of("FROM customers_customer t WHERE id = %(customer)s::bigint", customer_id),
        "helps": [
            {"public_id": str(public_id)}
            for public_id in Customer.objects.filter(helper_id=customer_id).values_list("public_id", flat=True)
        ],
        "contact_points": rows_of(
            "FROM customers_contactpoint t WHERE customer_id = %(customer)s::bigint ORDER BY channel, rank, id",
            customer_id,
        ),
        "consents": rows_of(
            "FROM customers_consent t WHERE customer_id = %(customer)s::bigint ORDER BY answered_at, id", customer_id
        ),
        "holdings": rows_of(
            "FROM customers_holding t WHERE customer_id = %(customer)s::bigint ORDER BY since, id", customer_id
        ),
        "depends_on": rows_of(
            """
            FROM (SELECT hc.holding_id, c.external_id AS component, c.name, hc.until
                  FROM customers_holdingcomponent hc JOIN customers_component c ON c.id = hc.component_id
                  WHERE hc.holding_id IN (SELECT id FROM customers_holding WHERE customer_id = %(customer)s::bigint)) t
            """,
            customer_id,
        ),
    }


BLANK_CUSTOMER = """
UPDATE customers_customer
SET external_id = 'erased-' || id, name = '–', salutation = '', form_of_address = 'formal', skill_level = 'ordinary',
    access_needs = '[]', priority = 'normal', helper_id = NULL, quiet_from = NULL, quiet_until = NULL,
    rhythm = 'every_step', attributes = '{}', updated_at = %(at)s::timestamptz,
    erased_at = coalesce(erased_at, %(at)s::timestamptz)
WHERE id = %(customer)s::bigint AND external_id <> 'erased-' || id
"""
"""Kind, language and zone stay: counts of the past need them, and of themselves they name nobody."""
BLANK_HOLDINGS = """
UPDATE customers_holding
SET external_id = 'erased-' || id, place = '', attributes = '{}', until = least(until, (%(at)s::timestamptz)::date)
WHERE customer_id = %(customer)s::bigint AND external_id <> 'erased-' || id
"""
BLANK_CONSENTS = """
UPDATE customers_consent SET wording = '', how = '', asked_by = ''
WHERE customer_id = %(customer)s::bigint AND (wording, how, asked_by) <> ('', '', '')
"""
UNLINK = """
DELETE FROM customers_holdingcomponent
WHERE holding_id IN (SELECT id FROM customers_holding WHERE customer_id = %(customer)s::bigint)
"""


def _erase_own(erasing: Erasing) -> dict[str, int]:
    values = {"customer": erasing.customer_id, "at": erasing.at}
    changed = {
        "customers_holdingcomponent": bulk(UNLINK, values),
        "customers_holding": bulk(BLANK_HOLDINGS, values),
        "customers_consent": bulk(BLANK_CONSENTS, values),
        "customers_contactpoint": bulk(
            "DELETE FROM customers_contactpoint WHERE customer_id = %(customer)s::bigint", values
        ),
        "customers_customer": bulk(BLANK_CUSTOMER, values),
        "events_eventprivate": log.blank_private(erasing.customer_id),
    }
    helped = bulk("UPDATE customers_customer SET helper_id = NULL WHERE helper_id = %(customer)s::bigint", values)
    return {**changed, "customers_customer": changed["customers_customer"] + helped}


OWN = Holder(
    name="customers",
    tables=log.TABLES
    | {
        "customers_customer",
        "customers_contactpoint",
        "customers_consent",
        "customers_holding",
        "customers_holdingcomponent",
    },
    export=lambda customer_id: {**_export_own(customer_id), "events": log.export_events(customer_id)},
    erase=_erase_own,
)


def register() -> None:
    """Say what this package, and the log below it, hold."""
    register_holder(OWN)
