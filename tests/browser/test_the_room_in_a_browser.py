"""Everywhere from the keyboard; an update read while it is written; a first view that is light and stands still."""

from urllib.parse import urlsplit

import pytest
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Response, expect

from beforehand.incidents.models import Incident
from tests.cast import Cast
from tests.console.conftest import room

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.database]

MOST_BYTES = 150_000
PATIENCE = 30_000  # milliseconds
LOADED = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .map(one => ({url: one.name, bytes: one.transferSize, blocks: one.renderBlockingStatus == "blocking"}))"""
"""What came over the wire, as many bytes as came; what holds up the first paint."""
SHIFT = """() => new Promise(done => {
    let sum = 0;
    new PerformanceObserver(list => list.getEntries().forEach(one => { if (!one.hadRecentInput) sum += one.value; }))
        .observe({type: "layout-shift", buffered: true});
    requestAnimationFrame(() => requestAnimationFrame(() => done(sum)));
})"""


def signed_in_context(browser: Browser, supervisor: Client, site: str, language: str = "en") -> BrowserContext:
    context = browser.new_context(base_url=site, viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    cookies = {"django_language": language, "sessionid": supervisor.cookies["sessionid"].value}
    context.add_cookies([{"name": name, "value": value, "url": site} for name, value in cookies.items()])
    context.set_default_timeout(PATIENCE)
    return context


@pytest.mark.parametrize("language", ["en", "ar"])
def test_ctrl_k_goes_anywhere_without_a_mouse(
    language: str, cast: Cast, outage: Incident, supervisor: Client, site: str, browser: Browser
) -> None:
    context = signed_in_context(browser, supervisor, site, language)
    page = context.new_page()
    page.goto("/console/messages/")
    page.keyboard.press("Control+k")
    dialog = page.locator("#palette")
    expect(dialog).to_be_visible(timeout=PATIENCE)
    expect(dialog.locator("input")).to_be_focused()
    expect(dialog.locator(".palette-way").first).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("vries")
    expect(dialog.locator(".palette-way")).to_have_count(1, timeout=PATIENCE)
    page.keyboard.press("ArrowDown")
    expect(dialog.locator(".palette-way")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/console/customers/{cast.bram.public_id}/")
    context.close()


def test_an_update_is_read_in_every_language_while_it_is_written(
    cast: Cast, outage: Incident, supervisor: Client, site: str, browser: Browser
) -> None:
    context = signed_in_context(browser, supervisor, site)
    page = context.new_page()
    page.goto(f"{room(outage)}update/")
    page.check("input[value=next-repaired]")
    expect(page.locator(".reading")).to_have_count(4, timeout=PATIENCE)
    expect(page.locator("[data-slot=time]")).to_be_visible()
    expect(page.locator("[data-slot=area]")).to_be_hidden()
    assert page.locator('.phone[lang="ar"]').evaluate("one => getComputedStyle(one).direction") == "rtl"
    page.locator("details summary", has_text="Words of your own").click()
    page.fill("[name=text_nl]", "De gemeente is ter plaatse.")
    expect(page.locator('.phone[lang="nl"]')).to_contain_text("gemeente", timeout=PATIENCE)
    assert not outage.updates.exists()
    context.close()


@pytest.mark.parametrize("address", ["today", "room", "update"])
def test_a_first_view_is_light_and_nothing_in_it_moves(
    address: str, cast: Cast, outage: Incident, supervisor: Client, site: str, browser: Browser
) -> None:
    path = {"today": "/console/", "room": room(outage), "update": f"{room(outage)}update/"}[address]
    context = signed_in_context(browser, supervisor, site)
    page = context.new_page()
    fetched: list[Response] = []
    page.on("response", lambda one: fetched.append(one))  # a method of C cannot be marked by the library
    page.goto(path, wait_until="load")
    assert {urlsplit(one.url).netloc for one in fetched} == {urlsplit(site).netloc}
    loaded = page.evaluate(LOADED)
    assert sum(one["bytes"] for one in loaded) < MOST_BYTES, loaded
    assert [urlsplit(one["url"]).path for one in loaded if one["blocks"]] == ["/static/beforehand/built/app.css"]
    assert sum(one["url"].endswith(".js") for one in loaded) == 1
    assert page.evaluate(SHIFT) < 0.02
    context.close()


def test_a_telephone_folds_the_filters_and_a_wide_screen_shows_them(
    cast: Cast, outage: Incident, supervisor: Client, site: str, browser: Browser
) -> None:
    context = signed_in_context(browser, supervisor, site)
    page = context.new_page()
    page.goto(room(outage))
    language = page.locator("#affected select[name=language]")
    expect(page.locator("#affected input[name=q]")).to_be_visible()
    expect(language).to_be_hidden()
    page.locator("#affected .fold-small summary").focus()
    page.keyboard.press("Enter")
    expect(language).to_be_visible()
    language.select_option("ar")
    expect(page.locator("#affected tbody tr")).to_have_count(1)
    expect(language).to_be_visible()  # what narrows the list is never out of sight
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(room(outage))
    expect(page.locator("#affected select[name=language]")).to_be_visible()
    expect(page.locator("#affected .fold-small summary")).to_be_hidden()
    context.close()


def test_on_a_telephone_short_cells_stand_beside_each_other_and_are_heard_with_their_names(
    cast: Cast, outage: Incident, supervisor: Client, site: str, browser: Browser
) -> None:
    context = signed_in_context(browser, supervisor, site)
    page = context.new_page()
    page.goto("/console/messages/")
    row = page.locator("tbody tr").first
    step, state = (row.locator(f"td[data-label={name}]").bounding_box() for name in ("Step", "State"))
    assert step is not None
    assert state is not None
    assert step["y"] < state["y"] + state["height"]
    assert state["y"] < step["y"] + step["height"]
    label = "one => getComputedStyle(one, '::before')"
    assert row.locator("td[data-label=State]").evaluate(f"one => ({label})(one).content") == '"State"'
    assert row.locator("td[data-label=State]").evaluate(f"one => ({label})(one).width") == "1px"
    context.close()
