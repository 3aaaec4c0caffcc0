"""Which of several texts a reader gets, honest about one in another language; and addresses that show nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from beforehand.customers.models import ContactPoint
from beforehand.engine.languages import fallback_chain


@dataclass(frozen=True, slots=True)
class Wording:
    """A text, the language that it is in, and whether that is another than the reader's."""

    text: str
    language: str
    is_foreign: bool


def wording(texts: Mapping[str, str], *, language: str, fallback: str) -> Wording | None:
    """The text for a reader of `language`: theirs, the fallback's, else any there is; None if there is none."""
    written = {code: text.strip() for code, text in texts.items() if text and text.strip()}
    if not written:
        return None
    code = next(iter([*fallback_chain(language, written, fallback), *written]))
    return Wording(written[code], code, is_foreign=code.split("-")[0] != language.split("-")[0])


def masked(point: ContactPoint) -> str:
    """An address that its owner knows again and nobody else learns: `d•••@c…`, `••••34`."""
    match point.channel:
        case ContactPoint.Channel.EMAIL:
            local, _, domain = point.address.rpartition("@")
            return f"{local[:1]}•••@{domain[:1]}…"
        case ContactPoint.Channel.SMS | ContactPoint.Channel.PHONE:
            return f"••••{point.address[-2:]}"
        case _:
            return "•••"
