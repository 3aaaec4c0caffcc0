"""A minimal pipelining SMTP client for the trial: many connections, one thread, one poll loop.

Independent of the product's client on purpose, so that the trial stays a bound on it. It knows one happy path: any answer
but the expected one ends the run.
"""

import selectors
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

READ_SIZE = 65536


@dataclass(frozen=True)
class Mail:
    """One message ready for the wire: dot-stuffed, ending in CRLF."""

    bucket: int
    message_id: int
    attempt: int
    recipient: bytes
    data: bytes


Flight = list[Mail]


@dataclass
class _Line:
    """One connection: what it still has to write, and what it still expects to read."""

    sock: socket.socket
    flight: Flight = field(default_factory=list)
    sent: int = 0
    accepted: int = 0
    expected: deque[bytes] = field(default_factory=deque)
    unread: bytes = b""
    unwritten: memoryview = field(default_factory=lambda: memoryview(b""))


def _envelope(mail: Mail) -> bytes:
    return b"MAIL FROM:<trial@beforehand.example>\r\nRCPT TO:<%b>\r\nDATA\r\n" % mail.recipient


class Sender:
    """Carries flights over its connections and tells `on_landed` of each flight that was wholly accepted."""

    def __init__(self, *, port: int, connections: int, on_landed: Callable[[Flight], None]) -> None:
        self.on_landed = on_landed
        self.selector = selectors.DefaultSelector()
        self.waker, self._wake = socket.socketpair()
        self.waker.setblocking(False)
        self.selector.register(self.waker, selectors.EVENT_READ, None)
        self.waiting: deque[Flight] = deque()
        self.idle = [self._open(port) for _ in range(connections)]
        self.stopped = False

    def _open(self, port: int) -> _Line:
        sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _expect(sock, b"220")
        sock.sendall(b"EHLO trial.example\r\n")
        _expect(sock, b"250")
        sock.setblocking(False)
        line = _Line(sock)
        self.selector.register(sock, selectors.EVENT_READ, line)
        return line

    def submit(self, flight: Flight) -> None:
        """From any thread: carry this flight as soon as a connection is free."""
        self.waiting.append(flight)
        self._wake.send(b"!")

    def stop(self) -> None:
        self.stopped = True
        self._wake.send(b"!")

    def run(self) -> None:
        """Until `stop`. Raises ConnectionError for any answer that was not hoped for."""
        while not self.stopped:
            for key, events in self.selector.select():
                if key.data is None:
                    self.waker.recv(4096)
                elif events & selectors.EVENT_WRITE:
                    self._write(key.data, b"")
                else:
                    self._read(key.data)
            while self.waiting and self.idle:
                self._start(self.idle.pop(), self.waiting.popleft())

    def _start(self, line: _Line, flight: Flight) -> None:
        line.flight, line.sent, line.accepted = flight, 0, 0
        line.expected.extend((b"250", b"250", b"354"))
        self._write(line, _envelope(flight[0]))

    def _read(self, line: _Line) -> None:
        received = line.sock.recv(READ_SIZE)
        if not received:
            raise ConnectionError("the server closed the connection")
        *answers, line.unread = (line.unread + received).split(b"\r\n")
        for answer in answers:
            if not answer.startswith(line.expected[0]):
                raise ConnectionError(f"expected {line.expected[0]!r}, got {answer!r}")
            if answer[3:4] != b"-":
                self._step(line, line.expected.popleft())

    def _step(self, line: _Line, code: bytes) -> None:
        """354 lets the content go, together with the next envelope; the 250 with nothing left to expect ends a message."""
        if code == b"354":
            content = line.flight[line.sent].data + b".\r\n"
            line.sent += 1
            line.expected.append(b"250")
            if line.sent < len(line.flight):
                content += _envelope(line.flight[line.sent])
                line.expected.extend((b"250", b"250", b"354"))
            self._write(line, content)
        elif line.sent == len(line.flight) and not line.expected:
            landed, line.flight = line.flight, []
            self.idle.append(line)
            self.on_landed(landed)

    def _write(self, line: _Line, content: bytes) -> None:
        todo = memoryview(bytes(line.unwritten) + content) if line.unwritten else memoryview(content or b"")
        if not todo:
            return
        with suppress(BlockingIOError):
            todo = todo[line.sock.send(todo) :]
        blocked = len(todo) > 0
        if blocked or line.unwritten:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if blocked else 0)
            self.selector.modify(line.sock, wanted, line)
        line.unwritten = todo


def _expect(sock: socket.socket, code: bytes) -> None:
    answer = b""
    while not answer.endswith(b"\r\n") or answer.rstrip().rsplit(b"\r\n", 1)[-1][3:4] == b"-":
        received = sock.recv(READ_SIZE)
        if not received:
            raise ConnectionError("the server closed the connection")
        answer += received
    if not answer.startswith(code):
        raise ConnectionError(f"expected {code!r}, got {answer!r}")
