"""`beforehand demo` from outside: it touches nothing that is not its own, and leaves nothing running."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from beforehand.config.commands import CommandError, demo
from beforehand.config.setting_values import database_url as read_database_url
from beforehand.demo.company import FEWEST_CUSTOMERS


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bh-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "home"
    shutil.rmtree(folder)


def command(home: Path, *words: str) -> tuple[list[str], dict[str, str]]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BEFOREHAND_")}
    environ |= {"BEFOREHAND_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    return [sys.executable, "-m", "beforehand.config.cli", "demo", *words], environ


def refused(home: Path, *words: str) -> str:
    line, environ = command(home, *words)
    done = subprocess.run(line, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_a_port_that_was_asked_for_and_is_taken_is_refused_before_anything_starts(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert refused(home, "--port", port) == f"beforehand: --port {port} cannot be used: Address already in use\n"
    assert not home.exists()


def test_when_the_usual_port_is_taken_it_says_so_and_takes_another(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        usual = taken.getsockname()[1]
        monkeypatch.setattr(demo, "USUAL_PORT", usual)
        port = demo._free_port(None)
    assert port != usual
    assert f"Port {usual} cannot be used" in capsys.readouterr().err


def test_too_few_customers_for_the_story_are_refused(home: Path) -> None:
    assert "--customers should be" in refused(home, "--customers", "10")


def test_a_folder_that_no_demo_has_made_stays_as_it_is(home: Path) -> None:
    (home / "demo").mkdir(parents=True)
    (home / "demo" / "precious").write_text("kept")
    assert "is not a folder that a demo has made" in refused(home)
    assert (home / "demo" / "precious").read_text() == "kept"


def test_a_real_installations_settings_do_not_reach_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEFOREHAND_SMTP_URL", "smtp://mail.company.example")
    monkeypatch.setenv("BEFOREHAND_SECRET_KEY", "the-real-installation's-secret-key-0123")
    monkeypatch.setenv("BEFOREHAND_SYSTEM_USER", "somebody")
    environ = demo._environ(home, 8123)
    assert "BEFOREHAND_SMTP_URL" not in environ
    assert "BEFOREHAND_SECRET_KEY" not in environ
    assert environ["BEFOREHAND_SYSTEM_USER"] == "somebody"
    assert environ["BEFOREHAND_HOME"] == str(home)


def names_of(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("SELECT datname FROM pg_database")}


def test_on_a_server_of_ones_own_it_makes_a_database_beside_the_real_one_and_drops_it(database_url: str) -> None:
    name = conninfo_to_dict(database_url)["dbname"]
    url = f"postgresql:///?{'&'.join(f'{k}={v}' for k, v in conninfo_to_dict(database_url).items())}"
    with demo._own_database(url, keep=True) as own:
        assert own is not None
        with psycopg.connect(read_database_url(own)) as connection:
            assert connection.info.dbname == f"{name}_demo"
            connection.execute("CREATE TABLE left_over ()")
    with demo._own_database(url, keep=False) as own:
        assert own is not None
        with psycopg.connect(own) as connection:
            assert connection.execute("SELECT to_regclass('left_over')").fetchone() == (None,)
    assert f"{name}_demo" not in names_of(url)


def test_a_database_of_that_name_that_no_demo_has_made_is_not_touched(database_url: str) -> None:
    name = conninfo_to_dict(database_url)["dbname"]
    url = f"postgresql:///?{'&'.join(f'{k}={v}' for k, v in conninfo_to_dict(database_url).items())}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}_demo"')
        with pytest.raises(CommandError, match="no demo has made"), demo._own_database(url, keep=False):
            pass
        assert f"{name}_demo" in names_of(url)
        connection.execute(f'DROP DATABASE "{name}_demo"')


def test_a_server_that_cannot_be_reached_is_named_in_one_line() -> None:
    url = "postgresql://nobody@127.0.0.1:1/company"
    with (
        pytest.raises(CommandError, match="company_demo for the demo cannot be made"),
        demo._own_database(url, keep=False),
    ):
        pass


def processes_of(home: Path) -> set[int]:
    """Processes whose command line or environment names this home."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if str(home).encode() in told and state != "Z":
            found.add(int(folder.name))
    return found


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_however_it_ends_no_process_of_it_goes_on(home: Path, number: signal.Signals) -> None:
    line, environ = command(home, "--exit", "--customers", str(FEWEST_CUSTOMERS), "--port", str(free_port()))
    with (
        (home.parent / "said").open("w") as said,
        subprocess.Popen(line, env=environ, stdout=subprocess.PIPE, stderr=said, text=True) as running,
    ):
        assert running.stdout is not None
        while "Console" not in running.stdout.readline():  # all is up, and the company is about to be loaded
            assert running.poll() is None, (home.parent / "said").read_text()
        assert len(processes_of(home)) > 5
        running.send_signal(number)
        running.stdout.read()
        # Interrupted within exec(), in the import of a dataclass say, Python itself ends by the signal after cleaning up.
        assert running.wait(60) in {signal.SIGINT: (130, -2), signal.SIGKILL: (-9,)}[number]
    deadline = time.monotonic() + 60
    while processes_of(home) and time.monotonic() < deadline:
        os.sched_yield()
    assert processes_of(home) == set()
    assert (home / "demo").exists() == (number == signal.SIGKILL)
    if number == signal.SIGKILL:  # the next one clears away what was left
        demo._remove(home / "demo", Namespace(system_user="beforehand"))  # type: ignore[arg-type]
        assert not (home / "demo").exists()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
