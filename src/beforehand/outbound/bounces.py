"""What comes back later of a mail that was accepted: it bounced, its reader calls it spam; and what owners of numbers ask.

A bounce is written on the attempt that it speaks of, once, and the message goes on by its next channel, as after a
gateway's late report. Whether the address is at fault, the engine says.
"""

from datetime import datetime, timedelta

from django.db import transaction

from beforehand.engine.contacts import CAME_BACK, ContactStatus
from beforehand.engine.incoming.bounces import Bounce
from beforehand.engine.retries import RetryReason, retry_after_bounce
from beforehand.engine.thread_ids import MessagePlace
from beforehand.events.actions import append_many
from beforehand.kit.rows import bulk_fetch
from beforehand.outbound.contact_status import ContactChange, change_contact_points
from beforehand.outbound.reports import SETTLE, write_ends

FORGIVEN_AFTER = timedelta(days=3)
"""A server gives up after so long at the latest: a mail that has not come back by then has arrived."""


class BounceTooEarly(Exception):
    """The attempt that this speaks of is still being written down."""


NEWEST_MAIL = """
SELECT attempt, state, reported FROM outbound_delivery
WHERE bucket = %(bucket)s::smallint AND message_id = %(message)s::bigint AND channel = 'email'
ORDER BY attempt DESC LIMIT 1 FOR UPDATE
"""

NOTE = """
UPDATE outbound_delivery
SET reported = 'undelivered', enhanced = CASE WHEN %(status)s::text = '' THEN enhanced ELSE %(status)s::text END
WHERE bucket = %(bucket)s::smallint AND message_id = %(message)s::bigint AND attempt = %(attempt)s::smallint
RETURNING attempt
"""


@transaction.atomic
def take_bounce(place: MessagePlace, *, bounce: Bounce, now: datetime) -> bool:
    """Write that this message came back; whether it was news. Raises `BounceTooEarly`."""
    key = {"bucket": place.bucket, "message": place.message_id}
    found = bulk_fetch(NEWEST_MAIL, key)
    if not found:
        return False
    ((attempt, state, reported),) = found
    if state == "sending":
        raise BounceTooEarly
    if reported or state not in ("accepted", "uncertain"):
        return False
    bulk_fetch(NOTE, {**key, "attempt": attempt, "status": bounce.status})
    rows = bulk_fetch(
        SETTLE,
        {
            "bucket": [place.bucket],
            "buckets": [place.bucket],
            "message": [place.message_id],
            "attempt": [attempt],
        },
    )
    write_ends(rows, {row[:3]: retry_after_bounce(bounce) for row in rows}, now=now)
    return True


POINT_OF = """
SELECT contact_point_id FROM outbound_delivery
WHERE bucket = %(bucket)s::smallint AND message_id = %(message)s::bigint AND channel = 'email'
ORDER BY attempt DESC LIMIT 1
"""


@transaction.atomic
def take_complaint(place: MessagePlace, *, now: datetime) -> bool:
    """Its reader told their provider that our mail is unwanted: nothing more goes to this address until somebody says so."""
    found = bulk_fetch(POINT_OF, {"bucket": place.bucket, "message": place.message_id})
    changes = [ContactChange(row[0], ContactStatus.BLOCKED, RetryReason.COMPLAINED.value) for row in found if row[0]]
    return bool(change_contact_points(changes, now=now))


def take_opt_out(number: str, *, now: datetime) -> int:
    """The owner of this number wrote STOP: every customer's text messages to it end here, as they end at the gateway."""
    changes = [ContactChange(pk, ContactStatus.BLOCKED, RetryReason.OPTED_OUT.value) for pk, _ in _numbers(number)]
    return change_contact_points(changes, now=now)


def take_opt_in(number: str, *, now: datetime) -> int:
    """The owner of this number wrote START: it works again, if it was STOP that stopped it."""
    stopped = [pk for pk, reason in _numbers(number) if reason == RetryReason.OPTED_OUT]
    return change_contact_points([ContactChange(pk, ContactStatus.WORKING, "") for pk in stopped], now=now)


def _numbers(number: str) -> list[tuple[int, str]]:
    rows = bulk_fetch(
        """
        SELECT id, status_reason FROM customers_contactpoint
        WHERE upper(address) COLLATE "C" = upper(%s::text) COLLATE "C" AND channel = 'sms'
        """,
        [number],
    )
    return [(row[0], row[1]) for row in rows]


FORGIVE = """
WITH arrived AS (
    SELECT p.id FROM customers_contactpoint p
    WHERE p.status = 'failing' AND p.status_at < %(until)s::timestamptz AND p.status_reason = ANY(%(came_back)s::text[])
      AND EXISTS (
        SELECT FROM outbound_message m JOIN outbound_delivery d ON d.bucket = m.bucket AND d.message_id = m.id
        WHERE m.bucket = (p.customer_id %% 64)::smallint AND m.customer_id = p.customer_id AND d.contact_point_id = p.id
          AND d.state = 'accepted' AND d.reported = '' AND d.ended_at > p.status_at
          AND d.ended_at < %(until)s::timestamptz)
    LIMIT 1000
)
UPDATE customers_contactpoint p SET status = 'working', status_reason = '', status_at = %(now)s::timestamptz
FROM arrived WHERE p.id = arrived.id RETURNING p.id
"""


@transaction.atomic
def forgive_addresses(*, now: datetime) -> int:
    """Trust addresses again whose one bounce was followed by a mail that did not come back; how many."""
    mended = bulk_fetch(FORGIVE, {"now": now, "until": now - FORGIVEN_AFTER, "came_back": sorted(CAME_BACK)})
    if not mended:
        return 0
    return append_many(
        """
        SELECT 'contact_point.recovered', 'outbound', 'contact_point:' || id, customer_id,
               jsonb_build_object('channel', channel, 'status', status, 'reason', ''), %(now)s::timestamptz
        FROM customers_contactpoint WHERE id = ANY(%(ids)s::bigint[])
        """,
        {"now": now, "ids": [row[0] for row in mended]},
    )
