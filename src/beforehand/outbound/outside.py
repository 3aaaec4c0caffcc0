"""Posts to addresses that customers and their browsers name: only out into the world, and never where an answer leads.

A host is looked up once, its addresses are judged, and the connection goes to the very address that was judged, so that a
name that answers differently a moment later opens nothing. Redirects are not followed, and little of an answer is read.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore

from beforehand.outbound.smtp_protocol import Outcome, SendResult

GONE, HOST_REFUSED = "gone", "host refused"
LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_WAIT = 6 * 3600.0
MOST_READ = 16_384
NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class HostRefusedError(Exception):
    """This host is, or leads to, a machine of ours; the text says which address."""


def is_outside(text: str) -> bool:
    """Whether an IP address is out in the world: not this machine, not a private network, nothing reserved."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        address = inner or address
    return address.is_global and not address.is_multicast


def judged_addresses(host: str, port: int, private_hosts: Collection[str]) -> list[str]:
    """The addresses of a host, if all of them may be spoken to; raises `HostRefusedError`, and `OSError` for no such host."""
    found = list(dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    if host.lower() not in private_hosts:
        for address in found:
            if not is_outside(address):
                raise HostRefusedError(f"{host} is {address}, which is not out in the world")
    return found


class OutsideBackend(httpcore.NetworkBackend):
    """Opens connections to judged addresses only."""

    def __init__(self, private_hosts: Collection[str]) -> None:
        self._private_hosts = private_hosts
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first of the host's addresses that answers."""
        try:
            addresses = judged_addresses(host, port, self._private_hosts)
        except OSError as error:
            raise httpcore.ConnectError(f"{host}: {error}") from error
        for address in addresses[:-1]:
            try:
                return self._sockets.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError:
                continue
        return self._sockets.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class OutgoingPost:
    """One body for one address. `gone`: the answers that say that the address is none any more."""

    key: Hashable
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    gone: frozenset[int]


class PostCourier:
    """Carries posts, each to a host of its own, so that one that is away keeps nobody else waiting. A context manager."""

    failures = 0
    wait_asked = 0.0

    def __init__(self, *, connections: int = 5, private_hosts: Collection[str] = (), timeout: float = 10.0) -> None:
        self.connections = connections
        self._private_hosts = frozenset(host.lower() for host in private_hosts)
        self._pool = httpcore.ConnectionPool(
            max_connections=connections, keepalive_expiry=5, network_backend=OutsideBackend(self._private_hosts)
        )
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="post")
        self._lock = threading.Lock()
        self._in_flight = 0

    def idle(self) -> int:
        """How many flights can be taken on at once."""
        return max(0, self.connections - self._in_flight)

    def submit(self, flight: Sequence[OutgoingPost], landed: Callable[[list[Outcome]], object]) -> None:
        """Post these one after the other; `landed` is called with each outcome, on the courier's thread."""
        with self._lock:
            self._in_flight += 1
        self._threads.submit(self._carry, tuple(flight), landed)

    def close(self) -> None:
        """End the threads and the connections. Call it when no flight is in the air."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._pool.close()

    def __enter__(self) -> "PostCourier":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _carry(self, flight: Sequence[OutgoingPost], landed: Callable[[list[Outcome]], object]) -> None:
        for number, one in enumerate(flight):
            outcome = self._post(one)
            if number == len(flight) - 1:
                with self._lock:
                    self._in_flight -= 1
            landed([outcome])

    def _post(self, one: OutgoingPost) -> Outcome:
        """What became of it. Whoever does not answer is asked again: receivers know a repeated id, browsers a repeated tag."""
        place = urlsplit(one.url)
        if place.scheme != "https" and (place.hostname or "") not in self._private_hosts:
            return Outcome(one.key, SendResult.REJECTED, None, HOST_REFUSED, "only https goes out")
        patience = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout)
        try:
            with self._pool.stream(
                "POST", one.url, headers=list(one.headers), content=one.body, extensions={"timeout": patience}
            ) as answer:
                words = _beginning(answer, until=time.monotonic() + self._timeout)
                return _read(one, answer, words)
        except HostRefusedError as error:
            return Outcome(one.key, SendResult.REJECTED, None, HOST_REFUSED, str(error)[:500])
        except Exception as error:
            return Outcome(one.key, SendResult.DEFERRED, None, None, f"no answer: {error!r}"[:500])


def _beginning(answer: httpcore.Response, *, until: float) -> str:
    read = b""
    for chunk in answer.iter_stream():
        read += chunk
        if len(read) > MOST_READ or time.monotonic() > until:
            break
    return " ".join(read[:400].decode("utf-8", "replace").replace("\0", "").split())


def _read(one: OutgoingPost, answer: httpcore.Response, words: str) -> Outcome:
    status = answer.status
    if 200 <= status < 300:
        return Outcome(one.key, SendResult.ACCEPTED, status, None, words)
    if status in one.gone:
        return Outcome(one.key, SendResult.REJECTED, status, GONE, words)
    if status in LATER:
        return Outcome(one.key, SendResult.DEFERRED, status, None, words, wait=_retry_after(answer))
    return Outcome(one.key, SendResult.REJECTED, status, None, words)


def _retry_after(answer: httpcore.Response) -> float:
    """Seconds (RFC 9110 §10.2.3) for which we were asked to stay away; a date, or nothing, counts as none."""
    asked = next((value for name, value in answer.headers if name.lower() == b"retry-after"), b"").decode("latin-1")
    return min(float(asked), LONGEST_WAIT) if asked.isdecimal() and len(asked) < 10 else 0.0
