"""kill -9 in the middle of the fan-out, again and again: counted at the mail server, nobody is forgotten and nobody told twice
but whose delivery was in flight, and those are marked."""

import pytest

from beforehand.events.models import WorkerBeat
from beforehand.incidents.models import Affected
from beforehand.outbound.models import Delivery, Message, MessageBatch
from tests.faults.counting import check_counts, is_all_told, node_fails
from tests.faults.processes import Workers, until
from tests.mailbox import Mailbox

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database, pytest.mark.faults]


def test_two_workers_killed_nine_times_lose_nobody_and_repeat_only_what_was_in_flight(
    mailbox: Mailbox, workers: Workers
) -> None:
    everybody = node_fails(3_000)
    workers.start(3)
    for told in range(300, 3_000, 300):
        until(lambda told=told: len(mailbox.accepted) >= told, what=f"{told} mails")
        workers.kill_one()
        workers.start()
    until(lambda: is_all_told(3_000), what="the last mail")
    check_counts(mailbox, everybody, killed=workers.killed)
    assert workers.killed >= 8


def test_a_kill_while_the_messages_are_being_written_leaves_none_out_and_writes_none_twice(
    mailbox: Mailbox, workers: Workers
) -> None:
    everybody = node_fails(4_000)
    workers.start()
    until(lambda: Affected.objects.exists(), what="the list")
    for share in (1, 1_000, 2_500):
        until(lambda share=share: Message.objects.count() >= share, what="messages being written")
        workers.kill_one()
        workers.start()
    until(lambda: is_all_told(4_000), what="the last mail")
    check_counts(mailbox, everybody, killed=workers.killed)
    assert MessageBatch.objects.count() == 1


def test_a_worker_that_is_asked_to_stop_leaves_nothing_in_doubt(mailbox: Mailbox, workers: Workers) -> None:
    everybody = node_fails(1_500)
    workers.start()
    until(lambda: len(mailbox.accepted) >= 200, what="the first mails")
    assert workers.end(gently=True) == [0]
    assert not Delivery.objects.filter(state__in=["sending", "uncertain"]).exists()
    assert not WorkerBeat.objects.exists()
    assert Message.objects.filter(state="sent").count() == len(mailbox.accepted)
    workers.start()
    until(lambda: is_all_told(1_500), what="the last mail")
    assert mailbox.counts() == dict.fromkeys(everybody, 1)
