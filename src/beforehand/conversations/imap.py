"""Reads a mailbox on a mail server over IMAP (RFC 9051), and changes nothing in it: no flag, no deletion.

The standard library speaks the protocol; here are only the four things that are asked of it.
"""

import imaplib
import re
import ssl
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

WINDOW = 1_000
"""UIDs asked about at once."""
TROUBLE = (OSError, imaplib.IMAP4.error)
"""What a mailbox that cannot be read raises; a refused sign-in too."""
SETTING = "BEFOREHAND_IMAP_URL"
NOT_NOW = ("[UNAVAILABLE]", "[INUSE]", "[LIMIT]")
"""Codes (RFC 5530) of a sign-in that is refused for now, and not because user or password were wrong."""
_SIZE = re.compile(rb"UID (\d{1,10}).*?RFC822\.SIZE (\d{1,12})|RFC822\.SIZE (\d{1,12}).*?UID (\d{1,10})", re.DOTALL)
_SAID = "the server said "
_PORTS = {"imaps": 993, "imap": 143}


class NotGiven(imaplib.IMAP4.error):
    """The server says that it cannot do this, and goes on talking with us."""


class MailboxReason(StrEnum):
    """Why a mailbox cannot be opened."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    NOT_TRUSTED = "not_trusted"
    NO_TLS = "no_tls"
    SIGN_IN_REFUSED = "sign_in_refused"
    NO_FOLDER = "no_folder"
    INTERRUPTED = "interrupted"


class MailboxRefused(imaplib.IMAP4.error):
    """The mailbox cannot be opened; `reason` names why, the text says it, and `remedy` which part of the setting to look at.

    `said` are the server's own words, or the system's.
    """

    def __init__(self, reason: MailboxReason, text: str, remedy: str, *, said: str = "") -> None:
        super().__init__(f"{text}; {remedy}")
        self.reason, self.text, self.remedy, self.said = reason, text, remedy, said


class ImapUrlError(ValueError):
    """The setting BEFOREHAND_IMAP_URL is wrong; the text says what, in one line, without the password."""


@dataclass(frozen=True)
class ImapServer:
    """The mailbox to which replies and bounces come."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    folder: str = "INBOX"
    is_implicit: bool = True
    """TLS from the first byte; else STARTTLS, but for a server on this machine that offers none."""
    verify: bool = True
    ca_file: str = ""
    timeout: float = 30.0

    @classmethod
    def from_url(cls, url: str) -> "ImapServer":
        """`imaps://user:password@host[:993][/folder][?verify=0]`, or `imap://…` for STARTTLS. Raises ImapUrlError."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ImapUrlError("has an impossible port or address") from None
        if parts.scheme not in _PORTS:
            raise ImapUrlError("begins with imaps:// or imap://")
        if not parts.hostname or not parts.username or not parts.password:
            raise ImapUrlError("needs a user, a password and a host: imaps://user:password@host/INBOX")
        if any(ord(character) < 32 for character in unquote(url)):
            raise ImapUrlError("has a control character")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        unknown = sorted(options.keys() - {"verify", "ca_file"})
        if unknown:
            raise ImapUrlError(f"has an option that is not known: {unknown[0]}")
        return cls(
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            user=unquote(parts.username),
            password=unquote(parts.password),
            folder=unquote(parts.path.strip("/")) or "INBOX",
            is_implicit=parts.scheme == "imaps",
            verify=options.get("verify", "1").lower() not in ("0", "no", "false", "off"),
            ca_file=options.get("ca_file", ""),
        )

    @property
    def name(self) -> str:
        """What this mailbox is remembered by."""
        return f"{self.user}@{self.host}/{self.folder}"

    @property
    def is_loopback(self) -> bool:
        return self.host in ("127.0.0.1", "::1", "localhost")

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"

    def tls(self) -> ssl.SSLContext:
        """How its certificate is checked. Raises `MailboxRefused` where `ca_file` is none."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:
            text = f"the certificates in {self.ca_file} cannot be read ({_words(error)})"
            remedy = f"correct ca_file in {SETTING}"
            raise MailboxRefused(MailboxReason.NOT_TRUSTED, text, remedy, said=_words(error)) from error
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


class ImapMailbox:
    """A mailbox, opened for reading alone. Use as a context manager; everything may raise `TROUBLE`."""

    def __init__(self, server: ImapServer) -> None:
        self._server = server

    def __enter__(self) -> "ImapMailbox":
        try:
            self._client = self._connected()
        except MailboxRefused:
            raise
        except OSError as error:
            raise _not_connected(self._server, error) from error
        try:
            self._sign_in()
            self._select()
        except BaseException:
            self._client.shutdown()
            raise
        return self

    def _connected(self) -> imaplib.IMAP4:
        """A connection over which the password may go."""
        server = self._server
        if server.is_implicit:
            return imaplib.IMAP4_SSL(server.host, server.port, ssl_context=server.tls(), timeout=server.timeout)
        client = imaplib.IMAP4(server.host, server.port, timeout=server.timeout)
        try:
            if "STARTTLS" in client.capabilities:
                client.starttls(server.tls())
            elif not server.is_loopback:
                text = f"{server.place} offers no TLS, so it is not told the password"
                raise MailboxRefused(
                    MailboxReason.NO_TLS, text, f"if it speaks TLS at once, begin {SETTING} with imaps://"
                )
        except BaseException:
            client.shutdown()
            raise
        return client

    def _sign_in(self) -> None:
        server, client = self._server, self._client
        try:
            if (server.user + server.password).isascii():
                client.login(server.user, server.password)
            else:  # LOGIN knows ASCII alone; RFC 4616 is UTF-8.
                client.authenticate("PLAIN", lambda _: f"\0{server.user}\0{server.password}".encode())
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            if any(code in str(error).upper() for code in NOT_NOW):
                raise
            text = f"{server.place} refuses the user {server.user} ({_words(error)})"
            remedy = f"correct user and password in {SETTING}, where @ : / % are written %40 %3A %2F %25"
            raise MailboxRefused(MailboxReason.SIGN_IN_REFUSED, text, remedy, said=_words(error)) from error

    def _select(self) -> None:
        server, client = self._server, self._client
        try:
            _ok(client.select(_quoted(server.folder), readonly=True))
        except NotGiven as error:
            text = f"{server.place} has no folder {server.folder} that can be read ({_words(error)})"
            raise MailboxRefused(
                MailboxReason.NO_FOLDER,
                text,
                f"correct the folder at the end of {SETTING}",
                said=_words(error).removeprefix(_SAID),
            ) from error
        self.uid_validity = self._number("UIDVALIDITY") or 0
        self.uid_next = self._number("UIDNEXT")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._client.logout()
        except TROUBLE:
            self._client.shutdown()

    def _number(self, name: str) -> int | None:
        _name, values = self._client.response(name)
        found = [value for value in values or () if value]
        return int(found[-1]) if found else None

    def windows(self, last_uid: int) -> Iterable[tuple[int, str]]:
        """Ranges of UIDs behind the last one that was read, each with its end; open where the server does not say it."""
        if self.uid_next is None:
            yield last_uid, f"{last_uid + 1}:*"
            return
        for first in range(last_uid + 1, self.uid_next, WINDOW):
            end = min(first + WINDOW, self.uid_next) - 1
            yield end, f"{first}:{end}"

    def sizes(self, uids: str, *, after: int) -> list[tuple[int, int]]:
        """(UID, bytes) of the mails in this range, in order. `*` names the last mail even if it is an old one."""
        answer = _ok(self._client.uid("FETCH", uids, "(UID RFC822.SIZE)"))
        found = []
        for line in answer:
            match = _SIZE.search(line if isinstance(line, bytes) else b" ".join(line)) if line else None
            if match:
                found.append((int(match[1] or match[4]), int(match[2] or match[3])))
        return sorted((uid, size) for uid, size in found if uid > after)

    def mail(self, uid: int, *, is_whole: bool = True) -> bytes | None:
        """A mail's bytes, or its header's; None if it is gone."""
        answer = _ok(self._client.uid("FETCH", str(uid), f"(BODY.PEEK[{'' if is_whole else 'HEADER'}])"))
        return next((part[1] for part in answer if isinstance(part, tuple)), None)


def _ok(answer: tuple[str, list[Any]]) -> list[Any]:
    status, data = answer
    if status != "OK":
        said = b" ".join(part for part in data if isinstance(part, bytes)).decode("utf-8", "replace")
        raise NotGiven(f"{_SAID}{status}: {said}"[:300])
    return data


def _not_connected(server: ImapServer, error: OSError) -> MailboxRefused:
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"the certificate of {server.place} is not trusted ({error.verify_message})"
        remedy = f"name the file of your own authority as ?ca_file=… in {SETTING}, or the host by the name in its certificate"
        return MailboxRefused(MailboxReason.NOT_TRUSTED, text, remedy, said=error.verify_message)
    if isinstance(error, ssl.SSLError):
        text = f"{server.place} does not speak TLS as we do ({_words(error)})"
        return MailboxRefused(
            MailboxReason.NO_TLS,
            text,
            f"imap:// instead of imaps:// in {SETTING} begins with STARTTLS",
            said=_words(error),
        )
    if isinstance(error, TimeoutError):
        text = f"{server.place} does not answer ({_words(error)})"
        remedy = f"is the server up, does a firewall let us through, and are host and port in {SETTING} right?"
        return MailboxRefused(MailboxReason.TIMEOUT, text, remedy, said=_words(error))
    text = f"{server.place} cannot be reached ({_words(error)})"
    return MailboxRefused(
        MailboxReason.UNREACHABLE,
        text,
        f"is the server up, and are host and port in {SETTING} right?",
        said=_words(error),
    )


def why_not_read(error: Exception) -> tuple[MailboxReason, str]:
    """For what a mailbox that cannot be read raised: the kind of trouble, and the server's own words."""
    if isinstance(error, MailboxRefused):
        return error.reason, error.said
    reason = MailboxReason.TIMEOUT if isinstance(error, TimeoutError) else MailboxReason.INTERRUPTED
    return reason, _words(error)


def _words(error: Exception) -> str:
    """What an error says, in one line."""
    said = error.args[0] if error.args and isinstance(error.args[0], bytes) else str(error)
    return " ".join((said.decode("utf-8", "replace") if isinstance(said, bytes) else said).split())[:200]


def _quoted(folder: str) -> str:
    """A folder's name as the protocol writes it: modified UTF-7 (RFC 3501, 5.1.3), quoted."""

    def shifted(found: re.Match[str]) -> str:
        return "&" + b64encode(found[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"

    folder = re.sub(r"[^\x20-\x7e]+", shifted, folder.replace("&", "&-"))
    escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
