"""A database in one file and back, with PostgreSQL's own pg_dump, pg_restore and psql.

The file is pg_dump's custom format: it can be read, and put back, by whoever has PostgreSQL and nothing of ours.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psycopg
from psycopg.pq import Conninfo

from beforehand.kit.postgres.account import Account
from beforehand.kit.postgres.binaries import PREFERRED_VERSIONS, Binaries, wheel_binaries
from beforehand.kit.postgres.errors import BinariesMissing, DumpFailed

PROGRAMS = ("pg_dump", "pg_restore", "psql")
_DEBIAN = Path("/usr/lib/postgresql")
_HOW = "install PostgreSQL's client programs (Debian: apt install postgresql-client)"


def client_programs(url: str) -> Binaries:
    """The client programs of the server's major version, or of the nearest later one: never older, which pg_dump refuses.

    And no later than needed, because what a later one writes may be beyond the server. Raises BinariesMissing.
    """
    with psycopg.connect(url, connect_timeout=10) as connection:
        server = connection.info.server_version // 10_000
    fitting = [found for found in _installed() if found.major >= server]
    if not fitting:
        raise BinariesMissing(f"there is no pg_dump here for the server's PostgreSQL {server}: {_HOW}")
    return min(fitting, key=lambda found: found.major)


def dump(url: str, to: Path) -> None:
    """Write the database to the new file `to`, readable by oneself only; a file that is there is whole. Raises DumpFailed."""
    draft = to.with_name(f".{to.name}.part")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            command = [_program(client_programs(url), "pg_dump"), "--format=custom", "--no-owner", "--no-privileges"]
            _run(command, url=url, output=file)
            os.fsync(file.fileno())
        draft.rename(to)
    finally:
        draft.unlink(missing_ok=True)


def rows_of_dump(dumped: Path, table: str, *, programs: Binaries) -> Iterator[list[str]]:
    """The rows of one small table in a dump, as COPY writes them; no database is touched. Raises DumpFailed."""
    command = [_program(programs, "pg_restore"), "--data-only", f"--table={table}", "--file=-", str(dumped)]
    inside = False
    for line in _run(command).decode().splitlines():
        if inside and line == "\\.":
            return
        if inside:
            yield line.split("\t")
        inside = inside or line.startswith(f"COPY public.{table} ")


def load(dumped: Path, *, url: str, before: str, after: str) -> None:
    """Put a dump into the database, between two pieces of SQL, all in one transaction. Raises DumpFailed.

    What fails on the way leaves the database as it was.
    """
    programs = client_programs(url)
    unpack = [_program(programs, "pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(dumped)]
    put = [_program(programs, "psql"), "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
    with (
        tempfile.TemporaryFile() as unpack_said,
        tempfile.TemporaryFile() as put_said,
        subprocess.Popen(unpack, stdout=subprocess.PIPE, stderr=unpack_said, env=_environment()) as unpacking,
        subprocess.Popen(
            [*put, "--file=-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=put_said,
            env=_environment(url),
        ) as putting,
    ):
        assert unpacking.stdout is not None
        assert putting.stdin is not None
        try:
            putting.stdin.write(before.encode())
            shutil.copyfileobj(unpacking.stdout, putting.stdin, 1 << 20)
            is_whole = unpacking.wait() == 0
            if not is_whole:
                putting.kill()  # an end of its input would be a commit; a client that is gone is a roll-back
                raise DumpFailed(f"{dumped} cannot be read: {_one_line(unpack_said)}")
            putting.stdin.write(f"RESET search_path;\n{after}".encode())  # the dump empties it
            putting.stdin.close()
        except BrokenPipeError:
            unpacking.kill()
        if putting.wait() != 0:
            raise DumpFailed(f"the database refused {dumped} and is as it was: {_one_line(put_said)}")


def _installed() -> Iterator[Binaries]:
    """Every set of client programs on this machine."""
    for version in PREFERRED_VERSIONS:
        try:
            yield wheel_binaries(version)
        except BinariesMissing:
            continue
    folders = [path.parent for path in _DEBIAN.glob("*/bin/pg_dump")]
    on_path = shutil.which("pg_dump")
    for folder in [*folders, *([Path(on_path).parent] if on_path else [])]:
        said = _account().run([folder / "pg_dump", "--version"]).stdout
        found = re.search(r"\b(\d+(?:\.\d+)*)", said)
        if found and all((folder / name).exists() for name in PROGRAMS):
            yield Binaries(bin=folder, version=found[1])


def _account() -> Account:
    return Account(name="", uid=os.geteuid(), gid=os.getegid())


def _program(programs: Binaries, name: str) -> str:
    return str(programs.program(name))


def _run(command: list[str], *, url: str | None = None, output: IO[bytes] | int = subprocess.PIPE) -> bytes:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, env=_environment(url), check=False
    )
    if done.returncode != 0:
        raise DumpFailed(f"{Path(command[0]).name} failed: {_shortened(done.stderr)}")
    return done.stdout or b""


def _environment(url: str | None = None) -> dict[str, str]:
    """Our own, with the connection in variables: on a command line everybody could read the password."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "BEFOREHAND_"))}
    ours["LC_ALL"] = "C"
    for option in Conninfo.parse(url.encode()) if url else ():
        if option.val is not None and option.envvar:
            ours[option.envvar.decode()] = option.val.decode()
    return ours


def _one_line(said: IO[bytes]) -> str:
    said.seek(0)
    return _shortened(said.read())


def _shortened(said: bytes) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    return " ".join((lines or ["it said nothing"])[:3])[:500]
