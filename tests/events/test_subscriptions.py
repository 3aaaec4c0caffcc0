"""Subscribers get every event once, in order; what one of them cannot handle is set aside, and the rest goes on."""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import pytest
from django.db import OperationalError
from tests.cast import make_cast

from beforehand.events import subscriptions
from beforehand.events.actions import append_event
from beforehand.events.models import SubscriptionCursor, SubscriptionFailure
from beforehand.events.subscriptions import (
    StoredEvent,
    Subscription,
    ensure_cursors,
    retry_failure,
    run_all_once,
    run_subscription,
)
from beforehand.incidents.models import IncidentScope

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

Handler = Callable[[Sequence[StoredEvent]], None]


@pytest.fixture
def subscribe(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Subscription]:
    """Subscriptions of the test alone; the product's own are put away for as long."""
    monkeypatch.setattr(subscriptions, "_subscriptions", {})
    monkeypatch.setattr(subscriptions, "import_module", lambda _: None)

    def add(handler: Handler, *, name: str = "test", types: Sequence[str] = ("thing.happened",)) -> Subscription:
        subscriptions.subscriber(name, types=types)(handler)
        ensure_cursors()
        return subscriptions._subscriptions[name]

    return add


def happen(*numbers: int, type: str = "thing.happened") -> None:
    for number in numbers:
        append_event(type=type, data={"number": number})


def run(subscription: Subscription) -> None:
    while run_subscription(subscription):
        pass


def test_events_come_in_order_once_and_only_those_asked_for(subscribe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "BATCH", 3)
    monkeypatch.setattr(subscriptions, "WINDOW", 4)
    seen: list[int] = []
    one = subscribe(lambda events: seen.extend(event.data["number"] for event in events))
    happen(*range(10))
    happen(99, type="thing.else")
    happen(*range(10, 20))
    run(one)
    run(one)
    assert seen == list(range(20))


def test_one_poison_event_is_set_aside_with_its_error_and_the_others_are_handled_once(subscribe: Any) -> None:
    seen: list[int] = []

    def handler(events: Sequence[StoredEvent]) -> None:
        for event in events:
            if event.data["number"] == 2:
                raise ValueError("what is \0 this?")
            seen.append(event.data["number"])

    one = subscribe(handler)
    happen(1, 2, 3)
    run(one)
    assert seen[-2:] == [1, 3]  # the first try, of all three, was rolled back
    failure = SubscriptionFailure.objects.get()
    assert (failure.subscriber, failure.attempts, failure.solved_at) == ("test", 1, None)
    assert "what is" in failure.error


def test_what_was_set_aside_can_be_handled_once_its_cause_is_gone(subscribe: Any) -> None:
    seen: list[int] = []
    is_broken = True

    def handler(events: Sequence[StoredEvent]) -> None:
        if is_broken:
            raise ValueError
        seen.extend(event.data["number"] for event in events)

    one = subscribe(handler)
    happen(7)
    run(one)
    failure = SubscriptionFailure.objects.get()
    with pytest.raises(ValueError):
        retry_failure(failure.pk)
    is_broken = False
    assert retry_failure(failure.pk)
    assert not retry_failure(failure.pk)
    assert seen == [7]


def test_a_fault_that_the_database_finds_only_at_the_commit_sets_its_event_aside_too(subscribe: Any) -> None:
    make_cast()
    seen: list[int] = []

    def handler(events: Sequence[StoredEvent]) -> None:
        for event in events:
            if event.data["number"] == 1:
                IncidentScope.objects.create(incident_id=12345, condition="true")
            seen.append(event.data["number"])

    one = subscribe(handler)
    happen(1, 2)
    run(one)
    assert seen[-1] == 2
    assert "12345" in SubscriptionFailure.objects.get().error


@pytest.mark.parametrize("trouble", [OperationalError("deadlock"), psycopg.errors.DeadlockDetected("deadlock")])
def test_when_the_database_is_in_trouble_no_event_is_to_blame(subscribe: Any, trouble: Exception) -> None:
    seen: list[int] = []
    troubles = [trouble]

    def handler(events: Sequence[StoredEvent]) -> None:
        if troubles:
            raise troubles.pop()
        seen.extend(event.data["number"] for event in events)

    one = subscribe(handler)
    happen(1, 2)
    with pytest.raises(type(trouble)):
        run(one)
    run(one)
    assert seen == [1, 2]
    assert not SubscriptionFailure.objects.exists()


def test_a_subscription_that_is_stuck_holds_up_no_other(subscribe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def broken(events: Sequence[StoredEvent]) -> None:
        raise ValueError

    def cannot(name: str, event: StoredEvent) -> None:
        raise RuntimeError("not even that")

    subscribe(broken, name="a")
    subscribe(lambda events: seen.extend(event.data["number"] for event in events), name="b")
    monkeypatch.setattr(subscriptions, "_set_aside", cannot)
    happen(1)
    run_all_once()
    assert seen == [1]
    assert SubscriptionCursor.objects.get(name="a").event_id == 0


def test_while_one_worker_has_a_subscription_another_does_not_take_it(subscribe: Any) -> None:
    from tests.faults.processes import database_url

    seen: list[int] = []
    one = subscribe(lambda events: seen.extend(event.data["number"] for event in events))
    happen(1)
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT 1 FROM events_subscriptioncursor WHERE name = 'test' FOR UPDATE")
        assert run_subscription(one) == 0
    run(one)
    assert seen == [1]


def test_a_pass_without_news_reads_no_ones_place_and_the_next_event_reaches_everyone(
    subscribe: Any, django_assert_num_queries: Any
) -> None:
    seen: list[tuple[str, int]] = []
    for name in ("one", "two"):
        subscribe(lambda events, name=name: seen.extend((name, event.data["number"]) for event in events), name=name)
    happen(1)
    while run_all_once():
        pass
    with django_assert_num_queries(0):
        assert run_all_once() == 0
    happen(2)
    assert run_all_once() == 2
    assert seen == [("one", 1), ("two", 1), ("one", 2), ("two", 2)]
