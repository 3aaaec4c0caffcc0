"""Which language to speak: language tags (BCP 47), the order in which texts are looked for, and writing direction."""

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache


class Direction(StrEnum):
    """Which way a text runs; the values are those of HTML's `dir`."""

    LTR = "ltr"
    RTL = "rtl"


# RFC 5646 §2.1, without grandfathered tags and extensions, which say nothing about which text to send.
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3}|[a-z]{5,8})"
    r"(?:-(?P<script>[a-z]{4}))?"
    r"(?:-(?P<region>[a-z]{2}|[0-9]{3}))?"
    r"(?P<variants>(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)",
    re.IGNORECASE,
)
_RTL_SCRIPTS = frozenset({"Adlm", "Arab", "Aran", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"})
_RTL_LANGUAGES = frozenset(
    {"ar", "arc", "ary", "arz", "azb", "bal", "bgn", "bqi", "ckb", "dv", "fa", "glk", "he", "iw", "ji", "ks", "lrc"}
    | {"mzn", "nqo", "pnb", "prs", "ps", "sd", "skr", "syr", "ug", "ur", "yi"}
)
_USUAL_SCRIPTS = {("zh", "TW"): "Hant", ("zh", "HK"): "Hant", ("zh", "MO"): "Hant", ("pa", "PK"): "Arab"}
_SCRIPTS = {"zh": "Hans", "sr": "Cyrl", "pa": "Guru", "az": "Latn", "uz": "Latn", "ku": "Latn"}  # of two scripts


@lru_cache(maxsize=1_024)
def canonical_tag(tag: str) -> str | None:
    """The tag in its usual case ("nl-BE", "zh-Hant-TW"); None for what is no language tag. "_" is taken for "-"."""
    match = _TAG.fullmatch(tag.replace("_", "-"))
    if match is None:
        return None
    language, script, region, variants = match["language"], match["script"], match["region"], match["variants"]
    parts = [language.lower(), (script or "").title(), (region or "").upper(), variants.lower().removeprefix("-")]
    return "-".join(part for part in parts if part)


def is_language_tag(tag: str) -> bool:
    """Whether the tag is well-formed (RFC 5646); not whether such a language is spoken."""
    return canonical_tag(tag) is not None


@lru_cache(maxsize=1_024)
def direction(language: str) -> Direction:
    """Which way a text in this language runs: by its script where the tag names one, else by the language's own."""
    parts = (canonical_tag(language) or "").split("-")
    script = _named_script(parts) or _USUAL_SCRIPTS.get((parts[0], parts[-1]), "")
    is_rtl = script in _RTL_SCRIPTS if script else parts[0] in _RTL_LANGUAGES
    return Direction.RTL if is_rtl else Direction.LTR


def fallback_chain(language: str, available: Iterable[str], default: str) -> tuple[str, ...]:
    """The available languages to try, best first: the language itself, then shorter forms of it (RFC 4647 §3.4), then
    the same language and script elsewhere, then the default.

    The tags come back as `available` spells them. Nothing else is tried: a text in a language that nobody asked for
    is no answer, so the chain may be empty.
    """
    spelled: dict[str, str] = {}
    for each in sorted(available):
        spelled.setdefault(canonical_tag(each) or each, each)
    wanted = canonical_tag(language) or ""
    parts = wanted.split("-")
    order = ["-".join(parts[:length]) for length in range(len(parts), 0, -1)]
    order = [tag for tag in order if _script(tag) == _script(wanted)]
    order += [tag for tag in spelled if tag.split("-")[0] == parts[0] and _script(tag) == _script(wanted)]
    order.append(canonical_tag(default) or default)
    return tuple(spelled[tag] for tag in dict.fromkeys(order) if tag in spelled)


def _named_script(parts: list[str]) -> str:
    return parts[1] if len(parts) > 1 and len(parts[1]) == 4 and parts[1].isalpha() else ""


def _script(tag: str) -> str:
    parts = tag.split("-")
    region = next((part for part in parts[1:] if len(part) == 2), "")
    return _named_script(parts) or _USUAL_SCRIPTS.get((parts[0], region), "") or _SCRIPTS.get(parts[0], "")
