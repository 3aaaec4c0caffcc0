"""Where the mail server is and how a conversation with it begins: greeting, EHLO, STARTTLS, AUTH; without any I/O."""

import base64
import hmac
import ipaddress
import socket
import ssl
from collections.abc import Generator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from beforehand.outbound.smtp_protocol import Features, SmtpUnavailableError, WireReply, clean

DEFAULT_TIMEOUT = 60.0
DEFAULT_DOT_TIMEOUT = 600.0  # RFC 5321 §4.5.3.2.6: to give up sooner is to send twice
_TRUE, _FALSE = ("1", "yes", "true", "on"), ("0", "no", "false", "off")


class SmtpUrlError(ValueError):
    """The setting BEFOREHAND_SMTP_URL is wrong; the text says what, in one line, without the password."""


class Tls(StrEnum):
    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


_SCHEMES = {"smtp": (Tls.NONE, 25), "smtp+starttls": (Tls.STARTTLS, 587), "smtps": (Tls.IMPLICIT, 465)}


@dataclass(frozen=True)
class SmtpServer:
    """The mail server that takes our messages. Times in seconds: one reply, and the reply to the end of a message."""

    host: str
    port: int = 25
    tls: Tls = Tls.NONE
    user: str = ""
    password: str = field(default="", repr=False)
    verify: bool = True
    timeout: float = DEFAULT_TIMEOUT
    dot_timeout: float = DEFAULT_DOT_TIMEOUT
    ca_file: str = ""  # certificates to trust instead of the system's
    our_name: str = ""  # what we call ourselves in EHLO

    @classmethod
    def from_url(cls, url: str) -> "SmtpServer":
        """`smtp://`, `smtp+starttls://` or `smtps://[user:password@]host[:port][?verify=no&timeout=60…]`.

        Options: `tls` (none, starttls, implicit), `verify`, `timeout`, `dot_timeout`, `ca_file`, `name` (for EHLO).
        Raises SmtpUrlError.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise SmtpUrlError("has an impossible port or address") from None
        if parts.scheme not in _SCHEMES:
            raise SmtpUrlError(f"begins with one of {', '.join(_SCHEMES)}, then ://")
        if not parts.hostname:
            raise SmtpUrlError("names no host: it should be such as smtp://user:password@host:587?starttls=1")
        if parts.path not in ("", "/") or parts.fragment:
            raise SmtpUrlError("should have nothing after host and port but options")
        if (parts.username is None) != (parts.password is None):
            raise SmtpUrlError("has a user without password, or a password without user")
        if any(ord(character) < 32 for character in unquote(url)):
            raise SmtpUrlError("has a control character")
        server = cls(**_settings(parts, port))  # type: ignore[arg-type]
        if server.user and server.tls is Tls.NONE and not server.is_loopback:
            raise SmtpUrlError("has a password and no TLS: use smtp+starttls:// or smtps://")
        return server

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def ehlo_name(self) -> str:
        """Our name; never looked up in DNS, which may hang. An address literal where the machine has no full name."""
        if self.our_name:
            return self.our_name
        name = socket.gethostname()
        return name if "." in name and name.replace(".", "").replace("-", "").isalnum() else "[127.0.0.1]"

    def tls_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _settings(parts: SplitResult, port: int | None) -> dict[str, object]:
    tls, default_port = _SCHEMES[parts.scheme]
    settings: dict[str, object] = {
        "host": parts.hostname,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in ("timeout", "dot_timeout"):
            try:
                settings[name] = float(value)
            except ValueError:
                settings[name] = 0.0
            if not 0 < float(str(settings[name])) < float("inf"):
                raise SmtpUrlError(f"{name} must be a number of seconds above 0")
        elif name == "verify":
            if value.lower() not in (*_TRUE, *_FALSE):
                raise SmtpUrlError("verify is yes or no")
            settings["verify"] = value.lower() in _TRUE
        elif name == "tls":
            if value not in set(Tls):
                raise SmtpUrlError(f"tls is one of {', '.join(Tls)}")
            tls = Tls(value)
            default_port = next(number for each, number in _SCHEMES.values() if each is tls)
        elif name == "starttls":
            if value.lower() not in (*_TRUE, *_FALSE):
                raise SmtpUrlError("has starttls that is neither 1 nor 0")
            if value.lower() in _TRUE:
                if parts.scheme == "smtps":
                    raise SmtpUrlError("asks for smtps and starttls: choose one")
                tls, default_port = _SCHEMES["smtp+starttls"]
        elif name == "ca_file":
            settings["ca_file"] = value
        elif name == "name":
            settings["our_name"] = value
        else:
            raise SmtpUrlError(f"has an option that is not known: {name}")
    return settings | {"tls": tls, "port": port or default_port}


class StartTls:
    """Asks the driver to begin TLS on the connection now; it answers with any reply when that is done."""


START_TLS: Final = StartTls()
WAIT: Final = b""  # nothing to say: the next reply is awaited

Handshake = Generator[bytes | StartTls, WireReply, Features]


def handshake(server: SmtpServer, *, our_name: str) -> Handshake:
    """The opening of a conversation: yields what to write, takes each reply, returns what the server offers.

    Raises SmtpUnavailableError when it cannot come to sending: greeting refused, TLS or sign-in not possible.
    """
    code, words = yield WAIT
    if code != 220:
        raise SmtpUnavailableError(f"the mail server's greeting was {code} {clean(words)}", code)
    features = yield from _introduction(our_name)
    if server.tls is Tls.STARTTLS:
        if not features.starttls:
            raise SmtpUnavailableError("the mail server offers no STARTTLS, and sending in the open was not asked for")
        code, words = yield b"STARTTLS\r\n"
        if code != 220:
            raise SmtpUnavailableError(f"STARTTLS was refused: {code} {clean(words)}", code)
        yield START_TLS
        features = yield from _introduction(our_name)  # RFC 3207 §4.2: what was said before counts no more
    if server.user:
        if server.tls is Tls.NONE and not server.is_loopback:
            raise SmtpUnavailableError("no sign-in over a connection without TLS")
        yield from _sign_in(server, features)
    return features


def _introduction(our_name: str) -> Generator[bytes | StartTls, WireReply, Features]:
    name = our_name.encode("idna") if our_name.isascii() is False else our_name.encode("ascii")
    code, words = yield b"EHLO %b\r\n" % name
    if code == 250:
        return announced(words)
    if code == 421 or code < 500:
        raise SmtpUnavailableError(f"EHLO was refused: {code} {clean(words)}", code)
    code, words = yield b"HELO %b\r\n" % name
    if code != 250:
        raise SmtpUnavailableError(f"HELO was refused: {code} {clean(words)}", code)
    return Features()


def announced(words: bytes) -> Features:
    """The features in an answer to EHLO; what is not understood is passed over."""
    offers: dict[str, list[str]] = {}
    for line in clean_lines(words)[1:]:
        keyword, *values = line.replace("AUTH=", "AUTH ").split() or [""]
        offers.setdefault(keyword.upper(), []).extend(values)
    size = offers.get("SIZE", [])
    return Features(
        pipelining="PIPELINING" in offers,
        eight_bit="8BITMIME" in offers,
        utf8="SMTPUTF8" in offers and "8BITMIME" in offers,
        starttls="STARTTLS" in offers,
        size_announced="SIZE" in offers,
        max_size=int(size[0]) if size and size[0].isdecimal() and len(size[0]) < 20 else 0,
        auth=tuple(dict.fromkeys(value.upper() for value in offers.get("AUTH", []))),
    )


def clean_lines(words: bytes) -> list[str]:
    return [clean(line) for line in words.split(b"\n")]


def _sign_in(server: SmtpServer, features: Features) -> Generator[bytes | StartTls, WireReply, None]:
    user, password = server.user.encode(), server.password.encode()
    if "PLAIN" in features.auth:  # RFC 4616
        code, words = yield b"AUTH PLAIN %b\r\n" % base64.b64encode(b"\0%b\0%b" % (user, password))
    elif "LOGIN" in features.auth:
        code, words = yield b"AUTH LOGIN\r\n"
        for answer in (user, password):
            if code == 334:
                code, words = yield base64.b64encode(answer) + b"\r\n"
    elif "CRAM-MD5" in features.auth:  # RFC 2195
        code, words = yield b"AUTH CRAM-MD5\r\n"
        if code == 334:
            try:
                challenge = base64.b64decode(words, validate=True)
            except ValueError:
                raise SmtpUnavailableError("the mail server's CRAM-MD5 challenge cannot be read") from None
            digest = hmac.new(password, challenge, "md5").hexdigest().encode()
            code, words = yield base64.b64encode(user + b" " + digest) + b"\r\n"
    else:
        raise SmtpUnavailableError(
            f"the mail server offers no sign-in that we know ({' '.join(features.auth) or 'none'})"
        )
    if code != 235:
        raise SmtpUnavailableError(f"the mail server refused our sign-in: {code} {clean(words)}", code)
