"""Sends flights of messages over pipelined SMTP connections: one connection, a pool of them, and a thread for both."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import cast

from beforehand.outbound.smtp_handshake import SmtpServer, StartTls, Tls, handshake
from beforehand.outbound.smtp_protocol import (
    MAX_FLIGHT,
    Features,
    Flight,
    Outcome,
    Outgoing,
    ReplyReader,
    SendResult,
    SmtpError,
    SmtpUnavailableError,
    WireReply,
)

__all__ = ["MAX_FLIGHT", "Courier", "Outcome", "Outgoing", "SendResult", "SmtpConnection", "SmtpPool", "SmtpServer"]

_QUIT_TIMEOUT = 2.0


class _Wire(asyncio.Protocol):
    """Carries bytes between a transport and either a waiting handshake or a flight."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.reader = ReplyReader()
        self.replies: deque[WireReply] = deque()
        self.gone = ""  # why the connection is of no more use
        self._waiter: asyncio.Future[None] | None = None
        self._flight: Flight | None = None
        self._flown: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._progress_at = 0.0
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._transport.set_write_buffer_limits(high=65_536, low=0)

    def data_received(self, data: bytes) -> None:
        try:
            flight = self._flight
            if flight is None:
                self.replies.extend(self.reader.feed(data))
                self._wake()
                return
            has_heard = False
            for code, words in self.reader.feed(data):
                flight.reply(code, words)
                has_heard = True
            if has_heard:
                self._progress_at = self._loop.time()
                self._pump(flight)
        except SmtpError as trouble:
            self.drop(str(trouble))

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop(f"the connection was lost: {exc}" if exc else "the mail server closed the connection")

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._progress_at = self._loop.time()
        if self._flight is not None:
            self._pump(self._flight)

    def drop(self, reason: str) -> None:
        """End the connection at once, and with it whatever waited on it."""
        self.gone = self.gone or reason
        if self._transport is not None:
            self._transport.abort()
        if self._flight is not None:
            self._flight.lost(reason)
            self._landed()
        self._wake()

    async def exchange(self, line: bytes) -> WireReply:
        """Write a line (or nothing) and wait for one reply. Raises SmtpUnavailableError when the connection is gone."""
        if line and not self.gone and self._transport is not None:
            self._transport.write(line)
        while not self.replies:
            if self.gone:
                raise SmtpUnavailableError(self.gone)
            self._waiter = self._loop.create_future()
            await self._waiter
        return self.replies.popleft()

    async def start_tls(self) -> None:
        if self.replies or not self.reader.is_empty:
            raise SmtpUnavailableError("the mail server spoke before TLS began: someone may be in between")
        assert self._transport is not None
        context = self._server.tls_context()
        transport = await self._loop.start_tls(self._transport, self, context, server_hostname=self._server.host)
        if transport is None:
            raise SmtpUnavailableError("the connection was lost while TLS began")
        self.connection_made(transport)

    async def fly(self, flight: Flight) -> None:
        """Carry a flight until each of its messages has an outcome."""
        if flight.is_done:
            return
        self._flight = flight
        self._flown = self._loop.create_future()
        self._progress_at = self._loop.time()
        self._timer = self._loop.call_later(self._server.timeout, self._check_time)
        self._pump(flight)
        try:
            await self._flown
        except asyncio.CancelledError:
            self.drop("sending was stopped")
            raise

    def _pump(self, flight: Flight) -> None:
        transport = self._transport
        assert transport is not None
        while not self._paused and (chunk := flight.next_chunk()):
            transport.write(chunk)
        if flight.is_done:
            self._landed()

    def _landed(self) -> None:
        self._flight = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._flown is not None and not self._flown.done():
            self._flown.set_result(None)

    def _check_time(self) -> None:
        """One timer a flight, moved on when it fires: a timer a reply would cost more than the reply."""
        flight = self._flight
        if flight is None:
            return
        allowed = self._server.dot_timeout if flight.awaits_dot else self._server.timeout
        due_at = self._progress_at + allowed
        if self._loop.time() >= due_at:
            self.drop(f"the mail server did not answer within {allowed:g} s")
        else:
            self._timer = self._loop.call_at(due_at, self._check_time)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class SmtpConnection:
    """One conversation with the mail server, opened when first needed and kept for the next flight."""

    def __init__(self, server: SmtpServer, *, max_messages: int = 1_000) -> None:
        self._server = server
        self._max_messages = max_messages
        self._wire: _Wire | None = None
        self._features = Features()
        self._carried = 0

    @property
    def features(self) -> Features:
        return self._features

    @property
    def is_open(self) -> bool:
        """Whether the conversation can go on: an unasked reply (a 421 while idle, say) ends it too."""
        wire = self._wire
        return wire is not None and not wire.gone and not wire.replies and wire.reader.is_empty

    async def connect(self) -> None:
        """Open a new conversation, up to and including sign-in. Raises SmtpUnavailableError."""
        self._abandon("a new connection was asked for")
        server, loop = self._server, asyncio.get_running_loop()
        wire: _Wire | None = None
        try:
            async with asyncio.timeout(server.timeout):
                context = server.tls_context() if server.tls is Tls.IMPLICIT else None
                name = server.host if context else None
                _, wire = await loop.create_connection(
                    lambda: _Wire(server), server.host, server.port, ssl=context, server_hostname=name
                )
            self._features = await self._shake_hands(wire)
        except TimeoutError:
            self._discard(wire)
            raise SmtpUnavailableError(f"the mail server did not answer within {server.timeout:g} s") from None
        except OSError as error:  # ssl.SSLError among them
            self._discard(wire)
            raise SmtpUnavailableError(f"no connection to {server.host}:{server.port}: {error}") from None
        except SmtpError:
            self._discard(wire)
            raise
        self._wire, self._carried = wire, 0

    async def send_flight(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Send at most 50 messages; the outcomes come in the same order. Never raises for what the server does:
        without a connection every message is UNSENT, with the reason as its text."""
        if len(messages) > MAX_FLIGHT:
            raise ValueError(f"a flight has at most {MAX_FLIGHT} messages, not {len(messages)}")
        while True:
            reused = self.is_open and self._carried + len(messages) <= self._max_messages
            if not reused:
                try:
                    await self.close()
                    await self.connect()
                except SmtpError as trouble:
                    code = trouble.code if isinstance(trouble, SmtpUnavailableError) else None
                    return [Outcome(each.key, SendResult.UNSENT, code, None, str(trouble)[:500]) for each in messages]
            assert self._wire is not None
            flight = Flight(messages, self._features)
            self._carried += len(messages)
            await self._wire.fly(flight)
            # The server had closed the idle connection and we could not know: nothing was said, so say it anew.
            if not (reused and self._wire.gone and flight.replies_heard == 0):
                return flight.outcomes

    async def close(self) -> None:
        """Say QUIT where someone listens, and end the connection."""
        if self.is_open and self._wire is not None:
            with suppress(SmtpError, TimeoutError):
                async with asyncio.timeout(min(_QUIT_TIMEOUT, self._server.timeout)):
                    await self._wire.exchange(b"QUIT\r\n")
        self._abandon("closed")

    async def _shake_hands(self, wire: _Wire) -> Features:
        steps = handshake(self._server, our_name=self._server.ehlo_name)
        say = next(steps)
        while True:
            async with asyncio.timeout(self._server.timeout):
                if isinstance(say, StartTls):
                    await wire.start_tls()
                    reply: WireReply = (220, b"")
                else:
                    reply = await wire.exchange(say)
            try:
                say = steps.send(reply)
            except StopIteration as finished:
                features: Features = finished.value
                return features

    def _abandon(self, reason: str) -> None:
        self._discard(self._wire, reason)
        self._wire = None

    @staticmethod
    def _discard(wire: _Wire | None, reason: str = "not usable") -> None:
        if wire is not None:
            wire.drop(reason)


class SmtpPool:
    """Several connections to one server; each carries one flight at a time."""

    def __init__(self, server: SmtpServer, *, connections: int = 10, max_messages: int = 1_000) -> None:
        self._free = deque(SmtpConnection(server, max_messages=max_messages) for _ in range(connections))
        self._all = tuple(self._free)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.failures = 0  # flights in a row that found no connection: for the caller's backoff
        self.last_trouble = ""

    def idle(self) -> int:
        """How many connections have nothing to carry."""
        return len(self._free)

    async def run_flight(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Send over an idle connection (the one used last, so that the others may rest), or the next to be free."""
        while not self._free:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        connection = self._free.pop()
        try:
            outcomes = await connection.send_flight(messages)
        finally:
            self._free.append(connection)
            while self._waiting:
                turn = self._waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    break
        if connection.is_open or not all(outcome.result is SendResult.UNSENT for outcome in outcomes):
            self.failures = 0
        elif outcomes:
            self.failures += 1
            self.last_trouble = outcomes[0].text
        return outcomes

    async def close(self) -> None:
        await asyncio.gather(*(connection.close() for connection in self._all))


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # a platform without it: the same, slower
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class Courier:
    """Lets synchronous code keep a pool busy: a thread with an event loop of its own. Use as a context manager."""

    def __init__(self, server: SmtpServer, *, connections: int = 10, max_messages: int = 1_000) -> None:
        self.connections = connections
        self._loop = _new_loop()
        self._pool = SmtpPool(server, connections=connections, max_messages=max_messages)
        self._lock = threading.Lock()
        self._in_flight = 0
        self._thread = threading.Thread(target=self._loop.run_forever, name="courier", daemon=True)
        self._thread.start()

    def idle(self) -> int:
        """How many flights can be taken on at once without waiting for a connection."""
        return max(0, self.connections - self._in_flight)

    @property
    def failures(self) -> int:
        """Flights in a row that found no connection; `engine.pace.reconnect_delay` turns it into a wait."""
        return self._pool.failures

    @property
    def wait_asked(self) -> float:
        """Seconds that the provider asked us to stay away; a mail server says so of each message instead."""
        return 0.0

    @property
    def last_trouble(self) -> str:
        return self._pool.last_trouble

    def send_flight(self, flight: Sequence[Outgoing]) -> "Future[list[Outcome]]":
        """Send at most 50 messages; the future brings their outcomes, in order."""
        with self._lock:
            self._in_flight += 1
        future = asyncio.run_coroutine_threadsafe(self._pool.run_flight(flight), self._loop)
        future.add_done_callback(self._came_home)
        return future

    def submit(self, flight: Sequence[Outgoing], landed: Callable[[list[Outcome]], object]) -> None:
        """Send, and have `landed` called with the outcomes on the courier's thread (`queue.put` is a good one).

        A flight that could not be carried to its end is handed back as UNCERTAIN."""

        def hand_over(future: "Future[list[Outcome]]") -> None:
            if future.cancelled() or future.exception() is not None:
                why = "stopped" if future.cancelled() else repr(future.exception())
                landed([Outcome(each.key, SendResult.UNCERTAIN, None, None, why[:500]) for each in flight])
            else:
                landed(future.result())

        self.send_flight(flight).add_done_callback(hand_over)

    def close(self, timeout: float = 10.0) -> None:
        """Say QUIT on every connection and end the thread. Call it when no flight is in the air."""
        if not self._thread.is_alive():
            return
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._pool.close(), self._loop).result(timeout)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout)
        if not self._thread.is_alive():
            self._loop.close()

    def __enter__(self) -> "Courier":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _came_home(self, _: object) -> None:
        with self._lock:
            self._in_flight -= 1
