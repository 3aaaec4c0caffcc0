"""The demo's mail server: real SMTP with pipelining, quick enough for a fan-out; what it gets can be read.

    python -m beforehand.demo.mailserver FOLDER

prints one line of JSON with its ports, and serves until it is told to end. Addresses at gone.example do not exist: they
are refused with 550, as a real server refuses an address that was given up.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

MAX_MESSAGE = 10 * 1024 * 1024
DEAD_DOMAIN = "gone.example"
_MAX_LINE = 4096
_FEATURES = ("beforehand-demo", f"SIZE {MAX_MESSAGE}", "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
_ADDRESS = re.compile(rb"(?i)(?:MAIL FROM|RCPT TO): ?<([^<>\r\n]*)>")
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_HEADER = re.compile(rb"(?im)^(subject|content-language|message-id|feedback-id):[ \t]*([^\r]*)\r?$")


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one recipient. `subject` is as it came, encoded; `batch` and `step` are the parts of Feedback-ID."""

    number: int
    received_at: float
    recipient: str
    language: str
    subject: str
    message_id: str
    batch: str
    step: str
    offset: int
    length: int


class MailStore:
    """Everything that was accepted: the mails in one file, an index in memory. Safe to read from other threads."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._size = 0
        self._lock = threading.Lock()
        self._seen: set[tuple[str, str]] = set()
        self.mails: list[Mail] = []
        self.refused: Counter[str] = Counter()
        self.twice = 0
        """Mails of one batch that reached a recipient who had one of that batch already."""

    def add(self, recipients: list[str], data: bytes) -> None:
        """Keep a message, once for each recipient."""
        found = headers_of(data)
        batch, _, rest = found.get("feedback-id", "").partition(":")
        with self._lock:
            offset = self._size
            self._file.write(data)
            self._size += len(data)
            for recipient in recipients:
                key = (recipient, batch or found.get("message-id", ""))
                self.twice += key in self._seen
                self._seen.add(key)
                mail = Mail(
                    number=len(self.mails) + 1,
                    received_at=time.time(),
                    recipient=recipient,
                    language=found.get("content-language", ""),
                    subject=found.get("subject", ""),
                    message_id=found.get("message-id", ""),
                    batch=batch,
                    step=rest.partition(":")[0],
                    offset=offset,
                    length=len(data),
                )
                self.mails.append(mail)

    def refuse(self, recipient: str) -> None:
        """Note an attempt at an address that does not exist."""
        self.refused[recipient] += 1

    def source(self, mail: Mail) -> bytes:
        """The mail as it came."""
        return os.pread(self._file.fileno(), mail.length, mail.offset)

    def counts(self) -> dict[str, object]:
        """How many, by language and by step."""
        mails = self.mails[:]
        return {
            "mails": len(mails),
            "refused": self.refused.total(),
            "twice": self.twice,
            "by_language": dict(Counter(mail.language for mail in mails).most_common()),
            "by_step": dict(Counter(mail.step for mail in mails)),
        }

    def close(self) -> None:
        self._file.close()


def headers_of(data: bytes) -> dict[str, str]:
    """The few headers that the index needs, unfolded, by their names in lower case."""
    end = data.find(b"\r\n\r\n")
    head = _FOLD.sub(b"", data[: end if end >= 0 else len(data)])
    return {name.decode().lower(): value.decode("utf-8", "replace").strip() for name, value in _HEADER.findall(head)}


class Conversation(asyncio.Protocol):
    """One connection. What arrived together is answered together (RFC 2920)."""

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._buffer = bytearray()
        self._searched = 0
        self._is_receiving = False
        self._has_sender = False
        self._recipients: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 beforehand-demo ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answers: list[bytes] = []
        while (answer := self._message() if self._is_receiving else self._command()) is not None:
            answers.append(answer)
        if answers:
            self._transport.write(b"".join(answers))
        if answers and answers[-1].startswith((b"221", b"421")):
            self._transport.close()

    def _command(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return b"421 4.5.2 Line too long\r\n" if len(self._buffer) > _MAX_LINE else None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return self._answer(line).encode() + b"\r\n"

    def _answer(self, line: bytes) -> str:
        match line.partition(b" ")[0].upper():
            case b"EHLO":
                self._reset()
                return "\r\n".join([f"250-{feature}" for feature in _FEATURES[:-1]] + [f"250 {_FEATURES[-1]}"])
            case b"HELO":
                self._reset()
                return "250 beforehand-demo"
            case b"MAIL" if (match := _ADDRESS.match(line)) is not None:
                if self._has_sender:
                    return "503 5.5.1 One sender at a time"
                self._has_sender = True
                return "250 2.1.0 Sender ok"
            case b"RCPT" if (match := _ADDRESS.match(line)) is not None:
                return self._recipient(match[1].decode("utf-8", "replace"))
            case b"DATA":
                if not self._recipients:
                    return "554 5.5.1 No valid recipients" if self._has_sender else "503 5.5.1 MAIL first"
                self._is_receiving = True
                self._searched = 0
                return "354 Go on, end with a dot"
            case b"RSET":
                self._reset()
                return "250 2.0.0 Ok"
            case b"NOOP":
                return "250 2.0.0 Ok"
            case b"QUIT":
                return "221 2.0.0 Bye"
            case b"MAIL" | b"RCPT":
                return "501 5.5.4 An address in <> is needed"
            case _:
                return "500 5.5.2 Not known here"

    def _recipient(self, address: str) -> str:
        if not self._has_sender:
            return "503 5.5.1 MAIL first"
        if address.lower().endswith(f"@{DEAD_DOMAIN}"):
            self._store.refuse(address)
            return "550 5.1.1 No such mailbox"
        self._recipients.append(address)
        return "250 2.1.5 Recipient ok"

    def _message(self) -> bytes | None:
        """The end of a message, once it is there."""
        if self._buffer.startswith(b".\r\n"):
            end, after = 0, 3
        else:
            found = self._buffer.find(b"\r\n.\r\n", max(0, self._searched - 4))
            if found < 0:
                self._searched = len(self._buffer)
                return b"421 4.3.4 Too much\r\n" if len(self._buffer) > MAX_MESSAGE + 65_536 else None
            end, after = found + 2, found + 5
        data = bytes(self._buffer[:end])
        del self._buffer[:after]
        recipients = self._recipients
        self._is_receiving = False
        self._reset()
        if len(data) > MAX_MESSAGE:
            return b"552 5.3.4 Too large\r\n"
        self._store.add(recipients, undotted(data))
        return b"250 2.0.0 Taken\r\n"

    def _reset(self) -> None:
        self._has_sender = False
        self._recipients = []


def undotted(data: bytes) -> bytes:
    """The message without the dots that the sender doubled (RFC 5321 §4.5.2)."""
    if data.startswith(b".."):
        data = data[1:]
    return data.replace(b"\r\n..", b"\r\n.") if b"\r\n.." in data else data


async def serve(store: MailStore, *, stopping: asyncio.Event) -> None:
    """Serve SMTP and the mailbox page on free ports of this machine, say which, and go on until `stopping`."""
    from beforehand.demo.mailbox import MailboxPages

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(store), "127.0.0.1", 0)
    pages = MailboxPages(store)
    pages.start()
    print(json.dumps({"smtp": server.sockets[0].getsockname()[1], "web": pages.port}), flush=True)
    await stopping.wait()
    server.close()
    pages.stop()


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="A mail server that keeps what it gets, for the demo.")
    parser.add_argument("folder", type=Path, help="where the mails are kept")
    given = parser.parse_args()
    store = MailStore(given.folder / "mails")

    async def until_told() -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await serve(store, stopping=stopping)

    asyncio.run(until_told())
    store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
