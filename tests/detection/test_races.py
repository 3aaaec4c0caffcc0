"""Workers beside each other: whatever they do at once, a problem is raised once and over once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection, transaction

from beforehand.detection.actions import expire_alerts, take_resolved
from beforehand.detection.groups import settle_groups
from beforehand.detection.models import Alert, AlertGroup
from beforehand.events.models import Event
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.kit.rows import fetch
from tests.driving import Drive, alert, outage_rule, post_webhook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def at_once(*works: Callable[[], object]) -> None:
    """Do these at the same moment, each on a connection of its own; what one raises fails the test."""
    barrier = Barrier(len(works))
    failed: list[Exception] = []

    def run(work: Callable[[], object]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait()
            work()
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def cleared() -> int:
    return Event.objects.filter(type="detection.cleared").count()


def is_somebody_waiting() -> bool:
    """Whether another connection waits for the end of this transaction."""
    sql = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid)"
    return bool(fetch(sql)[0][0])


def wait_for(other: Thread) -> None:
    """Until the other is done, or waits for the end of this transaction."""
    for _ in range(1000):
        if is_somebody_waiting() or not other.is_alive():
            return
        other.join(0.01)


def test_two_workers_that_give_up_the_same_alerts_end_each_once(drive: Drive) -> None:
    outage_rule(resolve_after_seconds=60, group_by=["alertname"])
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0), node=f"node-{number}") for number in range(20)])
        drive.settle()
    ended: list[int] = []

    def give_up() -> None:
        ended.append(expire_alerts(now=at(2)))
        connection.close()

    other = Thread(target=give_up)
    with travel(at(2)):
        with transaction.atomic():
            ended.append(expire_alerts(now=at(2)))
            other.start()
            wait_for(other)
        other.join()
        drive.settle()
    assert ended == [20, 0]
    assert set(Alert.objects.values_list("status", flat=True)) == {"timed_out"}
    assert cleared() == 1
    assert Incident.objects.get().end_reason == "timed_out"


def test_two_workers_that_see_it_stay_quiet_say_so_once(drive: Drive) -> None:
    outage_rule(hold_down_seconds=60)
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
        post_webhook([alert(starts_at=at(0), status="resolved", ends_at=at(0))])
        drive.settle()
    assert cleared() == 0
    with travel(at(1)):
        at_once(*[lambda: settle_groups(now=at(1))] * 2)
        drive.settle()
    assert cleared() == 1
    assert AlertGroup.objects.get().due_at is None


def test_the_last_two_alerts_of_a_problem_that_end_at_the_same_moment_end_it(drive: Drive) -> None:
    """Each would see the other one fire, if the problem were not locked before one looks."""
    outage_rule(group_by=["alertname"])
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0), card=card) for card in ("1", "2")])
        drive.settle()

    def end(card: str) -> None:
        row = Alert.objects.get(labels__card=card)
        said = {"fingerprint": row.fingerprint, "starts_at": at(0).isoformat(), "labels": row.labels, "annotations": {}}
        take_resolved(event_id=1, source=row.source, occurred_at=at(1), alert=said)

    def end_the_other() -> None:
        with transaction.atomic():
            end("2")
        connection.close()

    other = Thread(target=end_the_other)
    with travel(at(1)):
        with transaction.atomic():
            end("1")
            other.start()
            wait_for(other)
        other.join()
        drive.settle()
    assert cleared() == 1
    assert Incident.objects.get().state == "resolved"
