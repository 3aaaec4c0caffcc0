"""Every page read in Arabic with marked texts: what a reader sees and no catalogue knows stands out."""

import copy
import re
from html.parser import HTMLParser
from zoneinfo import available_timezones

import pytest
from django.test import Client
from django.utils.translation import trans_real

from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.kit.links import page_link
from tests.cast import Cast
from tests.console.conftest import at
from tests.console.test_every_page import ONLY_POST, PAGES, address

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

OPEN, CLOSE = "⟦", "⟧"
WORD = re.compile(r"[A-Za-z]{3,}(?:[ '’-][A-Za-z]+)*")
READ_ALOUD = ("title", "aria-label", "placeholder", "alt", "data-confirm")
UNREAD = {"script", "style", "code", "pre", "kbd", "bdi", "time", "textarea", "template", "svg"}


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Arabic, every text that a catalogue is asked for stands in brackets."""
    arabic = copy.copy(trans_real.translation("ar"))

    def one(message: str) -> str:
        text = message.rpartition("\x04")[2]
        return f"{OPEN}{text}{CLOSE}" if text.strip() else text

    monkeypatch.setattr(arabic, "gettext", one, raising=False)
    monkeypatch.setattr(arabic, "ngettext", lambda single, plural, n: one(single if n == 1 else plural), raising=False)
    monkeypatch.setitem(trans_real._translations, "ar", arabic)


def unmarked(text: str) -> str:
    """What stands outside of all brackets."""
    before = ""
    while text != before:
        before, text = text, re.sub(rf"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}", "", text)
    return text


class Reading(HTMLParser):
    """What a reader of the page gets to see or hear, without what is the company's own words or somebody's name."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.said: list[str] = []
        self.option: str | None = None
        """The value of the choice that is being read: one that is called by its value is a name."""
        self.inside: list[tuple[str, bool]] = []
        self.feed(page)
        # A sentence goes on over the parts inside it, such as a name kept from upsetting its direction.
        self.seen += unmarked("\n".join(self.said)).splitlines()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.seen += [value for name in READ_ALOUD if (value := given.get(name))]
        if tag == "input" and given.get("type") in ("submit", "button"):
            self.seen.append(given.get("value") or "")
        if tag == "option":
            self.option = given.get("value")
        if tag not in VOID:
            hidden = tag in UNREAD or (tag != "html" and "lang" in given)
            self.inside.append((tag, hidden))

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        is_name = self.inside and self.inside[-1][0] == "option" and data.strip() == self.option
        if not is_name and not any(hidden for _, hidden in self.inside):
            self.said.append(data)


VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


def escaped(page: str) -> set[str]:
    """The words on a page that came from no catalogue and are not the company's own."""
    found = set()
    for text in Reading(page).seen:
        if text.strip() in ZONES:
            continue
        left = unmarked(text)
        for name in OWN:
            left = left.replace(name, "")
        found.update(WORD.findall(ADDRESS.sub("", left)))
    return found


OWN = (
    "Beforehand", "Network operations", "Fibre node down", "Node 7", "Node", "North", "Look", "UTC", "CET", "2.0.0 taken",
    "Network outage", "Degraded service", "Delayed delivery", "Personal data incident", "Planned maintenance", "Product recall",
    "Care", "Data protection", "Legal", "Logistics", "Product team", "Ester", "Farid", "Noor", "Bram de Vries", "Hello", "Atom", "JSON",
)  # fmt: skip
"""The product's name, and what the company itself called its teams, parts, people, incidents, playbooks and tasks."""
ADDRESS = re.compile(r"https?://\S+|[a-z]+-[a-z-]+|[A-Z][a-z]+/[\w/+-]+")
"""Links, the names of texts in a playbook's folder, and time zones in a sentence."""
ZONES = available_timezones()
LANGUAGES = {"English", "Nederlands"}
"""A language calls itself by its own name, so that whoever reads only that one finds it."""


def faults(pages: dict[str, str]) -> list[str]:
    return [f"{name}: {word}" for name, page in pages.items() for word in sorted(escaped(page) - LANGUAGES)]


def test_the_reading_sees_what_a_person_sees() -> None:
    page = f"""<html lang="ar"><p title="Nope">{OPEN}Hello {OPEN}there{CLOSE}{CLOSE} world</p><bdi>Dana</bdi><p lang="en">as written</p>
    <br><input type="submit" value="Send">"""
    assert escaped(page) == {"Nope", "world", "Send"}


def test_every_page_of_the_team_is_in_its_readers_language(
    marked: None, cast: Cast, outage: Incident, supervisor: Client
) -> None:
    supervisor.cookies["django_language"] = "ar"
    pages: dict[str, str] = {}
    for pattern in PAGES:
        if pattern.name in (*ONLY_POST, *AS_WRITTEN):
            continue
        with travel(at(4)):
            answer = supervisor.get(address(pattern, cast, outage))
        if answer.status_code == 200 and "text/html" in answer["Content-Type"]:
            pages[str(pattern.name)] = b"".join(answer).decode()
    assert len(pages) >= 35
    found = faults(pages)
    assert not found, "\n".join(found)


AS_WRITTEN = ("playbook-text", "playbook-text-mail", "message-mail", "run-sample")
"""Pages that show a text or a mail as it is, in whatever language that is."""


def test_every_page_of_the_customer_is_in_their_language(
    marked: None, cast: Cast, outage: Incident, client: Client
) -> None:
    with travel(at(4)):
        mine = "/" + page_link(cast.aisha.pk, now=at(4)).split("/", 3)[3]
        pages = {
            path: client.get(path, headers={"Accept-Language": "ar"}).content.decode()
            for path in ("/status/", "/check/", mine)
        }
    assert OPEN in pages[mine]
    found = faults(pages)
    assert not found, "\n".join(found)
