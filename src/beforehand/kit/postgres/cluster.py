"""initdb and pg_ctl, as the server's user and with what they print turned into one line."""

import re
import time
from pathlib import Path

from beforehand.kit.postgres.account import Account
from beforehand.kit.postgres.binaries import Binaries
from beforehand.kit.postgres.errors import StartFailed, StopFailed
from beforehand.kit.postgres.postmaster import disown_lock_files, living_postmaster

_FIRST_BUILT_IN_LOCALE = 17
_FIRST_LOOK = 5  # seconds that pg_ctl itself waits before we take over with more patience
_STOP_PATIENCE = 300
_LOG_DELAY = 2  # seconds
START_LOG = "postgres-start.log"  # the first words of the last start, before the server opens its own log
_TIME_STAMP = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \w+ \[\d+\] ")
_TELLING = re.compile(r"FATAL|PANIC|ERROR|error:|invalid|unrecognized|could not|HINT:  (?!Future log)")
# What a server says while children of a killed one are still leaving.
_OLD_CHILDREN = ("shared memory block", "is still in use")


def initialise(
    binaries: Binaries,
    *,
    data: Path,
    account: Account,
    superuser: str,
    password_file: Path,
    is_synced: bool = True,
) -> None:
    """Create a cluster in `data`: UTF-8, locale C.UTF-8, page checksums, a SCRAM password on every connection.

    Raises StartFailed with what initdb said.
    """
    command: list[str | Path] = [
        binaries.program("initdb"),
        "--pgdata",
        data,
        "--username",
        superuser,
        "--pwfile",
        password_file,
        "--auth-local=scram-sha-256",
        "--auth-host=scram-sha-256",
        "--encoding=UTF8",
        "--data-checksums",
    ]
    if binaries.major >= _FIRST_BUILT_IN_LOCALE:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    else:
        command += ["--locale=C.UTF-8"]
    if not is_synced:
        command += ["--no-sync"]
    done = account.run(command)
    if done.returncode != 0:
        raise StartFailed(f"initdb failed in {data}: {_one_line(done.stdout)}")


def start_postmaster(
    binaries: Binaries, *, data: Path, account: Account, socket_folder: Path, log_folder: Path, patience: float
) -> None:
    """Start the server on `data`, detached; answer when it is up or is busy with recovery.

    After a kill -9, children of the old server may still hold its shared memory: they leave by themselves, and the
    start is tried again until they have, for `patience` seconds. Raises StartFailed with the server's own words.
    """
    start_log = log_folder / START_LOG
    deadline = time.monotonic() + patience
    while True:
        disown_lock_files(data, socket_folder=socket_folder)
        start_log.unlink(missing_ok=True)
        lengths = {path: path.stat().st_size for path in log_folder.glob("postgres-*.log")}
        done = account.run(
            [binaries.program("pg_ctl"), "start", "-w", "-t", str(_FIRST_LOOK), "-s", "-D", data, "-l", start_log]
        )
        if living_postmaster(data):
            return
        said = _said_since(lengths, log_folder) or done.stdout
        if not any(words in said for words in _OLD_CHILDREN) or time.monotonic() > deadline:
            raise StartFailed(f"the embedded PostgreSQL did not start: {_one_line(said)} (log: {log_folder})")
        time.sleep(0.2)


def stop_postmaster(binaries: Binaries, *, data: Path, account: Account) -> None:
    """Stop the server on `data` cleanly, ending its sessions. Raises StopFailed when it does not go down."""
    done = account.run(
        [binaries.program("pg_ctl"), "stop", "-m", "fast", "-w", "-t", str(_STOP_PATIENCE), "-s", "-D", data]
    )
    if done.returncode != 0 and living_postmaster(data):
        raise StopFailed(f"the embedded PostgreSQL did not stop: {_one_line(done.stdout)}")


def _said_since(lengths: dict[Path, int], log_folder: Path) -> str:
    """What was added to the logs; the server's log process may write its last words a moment after the server ended."""
    deadline = time.monotonic() + _LOG_DELAY
    while True:
        logs = sorted(log_folder.glob("postgres-*.log"))
        said = "".join(_words_since(path, lengths.get(path, 0)) for path in logs)
        if _TELLING.search(said) or time.monotonic() > deadline:
            return said
        time.sleep(0.02)


def _words_since(log: Path, length: int) -> str:
    try:
        with log.open(errors="replace") as file:
            file.seek(length)
            return file.read(20_000)
    except OSError:
        return ""


def _one_line(text: str) -> str:
    """The lines that name the trouble, or the last one, on one line and without their time stamps."""
    lines = [_TIME_STAMP.sub("", line.strip()) for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return " ".join(telling[:4] or lines[-1:]) or "it said nothing"
