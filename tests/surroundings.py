"""The suite's surroundings: a throw-away PostgreSQL and settings that name it.

`BEFOREHAND_TEST_POSTGRES_BIN` names the folder of another PostgreSQL's programs; by default the embedded one's are used.
Loaded with `-p tests.surroundings` (see pyproject.toml), because Django's settings are read before any conftest.
"""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from beforehand.kit.postgres.temporary import temporary_server

_surroundings = ExitStack()

# Each of the processes that test beside each other has a server of its own: the log's readers wait for every transaction
# of their server, so on a shared one each test would wait for its neighbour's.
if "BEFOREHAND_TEST_SERVER_URL" not in os.environ or "PYTEST_XDIST_WORKER" in os.environ:
    _bin = os.environ.get("BEFOREHAND_TEST_POSTGRES_BIN")
    os.environ["BEFOREHAND_TEST_SERVER_URL"] = _surroundings.enter_context(
        temporary_server(Path(_bin) if _bin else None)
    )
    os.environ["BEFOREHAND_HOME"] = _surroundings.enter_context(tempfile.TemporaryDirectory(prefix="beforehand-tests-"))
os.environ["BEFOREHAND_DATABASE_URL"] = os.environ["BEFOREHAND_TEST_SERVER_URL"]
os.environ["BEFOREHAND_SECRET_KEY"] = "a-secret-key-for-the-tests-only-0123456789"
os.environ["BEFOREHAND_BASE_URL"] = "http://testserver.example"
os.environ.setdefault("BEFOREHAND_LOG_LEVEL", "ERROR")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server that this process started."""
    _surroundings.close()
