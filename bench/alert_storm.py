"""A storm of alerts over HTTP: 5,000 a minute from 200 sources, each decided (matched, then raised, joined, muted or let be).

    .venv/bin/python -m bench.alert_storm [--a-minute 5000] [--sources 200] [--seconds 60] [--customers 20000] [--memory] [--json]

A fresh PostgreSQL with a company, the product's web process and one worker, and a client process of its own. Each source is
an Alertmanager with a token's webhook: it posts groups of one to ten alerts at moments of its own, some of which repeat what
was posted before, end it, or mean nothing to any rule; some nodes are muted, some hang on one that has failed. An alert is
decided when the place of the subscriber that decides has passed it, which is looked at a hundred times a second; its lag
runs from the moment its POST was answered. Then as many alerts as a minute brings come at once, for the rate at which
they are decided: over the rate asked, that is the headroom.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from bench.company import found_company
from bench.tools import free_port, machine_line, percentile, print_results, throwaway_cluster, wait_for_port

ROOT = Path(__file__).resolve().parents[1]
LOOK_EVERY = 0.01
DECIDES, OPENS = "detection.alerts", "incidents.detection"
"""The subscribers that decide on an alert, and that open or widen an incident for what was raised."""


# --- The client --------------------------------------------------------------------------------------------------------


def bodies_of(source: int, *, alerts: int, nodes: int, chance: random.Random) -> list[tuple[bytes, list[str]]]:
    """What one source posts, in order, each with the identities of the alerts in it that are new."""
    made: list[tuple[bytes, list[str]]] = []
    firing: list[dict[str, Any]] = []
    count = 0
    began = datetime.now(UTC) - timedelta(hours=1)
    while count < alerts:
        group = []
        for _ in range(min(chance.randint(1, 10), alerts - count)):
            count += 1
            kind = chance.random()
            if kind < 0.2 and firing:
                group.append({**firing.pop(), "status": "resolved", "endsAt": datetime.now(UTC).isoformat()})
                continue
            alert = {
                "status": "firing",
                "labels": {
                    "alertname": "NodeDown" if kind < 0.9 else "DiskFilling",
                    "node": f"node-{chance.randrange(nodes)}",
                    "probe": f"s{source}-{count}",
                    "severity": "critical",
                },
                "annotations": {"summary": "The node does not answer", "runbook": "https://runbooks.example/node-down"},
                "startsAt": (began + timedelta(milliseconds=source * 100_000 + count)).isoformat(),
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus.example/graph",
            }
            firing.append(alert)
            group.append(alert)
        fresh = [f"{datetime.fromisoformat(one['startsAt']).isoformat()}:{one['status']}" for one in group]
        again = chance.sample(firing, k=min(2, len(firing)))  # Alertmanager sends what still fires again
        made.append((_webhook(source, group + [one for one in again if one not in group]), fresh))
    return made


def _webhook(source: int, alerts: list[dict[str, Any]]) -> bytes:
    return orjson.dumps(
        {
            "version": "4",
            "groupKey": f'{{}}:{{source="{source}"}}',
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "beforehand",
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": f"http://alertmanager-{source}.example",
            "alerts": alerts,
        }
    )


class Storm:
    """All sources together; notes when each new alert's POST was answered, in seconds of the wall clock."""

    def __init__(self, port: int, secret: str) -> None:
        self.port, self.secret = port, secret
        self.answered: dict[str, float] = {}
        self.took: list[float] = []
        self.put_off = 0

    async def source(self, posts: list[tuple[float, bytes, list[str]]]) -> None:
        """Post each body at its moment, each on a connection of its own: an idle one would be closed meanwhile."""
        for at, body, fresh in posts:
            await asyncio.sleep(max(0.0, at - time.time()))
            began = time.time()
            while not await self._post(body):
                self.put_off += 1
                await asyncio.sleep(1)
            now = time.time()
            self.took.append(now - began)
            self.answered.update(dict.fromkeys(fresh, now))

    async def _post(self, body: bytes) -> bool:
        """Post one body; False if the door asks to come again, as an Alertmanager then does."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(
            f"POST /api/v1/intake/alertmanager HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.secret}\r\n"
            f"Connection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        answer = await reader.read()
        writer.close()
        status = answer.split(b"\r\n", 1)[0]
        if b" 202 " not in status and b" 503 " not in status and b" 429 " not in status:
            raise SystemExit(f"the door did not take it: {answer!r}")
        return b" 202 " in status

    async def run(self, plans: list[list[tuple[float, bytes, list[str]]]]) -> None:
        await asyncio.gather(*(self.source(plan) for plan in plans))


def client(port: int, secret: str, *, first_source: int, sources: int, alerts: int, seconds: float, nodes: int) -> None:
    """The client process: makes its bodies before the clock starts, prints when each alert was taken."""
    chance = random.Random(first_source)
    each = [
        bodies_of(
            first_source + n, alerts=(n + 1) * alerts // sources - n * alerts // sources, nodes=nodes, chance=chance
        )
        for n in range(sources)
    ]
    began = time.time() + 0.5
    plans = [
        [(began + at, *post) for at, post in zip(sorted(chance.uniform(0, seconds) for _ in posts), posts, strict=True)]
        for posts in each
    ]
    storm = Storm(port, secret)
    asyncio.run(storm.run(plans))
    print(json.dumps({"answered": storm.answered, "took": storm.took, "put_off": storm.put_off}))


# --- What is measured --------------------------------------------------------------------------------------------------


class Places(threading.Thread):
    """Looks a hundred times a second how far a subscriber has read: (moment, place)."""

    def __init__(self, cluster: Any) -> None:
        super().__init__(daemon=True)
        self.connection = cluster.connect(autocommit=True)
        self.seen: dict[str, list[tuple[float, tuple[int, int]]]] = {DECIDES: [], OPENS: []}
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(LOOK_EVERY):
            rows = self.connection.execute(
                "SELECT name, xid::text::bigint, event_id FROM events_subscriptioncursor WHERE name = ANY(%s)",
                [[DECIDES, OPENS]],
            ).fetchall()
            now = time.time()
            for name, xid, event_id in rows:
                seen = self.seen[name]
                if not seen or seen[-1][1] != (xid, event_id):
                    seen.append((now, (xid, event_id)))

    def passed(self, name: str, place: tuple[int, int]) -> float:
        """When this subscriber was first seen at or behind a place of the log."""
        seen = self.seen[name]
        index = bisect_left(seen, place, key=lambda one: one[1])
        if index == len(seen):
            raise SystemExit(f"{name} never came to {place}")
        return seen[index][0]


def lags(places: Places, connection: Any, answered: dict[str, float]) -> tuple[list[float], list[float]]:
    """Seconds from the answer to the decision, and for those that raised something, to the incident that knows of it."""
    rows = connection.execute(
        """
        SELECT substring(source_id from position(':' in source_id) + 1), xid::text::bigint, id FROM events_event
        WHERE type IN ('alert.fired', 'alert.resolved')
        """
    ).fetchall()
    place = {name: (xid, event_id) for name, xid, event_id in rows}
    missing = answered.keys() - place.keys()
    if missing:
        raise SystemExit(f"{len(missing)} alerts were taken and are not in the log")
    decided = [max(0.0, places.passed(DECIDES, place[name]) - at) for name, at in answered.items()]
    raised = connection.execute(
        """
        SELECT substring(a.source_id from position(':' in a.source_id) + 1), e.xid::text::bigint, e.id
        FROM events_event e JOIN detection_alert d ON d.id = (e.data->>'alert')::bigint
        JOIN events_event a ON a.id = d.event_id WHERE e.type = 'detection.raised'
        """
    ).fetchall()
    known = [
        max(0.0, places.passed(OPENS, (xid, event_id)) - answered[name])
        for name, xid, event_id in raised
        if name in answered
    ]
    return decided, known


def wait_until_decided(places: Places, connection: Any, *, seconds: float) -> float:
    """Until both subscribers have passed the last alert and what it raised; when they had."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        rows = connection.execute(
            """
            SELECT type = 'detection.raised', xid::text::bigint, id FROM events_event
            WHERE type IN ('alert.fired', 'alert.resolved', 'detection.raised') ORDER BY xid DESC, id DESC LIMIT 1
            """
        ).fetchall()
        alerts = connection.execute(
            "SELECT xid::text::bigint, id FROM events_event WHERE type LIKE 'alert.%' ORDER BY xid DESC, id DESC LIMIT 1"
        ).fetchall()
        if rows and all(seen for seen in places.seen.values()):
            last, last_alert = (rows[0][1], rows[0][2]), alerts[0]
            if places.seen[DECIDES][-1][1] >= last_alert and places.seen[OPENS][-1][1] >= last:
                return places.passed(DECIDES, last_alert)
        time.sleep(0.2)
    raise SystemExit("the alerts were not decided in time")


def prepare(customers: int, connection: Any) -> str:
    """A company, rules, mutes, and a token for the sources."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from beforehand.accounts.actions import create_token, ensure_team
    from beforehand.customers.models import Component
    from beforehand.detection.actions import save_rule
    from beforehand.detection.mutes import create_mute
    from beforehand.kit import clock
    from beforehand.playbooks.actions import install_shipped

    found_company(connection, customers=customers, affected=customers // 2)
    ensure_team(slug="network-operations", name="Network operations", actor="bench")
    install_shipped()
    for number in range(10):  # that many are asked before the one that means it
        save_rule(
            slug=f"other-{number}", name="Another", condition=f'labels.alertname == "Other{number}"', actor="bench"
        )
    save_rule(
        slug="node-down",
        name="Node down",
        condition='labels.alertname == "NodeDown" && labels.severity in ["critical", "major"]',
        group_by=["alertname", "node"],
        component_labels=["node"],
        texts={"en": {"title": "Internet outage"}},
        actor="bench",
    )
    now = clock.now()
    for number in range(2):
        create_mute(
            starts_at=now,
            ends_at=now + timedelta(hours=2),
            reason="Work",
            actor="bench",
            component=Component.objects.get(external_id=f"node-{number}"),
        )
    return create_token(name="bench", scopes=["events:write"], actor="bench")[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--a-minute", type=int, default=5_000)
    parser.add_argument("--sources", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--memory", action="store_true", help="the database on a memory disk")
    parser.add_argument("--profile", help="write a cProfile of the worker to this file")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--client", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        client(**json.loads(options.client))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with ExitStack() as stack:
        cluster = stack.enter_context(throwaway_cluster(in_memory=options.memory))
        port = free_port()
        os.environ.update(
            DJANGO_SETTINGS_MODULE="beforehand.config.settings",
            BEFOREHAND_DATABASE_URL=f"postgresql://postgres@/postgres?host={cluster.folder}",
            BEFOREHAND_SECRET_KEY="bench-bench-bench-bench-bench-bench-bench",
            BEFOREHAND_HOME=str(cluster.folder / "home"),
            BEFOREHAND_SMTP_URL=f"smtp://127.0.0.1:{free_port()}",
            BEFOREHAND_BIND=f"127.0.0.1:{port}",
            BEFOREHAND_LOG_LEVEL=os.environ.get("BEFOREHAND_LOG_LEVEL", "ERROR"),
        )
        (cluster.folder / "home").mkdir(exist_ok=True)
        connection = stack.enter_context(cluster.connect())
        secret = prepare(options.customers, connection)
        connection.autocommit = True
        command = [sys.executable, "-m", "beforehand.config.cli"]
        worker = [*command, "worker"]
        if options.profile:
            worker = [sys.executable, "-m", "cProfile", "-o", options.profile, "-m", "beforehand.config.cli", "worker"]
        processes = [subprocess.Popen(worker, cwd=ROOT), subprocess.Popen([*command, "web"], cwd=ROOT)]
        places = Places(cluster)
        try:
            wait_for_port(port, seconds=60)
            places.start()
            nodes = max(1, options.customers // 1000)

            def blow(first_source: int, *, alerts: int, seconds: float) -> dict[str, Any]:
                given = {
                    "port": port,
                    "secret": secret,
                    "first_source": first_source,
                    "sources": options.sources,
                    "alerts": alerts,
                    "seconds": seconds,
                    "nodes": nodes,
                }
                asked = [sys.executable, "-m", "bench.alert_storm", "--client", json.dumps(given)]
                told = subprocess.run(asked, check=True, cwd=ROOT, stdout=subprocess.PIPE).stdout
                wait_until_decided(places, connection, seconds=300)
                return dict(json.loads(told))

            blow(0, alerts=options.sources, seconds=5)  # to warm up
            storm = blow(1_000, alerts=round(options.a_minute * options.seconds / 60), seconds=options.seconds)
            decided, known = lags(places, connection, storm["answered"])
            burst = blow(2_000, alerts=options.a_minute, seconds=0)
            burst_decided, _ = lags(places, connection, burst["answered"])
            ends = [at + lag for at, lag in zip(burst["answered"].values(), burst_decided, strict=True)]
            rate = len(ends) / (max(ends) - min(burst["answered"].values()))
            outcomes = dict(
                connection.execute(
                    "SELECT type, count(*) FROM events_event WHERE type ~ '^(detection|alert|incident)' GROUP BY type"
                ).fetchall()
            )
        finally:
            places.stopping.set()
            places.join(5)
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(40)
        within = sum(lag <= 1 for lag in decided) / len(decided)
        print_results(
            "alert storm",
            {
                "machine": machine_line(),
                "disk": "memory" if options.memory else "disk",
                "alerts, sources, seconds": f"{len(decided)}, {options.sources}, {options.seconds:.0f}",
                "decided, seconds after the answer: p50 / p95 / p99 / most": _percentiles(decided),
                "decided within 1 s": f"{within:.4f}",
                "incident knows of it, seconds: p50 / p95 / p99 / most": _percentiles(known),
                "answered, seconds: p50 / p95 / p99 / most": _percentiles(storm["took"]),
                "told to come again": f"{storm['put_off']} posts of the storm, {burst['put_off']} of all at once",
                "decided a second, all at once": rate,
                "÷ the rate asked": rate / (options.a_minute / 60),
                "what became of them": ", ".join(f"{name} {count}" for name, count in sorted(outcomes.items())),
            },
            as_json=options.json,
        )


def _percentiles(values: list[float]) -> str:
    return " / ".join(f"{percentile(values, share):.3f}" for share in (0.5, 0.95, 0.99)) + f" / {max(values):.3f}"


if __name__ == "__main__":
    main()
