"""Names within sentences: kept apart from the direction of the words around them."""

import unicodedata

from django.utils.translation import get_language_bidi

FSI, PDI = "\u2068", "\u2069"
_LEFT, _RIGHT = frozenset({"L"}), frozenset({"R", "AL"})


def apart(**names: object) -> dict[str, object]:
    """The values of a translated sentence, each text among them isolated where it runs the other way.

    A Latin title at the beginning of an Arabic sentence would otherwise drag the marks and figures beside it to the
    wrong side.
    """
    return {name: isolated(value) if isinstance(value, str) else value for name, value in names.items()}


def isolated(text: str) -> str:
    """This text, isolated (UAX #9) if it runs, even in part, otherwise than the reader's language does."""
    other = _LEFT if get_language_bidi() else _RIGHT
    runs_otherwise = any(unicodedata.bidirectional(letter) in other for letter in text)
    return f"{FSI}{text}{PDI}" if runs_otherwise else text
