"""How fast one Python process hands messages to a mail server, beside `smtp-source` on the same sink in the same run.

    .venv/bin/python bench/smtp_client.py [--messages 60000] [--size 10000] [--rounds 3]

Starts Postfix's `smtp-sink` on a loopback port, and ends it. Prints messages a second and the ratio, lowest and highest
of the rounds, because one figure swings with which core a process lands on.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from beforehand.outbound.smtp import Courier, Outcome, Outgoing, SendResult, SmtpPool, SmtpServer

CONNECTIONS, FLIGHT = 10, 50


@contextmanager
def sink():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen(["smtp-sink", *user, f"127.0.0.1:{port}", "2000"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def message_of(size: int) -> bytes:
    line = b"x" * 76 + b"\r\n"
    return b"Subject: bench\r\n\r\n" + line * (size // len(line))


def flights_of(count: int, data: bytes) -> list[list[Outgoing]]:
    return [
        [Outgoing(at + i, "a@b.example", f"d{at + i}@e.example", data) for i in range(min(FLIGHT, count - at))]
        for at in range(0, count, FLIGHT)
    ]


def check(outcomes: list[Outcome]) -> None:
    assert all(outcome.result is SendResult.ACCEPTED for outcome in outcomes), outcomes[0]


def with_pool(port: int, flights: list[list[Outgoing]]) -> float:
    async def run() -> float:
        pool, todo = SmtpPool(SmtpServer("127.0.0.1", port), connections=CONNECTIONS), iter(flights)

        async def carry() -> None:
            for flight in todo:
                check(await pool.run_flight(flight))

        started = time.perf_counter()
        await asyncio.gather(*(carry() for _ in range(CONNECTIONS)))
        seconds = time.perf_counter() - started
        await pool.close()
        return seconds

    import uvloop

    return uvloop.run(run())


def with_courier(port: int, flights: list[list[Outgoing]]) -> float:
    with Courier(SmtpServer("127.0.0.1", port), connections=CONNECTIONS) as courier:
        started, todo = time.perf_counter(), iter(flights)
        flying: set[Future[list[Outcome]]] = set()
        for flight in todo:
            flying.add(courier.send_flight(flight))
            if len(flying) >= CONNECTIONS:
                landed, flying = wait(flying, return_when=FIRST_COMPLETED)
                for future in landed:
                    check(future.result())
        for future in flying:
            check(future.result())
        return time.perf_counter() - started


def with_smtp_source(port: int, count: int, size: int) -> float:
    started = time.perf_counter()
    subprocess.run(
        f"smtp-source -s {CONNECTIONS} -m {count} -l {size} -f a@b.example -t d@e.example 127.0.0.1:{port}".split(),
        check=True,
    )
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=60_000)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    flights = flights_of(args.messages, message_of(args.size))
    rates: dict[str, list[float]] = {"smtp-source": [], "pool": [], "courier": []}
    with sink() as port:
        for _ in range(args.rounds):
            theirs = args.messages // 3
            rates["smtp-source"].append(theirs / with_smtp_source(port, theirs, args.size))
            rates["pool"].append(args.messages / with_pool(port, flights))
            rates["courier"].append(args.messages / with_courier(port, flights))
    report: dict[str, object] = {
        "messages": args.messages,
        "bytes": args.size,
        "connections": CONNECTIONS,
        "flight": FLIGHT,
        "cores": os.cpu_count(),
    }
    for name, found in rates.items():
        report[name] = {"per_s_min": round(min(found)), "per_s_max": round(max(found))}
    for name in ("pool", "courier"):
        ratios = [ours / theirs for ours, theirs in zip(rates[name], rates["smtp-source"], strict=True)]
        report[f"{name}/smtp-source"] = {"min": round(min(ratios), 2), "max": round(max(ratios), 2)}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
