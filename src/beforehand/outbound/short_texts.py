"""Makes text messages from the same file as the mail: its own `sms:` words, or else its subject.

What a message must say and the words leave out is added: who speaks, when there is news next, and the code with where to
check it. A recipient's values go in after all else, as in a mail.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_noop

from beforehand.engine.languages import Direction
from beforehand.engine.segments import plain_for_sms
from beforehand.outbound.frame import NEXT_NEWS, Brand, said_in
from beforehand.outbound.markup import isolated_text
from beforehand.outbound.mime import Piece
from beforehand.outbound.outcome_words import outcome_words
from beforehand.outbound.template_check import TemplateSource, sections, sms_section
from beforehand.outbound.templates import NEXT_UPDATE, bind, filled, split_at_slots

# Translators: stands in text messages, whose parts are paid for (70 letters each in Arabic and Hindi): as few words as will do.
CHECK_CODE = gettext_noop("Really from us? Check %(code)s on %(url)s")
PLAIN_CODE = "%(code)s %(url)s"
"""Where nobody has translated the sentence: the code and the address alone."""


class ShortText:
    """A compiled text message. It keeps no recipient's value, and may be used from several threads."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces

    def fill(self, values: Mapping[str, str]) -> str:
        """The text for one recipient; raises MailValueError when a value is missing."""
        return plain_for_sms(" ".join(filled(self._pieces, values).split()))


def compile_short(
    source: TemplateSource,
    *,
    language: str,
    direction: Direction,
    facts: Mapping[str, Any],
    slots: Sequence[str],
    brand: Brand,
) -> ShortText:
    """The text message of a template; raises TemplateRefusedError, with file and line."""
    bound = bind(source, facts=facts, slots=slots, brand=brand)
    subject, _body = sections(source)
    words = " ".join(bound.rendered(sms_section(source) or subject).split())
    if brand.name not in words:
        words = f"{brand.name}: {words}"
    parts = [words]
    if promised := outcome_words(language, bound.known):
        parts.append(promised)
    next_update = " ".join(
        str(bound.known.get(NEXT_UPDATE) or "").split()
    )  # as in the words: “11:45 PM” has a space of its own
    if next_update and next_update not in words:
        parts.append(_sentence(said_in(language, NEXT_NEWS) % {"time": next_update}))
    code, url = bound.marks.get("code"), bound.marks.get("verify_url")
    if code and url and code not in words:
        parts.append((said_in(language, CHECK_CODE) or PLAIN_CODE) % {"code": code, "url": url})
    text = isolated_text(" ".join([_sentence(parts[0]), *parts[1:]]) if len(parts) > 1 else words, direction)
    return ShortText(split_at_slots(text, bound.names, is_html=False))


def _sentence(words: str) -> str:
    """The words with an end, so that what follows does not run into them."""
    return words if not words or words[-1] in ".!?।؟…" else f"{words}."
