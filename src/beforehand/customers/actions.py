"""What can be done to customers and to what they own: each verb is one transaction and appends one event."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction

from beforehand.accounts.installation import installation
from beforehand.customers.bulk import checks
from beforehand.customers.bulk import components as component_rows
from beforehand.customers.bulk import consents as consent_rows
from beforehand.customers.bulk import customers as customer_rows
from beforehand.customers.bulk import holdings as holding_rows
from beforehand.customers.bulk.problems import BatchResult, ChangeRefused, Refused, RowProblem, RowReason
from beforehand.customers.bulk.staging import ids_of, one_writer_at_a_time
from beforehand.customers.bulk.table import Table, from_rows
from beforehand.customers.changes import checked_changes, declaration_problems, plain
from beforehand.customers.facts import customer_schema, declared_attributes
from beforehand.customers.models import AttributeDeclaration, Component, ContactPoint, Customer, Segment
from beforehand.engine.conditions import parse
from beforehand.events.actions import append_event, append_many
from beforehand.kit import clock
from beforehand.kit.rows import fetch

Rows = Iterable[Mapping[str, Any]]

MAX_COMPONENTS_NAMED = 1000
"""An event about holdings names the components concerned up to this many; above, it says only that there were more."""


def upsert_customers(rows: Rows, *, actor: str, source: str, region: str = "") -> BatchResult:
    """Create or change customers by `external_id`; rows that cannot be are reported, the rest is written.

    A row states the fields of `bulk.customers.NAMED`, the channels `email`, `sms`, `phone`, `post`, and `attributes`.
    What it does not state stays as it is. `region` (ISO 3166) reads national telephone numbers.
    """
    table = from_rows(rows, nested=("attributes",))
    customer_rows.check_customers(table, declared_attributes("customer"), region=region)
    result, _ = load_customers(table, actor=actor, source=source)
    return result


@transaction.atomic
def load_customers(table: Table, *, actor: str, source: str) -> tuple[BatchResult, dict[str, int]]:
    """Write a table that `check_customers` has seen; what became of it, and the ids of its customers."""
    one_writer_at_a_time()
    usable = table.without_refused()
    helpers = customer_rows.refuse_unknown_helpers(usable)
    usable = usable.without_refused()
    brand = installation().brand
    defaults = {"language": brand.language, "time_zone": brand.time_zone}
    created, updated, ids = customer_rows.write_customers(usable, helpers=helpers, defaults=defaults)
    result = BatchResult(created, updated, len(ids) - created - updated, usable.problems)
    _append("customers.imported", result, actor=actor, source=source)
    return result, ids


def upsert_components(rows: Rows, *, actor: str, source: str) -> BatchResult:
    """Create or change components by `external_id`, and on which others they depend (`depends_on`: external ids).

    A dependency that is not there, or that would close a circle, refuses its row by name.
    """
    table = from_rows(rows, nested=("attributes", "texts"))
    component_rows.check_components(table)
    return load_components(table, actor=actor, source=source)


@transaction.atomic
def load_components(table: Table, *, actor: str, source: str) -> BatchResult:
    """Write a table that `check_components` has seen."""
    one_writer_at_a_time()
    usable = table.without_refused()
    named = {name for names in usable.column("depends_on") for name in names or ()}
    existing = ids_of(Component._meta.db_table, sorted(named))
    component_rows.refuse_bad_dependencies(usable, component_rows.dependencies(), existing)
    usable = usable.without_refused()
    rows = len(set(usable.column("external_id")))
    created, updated = component_rows.write_components(usable) if rows else (0, 0)
    result = BatchResult(created, updated, rows - created - updated, usable.problems)
    _append("components.imported", result, actor=actor, source=source)
    return result


def upsert_holdings(rows: Rows, *, actor: str, source: str) -> BatchResult:
    """Create or change holdings by `external_id`; `customer` and `components` are external ids that must be there.

    The components that a row states replace those that it had. The event `holdings.imported` names the components
    that gained or lost a holding, for who keeps lists of whom a component touches.
    """
    table = from_rows(rows, nested=("attributes",))
    holding_rows.check_holdings(table, declared_attributes("holding"))
    return load_holdings(table, actor=actor, source=source)


@transaction.atomic
def load_holdings(table: Table, *, actor: str, source: str, customers: Mapping[str, int] | None = None) -> BatchResult:
    """Write a table that `check_holdings` has seen. `customers`: ids of those that the same batch brought."""
    one_writer_at_a_time()
    usable = table.without_refused()
    holding_rows.refuse_wrong_spans(usable)
    known_customers = holding_rows.refuse_unknown_customers(usable, customers)
    components = holding_rows.refuse_unknown_components(usable)
    usable = usable.without_refused()
    rows = len(set(usable.column("external_id")))
    written = holding_rows.write_holdings(usable, customers=known_customers, components=components)
    result = BatchResult(written.created, written.updated, rows - written.created - written.updated, usable.problems)
    named = sorted(written.component_ids) if len(written.component_ids) <= MAX_COMPONENTS_NAMED else None
    _append(
        "holdings.imported",
        result,
        actor=actor,
        source=source,
        links_added=written.links_added,
        links_removed=written.links_removed,
        component_ids=named,
    )
    return result


def record_consents(rows: Rows, *, actor: str, source: str) -> BatchResult:
    """Add answers to “may we?”: customer, message_class, channel, given, wording, how, asked_by, answered_at.

    Nothing is overwritten: of a class and channel the answer given last counts, and the history stays.
    """
    table = from_rows(rows, nested=())
    consent_rows.check_consents(table)
    return load_consents(table, actor=actor, source=source)


@transaction.atomic
def load_consents(table: Table, *, actor: str, source: str) -> BatchResult:
    """Write a table that `check_consents` has seen."""
    one_writer_at_a_time()
    usable = table.without_refused()
    customers = holding_rows.refuse_unknown_customers(usable)
    usable = usable.without_refused()
    added = consent_rows.write_consents(usable, customers=customers) if len(usable) else []
    result = BatchResult(len(added), 0, len(usable) - len(added), usable.problems)
    only = added[0] if len(set(added)) == 1 else None
    _append("consents.recorded", result, actor=actor, source=source, customer_id=only)
    return result


def _append(
    type_: str, result: BatchResult, *, actor: str, source: str, customer_id: int | None = None, **more: Any
) -> None:
    """One event for a batch that changed something; a batch that changed nothing happened to nobody."""
    if result.created or result.updated:
        counts = {
            "created": result.created,
            "updated": result.updated,
            "unchanged": result.unchanged,
            "refused": result.refused,
        }
        append_event(type=type_, actor=actor, source=source, customer_id=customer_id, data={**counts, **more})


@transaction.atomic
def change_customer(customer_id: int, *, changes: Mapping[str, Any], actor: str) -> Customer:
    """Change what one customer's row says: language, zone, quiet hours, helper (external id), priority, attributes …

    None clears what can be empty. Raises `ChangeRefused` with every problem. The event says which fields; what they
    said before and after lies in its private half. Nothing different, no event.
    """
    customer = Customer.objects.select_for_update().get(pk=customer_id)
    after = checked_changes(customer, changes)
    before = {name: getattr(customer, name) for name in after}
    differing = sorted(name for name in after if after[name] != before[name])
    if not differing:
        return customer
    for name in differing:
        setattr(customer, name, after[name])
    customer.updated_at = clock.now()
    customer.save(update_fields=[*differing, "updated_at"])
    append_event(
        type="customer.changed",
        actor=actor,
        customer_id=customer.pk,
        data={"fields": [name.removesuffix("_id") for name in differing]},
        private={
            "before": {name: plain(before[name]) for name in differing},
            "after": {name: plain(after[name]) for name in differing},
        },
    )
    return customer


@transaction.atomic
def add_contact_point(
    customer_id: int, *, channel: str, address: str, actor: str, region: str = "", rank: int = 1
) -> ContactPoint:
    """Add one way to reach a customer; one that is there already only gets its rank. Raises `ChangeRefused`."""
    try:
        channel = checks.choice(ContactPoint.Channel.values)(channel)
        address = customer_rows.contact_checks(region)[channel](address.strip())
    except Refused as refused:
        raise ChangeRefused([RowProblem(1, "address", refused.reason, refused.detail)]) from None
    customer = Customer.objects.get(pk=customer_id)
    point, is_new = ContactPoint.objects.get_or_create(
        customer=customer, channel=channel, address=address, defaults={"rank": rank}
    )
    if not is_new and point.rank != rank:
        point.rank = rank
        point.save(update_fields=["rank"])
    elif not is_new:
        return point
    append_event(
        type="customer.contact_point_added",
        actor=actor,
        customer_id=customer_id,
        data={"contact_point_id": point.pk, "channel": channel, "rank": rank},
    )
    return point


@transaction.atomic
def prefer_contact_point(contact_point_id: int, *, actor: str) -> None:
    """Try this address first of its channel: those that came before it step back. One that is first stays so."""
    point = ContactPoint.objects.get(pk=contact_point_id)
    Customer.objects.select_for_update().get(pk=point.customer_id)  # two choices at once: the later one holds
    others = ContactPoint.objects.filter(customer_id=point.customer_id, channel=point.channel).exclude(pk=point.pk)
    moved = others.filter(rank__lte=1).update(rank=2)
    moved += ContactPoint.objects.filter(pk=point.pk).exclude(rank=1).update(rank=1)
    if moved:
        append_event(
            type="customer.contact_point_preferred",
            actor=actor,
            customer_id=point.customer_id,
            data={"contact_point_id": point.pk, "channel": point.channel},
        )


@transaction.atomic
def set_contact_point_status(
    contact_point_ids: Sequence[int], *, status: ContactPoint.Status, reason: str, actor: str
) -> int:
    """Say that these addresses work, fail for now, or do not exist; how many that changed. One event for each of them.

    `reason` is a short code of ours or of a mail server (“5.1.1”): it goes into the event, so it names nobody.
    """
    changed = fetch(
        """
        UPDATE customers_contactpoint SET status = %s, status_reason = %s, status_at = %s
        WHERE id = ANY(%s) AND (status, status_reason) IS DISTINCT FROM (%s, %s)
        RETURNING id
        """,
        [status, reason[:300], clock.now(), list(contact_point_ids), status, reason[:300]],
    )
    return append_many(
        """
        SELECT 'customer.contact_point_status_set', %(actor)s::text, 'contact_point:' || id, customer_id,
               jsonb_build_object('contact_point_id', id, 'channel', channel, 'status', status,
                                  'reason', status_reason), %(now)s::timestamptz
        FROM customers_contactpoint WHERE id = ANY(%(ids)s::bigint[])
        """,
        {"actor": actor, "now": clock.now(), "ids": [row[0] for row in changed]},
    )


@transaction.atomic
def verify_contact_point(contact_point_id: int, *, actor: str) -> ContactPoint:
    """Note that this address is known to be the customer's; it works again, whatever was thought of it."""
    point = ContactPoint.objects.select_for_update().get(pk=contact_point_id)
    if point.verified_at is not None and point.status == ContactPoint.Status.WORKING:
        return point
    point.verified_at = clock.now()
    point.status, point.status_reason, point.status_at = ContactPoint.Status.WORKING, "", clock.now()
    point.save(update_fields=["verified_at", "status", "status_reason", "status_at"])
    append_event(
        type="customer.contact_point_verified",
        actor=actor,
        customer_id=point.customer_id,
        data={"contact_point_id": point.pk, "channel": point.channel},
    )
    return point


@transaction.atomic
def declare_attribute(*, owner: str, name: str, type: str, title: str = "", actor: str) -> AttributeDeclaration:
    """Let customers or holdings have an attribute that conditions may use. Raises `ChangeRefused`.

    The type of one that is declared cannot change: what is stored under it, and the conditions that use it, have it.
    """
    problems = declaration_problems(owner=owner, name=name, type_=type)
    if problems:
        raise ChangeRefused(problems)
    declaration, is_new = AttributeDeclaration.objects.get_or_create(
        owner=owner, name=name, defaults={"type": type, "title": title}
    )
    if declaration.type != type:
        detail = f"It is declared as {declaration.type}; choose another name."
        raise ChangeRefused([RowProblem(1, "type", RowReason.WRONG_TYPE, detail)])
    if is_new or declaration.title != title:
        declaration.title = title
        declaration.save(update_fields=["title"])
        append_event(
            type="attribute.declared", actor=actor, subject=f"{owner}.{name}", data={"owner": owner, "type": type}
        )
    return declaration


@transaction.atomic
def save_segment(*, slug: str, name: str, condition: str, actor: str) -> Segment:
    """Create or change a named group of customers. Raises `ConditionError` for a condition that cannot be."""
    parse(condition, customer_schema())
    segment, is_new = Segment.objects.get_or_create(slug=slug, defaults={"name": name, "condition": condition})
    if not is_new and (segment.name, segment.condition) == (name, condition):
        return segment
    segment.name, segment.condition, segment.updated_at = name, condition, clock.now()
    segment.save(update_fields=["name", "condition", "updated_at"])
    append_event(type="segment.saved", actor=actor, subject=f"segment:{segment.public_id}", data={"is_new": is_new})
    return segment


@transaction.atomic
def delete_segment(segment: Segment, *, actor: str) -> None:
    """Delete a named group; its customers stay."""
    subject = f"segment:{segment.public_id}"
    segment.delete()
    append_event(type="segment.deleted", actor=actor, subject=subject)
