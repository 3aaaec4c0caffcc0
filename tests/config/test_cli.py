"""The `beforehand` command from outside: exit codes, one-line refusals, answers for programs."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bh-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "home"
    shutil.rmtree(folder)


def beforehand(home: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BEFOREHAND_")}
    environ |= {"BEFOREHAND_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    environ |= {f"BEFOREHAND_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "beforehand.config.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


@pytest.mark.parametrize("command", ["up", "web", "worker", "migrate", "doctor"])
def test_a_wrong_setting_stops_every_command_with_one_line(home: Path, command: str) -> None:
    done = beforehand(home, command, SMTP_URL="smtp://u:hidden@mail.example:port")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "beforehand: BEFOREHAND_SMTP_URL has an impossible port or address\n"
    assert not home.exists()


@pytest.mark.parametrize("command", ["web", "worker"])
def test_web_and_worker_say_how_to_start_the_database(home: Path, command: str) -> None:
    done = beforehand(home, command)
    assert done.returncode == 1
    assert "`beforehand database start`" in done.stderr
    assert done.stderr.count("\n") == 1


def test_up_refuses_a_port_that_is_taken_before_it_starts_anything(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        done = beforehand(home, "up", BIND=bind)
    assert done.returncode == 1
    assert done.stderr == f"beforehand: BEFOREHAND_BIND {bind} cannot be used: Address already in use\n"
    assert not home.exists()


@pytest.mark.faults
def test_the_database_can_be_started_looked_at_and_stopped_by_itself(home: Path) -> None:
    assert beforehand(home, "database", "status").returncode == 3
    assert beforehand(home, "database", "start").returncode == 0
    status = json.loads(beforehand(home, "database", "status", "--json").stdout)
    assert (status["state"], status["home"]) == ("running", str(home))
    assert beforehand(home, "database", "url").stdout.startswith("postgresql://beforehand:")
    assert beforehand(home, "database", "stop").returncode == 0
    assert beforehand(home, "database", "status").returncode == 3


def test_somebody_elses_database_is_not_started_or_stopped(home: Path) -> None:
    done = beforehand(home, "database", "stop", DATABASE_URL="postgresql://u:p@db.example/n")
    assert done.returncode == 1
    assert "a server of your own" in done.stderr


def test_doctor_names_what_is_wrong_and_what_to_do(home: Path) -> None:
    done = beforehand(home, "doctor", "--json", SMTP_URL="smtp://127.0.0.1:1", SMPT_URL="x")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["ok"] is False
    found = {finding["check"]: finding for finding in answer["findings"]}
    assert found["settings"]["remedy"] == "did you mean BEFOREHAND_SMTP_URL?"
    assert found["mail"]["state"] == "failed"
    assert "127.0.0.1:1" in found["mail"]["found"]
    assert (found["database"]["state"], found["disk"]["state"]) == ("failed", "ok")
    assert all(finding["remedy"] for finding in answer["findings"] if finding["state"] != "ok")
    assert not home.exists(), "looking changes nothing"


def test_doctor_speaks_to_people_too(home: Path) -> None:
    done = beforehand(home, "doctor", SMTP_URL="smtp://127.0.0.1:1")
    assert "✘ mail" in done.stdout
    assert "→ set BEFOREHAND_SMTP_URL" in done.stdout
