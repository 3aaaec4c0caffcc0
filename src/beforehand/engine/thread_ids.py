"""Signed names for a message: its Message-ID, the address that its answers come to, and the code that proves it ours.

All three follow from the message's place (bucket and id) and a secret, so a resend bears the same ones and nothing of
them need be stored to recognise an answer. Secrets may be rotated: sign with the first, verify with all.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648, lower case: mail systems change the case of local parts
_PAIRS = tuple(first + second for first in _BASE32 for second in _BASE32)
_PLACE = r"b(\d{1,5})\.(\d{1,19})\.([a-z2-7]{26})"
_MESSAGE_ID = re.compile(rf"<\s*{_PLACE}@[^\s<>@]+>", re.IGNORECASE)
_REPLY_LOCAL = re.compile(rf"[^\s<>@]*\+{_PLACE}", re.IGNORECASE)
_INNER_PAD, _OUTER_PAD = bytes(byte ^ 0x36 for byte in range(256)), bytes(byte ^ 0x5C for byte in range(256))
_MAX_LOCAL = 64  # RFC 5321 §4.5.3.1.1

CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
_CODE_VALUES = {character: value for value, character in enumerate(CODE_ALPHABET)}
_DOUBLED = {character: 2 * value // 32 + 2 * value % 32 for character, value in _CODE_VALUES.items()}
_CODE_READ = str.maketrans("OIL", "011", " -\u2010\u2011\u2012\u2013\u2014\u2066\u2067\u2068\u2069\u200e\u200f")


@dataclass(frozen=True, slots=True)
class MessagePlace:
    """Where a message lies: the key of its row."""

    bucket: int
    message_id: int


@lru_cache(maxsize=64)
def _keyed(secret: str | bytes, purpose: bytes) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """The two SHA-256 states that HMAC begins with (RFC 2104): copied, they cost a third of `hmac.digest`."""
    raw = secret.encode() if isinstance(secret, str) else secret
    if not raw:
        raise ValueError("an empty secret signs nothing")
    key = hmac.digest(raw, b"beforehand/" + purpose, "sha256").ljust(64, b"\0")
    return hashlib.sha256(key.translate(_INNER_PAD)), hashlib.sha256(key.translate(_OUTER_PAD))


def _mac(secret: str | bytes, purpose: bytes, text: bytes) -> bytes:
    keyed = _keyed(secret, purpose)
    inner, outer = keyed[0].copy(), keyed[1].copy()
    inner.update(text)
    outer.update(inner.digest())
    return outer.digest()


def _signed(secret: str | bytes, purpose: bytes, bucket: int, message_id: int) -> str:
    """`b7.12345.` and the first 16 bytes of an HMAC-SHA256 over it, in base 32."""
    place = f"b{bucket}.{message_id}"
    bits, pairs = int.from_bytes(_mac(secret, purpose, place.encode())[:16], "big") << 2, _PAIRS
    return f"{place}." + "".join([pairs[bits >> shift & 1023] for shift in range(120, -1, -10)])


def message_id(bucket: int, message_id: int, domain: str, secret: str | bytes) -> str:
    """The Message-ID header's value, angle brackets and all: `<b7.12345.…@domain>`."""
    return f"<{_signed(secret, b'message-id', bucket, message_id)}@{domain}>"


def reply_address(bucket: int, message_id: int, mailbox: str, secret: str | bytes) -> str:
    """Where answers to this message go: the mailbox with a plus part, `reply+b7.12345.…@domain`.

    Raises ValueError when the mailbox's name is too long for that (the whole local part has at most 64 characters).
    """
    local, at, domain = mailbox.rpartition("@")
    address = f"{local}+{_signed(secret, b'reply', bucket, message_id)}"
    if not at or not local or len(address) > _MAX_LOCAL:
        raise ValueError("the reply mailbox needs a short name before its @")
    return f"{address}@{domain}"


def message_places(header: str, secrets: Sequence[str | bytes]) -> tuple[MessagePlace, ...]:
    """Our messages that a Message-ID, In-Reply-To or References header names, in its order, without forged ones."""
    return _verified(_MESSAGE_ID.findall(header), b"message-id", secrets)


def reply_place(address: str, secrets: Sequence[str | bytes]) -> MessagePlace | None:
    """The message that an answer to this address answers; None for any other address, and for a forged one."""
    match = _REPLY_LOCAL.fullmatch(address.strip().strip("<>").rpartition("@")[0])
    places = _verified([match.groups()], b"reply", secrets) if match else ()
    return places[0] if places else None


def _verified(
    found: Iterable[tuple[str, ...]], purpose: bytes, secrets: Sequence[str | bytes]
) -> tuple[MessagePlace, ...]:
    places = []
    for bucket, number, signature in found:
        place = MessagePlace(int(bucket), int(number))
        given = f"b{bucket}.{number}.{signature}".lower()
        expected = [_signed(secret, purpose, place.bucket, place.message_id) for secret in secrets]
        if any(hmac.compare_digest(given, each) for each in expected):
            places.append(place)
    return tuple(dict.fromkeys(places))


def verify_code(message_id: int, secret: str | bytes) -> str:
    """The short code that shows a message to be ours: `ABCD-EFGH`.

    Seven characters (35 bits of an HMAC) and a check character. Two of a million messages may share one, so a code is
    looked up, not trusted alone; and as one guess in 34,000 hits one of a million, whoever guesses must be slowed down.
    """
    bits = int.from_bytes(_mac(secret, b"code", b"%d" % message_id)[:5], "big") >> 5
    characters = "".join([CODE_ALPHABET[bits >> shift & 31] for shift in range(30, -1, -5)])
    return f"{characters[:4]}-{characters[4:]}{check_character(characters)}"


def check_character(characters: str) -> str:
    """Luhn's rule in base 32: finds every single wrong character and every swap of neighbours but 0 and Z."""
    total = sum([_DOUBLED[character] for character in characters[::-2]])
    total += sum([_CODE_VALUES[character] for character in characters[-2::-2]])
    return CODE_ALPHABET[-total % 32]


def read_code(typed: str) -> str | None:
    """The code that a person typed or read out, as it is stored; None when it cannot be one (wrong check character).

    Case, spaces and hyphens do not matter; the letters O, I and L are read as the digits that they look like.
    """
    characters = typed.strip().upper().translate(_CODE_READ)
    if len(characters) != 8 or not _CODE_VALUES.keys() >= set(characters):
        return None
    if check_character(characters[:7]) != characters[7]:
        return None
    return f"{characters[:4]}-{characters[4:]}"
