"""How many parts a text message is sent in: what it costs, and what a phone shows as one.

Source: 3GPP TS 23.038 §6.2.1 (the GSM 7 bit alphabet and its extension) and TS 23.040 §9.2.3.24.1 (six octets of each
part of a longer message say which part it is). What the alphabet lacks makes the whole message UCS-2.
"""

from dataclasses import dataclass
from enum import StrEnum

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("^{}\\[~]|€\f")  # each takes two places
_PLAINER = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "„": '"',
        "–": "-",
        "—": "-",
        "‑": "-",
        "…": "...",
        "\u00a0": " ",
        "\u202f": " ",
        "\u2009": " ",
        "•": "-",
    }
)
"""What typography puts in and a phone shows as well without: one of them would more than halve what a part holds."""


class SmsAlphabet(StrEnum):
    """How a text message is coded."""

    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


_ALONE = {SmsAlphabet.GSM_7: 160, SmsAlphabet.UCS_2: 70}
_JOINED = {SmsAlphabet.GSM_7: 153, SmsAlphabet.UCS_2: 67}


@dataclass(frozen=True, slots=True)
class Segments:
    """`units` are places of seven bits, or of sixteen; `count` is the number of parts."""

    alphabet: SmsAlphabet
    units: int
    count: int


def sms_segments(text: str) -> Segments:
    """In how many parts this text goes out. A character of two units is never cut in two."""
    is_gsm = all(character in _BASIC or character in _EXTENSION for character in text)
    alphabet = SmsAlphabet.GSM_7 if is_gsm else SmsAlphabet.UCS_2
    sizes = [_size(character, alphabet) for character in text]
    units = sum(sizes)
    if units <= _ALONE[alphabet]:
        return Segments(alphabet, units, 1)
    count, left = 1, _JOINED[alphabet]
    for size in sizes:
        if size > left:
            count, left = count + 1, _JOINED[alphabet]
        left -= size
    return Segments(alphabet, units, count)


def plain_for_sms(text: str) -> str:
    """The text without typographic quotes, dashes and spaces, where that alone lets it go out in GSM 7 bit."""
    plainer = text.translate(_PLAINER)
    return plainer if sms_segments(plainer).alphabet is SmsAlphabet.GSM_7 else text


def _size(character: str, alphabet: SmsAlphabet) -> int:
    if alphabet is SmsAlphabet.GSM_7:
        return 2 if character in _EXTENSION else 1
    return 2 if ord(character) > 0xFFFF else 1
