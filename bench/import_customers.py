"""Rows a second of a CSV import of customers with contact points and holdings, and its ratio to COPY of the same data.

    python -m bench.import_customers [--customers 1000000] [--impact] [--json]

COPY puts the same file into one plain table without index or constraint in the same run: what PostgreSQL could do at
most. The import validates every cell and fills four tables with 14 indexes and their foreign keys. Both times include
the server, on this machine's cores. `--impact` measures the list of a tenth of the customers behind one node as well.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from bench import customers_csv
from bench.tools import Cluster, fdatasync_per_second, machine_line, percentile, print_results, throwaway_cluster


def use(cluster: Cluster) -> None:
    """Make Django speak to this server; nothing else of an installation is needed here."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
    os.environ.update(
        DJANGO_SETTINGS_MODULE="beforehand.config.settings",
        BEFOREHAND_DATABASE_URL=f"postgresql://postgres@/postgres?host={cluster.folder}",
        BEFOREHAND_SECRET_KEY="bench-bench-bench-bench-bench-bench-bench",
        BEFOREHAND_HOME=str(cluster.folder / "home"),
    )
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def raw_copy_seconds(connection: "psycopg.Connection[Any]", path: Path) -> float:
    """COPY the file as it is into a plain table."""
    columns = ", ".join(f'"{name}" text' for name in customers_csv.COLUMNS)
    connection.execute(f"CREATE TABLE raw ({columns})")
    connection.commit()
    started = time.perf_counter()
    with path.open("rb") as file, connection.cursor() as cursor, cursor.copy("COPY raw FROM STDIN CSV HEADER") as copy:
        while data := file.read(1 << 20):
            copy.write(data)
    connection.commit()
    taken = time.perf_counter() - started
    connection.execute("DROP TABLE raw")
    connection.commit()
    return taken


def imported_seconds(path: Path, kind: str) -> tuple[float, int, int]:
    """Import a file; seconds, rows loaded, rows refused."""
    from beforehand.customers.imports import Progress, import_file

    def show(progress: Progress) -> None:
        share = progress.done_bytes / max(1, progress.total_bytes)
        if sys.stderr.isatty():
            print(f"\r{kind}: {share:6.1%}  {progress.loaded:,} rows", end="", file=sys.stderr)

    started = time.perf_counter()
    done = import_file(path, kind=kind, actor="bench", progress=show)
    return time.perf_counter() - started, done.loaded, done.refused


def impact_seconds(rounds: int = 7) -> dict[str, Any]:
    """The list of whom the first node touches: the select alone, and written with INSERT … SELECT; medians."""
    from django.utils import timezone

    from beforehand.customers.impact import impact_select
    from beforehand.customers.models import Component
    from beforehand.kit.rows import execute, fetch

    node = Component.objects.get(external_id=customers_csv.FIRST_NODE)
    select = impact_select(component_ids=[node.pk], now=timezone.now())
    execute("VACUUM (ANALYZE) customers_holdingcomponent")
    alone, written = [], []
    touched = 0
    for _ in range(rounds):
        started = time.perf_counter()
        touched = fetch(f"SELECT count(*) FROM ({select.sql}) i", select.params)[0][0]
        alone.append(time.perf_counter() - started)
        execute("CREATE TEMPORARY TABLE touched (customer_id bigint, component_id bigint, holding_id bigint)")
        started = time.perf_counter()
        execute(f"INSERT INTO touched {select.sql}", select.params)
        written.append(time.perf_counter() - started)
        execute("DROP TABLE touched")
    return {
        "customers touched": touched,
        "impact select, median seconds": round(percentile(alone, 0.5), 3),
        "impact insert, median seconds": round(percentile(written, 0.5), 3),
    }


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--impact", action="store_true", help="measure the list behind one node too")
    parser.add_argument("--again", action="store_true", help="import the same file once more: nothing may change")
    parser.add_argument("--memory-disk", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DISK", "/var/tmp")) as folder:
        components, customers = Path(folder) / "components.csv", Path(folder) / "customers.csv"
        customers_csv.write_components(components, args.customers)
        size = customers_csv.write_customers(customers, args.customers)
        with throwaway_cluster(in_memory=args.memory_disk) as cluster:
            use(cluster)
            syncs = fdatasync_per_second(cluster.folder)
            with cluster.connect() as connection:
                raw = raw_copy_seconds(connection, customers)
            from beforehand.customers.actions import declare_attribute

            declare_attribute(owner="holding", name="firmware", type="text", actor="bench")
            imported_seconds(components, "components")
            seconds, loaded, refused = imported_seconds(customers, "customers")
            results: dict[str, Any] = {
                "machine": machine_line(),
                "customers": args.customers,
                "file MB": round(size / 1e6, 1),
                "rows loaded": loaded,
                "rows refused": refused,
                "import seconds": round(seconds, 2),
                "import rows/s": round(loaded / seconds),
                "raw COPY rows/s": round(args.customers / raw),
                "import ÷ raw COPY": round(raw / seconds, 4),
                "fdatasync/s": round(syncs),
            }
            if args.again:
                seconds, loaded, _ = imported_seconds(customers, "customers")
                results["same file again, rows/s"] = round(loaded / seconds)
            if args.impact:
                results |= impact_seconds()
            from django.db import connections

            connections.close_all()
    print_results("Import of customers with holdings", results, as_json=args.json)


if __name__ == "__main__":
    main()
