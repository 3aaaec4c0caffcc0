"""Finds what a customer cannot use: words that promise nothing without a time beside them, and sentences too long to read.

Liquid is looked through: of each `if`, both ways are read as a reader would get them.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from beforehand.engine.playbooks.bundle import canonical
from beforehand.engine.playbooks.empty_words import DAYS, MONTHS, PHRASES, TIME_NAMES, UNITS

MOST_WORDS = 25
"""More words than these in a sentence are too many for who reads in a hurry, or in a language learnt late."""

_INNERMOST_IF = re.compile(
    r"{%-?\s*(?:if|unless)\b[^%]*%}((?:(?!{%-?\s*(?:if|unless)\b).)*?){%-?\s*end(?:if|unless)\s*-?%}", re.S
)
_ELSE = re.compile(r"{%-?\s*(?:else|elsif\b[^%]*?)\s*-?%}")
_TAG = re.compile(r"{%.*?%}", re.S)
_PLACEHOLDER = re.compile(r"{{.*?}}", re.S)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_HEAD = re.compile(r"^[a-z][a-z ]*:\s*")
_ITEM = re.compile(r"^\s*(?:[-*+]|[0-9]+[.)])\s+")
_SENTENCE_END = re.compile(r"[.!?؟।…]+[”»\"')*_]*(?=\s|$)")
_DIACRITICS = re.compile("[\u064b-\u0652\u0640]")
_LETTER_OR_MARK = r"[\w\u0900-\u0963\u0970-\u097f]"  # Python counts the vowel signs of Hindi to no word


@dataclass(frozen=True)
class EmptyWords:
    """A phrase that promises nothing; `line` counts from 1."""

    line: int
    phrase: str


@dataclass(frozen=True)
class LongSentence:
    line: int
    words: int
    start: str


@dataclass(frozen=True)
class _Paragraph:
    line: int
    text: str


@lru_cache(maxsize=1024)
def empty_words(text: str, language: str) -> tuple[EmptyWords, ...]:
    """Each phrase that promises nothing and has no time in its paragraph, once a line, in the order of the text.

    A language of which no phrases are known has none.
    """
    pattern = _phrases(language.split("-")[0])
    if pattern is None:
        return ()
    found = {
        EmptyWords(paragraph.line + plain[: match.start()].count("\n"), " ".join(match[1].split()))
        for way in _ways(text)
        for paragraph in _paragraphs(way)
        if not says_a_time(paragraph.text)
        for plain in [_plain(paragraph.text)]
        for match in pattern.finditer(plain)
    }
    return tuple(sorted(found, key=lambda one: (one.line, one.phrase)))


@lru_cache(maxsize=1024)
def long_sentences(text: str) -> tuple[LongSentence, ...]:
    """Each sentence of more than `MOST_WORDS` words on some way through the text's `if`s, once a line, at its longest."""
    longest: dict[int, LongSentence] = {}
    for way in _ways(text):
        for sentence in _sentences(way):
            words = [word for word in sentence.text.split() if any(character.isalnum() for character in word)]
            known = longest.get(sentence.line)
            if len(words) > MOST_WORDS and (known is None or len(words) > known.words):
                longest[sentence.line] = LongSentence(sentence.line, len(words), " ".join(words[:5]))
    return tuple(longest[line] for line in sorted(longest))


def says_a_time(text: str) -> bool:
    """Whether a reader finds a time in it: a placeholder for one, a clock time, a length, a date, a day."""
    names = re.findall(r"{{\s*([\w.]+)", text)
    if any(name.rpartition(".")[2] in TIME_NAMES for name in names):
        return True
    return _times().search(_folded(text)) is not None


@lru_cache(maxsize=1)
def _times() -> re.Pattern[str]:
    def any_of(words: tuple[str, ...]) -> str:
        return "|".join(re.escape(_folded(word)) for word in words)

    end = rf"s?(?!{_LETTER_OR_MARK})"
    return re.compile(
        rf"\d{{1,2}}[:.]\d{{2}}(?!\d)|\d\s*(?:{any_of(UNITS)}){end}|\d{{1,2}}\.?\s+(?:{any_of(MONTHS)}){end}"
        rf"|(?:{any_of(MONTHS)})\s+\d|(?<!{_LETTER_OR_MARK})(?:{any_of(DAYS)}){end}"
    )


@lru_cache(maxsize=16)
def _phrases(language: str) -> re.Pattern[str] | None:
    if language not in PHRASES:
        return None
    longest_first = sorted((_folded(phrase) for phrase in PHRASES[language]), key=len, reverse=True)
    phrases = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in longest_first)
    return re.compile(rf"(?<!{_LETTER_OR_MARK})[وف]?({phrases})(?!{_LETTER_OR_MARK})")


def _folded(text: str) -> str:
    """Small letters, one form of each letter, straight apostrophes, and no Arabic vowel signs."""
    folded = unicodedata.normalize("NFC", text).replace("’", "'").lower()
    return _DIACRITICS.sub("", folded)


def _plain(text: str) -> str:
    """A paragraph as it is matched: without marks of emphasis, placeholders as one word, line for line."""
    without = _PLACEHOLDER.sub(lambda found: "x" + _lines_of(found[0]), text)
    return _folded(_LINK.sub(r"\1", without).replace("*", ""))


def _ways(text: str) -> tuple[str, ...]:
    """The text as it reads by its conditions, line for line: first and last ways, inside and outside chosen apart."""
    written = canonical(text)
    chosen = (_chosen(written, inner, outer) for inner in (0, -1) for outer in (0, -1))
    return tuple(dict.fromkeys(_TAG.sub(lambda tag: _lines_of(tag[0]), way) for way in chosen))


def _chosen(text: str, inner: int, outer: int) -> str:
    """Every `if` replaced by its first way (0) or its last (-1; nothing, where there is no `else`).

    `inner` is for those that hold no other `if`, `outer` for those around them.
    """
    way = inner

    def choose(found: re.Match[str]) -> str:
        ways = _ELSE.split(found[1])
        if way and len(ways) == 1:
            return _lines_of(found[0])
        before, after = ("", "".join(ways[1:])) if way == 0 else ("".join(ways[:-1]), "")
        return _lines_of(before) + ways[way] + _lines_of(after)

    while True:
        chosen, count = _INNERMOST_IF.subn(choose, text)
        if not count:
            return chosen
        text, way = chosen, outer


def _lines_of(text: str) -> str:
    return "\n" * text.count("\n")


def _paragraphs(text: str) -> Iterator[_Paragraph]:
    """Lines that stand together. The lines above the body (“subject: …”) are each one of their own."""
    lines = text.split("\n")
    head_end = lines.index("---", 1) if lines[0] == "---" and "---" in lines[1:] else 0
    for number, line in enumerate(lines[1:head_end], start=2):
        yield _Paragraph(number, _HEAD.sub("", line))
    first = 0
    gathered: list[str] = []
    for number, line in enumerate([*lines[head_end:], ""], start=head_end + 1):
        if line.strip() and line != "---":
            first = first if gathered else number
            gathered.append(line)
        elif gathered:
            yield _Paragraph(first, "\n".join(gathered))
            gathered = []


def _sentences(text: str) -> Iterator[_Paragraph]:
    """Each sentence with the line on which it begins; an item of a list is a text of its own."""
    for paragraph in _paragraphs(text):
        plain = _PLACEHOLDER.sub("x", _LINK.sub(r"\1", paragraph.text)).replace("*", "")
        for line, item in _items(plain, paragraph.line):
            begins = 0
            for end in [*(match.end() for match in _SENTENCE_END.finditer(item)), len(item)]:
                sentence = item[begins:end]
                blank = len(sentence) - len(sentence.lstrip())
                yield _Paragraph(line + item[: begins + blank].count("\n"), sentence)
                begins = end


def _items(text: str, first: int) -> Iterator[tuple[int, str]]:
    gathered: list[str] = []
    begins = first
    for number, line in enumerate(text.split("\n"), start=first):
        if _ITEM.match(line) and gathered:
            yield begins, "\n".join(gathered)
            gathered = []
        begins = begins if gathered else number
        gathered.append(_ITEM.sub("", line))
    yield begins, "\n".join(gathered)
