"""A problem that comes and goes is one incident, and is over only when it stays quiet."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from beforehand.api.incidents import whole
from beforehand.console.story import entries
from beforehand.detection.models import AlertGroup
from beforehand.detection.queries import flapping_until
from beforehand.events.models import Event
from beforehand.events.queries import story_of_subject
from beforehand.incidents.actions import cancel_incident
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from tests.cast import Cast
from tests.driving import Drive, alert, approve_shipped, outage_rule, post_webhook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture
def drive(drive: Drive) -> Iterator[Drive]:
    outage_rule(hold_down_seconds=120, flap_changes=3, flap_window_seconds=1800, flap_hold_down_seconds=900)
    return drive


def fires(drive: Drive, minutes: float) -> None:
    with travel(at(minutes)):
        post_webhook([alert(starts_at=at(minutes))])
        drive.settle()


def quiet(drive: Drive, minutes: float, *, since: float) -> None:
    with travel(at(minutes)):
        post_webhook([alert(starts_at=at(since), status="resolved", ends_at=at(minutes))])
        drive.settle()


def look(drive: Drive, minutes: float) -> None:
    with travel(at(minutes)):
        drive.settle()


def is_flapping(minutes: float) -> bool:
    return flapping_until(Incident.objects.latest("pk").group_key, now=at(minutes)) is not None


def test_it_counts_as_over_only_after_it_stayed_quiet_and_as_ended_when_it_fell_quiet(drive: Drive) -> None:
    fires(drive, 0)
    quiet(drive, 5, since=0)
    assert Incident.objects.get().state == "open"
    look(drive, 6.9)
    assert Incident.objects.get().state == "open"
    look(drive, 7)
    ended = Incident.objects.get()
    assert (ended.state, ended.end_reason, ended.ended_at) == ("resolved", "resolved", at(5))
    assert not is_flapping(7)


def test_what_fires_anew_within_the_hold_down_was_never_over(drive: Drive) -> None:
    fires(drive, 0)
    quiet(drive, 5, since=0)
    fires(drive, 6)
    look(drive, 8)
    assert Incident.objects.get().state == "open"
    assert not Event.objects.filter(type="detection.cleared").exists()


def test_a_problem_that_flaps_keeps_one_incident_and_says_so_once(drive: Drive) -> None:
    approve_shipped()
    for minute in range(0, 12, 2):
        fires(drive, minute)
        quiet(drive, minute + 1, since=minute)
    assert Incident.objects.get().state == "open"
    assert is_flapping(11)
    told = drive.mailbox.counts()
    look(drive, 25.9)
    assert Incident.objects.get().state == "open"
    look(drive, 26)
    assert Incident.objects.get().state == "resolved"
    assert Incident.objects.get().ended_at == at(11)
    assert Event.objects.filter(type="incident.reopened").count() == 0
    assert Event.objects.filter(type="detection.flapping").count() == 1
    story = story_of_subject(origin_of(Incident.objects.get().pk))
    assert ["3 changes" in line.title for line in entries(story)].count(True) == 1
    assert all(count == told.get(address, 0) + 1 for address, count in drive.mailbox.counts().items())


def test_what_comes_back_after_it_was_over_goes_on_as_the_same_incident(drive: Drive) -> None:
    fires(drive, 0)
    quiet(drive, 5, since=0)
    look(drive, 8)
    assert Incident.objects.get().state == "resolved"
    fires(drive, 10)
    assert Incident.objects.get().state == "open"
    assert is_flapping(10)
    quiet(drive, 12, since=10)
    look(drive, 20)
    assert Incident.objects.get().state == "open"
    look(drive, 27)
    assert Incident.objects.get().state == "resolved"


def test_what_comes_back_much_later_is_another_incident(drive: Drive) -> None:
    fires(drive, 0)
    quiet(drive, 5, since=0)
    look(drive, 8)
    fires(drive, 31)
    assert Incident.objects.count() == 2
    assert not is_flapping(31)


def test_a_false_alarm_that_comes_back_is_not_the_same_incident(drive: Drive) -> None:
    fires(drive, 0)
    with travel(at(4)):
        cancel_incident(Incident.objects.get(), reason="false_alarm", actor="test")
    quiet(drive, 5, since=0)
    fires(drive, 10)
    assert list(Incident.objects.order_by("pk").values_list("state", flat=True)) == ["cancelled", "open"]


def test_it_no_longer_flaps_once_it_fires_on(drive: Drive) -> None:
    fires(drive, 0)
    quiet(drive, 1, since=0)
    fires(drive, 2)
    assert is_flapping(29)
    assert not is_flapping(30)
    quiet(drive, 60, since=2)
    look(drive, 62)
    assert Incident.objects.get().state == "resolved"


def test_the_room_and_the_api_say_that_it_comes_and_goes(drive: Drive, cast: Cast, client: Client) -> None:
    fires(drive, 0)
    quiet(drive, 1, since=0)
    client.force_login(cast.noor)
    room = reverse("console:incident", args=[Incident.objects.get().public_id])
    with travel(at(1)):
        assert "comes and goes" not in client.get(room).content.decode()
    fires(drive, 2)
    with travel(at(2)):
        assert "comes and goes" in client.get(room).content.decode()
        assert whole(Incident.objects.get())["flapping_until"] == at(30)


def test_repeats_and_what_comes_out_of_order_are_no_changes(drive: Drive) -> None:
    with travel(at(3)):
        for _ in range(4):
            post_webhook([alert(starts_at=at(0))])
            drive.settle()
    with travel(at(5)):
        for _ in range(4):
            post_webhook([alert(starts_at=at(0), status="resolved", ends_at=at(5)), alert(starts_at=at(0))])
            drive.settle()
    # A resolved whose firing comes later: it never began for us.
    quiet(drive, 6, since=5.5)
    fires(drive, 5.5)
    assert len(AlertGroup.objects.get().changes) == 2
    look(drive, 7)
    assert Incident.objects.get().state == "resolved"


def test_an_end_without_word_is_not_waited_for_any_longer(drive: Drive) -> None:
    fires(drive, 0)
    look(drive, 6)
    assert Incident.objects.get().end_reason == "timed_out"


def test_a_change_of_one_alert_among_others_that_fire_is_no_change_of_the_problem(drive: Drive) -> None:
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0)), alert(starts_at=at(0), card="2")])
        drive.settle()
    for minute in (1, 2, 3):
        quiet(drive, minute, since=minute - 1)
        fires(drive, minute)
    assert not is_flapping(3)
    assert len(AlertGroup.objects.get().changes) == 1
