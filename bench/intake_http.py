"""Events a second through the HTTP door, in batches of 1,000, each batch durable before it is answered.

Run: .venv/bin/python -m bench.intake_http [--batches 150] [--connections 6] [--json]. One web process, PostgreSQL with its data
on disk and synchronous_commit on, and a client process of its own on raw sockets share this machine's cores. Beside it
stand raw COPY of the same rows into the same tables (the upper bound) and the disk's syncs a second.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
from bench.tools import (
    MemoryWatch,
    Spread,
    fdatasync_per_second,
    free_port,
    machine_line,
    percentile,
    print_results,
    throwaway_cluster,
    wait_for_port,
)

BATCH = 1_000
ROUNDS = 3
ROOT = Path(__file__).resolve().parents[1]


def batch_body(number: int) -> bytes:
    """A batch like those of a shop's order system: about 250 bytes an event, none of them seen before."""
    return orjson.dumps(
        [
            {
                "specversion": "1.0",
                "id": f"7f9c0d2e-{number:05d}-{n:04d}",
                "source": "https://shop.example/orders",
                "type": "order.shipped",
                "time": f"2026-03-01T14:{n % 60:02d}:05.123Z",
                "subject": f"order/{number * BATCH + n}",
                "customer": f"C-{n:06d}",
                "data": {"parcel": f"P{n}", "items": n % 7, "carrier": "PostNL", "express": n % 2 == 0},
            }
            for n in range(BATCH)
        ]
    )


async def _send(port: int, secret: str, bodies: list[bytes], times: list[float]) -> None:
    """Post bodies one after the other on one kept connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while bodies:
        body = bodies.pop()
        head = (
            f"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n"
            f"Content-Type: application/cloudevents-batch+json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter()
        writer.write(head.encode() + body)
        await writer.drain()
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        content = await reader.readexactly(length)
        if b" 202 " not in answer.split(b"\r\n", 1)[0] or orjson.loads(content)["accepted"] != BATCH:
            raise SystemExit(f"the door did not take it: {answer!r} {content!r}")
        times.append(time.perf_counter() - began)
    writer.close()


def client(port: int, secret: str, first: int, batches: int, connections: int) -> None:
    """The client process: makes its bodies before the clock starts, prints what it measured."""
    bodies = [batch_body(first + n) for n in range(batches)]
    times: list[float] = []

    async def run() -> float:
        began = time.perf_counter()
        await asyncio.gather(*(_send(port, secret, bodies, times) for _ in range(connections)))
        return time.perf_counter() - began

    seconds = asyncio.run(run())
    print(json.dumps({"rate": batches * BATCH / seconds, "p95_ms": percentile(times, 0.95) * 1000}))


def copy_rate(connection: Any, events: int) -> float:
    """Rows a second of COPY into the log's three tables, from rows that the door wrote; one transaction, synced."""
    from psycopg import sql

    tables = {
        "events_eventkey": "source, 'copy' || source_id, event_id + 1000000000, first_seen_at, last_seen_at, ends_at, seen",
        "events_event": "id + 1000000000, recorded_at, occurred_at, epoch, xid, type, source, source_id, actor, subject,"
        " customer_id, data",
        "events_eventprivate": "event_id + 1000000000, recorded_at, customer_id, data",
    }
    images = {}
    for table, columns in tables.items():
        with connection.cursor() as cursor:
            query = f"COPY (SELECT {columns} FROM {table} LIMIT {events}) TO STDOUT"
            with cursor.copy(query) as copy:
                images[table] = b"".join(bytes(part) for part in copy)
    connection.commit()
    began = time.perf_counter()
    with connection.cursor() as cursor:
        for table, image in images.items():
            names = sql.SQL(", ").join(sql.Identifier(part.split()[-1].strip("'")) for part in _columns(tables[table]))
            with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)) as copy:
                copy.write(image)
    connection.commit()
    return events / (time.perf_counter() - began)


def _columns(select: str) -> list[str]:
    """The columns that a select list is made of, in its order."""
    return [part.strip().replace("'copy' || ", "").replace(" + 1000000000", "") for part in select.split(",")]


def serve(database_url: str, port: int, log: Any) -> "subprocess.Popen[bytes]":
    """The product's web process, as `beforehand web` starts it."""
    environment = os.environ | {
        "BEFOREHAND_DATABASE_URL": database_url,
        "BEFOREHAND_SECRET_KEY": "a-key-for-the-bench-only-0123456789-0123456789",
        "BEFOREHAND_BASE_URL": f"http://127.0.0.1:{port}",
        "BEFOREHAND_BIND": f"127.0.0.1:{port}",
        "BEFOREHAND_LOG_LEVEL": "WARNING",
    }
    return subprocess.Popen([str(ROOT / ".venv/bin/beforehand"), "web"], env=environment, stdout=log, stderr=log)


def _prepared(database_url: str) -> str:
    """Migrate the throw-away database and make a token."""
    os.environ |= {
        "BEFOREHAND_DATABASE_URL": database_url,
        "BEFOREHAND_SECRET_KEY": "a-key-for-the-bench-only-0123456789-0123456789",
        "DJANGO_SETTINGS_MODULE": "beforehand.config.settings",
    }
    import django

    django.setup()
    from django.core.management import call_command

    from beforehand.accounts.actions import create_token
    from beforehand.events.actions import month_of, prepare_partitions
    from beforehand.kit import clock

    call_command("migrate", verbosity=0)
    prepare_partitions(today=month_of(clock.now()))
    return create_token(name="bench", scopes=["events:write"], actor="bench")[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=150)
    parser.add_argument("--connections", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--client", nargs=3, metavar=("PORT", "SECRET", "FIRST"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        port, secret, first = options.client
        client(int(port), secret, int(first), options.batches, options.connections)
        return
    with throwaway_cluster() as cluster, (cluster.folder / "web.log").open("wb") as log:
        database_url = f"postgresql://postgres@/postgres?host={cluster.folder}"
        secret = _prepared(database_url)
        port = free_port()
        web = serve(database_url, port, log)
        try:
            wait_for_port(port, seconds=30)
            rates, latencies, copies, syncs = [], [], [], []
            with MemoryWatch([web.pid]) as memory:
                for number in range(ROUNDS + 1):
                    batches = options.batches if number else 10  # the first is for warming up
                    command = [sys.executable, "-m", "bench.intake_http", "--batches", str(batches)]
                    command += ["--connections", str(options.connections)]
                    command += ["--client", str(port), secret, str(number * options.batches)]
                    measured = json.loads(subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE).stdout)
                    if not number:
                        continue
                    rates.append(measured["rate"])
                    latencies.append(measured["p95_ms"])
                    syncs.append(fdatasync_per_second(cluster.folder))
                    with cluster.connect() as connection:
                        copies.append(copy_rate(connection, options.batches * BATCH))
                        for table in ("eventkey", "event", "eventprivate"):
                            connection.execute(f"TRUNCATE events_{table}")
        finally:
            web.terminate()
            web.wait(timeout=30)
    print_results(
        "events over HTTP, in batches of 1,000",
        {
            "events a second": Spread.of(rates),
            "COPY of the same rows, a second": Spread.of(copies),
            "HTTP / COPY": Spread.of([a / b for a, b in zip(rates, copies, strict=True)]),
            "p95 of a batch, ms": Spread.of(latencies),
            "fdatasync a second": Spread.of(syncs),
            "web process, MB": memory.peak_mb,
            "events in a round": options.batches * BATCH,
            "machine": machine_line(),
        },
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
