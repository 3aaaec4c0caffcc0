"""`beforehand backup` and `beforehand restore`: the whole installation's memory in one file, and back."""

import argparse
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from rich.console import Console

from beforehand.config.commands import CommandError, add_json, print_json, running_database, tell, use_django
from beforehand.config.environment import Environment
from beforehand.config.erased import Erased, ListUnreadable, erased_list, keep_erased, read_erased
from beforehand.kit.postgres.dumps import client_programs, dump, load, rows_of_dump

if TYPE_CHECKING:
    from beforehand.kit.postgres.binaries import Binaries

CLEAR = """
DO $$
DECLARE
    thing record;
BEGIN
    FOR thing IN
        SELECT format('%I.%I', n.nspname, c.relname) AS name,
               CASE c.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'S') AND NOT c.relispartition
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
        ORDER BY c.relkind = 'S'
    LOOP
        EXECUTE format('DROP %s IF EXISTS %s CASCADE', thing.kind, thing.name);
    END LOOP;
END $$;
"""
"""Away with what is there, in the transaction that puts the backup in its place; an extension's things stay."""
PAUSE = """
INSERT INTO accounts_settingversion (key, value, set_by) VALUES ('sending.paused', 'true'::jsonb, 'restore');
"""


@dataclass(frozen=True)
class Contents:
    """What a database holds of ours."""

    customers: int
    events: int


@dataclass(frozen=True)
class Restored(Contents):
    """What it holds after a restore, and what was done to it: migrations, and erasures of who had come back."""

    migrated: list[str]
    erased_again: int


def backup_arguments(parser: argparse.ArgumentParser) -> None:
    """`backup FILE`."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="the new file; in a folder it gets a name with the time"
    )
    add_json(parser)


def restore_arguments(parser: argparse.ArgumentParser) -> None:
    """`restore FILE [--replace] [--erased LIST] [--send]`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="what `beforehand backup` wrote")
    parser.add_argument("--replace", action="store_true", help="put it in the place of all that the database holds now")
    parser.add_argument(
        "--erased", type=Path, action="append", default=[], metavar="LIST", help="another machine's erased.csv"
    )
    parser.add_argument("--send", action="store_true", help="go on sending at once, and not after somebody has looked")
    add_json(parser)


def run_backup(environment: Environment, given: argparse.Namespace) -> int:
    """Write the database to a file while everything goes on."""
    with running_database(environment):
        path = back_up(environment, given.file)
    size = path.stat().st_size
    if given.json:
        print_json({"file": str(path), "bytes": size})
        return 0
    tell(f"The backup is in {path} ({size / 1_000_000:,.1f} MB).")
    if not environment.secret_key and environment.secret_key_file.exists():
        tell(f"Keep {environment.secret_key_file} as well: links in messages that were sent open only with it.")
    return 0


def back_up(environment: Environment, to: Path) -> Path:
    """The file that now holds the running database; raises CommandError when it exists already."""
    path = to.absolute()
    if path.is_dir():
        path = path / f"beforehand-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.dump"
    if path.exists():
        raise CommandError(f"{path} exists: a backup never overwrites another")
    if not path.parent.is_dir():
        raise CommandError(f"there is no folder {path.parent}")
    with Console(stderr=True).status("Writing the backup …"):
        try:
            dump(environment.resolved_database_url(), path)
        except (OSError, psycopg.Error) as error:
            raise CommandError(f"the backup could not be written: {' '.join(str(error).split())}") from None
    return path


def run_restore(environment: Environment, given: argparse.Namespace) -> int:
    """Put a backup in the database's place: all of it, or nothing."""
    if not given.file.is_file():
        raise CommandError(f"there is no file {given.file}")
    with running_database(environment):
        url = environment.resolved_database_url()
        try:
            check_dump(given.file, programs=client_programs(url))
            with psycopg.connect(url, connect_timeout=10) as connection:
                refuse_company(connection)
                present = contents_of(connection)
                erased = erased_in(connection)
        except psycopg.Error as error:
            raise CommandError(f"the database cannot be used: {' '.join(str(error).split())}") from None
        if present is not None and not given.replace:
            raise CommandError(
                f"the database holds {present.customers:,} customers and {present.events:,} events already:"
                " --replace puts the backup in their place"
            )
        # Kept before the database that knows of them is gone, so that a second try knows of them too.
        keep_erased(environment.home, erased | _lists(environment, given.erased))
        restored = put_back(environment, given.file, is_sending=given.send)
    if given.json:
        print_json(asdict(restored))
        return 0
    tell(f"Restored: {restored.customers:,} customers, {restored.events:,} events.")
    if restored.erased_again:
        tell(f"{restored.erased_again} customers who were erased after the backup are erased again.")
    if not given.send:
        tell(
            "Nothing is sent to customers until somebody has looked: end what is over in the meantime, then set"
            " “sending.paused” to false (Settings in the console)."
        )
    return 0


def check_dump(file: Path, *, programs: "Binaries") -> None:
    """Raise CommandError when this is no backup of ours, or one of a later version."""
    use_django()
    from django.apps import apps
    from django.db.migrations.loader import MigrationLoader

    known = set(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)
    ours = {config.label for config in apps.get_app_configs()}
    held = {(row[1], row[2]) for row in rows_of_dump(file, "django_migrations", programs=programs)}
    if not held:
        raise CommandError(f"{file} is no backup of Beforehand")
    later = sorted(held - known)
    if later:
        app, name = next((one for one in later if one[0] in ours), later[0])
        raise CommandError(f"{file} is of a later version, which knows {app}.{name}: install that version first")


def refuse_company(connection: psycopg.Connection) -> None:
    """Raise CommandError while others use the database."""
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    ).fetchone()
    if row and row[0]:
        raise CommandError(f"{row[0]} connections to the database are open: stop web and workers, on every machine")


def contents_of(connection: psycopg.Connection) -> Contents | None:
    """What the database holds; None when it has no tables at all."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public'), to_regclass('public.customers_customer')"
    ).fetchone()
    if row is None or not row[0]:
        return None
    if row[1] is None:
        return Contents(customers=0, events=0)
    counted = connection.execute(
        "SELECT (SELECT count(*) FROM customers_customer), (SELECT count(*) FROM events_event)"
    ).fetchone()
    return Contents(*counted) if counted else None


def erased_in(connection: psycopg.Connection) -> Erased:
    """Who was erased, as the database knows it that is about to go."""
    row = connection.execute("SELECT to_regclass('public.customers_customer')").fetchone()
    if row is None or row[0] is None:
        return {}
    rows = connection.execute("SELECT public_id, erased_at FROM customers_customer WHERE erased_at IS NOT NULL")
    return dict(rows.fetchall())


def put_back(environment: Environment, file: Path, *, is_sending: bool) -> Restored:
    """Load the dump, raise the log's epoch, bring the tables to this version, erase again who was erased."""
    use_django()
    from django.db import connection

    from beforehand.config.commands.migrate import apply_migrations, install_contents
    from beforehand.customers.erasure import replay_erasures
    from beforehand.events.epochs import RAISE_EPOCH

    url = environment.resolved_database_url()
    with Console(stderr=True).status("Putting the backup back …"):
        load(file, url=url, before=CLEAR, after=RAISE_EPOCH + ("" if is_sending else PAUSE))
        try:
            migrated = apply_migrations()
            install_contents()
            path = erased_list(environment.home)
            again = replay_erasures(read_erased(path) if path.exists() else {}, actor="restore")
        finally:
            connection.close()
    with psycopg.connect(url, connect_timeout=10) as counting:
        held = contents_of(counting)
    held = held or Contents(customers=0, events=0)
    return Restored(held.customers, held.events, migrated, again)


def _lists(environment: Environment, others: list[Path]) -> Erased:
    erased: Erased = {}
    for path in others:
        try:
            erased |= read_erased(path)
        except (OSError, ListUnreadable) as error:
            raise CommandError(f"--erased: {error}") from None
    return erased
