"""A mail server that does as its script says: answers, delays, hangs, hangs up. Runs on a thread of its own.

    with ScriptedServer(lambda command, nth: "451 4.3.0 later" if command == "." and nth == 0 else None) as server:
        ...  # talk to 127.0.0.1:server.port; then look at server.accepted

The script is asked before each answer. `command` is the command's line, or "." for the end of a message; `nth` counts
that verb over all connections, from 0. It returns None (the usual answer), a text to answer instead, or an Act.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class Act(Enum):
    HANG = "say nothing ever again, keep the connection"
    CLOSE = "close without an answer"
    ACCEPT_AND_CLOSE = "at the end of a message: take it, close without an answer"
    CLOSE_IN_DATA = "at DATA: answer 354, read a little of the message, close"
    HANG_IN_DATA = "at DATA: answer 354, read nothing more"


Script = Callable[[str, int], "str | Act | None"]


@dataclass(frozen=True)
class Accepted:
    sender: str
    recipient: str
    data: bytes


def as_usual(command: str, nth: int) -> None:
    return None


class ScriptedServer:
    def __init__(
        self,
        script: Script = as_usual,
        *,
        greeting: str | Act = "220 scripted ESMTP",
        features: tuple[str, ...] = ("PIPELINING", "SIZE 10240000", "8BITMIME", "ENHANCEDSTATUSCODES"),
        delay: float = 0.0,
        port: int = 0,
    ) -> None:
        self.port = port
        self.accepted: list[Accepted] = []
        self.commands: list[str] = []
        self.segments: list[bytes] = []  # what arrived in one read, to see pipelining
        self.connections = 0
        self._script, self._greeting, self._features, self._delay = script, greeting, features, delay
        self._counts: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "ScriptedServer":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    @property
    def recipients(self) -> list[str]:
        return [each.recipient for each in self.accepted]

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        talks: set[asyncio.Task[None]] = set()

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._talk(reader, writer))
            talks.add(task)
            task.add_done_callback(talks.discard)

        server = await asyncio.start_server(begin, "127.0.0.1", self.port, limit=1 << 22)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the aborted transports close their sockets

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await _Talk(self, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    def decide(self, command: str) -> "str | Act | None":
        verb = command.split(" ")[0].upper()
        nth = self._counts[verb]
        self._counts[verb] += 1
        self.commands.append(command)
        return self._script(command, nth)


class _HungUpError(ConnectionError):
    pass


class _Talk:
    def __init__(self, server: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._buffer = b""
        self._sender: str | None = None
        self._recipient: str | None = None

    async def run(self) -> None:
        server = self._server
        await self._do(server._greeting, "")
        while True:
            command = (await self._line()).decode("utf-8", "replace")
            if command[:4] in ("ehlo", "mail", "rcpt", "data", "rset", "quit"):  # as the standard library writes verbs
                command = command[:4].upper() + command[4:]
            decision = server.decide(command)
            usual = self._usual(command)
            if command == "DATA" and (decision or usual) in (Act.CLOSE_IN_DATA, Act.HANG_IN_DATA):
                await self._do("354 go on", "")
                if decision is Act.HANG_IN_DATA:
                    await self._hang()
                await self._line()
                raise _HungUpError
            await self._do(decision, usual)
            said = decision if isinstance(decision, str) else usual
            if said[0] in "23":
                self._remember(command)
                if command == "DATA":
                    await self._message()
            if said.startswith(("221", "421")):
                raise _HungUpError

    async def _message(self) -> None:
        lines: list[bytes] = []
        while (line := await self._line()) != b".":
            lines.append(line.removeprefix(b"."))
        decision = self._server.decide(".")
        has_recipient = self._sender is not None and self._recipient is not None
        usual = "250 2.0.0 taken" if has_recipient else "554 5.5.1 no valid recipients"
        said = usual if decision in (None, Act.ACCEPT_AND_CLOSE) else decision
        if has_recipient and isinstance(said, str) and said.startswith("2"):
            assert self._sender is not None
            assert self._recipient is not None
            self._server.accepted.append(Accepted(self._sender, self._recipient, b"\r\n".join(lines) + b"\r\n"))
        self._sender = self._recipient = None
        await self._do(decision, usual)
        if isinstance(said, str) and said.startswith("421"):
            raise _HungUpError

    def _usual(self, command: str) -> str:
        verb = command.split(" ")[0].upper()
        if verb == "EHLO":
            lines = ["scripted", *self._server._features]
            return "\r\n".join(f"250{'-' if i < len(lines) - 1 else ' '}{line}" for i, line in enumerate(lines))
        if verb == "MAIL":
            return "503 5.5.1 nested MAIL" if self._sender is not None else "250 2.1.0 ok"
        if verb == "RCPT":
            return "250 2.1.5 ok" if self._sender is not None else "503 5.5.1 MAIL first"
        if verb == "DATA":
            return "354 go on" if self._recipient is not None else "503 5.5.1 RCPT first"
        return {"QUIT": "221 2.0.0 bye", "HELO": "250 scripted", "RSET": "250 2.0.0 ok"}.get(verb, "500 5.5.2 what?")

    def _remember(self, command: str) -> None:
        verb = command.split(" ")[0].upper()
        if verb == "MAIL":
            self._sender = command[command.index("<") + 1 : command.index(">")]
        elif verb == "RCPT":
            self._recipient = command[command.index("<") + 1 : command.index(">")]
        elif verb in ("RSET", "EHLO", "HELO"):
            self._sender = self._recipient = None

    async def _do(self, decision: "str | Act | None", usual: str) -> None:
        if decision is Act.HANG:
            await self._hang()
        if decision in (Act.CLOSE, Act.ACCEPT_AND_CLOSE):
            raise _HungUpError
        if self._server._delay:
            await asyncio.sleep(self._server._delay)
        self._writer.write((decision if isinstance(decision, str) else usual).encode() + b"\r\n")
        await self._writer.drain()

    async def _hang(self) -> None:
        await asyncio.Event().wait()

    async def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            data = await self._reader.read(65_536)
            if not data:
                raise _HungUpError
            self._server.segments.append(data)
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line
