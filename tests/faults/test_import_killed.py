"""An import that is killed again and again, and two of the same file at once: every row once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

pytestmark = pytest.mark.faults

ROWS = 3_000
BATCH = 250
SRC = Path(__file__).resolve().parents[2] / "src"

SETUP = """
import sys
import django

django.setup()
from django.core.management import call_command
from beforehand.customers.actions import upsert_components

for package in ("accounts", "events", "customers"):
    call_command("migrate", package, verbosity=0)
upsert_components([{"external_id": "node-1", "kind": "node", "name": "Node"}], actor="test", source="test")
"""

# After each batch it says how far it is, and waits for a line before it goes on.
IMPORT = f"""
import sys
import django

django.setup()
from beforehand.customers.csv_rows import ImportRefused
from beforehand.customers.imports import import_file


def report(progress):
    print(progress.loaded, flush=True)
    sys.stdin.readline()


try:
    import_file(sys.argv[1], kind="customers", actor="test", progress=report, batch_rows={BATCH})
    print("done", flush=True)
except ImportRefused as refused:
    print(refused.reason.value, flush=True)
"""


ORPHANS = """
SELECT count(*) FROM (SELECT customer_id FROM customers_contactpoint UNION ALL SELECT customer_id FROM customers_holding
                      UNION ALL SELECT customer_id FROM customers_holdingcomponent) rows
WHERE NOT EXISTS (SELECT 1 FROM customers_customer c WHERE c.id = rows.customer_id)
"""


class Importer:
    """A process that imports the file."""

    def __init__(self, url: str, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", IMPORT, str(path)],
            env=environment(url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.end()

    def end(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.process.wait(timeout=60)


def environment(url: str) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "beforehand.config.settings",
        "BEFOREHAND_DATABASE_URL": url,
        "PYTHONPATH": str(SRC),
    }


def as_url(conninfo: str) -> str:
    parts = psycopg.conninfo.conninfo_to_dict(conninfo)
    host, port = parts.pop("host"), parts.pop("port", 5432)
    user, password = parts.pop("user", "postgres"), parts.pop("password", "")
    secret = f":{password}" if password else ""
    if str(host).startswith("/"):
        return f"postgresql://{user}{secret}@/{parts['dbname']}?host={host}&port={port}"
    return f"postgresql://{user}{secret}@{host}:{port}/{parts['dbname']}"


@pytest.fixture
def prepared(database_url: str, tmp_path: Path) -> tuple[str, Path]:
    """A database with the tables and one node, and a file of customers with holdings."""
    url = as_url(database_url) if "://" not in database_url else database_url
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    subprocess.run([sys.executable, "-c", SETUP], env=environment(url), check=True)
    path = tmp_path / "customers.csv"
    lines = ["external_id,name,email,holding.external_id,holding.product,holding.components"]
    lines += [f"c{n},Customer {n},c{n}@mail.example,h{n},fibre,node-1" for n in range(ROWS)]
    path.write_text("\n".join(lines))
    return url, path


def counts(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        found = {
            table: connection.execute(f"SELECT count(*) FROM customers_{table}").fetchone()
            for table in ("customer", "contactpoint", "holding", "holdingcomponent")
        }
        created = connection.execute(
            "SELECT sum((data->>'created')::int) FROM events_event WHERE type = 'customers.imported'"
        ).fetchone()
        loaded = connection.execute("SELECT sum(loaded), count(*) FROM customers_import").fetchone()
        orphans = connection.execute(ORPHANS).fetchone()
    assert created is not None
    assert loaded is not None
    assert orphans is not None
    return {
        **{table: row[0] for table, row in found.items() if row},
        "created by events": created[0],
        "loaded": loaded[0],
        "imports": loaded[1],
        "rows without a customer": orphans[0],
    }


EVERYTHING_ONCE = {
    "customer": ROWS,
    "contactpoint": ROWS,
    "holding": ROWS,
    "holdingcomponent": ROWS,
    "created by events": ROWS,
    "loaded": ROWS,
    "imports": 1,
    "rows without a customer": 0,
}


def test_an_import_that_is_killed_again_and_again_loads_every_row_once(prepared: tuple[str, Path]) -> None:
    url, path = prepared
    for batches in (1, 3, 2):
        importer = Importer(url, path)
        for _ in range(batches):
            assert importer.says().isdigit()
            importer.go_on()
        importer.kill()  # while the next batch is read, checked or written
    importer = Importer(url, path)
    while importer.says() != "done":
        importer.go_on()
    importer.end()
    assert counts(url) == EVERYTHING_ONCE


def test_of_two_imports_of_the_same_file_one_goes_on_and_the_other_is_told(prepared: tuple[str, Path]) -> None:
    url, path = prepared
    first = Importer(url, path)
    assert first.says() == str(BATCH)
    second = Importer(url, path)
    assert second.says() == "running_elsewhere"
    second.end()
    first.go_on()
    while first.says() != "done":
        first.go_on()
    first.end()
    assert counts(url) == EVERYTHING_ONCE
