"""What is said later of a message that a provider accepted: it arrived, or not, and then the next channel has its turn.

A report may come before our own record of the attempt, twice, or out of order. It is written on the attempt, and applied
once, by whoever comes second: the report or the record.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from beforehand.engine.contacts import ContactFault, ContactStatus, status_after
from beforehand.engine.retries import Retry, retry_after_sms_report
from beforehand.events.actions import notify
from beforehand.kit.rows import bulk, bulk_fetch
from beforehand.outbound.contact_status import ContactChange, change_contact_points
from beforehand.outbound.onward import move_on, next_ways

Key = tuple[int, int, int]

ARRIVED = "delivered"
FINAL = {"delivered": ARRIVED, "read": ARRIVED, "undelivered": "undelivered", "failed": "undelivered"}
"""The gateway's words that settle it; "queued", "sending" and "sent" are on the way there."""

NOTE = """
UPDATE outbound_delivery SET reported = %s::text, enhanced = CASE WHEN %s::text = '' THEN enhanced ELSE %s::text END
WHERE bucket = %s::smallint AND message_id = %s::bigint AND attempt = %s::smallint AND channel <> 'email' AND reported = ''
"""

SETTLE = """
SELECT d.bucket, d.message_id, d.attempt, d.reported, d.enhanced, m.attempts = d.attempt AND m.channel = d.channel,
       d.contact_point_id, coalesce(cp.status, '')
FROM unnest(%(bucket)s::smallint[], %(message)s::bigint[], %(attempt)s::smallint[]) AS k(bucket, message_id, attempt)
JOIN outbound_delivery d ON d.bucket = k.bucket AND d.message_id = k.message_id AND d.attempt = k.attempt
    AND d.bucket = ANY(%(buckets)s::smallint[]) AND d.reported <> '' AND d.state IN ('accepted', 'uncertain')
JOIN outbound_message m ON m.bucket = d.bucket AND m.id = d.message_id
LEFT JOIN customers_contactpoint cp ON cp.id = d.contact_point_id
FOR UPDATE OF d, m
"""

WRITE = """
WITH given AS (
    SELECT * FROM unnest(%(bucket)s::smallint[], %(message)s::bigint[], %(attempt)s::smallint[], %(arrived)s::boolean[],
                         %(latest)s::boolean[], %(reason)s::text[])
        AS g(bucket, message_id, attempt, arrived, latest, reason)
), closed AS (
    UPDATE outbound_delivery d SET state = CASE WHEN g.arrived THEN 'delivered' ELSE 'undelivered' END
    FROM given g
    WHERE d.bucket = g.bucket AND d.message_id = g.message_id AND d.attempt = g.attempt
      AND d.bucket = ANY(%(buckets)s::smallint[])
), said AS (
    UPDATE outbound_message m
    SET state = CASE WHEN g.arrived THEN 'sent' ELSE 'failed' END, reason = g.reason,
        ended_at = coalesce(CASE WHEN g.arrived THEN m.ended_at END, %(now)s::timestamptz)
    FROM given g
    WHERE m.bucket = g.bucket AND m.id = g.message_id AND m.bucket = ANY(%(buckets)s::smallint[]) AND g.latest
      AND m.state IN ('sent', 'uncertain', 'queued')
), opened AS (
    UPDATE outbound_message m
    SET state = 'sent', reason = '', reason_until = NULL, channel = d.channel, contact_point_id = d.contact_point_id,
        ended_at = %(now)s::timestamptz
    FROM given g JOIN outbound_delivery d ON d.bucket = g.bucket AND d.message_id = g.message_id AND d.attempt = g.attempt
    WHERE m.bucket = g.bucket AND m.id = g.message_id AND m.bucket = ANY(%(buckets)s::smallint[])
      AND g.arrived AND d.channel = 'inbox' AND m.state NOT IN ('sent', 'uncertain')
      AND NOT (g.latest AND m.state = 'queued')
)
INSERT INTO events_event (type, actor, subject, customer_id, data, occurred_at)
SELECT CASE WHEN g.arrived THEN 'message.delivered' ELSE 'message.failed' END, 'outbound', b.origin, m.customer_id,
       jsonb_build_object('message', m.id, 'batch', m.batch_id, 'channel', d.channel, 'attempt', g.attempt)
           || CASE WHEN g.reason = '' THEN '{}'::jsonb ELSE jsonb_build_object('reason', g.reason) END,
       %(now)s::timestamptz
FROM given g
JOIN outbound_delivery d ON d.bucket = g.bucket AND d.message_id = g.message_id AND d.attempt = g.attempt
JOIN outbound_message m ON m.bucket = g.bucket AND m.id = g.message_id AND m.bucket = ANY(%(buckets)s::smallint[])
JOIN outbound_messagebatch b ON b.id = m.batch_id
"""
"""What was opened in an inbox has told its customer, at that moment, whatever became of the channels after the inbox."""

REOPEN = """
UPDATE outbound_messagebatch b SET done_at = NULL
FROM outbound_message m
WHERE m.bucket = ANY(%(buckets)s::smallint[]) AND m.id = ANY(%(messages)s::bigint[]) AND b.id = m.batch_id
  AND b.done_at IS NOT NULL
"""
"""A batch of which a message has changed its end is not done: it is counted, and closed, anew."""


@transaction.atomic
def take_report(key: Key, *, status: str, code: str, now: datetime) -> bool:
    """Note a gateway's report on an attempt, and apply it if the attempt is recorded; whether it was news."""
    final = FINAL.get(status)
    if final is None:
        return False
    if not bulk(NOTE, [final, code, code, *key]):
        return False
    settle_reports([key], now=now)
    return True


def settle_reports(keys: Sequence[Key], *, now: datetime) -> int:
    """Apply what has been reported of these attempts and not applied yet; how many. Runs in the caller's transaction."""
    if not keys:
        return 0
    rows = bulk_fetch(
        SETTLE,
        {
            "bucket": [key[0] for key in keys],
            "buckets": sorted({key[0] for key in keys}),
            "message": [key[1] for key in keys],
            "attempt": [key[2] for key in keys],
        },
    )
    if not rows:
        return 0
    write_ends(rows, {row[:3]: retry_after_sms_report(row[4]) for row in rows if row[3] != ARRIVED}, now=now)
    return len(rows)


def write_ends(rows: Sequence[tuple[Any, ...]], retries: Mapping[Key, Retry], *, now: datetime) -> None:
    """Write what became of these attempts, rows of `SETTLE`: those in `retries` did not arrive, and go on if they can."""
    bulk(
        WRITE,
        {
            "bucket": [row[0] for row in rows],
            "buckets": sorted({row[0] for row in rows}),
            "message": [row[1] for row in rows],
            "attempt": [row[2] for row in rows],
            "arrived": [row[3] == ARRIVED for row in rows],
            "latest": [row[5] for row in rows],
            "reason": [retries[row[:3]].reason.value if row[:3] in retries else "" for row in rows],
            "now": now,
        },
    )
    lost = [(row[0], row[1], retries[row[:3]].reason.value) for row in rows if row[:3] in retries and row[5]]
    if lost:
        bulk(REOPEN, {"buckets": sorted({row[0] for row in lost}), "messages": [row[1] for row in lost]})
        if move_on(next_ways(lost), now=now):
            notify()
    changes = [change for row in rows for change in _contact_change(row[6], row[7], retries.get(row[:3]))]
    change_contact_points(changes, now=now)


def _contact_change(contact_point_id: int | None, status: str, retry: Retry | None) -> list[ContactChange]:
    if contact_point_id is None or not status:
        return []
    before = ContactStatus(status)
    if retry is None:
        return [ContactChange(contact_point_id, ContactStatus.WORKING, "")] if before is ContactStatus.FAILING else []
    if retry.fault is ContactFault.NONE:
        return []
    return [ContactChange(contact_point_id, status_after(retry.fault, status=before), retry.reason.value)]
