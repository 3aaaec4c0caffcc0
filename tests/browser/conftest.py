"""A real Chromium and a real web process over the database of the running test."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections
from playwright.sync_api import Browser, sync_playwright

from tests.console.conftest import cast, drive, outage, signed_in, supervisor  # noqa: F401 -- they serve here too
from tests.faults.processes import database_url

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 60  # seconds


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Chromium as the machine has it; whoever has none is told so. Its library runs a loop, in which no other test may run."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: `apt-get install chromium` brings one")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        # Django takes the loop that this library runs for a sign of asynchronous code.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
        yield browser
        connections.close_all()  # what is asked beside that loop has a connection of its own
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
        browser.close()


@pytest.fixture
def site(transactional_db: None, tmp_path: Path) -> Iterator[str]:
    """The address of a web process as the product starts it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "BEFOREHAND_DATABASE_URL": database_url(),
        "BEFOREHAND_BIND": f"127.0.0.1:{port}",
        "BEFOREHAND_BASE_URL": url,
        "PYTHONPATH": str(ROOT / "src"),
    }
    log = tmp_path / "web.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "beforehand.config.cli", "web"], env=environment, stdout=out, stderr=out, cwd=ROOT
        )
    try:
        wait_for(url, process)
        yield url
    finally:
        process.terminate()  # and not killed: the database would still be at its last question when it is dropped
        process.wait(30)
        print(log.read_text(errors="replace"))  # shown when the test failed


def wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert process.poll() is None, "the web process ended"
            assert time.monotonic() < deadline, "the web process did not answer"
            time.sleep(0.05)
