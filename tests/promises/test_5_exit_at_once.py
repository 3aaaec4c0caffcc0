"""Guarantee 5: when an incident ends no step of its run speaks again, whatever it was waiting for."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime

import pytest
from tests.driving import Drive, alert, post_webhook
from tests.mailbox import Mailbox
from tests.promises.story import START, TOUCHED, at, outage_playbook

from beforehand.incidents.actions import resolve_incident
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.outbound.actions import hold, release
from beforehand.outbound.models import Message, MessageBatch
from beforehand.playbooks.models import PlaybookVersion, Run
from beforehand.playbooks.runs import confirm_run, tend_runs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

NIGHT = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


def waits_for_its_time(worker: Drive, since: datetime) -> None:
    with travel(since):
        worker.settle()


def waits_for_a_person(worker: Drive, since: datetime) -> None:
    PlaybookVersion.objects.update(approved_at=None)
    with travel(at(3, since=since)):
        worker.settle()
    assert Run.objects.get().state == "confirming"


def waits_for_the_morning(worker: Drive, since: datetime) -> None:
    with travel(at(3, since=since)):
        worker.settle()
    assert set(Message.objects.values_list("reason", flat=True)) == {"quiet_hours"}


def waits_for_the_mail_server(worker: Drive, since: datetime) -> None:
    worker.mailbox.__exit__()
    with travel(at(3, since=since)):
        worker.settle()
    assert set(Message.objects.values_list("reason", flat=True)) == {"unreachable"}


def waits_at_the_gate(worker: Drive, since: datetime) -> None:
    hold(f"incident:{Incident.objects.get().pk}", reason="wait", actor="noor")
    with travel(at(3, since=since)):
        worker.settle()
    assert set(Message.objects.values_list("state", flat=True)) == {"queued"}


@pytest.mark.parametrize(
    ("waiting", "message_class", "since"),
    [
        (waits_for_its_time, "service-critical", START),
        (waits_for_a_person, "service-critical", START),
        (waits_for_the_morning, "service", NIGHT),
        (waits_for_the_mail_server, "service-critical", START),
        (waits_at_the_gate, "service-critical", START),
    ],
)
def test_whatever_it_waits_for_it_never_speaks_after_the_end(
    worker: Drive, waiting: Callable[[Drive, datetime], None], message_class: str, since: datetime
) -> None:
    outage_playbook(message_class)
    with travel(since):
        post_webhook([alert(starts_at=since)])
        worker.settle()
    waiting(worker, since)
    with travel(at(4, since=since)):
        resolve_incident(Incident.objects.get(), reason="repaired", actor="noor")
        worker.settle()
        release(f"incident:{Incident.objects.get().pk}", actor="noor")
    is_away = waiting is waits_for_the_mail_server
    with Mailbox(port=worker.mailbox.port) if is_away else nullcontext(worker.mailbox) as box:
        for hours in (1, 12, 24):
            with travel(at(60 * hours, since=since)):
                worker.settle()
        assert box.accepted == []
    assert set(Message.objects.values_list("state", flat=True)) <= {"cancelled"}
    assert Run.objects.get().state == "finished"


def test_who_was_told_hears_the_end_and_then_nothing(worker: Drive) -> None:
    outage_playbook()
    with travel(at(3)):
        post_webhook([alert(starts_at=START)])
        worker.settle()
        resolve_incident(Incident.objects.get(), reason="repaired", actor="noor")
        worker.settle()
    for hours in (1, 2, 24):
        with travel(at(60 * hours)):
            worker.settle()
    assert worker.mailbox.counts() == dict.fromkeys(TOUCHED, 2)


def test_it_is_silent_from_the_end_on_also_while_it_has_not_heard_of_it(worker: Drive) -> None:
    outage_playbook()
    with travel(at(3)):
        post_webhook([alert(starts_at=START)])
        worker.settle()
    with travel(at(70)):  # the next word would be due
        resolve_incident(Incident.objects.get(), reason="repaired", actor="noor")
        assert tend_runs(now=at(70)) == 0
        assert MessageBatch.objects.count() == 1
        worker.settle()
    assert worker.mailbox.counts() == dict.fromkeys(TOUCHED, 2)
    assert Run.objects.get().state == "finished"


def test_nobody_confirms_what_has_ended_a_moment_ago(worker: Drive) -> None:
    outage_playbook()
    with travel(START):
        post_webhook([alert(starts_at=START)])
        worker.settle()
    waits_for_a_person(worker, START)
    with travel(at(4)):
        resolve_incident(Incident.objects.get(), reason="repaired", actor="noor")
        assert not confirm_run(Run.objects.get().pk, actor="noor", now=at(4))
        worker.settle()
    assert worker.mailbox.counts() == {}


def test_what_the_provider_put_off_while_the_end_came_is_not_tried_again(worker: Drive) -> None:
    outage_playbook()
    with travel(at(3)):
        post_webhook([alert(starts_at=START)])
        while not Message.objects.exists():
            worker.decide()
        # What was under way could not be cancelled with the others, and then came back.
        MessageBatch.objects.update(state="cancelled", state_reason="resolved")
        worker.settle()
    assert set(Message.objects.values_list("state", "reason")) == {("cancelled", "resolved")}
    assert MessageBatch.objects.get().done_at is not None
    assert not worker.mailbox.counts()
