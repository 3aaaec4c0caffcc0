"""What is said and heard on an SMTP connection once it is open, without any I/O: one flight of messages, pipelined.

A driver writes what `Flight.next_chunk` gives and hands every reply to `Flight.reply`; when the connection is gone it
says so with `Flight.lost`. RFC 5321 (SMTP), RFC 2920 (pipelining), RFC 1870 (SIZE), RFC 6152 (8BITMIME),
RFC 6531 (SMTPUTF8), RFC 3463 (enhanced codes).

    SmtpError                 the connection is of no further use
    ├── ProtocolError         the server said what it could not say here
    ├── ServerClosingError    the server said goodbye (421), or gave up in the middle of a message
    └── SmtpUnavailableError  no usable connection came about (smtp_handshake, smtp)
"""

import re
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from beforehand.outbound.addresses import AddressRefusedError, wire_address

MAX_FLIGHT = 50  # what may be in flight on one connection, so what a crash can make uncertain (DESIGN §4)
_LARGE = 65_536  # a body from this size on is written before its final dot, so that a loss in between is known as such
_MAX_REPLY = 65_536  # bytes of one reply, all its lines; more is no SMTP server
_MAX_TEXT = 500
_LAST_LINES = {b"%d " % code: code for code in range(200, 600)}  # how the last line of a reply begins

WireReply = tuple[int, bytes]


class SmtpError(Exception):
    """The connection is of no further use."""


class ProtocolError(SmtpError):
    """The server said what it could not say here."""


class ServerClosingError(SmtpError):
    """The server ends the conversation."""


class SmtpUnavailableError(SmtpError):
    """No usable connection came about; `code` is the server's, where it gave one."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class SendResult(StrEnum):
    ACCEPTED = "accepted"
    DEFERRED = "deferred"  # 4xx: not now
    REJECTED = "rejected"  # 5xx for this recipient or message, or refused here before anything was said
    UNCERTAIN = "uncertain"  # the final dot was written and never answered: the server may have it or not
    UNSENT = "unsent"  # never begun, or lost before the final dot: safe to send again


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to one recipient. `data` is the whole message with CRLF line ends, not dot-stuffed."""

    key: Hashable
    sender: str
    recipient: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message. `text` holds the server's words, cleaned, or ours where it never came to that."""

    key: Hashable
    result: SendResult
    code: int | None
    enhanced: str | None
    text: str
    wait: float = 0.0
    """Seconds for which the other side asked us to stay away."""


@dataclass(frozen=True, slots=True)
class Features:
    """What the server announced in its answer to EHLO."""

    pipelining: bool = False
    eight_bit: bool = False
    utf8: bool = False
    starttls: bool = False
    size_announced: bool = False
    max_size: int = 0  # bytes; 0 is no limit
    auth: tuple[str, ...] = ()


class ReplyReader:
    """Cuts what arrives into replies: (code, text), the lines of a multi-line reply joined by a line feed."""

    def __init__(self) -> None:
        self._partial = b""
        self._lines: list[bytes] = []
        self._size = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing of a next reply has arrived (checked before TLS starts: RFC 3207 §6)."""
        return not self._partial and not self._lines

    def feed(self, data: bytes) -> Iterator[WireReply]:
        """The replies that are complete now; after those before it, ProtocolError for what is no SMTP reply."""
        lines = (self._partial + data if self._partial else data).split(b"\n")
        self._partial = lines.pop()
        for raw in lines:
            code = _LAST_LINES.get(raw[:4])
            if code is not None and not self._lines:  # nearly all of them
                yield code, (raw[4:-1] if raw.endswith(b"\r") else raw[4:])
                continue
            line = raw[:-1] if raw.endswith(b"\r") else raw
            digits, mark = line[:3], line[3:4]
            if len(digits) != 3 or not digits.isdigit() or not b"2" <= digits < b"6" or mark not in (b" ", b"", b"-"):
                raise ProtocolError(f"not an SMTP reply: {clean(line)[:80]}")
            if mark != b"-" and not self._lines:
                yield int(digits), line[4:]
                continue
            if self._lines and self._lines[0][:3] != digits:
                raise ProtocolError("a reply that changes its code")
            self._lines.append(line)
            self._size += len(line)
            if self._size > _MAX_REPLY:
                raise ProtocolError("a reply without an end")
            if mark != b"-":
                words = b"\n".join(each[4:] for each in self._lines)
                self._lines, self._size = [], 0
                yield int(digits), words
        if len(self._partial) > _MAX_REPLY:
            raise ProtocolError("a reply without an end")


_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")
_BARE = re.compile(rb"\r\n|\r|\n")


def clean(words: bytes) -> str:
    """The server's words for people to read: one line, no control characters, at most 500 characters."""
    text = words.decode("utf-8", "replace")
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())[:_MAX_TEXT]


def heard(key: Hashable, result: SendResult, code: int, words: bytes) -> Outcome:
    """An outcome from a reply, its enhanced code (RFC 3463) taken from the front of every line."""
    text = clean(words)
    match = _ENHANCED.match(text)
    if match is None:
        return Outcome(key, result, code, None, text)
    enhanced = match[1]
    if b"\n" in words:
        text = clean(b" ".join(line.removeprefix(enhanced.encode()) for line in words.split(b"\n")))
    else:
        text = text[match.end() :]
    return Outcome(key, result, code, enhanced, text)


class _RefusedError(Exception):
    def __init__(self, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.enhanced, self.text = enhanced, text


def stuffed(data: bytes) -> bytes:
    """The message as it goes on the wire before its final dot: CRLF line ends only, leading dots doubled.

    A bare CR or LF would be read as a line end by some servers and not by others (SMTP smuggling), so none leaves us.
    """
    if len(data) - len(data.translate(None, b"\r\n")) != 2 * data.count(b"\r\n"):  # cheaper than counting each
        data = _BARE.sub(b"\r\n", data)
    data = data.replace(b"\r\n.", b"\r\n..")
    if data.startswith(b"."):
        data = b"." + data
    return data if data.endswith(b"\r\n") else data + b"\r\n"


_MAIL, _RCPT, _DATA, _DOT, _RSET = range(5)
_ENVELOPE, _THE_DOT, _THE_RSET, _NO_REPLY = (_MAIL, _RCPT, _DATA), (_DOT,), (_RSET,), ()


class Flight:
    """One flight of messages over an open connection, in order; `outcomes` is complete when `is_done`."""

    def __init__(self, messages: Sequence[Outgoing], features: Features) -> None:
        if len(messages) > MAX_FLIGHT:
            raise ValueError(f"a flight has at most {MAX_FLIGHT} messages, not {len(messages)}")
        self._messages = messages
        self._features = features
        self._outcomes: list[Outcome | None] = [None] * len(messages)
        self._todo: deque[tuple[tuple[int, ...], bytes]] = deque()  # (replies it will bring, bytes)
        self._expected: deque[int] = deque()
        self._next = 0  # the first message not begun
        self._open = -1  # the message whose envelope was given
        self._closing = -1  # the message whose body was given, until its dot is answered
        self._dot_written = False
        self._dot_is_void = False  # a lone dot after a failed envelope: its answer says nothing
        self._failure: WireReply | None = None  # the first refusal in the open message's envelope
        self.replies_heard = 0
        self._begin_next()

    @property
    def is_done(self) -> bool:
        return not self._expected and not self._todo

    @property
    def awaits_dot(self) -> bool:
        """Whether the next reply answers a final dot (RFC 5321 §4.5.3.2.6 gives it the longest time)."""
        return bool(self._expected) and self._expected[0] == _DOT

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome for outcome in self._outcomes if outcome is not None]

    def next_chunk(self) -> bytes:
        """What may be written now; b"" when a reply must come first. A large body comes without its dot."""
        todo, expected, pipelining = self._todo, self._expected, self._features.pipelining
        parts: list[bytes] = []
        while todo and (pipelining or not expected):
            steps, piece = todo.popleft()
            parts.append(piece)
            if steps:
                expected.extend(steps)
                if steps is _THE_DOT:
                    self._dot_written = True
            elif len(piece) >= _LARGE:
                break
        return b"".join(parts)

    def reply(self, code: int, words: bytes) -> None:
        """Take the server's next reply. Raises SmtpError when the connection must be dropped (then call `lost`)."""
        self.replies_heard += 1
        if not self._expected:
            self._replied_early(code, words)
        step = self._expected.popleft()
        if step == _DOT:
            self._dot_answered(code, words)
        elif step == _RSET:
            if code >= 300:
                raise ServerClosingError(f"RSET was refused: {code} {clean(words)}")
        elif code == 421:
            self._conclude(self._open, code, words)
            raise ServerClosingError(f"421 {clean(words)}")
        elif step == _DATA:
            self._data_answered(code, words)
        elif code >= 400:
            self._failure = self._failure or (code, words)
            if not self._features.pipelining:
                self._todo.clear()
                self._envelope_failed()
        elif code >= 300:
            raise ProtocolError(f"an answer to MAIL or RCPT that is none: {code}")

    def lost(self, reason: str) -> None:
        """The connection is gone, or must go: settle every message that has no outcome yet."""
        self._todo.clear()
        self._expected.clear()
        for index, outcome in enumerate(self._outcomes):
            if outcome is None:
                in_doubt = index == self._closing and self._dot_written
                result = SendResult.UNCERTAIN if in_doubt else SendResult.UNSENT
                self._outcomes[index] = Outcome(self._messages[index].key, result, None, None, reason[:_MAX_TEXT])

    def _begin_next(self) -> None:
        self._failure = None
        while self._next < len(self._messages):
            index, self._next = self._next, self._next + 1
            message = self._messages[index]
            try:
                mail, rcpt = self._envelope(message)
            except _RefusedError as refused:
                self._outcomes[index] = Outcome(message.key, SendResult.REJECTED, None, refused.enhanced, refused.text)
                continue
            self._open = index
            if self._features.pipelining:
                self._todo.append((_ENVELOPE, b"%b%bDATA\r\n" % (mail, rcpt)))
            else:
                self._todo.extend((((_MAIL,), mail), ((_RCPT,), rcpt), ((_DATA,), b"DATA\r\n")))
            return

    def _envelope(self, message: Outgoing) -> tuple[bytes, bytes]:
        features, size = self._features, len(message.data)
        try:
            sender = wire_address(message.sender) if message.sender else b""
            recipient = wire_address(message.recipient)
        except AddressRefusedError as refused:
            raise _RefusedError("5.1.3", str(refused)) from None
        needs_utf8 = not (sender.isascii() and recipient.isascii())
        if needs_utf8 and not features.utf8:
            raise _RefusedError("5.6.7", "the mail server does not take internationalised addresses (SMTPUTF8)")
        if features.max_size and size > features.max_size:
            raise _RefusedError("5.3.4", f"the message has {size} bytes, the mail server takes {features.max_size}")
        options = b" SIZE=%d" % size if features.size_announced else b""
        if not message.data.isascii():
            if not features.eight_bit:
                raise _RefusedError("5.6.3", "the message is not 7-bit, and the mail server takes no other (8BITMIME)")
            options += b" BODY=8BITMIME"
        if needs_utf8:
            options += b" SMTPUTF8"
        return b"MAIL FROM:<%b>%b\r\n" % (sender, options), b"RCPT TO:<%b>\r\n" % recipient

    def _data_answered(self, code: int, words: bytes) -> None:
        if code < 300:
            raise ProtocolError(f"an answer to DATA that is none: {code}")
        if self._failure is None and code < 400:
            self._closing, self._dot_written, self._dot_is_void = self._open, False, False
            self._todo.append((_NO_REPLY, stuffed(self._messages[self._open].data)))
            self._todo.append((_THE_DOT, b".\r\n"))
            self._begin_next()
            return
        self._failure = self._failure or (code, words)
        if code < 400:  # the server wants data although it has no recipient: RFC 2920 §3.1, a lone dot
            self._conclude(self._open, *self._failure)
            self._dot_is_void = True
            self._todo.append((_THE_DOT, b".\r\n"))
            self._begin_next()
            return
        self._envelope_failed()

    def _envelope_failed(self) -> None:
        assert self._failure is not None
        self._conclude(self._open, *self._failure)
        self._todo.append((_THE_RSET, b"RSET\r\n"))
        self._begin_next()

    def _dot_answered(self, code: int, words: bytes) -> None:
        if self._dot_is_void:
            self._dot_is_void = False
        elif 300 <= code < 400:
            raise ProtocolError(f"an answer to the end of a message that is none: {code}")
        else:
            self._conclude(self._closing, code, words)
        if code == 421:
            raise ServerClosingError(f"421 {clean(words)}")

    def _replied_early(self, code: int, words: bytes) -> None:
        giving_body = self._closing >= 0 and self._outcomes[self._closing] is None and not self._dot_written
        if giving_body and code >= 400:
            self._conclude(self._closing, code, words)
            raise ServerClosingError(f"refused in the middle of a message: {code} {clean(words)}")
        if code == 421:
            raise ServerClosingError(f"421 {clean(words)}")
        raise ProtocolError(f"a reply that nothing asked for: {code} {clean(words)}"[:_MAX_TEXT])

    def _conclude(self, index: int, code: int, words: bytes) -> None:
        if code < 300:
            result = SendResult.ACCEPTED
        elif code < 500:
            result = SendResult.DEFERRED
        else:
            result = SendResult.REJECTED
        self._outcomes[index] = heard(self._messages[index].key, result, code, words)
