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

INCIDENTS = """
INSERT INTO incidents_incident (public_id, title, texts, kind, severity, state, group_key, owner_id, is_public, began_at,
                                known_at, opened_at, ended_at, end_reason, affected_count, affected_at)
SELECT gen_random_uuid(), 'Incident ' || n, '{}', 'outage', 'major',
       CASE WHEN n <= %(open)s THEN 'open' ELSE 'resolved' END, '', (SELECT id FROM accounts_team LIMIT 1), true,
       now() - interval '1 hour' - ago, now() - interval '1 hour' - ago, now() - interval '1 hour' - ago,
       CASE WHEN n > %(open)s THEN now() - interval '10 minutes' - ago END, '', %(each)s, now() - interval '50 minutes'
FROM (SELECT n, greatest(0, n - %(open)s) * %(apart)s * interval '1 minute' AS ago
      FROM generate_series(1, %(open)s + %(ended)s) n) n;
INSERT INTO incidents_affected (bucket, incident_id, customer_id, state, scope_id, joined_at, is_by_hand, told_sequence)
SELECT c %% 64, i.id, c, 'affected', 0, now() - interval '50 minutes', false, 1
FROM (SELECT id FROM incidents_incident WHERE title LIKE 'Incident %%' AND state = 'open') i
CROSS JOIN LATERAL (SELECT (i.id * 7919 + k * 104729) %% %(customers)s + 1 AS c FROM generate_series(1, %(each)s) k) c
ON CONFLICT DO NOTHING;
INSERT INTO outbound_messagebatch (effect_key, origin, sequence, step, audience, message_class, channels, texts,
                                   fallback_language, facts, why, decided_at, state, state_reason, spread_at, done_at)
SELECT 'run:' || id || ':first:1', 'incident:' || id, 1, 'first-notice', 'affected', 'service-critical', '["email"]', '{}',
       'en', '{}', '{}', now() - interval '50 minutes', 'open', '', now() - interval '50 minutes', now() - interval '49 minutes'
FROM incidents_incident WHERE title LIKE 'Incident %%';
INSERT INTO outbound_messagebatch (effect_key, origin, sequence, step, audience, message_class, channels, texts,
                                   fallback_language, facts, why, decided_at, state, state_reason, spread_at, done_at)
SELECT 'run:' || id || ':end:2', 'incident:' || id, 2, 'all-clear', 'told', 'service-critical', '["email"]', '{}',
       'en', '{}', '{}', now() - interval '9 minutes', 'open', '', now() - interval '9 minutes', now() - interval '9 minutes'
FROM incidents_incident WHERE title LIKE 'Incident %%' AND state <> 'open';
INSERT INTO playbooks_run (public_id, version_id, incident_id, state, position, wake_at, is_confirmed, side_turn, finish_reason,
                           error, started_at)
SELECT gen_random_uuid(), (SELECT min(id) FROM playbooks_playbookversion), id,
       CASE WHEN state = 'open' THEN 'waiting' ELSE 'finished' END, '{"told_step": "first-notice"}',
       CASE WHEN state = 'open' THEN now() + interval '1 day' END, true, 0, '', '', now() - interval '1 hour'
FROM incidents_incident WHERE title LIKE 'Incident %%';
INSERT INTO promises_promise (public_id, kind, audience, rhythm, made_at, due_at, warn_at, hold_at, made_by, kept_by, owner_id,
                              state, reason)
SELECT gen_random_uuid(), 'update', 'incident:' || id, 'every_step', now() - interval '50 minutes', due, due - interval '10 min',
       due - interval '1 min', 'run:' || id || ':first:1', '', owner_id, CASE WHEN state = 'open' THEN 'open' ELSE 'kept' END, ''
FROM (SELECT *, now() + interval '2 hours' + (id %% 3600) * interval '1 second' AS due
      FROM incidents_incident WHERE title LIKE 'Incident %%') i
"""
"""Open incidents whose customers have been told once, and ended ones, so many minutes apart into the past; no log of them."""


def run_statements(connection: "psycopg.Connection[Any]", statements: str, values: dict[str, Any]) -> None:
    """Run each of them, and commit it."""
    for statement in statements.split(";"):
        if statement.strip():
            connection.execute(statement, values)
            if not connection.autocommit:
                connection.commit()


def found_company(connection: "psycopg.Connection[Any]", *, customers: int, affected: int) -> None:
    """Fill the product's tables: so many customers, of whom `affected` hang on `region-0`."""
    parameters = {
        "customers": customers,
        "nodes": max(1, customers // PER_NODE),
        "per_node": PER_NODE,
        "per_region": max(1, affected // PER_NODE),
    }
    run_statements(connection, SETUP, parameters)


def add_incidents(
    connection: "psycopg.Connection[Any]", *, customers: int, still_open: int, ended: int, each: int, apart: int = 0
) -> None:
    """So many open incidents that touch `each` of the customers, and so many that ended, `apart` minutes after each other."""
    values = {"open": still_open, "ended": ended, "each": each, "customers": customers, "apart": apart}
    run_statements(connection, INCIDENTS, values)
