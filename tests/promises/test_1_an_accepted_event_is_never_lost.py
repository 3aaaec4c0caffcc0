"""Guarantee 1: accepted means committed; the same identity again changes nothing."""

from datetime import UTC, datetime

import psycopg
import pytest
from django.db import transaction
from tests.driving import Drive
from tests.faults.processes import database_url
from tests.promises.story import TOUCHED, node_fails, outage_playbook

from beforehand.events.actions import accept_events
from beforehand.events.intake.values import IncomingEvent
from beforehand.events.models import Event, EventKey, IntakeBody, SubscriptionCursor
from beforehand.events.subscriptions import StoredEvent, Subscription, run_subscription

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def incoming(*names: str) -> list[IncomingEvent]:
    return [
        IncomingEvent(
            source="shop", source_id=name, type="order.placed", occurred_at=NOON, subject="", customer_ref=None, data={}
        )
        for name in names
    ]


def accept(*names: str) -> tuple[int, int]:
    done = accept_events(incoming(*names), body=b"{}", content_type="application/json", intake="test")
    return done.accepted, done.duplicates


def test_what_was_accepted_is_there_for_every_other_connection_at_once() -> None:
    assert accept("1", "2") == (2, 0)
    with psycopg.connect(database_url()) as other:
        assert other.execute("SELECT count(*) FROM events_event").fetchone() == (2,)


def test_the_same_again_alone_among_others_or_twice_in_one_body_changes_nothing() -> None:
    assert accept("1") == (1, 0)
    assert accept("1") == (0, 1)
    assert accept("1", "2", "2") == (1, 2)
    assert Event.objects.count() == 2
    assert IntakeBody.objects.count() == 3  # each body is kept


def test_what_was_not_committed_was_never_there_and_can_be_sent_again() -> None:
    with transaction.atomic():
        accept("1")
        transaction.set_rollback(True)
    assert not EventKey.objects.exists()
    assert accept("1") == (1, 0)


def test_an_event_that_commits_late_is_still_read_and_only_once() -> None:
    seen: list[str] = []

    def handler(events: list[StoredEvent]) -> None:
        seen.extend(event.type for event in events)

    subscription = Subscription(name="test", types=("early", "late"), handler=handler)  # type: ignore[arg-type]
    SubscriptionCursor.objects.create(name="test")
    with psycopg.connect(database_url()) as slow, psycopg.connect(database_url()) as quick:
        slow.execute("INSERT INTO events_event (type) VALUES ('late')")
        quick.execute("INSERT INTO events_event (type) VALUES ('early')")
        quick.commit()
        run_subscription(subscription)
        assert seen == []  # an older transaction still runs: what is behind it waits
        slow.commit()
        while run_subscription(subscription):
            pass
    assert sorted(seen) == ["early", "late"]
    assert seen == ["late", "early"]  # in the order of their transactions


def test_what_came_in_while_nobody_worked_is_acted_on_when_somebody_does(worker: Drive) -> None:
    outage_playbook()
    node_fails(worker)
    assert worker.mailbox.counts() == dict.fromkeys(TOUCHED, 1)
