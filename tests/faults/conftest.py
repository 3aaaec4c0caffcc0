"""A mailbox, workers, and a database server of a test's own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from psycopg.conninfo import conninfo_to_dict

from beforehand.kit.postgres import EmbeddedServer
from tests.disks import fast_folder
from tests.faults.processes import Workers, few_connections
from tests.mailbox import Mailbox


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """Slow enough for the fan-out to have a middle."""
    with Mailbox(delay=0.001) as mailbox:
        yield mailbox


@pytest.fixture
def workers(mailbox: Mailbox, tmp_path: Path) -> Iterator[Workers]:
    few_connections()
    workers = Workers(mailbox, tmp_path / "workers.log")
    try:
        yield workers
    finally:
        workers.end()
        print(workers.said)  # shown when the test failed


def leave_server() -> None:
    """No connection to the server of now is used again, nor one that waits in a pool (the web process's, once loaded)."""
    connection.close()
    if connection.pool:
        connection.close_pool()


@pytest.fixture
def own_server(transactional_db: None) -> Iterator[EmbeddedServer]:
    """A server that a test may kill, migrated; Django's connection talks to it for as long as the test lasts."""
    folder = fast_folder()
    server = EmbeddedServer(folder / "home")
    usual = dict(connection.settings_dict)
    try:
        parts = conninfo_to_dict(server.start())
        leave_server()
        connection.settings_dict.update(
            NAME=parts["dbname"],
            USER=parts["user"],
            PASSWORD=parts["password"],
            HOST=parts["host"],
            PORT=parts["port"],
        )
        call_command("migrate", verbosity=0)
        yield server
    finally:
        leave_server()
        connection.settings_dict.update(usual)
        server.stop()
        shutil.rmtree(folder)
