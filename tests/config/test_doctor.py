"""What doctor says of each thing that can be wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from beforehand.config import doctor
from beforehand.config.doctor import State
from beforehand.config.environment import Environment, read_environment
from beforehand.kit.postgres import temporary_server


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return read_environment({"BEFOREHAND_HOME": str(tmp_path / "home")}, is_root=False)


@pytest.mark.parametrize(
    ("seconds", "state", "words"),
    [
        (0.4, State.OK, "400 ms"),
        (-1.9, State.OK, "1900 ms"),
        (3, State.FAILED, "3.0 s ahead"),
        (-9, State.FAILED, "behind"),
    ],
)
def test_clocks_may_differ_by_two_seconds(seconds: float, state: State, words: str) -> None:
    here = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    finding = doctor.check_clock(here=here, there=here + timedelta(seconds=seconds))
    assert finding.state is state
    assert words in finding.found


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("http://127.0.0.1:8000", State.WARNING),
        ("http://localhost", State.WARNING),
        ("http://care.example.com", State.WARNING),
        ("https://care.example.com", State.OK),
    ],
)
def test_a_link_must_open_where_the_customer_is(environment: Environment, url: str, state: State) -> None:
    assert doctor.check_base_url(replace(environment, base_url=url)).state is state


def test_without_a_mailbox_nothing_is_tried_and_it_says_what_would_read_replies(environment: Environment) -> None:
    found = doctor.check_replies(environment.imap_url)
    assert (found.state, found.found) == (State.OK, "no mailbox is set up, so no mail is read")
    assert "BEFOREHAND_IMAP_URL" in found.remedy


def test_debugging_in_public_fails(environment: Environment) -> None:
    public = replace(environment, base_url="https://care.example.com", debug=True)
    assert doctor.check_base_url(public).state is State.FAILED


def test_a_home_that_others_can_change_fails_with_the_command_that_closes_it(environment: Environment) -> None:
    home = environment.home
    (home / "postgres").mkdir(parents=True)
    for folder, mode in ((home, 0o755), (home / "postgres", 0o700)):
        folder.chmod(mode)
    assert [finding.state for finding in doctor.check_home(environment)] == [State.OK]
    home.chmod(0o775)
    (home / "postgres").chmod(0o750)
    assert [(finding.state, finding.remedy) for finding in doctor.check_home(environment)] == [
        (State.FAILED, f"chmod 755 {home}"),
        (State.FAILED, f"chmod 700 {home / 'postgres'}"),
    ]


def test_a_key_is_judged_by_where_it_is_kept(environment: Environment) -> None:
    assert doctor.check_secret_key(environment).state is State.WARNING
    assert doctor.check_secret_key(replace(environment, secret_key="k" * 40)).state is State.OK
    environment.home.mkdir()
    environment.secret_key_file.write_text("k" * 40)
    environment.secret_key_file.chmod(0o644)
    assert doctor.check_secret_key(environment).state is State.FAILED
    environment.secret_key_file.chmod(0o600)
    assert doctor.check_secret_key(environment).state is State.OK
    shared = replace(environment, database_url="postgresql://u:p@h/n")
    assert doctor.check_secret_key(shared).state is State.WARNING


@pytest.mark.parametrize(("gigabytes", "state"), [(0.5, State.FAILED), (3, State.WARNING), (50, State.OK)])
def test_a_full_disk_is_told_in_time(monkeypatch: pytest.MonkeyPatch, gigabytes: float, state: State) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=gigabytes * 1024**3))
    assert doctor.check_disk(Path("/nowhere/at/all")).state is state


def test_a_server_that_is_right_passes_and_one_in_latin_1_does_not() -> None:
    with temporary_server() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            assert {finding.state for finding in doctor.check_server(connection)} == {State.OK}
            connection.execute(
                "CREATE DATABASE old ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
            )
        with psycopg.connect(url, dbname="old") as connection:
            states = {finding.check: finding.state for finding in doctor.check_server(connection)}
        assert states == {"database": State.OK, "encoding": State.FAILED, "clock": State.OK}


def test_a_database_that_does_not_answer_is_one_finding(environment: Environment) -> None:
    away = replace(environment, database_url="postgresql://u:p@127.0.0.1:1/n")
    [finding] = doctor.check_database(away)
    assert (finding.check, finding.state) == ("database", State.FAILED)
    assert "refused" in finding.found
