"""The bytes of a mail: headers (RFC 5322, 2047), quoted-printable parts (RFC 2045), and values safe in their places.

A part is a list of pieces: fixed text, and slots that each recipient's value goes into. Fixed text is encoded once; a
slot begins and ends at a soft line break, so that its value is encoded alone and no line grows beyond 76 characters.
"""

import html
import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

from beforehand.outbound.addresses import wire_address

MAX_SUBJECT, MAX_NAME = 200, 100  # characters; longer ones are cut
_LINE = 76  # RFC 2045 §6.7, RFC 2047 §2

# What breaks a line becomes a space; what people cannot see but machines obey goes: controls, bidi embeddings and
# isolates (a value could turn the text around it), the byte order mark, halves of surrogate pairs. Joiners stay:
# Hindi, Persian and emoji need them.
_BREAKS = re.compile(r"\r\n|[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_URL = re.compile(r"(?:https?://[^\s/?#]|mailto:|tel:)[^\s\"<>\\^`{|}]*", re.IGNORECASE)
_MARKUP = re.compile("[&<>\"']")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .'&-]{0,59}")
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")


class MailValueError(ValueError):
    """A value that this mail cannot be made with; the text says which."""


class Place(Enum):
    """Where in a part a slot stands, which decides how its value is written."""

    TEXT = "plain text"
    HTML = "text in HTML, or an attribute's value"
    URL = "a whole URL in an attribute"
    URL_PART = "a part of a URL in an attribute"


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a part that a recipient's own value goes into."""

    name: str
    place: Place


Piece = str | Slot


def clean_value(value: str) -> str:
    """A value as one line of visible text."""
    if value.isprintable():
        return value
    return _UNSEEN.sub("", _BREAKS.sub(" ", value))


def clean_url(value: str) -> str:
    """The URL, if it is one that a mail may link to (http, https, mailto, tel); else "#", which leads nowhere."""
    return value if _URL.fullmatch(value) else "#"


def _as_html(value: str) -> str:
    cleaned = clean_value(value)
    return cleaned if _MARKUP.search(cleaned) is None else html.escape(cleaned)


def _as_url(value: str) -> str:
    url = clean_url(value)
    return url if _MARKUP.search(url) is None else html.escape(url)


def _as_url_part(value: str) -> str:
    return quote(clean_value(value), safe="")


WRITTEN: dict[Place, Callable[[str], str]] = {
    Place.TEXT: clean_value,
    Place.HTML: _as_html,
    Place.URL: _as_url,
    Place.URL_PART: _as_url_part,
}


def filled_text(pieces: Sequence[Piece], values: dict[Slot, str]) -> str:
    """A part as text, its slots filled with values already written for their places."""
    return "".join([piece if isinstance(piece, str) else values[piece] for piece in pieces])


def encoded_value(text: str) -> bytes:
    """A slot's value in quoted-printable, with room left on its last line for the soft break behind it."""
    encoded = b2a_qp(text.encode(), False, False)
    if len(encoded) < _LINE:
        return encoded
    encoded = encoded.replace(b"\n", b"\r\n")
    if len(encoded) - encoded.rfind(b"\n") - 1 >= _LINE:
        cut = next((at for at in (-4, -5) if encoded[at] == 61), -3)  # never inside an =XX
        encoded = encoded[:cut] + b"=\r\n" + encoded[cut:]
    return encoded


def encoded_part(pieces: Sequence[Piece]) -> list[bytes | Slot]:
    """A part in quoted-printable with CRLF line ends: bytes, and slots to be filled with `encoded_value`."""
    parts: list[bytes | Slot] = []
    line: list[str] = []  # the encoded characters of the line being written
    length = 0
    written: list[str] = []

    def soft_break() -> None:
        nonlocal length
        written.append("".join(line) + "=\r\n")
        line.clear()
        length = 0

    for index, piece in enumerate(pieces):
        if isinstance(piece, Slot):
            if length:
                soft_break()
            parts += ["".join(written).encode("ascii"), piece]
            written = ["=\r\n"]
            continue
        rows = piece.replace("\r\n", "\n").split("\n")
        for number, row in enumerate(rows):
            is_last = number == len(rows) - 1
            for at, character in enumerate(row):
                ends_line = at == len(row) - 1 and not (is_last and index < len(pieces) - 1)
                for escaped in _escaped(character, ends_line=ends_line):
                    if length + len(escaped) > _LINE - 1:
                        soft_break()
                    line.append(escaped)
                    length += len(escaped)
            if not is_last:
                written.append("".join(line) + "\r\n")
                line.clear()
                length = 0
    parts.append(("".join(written) + "".join(line)).encode("ascii"))
    return parts


def _escaped(character: str, *, ends_line: bool) -> list[str]:
    if "!" <= character <= "~" and character != "=":
        return [character]
    if character in " \t" and not ends_line:
        return [character]
    return [f"={byte:02X}" for byte in character.encode()]


def header_text(text: str, *, room: int, limit: int) -> bytes:
    """An unstructured header's value: as it is where it is plain and short, else in encoded words (RFC 2047).

    `room` is what is left of the first line; each further line begins with a space.
    """
    text = clean_value(text).strip()[:limit].strip()
    if text.isascii() and len(text) <= room and "=?" not in text:
        return text.encode("ascii")
    return _encoded_words(text.encode(), room)


def _encoded_words(raw: bytes, room: int) -> bytes:
    words: list[bytes] = []
    at = 0
    while at < len(raw):
        end = min(len(raw), at + (room - 12) // 4 * 3)
        while end < len(raw) and raw[end] & 0xC0 == 0x80:  # never inside a character (RFC 2047 §5)
            end -= 1
        words.append(b"=?utf-8?b?%b?=" % b2a_base64(raw[at:end], newline=False))
        at, room = end, _LINE - 1
    return b"\r\n ".join(words)


def mailbox(name: str, address: str, *, room: int) -> bytes:
    """`"Name" <address>` for From, To and Reply-To; the name is left out where it is empty.

    Raises AddressRefusedError.
    """
    wire = wire_address(address)
    if _PLAIN_NAME.fullmatch(name) is not None and len(name) < room - 2:
        fold = b" " if len(name) + len(wire) + 5 <= room else b"\r\n "
        return b'"%b"%b<%b>' % (name.encode("ascii"), fold, wire)
    name = clean_value(name).strip()[:MAX_NAME].strip()
    if not name:
        return b"<%b>" % wire
    return b"%b\r\n <%b>" % (_encoded_words(name.encode(), room), wire)


def header_value(name: str, value: str) -> bytes:
    """A structured value that we made ourselves (an id, a date, a URL). Raises MailValueError for anything else."""
    if not (value.isascii() and value.isprintable() and len(value) < 900):
        raise MailValueError(f"the header {name} cannot have this value")
    return value.encode("ascii")


def header_line(name: str, value: str) -> bytes:
    """A whole header of our own making. Raises MailValueError for a name or a value that is none."""
    if _HEADER_NAME.fullmatch(name) is None:
        raise MailValueError("this is no header's name")
    return b"%b: %b\r\n" % (name.encode("ascii"), header_value(name, value))
