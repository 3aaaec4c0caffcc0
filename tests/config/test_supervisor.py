"""The supervisor of `beforehand up`: restarts, gives up, ends everything together."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from beforehand.config.supervisor import Supervisor

pytestmark = pytest.mark.faults

# In one write, because both share a pipe: one that lives until it is told to end, and says that it lives; one that refuses to.
LIVES = "import os, signal, time; os.write(1, b'alive %d\\n' % os.getpid()); signal.pause()"
STUBBORN = (
    "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    " os.write(1, b'alive %d\\n' % os.getpid()); [signal.pause() for _ in range(9)]"
)
SUPERVISE = """
import sys
from beforehand.config.supervisor import Supervisor
commands = {f"child{n}": [sys.executable, "-c", code] for n, code in enumerate(sys.argv[1:])}
sys.exit(Supervisor(commands, first_delay=0.01, grace=0.5).run())
"""


def supervise(*codes: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, *codes], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, start_new_session=True,
    )  # fmt: skip


def next_child(supervisor: subprocess.Popen[str]) -> int:
    assert supervisor.stdout is not None
    return int(supervisor.stdout.readline().split()[1])


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_child_that_keeps_dying_stops_everything_with_exit_code_1() -> None:
    said: list[str] = []
    commands = {"web": [sys.executable, "-c", LIVES], "worker": [sys.executable, "-c", "raise SystemExit(7)"]}
    assert Supervisor(commands, most_deaths=3, first_delay=0.01, grace=10, say=said.append).run() == 1
    assert said == [
        "worker ended (exit code 7); starting it again in 0.01 s.",
        "worker ended (exit code 7); starting it again in 0.02 s.",
        "worker ended 3 times within 60 s (exit code 7): stopping.",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_child_and_exits_0(number: signal.Signals) -> None:
    with supervise(LIVES, LIVES) as supervisor:
        children = {next_child(supervisor), next_child(supervisor)}
        supervisor.send_signal(number)
        assert supervisor.wait(10) == 0
        assert all(is_gone(child) for child in children)


def test_a_child_that_was_killed_is_started_again() -> None:
    with supervise(LIVES) as supervisor:
        first = next_child(supervisor)
        os.kill(first, signal.SIGKILL)
        second = next_child(supervisor)
        assert second != first
        supervisor.terminate()
        _, said = supervisor.communicate(timeout=10)
        assert re.search(r"child0 ended \(signal SIGKILL\); starting it again in 0\.01 s\.", said)


def test_a_child_that_will_not_end_is_killed_after_the_grace() -> None:
    with supervise(STUBBORN) as supervisor:
        child = next_child(supervisor)
        supervisor.terminate()
        _, said = supervisor.communicate(timeout=10)
        assert "child0 did not end within 0.5 s: killed." in said
        assert is_gone(child)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_children_end_when_the_supervisor_itself_is_killed() -> None:
    with supervise(LIVES, LIVES) as supervisor:
        next_child(supervisor), next_child(supervisor)
        supervisor.kill()
        # Both children hold the pipe: its end is theirs.
        assert supervisor.stdout is not None
        assert supervisor.stdout.read() == ""
