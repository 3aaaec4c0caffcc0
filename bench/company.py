"""A company in the product's own tables, made by SQL: the size users have, in seconds, deterministic.

Customers are spread over nodes of 1,000; the first 100 nodes hang on one region, so that an alert on the region touches
100,000 of them whatever the total is. Languages: 60 % nl, 20 % en, 12 % ar, 8 % hi.
"""

from typing import Any

import psycopg

PER_NODE = 1000

SETUP = """
INSERT INTO customers_component (public_id, external_id, kind, name, texts, attributes)
SELECT gen_random_uuid(), 'region-' || r, 'region', 'Region ' || r, '{"nl": "het noorden", "en": "the north"}', '{}'
FROM generate_series(0, greatest(1, %(nodes)s::int / %(per_region)s::int)) r;
INSERT INTO customers_component (public_id, external_id, kind, name, texts, attributes)
SELECT gen_random_uuid(), 'node-' || n, 'node', 'Node ' || n, '{}', '{}' FROM generate_series(0, %(nodes)s::int - 1) n;
INSERT INTO customers_componentdependency (component_id, depends_on_id)
SELECT c.id, r.id FROM generate_series(0, %(nodes)s::int - 1) n
JOIN customers_component c ON c.external_id = 'node-' || n
JOIN customers_component r ON r.external_id = 'region-' || (n / %(per_region)s::int);
INSERT INTO customers_customer (public_id, external_id, kind, name, salutation, form_of_address, language, time_zone,
                                skill_level, access_needs, priority, attributes)
SELECT gen_random_uuid(), 'c' || n, 'person',
       CASE WHEN n %% 25 < 15 THEN 'Jan de Vries ' || n WHEN n %% 25 < 20 THEN 'Mary O''Neill ' || n
            WHEN n %% 25 < 23 THEN 'محمد العلوي ' || n ELSE 'प्रिया शर्मा ' || n END,
       '', CASE WHEN n %% 3 = 0 THEN 'informal' ELSE 'formal' END,
       CASE WHEN n %% 25 < 15 THEN 'nl' WHEN n %% 25 < 20 THEN 'en' WHEN n %% 25 < 23 THEN 'ar' ELSE 'hi' END,
       CASE WHEN n %% 25 >= 23 THEN 'Asia/Kolkata' ELSE 'Europe/Amsterdam' END,
       'ordinary', '[]', CASE WHEN n %% 1000 = 7 THEN 'care_alarm' ELSE 'normal' END, '{}'
FROM generate_series(0, %(customers)s::int - 1) n;
INSERT INTO customers_contactpoint (customer_id, channel, address, rank, status, status_reason, verified_at)
SELECT id, 'email', 'c' || id || '@customers.example', 1, 'working', '', now() FROM customers_customer;
INSERT INTO customers_holding (customer_id, external_id, product, place, attributes, since)
SELECT c.id, 'h' || n, 'Fibre 500', 'Kerkstraat ' || n %% 200, '{"firmware": "1.2"}', '2024-01-01'
FROM generate_series(0, %(customers)s::int - 1) n JOIN customers_customer c ON c.external_id = 'c' || n;
INSERT INTO customers_holdingcomponent (component_id, holding_id, customer_id)
SELECT k.id, h.id, h.customer_id FROM generate_series(0, %(customers)s::int - 1) n
JOIN customers_holding h ON h.external_id = 'h' || n
JOIN customers_component k ON k.external_id = 'node-' || (n / %(per_node)s::int);
ANALYZE
"""


def found_company(connection: "psycopg.Connection[Any]", *, customers: int, affected: int) -> None:
    """Fill the product's tables: so many customers, of whom `affected` hang on `region-0`."""
    parameters = {
        "customers": customers,
        "nodes": max(1, customers // PER_NODE),
        "per_node": PER_NODE,
        "per_region": max(1, affected // PER_NODE),
    }
    for statement in SETUP.split(";"):
        if statement.strip():
            connection.execute(statement, parameters)
            connection.commit()
