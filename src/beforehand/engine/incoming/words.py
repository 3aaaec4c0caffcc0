"""What a short text says to a machine (STOP, START), and which language a text is written in, by its script."""

import re
from enum import StrEnum

_STOP = frozenset(
    {"stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "opt out"}
)
_STOP_ELSEWHERE = frozenset({"afmelden", "stoppen", "توقف", "إيقاف", "ايقاف", "إلغاء", "बंद", "रोकें", "बंद करो", "बंद करें"})
_START = frozenset({"start", "yes", "unstop"})
_START_ELSEWHERE = frozenset({"aanmelden", "ابدأ", "ابدا", "शुरू", "शुरू करें"})
_AROUND = " \t\r\n.,;:!?\"'“”‘’«»…।-*"


class OptWord(StrEnum):
    """What the owner of a number asks of us."""

    STOP = "stop"
    START = "start"


def opt_word(text: str) -> OptWord | None:
    """Twilio's words, and those that speakers of Dutch, Arabic and Hindi write; alone in the message, in either case."""
    said = " ".join(text.strip(_AROUND).lower().split())
    if said in _STOP or said in _STOP_ELSEWHERE:
        return OptWord.STOP
    return OptWord.START if said in _START or said in _START_ELSEWHERE else None


_SCRIPTS = (
    ("ar", re.compile("[\u0620-\u064a\u0671-\u06d3]")),
    ("hi", re.compile("[\u0904-\u0939\u0958-\u0961]")),
    ("", re.compile(r"[A-Za-zÀ-ɏ]")),
)
_WRITTEN_SO = {"ar": "ar", "hi": "hi"}


def language_written(text: str, *, expected: str) -> str:
    """The language of a text as far as its script says it; of the Latin ones the expected, if that is one; else empty."""
    counts = [(len(pattern.findall(text[:2_000])), language) for language, pattern in _SCRIPTS]
    most, language = max(counts, key=lambda one: one[0])
    if not most:
        return ""
    if language:
        return language
    return "" if expected.split("-")[0] in _WRITTEN_SO else expected
