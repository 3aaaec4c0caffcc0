"""How many messages of a class a customer has been sent in the last seven days; asked for many customers at once."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from beforehand.accounts.installation import Installation
from beforehand.engine.message_classes import RULES, MessageClass
from beforehand.kit.rows import bulk_fetch

WEEK = timedelta(days=7)

SAID = """
SELECT w.customer_id, w.message_id, count(*)
FROM unnest(%(bucket)s::smallint[], %(customer)s::bigint[], %(message)s::bigint[]) AS w(bucket, customer_id, message_id)
JOIN outbound_message m ON m.bucket = w.bucket AND m.customer_id = w.customer_id AND m.bucket = ANY(%(buckets)s::smallint[])
JOIN outbound_messagebatch b ON b.id = m.batch_id AND b.message_class = %(class)s::text
WHERE m.id <> w.message_id
  AND ((m.state IN ('sent', 'uncertain') OR m.reason = 'unread') AND m.ended_at > %(since)s::timestamptz
       OR m.state = 'queued' AND m.id < w.message_id
          AND EXISTS (SELECT FROM outbound_delivery d
                      WHERE d.bucket = m.bucket AND d.message_id = m.id AND d.state IN ('sending', 'uncertain')))
GROUP BY w.customer_id, w.message_id
"""
"""What is under way counts for those that came after it, so that two at once do not each see the other."""


def cap_of(message_class: MessageClass, standard: Installation) -> int | None:
    """How many of this class a customer may be sent in seven days; None: no cap."""
    if not RULES[message_class].is_capped:
        return None
    return {
        MessageClass.CARE: standard.cap_care,
        MessageClass.SURVEY: standard.cap_survey,
        MessageClass.MARKETING: standard.cap_marketing,
    }[message_class]


def said_this_week(
    whom: Sequence[tuple[int, int, int]], *, message_class: MessageClass, now: datetime
) -> dict[tuple[int, int], int]:
    """(customer, message) to how many, for (bucket, customer, message); who has had none is not in it.

    A message does not count itself; 0 stands for one that is not written yet.
    """
    if not whom:
        return {}
    rows = bulk_fetch(
        SAID,
        {
            "bucket": [bucket for bucket, _, _ in whom],
            "buckets": sorted({bucket for bucket, _, _ in whom}),
            "customer": [customer for _, customer, _ in whom],
            "message": [message for _, _, message in whom],
            "class": message_class.value,
            "since": now - WEEK,
        },
    )
    return {(row[0], row[1]): row[2] for row in rows}
