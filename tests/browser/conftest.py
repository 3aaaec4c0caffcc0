"""A real Chromium and a real web process over the database of the running test."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections
from playwright.sync_api import Browser, sync_playwright

from tests.console.conftest import cast, drive, outage, scene, signed_in, supervisor  # noqa: F401 -- they serve here too
from tests.faults.processes import web_process

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


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
    with web_process(tmp_path / "web.log") as (url, _process):
        yield url
