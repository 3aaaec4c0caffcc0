"""Seconds to work out the affected list of 100,000 out of 1,000,000 customers: the rows, a reason and an event for each.

    python -m bench.affected_list [--customers 1000000] [--affected 100000] [--runs 5] [--json]

A fresh PostgreSQL with the product's own tables; what the worker calls is called here, up to and with its commit. `again` is
the same list worked out once more with nobody to join or leave.
"""

import argparse
import os
import time
from contextlib import ExitStack

from bench.company import found_company
from bench.tools import Spread, fdatasync_per_second, machine_line, print_results, throwaway_cluster


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--affected", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        cluster = stack.enter_context(throwaway_cluster(in_memory=False))
        os.environ.update(
            DJANGO_SETTINGS_MODULE="beforehand.config.settings",
            BEFOREHAND_DATABASE_URL=f"postgresql://postgres@/postgres?host={cluster.folder}",
            BEFOREHAND_SECRET_KEY="bench-bench-bench-bench-bench-bench-bench",
            BEFOREHAND_HOME=str(cluster.folder / "home"),
        )
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections
        from django.utils import timezone

        stack.callback(connections.close_all)
        call_command("migrate", verbosity=0)
        from beforehand.customers.models import Component
        from beforehand.incidents.actions import cancel_incident, open_incident
        from beforehand.incidents.affected import refresh_affected

        with cluster.connect(autocommit=False) as connection:
            found_company(connection, customers=options.customers, affected=options.affected)
        region = Component.objects.get(external_id="region-0").pk
        first, again = [], []
        for _ in range(options.runs):
            now = timezone.now()
            incident = open_incident(
                title="Fibre node down",
                kind="outage",
                severity="critical",
                actor="bench",
                began_at=now,
                known_at=now,
                component_ids=[region],
            )
            for times, joining in ((first, options.affected), (again, 0)):
                started = time.perf_counter()
                movement = refresh_affected(incident.pk, now=timezone.now(), actor="bench")
                times.append(time.perf_counter() - started)
                if movement is None or movement.joined != joining:
                    raise SystemExit(f"{movement} instead of {joining} joining")
            cancel_incident(incident, reason="bench", actor="bench")
        print_results(
            "affected list",
            {
                "machine": machine_line(),
                "customers": options.customers,
                "affected": options.affected,
                "fdatasync_per_second": round(fdatasync_per_second(cluster.data)),
                "seconds": Spread.of(first),
                "seconds_again": Spread.of(again),
            },
            as_json=options.json,
        )


if __name__ == "__main__":
    main()
