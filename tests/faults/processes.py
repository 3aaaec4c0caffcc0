"""Real workers, to be killed: started as the product starts them, against the database of the running test."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
from django.db import connection

from beforehand.accounts.models import SettingVersion
from tests.mailbox import Mailbox

ROOT = Path(__file__).parent.parent.parent
CONNECTIONS = 2
PATIENCE = 240  # seconds: a machine that does much else besides is slow, and not wrong


def until(is_so: Callable[[], object], *, what: str, patience: float = PATIENCE) -> None:
    """Wait for something that other processes bring about; fails when it does not come."""
    deadline = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < deadline, f"{what}: it did not come in {patience:.0f} s"
        time.sleep(0.02)


def database_url() -> str:
    """The URL of the database that Django's connection uses now."""
    given = connection.settings_dict
    place = urlencode({"host": given["HOST"], "port": given["PORT"]})
    return f"postgresql://{given['USER']}:{quote(given['PASSWORD'], safe='')}@/{given['NAME']}?{place}"


def free_port() -> int:
    """A port of the loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def web_process(log: Path, **environment: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A web process as the product starts it, and its address.

    It is asked to stop, and not killed: the database would still be at its last question when it is dropped.
    """
    url = f"http://127.0.0.1:{free_port()}"
    settings = {
        **os.environ,
        "BEFOREHAND_DATABASE_URL": database_url(),
        "BEFOREHAND_BIND": url.removeprefix("http://"),
        "BEFOREHAND_BASE_URL": url,
        "PYTHONPATH": str(ROOT / "src"),
        **environment,
    }
    with log.open("wb") as out:
        command = [sys.executable, "-m", "beforehand.config.cli", "web"]
        process = subprocess.Popen(command, env=settings, stdout=out, stderr=out, cwd=ROOT)
    try:
        until(lambda: process.poll() is not None or _answers(url), what="the web process")
        assert process.poll() is None, "the web process ended"
        yield url, process
    finally:
        process.terminate()
        process.wait(30)
        print(log.read_text(errors="replace"))  # shown when the test failed


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5).is_success
    except httpx.TransportError:
        return False


def few_connections() -> None:
    """So few connections to the mail server that a kill finds the fan-out in its middle."""
    SettingVersion.objects.create(key="mail.connections", value=CONNECTIONS)


class Workers:
    """Worker processes under the test's thumb."""

    def __init__(self, mailbox: Mailbox, log: Path, **environment: str) -> None:
        self._log = log
        self._environment = {
            **os.environ,
            "BEFOREHAND_DATABASE_URL": database_url(),
            "BEFOREHAND_SMTP_URL": mailbox.url,
            "PYTHONPATH": str(ROOT / "src"),
            "BEFOREHAND_LOG_LEVEL": "WARNING",
            **environment,
        }
        self._alive: list[subprocess.Popen[bytes]] = []
        self.killed = 0

    def start(self, count: int = 1) -> None:
        for _ in range(count):
            with self._log.open("ab") as log:
                self._alive.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "beforehand.config.cli", "worker"],
                        env=self._environment,
                        cwd=ROOT,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                    )
                )

    def kill_one(self) -> None:
        """kill -9 for the oldest."""
        victim = self._alive.pop(0)
        victim.send_signal(signal.SIGKILL)
        victim.wait(10)
        self.killed += 1

    def suspend_one(self) -> subprocess.Popen[bytes]:
        """SIGSTOP for the oldest: it lives, and does nothing."""
        self._alive[0].send_signal(signal.SIGSTOP)
        return self._alive[0]

    def end(self, *, gently: bool = False) -> list[int]:
        """Stop all of them; their exit codes."""
        for process in self._alive:
            process.send_signal(signal.SIGTERM if gently else signal.SIGKILL)
        codes = [process.wait(30) for process in self._alive]
        self._alive.clear()
        return codes

    @property
    def said(self) -> str:
        """What they logged."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""
