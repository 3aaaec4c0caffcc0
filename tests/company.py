"""A company of thousands, written set by set: customers of four languages, each with a modem on a node."""

from beforehand.customers.actions import upsert_components
from beforehand.customers.models import Component
from beforehand.kit.rows import execute

LANGUAGES = ("nl", "en", "ar", "hi")


def make_company(count: int, *, first: int = 1, node: str = "node-7") -> Component:
    """Customers number `first` and up, each with a modem on `node`; the node itself."""
    upsert_components([{"external_id": node, "kind": "node", "name": node}], actor="test", source="test")
    component = Component.objects.get(external_id=node)
    last = first + count - 1
    execute(
        """
        INSERT INTO customers_customer (public_id, external_id, kind, name, salutation, form_of_address, language, time_zone,
                                        skill_level, access_needs, priority, attributes)
        SELECT gen_random_uuid(), 'c' || n, 'person', 'Customer ' || n, '', 'formal',
               (ARRAY['nl', 'en', 'ar', 'hi'])[n %% 4 + 1], 'Europe/Amsterdam', 'ordinary', '[]', 'normal', '{}'
        FROM generate_series(%s, %s) n
        """,
        [first, last],
    )
    execute(
        """
        INSERT INTO customers_contactpoint (customer_id, channel, address, rank, status, status_reason)
        SELECT id, 'email', external_id || '@customers.example', 1, 'working', ''
        FROM customers_customer WHERE external_id IN (SELECT 'c' || n FROM generate_series(%s, %s) n)
        """,
        [first, last],
    )
    connect(component, first=first, last=last)
    return component


def connect(component: Component, *, first: int, last: int) -> None:
    """These customers get another modem, on this component."""
    execute(
        """
        WITH made AS (
            INSERT INTO customers_holding (customer_id, external_id, product, place, attributes)
            SELECT id, 'modem-' || external_id || '-' || %s, 'Fibre 500', 'Kerkstraat ' || external_id, '{}'
            FROM customers_customer WHERE external_id IN (SELECT 'c' || n FROM generate_series(%s, %s) n)
            RETURNING id, customer_id
        )
        INSERT INTO customers_holdingcomponent (component_id, holding_id, customer_id)
        SELECT %s, id, customer_id FROM made
        """,
        [component.external_id, first, last, component.pk],
    )


def disconnect(component: Component, *, first: int, last: int) -> None:
    """These customers move: what they have depends on this component no longer."""
    execute(
        """
        DELETE FROM customers_holdingcomponent h USING customers_customer c
        WHERE c.id = h.customer_id AND h.component_id = %s AND c.external_id IN (SELECT 'c' || n FROM generate_series(%s, %s) n)
        """,
        [component.pk, first, last],
    )


def addresses(count: int, *, first: int = 1) -> set[str]:
    """Where customers number `first` and up are reached."""
    return {f"c{number}@customers.example" for number in range(first, first + count)}
