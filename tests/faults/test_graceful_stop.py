"""A web process that is asked to stop finishes what it has in hand, takes nothing more, and ends by itself."""

import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest
from django.db import connection

from tests.driving import until_someone_waits
from tests.faults.processes import database_url, until, web_process

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database, pytest.mark.faults]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    with web_process(tmp_path / "web.log") as found:
        yield found


def test_what_is_in_hand_is_finished_and_nothing_more_is_taken(web: tuple[str, "subprocess.Popen[bytes]"]) -> None:
    url, process = web
    assert httpx.get(f"{url}/readyz", timeout=60).status_code == 503  # no worker; but it answers
    connection.close()
    with psycopg.connect(database_url()) as holding, ThreadPoolExecutor(1) as threads:
        holding.execute("LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE")
        in_hand = threads.submit(httpx.get, f"{url}/readyz", timeout=60)
        until_someone_waits()
        process.send_signal(signal.SIGTERM)
        until(lambda: _refuses(url), what="the end of taking requests")
        assert process.poll() is None
        assert not in_hand.done()
        holding.rollback()
        answer = in_hand.result(60)
    assert (answer.status_code, answer.json()["database"], answer.json()["migrations"]) == (503, True, True)
    assert process.wait(60) in (0, -signal.SIGTERM)


def _refuses(url: str) -> bool:
    try:
        httpx.get(f"{url}/healthz", timeout=5)
    except httpx.TransportError:
        return True
    return False
