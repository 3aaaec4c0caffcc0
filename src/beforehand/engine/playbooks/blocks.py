"""Approved sentences of a playbook from which a person puts an update together: their kinds, their slots, the finished text.

A block is a text of the bundle whose name begins with `block-` and then its kind: `blocks/cause-fibre-cut.en.md`. It holds
sentences with slots such as {area}, and may state, above them, the `fact` that stands behind “Cause:” from then on.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from beforehand.engine.playbooks.bundle import BLOCK, text_parts

_SLOT = re.compile(r"{([^{}]*)}")


class BlockKind(StrEnum):
    """What a block says, in the order in which an update says it."""

    CAUSE = "cause"
    AREA = "area"
    NEXT = "next"
    ADVICE = "advice"


class Slot(StrEnum):
    """What a person fills in: where, what and how many in words or digits, and when, written for each language."""

    AREA = "area"
    TIME = "time"
    WHAT = "what"
    NUMBER = "number"


STATED = (BlockKind.CAUSE, BlockKind.AREA, BlockKind.ADVICE)
"""What an incident is said to have from then on, in every later message."""


@dataclass(frozen=True)
class Block:
    """One block in every language that it exists in."""

    name: str  # as its file: cause-fibre-cut
    kind: BlockKind
    sentences: Mapping[str, str]
    facts: Mapping[str, str]  # by language; where it is "", the sentences are the fact

    @property
    def slots(self) -> tuple[str, ...]:
        """What must be filled in, in the order of the sentences."""
        written = [*self.sentences.values(), *self.facts.values()]
        return tuple(dict.fromkeys(slot for text in written for slot in slots_in(text)))


@dataclass(frozen=True)
class Composed:
    """An update put together: its text by language, what the incident states by language, and who reads foreign words."""

    texts: Mapping[str, str]
    stated: Mapping[str, Mapping[str, str]]
    partly: frozenset[str]  # languages whose text ends in words that are not translated


def slots_in(text: str) -> list[str]:
    """The names between braces, as written."""
    return [name.strip() for name in _SLOT.findall(text)]


def block_kind(text_name: str) -> BlockKind | None:
    """The kind that a block's name begins with; None for a name without one."""
    word = text_name.removeprefix(BLOCK).partition("-")[0]
    return next((kind for kind in BlockKind if kind.value == word), None)


def blocks_of(texts: Mapping[str, Mapping[str, str]]) -> tuple[Block, ...]:
    """The blocks among a bundle's texts (name to language to file), by kind and then by name."""
    found = []
    for name, files in texts.items():
        kind = block_kind(name) if name.startswith(BLOCK) else None
        if kind is not None:
            parts = {language: text_parts(content) for language, content in files.items()}
            sentences = {language: part.body for language, part in parts.items()}
            facts = {language: part.head.get("fact", "") for language, part in parts.items()}
            found.append(Block(name.removeprefix(BLOCK), kind, sentences, facts))
    order = list(BlockKind)
    return tuple(sorted(found, key=lambda block: (order.index(block.kind), block.name)))


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its slots filled; a slot without a value stays as it is written."""
    return _SLOT.sub(lambda slot: values.get(slot[1].strip()) or slot[0], text)


def compose(
    blocks: Sequence[Block],
    *,
    values: Mapping[str, Mapping[str, str]],
    own: Mapping[str, str],
    notes: Mapping[str, str],
) -> Composed:
    """The update in every language in which all of `blocks` exist, and in those of a person's `own` words.

    `values` are by language, then slot. Who has no own words in their language gets the first ones, below the
    language's note that they are not translated: nobody waits for a translation. Advice has a place of its own in
    every message, so the text repeats it only where it says nothing else.
    """
    chosen = sorted(blocks, key=lambda block: list(BlockKind).index(block.kind))
    said = [block for block in chosen if block.kind is not BlockKind.ADVICE]
    texts: dict[str, str] = {}
    stated: dict[str, dict[str, str]] = {}
    partly = set()
    for language in _languages(chosen, own):
        of_language = values.get(language, {})
        spoken = said if said or own else chosen
        parts = [filled(block.sentences[language], of_language) for block in spoken if language in block.sentences]
        if len(parts) < len(spoken):
            parts = []  # half an update is none: the whole comes in another language, and says so
        if language in own:
            parts.append(own[language])
        elif own and parts:
            parts += [notes.get(language, ""), next(iter(own.values()))]
            partly.add(language)
        if parts:
            texts[language] = "\n\n".join(part for part in parts if part)
        facts = {
            block.kind.value: filled(block.facts.get(language) or block.sentences[language], of_language)
            for block in chosen
            if block.kind in STATED and language in block.sentences
        }
        if facts:
            stated[language] = facts
    return Composed(texts, stated, frozenset(partly))


def _languages(blocks: Iterable[Block], own: Mapping[str, str]) -> list[str]:
    """The languages of the person's own words first: the first of them is what everybody else gets."""
    return list(dict.fromkeys([*own, *(language for block in blocks for language in sorted(block.sentences))]))
