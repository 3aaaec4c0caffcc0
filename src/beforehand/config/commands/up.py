"""`beforehand up`: database, migrations, web and worker, in one process group; all of it ends together."""

import argparse
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from types import FrameType

from rich.console import Console

from beforehand.config.commands import CommandError, running_database, tell
from beforehand.config.environment import Environment, current_environment
from beforehand.config.setting_values import Bind
from beforehand.config.supervisor import Supervisor


def run(environment: Environment, _: argparse.Namespace) -> int:
    """Run everything until a signal comes; exits 1 when a part keeps dying."""
    refuse_taken_port(environment.bind)
    # Before the supervisor is at work, a polite end must still stop the database that we started.
    signal.signal(signal.SIGTERM, _leave)
    with ExitStack() as running:
        with Console(stderr=True).status("Starting the database …"):
            running.enter_context(running_database(environment))
        current_environment()  # makes the secret key, once, before several processes ask for it
        if subprocess.run(own_command("migrate"), check=False).returncode != 0:
            raise CommandError("the database could not be brought up to date")
        tell(f"Beforehand is at {environment.base_url}; Ctrl-C stops it.")
        return Supervisor({name: own_command(name) for name in ("web", "worker")}).run()


def own_command(*words: str) -> list[str]:
    """The command line of another `beforehand` with this Python; `-P`: the present folder holds no modules of ours."""
    return [sys.executable, "-P", "-m", "beforehand.config.cli", *words]


def refuse_taken_port(bind: Bind) -> None:
    """Raise CommandError when the web server could not listen."""
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((bind.host, bind.port))
    except OSError as error:
        raise CommandError(f"BEFOREHAND_BIND {bind} cannot be used: {error.strerror or error}") from None


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
