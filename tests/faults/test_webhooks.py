"""Alertmanager's webhook as it really comes: three times, out of order, in part, without its `resolved`."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from beforehand.detection.actions import AT_ONCE
from beforehand.detection.models import Alert
from beforehand.events.models import Event, EventKey
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from tests.cast import make_cast
from tests.driving import Drive, alert, approve_shipped, driving, outage_rule, post_webhook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@pytest.fixture
def drive(transactional_db: None) -> Iterator[Drive]:
    make_cast()
    outage_rule(group_by=["alertname"], resolve_after_seconds=600)
    approve_shipped()
    with driving() as drive:
        yield drive


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def over(node: str = "node-7", *, minutes: float = 30) -> dict[str, object]:
    return alert(starts_at=at(0), node=node, status="resolved", ends_at=at(minutes))


def told(drive: Drive) -> set[int]:
    return set(drive.mailbox.counts().values())


def test_a_resolved_that_comes_before_its_firing_opens_nothing(drive: Drive) -> None:
    with travel(at(31)):
        post_webhook([over()])
        drive.settle()
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    with travel(at(60)):
        drive.settle()
    assert not Incident.objects.exists()
    assert drive.mailbox.accepted == []


def test_firing_and_resolved_three_times_each_in_any_order_are_one_incident_and_one_end(drive: Drive) -> None:
    with travel(at(3)):
        for _ in range(3):
            post_webhook([alert(starts_at=at(0))])
        drive.settle()
    with travel(at(4)):
        post_webhook([over(minutes=4)])
        post_webhook([alert(starts_at=at(0))])
        post_webhook([over(minutes=4)])
        drive.settle()
        post_webhook([alert(starts_at=at(0)), over(minutes=4)])
        drive.settle()
    assert Incident.objects.get().state == Incident.State.RESOLVED
    assert told(drive) == {2}
    assert Event.objects.filter(type="alert.fired").count() == 1
    assert EventKey.objects.get(source_id__endswith=":firing").seen == 5


def test_a_part_of_the_group_sent_again_does_not_end_what_was_left_out(drive: Drive) -> None:
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0)), alert(starts_at=at(0), node="node-8")])
        drive.settle()
    with travel(at(5)):
        post_webhook([over(minutes=5)], truncated=7)
        drive.settle()
    assert Incident.objects.get().state == Incident.State.OPEN
    assert told(drive) == {1}
    with travel(at(6)):
        post_webhook([over("node-8", minutes=6)])
        drive.settle()
    assert Incident.objects.get().state == Incident.State.RESOLVED
    assert told(drive) == {2}


def test_an_alert_that_is_heard_of_again_does_not_time_out(drive: Drive) -> None:
    for minutes in range(3, 60, 8):
        with travel(at(minutes)):
            post_webhook([alert(starts_at=at(0))])
            drive.settle()
    assert Incident.objects.get().state == Incident.State.OPEN
    with travel(at(75)):
        drive.settle()
    assert Incident.objects.get().end_reason == "timed_out"
    assert Alert.objects.get().status == Alert.Status.TIMED_OUT


def test_an_alert_heard_of_again_after_it_was_given_up_is_the_same_incident_not_over_after_all(drive: Drive) -> None:
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    with travel(at(20)):
        drive.settle()
    assert Incident.objects.get().end_reason == "timed_out"
    for minutes in (21, 24.1):
        with travel(at(minutes)):
            post_webhook([alert(starts_at=at(0))])
            drive.settle()
    assert Incident.objects.get().state == Incident.State.OPEN
    assert told(drive) == {3}
    with travel(at(26)):
        post_webhook([over(minutes=26)])
        drive.settle()
    assert Incident.objects.get().end_reason == "resolved"
    assert told(drive) == {4}


def test_one_that_is_heard_of_again_fires_however_many_others_were_given_up_before_it(drive: Drive) -> None:
    Alert.objects.bulk_create(
        Alert(
            source="alertmanager",
            fingerprint=f"silent-{number}",
            starts_at=at(0),
            ends_at=at(2),
            status=Alert.Status.TIMED_OUT,
            event_id=0,
        )
        for number in range(AT_ONCE)
    )
    began_at = at(0) + timedelta(microseconds=120)  # a fraction of a second is part of its name
    with travel(at(3)):
        post_webhook([alert(starts_at=began_at)])
        drive.settle()
    with travel(at(20)):
        drive.settle()
    assert Incident.objects.get().end_reason == "timed_out"
    with travel(at(21)):
        post_webhook([alert(starts_at=began_at)])
        drive.settle()
    assert Incident.objects.get().state == Incident.State.OPEN
    assert Alert.objects.filter(status=Alert.Status.FIRING).count() == 1


def test_a_resolved_that_comes_after_it_was_given_up_changes_nothing(drive: Drive) -> None:
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    with travel(at(20)):
        drive.settle()
        post_webhook([over(minutes=19)])
        drive.settle()
    with travel(at(30)):
        drive.settle()
    assert Incident.objects.get().end_reason == "timed_out"
    assert told(drive) == {2}


def test_it_broke_again_is_a_new_incident_told_anew(drive: Drive) -> None:
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
        post_webhook([over(minutes=3)])
        drive.settle()
    with travel(at(10)):
        post_webhook([alert(starts_at=at(7))])
        drive.settle()
    assert Incident.objects.count() == 2
    assert told(drive) == {3}
