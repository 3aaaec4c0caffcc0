"""The watchdog's pass over 10,000 open incidents and 1,000,000 affected rows: is anybody left hanging, who must be warned?

    python -m bench.watchdog [--incidents 10000] [--affected 1000000] [--runs 5] [--memory] [--plans] [--json]

A fresh PostgreSQL with the product's own tables, filled by SQL: every incident has a run that has spoken, a promise within
the coming hour and its part of the affected, told of it; a tenth as many have ended. Measured are the two passes that the
worker and Today make: `watch_promises` (each second) and `left_hanging`; then one hundred promises come due at once, then all
of them. `--plans` prints each statement's plan with the time of its nodes.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from bench.company import add_incidents, run_statements
from bench.fanout import PLAYBOOK
from bench.tools import Cluster, Spread, fdatasync_per_second, machine_line, print_results, throwaway_cluster

THEIR_LOG = """
INSERT INTO events_event (type, actor, subject, data, source, occurred_at)
SELECT t.type, 'bench', 'incident:' || id, '{}', '', now() - interval '1 hour'
FROM incidents_incident CROSS JOIN (VALUES ('incident.opened'), ('incident.affected_listed'), ('run.started'),
     ('message.batch_decided'), ('message.batch_spread'), ('message.batch_done'), ('promise.made')) t(type);
INSERT INTO events_event (type, actor, subject, data, source, occurred_at)
SELECT 'incident.resolved', 'bench', 'incident:' || id, '{}', '', ended_at FROM incidents_incident WHERE state <> 'open';
INSERT INTO events_event (type, actor, subject, customer_id, data, source, occurred_at)
SELECT 'incident.customer_affected', 'bench', 'incident:' || incident_id, customer_id, '{}', '', joined_at
FROM incidents_affected
"""


def prepare() -> None:
    """Migrations, a team with somebody on duty around the clock, the shipped playbook."""
    from datetime import UTC, datetime

    from beforehand.accounts.actions import create_user, ensure_team
    from beforehand.accounts.shifts import ShiftGiven, put_shifts, save_roles
    from beforehand.playbooks.actions import push_version
    from beforehand.playbooks.bundles import SHIPPED, read_bundle

    push_version(source=PLAYBOOK, texts=read_bundle(SHIPPED / "outage")[1], actor="bench")
    team = ensure_team(slug="network-operations", name="Network operations", actor="bench")
    save_roles(team, [("duty-manager", "Duty manager")], actor="bench")
    now = datetime.now(UTC)
    given = []
    for name in ("ester", "farid"):
        create_user(email=f"{name}@c.example", name=name, role="agent", password="x" * 20, actor="bench")
        for day in range(-1, 30):
            starts = now + timedelta(days=day)
            given.append(
                ShiftGiven(
                    f"{name}-{day}", f"{name}@c.example", starts, starts + timedelta(days=1), place=len(given) // 31 + 1
                )
            )
    put_shifts(team, given, actor="bench")


def explained(statements: "list[tuple[str, Any]]") -> None:
    """Print the plan of each statement with the time that every node took."""
    from django.db import connection

    for sql, params in statements:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, BUFFERS OFF, COSTS OFF, TIMING ON) " + sql, params)
            print("\n" + " ".join(sql.split())[:110])
            for (line,) in cursor.fetchall():
                print("   " + line[:170])


def plans(now: Any) -> None:
    """The statements of `left_hanging`, explained."""
    from beforehand.kit.ids import BUCKETS
    from beforehand.kit.rows import fetch
    from beforehand.playbooks import queries

    ids = [row[0] for row in fetch("SELECT id FROM incidents_incident WHERE state = 'open'")]
    late = now - queries.GRACE
    buckets = list(range(BUCKETS))
    explained(
        [
            (queries.OPEN_INCIDENTS, {"now": now}),
            (queries.WAITING_ON_LIST, {"last_bucket": BUCKETS - 1, "incidents": ids, "before": late}),
            (queries.ENDED, {"since": now - queries.LOOKED_BACK, "before": late, "buckets": buckets}),
        ]
    )


WARNINGS, APART = 200, 0.1
"""So many warnings come due while a worker watches, so many seconds apart."""


def how_late(cluster: Cluster) -> list[float]:
    """Seconds from each warning's time until it stood there for everybody, with a worker of its own watching."""
    from beforehand.events.subscriptions import ensure_cursors
    from beforehand.kit.rows import execute

    ensure_cursors()
    execute(  # what the tables were filled with has been heard
        """
        UPDATE events_subscriptioncursor SET epoch = e.epoch, xid = e.xid::text::bigint, event_id = e.id
        FROM (SELECT epoch, xid, id FROM events_event ORDER BY epoch DESC, xid DESC, id DESC LIMIT 1) e
        """
    )
    command = [sys.executable, "-m", "beforehand.config.cli", "worker"]
    worker = subprocess.Popen(command)
    try:
        with cluster.connect(autocommit=True) as connection:
            deadline = time.monotonic() + 120
            while connection.execute("SELECT EXISTS (SELECT FROM events_workerbeat)").fetchone() != (True,):
                if time.monotonic() > deadline or worker.poll() is not None:
                    raise SystemExit("the worker did not start")
                time.sleep(0.1)
            time.sleep(5)  # its first chores are done
            connection.execute(
                """
                UPDATE promises_promise p
                SET warn_at = now() + interval '2 seconds' + n.place * %s * interval '1 second'
                FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM promises_promise
                      WHERE state = 'open' ORDER BY id LIMIT %s) n WHERE n.id = p.id
                """,
                [APART, WARNINGS],
            )
            late: dict[int, float] = {}
            deadline = time.monotonic() + WARNINGS * APART + 60
            while len(late) < WARNINGS:
                if time.monotonic() > deadline:
                    raise SystemExit(f"{len(late)} of {WARNINGS} were warned")
                rows = connection.execute(
                    "SELECT id, extract(epoch FROM clock_timestamp() - warn_at)::float8 FROM promises_promise"
                    " WHERE warned_at IS NOT NULL"
                ).fetchall()
                for promise, seconds in rows:
                    late.setdefault(promise, seconds)
                time.sleep(0.05)
        return list(late.values())
    finally:
        worker.terminate()
        worker.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--incidents", type=int, default=10_000)
    parser.add_argument("--affected", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="the database on a memory disk")
    parser.add_argument("--plans", action="store_true", help="print the plans with the time of each node")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        cluster = stack.enter_context(throwaway_cluster(in_memory=options.memory))
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
        from beforehand.playbooks.queries import left_hanging
        from beforehand.promises.models import Promise
        from beforehand.promises.watch import watch_promises

        prepare()
        with cluster.connect(autocommit=True) as connection:
            add_incidents(
                connection,
                customers=5_000_000,
                still_open=options.incidents,
                ended=options.incidents // 10,
                each=options.affected // options.incidents,
            )
            run_statements(connection, THEIR_LOG, {})
            connection.execute("VACUUM ANALYZE")
            print("filled", time.perf_counter(), file=sys.stderr)
            ((rows,),) = connection.execute("SELECT count(*) FROM incidents_affected").fetchall()

        def timed(work: Callable[[], Any]) -> float:
            started = time.perf_counter()
            work()
            return time.perf_counter() - started

        now = timezone.now()
        hanging = left_hanging(now=now)
        if hanging:
            raise SystemExit(f"{len(hanging)} are left hanging, beginning with {hanging[0]}")
        quiet = [timed(lambda: left_hanging(now=now)) for _ in range(options.runs)]
        watch = [timed(lambda: watch_promises(now=now)) for _ in range(options.runs)]
        late = how_late(cluster)
        if options.plans:
            plans(now)
        first = Promise.objects.filter(state="open", warned_at=None).order_by("warn_at")
        hundredth = first[min(100, options.incidents) - 1].warn_at
        warned = timed(lambda: watch_promises(now=hundredth))
        some = Promise.objects.exclude(warned_at=None).count() - len(late)
        last = Promise.objects.filter(state="open").order_by("-warn_at")[0].warn_at
        Promise.objects.filter(state="open").update(
            hold_at=last + timedelta(minutes=9), due_at=last + timedelta(minutes=10)
        )
        passes = []
        while Promise.objects.filter(warned_at=None, state="open").exists():
            passes.append(timed(lambda: watch_promises(now=last)))
        every = Promise.objects.exclude(warned_at=None).exclude(assignee=None).count()
        if every != options.incidents:
            raise SystemExit(f"{every} of {options.incidents} were warned and given to somebody")
        print_results(
            "watchdog",
            {
                "machine": machine_line(),
                "disk": "memory" if options.memory else "disk",
                "open_incidents": options.incidents,
                "affected_rows": rows,
                "fdatasync_per_second": round(fdatasync_per_second(cluster.data)),
                "left_hanging_seconds": Spread.of(quiet),
                "watch_nothing_due_seconds": Spread.of(watch),
                "a_warning_is_late_by_seconds": Spread.of(late),
                "÷ the five seconds allowed": max(late) / 5,
                f"watch_{some}_due_seconds": round(warned, 3),
                f"watch_all_{every}_due_at_once_seconds": round(sum(passes), 3),
                "passes_for_all": len(passes),
            },
            as_json=options.json,
        )


if __name__ == "__main__":
    main()
