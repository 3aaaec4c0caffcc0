"""Live updates: from the commit of a change to its name on each of 300 open pages.

Run: .venv/bin/python -m bench.live_pages [--pages 300] [--changes 40] [--json]. One web process as `beforehand web` starts it,
PostgreSQL with its data on disk; the pages are streams of signed-in people, half of *Today* and half of one incident's room, read
over raw sockets in this process. Every change is one event about that incident, committed a second and a bit after the one
before, so that none waits for the names that go at most once a second. What a page then fetches is measured with the pages.
"""

import argparse
import asyncio
import os
import time
from typing import Any

from bench.intake_http import serve
from bench.tools import (
    MemoryWatch,
    Spread,
    free_port,
    machine_line,
    percentile,
    print_results,
    throwaway_cluster,
    wait_for_port,
)

SUBJECT = "incident:1"
APART = 1.3
"""Seconds between two changes."""
ALLOWED_MS = 100


def prepare(database_url: str) -> str:
    """Migrate the throw-away database, make somebody and sign her in; answers the session's cookie."""
    os.environ |= {
        "BEFOREHAND_DATABASE_URL": database_url,
        "BEFOREHAND_SECRET_KEY": "a-key-for-the-bench-only-0123456789-0123456789",
        "DJANGO_SETTINGS_MODULE": "beforehand.config.settings",
    }
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client

    from beforehand.accounts.actions import create_user
    from beforehand.events.actions import month_of, prepare_partitions
    from beforehand.kit import clock

    call_command("migrate", verbosity=0)
    prepare_partitions(today=month_of(clock.now()))
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(
        create_user(email="noor@bench.example", name="Noor", role="admin", password="x" * 20, actor="bench")
    )
    return "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())


class Page:
    """One open stream, and when each name came down it."""

    def __init__(self) -> None:
        self.heard: list[float] = []
        self.task: asyncio.Task[None] | None = None

    async def open(self, port: int, cookie: str, path: str) -> None:
        """Ask for the stream; it is open when the answer's head is here."""
        reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
        await self.writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise SystemExit(f"the stream did not open: {head!r}")
        self.task = asyncio.create_task(self._listen(reader))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            if line.startswith(b"event: incident"):
                self.heard.append(time.perf_counter())


async def watch(port: int, cookie: str, *, pages: int, changes: int, after: str) -> list[float]:
    """Milliseconds from each commit to each page."""
    import psycopg

    streams = [Page() for _ in range(pages)]
    for number, page in enumerate(streams):
        watched = SUBJECT if number % 2 else "all"
        await page.open(port, cookie, f"/console/live/?watch={watched}&after={after}")
    await asyncio.sleep(2)
    taken: list[float] = []
    connection = await psycopg.AsyncConnection.connect(os.environ["BEFOREHAND_DATABASE_URL"], autocommit=True)
    async with connection:
        for number in range(changes):
            async with connection.transaction():
                await connection.execute(
                    "INSERT INTO events_event (type, actor, subject, data, source, occurred_at)"
                    " VALUES ('incident.update_posted', 'bench', %s, '{}', '', now())",
                    [SUBJECT],
                )
                await connection.execute("SELECT pg_notify('beforehand_events', '')")
            committed = time.perf_counter()
            await asyncio.sleep(APART)
            for page in streams:
                if len(page.heard) != number + 1:
                    raise SystemExit(f"a page heard {len(page.heard)} of {number + 1} changes")
                taken.append((page.heard[-1] - committed) * 1000)
    for page in streams:
        if page.task is not None:
            page.task.cancel()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--changes", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with throwaway_cluster() as cluster, (cluster.folder / "web.log").open("wb") as log:
        database_url = f"postgresql://postgres@/postgres?host={cluster.folder}"
        cookie = prepare(database_url)
        from beforehand.events.places import place_now

        after = str(place_now())
        port = free_port()
        web = serve(database_url, port, log)
        try:
            wait_for_port(port, seconds=30)
            with MemoryWatch([web.pid]) as memory:
                taken = asyncio.run(watch(port, cookie, pages=options.pages, changes=options.changes, after=after))
        finally:
            web.terminate()
            web.wait(timeout=30)
    results: dict[str, Any] = {
        "machine": machine_line(),
        "pages": options.pages,
        "changes": options.changes,
        "ms from commit to a page": Spread.of(taken),
        "p95; p99": f"{percentile(taken, 0.95):.0f}; {percentile(taken, 0.99):.0f}",
        f"within {ALLOWED_MS} ms": f"{sum(one <= ALLOWED_MS for one in taken) / len(taken):.2%}",
        "web process, MB": memory.peak_mb,
    }
    print_results("live updates", results, as_json=options.json)


if __name__ == "__main__":
    main()
