"""What the benches share: a throw-away PostgreSQL, Postfix's sink and source, and honest figures about the machine.

Nothing here belongs to the product, so a trial built on it stays an independent upper bound.
"""

import json
import math
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

BINARIES = Path(os.environ.get("BENCH_PG_BIN", "/usr/lib/postgresql/15/bin"))
MEMORY_DISK = Path("/dev/shm")
SYNC_PAGE = 8192


# --- PostgreSQL ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL of our own, reached by its socket only."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    in_memory: bool

    @property
    def dsn(self) -> str:
        return f"host={self.folder} user=postgres dbname=postgres"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def connect(self, *, autocommit: bool = False) -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(self.dsn, autocommit=autocommit)


# Durable as in production: only the sizes differ from PostgreSQL's defaults, and they are those of the embedded server.
CLUSTER_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "1GB",
    "effective_cache_size": "4GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "512MB",
    "wal_compression": "on",
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "timezone": "UTC",
}


def _as_postgres() -> dict[str, Any]:
    """Popen arguments that drop root, which PostgreSQL refuses to run as."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def throwaway_cluster(*, in_memory: bool = False) -> Iterator[Cluster]:
    """Start a fresh cluster (on disk, or on the memory disk), give it, stop it by its own pid and remove its folder."""
    parent = MEMORY_DISK if in_memory else Path(os.environ.get("BENCH_DISK", "/var/tmp"))
    folder = Path(tempfile.mkdtemp(prefix="bench-pg-", dir=parent))
    process: subprocess.Popen[bytes] | None = None
    if threading.current_thread() is threading.main_thread():
        # so that a time limit does not leave a server behind
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        data = folder / "data"
        subprocess.run(
            [BINARIES / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"],
            check=True,
            stdout=subprocess.DEVNULL,
            **_as_postgres(),
        )
        options = [part for name, value in CLUSTER_SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with (folder.parent / f"{folder.name}.log").open("wb") as log:
            process = subprocess.Popen(
                [BINARIES / "postgres", "-D", data, "-k", folder, *options],
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us first, and we stop it in order
                **_as_postgres(),
            )
        cluster = Cluster(folder=folder, process=process, in_memory=in_memory)
        _wait_until_ready(cluster)
        yield cluster
    finally:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)  # "fast" shutdown
            process.wait(timeout=120)
        shutil.rmtree(folder, ignore_errors=True)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)


def _wait_until_ready(cluster: Cluster) -> None:
    last: Exception | None = None
    for _ in range(300):
        try:
            cluster.connect().close()
            return
        except psycopg.OperationalError as error:
            last = error
        if cluster.process.poll() is not None:
            break
        time.sleep(0.1)
    log = cluster.folder.parent / f"{cluster.folder.name}.log"
    raise RuntimeError(f"PostgreSQL did not start: {last}\n{log.read_text(errors='replace')[-2000:]}")


def product_event_log_ddl() -> str:
    """The event log's SQL, word for word from the product's first migration, read without importing the product."""
    import ast

    path = Path(__file__).resolve().parents[1] / "src/beforehand/events/migrations/0001_initial.py"
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "LOG" for t in node.targets):
            return str(ast.literal_eval(node.value))
    raise LookupError(f"no LOG in {path}")


# --- Postfix's sink and source ---------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on 127.0.0.1:{port}")


def program(name: str) -> str:
    """The full path of a system program; sbin is not on everyone's path."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise SystemExit(f"{name} is not installed (Debian: apt-get install postfix)")
    return found


@contextmanager
def smtp_sink() -> Iterator[int]:
    """Postfix's smtp-sink on a free loopback port; gives the port."""
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [program("smtp-sink"), *user, f"127.0.0.1:{port}", "2000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for_port(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def smtp_source_rate(port: int, *, messages: int, length: int | None) -> float:
    """Mails a second of `smtp-source` with 10 sessions; `length` None means its own default size."""
    size = [] if length is None else ["-l", str(length)]
    command = [program("smtp-source"), "-s", "10", "-m", str(messages), *size]
    started = time.perf_counter()
    subprocess.run(
        [*command, "-f", "bench@a.example", "-t", "bench@b.example", f"127.0.0.1:{port}"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return messages / (time.perf_counter() - started)


# --- The machine -----------------------------------------------------------------------------------------------------


def fdatasync_per_second(folder: Path, *, seconds: float = 1.0) -> float:
    """How often a second this disk syncs one rewritten 8 kB page, now: what a single-connection commit rate hangs on."""
    path = folder / f".fdatasync-{os.getpid()}"
    page = os.urandom(SYNC_PAGE)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        os.pwrite(descriptor, page, 0)
        os.fsync(descriptor)
        count, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            os.pwrite(descriptor, page, 0)
            os.fdatasync(descriptor)
            count += 1
        return count / elapsed
    finally:
        os.close(descriptor)
        path.unlink()


def machine_line() -> str:
    """One line for beside a figure: cores, memory, load, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    version = platform.python_version()
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f}, Python {version}"


def process_tree(pid: int) -> list[int]:
    """The process and everything below it that lives now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue  # it ended while we looked
        children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo[-1])
        todo.extend(children.get(todo.pop(), []))
    return found


def resident_mb(pids: Sequence[int]) -> float:
    """Resident memory of these processes in MB; memory they share counts once for each, so it errs upwards."""
    total = 0
    for pid in pids:
        try:
            found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        except OSError:
            continue
        total += int(found[1]) if found else 0
    return total / 1024


@dataclass
class MemoryWatch:
    """Samples the resident memory of process trees while it is open; `peak_mb` is the highest sum."""

    pids: Sequence[int]
    every_s: float = 0.1
    peak_mb: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def _sample(self) -> None:
        while True:
            tree = {pid for root in self.pids for pid in process_tree(root)}
            self.peak_mb = max(self.peak_mb, resident_mb(sorted(tree)))
            if self._stop.wait(self.every_s):
                return

    def __enter__(self) -> "MemoryWatch":
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()


# --- Figures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """Several runs of one figure; one run alone says little on a shared machine."""

    minimum: float
    median: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(min(values), statistics.median(values), max(values))

    def rounded(self, digits: int = 2) -> dict[str, float]:
        return {name: round(value, digits) for name, value in vars(self).items()}

    def __str__(self) -> str:
        return f"{_short(self.minimum)} / {_short(self.median)} / {_short(self.maximum)}"


def _short(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.4f}"


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; `share` between 0 and 1."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def print_results(title: str, results: dict[str, Any], *, as_json: bool) -> None:
    """Figures for people (minimum / median / maximum), or as one JSON line for programs."""
    if as_json:
        print(json.dumps({"bench": title} | {k: _plain(v) for k, v in results.items()}))
        return
    print(f"\n{title}")
    width = max((len(name) for name in results), default=0)
    for name, value in results.items():
        print(f"  {name:<{width}}  {_short(value) if isinstance(value, float) else value}")


def _plain(value: Any) -> Any:
    if isinstance(value, Spread):
        return value.rounded(4)
    return round(value, 4) if isinstance(value, float) else value
