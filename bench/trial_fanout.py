"""The honest upper bound of telling 100,000 of 1,000,000 customers: the fan-out alone, every row written and durable.

    .venv/bin/python bench/trial_fanout.py [--runs 3] [--memory] [--json]
    .venv/bin/python bench/trial_fanout.py --kills 50

Decide, spread message rows bucket by bucket, claim flights of 50 for ten pipelined connections (*sending* committed before
the first byte), send a filled skeleton to Postfix's smtp-sink, record each message, its delivery and one event; beside
smtp-source with ten sessions on the same sink in the same run. No rules, no templates, no product code: what the product
reaches is read as a share of this.

With --kills the worker is killed (-9) at random moments and started again, against a server that remembers every message.
Exits 1 if a customer was not told, or told again without the mark *uncertain*, or more than 50 a connection were uncertain
after one kill.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from counting_sink import Accepted, counting_sink
from fanout_worker import BUCKETS, FLIGHT, LIVE_WORKER
from tools import (
    Cluster,
    MemoryWatch,
    Spread,
    fdatasync_per_second,
    machine_line,
    print_results,
    product_event_log_ddl,
    smtp_sink,
    smtp_source_rate,
    throwaway_cluster,
)

CONNECTIONS = 10
WORKER = Path(__file__).with_name("fanout_worker.py")

TABLES = """
CREATE TABLE customer (
    bucket smallint NOT NULL, id bigint NOT NULL, name text NOT NULL, language text NOT NULL, email text NOT NULL,
    node_id bigint NOT NULL, PRIMARY KEY (bucket, id)
);
CREATE INDEX ON customer (bucket, node_id);
CREATE SEQUENCE message_id CACHE 100;
CREATE TABLE spread (batch_id bigint, bucket smallint, PRIMARY KEY (batch_id, bucket));
CREATE TABLE message (
    bucket smallint NOT NULL, id bigint NOT NULL, batch_id bigint NOT NULL, customer_id bigint NOT NULL,
    language text NOT NULL, state text NOT NULL, attempts smallint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(), ended_at timestamptz,
    PRIMARY KEY (bucket, id), UNIQUE (bucket, batch_id, customer_id)
);
CREATE INDEX ON message (bucket) WHERE state = 'queued';
CREATE TABLE delivery (
    bucket smallint NOT NULL, message_id bigint NOT NULL, attempt smallint NOT NULL, state text NOT NULL, code smallint,
    started_at timestamptz NOT NULL DEFAULT now(), ended_at timestamptz, PRIMARY KEY (bucket, message_id, attempt)
);
CREATE INDEX ON delivery (bucket) WHERE state = 'sending';
"""

# One in `share` of each bucket hangs on node 1, so that every bucket carries its part; the surplus is moved off below.
CUSTOMERS = """
INSERT INTO customer (bucket, id, name, language, email, node_id)
SELECT id % 64, id,
       CASE id % 4 WHEN 0 THEN 'Bram de Vries ' WHEN 1 THEN 'Dana O''Neill ' WHEN 2 THEN 'عائشة ' ELSE 'चित्रा ' END || id,
       (ARRAY['nl', 'en', 'ar', 'hi'])[id % 4 + 1], 'c' || id || '@customers.example',
       CASE WHEN (id / 64) % %(share)s = 0 THEN 1 ELSE 2 + id % 500 END
FROM generate_series(1, %(customers)s) AS id
"""
SURPLUS = """
UPDATE customer SET node_id = 2 WHERE node_id = 1 AND (bucket, id) IN (
    SELECT bucket, id FROM customer WHERE node_id = 1 ORDER BY id OFFSET %(touched)s)
"""
TRIAL_TABLES = ("spread", "message", "delivery", "events_event")


def prepare(cluster: Cluster, *, customers: int, touched: int) -> None:
    with cluster.connect(autocommit=True) as connection:
        connection.execute(product_event_log_ddl())
        month = datetime.now(UTC).date().replace(day=1)
        after = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
        connection.execute(
            f"CREATE TABLE events_event_now PARTITION OF events_event FOR VALUES FROM ('{month}') TO ('{after}')"
        )
        connection.execute(TABLES)
        connection.execute(
            CUSTOMERS.replace("%(customers)s", str(customers)).replace("%(share)s", str(customers // touched))
        )
        connection.execute(SURPLUS, {"touched": touched})
        connection.execute("VACUUM ANALYZE customer")


def clear(cluster: Cluster) -> None:
    with cluster.connect(autocommit=True) as connection:
        connection.execute(f"TRUNCATE {', '.join(TRIAL_TABLES)}")
        connection.execute("SELECT pg_stat_reset()")
        connection.execute("CHECKPOINT")


@contextmanager
def worker(cluster: Cluster, *, port: int, options: argparse.Namespace) -> Iterator["subprocess.Popen[str]"]:
    """A worker process; ends with the block, killed by its own pid if it has not ended by itself."""
    arguments = {
        "dsn": cluster.dsn,
        "port": port,
        "connections": CONNECTIONS,
        "claimers": options.claimers,
        "size": options.size,
    }
    process = subprocess.Popen(
        [
            sys.executable,
            str(WORKER),
            *(part for name, value in arguments.items() for part in (f"--{name}", str(value))),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def decide(process: "subprocess.Popen[str]") -> None:
    """Tell a worker that is ready to begin."""
    assert process.stdin is not None
    process.stdin.write("tell\n")
    process.stdin.flush()


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def rows_written(cluster: Cluster) -> int:
    """Rows inserted and updated since the statistics were reset."""
    with cluster.connect(autocommit=True) as connection:
        time.sleep(1.5)  # PostgreSQL publishes a session's counts when it ends, or once a second
        row = connection.execute("SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables").fetchone()
    assert row is not None
    return int(row[0] or 0)


# --- Speed ------------------------------------------------------------------------------------------------------------


def one_run(cluster: Cluster, *, options: argparse.Namespace) -> dict[str, float]:
    clear(cluster)
    with smtp_sink() as port:
        syncs = fdatasync_per_second(cluster.data)
        before = source_rates(port, options=options)
        with worker(cluster, port=port, options=options) as process:
            assert line_of(process) == "ready\n", "the worker did not start"
            with MemoryWatch([process.pid]) as memory:
                decided_at = time.time()
                decide(process)
                answer = line_of(process)
            if not answer:
                raise RuntimeError("the worker failed")
            report = json.loads(answer)
        after = source_rates(port, options=options)
    same_size, default_size = ((early + late) / 2 for early, late in zip(before, after, strict=True))
    told, wrong = verdict(cluster, touched=options.touched)
    if wrong:
        raise RuntimeError(f"wrong rows: {wrong}")
    seconds = report["ended_at"] - decided_at
    return {
        "seconds from decision to last record": seconds,
        "mails/s": told / seconds,
        "÷ smtp-source, same size": told / seconds / same_size,
        "÷ smtp-source, its default size": told / seconds / default_size,
        "seconds to first mail": report["first_accepted_at"] - decided_at,
        "rows written": float(rows_written(cluster)),
        "smtp-source mails/s, same size": same_size,
        "smtp-source mails/s, its default size": default_size,
        "fdatasync/s": syncs,
        "worker peak MB": memory.peak_mb,
    }


def source_rates(port: int, *, options: argparse.Namespace) -> tuple[float, float]:
    """smtp-source with our size and with its own; measured before and after, because the machine's mood changes."""
    half = options.source_messages // 2
    return smtp_source_rate(port, messages=half, length=options.size), smtp_source_rate(
        port, messages=half, length=None
    )


def verdict(cluster: Cluster, *, touched: int) -> tuple[int, dict[str, int]]:
    """How many were told according to the tables, and whatever is not as it should be there."""
    with cluster.connect(autocommit=True) as connection:
        states = Counter(dict(connection.execute("SELECT state, count(*) FROM message GROUP BY state").fetchall()))
        row = connection.execute("SELECT count(*), count(DISTINCT subject) FROM events_event").fetchone()
        unlike = connection.execute(
            "SELECT count(*) FROM message m WHERE 1 <> (SELECT count(*) FROM delivery d"
            " WHERE d.bucket = m.bucket AND d.message_id = m.id AND d.state = 'accepted')"
        ).fetchone()
    assert row is not None
    assert unlike is not None
    wrong = {
        "messages missing": touched - states.total(),
        "messages not sent": states.total() - states["sent"],
        "events missing": touched - row[1],
        "events twice": row[0] - row[1],
        "messages without one accepted delivery": unlike[0],
    }
    return states["sent"], {name: count for name, count in wrong.items() if count}


def measure(cluster: Cluster, *, options: argparse.Namespace) -> bool:
    """Run and print; a wrong row raises in `one_run`, so whoever returns has held."""
    runs = []
    for number in range(options.runs):
        runs.append(one_run(cluster, options=options))
        if not options.json:
            print(f"  run {number + 1}: {runs[-1]['mails/s']:,.0f} mails/s", flush=True)
    results: dict[str, Any] = {name: Spread.of([run[name] for run in runs]) for name in runs[0]}
    title = f"fan-out alone, {options.runs} runs (minimum / median / maximum)"
    print_results(title, results, as_json=options.json)
    return True


# --- Kills ------------------------------------------------------------------------------------------------------------


def kill_run(cluster: Cluster, *, options: argparse.Namespace) -> bool:
    """Kill the worker again and again; then compare what the server accepted with what the tables say."""
    clear(cluster)
    chance, kills, worst = random.Random(options.seed), 0, 0
    budget = options.touched / options.kills if options.kills else 0.0
    started = time.monotonic()
    with counting_sink() as (port, accepted):
        while True:
            with worker(cluster, port=port, options=options) as process:
                decide(process)
                if kills < options.kills and die_at_random(process, accepted=accepted, chance=chance, budget=budget):
                    kills += 1
                    worst = max(worst, left_sending(cluster, dead=process))
                    continue
                ended = process.wait(timeout=600) == 0
                break
        told = accepted.times_told()
    results = compare(cluster, told=told, options=options)
    results |= {"kills": kills, "worker ended by itself": ended, "most in flight at one kill": worst}
    results |= {"allowed in flight at one kill": FLIGHT * CONNECTIONS, "seconds": time.monotonic() - started}
    held = (
        ended
        and kills == options.kills
        and worst <= FLIGHT * CONNECTIONS
        and not any(
            results[name] for name in ("not told", "twice without the mark uncertain", "told but unknown", "wrong rows")
        )
    )
    print_results(f"{kills} kills -9 of the worker", results | {"held": held}, as_json=options.json)
    return held


def die_at_random(
    process: "subprocess.Popen[str]", *, accepted: Accepted, chance: random.Random, budget: float
) -> bool:
    """Kill after a random number of further mails, or a random time while starting; False if it ended before that."""
    # Some die while they start or recover, most in the middle of sending.
    if chance.random() < 0.1:
        time.sleep(chance.uniform(0, 0.4))
    else:
        until = len(accepted) + chance.uniform(0, 1.6) * budget
        while len(accepted) < until and process.poll() is None:
            time.sleep(0.0005)
        time.sleep(chance.uniform(0, 0.01))
    if process.poll() is not None:
        return False
    process.kill()
    process.wait()
    return True


def left_sending(cluster: Cluster, *, dead: "subprocess.Popen[str]") -> int:
    """Deliveries still marked *sending* once every session of the dead worker is gone."""
    assert dead.returncode is not None
    with cluster.connect() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LIVE_WORKER])
        row = connection.execute("SELECT count(*) FROM delivery WHERE state = 'sending'").fetchone()
    assert row is not None
    return int(row[0])


def compare(cluster: Cluster, *, told: "Counter[str]", options: argparse.Namespace) -> dict[str, Any]:
    _, wrong = verdict(cluster, touched=options.touched)
    with cluster.connect(autocommit=True) as connection:
        expected = dict(
            connection.execute(
                "SELECT m.id || '.' || m.customer_id, (SELECT count(*) FROM delivery d WHERE d.bucket = m.bucket"
                " AND d.message_id = m.id AND d.state = 'uncertain') FROM message m"
            ).fetchall()
        )
    customers = Counter(mark.rpartition(".")[2] for mark in told)
    return {
        "customers to tell": options.touched,
        "customers told": len(customers),
        "not told": options.touched - len(customers),
        "told but unknown": len(set(told) - set(expected)),
        "customers under two messages": sum(1 for count in customers.values() if count > 1),
        "mails accepted": told.total(),
        "told twice, marked uncertain": sum(1 for mark, count in told.items() if count > 1 and expected.get(mark)),
        "twice without the mark uncertain": sum(1 for mark, count in told.items() if count > 1 + expected.get(mark, 0)),
        "sends marked uncertain": sum(expected.values()),
        "wrong rows": wrong,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--touched", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=10_240, help="bytes of one mail")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--claimers", type=int, default=1, help="database sessions that claim and record")
    parser.add_argument("--source-messages", type=int, default=30_000, help="mails that smtp-source sends each time")
    parser.add_argument("--kills", type=int, default=0, help="instead of measuring: kill the worker so many times")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--memory", action="store_true", help="data on the memory disk")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with throwaway_cluster(in_memory=options.memory) as cluster:
        about = {
            "machine": machine_line(),
            "data": "memory disk" if options.memory else "disk",
            "customers": options.customers,
            "told": options.touched,
            "bytes a mail": options.size,
            "connections × flight": f"{CONNECTIONS} × {FLIGHT}",
            "buckets": BUCKETS,
        }
        print_results("fan-out trial", about, as_json=options.json)
        prepare(cluster, customers=options.customers, touched=options.touched)
        held = (kill_run if options.kills else measure)(cluster, options=options)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
