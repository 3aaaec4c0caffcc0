"""Consents in bulk: answers are added, never changed; one that says nothing new adds nothing."""

from collections.abc import Mapping

from beforehand.customers.bulk import checks
from beforehand.customers.bulk.staging import stage
from beforehand.customers.bulk.table import Table, check_column, refuse_unknown, require
from beforehand.customers.models import ContactPoint
from beforehand.kit.rows import fetch

NAMED = {
    "customer": checks.text(200),
    "message_class": checks.text(100),
    "channel": checks.choice(ContactPoint.Channel.values),
    "given": checks.boolean,
    "wording": checks.text(10_000),
    "how": checks.text(300),
    "asked_by": checks.text(300),
    "answered_at": checks.instant,
}
"""Check by field: all that a row may state."""

_REQUIRED = ("customer", "message_class", "channel", "given", "wording", "how")


def check_consents(table: Table) -> None:
    """Check every column and note what is refused."""
    refuse_unknown(table, NAMED)
    for name in table.columns:
        check_column(table, name, NAMED[name])
    require(table, *_REQUIRED)


def write_consents(table: Table, *, customers: Mapping[str, int]) -> list[int]:
    """Add the answers that say something new; the customers of those added, one each answer.

    Nothing new says an answer that is stored already with the same time, or, where no time is stated, one that repeats
    the answer in force word for word. So the same file twice adds nothing.
    """
    stage(
        "customers_consent_stage",
        {
            "place": "bigint",
            "customer_id": "bigint",
            "message_class": "text",
            "channel": "text",
            "given": "boolean",
            "wording": "text",
            "how": "text",
            "asked_by": "text",
            "answered_at": "timestamptz",
        },
        {
            "place": list(range(len(table))),
            "customer_id": [customers[name] for name in table.column("customer")],
            **{name: table.column(name) for name in NAMED if name != "customer"},
        },
    )
    return [row[0] for row in fetch(_ADD)]


_ADD = """
INSERT INTO customers_consent (customer_id, message_class, channel, given, wording, how, asked_by, answered_at)
SELECT customer_id, message_class, channel, given, wording, how, coalesce(asked_by, ''), coalesce(answered_at, now())
FROM (SELECT DISTINCT ON (customer_id, message_class, channel, given, wording, how, answered_at) *
      FROM customers_consent_stage
      ORDER BY customer_id, message_class, channel, given, wording, how, answered_at, place) s
WHERE NOT EXISTS (
        SELECT 1 FROM customers_consent c
        WHERE (c.customer_id, c.message_class, c.channel) = (s.customer_id, s.message_class, s.channel)
          AND c.answered_at = s.answered_at AND (c.given, c.wording, c.how) = (s.given, s.wording, s.how))
  AND NOT (s.answered_at IS NULL AND (s.given, s.wording, s.how) IS NOT DISTINCT FROM (
        SELECT (c.given, c.wording, c.how) FROM customers_consent c
        WHERE (c.customer_id, c.message_class, c.channel) = (s.customer_id, s.message_class, s.channel)
        ORDER BY c.answered_at DESC, c.id DESC LIMIT 1))
ORDER BY s.place
RETURNING customer_id
"""
