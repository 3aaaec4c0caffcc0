"""Append to the log: our own events one by one or by the thousand, and what comes in from outside, once each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
from django.db import transaction
from psycopg.types.json import Jsonb

from beforehand.events.intake.values import IncomingEvent
from beforehand.events.resolvers import resolve_customers
from beforehand.kit import clock
from beforehand.kit.rows import array_literal, bulk, bulk_fetch, execute, fetch

CHANNEL = "beforehand_events"
"""The LISTEN channel that wakes workers and live pages after each commit."""


def append_event(
    *,
    type: str,
    actor: str = "",
    subject: str = "",
    customer_id: int | None = None,
    data: Mapping[str, Any] | None = None,
    private: Mapping[str, Any] | None = None,
    occurred_at: datetime | None = None,
    source: str = "",
) -> int:
    """Append one event of ours, inside the caller's transaction; answers its id.

    `data` holds ids, enums and numbers; what a person wrote or is called goes in `private`.
    """
    rows = fetch(
        """
        INSERT INTO events_event (type, actor, subject, customer_id, data, source, occurred_at)
        VALUES (%s, %s, %s, %s, %s, %s, coalesce(%s, now())) RETURNING id, recorded_at, pg_notify(%s, '')
        """,
        [type, actor, subject, customer_id, Jsonb(dict(data or {})), source, occurred_at or clock.now(), CHANNEL],
    )
    event_id, recorded_at, _notified = rows[0]
    if private:
        execute(
            "INSERT INTO events_eventprivate (event_id, recorded_at, customer_id, data) VALUES (%s, %s, %s, %s)",
            [event_id, recorded_at, customer_id, Jsonb(dict(private))],
        )
    return int(event_id)


LEFT_OUT_TYPE, LEFT_OUT_SUBJECT = "intake.alerts_left_out", "intake:alertmanager"


def note_left_out(count: int) -> None:
    """Alertmanager kept so many alerts of a group to itself (`truncatedAlerts`): somebody must see that."""
    append_event(type=LEFT_OUT_TYPE, actor="intake", subject=LEFT_OUT_SUBJECT, data={"left_out": count})
    notify()


def append_many(select: str, params: Mapping[str, Any]) -> int:
    """Append the events that a SELECT yields (type, actor, subject, customer_id, data, occurred_at); how many.

    For the verbs that touch thousands: the caller's `select` is our own SQL, parameters bound with casts.
    """
    written = bulk(
        f"INSERT INTO events_event (type, actor, subject, customer_id, data, occurred_at) {select}",
        dict(params),
    )
    if written:
        notify()
    return written


def notify() -> None:
    """Wake who listens once this transaction is committed; equal notices in one transaction are one."""
    execute("SELECT pg_notify(%s, '')", [CHANNEL])


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of one body: how many events were new, and how many we had already."""

    accepted: int
    duplicates: int


ACCEPT = """
WITH given AS (
    SELECT DISTINCT ON (source, source_id) *
    FROM unnest(%(source)s::text[], %(source_id)s::text[], %(type)s::text[], %(occurred_at)s::timestamptz[],
                %(subject)s::text[], %(customer)s::bigint[], %(data)s::text[], %(ends_at)s::timestamptz[])
         WITH ORDINALITY AS g(source, source_id, type, occurred_at, subject, customer_id, data, ends_at, place)
    ORDER BY source, source_id, place
), keys AS (
    INSERT INTO events_eventkey AS k (source, source_id, event_id, first_seen_at, last_seen_at, ends_at)
    SELECT source, source_id, nextval('events_event_id_seq'), %(now)s::timestamptz, %(now)s::timestamptz, ends_at
    FROM given
    ON CONFLICT (source, source_id) DO UPDATE
        SET last_seen_at = %(now)s::timestamptz, seen = k.seen + 1, ends_at = coalesce(excluded.ends_at, k.ends_at)
    RETURNING k.source, k.source_id, k.event_id, (xmax = 0) AS is_new
), fresh AS (
    SELECT given.*, keys.event_id FROM given JOIN keys USING (source, source_id) WHERE keys.is_new
), logged AS (
    INSERT INTO events_event (id, type, source, source_id, subject, customer_id, occurred_at)
    SELECT event_id, type, source, source_id, coalesce(subject, ''), customer_id, coalesce(occurred_at, now())
    FROM fresh ORDER BY place
), private AS (
    INSERT INTO events_eventprivate (event_id, customer_id, data) SELECT event_id, customer_id, data::jsonb FROM fresh
)
SELECT count(*) FILTER (WHERE is_new) FROM keys
"""
"""One statement for a whole body. Keys are taken in their own order, so that two bodies cannot lock each other out;
a repeat moves only the last-seen time and the end."""


@transaction.atomic
def accept_events(
    incoming: Sequence[IncomingEvent],
    *,
    body: bytes,
    content_type: str,
    intake: str,
    ends_at: Sequence[datetime | None] | None = None,
) -> Accepted:
    """Store a body that came from outside with the events decoded from it; when this returns and commits, none is lost.

    `intake` names the door (“cloudevents”, “alertmanager”). `ends_at` gives each event's end, where an alert has one.
    """
    customers = resolve_customers({event.customer_ref for event in incoming if event.customer_ref})
    accepted = 0
    if incoming:
        ((accepted,),) = bulk_fetch(
            ACCEPT,
            {
                "source": array_literal(event.source for event in incoming),
                "source_id": array_literal(event.source_id for event in incoming),
                "type": array_literal(event.type for event in incoming),
                "occurred_at": array_literal(
                    event.occurred_at.isoformat() if event.occurred_at else None for event in incoming
                ),
                "subject": array_literal(event.subject for event in incoming),
                "customer": [customers.get(event.customer_ref or "") for event in incoming],
                "data": array_literal(orjson.dumps(event.data).decode() for event in incoming),
                "now": clock.now(),
                "ends_at": array_literal(end.isoformat() if end else None for end in ends_at or [None] * len(incoming)),
            },
        )
    bulk(
        """
        INSERT INTO events_intakebody (source, content_type, body, accepted, duplicates)
        VALUES (%s::text, %s::text, %s::bytea, %s::int, %s::int)
        """,
        [intake, content_type, body, accepted, len(incoming) - accepted],
    )
    notify()
    return Accepted(accepted=accepted, duplicates=len(incoming) - accepted)


def prepare_partitions(*, today: date, months: int = 3) -> list[str]:
    """Make the log's partitions for this month and the next ones; answers the names of those that are new."""
    made: list[str] = []
    first = today.replace(day=1)
    for _ in range(months + 1):
        following = (first + timedelta(days=32)).replace(day=1)
        for table in ("events_event", "events_eventprivate"):
            name = f"{table}_{first:%Y_%m}"
            if fetch("SELECT to_regclass(%s)", [name])[0][0] is None:
                _make_partition(table, name, first, following)
                made.append(name)
        first = following
    return made


@transaction.atomic
def _make_partition(table: str, name: str, first: date, following: date) -> None:
    """Beside the table first, so that rows which came before it was prepared can move in from the catch-all partition."""
    execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    if fetch("SELECT to_regclass(%s)", [name])[0][0] is not None:
        return  # another worker was quicker
    execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    execute(
        f"""
        WITH moved AS (
            DELETE FROM {table}_unprepared WHERE recorded_at >= %s AND recorded_at < %s RETURNING *
        )
        INSERT INTO {name} SELECT * FROM moved
        """,
        [first, following],
    )
    execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{following}')")


def forget_raw_bodies(*, older_than: datetime) -> int:
    """Delete raw copies received before `older_than`; how many."""
    return execute("DELETE FROM events_intakebody WHERE received_at < %s", [older_than])


def month_of(moment: datetime) -> date:
    """The UTC day of an instant, as partitions count it."""
    return moment.astimezone(UTC).date()
