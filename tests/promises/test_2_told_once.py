"""Guarantee 2: a step's message goes once to each customer, whatever crashes; what a crash left in flight is marked."""

import uuid

import pytest
from django.db import IntegrityError, transaction
from tests.driving import Drive, alert, post_webhook
from tests.promises.story import START, TOUCHED, at, node_fails, outage_playbook

from beforehand.events.workers import beat
from beforehand.incidents.models import Affected
from beforehand.kit.clock import travel
from beforehand.kit.rows import execute
from beforehand.outbound.claims import workers_with_attempts
from beforehand.outbound.delivery import DeliveryLoop, recover_dead
from beforehand.outbound.models import Delivery, Message, MessageBatch
from beforehand.playbooks.models import Run, Spread

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def test_a_second_message_of_one_batch_to_one_customer_cannot_be_written(worker: Drive) -> None:
    outage_playbook()
    node_fails(worker)
    with pytest.raises(IntegrityError, match="told_once"), transaction.atomic():
        execute(
            """
            INSERT INTO outbound_message (bucket, batch_id, customer_id, channel, language, time_zone, code, state, due_at)
            SELECT bucket, batch_id, customer_id, channel, language, time_zone, code, 'queued', now()
            FROM outbound_message LIMIT 1
            """
        )


def test_work_that_is_done_again_from_the_start_says_nothing_again(worker: Drive) -> None:
    outage_playbook()
    node_fails(worker)
    run = Run.objects.get()
    with travel(at(4)):
        Spread.objects.update(is_done=False)
        Run.objects.filter(pk=run.pk).update(
            state="telling", position={**run.position, "phase": "telling"}, wake_at=at(3)
        )
        worker.settle()
    assert MessageBatch.objects.count() == 1
    assert worker.mailbox.counts() == dict.fromkeys(TOUCHED, 1)


@pytest.mark.parametrize(("message_class", "times"), [("service-critical", 2), ("care", 1)])
def test_what_was_in_flight_when_its_worker_died_is_marked_and_said_again_only_where_that_is_better(
    worker: Drive, message_class: str, times: int
) -> None:
    outage_playbook(message_class)
    with travel(at(3)):
        post_webhook([alert(starts_at=START)])
        while not Message.objects.exists():
            worker.decide()
        worker.loop.step(wait=0)
        while worker.loop._courier.idle() < worker.loop._courier.connections:
            pass  # accepted by the server, and the worker dies before it writes that down
        dead, worker.loop = worker.loop, DeliveryLoop(worker.loop._courier, worker=uuid.uuid4())
        assert list(workers_with_attempts()) == [dead._worker]
        assert recover_dead(dead._worker, now=at(3)) == 4
        assert recover_dead(dead._worker, now=at(3)) == 0
        assert set(Delivery.objects.values_list("state", flat=True)) == {"uncertain"}
        worker.settle()
    assert worker.mailbox.counts() == dict.fromkeys(TOUCHED, times)
    for address in TOUCHED:
        assert len({mail["Message-ID"] for mail in worker.mailbox.mails_to(address)}) == 1


def test_the_outcome_that_a_worker_writes_after_it_was_given_up_for_dead_is_not_believed_twice(worker: Drive) -> None:
    outage_playbook()
    with travel(at(3)):
        beat(worker.loop._worker, lag_seconds=0)
        post_webhook([alert(starts_at=START)])
        while not Message.objects.exists():
            worker.decide()
        worker.loop.step(wait=0)
        recover_dead(worker.loop._worker, now=at(3))  # it was only slow
        worker.settle()
    assert set(Message.objects.values_list("state", flat=True)) == {"sent"}
    assert Delivery.objects.filter(state="uncertain").count() == 4
    assert max(worker.mailbox.counts().values()) == 2


def test_a_word_is_work_only_in_the_buckets_that_have_somebody(worker: Drive) -> None:
    outage_playbook()
    node_fails(worker)
    touched = set(Affected.objects.values_list("bucket", flat=True))
    assert 0 < len(touched) <= len(TOUCHED)
    assert set(Spread.objects.values_list("bucket", flat=True)) == touched
