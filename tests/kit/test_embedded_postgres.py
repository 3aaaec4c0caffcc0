"""The embedded server, for real: as the user who runs the tests; as root that means the system user."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.disks import fast_folder

from beforehand.kit.postgres import EmbeddedServer, FolderRefused, ServerState, StartFailed, temporary_server
from beforehand.kit.postgres.account import server_account
from beforehand.kit.postgres.postmaster import living_postmaster

pytestmark = pytest.mark.faults
DEBIAN = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture
def place() -> Iterator[Path]:
    """A short folder that the server's user can pass; pytest's own are closed to others."""
    folder = fast_folder()
    yield folder
    for data in folder.rglob("postgres/data"):
        EmbeddedServer(data.parent.parent).stop()
    shutil.rmtree(folder)


@pytest.fixture
def server(place: Path) -> EmbeddedServer:
    return EmbeddedServer(place / "home")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def socket_folder(url: str) -> Path:
    return Path(str(conninfo_to_dict(url)["host"]))


def one(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]


def test_a_first_start_makes_a_utf8_database_with_its_own_role(server: EmbeddedServer) -> None:
    assert server.status().state is ServerState.ABSENT
    url = server.start()
    assert server.status().state is ServerState.RUNNING
    assert one(url, "SHOW server_encoding") == "UTF8"
    assert one(url, "SELECT upper('é') || lower('ДЖ')") == "Éдж"
    assert one(url, "SELECT 'Z' < 'a' COLLATE \"default\"") is True
    assert one(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    assert (
        one(url, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()") == "beforehand"
    )
    assert one(url, "SHOW data_checksums") == "on"
    assert one(url, "SHOW fsync") == "on"


def test_a_second_start_answers_the_same_and_leaves_the_server_alone(server: EmbeddedServer) -> None:
    url = server.start()
    pid = server.status().pid
    other = EmbeddedServer(server.home)
    assert other.start() == url
    assert other.status().pid == pid
    assert (server.started_here, other.started_here) == (True, False)


def test_it_stops_at_the_end_of_the_block_that_started_it_and_of_no_other(server: EmbeddedServer) -> None:
    with server:
        with EmbeddedServer(server.home):
            pass
        assert server.status().state is ServerState.RUNNING
    assert server.status().state is ServerState.STOPPED


def test_a_connection_without_the_password_is_refused(server: EmbeddedServer) -> None:
    url = server.start()
    for user in ("beforehand", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(url, user=user, password="")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url, user=user, password="guess")


def test_it_listens_on_no_network_unless_a_port_is_asked_for(server: EmbeddedServer) -> None:
    url = server.start()
    assert one(url, "SHOW listen_addresses") == ""
    server.stop()
    port = 20_000 + os.getpid() % 10_000
    url = EmbeddedServer(server.home, port=port).start()
    assert one(url, "SHOW listen_addresses") == "127.0.0.1"
    password = (server.base / "password").read_text().strip()
    assert one(f"postgresql://beforehand:{password}@127.0.0.1:{port}/beforehand", "SELECT 1") == 1


def test_everything_it_makes_is_private_and_what_was_there_keeps_its_mode(place: Path) -> None:
    parents = {
        place: 0o755,
        place / "srv": 0o751,
        place / "srv" / "data": 0o775,
        place / "srv" / "data" / "home": 0o755,
    }
    for folder, wanted in parents.items():
        folder.mkdir(exist_ok=True)
        folder.chmod(wanted)
    owners = {folder: folder.stat().st_uid for folder in parents}
    server = EmbeddedServer(place / "srv" / "data" / "home")
    server.start()
    assert {folder: mode(folder) for folder in parents} == parents
    assert {folder: folder.stat().st_uid for folder in parents} == owners
    account = server_account()
    for private in (server.base, server.data, server.base / "run", server.log_folder):
        assert (mode(private), private.stat().st_uid) == (0o700, account.uid), private
    for secret in (server.base / "password", server.base / "superuser-password"):
        assert (mode(secret), secret.stat().st_uid) == (0o600, account.uid), secret


def test_a_new_home_is_private_and_its_new_parents_can_be_passed(place: Path) -> None:
    old = os.umask(0o077 if os.geteuid() == 0 else 0o022)
    try:
        server = EmbeddedServer(place / "new" / "parents" / "home")
        server.start()
    finally:
        os.umask(old)
    assert mode(server.home) == 0o700
    assert mode(place / "new") == 0o755


def test_a_path_of_120_characters_gets_a_private_socket_folder_elsewhere(place: Path) -> None:
    home = place / ("long-" * 30)[: 120 - len(str(place)) - 1]
    assert len(str(home)) == 120
    server = EmbeddedServer(home)
    url = server.start()
    folder = socket_folder(url)
    assert folder.parent == Path("/tmp")
    assert (mode(folder), folder.stat().st_uid) == (0o700, server_account().uid)
    server.stop()
    assert server.start() == url
    server.stop()
    shutil.rmtree(folder)  # as when the machine restarts
    assert server.start() == url
    server.stop()
    shutil.rmtree(folder)
    folder.symlink_to(place)  # as when somebody took the name meanwhile
    other = server.start()
    assert other != url
    assert one(other, "SELECT 1") == 1
    folder.unlink()
    shutil.rmtree(socket_folder(other))


@pytest.mark.parametrize("name", ["with spaces in it", "comma, quote' and 100%", "عربي"])
def test_odd_paths_work(place: Path, name: str) -> None:
    server = EmbeddedServer(place / name)
    url = server.start()
    assert one(url, "SELECT 1") == 1
    folder = socket_folder(url)
    server.stop()
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["back`tick", "dollar$HOME", 'quote"', "back\\slash"])
def test_a_path_that_a_shell_would_read_is_refused(place: Path, name: str) -> None:
    with pytest.raises(FolderRefused, match="cannot be the home folder"):
        EmbeddedServer(place / name).start()
    assert list(place.iterdir()) == []


def test_after_kill_9_of_the_server_every_commit_is_still_there(server: EmbeddedServer) -> None:
    url = server.start()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 10000) AS n")
    for _ in range(3):
        # A backend is at work while its server is killed: it holds the shared memory for a moment longer.
        busy = psycopg.connect(url, autocommit=True)
        busy.execute("SELECT 1")
        pid = server.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert server.start() == url
        assert server.status().pid != pid
        assert one(url, "SELECT count(*) FROM kept") == 10000
        busy.close()


def test_a_lock_file_that_names_a_living_stranger_does_not_stop_the_start(server: EmbeddedServer) -> None:
    url = server.start()
    server.stop()
    # As after a crash of a container: the old number is now another process's, here one of the server's own user.
    with server_account().popen(["/bin/sleep", "600"]) as stranger:
        lock = server.data / "postmaster.pid"
        lock.write_text(f"{stranger.pid}\n{server.data}\n1\n5432\n\n\n     0         0\nready   \n")
        account = server_account()
        os.chown(lock, account.uid, account.gid)
        assert server.status().state is ServerState.STOPPED
        assert server.start() == url
        assert stranger.poll() is None
        stranger.kill()


def test_two_starters_at_once_make_one_server_and_both_connect(server: EmbeddedServer) -> None:
    script = (
        "import sys, pathlib, psycopg\n"
        "from beforehand.kit.postgres import EmbeddedServer\n"
        "server = EmbeddedServer(pathlib.Path(sys.argv[1]))\n"
        "url = server.start()\n"
        "psycopg.connect(url).execute('SELECT 1')\n"
        "print(server.started_here, server.status().pid, url)\n"
    )

    def start(_: int) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", script, str(server.home)],
            capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        return done.stdout.split()

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(start, range(3)))
    assert sorted(started for started, _, _ in answers) == ["False", "False", "True"]
    assert len({tuple(rest) for _, *rest in answers}) == 1
    assert server.status().state is ServerState.RUNNING, "the server outlives those who started it"


def test_a_first_start_that_was_killed_halfway_is_begun_again(server: EmbeddedServer) -> None:
    url = server.start()
    server.stop()
    server.data.rename(server.base / "data.new")
    (server.base / "data.new" / "PG_VERSION").unlink()
    assert server.start() == url


def test_a_lost_password_is_replaced_and_the_data_stays(server: EmbeddedServer) -> None:
    url = server.start()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    (server.base / "password").unlink()
    (server.base / "password").write_text("another-password\n")
    (server.base / "password").chmod(0o600)
    assert one(server.start(), "SELECT count(*) FROM kept") == 0


def test_a_broken_configuration_is_told_in_one_line(server: EmbeddedServer) -> None:
    server.start()
    server.stop()
    (server.data / "local.conf").write_text("shared_buffers = 'plenty'\n")
    with pytest.raises(StartFailed, match=r"did not start: .*plenty") as caught:
        server.start()
    assert "\n" not in str(caught.value)


def test_data_of_another_version_asks_for_its_programs(server: EmbeddedServer) -> None:
    server.start()
    server.stop()
    (server.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(Exception, match="the data is of PostgreSQL 17, whose programs are missing"):
        server.start()
    (server.data / "PG_VERSION").write_text("18\n")


def test_data_of_an_older_version_that_we_have_starts_with_its_own_programs(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beforehand.kit.postgres.binaries.PREFERRED_VERSIONS", (16,))
    server.start()
    server.stop()
    monkeypatch.undo()
    assert str(one(server.start(), "SHOW server_version")).startswith("16.")


@pytest.mark.parametrize("is_on_tcp", [False, True])
def test_a_temporary_server_leaves_nothing_behind(is_on_tcp: bool) -> None:
    with temporary_server(is_on_tcp=is_on_tcp) as url:
        assert one(url, "SHOW fsync") == "off"
        data = Path(str(one(url, "SHOW data_directory")))
        assert living_postmaster(data) is not None
    assert not data.parent.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


@pytest.mark.skipif(not DEBIAN.exists(), reason="Debian's PostgreSQL 15 is not installed")
def test_a_temporary_server_runs_other_programs_too() -> None:
    with temporary_server(DEBIAN) as url:
        assert str(one(url, "SHOW server_version")).startswith("15.")
        assert one(url, "SHOW server_encoding") == "UTF8"


def test_a_temporary_server_goes_when_its_maker_is_killed() -> None:
    script = (
        "import sys\n"
        "from beforehand.kit.postgres import temporary_server\n"
        "with temporary_server() as url:\n"
        "    print(url, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    maker = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert maker.stdin is not None
    assert maker.stdout is not None
    url = maker.stdout.readline().strip()
    with psycopg.connect(url) as watcher:
        watcher.execute("SELECT 1")
        maker.kill()
        maker.communicate()
        # The server's end closes our connection; asking blocks until then, at most as long as the query sleeps.
        with pytest.raises(psycopg.OperationalError):
            watcher.execute("SELECT pg_sleep(30)")
