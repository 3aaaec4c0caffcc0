"""How the text of a setting becomes a value. Each parser raises ValueError saying, in a few words, what is wrong.

The words never repeat a text that may hold a password.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from beforehand.conversations.imap import ImapServer
from beforehand.outbound.smtp_handshake import SmtpServer

SHORTEST_SECRET = 32
_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\.?", re.I
)
_ADDRESS = re.compile(r"[0-9.]+|[0-9a-f:.]+", re.I)


@dataclass(frozen=True)
class Bind:
    """The address on which the web server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def text(value: str) -> str:
    """The text itself."""
    return value


def words(value: str) -> tuple[str, ...]:
    """Texts separated by commas or white space."""
    return tuple(value.replace(",", " ").split())


def yes_or_no(value: str) -> bool:
    """A switch."""
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return known[value.lower()]
    except KeyError:
        raise ValueError("should be 1 or 0") from None


def number(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers from `low` to `high`."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise ValueError(f"should be a whole number from {low} to {high}")
        return int(value)

    return parse


def one_of(*choices: str) -> Callable[[str], str]:
    """A parser of one of these words, in either case."""

    def parse(value: str) -> str:
        for choice in choices:
            if value.lower() == choice.lower():
                return choice
        raise ValueError(f"should be one of {', '.join(choices)}")

    return parse


def folder(value: str) -> Path:
    """The absolute path of a folder; web and worker may be started in different places."""
    path = Path(value).expanduser()
    if not path.is_absolute():
        raise ValueError("should be an absolute path")
    return path


def secret(value: str) -> str:
    """A secret that is too long to guess."""
    if len(value) < SHORTEST_SECRET:
        raise ValueError(f"is too short: at least {SHORTEST_SECRET} random characters")
    return value


def secrets(value: str) -> tuple[str, ...]:
    """Secrets separated by commas or white space."""
    return tuple(secret(part) for part in words(value))


def push_key(value: str) -> str:
    """A private key for signing web push: 32 bytes in base64url."""
    try:
        raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise ValueError("must be 32 bytes in base64url, as docs/channels.md says how to make them")
    return value.rstrip("=")


def mail_address(value: str) -> str:
    """One e-mail address, without a name."""
    name, address = parseaddr(value)
    local, _, domain = address.rpartition("@")
    if name or address != value or not local or not _HOST_NAME.fullmatch(domain) or not value.isprintable():
        raise ValueError("should be an e-mail address such as service@example.com")
    return address


def domain(value: str) -> str:
    """A domain name, in lower case."""
    if not _HOST_NAME.fullmatch(value):
        raise ValueError("should be a domain name such as reply.example.com")
    return value.lower()


def bind(value: str) -> Bind:
    """An address and a port: 127.0.0.1:8000, [::1]:8000."""
    host, colon, port = value.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not port.isdigit() or not 0 < int(port) <= 65535:
        raise ValueError("should be an address and a port such as 127.0.0.1:8000")
    if (":" in host and bare == host) or not (_ADDRESS.fullmatch(bare) or _HOST_NAME.fullmatch(bare)):
        raise ValueError("should be an address and a port such as 127.0.0.1:8000 or [::1]:8000")
    return Bind(host=bare, port=int(port))


def base_url(value: str) -> str:
    """An http or https address without path; no slash at its end."""
    parts = _split(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("should begin with https:// or http:// and a host")
    if parts.username is not None or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise ValueError("should be a scheme, a host and perhaps a port, and nothing after them")
    if not _ADDRESS.fullmatch(parts.hostname) and not _HOST_NAME.fullmatch(parts.hostname):
        raise ValueError("has an impossible host name")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def issuer_url(value: str) -> str:
    """An https address, with http only on this machine; no slash at its end."""
    parts = _split(value)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")):
        raise ValueError("should begin with https://")
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("should be a scheme, a host and perhaps a path, and nothing after them")
    return value.rstrip("/")


def claim(value: str) -> str:
    """name=value."""
    name, _, wanted = value.partition("=")
    if not name or not wanted:
        raise ValueError("should be a claim and its value, such as groups=service-desk")
    return value


def database_url(value: str) -> str:
    """A PostgreSQL URL, as libpq reads it, that names a database."""
    example = "postgresql://user:password@host:5432/name"
    if not value.startswith(("postgresql://", "postgres://")):
        raise ValueError(f"should be a URL such as {example}")
    try:
        parts = conninfo_to_dict(value)
    except ProgrammingError:  # its text may show the password
        raise ValueError(f"cannot be read as a URL such as {example}") from None
    if not parts.get("dbname"):
        raise ValueError(f"names no database: {example}")
    port = str(parts.get("port") or "5432")
    if not all(part.isdigit() and 0 < int(part) <= 65535 for part in port.split(",")):
        raise ValueError("has a port that is not a number from 1 to 65535")
    return value


def smtp_url(value: str) -> SmtpServer:
    """smtp://user:password@host:port?starttls=1 or smtps://…: see `SmtpServer.from_url`."""
    return SmtpServer.from_url(value)


def imap_url(value: str) -> ImapServer:
    """imaps://user:password@host/folder or imap://…: see `ImapServer.from_url`."""
    return ImapServer.from_url(value)


def _split(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        _ = parts.port  # computed, and refused, only when asked for
    except ValueError:
        raise ValueError("has an impossible port or address") from None
    if not value.isprintable() or " " in value:
        raise ValueError("contains a space or a control character")
    return parts
