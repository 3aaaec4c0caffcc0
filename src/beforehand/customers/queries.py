"""Questions that span customers: one customer's overview, consents in force, segments, and resolving outside names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from beforehand.customers.facts import customer_schema
from beforehand.customers.models import Component, Consent, ContactPoint, Customer, Holding, Segment
from beforehand.engine.conditions import SqlCondition, parse
from beforehand.kit import clock
from beforehand.kit.rows import bulk_fetch, fetch


def resolve_customers(external_ids: Iterable[str]) -> dict[str, int]:
    """External id to customer id, for those that exist. One query."""
    return dict(
        bulk_fetch(
            "SELECT external_id, id FROM customers_customer WHERE external_id = ANY(%s::text[])", [list(external_ids)]
        )
    )


@dataclass(frozen=True, slots=True)
class OwnedHolding:
    """A holding and the components that it depends on."""

    holding: Holding
    components: tuple[Component, ...]
    is_over: bool


@dataclass(frozen=True, slots=True)
class CustomerOverview:
    """What one customer's page says of the customer, who they are, how to reach them, what they allowed and own."""

    customer: Customer
    contact_points: tuple[ContactPoint, ...]  # by channel, then in the order in which they are tried
    consents: tuple[Consent, ...]  # in force: of each class and channel the answer given last
    holdings: tuple[OwnedHolding, ...]  # newest first, those that are over last


def customer_overview(customer: Customer) -> CustomerOverview:
    """All of it in five queries, however much the customer owns; the helper comes with `customer.helper`."""
    today = clock.now().date()
    holdings = list(customer.holdings.order_by("-since", "-id"))
    linked = fetch(
        "SELECT holding_id, component_id FROM customers_holdingcomponent WHERE holding_id = ANY(%s)",
        [[holding.pk for holding in holdings]],
    )
    components = Component.objects.in_bulk({component_id for _, component_id in linked})
    by_holding: dict[int, list[Component]] = {}
    for holding_id, component_id in linked:
        by_holding.setdefault(holding_id, []).append(components[component_id])
    owned = [
        OwnedHolding(
            holding,
            tuple(sorted(by_holding.get(holding.pk, ()), key=lambda component: component.name)),
            is_over=holding.until is not None and holding.until <= today,
        )
        for holding in holdings
    ]
    return CustomerOverview(
        customer=customer,
        contact_points=tuple(customer.contact_points.order_by("channel", "rank", "id")),
        consents=tuple(
            customer.consents.order_by("message_class", "channel", "-answered_at", "-id").distinct(
                "message_class", "channel"
            )
        ),
        holdings=tuple(sorted(owned, key=lambda one: one.is_over)),
    )


CONSENTS_IN_FORCE = """
SELECT DISTINCT ON (customer_id, message_class, channel) customer_id, message_class, channel, given
FROM customers_consent WHERE {which}
ORDER BY customer_id, message_class, channel, answered_at DESC, id DESC
"""
"""Of each customer, class and channel the answer given last; `{which}` is a condition of our own on the table.

Not the row written last: an old answer may be imported after a newer one."""


def consents_in_force(customer_ids: Sequence[int]) -> dict[int, dict[tuple[str, str], bool]]:
    """By customer, what holds for (message class, channel); one query. Who never answered is not in it."""
    answers: dict[int, dict[tuple[str, str], bool]] = {}
    for customer_id, message_class, channel, given in bulk_fetch(
        CONSENTS_IN_FORCE.format(which="customer_id = ANY(%s::bigint[])"), [list(customer_ids)]
    ):
        answers.setdefault(customer_id, {})[message_class, channel] = given
    return answers


def segment_condition(segment: Segment, *, now: datetime | None = None) -> SqlCondition:
    """The segment's condition as SQL over `customers_customer c`. Raises `ConditionError` if it no longer holds up."""
    return parse(segment.condition, customer_schema()).sql(now=now or clock.now())


def condition_count(condition: SqlCondition) -> int:
    """How many customers match now."""
    return int(fetch(f"SELECT count(*) {_matching(condition)}", condition.params)[0][0])


def segment_count(segment: Segment, *, now: datetime | None = None) -> int:
    """How many customers are in the segment now."""
    return condition_count(segment_condition(segment, now=now))


def segment_customers(
    segment: Segment, *, before: int | None = None, limit: int = 50, now: datetime | None = None
) -> list[Customer]:
    """A page of the segment's customers, newest first; `before` is the id of the last one shown."""
    condition = segment_condition(segment, now=now)
    rows = fetch(
        f"SELECT c.id {_matching(condition)} AND (%(before)s::bigint IS NULL OR c.id < %(before)s)"
        " ORDER BY c.id DESC LIMIT %(limit)s",
        {**condition.params, "before": before, "limit": limit},
    )
    found = Customer.objects.in_bulk([row[0] for row in rows])
    return [found[row[0]] for row in rows if row[0] in found]


def _matching(condition: SqlCondition) -> str:
    return f"FROM customers_customer c WHERE c.erased_at IS NULL AND {condition.text}"


def language_counts(customer_ids: Sequence[int]) -> Mapping[str, int]:
    """How many of these customers read each language, most first."""
    return dict(
        bulk_fetch(
            "SELECT language, count(*) FROM customers_customer WHERE id = ANY(%s::bigint[])"
            " GROUP BY language ORDER BY count(*) DESC, language",
            [list(customer_ids)],
        )
    )


def language_shares() -> dict[str, float]:
    """What part of all customers whom we serve reads each language, 0 to 1; one pass over the table."""
    rows = bulk_fetch("SELECT language, count(*) FROM customers_customer WHERE erased_at IS NULL GROUP BY language")
    total = sum(row[1] for row in rows)
    return {language: count / total for language, count in rows}


OWNERS = """
SELECT DISTINCT customer_id FROM customers_contactpoint
WHERE upper(address) COLLATE "C" = upper(%(address)s::text) COLLATE "C" AND channel = ANY(%(channels)s::text[])
ORDER BY customer_id LIMIT %(limit)s::int
"""


def owners_of_address(address: str, *, channels: Sequence[str], limit: int = 50) -> list[int]:
    """The customers who have this address or number, in either case of its letters; one look into its index."""
    if not address:
        return []
    values = {"address": address, "channels": list(channels), "limit": limit}
    return [row[0] for row in bulk_fetch(OWNERS, values)]
