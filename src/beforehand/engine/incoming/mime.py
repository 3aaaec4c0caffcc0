"""A mail taken apart: headers, what a person wrote, the machine's reports in it; broken mail as far as it can be read.

No header or part is trusted to be well-formed. What is read is bounded: a mail is never allowed to cost more than its size.
"""

import re
from dataclasses import dataclass, field
from email import message_from_bytes
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses

from beforehand.engine.incoming.markup import text_of_html

MOST_PARTS = 300
LONGEST_HEADER = 4_000
_GUESSES = ("utf-8", "cp1252")
_ALIASES = {"x-unknown": "utf-8", "unknown-8bit": "utf-8", "default": "utf-8", "iso-8859-8-i": "iso-8859-8"}
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=\s]")
_REPORTS = ("message/delivery-status", "message/global-delivery-status")
_RETURNED = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers", "message/partial")


class UnreadableMailError(ValueError):
    """A mail that nobody can take apart; the text says why."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail, read. Header names are in lower case; each header has all its values in order."""

    headers: dict[str, tuple[str, ...]]
    text: str = ""
    """What stands in its plain text parts, or else in its HTML as text."""
    html: str = ""
    attachments: tuple[str, ...] = ()
    """Names of what is not text to be read here."""
    delivery_status: tuple[dict[str, str], ...] = ()
    """The groups of fields of an RFC 3464 report, the one of the message first."""
    feedback: dict[str, str] = field(default_factory=dict)
    """The fields of an RFC 5965 report."""
    returned: str = ""
    """The headers of the message that a report sends back, or more of it, as text."""

    def header(self, name: str) -> str:
        """The first value of a header; empty if it has none."""
        return next(iter(self.headers.get(name.lower(), ())), "")

    def addresses(self, *names: str) -> list[str]:
        """The addresses in these headers, in lower case, in order."""
        values = [value for name in names for value in self.headers.get(name, ())]
        return [address.lower() for _name, address in getaddresses(values) if address]


def read_mail(raw: bytes) -> Mail:
    """The mail in these bytes; raises `UnreadableMailError` for what is none or nests without end."""
    try:
        message = message_from_bytes(raw.lstrip(b"\r\n"))
        return _read(message)
    except RecursionError:
        raise UnreadableMailError("its parts lie in each other without end") from None


def _read(message: Message) -> Mail:
    plain: list[str] = []
    html: list[str] = []
    names: list[str] = []
    status: list[dict[str, str]] = []
    feedback: dict[str, str] = {}
    returned = ""
    waiting: list[Message] = [message]
    seen = 0
    while waiting:
        part = waiting.pop()
        seen += 1
        if seen > MOST_PARTS:
            raise UnreadableMailError("it has too many parts")
        kind = part.get_content_type()
        if kind in _REPORTS:
            status += _groups(part)
        elif kind == "message/feedback-report":
            feedback = {name: value for group in _groups(part) for name, value in group.items()}
        elif part is not message and kind in _RETURNED:
            returned = returned or _source(part)
        elif part.is_multipart():
            waiting += reversed([one for one in part.get_payload() if isinstance(one, Message)])
        elif _is_attached(part, is_whole=part is message) or part.get_content_maintype() not in ("text", "multipart"):
            names.append(header_words(part.get_filename() or "")[:200] or kind)
        elif kind == "text/html":
            html.append(_text(part))
        else:
            plain.append(_text(part))
    text = "\n".join(plain)
    markup = "\n".join(html)
    return Mail(
        headers=_headers(message),
        text=text if text.strip() or not markup else text_of_html(markup),
        html=markup,
        attachments=tuple(names),
        delivery_status=tuple(status),
        feedback=feedback,
        returned=returned,
    )


def _is_attached(part: Message, *, is_whole: bool) -> bool:
    """A text without a name is to be read, whatever else its header says."""
    if is_whole:
        return False
    return (part.get_content_disposition() == "attachment" and bool(part.get_filename())) or (
        part.get_filename() is not None and part.get_content_type() not in ("text/plain", "text/html")
    )


def _headers(message: Message) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, value in message.items():
        found.setdefault(name.lower(), []).append(header_words(str(value)))
    return {name: tuple(values) for name, values in found.items()}


def header_words(value: str) -> str:
    """A header's value as people read it, on one line; encoded words (RFC 2047) that are none stay as they are."""
    value = " ".join(value[:LONGEST_HEADER].split())
    try:
        words = "".join(
            one if isinstance(one, str) else decoded(one, charset or "") for one, charset in decode_header(value)
        )
    except Exception:  # the standard library raises whatever it meets in a broken word
        words = value
    return storable(words.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def decoded(raw: bytes, charset: str) -> str:
    """Bytes as text: by the charset that they claim, else by the likeliest; nothing is dropped."""
    claimed = _ALIASES.get(charset.lower().strip(), charset.strip())
    for name in (claimed, *_GUESSES):
        try:
            return storable(raw.decode(name or "utf-8"))
        except (LookupError, ValueError):
            continue
    return storable(raw.decode("latin-1"))


def storable(text: str) -> str:
    """Without the two things that no database keeps as text."""
    return _UNSTORABLE.sub("\ufffd", text)


def _text(part: Message) -> str:
    written, payload = _written(part), part.get_payload(decode=True)
    is_base64 = str(part.get("Content-Transfer-Encoding", "")).strip().lower() == "base64"
    if not isinstance(payload, bytes) or (is_base64 and _NOT_BASE64.search(written)):
        payload = written.encode("utf-8", "surrogateescape")
    charset = part.get_param("charset", "")
    return decoded(payload, charset if isinstance(charset, str) else str(charset[2]))


def _written(part: Message) -> str:
    """A part's body as it stands there; the library stumbles over a charset that says its own charset."""
    try:
        return str(part.get_payload())
    except TypeError:
        del part["Content-Type"]
        return str(part.get_payload())


def _source(part: Message) -> str:
    """A returned message as it stands in the report, without its own parts taken apart."""
    payload = part.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else payload
    if isinstance(inner, Message):
        lines = [f"{name}: {value}" for name, value in inner.items()]
        body = inner.get_payload()
        return storable("\n".join(lines) + "\n\n" + (body if isinstance(body, str) else ""))
    return _text(part)


def _groups(part: Message) -> list[dict[str, str]]:
    """The blocks of fields of a machine's report; the parser makes a message of each block."""
    payload = part.get_payload()
    blocks = payload if isinstance(payload, list) else _blocks(_text(part))
    groups = []
    for block in blocks:
        if not isinstance(block, Message):
            continue
        fields = {name.lower(): storable(" ".join(str(value).split())) for name, value in block.items()}
        inner = block.get_payload()
        if not fields and isinstance(inner, str) and inner.strip():
            fields = next((dict(_folded(one)) for one in inner.split("\n\n") if _folded(one)), {})
        if fields:
            groups.append(fields)
    return groups


def _blocks(text: str) -> list[Message]:
    """What the parser left as text, because the part was encoded, or only looked like one message."""
    return [message_from_bytes(one.encode()) for one in re.split(r"\r?\n[ \t]*\r?\n", text.strip()) if one.strip()]


def _folded(text: str) -> list[tuple[str, str]]:
    pairs = re.findall(r"^([A-Za-z][A-Za-z-]+):[ \t]*(.*(?:\n[ \t]+.*)*)", text, re.MULTILINE)
    return [(name.lower(), " ".join(value.split())) for name, value in pairs]
