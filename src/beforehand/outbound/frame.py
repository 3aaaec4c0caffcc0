"""What surrounds the words of every mail: the brand, when there is news next, the button, how to know that it is us."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files

import mrml
from django.utils.translation import gettext, gettext_noop, override
from liquid import Environment

from beforehand.engine.languages import Direction

_WORDS, _BUTTON_URL = "qzwordsqz", "qzbuttonurlqz"
NEXT_NEWS = gettext_noop("Next news by %(time)s")
_MY_PAGE = gettext_noop("Open your page")
CHECK_CODE = gettext_noop("Is this really from us? Check the code %(code)s on %(url)s")
_CALL = gettext_noop("Rather call? %(phone)s")
_CHOOSE = gettext_noop("Choose which messages you get")


@dataclass(frozen=True, slots=True)
class Brand:
    """Who speaks. `sender` is the address that mails come from, `colour` the button's (#rrggbb)."""

    name: str
    sender: str
    sender_name: str = ""
    phone: str = ""
    colour: str = "#0b57d0"

    @property
    def facts(self) -> dict[str, str]:
        return {"name": self.name, "phone": self.phone}


class Variant(StrEnum):
    """A form that a customer asked for."""

    NORMAL = "normal"
    LARGE_PRINT = "large print"


_SIZES = {Variant.NORMAL: 17, Variant.LARGE_PRINT: 23}  # pixels


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame's own words. `next_news` and `button` are plain text, the lines of `foot` are Markdown."""

    next_news: str
    button: str
    button_url: str
    foot: tuple[str, ...]


def frame_of(
    *, language: str, brand: Brand, body: str, next_update: str, slots: Mapping[str, str], facts: Mapping[str, object]
) -> Frame:
    """The frame for a body (as Markdown, slots bound to their marks); it repeats nothing that the body says.

    What has no translation into the language is left out: two languages in one mail help nobody.
    """
    code, page, choose = slots.get("code"), slots.get("my_page_url"), slots.get("preferences_url")
    verify_url = slots.get("verify_url") or facts.get("verify_url")
    foot: list[str] = []
    if code and code not in body:
        checked = said_in(language, CHECK_CODE) if verify_url else ""
        foot.append(checked % {"code": f"**{code}**", "url": verify_url} if checked else f"**{code}**")
    if brand.phone and brand.phone not in body:
        foot.append((said_in(language, _CALL) or "%(phone)s") % {"phone": brand.phone})
    if choose and choose not in body and (chosen := said_in(language, _CHOOSE)):
        foot.append(f"[{chosen}]({choose})")
    if brand.name not in body:
        foot.append(brand.name)
    return Frame(
        next_news=said_in(language, NEXT_NEWS) % {"time": next_update} if next_update else "",
        button=said_in(language, _MY_PAGE) if page else "",
        button_url=page or "",
        foot=tuple(foot),
    )


def said_in(language: str, words: str) -> str:
    """The words in the language; empty when nobody has translated them."""
    with override(language):
        translated = gettext(words)
    return "" if translated == words and language.split("-")[0].lower() != "en" else translated


def framed_html(
    words: str,
    foot: str,
    frame: Frame,
    *,
    subject: str,
    language: str,
    direction: Direction,
    brand: Brand,
    variant: Variant,
) -> str:
    """The whole HTML document. Only constants go through MJML; the words are put in afterwards, already escaped."""
    layout = _layout(language, direction, variant, brand.colour, bool(frame.next_news), bool(frame.button))
    for place, text in (
        ("qzsubjectqz", html.escape(subject)),
        ("qzbrandqz", html.escape(brand.name)),
        ("qznextqz", html.escape(frame.next_news)),
        ("qzbuttonlabelqz", html.escape(frame.button)),
        (_BUTTON_URL, html.escape(frame.button_url)),
        ("qzfootqz", foot),
        (_WORDS, words),
    ):
        layout = layout.replace(place, text)
    return layout


@lru_cache(maxsize=64)
def _layout(
    language: str, direction: Direction, variant: Variant, colour: str, has_next: object, has_button: object
) -> str:
    source = files("beforehand.outbound").joinpath("layouts/notice.mjml").read_text("utf-8")
    mjml = (
        Environment(autoescape=True)
        .from_string(source)
        .render(
            language=language,
            direction=direction.value,
            start="right" if direction is Direction.RTL else "left",
            size=_SIZES[variant],
            colour=colour,
            has_next=has_next,
            has_button=has_button,
        )
    )
    rendered: str = mrml.to_html(mjml).content
    return "\n".join(line.strip() for line in rendered.split("\n") if line.strip()) + "\n"
