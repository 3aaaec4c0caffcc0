"""Every page in Chromium: nothing that keeps somebody out, nothing wider than a phone, no error in the console."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, ConsoleMessage

from beforehand.incidents.models import Incident
from beforehand.kit.links import page_link
from tests.cast import Cast
from tests.console.test_every_page import PAGES, address

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.database]

AXE = Axe()
OPTIONS = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
GRAVE = ("serious", "critical")
TURNED = """() => {
    const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const text = walk.currentNode.data.trim(), box = walk.currentNode.parentElement;
        if (!box.closest("pre") && /[\u0620-\u064a]/.test(text) && getComputedStyle(box).direction == "ltr") found.push(text.slice(0, 80));
    }
    return found;
}"""
"""Arabic words that run from left to right: a sentence whose first word is a Latin name, and that went its way."""


def pages(cast: Cast, outage: Incident) -> Iterator[str]:
    """The path of every page that somebody opens: the team's, then the customers'."""
    for pattern in PAGES:
        yield address(pattern, cast, outage)
    yield from ("/status/", "/check/", "/" + page_link(cast.aisha.pk, now=timezone.now()).split("/", 3)[3])


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("ar", "dark")])
def test_every_page_is_open_to_everyone(
    language: str, scheme: str, cast: Cast, outage: Incident, supervisor: Client, site: str, browser: Browser
) -> None:
    context = browser.new_context(color_scheme=scheme, reduced_motion="reduce")
    cookies = {"django_language": language, "sessionid": supervisor.cookies["sessionid"].value}
    context.add_cookies([{"name": name, "value": value, "url": site} for name, value in cookies.items()])
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(_words(message)) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    faults: list[str] = []
    walked = 0
    for path in pages(cast, outage):
        fetched = context.request.get(f"{site}{path}", max_redirects=0)
        if fetched.status != 200 or "<html" not in fetched.text()[:500].lower():
            continue  # what only takes what is posted, a part of a page, or a file
        if "sandbox" in fetched.headers.get("content-security-policy", ""):
            continue  # a mail as it is: no script runs in it, ours neither
        walked += 1
        said.clear()
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(f"{site}{path}", wait_until="load")
        page.set_viewport_size({"width": 390, "height": 844})
        found = AXE.run(page, options=OPTIONS).response["violations"]
        faults += [
            f"{path}: {one['id']} ({one['impact']}): {one['nodes'][0]['html'][:160]}"
            for one in found
            if one["impact"] in GRAVE
        ]
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wider > 0:
            faults.append(f"{path}: {wider} px wider than a phone")
        direction = page.evaluate("document.documentElement.dir")
        if path.startswith("/console/") and direction != ("rtl" if language == "ar" else "ltr"):
            faults.append(f"{path}: dir is {direction!r}")
        if language == "ar":
            faults += [f"{path}: runs the wrong way: {text}" for text in page.evaluate(TURNED)]
        faults += [f"{path}: console: {one}" for one in said]
    context.close()
    assert faults == []
    assert walked >= 25


def _words(message: ConsoleMessage) -> str:
    return f"{message.text} ({message.location.get('url', '')})"
