"""PostgreSQL restarted, and crashed, in the middle of the fan-out: it goes on by itself; nobody is lost, nobody told twice unmarked."""

import os
import signal

import pytest
from django.db import connection

from beforehand.kit.postgres import EmbeddedServer, ServerState
from beforehand.outbound.models import Delivery
from beforehand.playbooks.models import Run
from tests.faults.counting import check_counts, is_all_told, node_fails
from tests.faults.processes import Workers, until
from tests.mailbox import Mailbox

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database, pytest.mark.faults]

COUNT = 2_000


def crash(server: EmbeddedServer) -> None:
    """As a power cut would: no word to anyone, and recovery from the log at the next start."""
    pid = server.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGQUIT)
    until(lambda: server.status().state is ServerState.STOPPED, what="the crash")


@pytest.mark.parametrize("ending", [EmbeddedServer.stop, crash], ids=["restarted", "crashed"])
def test_the_workers_wait_for_the_database_and_go_on_by_themselves(
    own_server: EmbeddedServer, mailbox: Mailbox, workers: Workers, ending: object
) -> None:
    everybody = node_fails(COUNT)
    workers.start(2)
    for told in (200, 800):
        until(lambda told=told: len(mailbox.accepted) >= told, what=f"{told} mails")
        connection.close()
        ending(own_server)  # type: ignore[operator]
        own_server.start()
    until(lambda: is_all_told(COUNT), what="the last mail")
    # Nobody died: every outcome was still known when the database was back, so nothing is in doubt and nothing came twice.
    assert not Delivery.objects.filter(state="uncertain").exists()
    check_counts(mailbox, everybody, killed=0)
    assert set(mailbox.counts().values()) == {1}
    assert not Run.objects.filter(state="failed").exists()
    assert workers.end(gently=True) == [0, 0]
