"""Read the log without gaps and hand each subscriber its events, in order, at least once and in one transaction.

A serial id alone loses events: a later id can commit first. A reader therefore takes only rows whose transaction is older
than every transaction still running (`pg_snapshot_xmin`), in the order (epoch, xid, id), and keeps that place as its cursor.
"""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import structlog
from django.apps import apps
from django.db import transaction

from beforehand.events.models import SubscriptionCursor, SubscriptionFailure
from beforehand.kit import clock
from beforehand.kit.rows import DATABASE_TROUBLE, bulk_fetch, execute

log = structlog.get_logger()

WINDOW = 20_000
"""Rows of the log looked through in one pass, whatever their type."""
BATCH = 500
"""Events handed to a subscriber at once: small enough that its transaction stays short."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as its subscribers see it."""

    id: int
    recorded_at: datetime
    occurred_at: datetime
    type: str
    source: str
    source_id: str
    actor: str
    subject: str
    customer_id: int | None
    data: dict[str, Any]


Handler = Callable[[Sequence[StoredEvent]], None]


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who wants which types; the name is the identity of its cursor, so it never changes."""

    name: str
    types: tuple[str, ...]
    handler: Handler


_subscriptions: dict[str, Subscription] = {}


def subscriber(name: str, *, types: Sequence[str]) -> Callable[[Handler], Handler]:
    """Register a function that handles events of these types; it runs inside the transaction that moves its cursor."""

    def register(handler: Handler) -> Handler:
        _subscriptions[name] = Subscription(name=name, types=tuple(types), handler=handler)
        return handler

    return register


def all_subscriptions() -> list[Subscription]:
    """Every subscription of the installed packages, loaded from their `subscribers` modules."""
    for config in apps.get_app_configs():
        if config.name.startswith("beforehand.") and find_spec(f"{config.name}.subscribers"):
            import_module(f"{config.name}.subscribers")
    return list(_subscriptions.values())


# The sub-selects around the cursor are the point: the planner judges a row comparison by its first column only, and with
# plain values it would expect no rows and sort the whole backlog (1 to 2 s at five million events, instead of 2 ms).
# Rows of an epoch that a restore has closed are past, whatever their transaction ids; only the current one needs xmin.
NEXT = """
WITH seen AS MATERIALIZED (
    SELECT epoch, xid, id, recorded_at, occurred_at, type, source, source_id, actor, subject, customer_id, data
    FROM events_event
    WHERE (epoch, xid, id) > ((SELECT %(epoch)s::int), (SELECT %(xid)s::text::xid8), (SELECT %(id)s::bigint))
      AND (epoch, xid) < ((SELECT epoch FROM events_event ORDER BY epoch DESC, xid DESC, id DESC LIMIT 1),
                          pg_snapshot_xmin(pg_current_snapshot()))
    ORDER BY epoch, xid, id LIMIT %(window)s::int
), wanted AS (
    SELECT * FROM seen WHERE type = ANY(%(types)s::text[]) ORDER BY epoch, xid, id LIMIT %(batch)s::int
), place AS (
    -- Where the next pass goes on: behind the last wanted row if there may be more of them, else behind all that was seen.
    (SELECT epoch, xid, id FROM wanted WHERE (SELECT count(*) FROM wanted) = %(batch)s::int
     ORDER BY epoch DESC, xid DESC, id DESC LIMIT 1)
    UNION ALL
    (SELECT epoch, xid, id FROM seen WHERE (SELECT count(*) FROM wanted) < %(batch)s::int
     ORDER BY epoch DESC, xid DESC, id DESC LIMIT 1)
)
SELECT true, epoch, xid::text::bigint, id, null, null, null, null, null, null, null, null, null FROM place
UNION ALL
SELECT false, epoch, xid::text::bigint, id, recorded_at, occurred_at, type, source, source_id, actor, subject, customer_id, data
FROM wanted
"""


# The newest row that a reader may take, and who has not come so far: one question where nothing is new, which is mostly so.
BEHIND = """
SELECT name FROM events_subscriptioncursor
WHERE (epoch, xid, event_id) < (
    SELECT epoch, xid::text::bigint, id FROM events_event
    WHERE (epoch, xid) < ((SELECT epoch FROM events_event ORDER BY epoch DESC, xid DESC, id DESC LIMIT 1),
                          pg_snapshot_xmin(pg_current_snapshot()))
    ORDER BY epoch DESC, xid DESC, id DESC LIMIT 1
)
"""


def run_subscription(subscription: Subscription) -> int:
    """Hand one subscriber its next events; how many rows of the log were passed (0: nothing new, or another worker has it).

    If the handler raises, its events are tried one by one; the one that fails is set aside with its error.
    """
    try:
        with transaction.atomic():
            events, place = _next_events(subscription)
            if place is None:
                return 0
            if events:
                subscription.handler(events)
            _move(subscription.name, place)
            return max(len(events), 1)
    except DATABASE_TROUBLE:
        raise  # no event is at fault
    except Exception:
        log.exception("subscriber_failed", subscriber=subscription.name)
        return _one_by_one(subscription)


def _next_events(subscription: Subscription) -> tuple[list[StoredEvent], tuple[int, int, int] | None]:
    cursor = SubscriptionCursor.objects.select_for_update(skip_locked=True).filter(name=subscription.name).first()
    if cursor is None:
        return [], None
    rows = bulk_fetch(
        NEXT,
        {
            "epoch": cursor.epoch,
            "xid": str(cursor.xid),
            "id": cursor.event_id,
            "window": WINDOW,
            "batch": BATCH,
            "types": list(subscription.types),
        },
    )
    place = next(((row[1], row[2], row[3]) for row in rows if row[0]), None)
    wanted = sorted((row for row in rows if not row[0]), key=lambda row: row[1:4])
    events = [StoredEvent(row[3], *row[4:]) for row in wanted]
    return events, place


def _move(name: str, place: tuple[int, int, int]) -> None:
    epoch, xid, event_id = place
    SubscriptionCursor.objects.filter(name=name).update(epoch=epoch, xid=xid, event_id=event_id, handled_at=clock.now())


def _one_by_one(subscription: Subscription) -> int:
    with transaction.atomic():
        events, place = _next_events(subscription)
        if place is None:
            return 0
        for event in events:
            try:
                with transaction.atomic():
                    subscription.handler([event])
                    _check_references()
            except DATABASE_TROUBLE:
                raise
            except Exception:
                log.exception("event_set_aside", subscriber=subscription.name, event_id=event.id)
                _set_aside(subscription.name, event)
        _move(subscription.name, place)
        return max(len(events), 1)


def _check_references() -> None:
    """Have foreign keys checked now, while this event can still be set aside: a fault found at the commit would hold up all."""
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    execute("SET CONSTRAINTS ALL DEFERRED")


def _set_aside(name: str, event: StoredEvent) -> None:
    execute(
        """
        INSERT INTO events_subscriptionfailure (subscriber, event_id, event_recorded_at, error, attempts)
        VALUES (%s, %s, %s, %s, 1)
        ON CONFLICT (subscriber, event_id) DO UPDATE
            SET error = excluded.error, attempts = events_subscriptionfailure.attempts + 1, failed_at = now()
        """,
        [name, event.id, event.recorded_at, traceback.format_exc(limit=-6)[-4000:].replace("\0", "")],
    )


def retry_failure(failure_id: int) -> bool:
    """Hand an event that was set aside to its subscriber again, once its cause is gone; False if it was solved already.

    What the handler raises goes to the caller, and the event stays set aside.
    """
    all_subscriptions()
    with transaction.atomic():
        failure = SubscriptionFailure.objects.select_for_update().get(pk=failure_id)
        if failure.solved_at is not None:
            return False
        rows = bulk_fetch(
            """
            SELECT id, recorded_at, occurred_at, type, source, source_id, actor, subject, customer_id, data
            FROM events_event WHERE id = %s::bigint AND recorded_at = %s::timestamptz
            """,
            [failure.event_id, failure.event_recorded_at],
        )
        _subscriptions[failure.subscriber].handler([StoredEvent(*row) for row in rows])
        failure.solved_at = clock.now()
        failure.save(update_fields=["solved_at"])
    return True


def ensure_cursors() -> None:
    """Make a cursor for each subscription that has none; a new one reads from the log's beginning."""
    for subscription in all_subscriptions():
        SubscriptionCursor.objects.get_or_create(name=subscription.name)


def run_all_once() -> int:
    """One pass over every subscription that is behind; the number of rows passed. The worker calls it until it answers 0.

    A subscription that cannot even set its events aside holds up nobody but itself.
    """
    passed = 0
    behind = {name for (name,) in bulk_fetch(BEHIND)}
    for subscription in all_subscriptions():
        if subscription.name not in behind:
            continue
        try:
            passed += run_subscription(subscription)
        except DATABASE_TROUBLE:
            raise
        except Exception:
            log.exception("subscription_stuck", subscriber=subscription.name)
    return passed
