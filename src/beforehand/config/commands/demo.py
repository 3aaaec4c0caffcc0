"""`beforehand demo`: a whole installation of its own, the simulated company, and the main job before your eyes.

Everything lies in a folder of its own under BEFOREHAND_HOME and is made afresh each time, so that no real installation
is touched. The company itself (`beforehand.demo`) knows only the public API and the mail server that it reads.
"""

import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO
from urllib.error import URLError
from urllib.parse import quote, urlencode
from urllib.request import urlopen

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console

from beforehand.config.commands import CommandError, tell
from beforehand.config.commands.up import own_command
from beforehand.config.environment import PREFIX, Environment
from beforehand.config.supervisor import end_with_parent
from beforehand.demo.company import CUSTOMERS, FEWEST_CUSTOMERS
from beforehand.demo.story import tell_story
from beforehand.demo.watching import Places
from beforehand.kit.postgres import EmbeddedServer
from beforehand.kit.postgres.folders import make_parents

USUAL_PORT = 8000
ADMIN = "noor@noorderlicht.example"
SCOPES = "events:write customers:read customers:write incidents:read incidents:write messages:read promises:read promises:write"
SETTING_UP_SCOPES = "playbooks:read playbooks:write settings:write"

_MARK = ".made-by-beforehand-demo"
_DATABASE_COMMENT = "Made by `beforehand demo`, which drops it and makes it anew."
_READY_WITHIN = 240.0  # seconds; creating a cluster on a slow disk is most of it
_END_WITHIN = 60.0
_KEPT_SETTINGS = ("BEFOREHAND_SYSTEM_USER",)


def arguments(parser: argparse.ArgumentParser) -> None:
    """`--exit`, `--port`, `--keep`, `--customers`."""
    parser.add_argument(
        "--exit",
        action="store_true",
        help="need no person, end after the story, print a JSON summary as the last line; 0 if every step held",
    )
    parser.add_argument("--port", type=int, help=f"port of the web pages, by default {USUAL_PORT} or a free one")
    parser.add_argument("--keep", action="store_true", help="keep the folder with database, mails and logs at the end")
    parser.add_argument(
        "--customers", type=int, default=CUSTOMERS, help=f"how many customers there are, by default {CUSTOMERS}"
    )


def run(environment: Environment, given: argparse.Namespace) -> int:
    """Set up, tell the story, and, unless it should exit, serve until a signal comes; leaves no process behind."""
    if given.customers < FEWEST_CUSTOMERS:
        raise CommandError(f"--customers should be {FEWEST_CUSTOMERS} or more: the story needs that many")
    console = Console(highlight=False, soft_wrap=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what runs behind them without one
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    port = _free_port(given.port)
    home = environment.home / "demo"
    with ExitStack() as running:
        running.enter_context(_alone(environment))
        running.enter_context(_own_home(home, environment, keep=given.keep))
        try:
            database_url = running.enter_context(_own_database(environment.database_url, keep=given.keep))
            installation = _start(running, console, environ=_environ(home, port), database_url=database_url, home=home)
            code = _tell(console, installation, given)
            if not given.exit:
                console.print("\nEverything goes on running: look around. [bold]Ctrl-C[/] stops it all.")
                with suppress(KeyboardInterrupt):
                    installation.up.wait()
        finally:
            _be_patient()
        return code


@dataclass(frozen=True)
class _Installation:
    up: subprocess.Popen[bytes]
    places: Places
    password: str


def _start(
    running: ExitStack, console: Console, *, environ: dict[str, str], database_url: str | None, home: Path
) -> _Installation:
    """The mail server and `beforehand up`, ready; with a person who may sign in and a token."""
    tell("Setting up a mail server, a database, the web and a worker …")
    mail = running.enter_context(_mail_server(home))
    environ["BEFOREHAND_SMTP_URL"] = f"smtp://127.0.0.1:{mail['smtp']}"
    if database_url is not None:
        environ["BEFOREHAND_DATABASE_URL"] = database_url
    with console.status("This takes some ten seconds …"):
        up = running.enter_context(_child(own_command("up"), environ, home / "demo.log"))
        _wait_until_ready(up, environ["BEFOREHAND_BASE_URL"], home)
        user, token = _people(environ)
    places = Places(
        base_url=environ["BEFOREHAND_BASE_URL"],
        token=token["token"],
        mailbox_url=f"http://127.0.0.1:{mail['web']}",
    )
    return _Installation(up, places, user["password"])


def _tell(console: Console, installation: _Installation, given: argparse.Namespace) -> int:
    """Show the addresses and tell the story; 0 if every step held."""
    places = installation.places
    console.print(f"\n  Console      [link]{places.base_url}/console/[/]")
    console.print(f"               sign in as {ADMIN} with the password {installation.password}")
    console.print(f"  Status page  [link]{places.base_url}/[/]")
    console.print(f"  Mailbox      [link]{places.mailbox_url}/[/]\n")
    summary = tell_story(
        places,
        console=console,
        customers=given.customers,
        invites=not given.exit,
        kill_worker=lambda: _kill_worker(installation.up.pid),
    )
    if given.exit:
        print(json.dumps(summary, ensure_ascii=False), flush=True)
    return 0 if summary["held"] else 1


def _environ(home: Path, port: int) -> dict[str, str]:
    """The demo's settings, and none of a real installation's."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environ |= {name: os.environ[name] for name in _KEPT_SETTINGS if name in os.environ}
    return environ | {
        "BEFOREHAND_HOME": str(home),
        "BEFOREHAND_BIND": f"127.0.0.1:{port}",
        "BEFOREHAND_BASE_URL": f"http://127.0.0.1:{port}",
        "BEFOREHAND_MAIL_FROM": "service@noorderlicht.example",
        "BEFOREHAND_LOG_LEVEL": "INFO",
    }


def _free_port(wanted: int | None) -> int:
    """The port for the web: the one asked for, 8000, or a free one; raises CommandError for one asked for and taken."""
    port = USUAL_PORT if wanted is None else wanted
    if not 0 < port < 65_536:
        raise CommandError(f"--port {port} is no port: choose one from 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return port
        except OSError as error:
            if wanted is not None:
                raise CommandError(f"--port {port} cannot be used: {error.strerror}") from None
            tell(f"Port {port} cannot be used ({error.strerror}): taking a free one.")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
        return free


# Its own folder and database


@contextmanager
def _alone(environment: Environment) -> Iterator[None]:
    """Only one demo in this home; its own folder is no place for the lock, because that folder comes and goes."""
    home = environment.home
    if not home.exists():
        make_parents(home)
        home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
    try:
        lock = (home / "demo.lock").open("w")
    except OSError as error:
        raise CommandError(f"{home} cannot be written to ({error.strerror}): set BEFOREHAND_HOME") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CommandError(
                f"a demo is running in {home} already: stop it, or set another BEFOREHAND_HOME"
            ) from None
        yield


@contextmanager
def _own_home(home: Path, environment: Environment, *, keep: bool) -> Iterator[None]:
    """An empty folder, removed at the end unless it should be kept."""
    _remove(home, environment)
    home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700)
    (home / _MARK).touch()
    try:
        yield
    finally:
        if keep:
            tell(f"Kept: {home}")
        else:
            _remove(home, environment)


def _remove(home: Path, environment: Environment) -> None:
    """Remove what an earlier demo left, its database server too; raises CommandError for what is not a demo's."""
    if not home.exists():
        return
    if not (home / _MARK).exists():
        raise CommandError(f"{home} is not a folder that a demo has made: remove it, or set another BEFOREHAND_HOME")
    EmbeddedServer(home, system_user=environment.system_user).stop()  # one whose demo was killed
    shutil.rmtree(home)


@contextmanager
def _own_database(url: str | None, *, keep: bool) -> Iterator[str | None]:
    """A fresh database `<name>_demo` beside the one of this URL, dropped at the end unless it should be kept.

    None for None: then the demo has an embedded server. Raises CommandError where no database can be made.
    """
    if url is None:
        yield None
        return
    parts = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    name = f"{parts['dbname']}_demo"
    _drop_database(url, name)
    with _server_of(url, name) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), _DATABASE_COMMENT))
    try:
        yield f"postgresql:///?{urlencode(parts | {'dbname': name}, quote_via=quote)}"
    finally:
        if keep:
            tell(f"Kept: database {name}")
        else:
            _drop_database(url, name)


def _drop_database(url: str, name: str) -> None:
    """Drop what an earlier demo made; raises CommandError for what is not a demo's."""
    comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    with _server_of(url, name) as connection:
        found = connection.execute(comment, [name]).fetchone()
        if found is not None and found[0] != _DATABASE_COMMENT:
            raise CommandError(f"there is a database {name} that no demo has made: rename or drop it")
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _server_of(url: str, name: str) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            yield connection
    except psycopg.Error as error:
        why = str(error).strip().splitlines()[0]
        raise CommandError(f"a database {name} for the demo cannot be made on your server: {why}") from None


# Its processes


@contextmanager
def _child(command: list[str], environ: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own: Ctrl-C comes to us, and we end it when the time has come."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
    try:
        yield process
    finally:
        _end(process)


@contextmanager
def _mail_server(home: Path) -> Iterator[dict[str, int]]:
    """The company's mail server; answers its ports."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "beforehand.demo.mailserver", str(home)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=end_with_parent,
    )
    try:
        output: IO[bytes] | None = process.stdout
        line = output.readline() if output is not None else b""
        if not line:
            raise CommandError("the demo's mail server did not start")
        yield json.loads(line)
    finally:
        _end(process)
        if process.stdout is not None:
            process.stdout.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, wait, and kill it if it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(up: subprocess.Popen[bytes], base_url: str, home: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline:
        if up.poll() is not None:
            break
        try:
            with urlopen(f"{base_url}/readyz", timeout=5) as answer:  # noqa: S310 - our own address
                if answer.status == 200:
                    return
        except (URLError, OSError):
            pass
        time.sleep(0.2)
    why = f"ended with exit code {up.returncode}" if up.poll() is not None else "was not ready in time"
    last = (home / "demo.log").read_text("utf-8", "replace").splitlines()[-20:]
    raise CommandError("\n".join([f"`beforehand up` {why}. Its last words:", *last]))


def _kill_worker(up: int) -> int | None:
    """End the worker as a power cut would; its process id, or None where the system does not say which one it is."""
    for child in _children(up):
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if b"worker" in words:
                os.kill(child, signal.SIGKILL)
                return child
        except OSError:
            continue
    return None


def _children(parent: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    except OSError:  # not Linux
        return []


def _people(environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """A person who may sign in, and a token, made as anybody would."""
    scopes = f"{SCOPES} {SETTING_UP_SCOPES}"
    commands = (
        own_command("user", "create", ADMIN, "--name", "Noor", "--role", "admin", "--json"),
        own_command("token", "create", "Noorderlicht", "--scope", scopes, "--json"),
    )
    at_work = [
        subprocess.Popen(command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        for command in commands
    ]
    answers = [process.communicate()[0] for process in at_work]
    if any(process.returncode for process in at_work):
        raise CommandError("the demo's user and token could not be made")
    user, token = (json.loads(answer) for answer in answers)
    return user, token


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _be_patient() -> None:
    """While everything is ended, a second Ctrl-C must not leave half of it running."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    tell("Stopping everything …")
