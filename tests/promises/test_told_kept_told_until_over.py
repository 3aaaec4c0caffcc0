"""The main job, end to end: an alert comes in; whom it touches is told, and kept told, until it is over."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.cast import Cast, make_cast
from tests.driving import Drive, alert, approve_shipped, driving, outage_rule, post_webhook
from tests.mailbox import html_of, text_of

from beforehand.incidents.models import Affected, Incident
from beforehand.kit.clock import travel
from beforehand.promises.models import Promise

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@pytest.fixture
def cast() -> Cast:
    cast = make_cast()
    outage_rule(owner=cast.team)
    approve_shipped()
    return cast


@pytest.fixture
def drive(cast: Cast) -> Iterator[Drive]:
    with driving() as drive:
        yield drive


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def test_it_tells_every_affected_customer_once_in_their_language_and_when_it_is_over(cast: Cast, drive: Drive) -> None:
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
        assert drive.mailbox.accepted == []  # a fault that heals by itself troubles nobody
        incident = Incident.objects.get()
        assert incident.affected_count == 4
    with travel(at(3)):
        drive.settle()
    assert drive.mailbox.counts() == {f"{name}@customers.example": 1 for name in ("aisha", "bram", "chitra", "dana")}
    (arabic,) = drive.mailbox.mails_to("aisha@customers.example")
    assert 'dir="rtl"' in html_of(arabic)
    assert arabic["Content-Language"] == "ar"
    (dutch,) = drive.mailbox.mails_to("bram@customers.example")
    assert "12:05" in text_of(dutch)  # the next update, in Amsterdam's time
    with travel(at(30)):
        post_webhook([alert(starts_at=at(0), status="resolved", ends_at=at(30))])
        drive.settle()
    assert drive.mailbox.counts() == {f"{name}@customers.example": 2 for name in ("aisha", "bram", "chitra", "dana")}
    incident.refresh_from_db()
    assert incident.state == Incident.State.RESOLVED
    assert list(Promise.objects.values_list("state", flat=True)) == [Promise.State.KEPT]


def test_it_keeps_telling_while_the_fault_lasts_and_keeps_its_word(cast: Cast, drive: Drive) -> None:
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    for minutes in (3, 58, 113):
        with travel(at(minutes)):
            post_webhook([alert(starts_at=at(0))])
            drive.settle()
    assert set(drive.mailbox.counts().values()) == {3}
    assert sorted(Promise.objects.values_list("state", flat=True)) == ["kept", "kept", "open"]


def test_a_fault_that_heals_within_three_minutes_troubles_nobody(cast: Cast, drive: Drive) -> None:
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    with travel(at(2)):
        post_webhook([alert(starts_at=at(0), status="resolved", ends_at=at(2))])
        drive.settle()
    with travel(at(10)):
        drive.settle()
    assert drive.mailbox.accepted == []


def test_the_same_webhook_three_times_changes_nothing(cast: Cast, drive: Drive) -> None:
    with travel(at(3)):
        for _ in range(3):
            post_webhook([alert(starts_at=at(0))])
            drive.settle()
    assert Incident.objects.count() == 1
    assert set(drive.mailbox.counts().values()) == {1}


def test_an_incident_closes_without_its_resolved(cast: Cast, drive: Drive) -> None:
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    with travel(at(20)):
        drive.settle()
    incident = Incident.objects.get()
    assert incident.end_reason == "timed_out"
    assert set(drive.mailbox.counts().values()) == {2}


def test_many_alerts_of_one_outage_are_one_incident(cast: Cast, drive: Drive) -> None:
    outage_rule(group_by=["alertname"])
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0)), alert(starts_at=at(1), node="node-8")])
        drive.settle()
    incident = Incident.objects.get()
    assert incident.affected_count == 5
    assert Affected.objects.filter(customer_id=cast.elif_.pk).exists()
