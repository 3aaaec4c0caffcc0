"""Keeps a few child processes running: starts a dead one again, and ends all of them together."""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

from beforehand.config.commands import tell

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LONGEST_DELAY = 30.0


class Supervisor:
    """Runs `commands` (name → command line) until SIGINT, SIGTERM or SIGHUP.

    A child that ends is started again, after a delay that doubles with each death within `within` seconds; at
    `most_deaths` of them everything is stopped. Children that do not end within `grace` seconds are killed.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        most_deaths: int = 5,
        within: float = 60.0,
        first_delay: float = 0.5,
        grace: float = 30.0,
        say: Callable[[str], None] = tell,
    ) -> None:
        self._commands = commands
        self._most_deaths = most_deaths
        self._within = within
        self._first_delay = first_delay
        self._grace = grace
        self._say = say
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._deaths: dict[str, deque[float]] = {name: deque() for name in commands}
        self._due: dict[str, float] = dict.fromkeys(commands, 0.0)
        self._is_ending = False

    def run(self) -> int:
        """Run; answers 0 after a signal, 1 when a child kept dying."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        # Every signal, the end of a child too, writes a byte: the loop sleeps until there is something to do.
        old_wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
        old_handlers = {number: signal.signal(number, self._note) for number in watched}
        try:
            return self._loop(reader)
        finally:
            self._end_all(reader)
            for number, handler in old_handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(old_wakeup)
            os.close(reader)
            os.close(writer)

    def _note(self, number: int, _: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._is_ending = True

    def _loop(self, reader: int) -> int:
        while not self._is_ending:
            for name in self._commands:
                if not self._look_after(name):
                    return 1
            waits = [due - time.monotonic() for name, due in self._due.items() if name not in self._children]
            _wait(reader, max(0.0, min(waits)) if waits else None)
        return 0

    def _look_after(self, name: str) -> bool:
        """Bury or start the child; False when it has died too often."""
        now = time.monotonic()
        child = self._children.get(name)
        if child is not None and child.poll() is not None:
            del self._children[name]
            deaths = self._deaths[name]
            deaths.append(now)
            while deaths[0] < now - self._within:
                deaths.popleft()
            if len(deaths) >= self._most_deaths:
                self._say(f"{name} ended {len(deaths)} times within {self._within:.0f} s ({_how(child)}): stopping.")
                return False
            delay = min(self._first_delay * 2 ** (len(deaths) - 1), _LONGEST_DELAY)
            self._say(f"{name} ended ({_how(child)}); starting it again in {delay:g} s.")
            self._due[name] = now + delay
        if name not in self._children and self._due[name] <= time.monotonic():
            self._children[name] = subprocess.Popen(
                self._commands[name], stdin=subprocess.DEVNULL, preexec_fn=end_with_parent
            )
        return True

    def _end_all(self, reader: int) -> None:
        for child in self._children.values():
            child.terminate()
        deadline = time.monotonic() + self._grace
        while alive := {name: child for name, child in self._children.items() if child.poll() is None}:
            if (left := deadline - time.monotonic()) <= 0:
                break
            _wait(reader, left)
        for name, child in alive.items():
            self._say(f"{name} did not end within {self._grace:g} s: killed.")
            child.kill()
            child.wait()


def _wait(reader: int, seconds: float | None) -> None:
    if select.select([reader], [], [], seconds)[0]:
        os.read(reader, 4096)


def _how(child: subprocess.Popen[bytes]) -> str:
    code = child.returncode
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def end_with_parent() -> None:
    """In the child, before it begins: be told to end when the parent is killed and cannot say so itself (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
