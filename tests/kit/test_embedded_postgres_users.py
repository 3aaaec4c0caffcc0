"""Whose the embedded server is: what root's start does, and an ordinary user's. Root can play both parts."""

import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.disks import fast_folder

from beforehand.kit.postgres import AccountRefused, EmbeddedServer, FolderRefused, account, server
from beforehand.kit.postgres.binaries import binaries_in, wheel_binaries

pytestmark = [pytest.mark.faults, pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")]

# Everything is loaded before the user changes: the interpreter itself may lie in a folder that is closed to others.
AS_SOMEBODY = """
import json, os, pathlib, pwd, signal, sys
import psycopg
from beforehand.kit.postgres import EmbeddedServer, temporary_server
try:
    psycopg.connect("postgresql://nobody@/x?host=/nowhere")
except psycopg.OperationalError:
    pass
user = pwd.getpwnam("nobody")
os.setgroups([]), os.setgid(user.pw_gid), os.setuid(user.pw_uid)
os.umask(0o022)
server = EmbeddedServer(pathlib.Path(sys.argv[1]))
url = server.start()
with psycopg.connect(url) as connection:
    connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 10) AS n")
first = server.status().pid
os.kill(first, signal.SIGKILL)
server.start()
with psycopg.connect(url) as connection:
    kept = connection.execute("SELECT count(*) FROM kept").fetchone()[0]
uid = os.stat(f"/proc/{server.status().pid}").st_uid
server.stop()
with temporary_server() as throwaway, psycopg.connect(throwaway) as connection:
    fsync = connection.execute("SHOW fsync").fetchone()[0]
print(json.dumps({"uid": uid, "kept": kept, "state": server.status().state, "fsync": fsync}))
"""


@pytest.fixture
def place() -> Iterator[Path]:
    folder = fast_folder()
    yield folder
    for data in folder.rglob("postgres/data"):
        EmbeddedServer(data.parent.parent).stop()
    shutil.rmtree(folder)


def test_an_ordinary_user_starts_crashes_and_stops_a_server_of_their_own(place: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    own = place / "own"
    own.mkdir(mode=0o700)
    os.chown(own, nobody.pw_uid, nobody.pw_gid)
    done = subprocess.run(
        [sys.executable, "-c", AS_SOMEBODY, str(own / ".local" / "share" / "beforehand")],
        capture_output=True, text=True, check=False, cwd="/", env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"uid": nobody.pw_uid, "kept": 10, "state": "stopped", "fsync": "off"}
    assert own.stat().st_mode & 0o777 == 0o700


def test_roots_server_runs_as_a_system_user_without_roots_groups(place: Path) -> None:
    embedded = EmbeddedServer(place / "home")
    embedded.start()
    status = Path(f"/proc/{embedded.status().pid}/status").read_text()
    entry = pwd.getpwnam("beforehand")
    facts = dict(line.split(":", 1) for line in status.splitlines())
    assert set(facts["Uid"].split()) == {str(entry.pw_uid)}
    assert set(facts["Gid"].split()) == {str(entry.pw_gid)}
    assert "0" not in facts["Groups"].split()
    assert (embedded.home.stat().st_uid, embedded.home.stat().st_mode & 0o777) == (entry.pw_uid, 0o700)


def test_programs_in_a_closed_folder_are_copied_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    package = wheel_binaries().bin.parents[1]
    shutil.copytree(package / "pginstall18", closed / package.name / "pginstall18", symlinks=True)
    shutil.copytree(f"{package}.libs", closed / f"{package.name}.libs")
    hidden = binaries_in(closed / package.name / "pginstall18")
    monkeypatch.setattr(server, "wheel_binaries", lambda _=None: hidden)
    embedded = EmbeddedServer(place / "home")
    url = embedded.start()
    copy = place / "home" / f"pg-{hidden.version}"
    made = copy.stat().st_ctime_ns
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert os.readlink(f"/proc/{embedded.status().pid}/exe") == str(
        copy / package.name / "pginstall18" / "bin" / "postgres"
    )
    embedded.stop()
    embedded.start()
    assert copy.stat().st_ctime_ns == made
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_home_in_a_closed_folder_is_refused_and_stays_closed(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    (closed / "home").mkdir()
    with pytest.raises(FolderRefused, match=f"cannot enter {closed}: set BEFOREHAND_HOME"):
        EmbeddedServer(closed / "home").start()
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_somebody_else_is_refused(place: Path) -> None:
    (place / "home" / "postgres").mkdir(parents=True)
    with pytest.raises(FolderRefused, match="belongs to user 0, not to beforehand: chown -R beforehand"):
        EmbeddedServer(place / "home").start()


def test_a_link_in_place_of_a_folder_is_refused(place: Path) -> None:
    (place / "home").mkdir()
    (place / "home" / "postgres").symlink_to("/etc")
    with pytest.raises(FolderRefused, match="is in the way"):
        EmbeddedServer(place / "home").start()


def test_a_system_user_that_cannot_be_made_is_told_with_its_remedy(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account.shutil, "which", lambda *_, **__: None)
    with pytest.raises(AccountRefused, match="useradd --system --user-group no-such-user"):
        EmbeddedServer(place / "home", system_user="no-such-user").start()
    with pytest.raises(AccountRefused, match="PostgreSQL refuses the user root"):
        EmbeddedServer(place / "home", system_user="root").start()
    assert list(place.iterdir()) == []
