"""No one left hanging: each way in which somebody could be, and each that is only a moment's work."""

from datetime import timedelta

import pytest
from django.test import Client

from beforehand.incidents.actions import cancel_incident, open_incident, resolve_incident, widen_scope
from beforehand.incidents.affected import refresh_affected, take_off_list
from beforehand.incidents.models import Affected, Incident
from beforehand.kit.clock import travel
from beforehand.outbound.models import MessageBatch
from beforehand.playbooks.actions import install_shipped
from beforehand.playbooks.models import PlaybookVersion, Run
from beforehand.playbooks.queries import HangingReason, left_hanging
from beforehand.promises.models import Promise
from tests.cast import Cast
from tests.console.conftest import at, room
from tests.driving import Drive, alert, outage_rule, post_webhook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def reasons_at(minutes: float) -> list[tuple[HangingReason, int, bool]]:
    return [(row.reason, row.customers, row.is_owned) for row in left_hanging(now=at(minutes))]


def test_whoever_has_a_promise_in_the_future_is_not_left_hanging(outage: Incident) -> None:
    assert Promise.objects.get().due_at > at(60)
    assert reasons_at(4) == []


def test_before_its_first_word_a_run_that_will_wake_is_enough(cast: Cast, drive: Drive) -> None:
    outage_rule(owner=cast.team)
    install_shipped()
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    assert Run.objects.get().state == Run.State.WAITING
    assert reasons_at(2) == []
    assert reasons_at(5) == [(HangingReason.RUN_OVERDUE, 4, False)]  # it should have spoken at three minutes


def test_a_promise_whose_time_has_passed_leaves_them_hanging(outage: Incident) -> None:
    due_at = Promise.objects.get().due_at
    assert left_hanging(now=due_at - timedelta(seconds=1)) == []
    assert left_hanging(now=due_at + timedelta(seconds=30)) == []  # the watchdog is at it
    (row,) = left_hanging(now=due_at + timedelta(minutes=2))
    assert (row.reason, row.customers, row.since, row.is_owned) == (HangingReason.NO_PROMISE, 4, due_at, False)


def test_no_promise_at_all_after_the_first_word_leaves_them_hanging(outage: Incident) -> None:
    Promise.objects.all().delete()
    assert reasons_at(6) == [(HangingReason.NO_PROMISE, 4, False)]


def test_a_run_that_waits_for_a_person_is_an_alarm_with_an_owner(cast: Cast, drive: Drive) -> None:
    outage_rule(owner=None)
    install_shipped()
    PlaybookVersion.objects.update(approved_at=None)
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    with travel(at(3)):
        drive.settle()
    (row,) = left_hanging(now=at(4))
    assert row.reason is HangingReason.WAITS_FOR_CONFIRMATION
    assert row.owner == "Network operations"  # the incident has no owner: the playbook names one
    assert row.is_owned


def test_an_alarm_that_nobody_owns_breaks_the_guarantee(cast: Cast, outage: Incident) -> None:
    Promise.objects.all().delete()
    Run.objects.update(state=Run.State.FAILED, wake_at=None)
    assert reasons_at(6) == [(HangingReason.RUN_FAILED, 4, True)]
    Incident.objects.update(owner=None)
    cast.team.slug = "another-name"
    cast.team.save()
    assert reasons_at(6) == [(HangingReason.RUN_FAILED, 4, False)]


def test_an_incident_without_a_playbook_is_an_alarm(cast: Cast) -> None:
    with travel(at(0)):
        incident = open_incident(
            title="Recall", kind="recall", severity="major", actor="test", began_at=at(0), known_at=at(0),
            component_ids=[cast.node.pk], owner=cast.team,
        )  # fmt: skip
    Incident.objects.update(opened_at=at(0))
    assert reasons_at(0.5) == []
    assert reasons_at(2) == [(HangingReason.LIST_NOT_MADE, 0, False)]
    refresh_affected(incident.pk, now=at(2), actor="test")
    assert reasons_at(2.5) == []
    assert reasons_at(4) == [(HangingReason.NO_PLAYBOOK, 4, True)]


def test_who_joined_and_heard_nothing_is_found(cast: Cast, outage: Incident) -> None:
    with travel(at(4)):
        widen_scope(outage, actor="test", component_ids=[cast.other_node.pk])
    refresh_affected(outage.pk, now=at(4), actor="test")
    assert reasons_at(4.5) == []
    assert reasons_at(6) == [(HangingReason.JOINED_UNTOLD, 1, False)]


def test_who_left_and_heard_nothing_is_found(cast: Cast, outage: Incident, drive: Drive) -> None:
    take_off_list(outage.pk, customer_ids=[cast.bram.pk], state=Affected.State.CURED, now=at(4), actor="test")
    assert reasons_at(4.5) == []
    assert reasons_at(6) == [(HangingReason.LEFT_UNTOLD, 1, False)]
    with travel(at(4.6)):
        drive.settle()
    assert reasons_at(6) == []


@pytest.mark.parametrize("end", [resolve_incident, cancel_incident])
def test_who_was_told_of_an_incident_that_ended_must_be_told_of_its_end(
    end: object, outage: Incident, drive: Drive
) -> None:
    assert callable(end)
    with travel(at(20)):
        end(outage, reason="by_hand", actor="test")
    assert reasons_at(20.5) == []
    assert reasons_at(22) == [(HangingReason.END_UNTOLD, 4, False)]
    with travel(at(20.5)):
        drive.settle()
    assert MessageBatch.objects.filter(audience="told").exists()
    assert reasons_at(22) == []


def test_an_incident_that_nobody_was_told_of_needs_no_last_word(cast: Cast, drive: Drive) -> None:
    outage_rule(owner=cast.team)
    install_shipped()
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    with travel(at(1)):
        resolve_incident(Incident.objects.get(), reason="by_hand", actor="test")
    assert reasons_at(10) == []


def test_the_page_lists_who_is_left_hanging_with_the_reason_and_today_counts_them(
    agent: Client, outage: Incident
) -> None:
    Promise.objects.all().delete()
    with travel(at(6)):
        page = agent.get("/console/left-hanging/").content.decode()
        today = agent.get("/console/").content.decode()
    assert room(outage) in page
    assert "No next update is promised, or its time has passed." in page
    assert "breaks the guarantee" in page
    assert "without a next word from us" in today
