"""`beforehand backup`, `restore` and `upgrade`, with real databases: what was written after the backup is gone, and nothing else."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.loader import MigrationLoader
from psycopg.conninfo import conninfo_to_dict
from tests.cast import Cast, make_cast
from tests.driving import wait_until_readable
from tests.faults.conftest import leave_server, own_server
from tests.faults.processes import database_url as url_of_now

from beforehand.accounts.installation import installation
from beforehand.accounts.models import SettingVersion, User
from beforehand.config.cli import main
from beforehand.config.erased import keep_erased
from beforehand.customers.actions import upsert_customers
from beforehand.customers.erasure import erase_customer, erased_customers
from beforehand.customers.models import ContactPoint, Customer
from beforehand.events import subscriptions
from beforehand.events.actions import append_event
from beforehand.events.models import Event, SubscriptionCursor
from beforehand.events.places import place_now
from beforehand.events.subscriptions import StoredEvent, ensure_cursors, run_all_once
from beforehand.kit.rows import execute, fetch

__all__ = ["own_server"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def own_database(
    transactional_db: None, database_url: str, server_url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A database of the test's own, filled with the cast's tables, that Django and the commands use."""
    usual = dict(connection.settings_dict)
    leave_server()
    name = conninfo_to_dict(database_url)["dbname"]
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{usual["NAME"]}"')  # empty now, and quicker than to migrate
    connection.settings_dict.update(NAME=name)
    monkeypatch.setenv("BEFOREHAND_DATABASE_URL", url_of_now())
    monkeypatch.setenv("BEFOREHAND_HOME", str(home))
    try:
        yield database_url
    finally:
        leave_server()
        connection.settings_dict.update(usual)


@pytest.fixture
def cast(own_database: str) -> Cast:
    return make_cast()


def backup(to: Path) -> Path:
    leave_server()
    assert main(["backup", str(to)]) == 0
    return to


def restore(*words: str | Path) -> int:
    leave_server()
    return main(["restore", *map(str, words)])


class Ear:
    """A subscriber of its own that writes down what it heard."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(subscriptions, "_subscriptions", {})
        monkeypatch.setattr(subscriptions, "import_module", lambda _: None)
        self.heard: list[int] = []
        subscriptions.subscriber("ear", types=("thing.happened",))(self._hear)
        ensure_cursors()

    def _hear(self, events: list[StoredEvent]) -> None:
        self.heard += [event.data["number"] for event in events]

    def listen(self) -> list[int]:
        wait_until_readable()
        while run_all_once():
            pass
        return self.heard


def happen(*numbers: int) -> None:
    for number in numbers:
        append_event(type="thing.happened", data={"number": number})


def test_what_came_after_the_backup_is_gone_and_readers_go_on_without_a_gap(
    cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    ear = Ear(monkeypatch)
    happen(1, 2)
    assert ear.listen() == [1, 2]
    happen(3)  # in the backup, and not heard yet
    file = backup(tmp_path / "a.dump")
    for _ in range(50):
        happen(4)
    ear.listen()
    lost = place_now()
    upsert_customers([{"external_id": "late", "name": "Late Comer"}], actor="test", source="test")

    assert restore(file, "--replace", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["customers"] == 5

    assert not Customer.objects.filter(external_id="late").exists()
    ear.heard.clear()
    happen(5, 6)
    assert ear.listen() == [3, 5, 6]
    newest = Event.objects.order_by("-epoch", "-xid", "-id")[0]
    assert newest.epoch > lost.epoch
    assert SubscriptionCursor.objects.get(name="ear").epoch == newest.epoch


def test_transaction_ids_that_begin_anew_hide_nothing_from_a_reader(
    cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear = Ear(monkeypatch)
    happen(1)
    ear.listen()
    # As if the backup came from a server that had seen many more transactions than this one ever will.
    execute("UPDATE events_event SET xid = '4000000000'::xid8")
    SubscriptionCursor.objects.update(xid=4_000_000_000)
    happen(2)
    execute("UPDATE events_event SET xid = '4000000001'::xid8 WHERE data ->> 'number' = '2'")
    restore(backup(tmp_path / "a.dump"), "--replace")
    happen(3)
    assert ear.listen() == [1, 2, 3]


def test_an_erased_customer_stays_erased(cast: Cast, tmp_path: Path) -> None:
    file = backup(tmp_path / "a.dump")
    erase_customer(cast.aisha.pk, reason="she asked", actor="test")
    erased = erased_customers()
    assert list(erased) == [cast.aisha.public_id]

    assert restore(file, "--replace") == 0
    assert Customer.objects.get(public_id=cast.aisha.public_id).name == "–"
    assert not ContactPoint.objects.filter(customer_id=cast.aisha.pk).exists()
    assert Customer.objects.get(pk=cast.bram.pk).name == "Bram de Vries"
    assert not fetch("SELECT 1 FROM events_eventprivate WHERE data::text LIKE '%%عائشة%%'")


def test_an_erasure_is_known_when_the_database_that_knew_of_it_is_lost(cast: Cast, home: Path, tmp_path: Path) -> None:
    file = backup(tmp_path / "a.dump")
    erase_customer(cast.aisha.pk, reason="she asked", actor="test")
    other_machine = tmp_path / "other"
    keep_erased(other_machine, erased_customers())
    leave_server()
    with psycopg.connect(url_of_now(), autocommit=True) as losing:
        losing.execute("DROP SCHEMA public CASCADE")
        losing.execute("CREATE SCHEMA public")
    assert restore(file, "--erased", other_machine / "erased.csv") == 0
    assert Customer.objects.get(public_id=cast.aisha.public_id).erased_at is not None


def test_an_id_that_was_given_out_after_the_backup_never_names_somebody_else(cast: Cast, tmp_path: Path) -> None:
    file = backup(tmp_path / "a.dump")
    upsert_customers([{"external_id": "late", "name": "Late Comer"}], actor="test", source="test")
    lost = Customer.objects.get(external_id="late").pk
    restore(file, "--replace")
    upsert_customers([{"external_id": "new", "name": "New Comer"}], actor="test", source="test")
    assert Customer.objects.get(external_id="new").pk > lost + 1_000_000


def test_nothing_is_sent_before_somebody_has_looked(cast: Cast, tmp_path: Path) -> None:
    file = backup(tmp_path / "a.dump")
    restore(file, "--replace")
    assert installation().sending_paused
    assert SettingVersion.objects.get(key="sending.paused").set_by == "restore"
    restore(file, "--replace", "--send")
    assert not installation().sending_paused


def test_a_database_that_holds_something_is_not_overwritten_without_a_word(
    cast: Cast, tmp_path: Path, capsys: Any
) -> None:
    file = backup(tmp_path / "a.dump")
    assert restore(file) == 1
    assert "holds 5 customers" in capsys.readouterr().err
    assert Customer.objects.count() == 5


def test_a_torn_or_foreign_file_changes_nothing(cast: Cast, tmp_path: Path, capsys: Any) -> None:
    file = backup(tmp_path / "a.dump")
    torn, foreign = tmp_path / "torn.dump", tmp_path / "foreign.dump"
    whole = file.read_bytes()
    # The table of contents is written twice, first and last; of the rows, which lie in between, some are missing now.
    heading = b"CREATE TABLE public.accounts_absence ("
    torn.write_bytes(whole[: whole.rindex(heading) - whole.index(heading) - 500])
    foreign.write_bytes(b"PGDMP" + b"\0" * 100)
    happen(1)
    for wrong in (torn, foreign):
        assert restore(wrong, "--replace") == 1
        assert "cannot be read" in (said := capsys.readouterr().err) or "pg_restore failed" in said
    assert Event.objects.filter(type="thing.happened").count() == 1
    assert Customer.objects.count() == 5


def test_a_backup_of_a_later_version_is_refused(cast: Cast, tmp_path: Path, capsys: Any) -> None:
    execute("INSERT INTO django_migrations (app, name, applied) VALUES ('customers', '0999_tomorrow', now())")
    file = backup(tmp_path / "a.dump")
    assert restore(file, "--replace") == 1
    assert "customers.0999_tomorrow: install that version first" in capsys.readouterr().err


def test_it_refuses_while_others_use_the_database(cast: Cast, tmp_path: Path, capsys: Any) -> None:
    file = backup(tmp_path / "a.dump")
    leave_server()
    with psycopg.connect(url_of_now()):
        assert main(["restore", str(file), "--replace"]) == 1
    assert "1 connections to the database are open: stop web and workers" in capsys.readouterr().err


def test_a_backup_is_private_and_overwrites_none(cast: Cast, tmp_path: Path, capsys: Any) -> None:
    file = backup(tmp_path / "a.dump")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    leave_server()
    assert main(["backup", str(file)]) == 1
    assert "exists" in capsys.readouterr().err
    assert main(["backup", str(tmp_path)]) == 0
    assert len(list(tmp_path.glob("beforehand-2*.dump"))) == 1


def test_an_embedded_server_is_backed_up_and_restored_too(
    own_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BEFOREHAND_DATABASE_URL")
    monkeypatch.setenv("BEFOREHAND_HOME", str(own_server.home))
    cast = make_cast()
    file = backup(tmp_path / "a.dump")
    erase_customer(cast.aisha.pk, reason="she asked", actor="test")
    happen(1)
    assert restore(file, "--replace") == 0
    assert Customer.objects.get(pk=cast.aisha.pk).erased_at is not None
    assert not Event.objects.filter(type="thing.happened").exists()


def test_an_upgrade_backs_up_first_and_keeps_everybody(cast: Cast, home: Path, capsys: Any) -> None:
    call_command("migrate", "customers", "0006", verbosity=0)
    leave_server()
    assert main(["upgrade", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "customers.0007_erased" in told["applied"]
    assert Path(told["backup"]).parent == home / "backups"
    assert Customer.objects.count() == 5
    assert User.objects.count() == 3
    leave_server()
    assert main(["upgrade", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"backup": None, "applied": [], "playbooks": []}
    assert main(["restore", told["backup"], "--replace"]) == 0
    assert Customer.objects.count() == 5


def test_each_last_step_of_the_tables_is_taken_with_rows_in_them(cast: Cast) -> None:
    """What was filled under the step before is there after it, whichever package's step it is."""
    before = counts()
    ours = {config.label for config in apps.get_app_configs() if config.name.startswith("beforehand.")}
    loader = MigrationLoader(connection)
    taken = []
    for app, last in sorted(leaf for leaf in loader.graph.leaf_nodes() if leaf[0] in ours):
        steps = sorted(name for label, name in loader.disk_migrations if label == app)
        if len(steps) < 2:
            continue
        try:
            call_command("migrate", app, steps[-2], verbosity=0)
        except IrreversibleError:
            continue
        assert counts() == before, app
        taken.append(last)
        call_command("migrate", verbosity=0)
    assert len(taken) >= 4
    assert counts() == before
    assert Customer.objects.get(external_id="aisha").name == "عائشة الفاسي"


def counts() -> list[int]:
    """How many there are of what must never be lost."""
    tables = ("customers_customer", "customers_holding", "accounts_user", "accounts_team_members", "events_event")
    return [fetch(f"SELECT count(*) FROM {table}")[0][0] for table in tables]
