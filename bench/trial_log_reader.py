"""Does reading the event log by (epoch, xid, id) below the snapshot's xmin lose nothing, and is it quick?

    .venv/bin/python bench/trial_log_reader.py [--seconds 30] [--events 5000000] [--memory] [--json]

Three parts, each on the product's own DDL in a throw-away PostgreSQL: two interleaved transactions whose later id commits
first; a stress of eight writers with random hold times; the time of the reader's statement over monthly partitions,
beside the forms that look alike and are slow. Exits 1 if the reader loses, repeats or reorders anything.
"""

import argparse
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

from tools import (
    Cluster,
    fdatasync_per_second,
    machine_line,
    percentile,
    print_results,
    product_event_log_ddl,
    throwaway_cluster,
)

Place = tuple[int, int, int]
START: Place = (0, 0, 0)
EPOCH = 1
WRITERS = 8
PARTITIONS = 24
NAIVE_WINDOW = 1000

# The sub-selects hide the cursor from the planner, which would otherwise estimate the row comparison from its first
# column only (epoch, the same in every row), expect nothing, and sort the whole backlog for each page. ORDER BY is
# qualified because a bare xid would mean the output column, which is called xid too and which no index orders.
READ = """
    SELECT e.epoch, e.xid::text::bigint, e.id, e.data
    FROM events_event e
    WHERE (epoch, xid, id) > ((SELECT %(epoch)s::int), (SELECT %(xid)s::text::xid8), (SELECT %(id)s::bigint))
      AND (epoch, xid) < ((SELECT %(current)s::int), pg_snapshot_xmin(pg_current_snapshot()))
    ORDER BY e.epoch, e.xid, e.id
    LIMIT %(limit)s
"""
READ_NAIVELY = "SELECT id, data FROM events_event WHERE id > %(id)s ORDER BY id LIMIT %(limit)s"

# Forms that say the same and are slow somewhere; kept so that nobody "simplifies" the statement above.
OTHER_FORMS = {
    "ORDER BY the output column": READ.replace("e.xid, e.id\n    LIMIT", "xid, e.id\n    LIMIT"),
    "row comparison, plain values": """
        SELECT e.epoch, e.xid::text::bigint, e.id, e.data FROM events_event e
        WHERE (epoch, xid, id) > (%(epoch)s::int, %(xid)s::text::xid8, %(id)s::bigint)
          AND (epoch, xid) < (%(current)s::int, pg_snapshot_xmin(pg_current_snapshot()))
        ORDER BY e.epoch, e.xid, e.id LIMIT %(limit)s""",
    "epoch = …, plain values": """
        SELECT e.epoch, e.xid::text::bigint, e.id, e.data FROM events_event e
        WHERE epoch = %(epoch)s::int AND (xid, id) > (%(xid)s::text::xid8, %(id)s::bigint)
          AND xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY e.xid, e.id LIMIT %(limit)s""",
    "OR form": """
        SELECT e.epoch, e.xid::text::bigint, e.id, e.data FROM events_event e
        WHERE (epoch > %(epoch)s::int OR epoch = %(epoch)s::int AND (xid > %(xid)s::text::xid8
               OR xid = %(xid)s::text::xid8 AND id > %(id)s::bigint))
          AND (epoch < %(current)s::int
               OR epoch = %(current)s::int AND xid < pg_snapshot_xmin(pg_current_snapshot()))
        ORDER BY e.epoch, e.xid, e.id LIMIT %(limit)s""",
}

WRITE = (
    "INSERT INTO events_event (type, source, data) VALUES ('trial.written', 'trial', jsonb_build_object('m', %s::text))"
)

Connection = psycopg.Connection[tuple[Any, ...]]


def read_page(connection: Connection, place: Place, *, limit: int, sql: str = READ) -> list[tuple[Any, ...]]:
    """The next rows after `place`, in the log's order; bound on the client, as Django does it."""
    epoch, xid, event = place
    bound = {"epoch": epoch, "xid": xid, "id": event, "current": EPOCH, "limit": limit}
    return psycopg.ClientCursor(connection).execute(sql, bound).fetchall()


# --- Two interleaved transactions -----------------------------------------------------------------------------------


def interleaved(cluster: Cluster) -> dict[str, Any]:
    """A takes the lower id and commits last; both readers look before and after. What each of them saw."""
    with cluster.connect() as a, cluster.connect() as b, cluster.connect(autocommit=True) as reader:
        a.execute(WRITE, ["A"])
        b.execute(WRITE, ["B"])
        b.commit()
        naive = reader.execute(READ_NAIVELY, {"id": 0, "limit": 10}).fetchall()
        ours = read_page(reader, START, limit=10)
        early = len(ours)
        a.commit()
        naive += reader.execute(READ_NAIVELY, {"id": naive[-1][0], "limit": 10}).fetchall()
        ours += read_page(reader, ours[-1][:3] if ours else START, limit=10)
        reader.execute("TRUNCATE events_event")
    seen_naively, seen = [row[1]["m"] for row in naive], [row[3]["m"] for row in ours]
    return {
        "naive reader saw": ", ".join(seen_naively),
        "our reader saw": ", ".join(seen),
        "our reader, while A was open": early,
        "held": seen_naively == ["B"] and sorted(seen) == ["A", "B"] and early == 0,
    }


# --- Stress ---------------------------------------------------------------------------------------------------------


@dataclass
class Ledger:
    """What the writers know to be committed, and what the readers saw. List appends are atomic under CPython's lock."""

    committed: dict[str, float] = field(default_factory=dict)
    rolled_back: int = 0
    seen: list[tuple[str, float]] = field(default_factory=list)
    seen_naively: list[str] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)


def write_transactions(cluster: Cluster, *, name: int, until: float, ledger: Ledger) -> None:
    """Transactions of one to five events with pauses between them, some rolled back, some with a savepoint."""
    chance, number = random.Random(name), 0
    with cluster.connect() as connection:
        while time.monotonic() < until:
            number += 1
            marks = [f"{name}/{number}/{turn}" for turn in range(chance.randint(1, 5))]
            hold = chance.choice([0.0, 0.001, 0.005, 0.02, 0.1, 0.3])
            connection.execute("SELECT 1")  # opens the transaction, so that the blocks below are savepoints in it
            for mark in marks:
                if chance.random() < 0.2:
                    with connection.transaction():  # a savepoint: the row must still carry the outer transaction's id
                        connection.execute(WRITE, [mark])
                else:
                    connection.execute(WRITE, [mark])
                if hold:
                    time.sleep(chance.random() * hold)
            if chance.random() < 0.1:
                connection.rollback()
                ledger.rolled_back += 1
                continue
            connection.commit()
            now = time.monotonic()
            ledger.committed.update(dict.fromkeys(marks, now))


def read_until(cluster: Cluster, *, stop: threading.Event, ledger: Ledger) -> None:
    """Our reader, with page sizes that cut through transactions."""
    chance, place = random.Random(99), START
    with cluster.connect(autocommit=True) as connection:
        while True:
            last_round = stop.is_set()
            rows = read_page(connection, place, limit=chance.choice([1, 2, 3, 7, 50]))
            now = time.monotonic()
            ledger.seen.extend((row[3]["m"], now) for row in rows)
            if rows:
                place = rows[-1][:3]
            elif last_round:
                return
            else:
                time.sleep(0.002)


def read_naively_until(cluster: Cluster, *, stop: threading.Event, ledger: Ledger) -> None:
    last = 0
    with cluster.connect(autocommit=True) as connection:
        while True:
            last_round = stop.is_set()
            rows = connection.execute(READ_NAIVELY, {"id": last, "limit": NAIVE_WINDOW}).fetchall()
            ledger.seen_naively.extend(row[1]["m"] for row in rows)
            if rows:
                last = rows[-1][0]
            elif last_round:
                return
            else:
                time.sleep(0.002)


def stress(cluster: Cluster, *, seconds: float) -> dict[str, Any]:
    ledger, stop, until = Ledger(), threading.Event(), time.monotonic() + seconds

    def guarded(work: Any, **arguments: Any) -> threading.Thread:
        def run() -> None:
            try:
                work(cluster, ledger=ledger, **arguments)
            except BaseException as error:
                ledger.errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    readers = [guarded(read_until, stop=stop), guarded(read_naively_until, stop=stop)]
    writers = [guarded(write_transactions, name=name, until=until) for name in range(WRITERS)]
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    if ledger.errors:
        raise ledger.errors[0]
    return judge(ledger)


def judge(ledger: Ledger) -> dict[str, Any]:
    marks = [mark for mark, _ in ledger.seen]
    lost = set(ledger.committed) - set(marks)
    never_committed = set(marks) - set(ledger.committed)
    turns: dict[str, list[int]] = {}
    for mark in marks:
        transaction, _, turn = mark.rpartition("/")
        turns.setdefault(transaction, []).append(int(turn))
    disordered = sum(1 for found in turns.values() if found != sorted(found))
    lags = [max(0.0, at - ledger.committed[mark]) * 1000 for mark, at in ledger.seen if mark in ledger.committed]
    naively_lost = len(set(ledger.committed) - set(ledger.seen_naively))
    return {
        "events committed": len(ledger.committed),
        "transactions rolled back": ledger.rolled_back,
        "lost by ours": len(lost),
        "twice by ours": len(marks) - len(set(marks)),
        "of no committed transaction": len(never_committed),
        "transactions out of order": disordered,
        "lost by a reader of serial ids": naively_lost,
        "read lag after commit p50 ms": percentile(lags, 0.50),
        "read lag after commit p99 ms": percentile(lags, 0.99),
        "held": not lost and not never_committed and len(marks) == len(set(marks)) and not disordered,
    }


# --- The statement's time -------------------------------------------------------------------------------------------

FILL = """
CREATE PROCEDURE fill(transactions int, size int, starts timestamptz, days int) LANGUAGE plpgsql AS $$
BEGIN
  FOR t IN 0..transactions - 1 LOOP
    INSERT INTO events_event (recorded_at, type, source, subject, customer_id, data)
      SELECT starts + interval '1 day' * (days * t::float8 / transactions), 'message.accepted', 'outbound',
             'message/' || (t::bigint * size + g), (t::bigint * size + g) % 1000000,
             '{"channel": "email", "attempt": 1}'
      FROM generate_series(1, size) g;
    COMMIT;
  END LOOP;
END $$
"""


def add_months(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, 1)


def fill_log(connection: Connection, *, events: int) -> tuple[int, int]:
    """Nine tenths of the log over two years of monthly partitions, the last of them half filled; with fresh statistics.

    Returns the lowest and the highest transaction id.
    """
    first, newest = months()[0], months()[-1]
    for start in months():
        connection.execute(
            f"CREATE TABLE events_event_{start:%Y%m} PARTITION OF events_event"
            f" FOR VALUES FROM ('{start}') TO ('{add_months(start, 1)}')"
        )
    connection.execute(FILL)
    connection.execute("SET synchronous_commit = off")
    connection.execute("CALL fill(%s, 50, %s, %s)", [events * 85 // 100 // 50, first, (newest - first).days])
    connection.execute("CALL fill(%s, 50, %s, %s)", [events * 5 // 100 // 50, newest, 13])
    connection.execute("ANALYZE events_event")
    bounds = connection.execute("SELECT min(xid::text::bigint), max(xid::text::bigint) FROM events_event").fetchone()
    assert bounds is not None
    return int(bounds[0]), int(bounds[1])


def months() -> list[date]:
    """The first days of the log's months, this month's last."""
    today = datetime.now(UTC).date()
    return [add_months(today, month) for month in range(1 - PARTITIONS, 1)]


def milliseconds(connection: Connection, *, sql: str, place: Place) -> float:
    """Median time of five pages of 1,000 rows."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        read_page(connection, place, limit=1000, sql=sql)
        times.append((time.perf_counter() - started) * 1000)
    return sorted(times)[2]


def plan_of(connection: Connection, place: Place) -> str:
    bound = {"epoch": place[0], "xid": place[1], "id": place[2], "current": EPOCH, "limit": 1000}
    rows = psycopg.ClientCursor(connection).execute("EXPLAIN (ANALYZE, BUFFERS) " + READ, bound).fetchall()
    return "\n".join(str(row[0]) for row in rows)


def statement_times(cluster: Cluster, *, events: int) -> dict[str, Any]:
    """Milliseconds of a page, with fresh statistics and with a tenth of the log newer than they are, as after a fan-out."""
    with cluster.connect(autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET autovacuum = off")  # so that the statistics stay as stale as we made them
        connection.execute("SELECT pg_reload_conf()")
        lowest, analysed = fill_log(connection, events=events)
        fresh = {
            "from the start": START,
            "from the middle": (EPOCH, (lowest + analysed) // 2, 0),
            "nothing new": (EPOCH, 2**40, 0),
        }
        stale = {"newer than the last ANALYZE": (EPOCH, analysed + 10, 0)}
        ours, theirs = times_of(connection, fresh), dict.fromkeys(OTHER_FORMS, 0.0)
        for name, sql in OTHER_FORMS.items():
            theirs[name] = max(times_of(connection, {"middle": fresh["from the middle"]}, sql=sql).values())
        connection.execute("CALL fill(%s, 50, %s, 13)", [events // 10 // 50, months()[-1] + timedelta(days=13)])
        ours |= times_of(connection, stale)
        for name, sql in OTHER_FORMS.items():
            theirs[name] = max(theirs[name], *times_of(connection, stale, sql=sql).values())
        plans = [plan_of(connection, place) for place in (fresh | stale).values()]
    ordered = all("Merge Append" in plan and "->  Sort" not in plan and "Index Cond" in plan for plan in plans)
    return (
        {"events": events, "partitions": PARTITIONS}
        | {f"ours, {where}, ms": took for where, took in ours.items()}
        | {f"refused: {name}, slowest ms": took for name, took in theirs.items()}
        | {f"refused: {name} ÷ ours": took / max(ours.values()) for name, took in theirs.items()}
        | {"held": ordered}
    )


def times_of(connection: Connection, places: dict[str, Place], *, sql: str = READ) -> dict[str, float]:
    return {where: milliseconds(connection, sql=sql, place=place) for where, place in places.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30, help="length of the stress")
    parser.add_argument(
        "--events", type=int, default=5_000_000, help="log size for the statement's time; 0 leaves it out"
    )
    parser.add_argument("--memory", action="store_true", help="data on the memory disk")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with throwaway_cluster(in_memory=options.memory) as cluster:
        print_results(
            "machine",
            {
                "machine": machine_line(),
                "memory disk": options.memory,
                "fdatasync/s": fdatasync_per_second(cluster.data),
            },
            as_json=options.json,
        )
        with cluster.connect(autocommit=True) as connection:
            connection.execute(product_event_log_ddl())
            found = {
                "two interleaved transactions": interleaved(cluster),
                f"stress: {WRITERS} writers, {options.seconds:.0f} s": stress(cluster, seconds=options.seconds),
            }
            if options.events:
                connection.execute("TRUNCATE events_event")
                found["the statement's time"] = statement_times(cluster, events=options.events)
        for title, results in found.items():
            print_results(title, results, as_json=options.json)
    held = all(results["held"] for results in found.values())
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
