"""What can be said in so many words: the sentences that matter most, in the order in which they are said."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SENTENCE = re.compile(r".*?[.!?؟।…]+(?=\s|$)|.+$", re.DOTALL)


@dataclass(frozen=True)
class Sentence:
    """A sentence or two; the lower its `rank`, the later it is left out. Rank 0 is never."""

    text: str
    rank: int


def said_within(sentences: Sequence[Sentence], most_words: int) -> str:
    """As much as fits in so many words: of each as many whole sentences as there is room for, the lowest rank first."""
    kept: dict[int, str] = {}
    left = most_words
    for place in sorted(range(len(sentences)), key=lambda place: sentences[place].rank):
        said: list[str] = []
        for part in _SENTENCE.findall(sentences[place].text.strip()):
            words = len(part.split())
            if words > left and sentences[place].rank > 0:
                break
            said.append(part.strip())
            left -= words
        if said:
            kept[place] = " ".join(said)
    return " ".join(kept[place] for place in sorted(kept))
