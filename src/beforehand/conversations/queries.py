"""Questions about what customers wrote: what waits for an answer, what was said about an incident, what was put aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from beforehand.conversations.models import Incoming, MessageIn
from beforehand.customers.models import Customer
from beforehand.kit.rows import bulk_fetch

MOST_COUNTED = 1_000


def unhandled() -> QuerySet[MessageIn]:
    """What a person wrote and nobody has seen to."""
    return MessageIn.objects.filter(handled_at=None, kind=MessageIn.Kind.WRITTEN)


@dataclass(frozen=True, slots=True)
class Inbox:
    """How what comes in stands: how many wait for a person, and mailboxes that cannot be read: the kind of trouble, the
    server's own words, and since when."""

    unhandled: int
    silent: list[tuple[str, str, datetime]]


INBOX = """
SELECT (SELECT count(*) FROM (SELECT FROM conversations_messagein WHERE handled_at IS NULL AND kind = 'written'
                              LIMIT %(most)s::int) w), m.reason, m.error, m.failed_since
FROM (SELECT) one LEFT JOIN conversations_mailbox m ON m.failed_since < %(since)s::timestamptz ORDER BY m.name
"""


def inbox_now(*, since: datetime) -> Inbox:
    """How it stands; mailboxes that could not be read since then or longer. No more than `MOST_COUNTED` are counted."""
    rows = bulk_fetch(INBOX, {"most": MOST_COUNTED, "since": since})
    return Inbox(rows[0][0], [row[1:] for row in rows if row[3] is not None])


def put_aside() -> QuerySet[Incoming]:
    """What could not be read, or laid anywhere, newest first."""
    return Incoming.objects.filter(state=Incoming.State.ASIDE).order_by("-id")


@dataclass(frozen=True, slots=True)
class Said:
    """A message in, with its customer, and the step of ours that it answers."""

    message: MessageIn
    customer: Customer
    step: str


def with_customers(found: Sequence[MessageIn]) -> list[Said]:
    """These messages with what a list shows beside them. Two queries."""
    if not found:
        return []
    customers = Customer.objects.in_bulk({one.customer_id for one in found})
    steps = _steps([one for one in found if one.answers_id is not None])
    return [
        Said(one, customers[one.customer_id], steps.get(one.answers_id or 0, ""))
        for one in found
        if one.customer_id in customers
    ]


def _steps(answers: Sequence[MessageIn]) -> dict[int, str]:
    if not answers:
        return {}
    rows = bulk_fetch(
        """
        SELECT m.id, b.step FROM unnest(%(bucket)s::smallint[], %(id)s::bigint[]) AS g(bucket, id)
        JOIN outbound_message m ON m.bucket = g.bucket AND m.id = g.id AND m.bucket = ANY(%(bucket)s::smallint[])
        JOIN outbound_messagebatch b ON b.id = m.batch_id
        """,
        {"bucket": [one.answers_bucket for one in answers], "id": [one.answers_id for one in answers]},
    )
    return {row[0]: row[1] for row in rows}


def about(origin: str) -> QuerySet[MessageIn]:
    """What customers said about something (“incident:42”), newest first."""
    return MessageIn.objects.filter(origin=origin).exclude(origin="").order_by("-id")
