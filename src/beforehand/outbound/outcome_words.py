"""What a message says of things promised to be done by a time: expected, moved, or honestly not done."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext, gettext_noop, override

EXPECTED = {
    "restored": gettext_noop("We expect it to work again by %(time)s."),
    "delivered": gettext_noop("We deliver by %(time)s."),
    "visited": gettext_noop("We visit by %(time)s."),
}
NOT_DONE = {
    "restored": gettext_noop("We had said that it would work again by %(time)s. We did not manage that."),
    "delivered": gettext_noop("We had said that we would deliver by %(time)s. We did not manage that."),
    "visited": gettext_noop("We had said that we would visit by %(time)s. We did not manage that."),
}
MOVED = gettext_noop("We had said %(time)s; that has changed.")


def outcome_words(language: str, facts: Mapping[str, Any]) -> str:
    """One sentence or two for each outcome among a batch's facts, times written for the reader; "" where there is none.

    What nobody has translated into the language is left out, as everywhere around a text.
    """
    said = []
    for kind, fact in (facts.get("outcomes") or {}).items():
        if fact.get("before"):
            said.append(_said(language, MOVED) % {"time": fact["before"]})
        words = NOT_DONE[kind] if fact.get("is_broken") else EXPECTED[kind]
        said.append(_said(language, words) % {"time": fact["by"]})
    return " ".join(filter(None, said))


def _said(language: str, words: str) -> str:
    with override(language):
        translated = gettext(words)
    return "" if translated == words and language.split("-")[0].lower() != "en" else translated
