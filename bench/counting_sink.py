"""A mail server that remembers each message it accepted, by its X-Trial-Id: how the trial counts who was told how often."""

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

TRIAL_ID = re.compile(rb"^X-Trial-Id: (\S+)\r$", re.MULTILINE)
END = b"\r\n.\r\n"


class Accepted:
    """What was accepted; a message counts from the moment before its 250 leaves, as with a real server."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def __len__(self) -> int:
        return len(self.ids)

    def times_told(self) -> Counter[str]:
        return Counter(self.ids)


class _Session(asyncio.Protocol):
    def __init__(self, accepted: Accepted) -> None:
        self.accepted = accepted
        self.buffer = bytearray()
        self.in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"220 counting sink\r\n")

    def data_received(self, data: bytes) -> None:
        searched = max(0, len(self.buffer) - len(END))
        self.buffer += data
        answers = []
        while True:
            if self.in_data:
                end = self.buffer.find(END, searched)
                searched = 0
                if end < 0:
                    break
                self._accept(bytes(self.buffer[: min(end, 4096)]))
                del self.buffer[: end + len(END)]
                self.in_data = False
                answers.append(b"250 2.0.0 accepted\r\n")
                continue
            end = self.buffer.find(b"\r\n")
            searched = 0
            if end < 0:
                break
            verb = bytes(self.buffer[:4]).upper()
            del self.buffer[: end + 2]
            answers.append(self._answer(verb))
        if answers:
            self.transport.write(b"".join(answers))

    def _answer(self, verb: bytes) -> bytes:
        if verb == b"DATA":
            self.in_data = True
            return b"354 go on\r\n"
        if verb == b"EHLO":
            return b"250-counting.sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
        return b"221 bye\r\n" if verb == b"QUIT" else b"250 2.1.0 ok\r\n"

    def _accept(self, head: bytes) -> None:
        found = TRIAL_ID.search(head + b"\r\n")
        self.accepted.ids.append(found[1].decode() if found else "without an id")


@contextmanager
def counting_sink() -> Iterator[tuple[int, Accepted]]:
    """The server on a free loopback port, in a thread of this process; gives the port and what was accepted so far."""
    accepted, ready, ports = Accepted(), threading.Event(), list[int]()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        server = await loop.create_server(lambda: _Session(accepted), "127.0.0.1", 0)
        ports.append(int(server.sockets[0].getsockname()[1]))
        ready.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not ready.wait(10):
        raise TimeoutError("the counting sink did not start")
    try:
        yield ports[0], accepted
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
