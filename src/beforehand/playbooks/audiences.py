"""Whom a batch is for, bucket by bucket, with all that deciding and writing needs, in one statement."""

from collections.abc import Sequence
from datetime import time
from enum import StrEnum
from functools import lru_cache

from django.utils import translation
from django.utils.translation import gettext as _

from beforehand.engine.message_classes import RULES, MessageClass
from beforehand.engine.sending import SendingReason
from beforehand.kit.ids import bucket_of
from beforehand.kit.rows import bulk, bulk_fetch
from beforehand.outbound.actions import cancel_for
from beforehand.outbound.models import Channel
from beforehand.outbound.writing import Addressee
from beforehand.playbooks.other_channels import with_other_channels


class BatchAudience(StrEnum):
    """Whom one batch reaches."""

    AFFECTED = "affected"
    TOLD = "told"
    JOINED = "joined"
    LEFT_CURED = "left cured"
    LEFT_MISTAKEN = "left by mistake"
    ONE = "one"


WAS_TOLD = """
coalesce((
    SELECT NOT b.why @> '{"is_end": true}'
    FROM outbound_message m JOIN outbound_messagebatch b ON b.id = m.batch_id
    WHERE m.bucket = a.bucket AND m.customer_id = a.customer_id AND b.origin = %(origin)s::text
      AND (m.state IN ('sent', 'uncertain')
           OR EXISTS (SELECT FROM outbound_delivery d
                      WHERE d.bucket = m.bucket AND d.message_id = m.id
                        AND (d.state IN ('sending', 'uncertain')
                             OR d.channel = 'inbox' AND d.state IN ('accepted', 'delivered'))))
    ORDER BY b.sequence DESC LIMIT 1
), false)
"""
"""A message of this incident has reached the customer's provider, or may have, or stands in their inbox; and the last
such was not an end.

So who was told before the incident was reopened, and given the end then, counts as told only once they are told again.
"""

TO_THE_AFFECTED = (BatchAudience.AFFECTED, BatchAudience.TOLD, BatchAudience.JOINED)
"""What is said to these is of no use to who is affected no longer."""
TO_LEAVERS = (BatchAudience.LEFT_CURED, BatchAudience.LEFT_MISTAKEN)

WHO = {
    BatchAudience.AFFECTED: "a.state = 'affected' AND a.told_sequence < %(sequence)s::int",
    BatchAudience.TOLD: f"a.state = 'affected' AND a.told_sequence BETWEEN 1 AND %(sequence)s::int - 1 AND {WAS_TOLD}",
    BatchAudience.JOINED: "a.state = 'affected' AND a.told_sequence = 0",
    BatchAudience.LEFT_CURED: f"a.state = 'cured' AND a.told_sequence > 0 AND {WAS_TOLD}",
    BatchAudience.LEFT_MISTAKEN: f"a.state = 'mistaken' AND a.told_sequence > 0 AND {WAS_TOLD}",
    BatchAudience.ONE: "a.customer_id = %(one)s::bigint",
}

NOTHING_NEW = """
CASE WHEN c.rhythm = 'only_changes' OR %(waits_at_night)s::boolean THEN (
    SELECT CASE WHEN m.state = 'queued' AND m.reason = 'quiet_hours' THEN 'word_waits'
                WHEN c.rhythm = 'only_changes' AND m.only_changes
                     AND (m.state IN ('queued', 'sent', 'uncertain') OR m.reason = 'unread')
                THEN 'only_changes' END
    FROM outbound_message m JOIN outbound_messagebatch b ON b.id = m.batch_id
    WHERE m.bucket = a.bucket AND m.customer_id = a.customer_id AND b.origin = %(origin)s::text
      AND m.reason NOT IN ('only_changes', 'word_waits')
    ORDER BY b.sequence DESC LIMIT 1) END
"""
"""Why a word in which nothing is new is not for this customer: they have our newest word as somebody who wants only what
changes, or it still waits for the end of their quiet hours. So whoever lacks it, or was promised every step, is told."""

IN_FLIGHT = """
a.customer_id IN (
    SELECT m.customer_id FROM outbound_delivery d
    JOIN outbound_message m ON m.bucket = d.bucket AND m.id = d.message_id
    JOIN outbound_messagebatch b ON b.id = m.batch_id
    WHERE d.bucket = %(bucket)s::smallint AND d.state = 'sending' AND m.bucket = %(bucket)s::smallint
      AND b.origin = %(origin)s::text)
"""
"""A word is on its way to this customer at this moment. Few are, and they are looked up once for the bucket."""

ADDRESSEES = """
SELECT a.customer_id, c.name, c.salutation, c.form_of_address = 'formal', c.language, c.time_zone, c.priority = 'care_alarm',
       c.quiet_from, c.quiet_until, c.erased_at IS NOT NULL, point.id, coalesce(point.status, ''),
       h.product, h.place,
       (SELECT s.given FROM customers_consent s
        WHERE s.customer_id = a.customer_id AND s.message_class = %(class)s::text AND s.channel = {consent}
        ORDER BY s.answered_at DESC, s.id DESC LIMIT 1),
       c.access_needs ? 'large_print', c.rhythm = 'only_changes', {nothing_new}, {in_flight}
FROM incidents_affected a
JOIN customers_customer c ON c.id = a.customer_id
LEFT JOIN customers_holding h ON h.id = a.holding_id
LEFT JOIN LATERAL (
    SELECT p.id, p.status FROM customers_contactpoint p
    WHERE p.customer_id = a.customer_id AND p.channel {points}
    ORDER BY p.status IN ('dead', 'blocked'), p.rank, p.id LIMIT 1
) point ON true
WHERE a.bucket = %(bucket)s::smallint AND a.incident_id = %(incident)s::bigint AND {who}
"""

REACHED = {"points": "= %(channel)s::text", "consent": "%(channel)s::text"}
CALLED = {"points": "IN ('phone', 'sms')", "consent": "'phone'"}
"""Who is called is called on a number that we have for telephone or texts, and asked by telephone whether we may."""


def addressees(
    audience: BatchAudience,
    *,
    incident_id: int,
    bucket: int,
    sequence: int,
    origin: str,
    message_class: str,
    channels: Sequence[str],
    quiet: tuple[time, time],
    is_failing: bool,
    customer_id: int | None = None,
    is_routine: bool = False,
    is_end: bool = False,
) -> list[Addressee]:
    """The customers of one bucket for whom this batch has something; at most a few thousand. `customer_id`: for `ONE`.

    Who may not be reached by the first channel comes with what is known of the others. `is_failing`: the incident's parts
    are down now, and so the channels that they carry. `is_routine`: nothing is new in it; `is_end`: nothing comes after it.
    """
    channel = channels[0]
    rows = bulk_fetch(
        ADDRESSEES.format(
            who=WHO[audience],
            nothing_new=NOTHING_NEW if is_routine else "NULL",
            in_flight=IN_FLIGHT if is_end else "false",
            **(CALLED if channel == Channel.CALL else REACHED),
        ),
        {
            "waits_at_night": not RULES[MessageClass(message_class)].breaks_quiet_hours,
            "incident": incident_id,
            "bucket": bucket,
            "sequence": sequence,
            "origin": origin,
            "class": message_class,
            "channel": channel,
            "one": customer_id,
        },
    )
    found = [
        Addressee(
            customer_id=row[0],
            channel=channel,
            contact_point_id=row[10],
            address_is_dead=row[11] == "dead",
            address_is_blocked=row[11] == "blocked",
            is_erased=row[9],
            consent=row[14],
            language=row[4],
            time_zone=row[5],
            formal=row[3],
            large_print=row[15],
            quiet_from=row[7] or quiet[0],
            quiet_until=row[8] or quiet[1],
            is_urgent=row[6],
            only_changes=row[16],
            skipped_for=SendingReason(row[17]) if row[17] else None,
            is_in_flight=row[18],
            slots={
                "customer.name": row[1],
                "customer.salutation": row[2] or _greeting(row[4]) % {"name": row[1]},
                "holding": ", ".join(part for part in (row[12], row[13]) if part),
            },
        )
        for row in rows
    ]
    if len(channels) == 1 or not found:
        return found
    return with_other_channels(
        found,
        channels,
        incident_id=incident_id,
        bucket=bucket,
        message_class=message_class,
        is_failing=is_failing,
    )


@lru_cache(maxsize=64)
def _greeting(language: str) -> str:
    """How a customer without a salutation of their own is greeted."""
    with translation.override(language):
        # Translators: the greeting at the top of a message, without a comma; %(name)s is the customer's full name.
        return _("Dear %(name)s")


def mark_told(
    audience: BatchAudience, *, incident_id: int, bucket: int, sequence: int, customer_ids: Sequence[int]
) -> None:
    """Note on the affected list which batch these customers were decided for; who left is done with."""
    if audience in TO_LEAVERS:
        # All of them, also those who were never told: the list is locked, so nobody has left since it was read.
        bulk(
            """
            UPDATE incidents_affected SET told_sequence = 0
            WHERE bucket = %s::smallint AND incident_id = %s::bigint AND state = %s::text AND told_sequence > 0
            """,
            [bucket, incident_id, "cured" if audience is BatchAudience.LEFT_CURED else "mistaken"],
        )
        return
    bulk(
        """
        UPDATE incidents_affected SET told_sequence = %s::int
        WHERE bucket = %s::smallint AND incident_id = %s::bigint AND customer_id = ANY(%s::bigint[])
        """,
        [sequence, bucket, incident_id, list(customer_ids)],
    )


def stop_telling_leavers(incident_id: int, *, origin: str, customer_ids: Sequence[int], actor: str) -> int:
    """Of these customers, those not affected now are not told what still waits for them; how many messages were stopped.

    Who so was never told starts afresh: affected again, they are told. Call it with the list locked.
    """
    rows = bulk_fetch(
        """
        SELECT customer_id FROM incidents_affected
        WHERE bucket = ANY(%s::smallint[]) AND incident_id = %s::bigint AND customer_id = ANY(%s::bigint[])
          AND state <> 'affected'
        """,
        [sorted({bucket_of(one) for one in customer_ids}), incident_id, list(customer_ids)],
    )
    left = [row[0] for row in rows]
    if not left:
        return 0
    stopped = cancel_for(origin, customer_ids=left, audiences=TO_THE_AFFECTED, reason="no_longer_affected", actor=actor)
    bulk(
        f"""
        UPDATE incidents_affected a SET told_sequence = 0
        WHERE a.bucket = ANY(%(buckets)s::smallint[]) AND a.incident_id = %(incident)s::bigint
          AND a.customer_id = ANY(%(customers)s::bigint[]) AND a.told_sequence > 0 AND NOT {WAS_TOLD}
        """,
        {
            "buckets": sorted({bucket_of(one) for one in left}),
            "incident": incident_id,
            "customers": left,
            "origin": origin,
        },
    )
    return stopped


def leavers(incident_id: int, *, buckets: Sequence[int]) -> list[int]:
    """Who has left the list and still counts as told there."""
    rows = bulk_fetch(
        """
        SELECT customer_id FROM incidents_affected
        WHERE bucket = ANY(%s::smallint[]) AND incident_id = %s::bigint AND state <> 'affected' AND told_sequence > 0
        """,
        [list(buckets), incident_id],
    )
    return [row[0] for row in rows]


def buckets_waiting(incident_id: int) -> dict[BatchAudience, list[int]]:
    """In which buckets somebody joined and was not told yet, or left and was not told the end."""
    rows = bulk_fetch(
        """
        SELECT a.state, a.bucket FROM incidents_affected a
        WHERE a.bucket = ANY(%s::smallint[]) AND a.incident_id = %s::bigint
          AND (a.state = 'affected' AND a.told_sequence = 0 OR a.state <> 'affected' AND a.told_sequence > 0)
        GROUP BY a.state, a.bucket ORDER BY a.bucket
        """,
        [list(range(64)), incident_id],
    )
    names = {
        "affected": BatchAudience.JOINED,
        "cured": BatchAudience.LEFT_CURED,
        "mistaken": BatchAudience.LEFT_MISTAKEN,
    }
    found: dict[BatchAudience, list[int]] = {}
    for state, bucket in rows:
        found.setdefault(names[state], []).append(bucket)
    return found
