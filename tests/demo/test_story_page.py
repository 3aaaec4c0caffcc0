"""The story's page: ten chapters as they stand, and one button that only this page can press."""

import inspect
import io
import re
from collections.abc import Iterator

import httpx
import pytest
from rich.console import Console

from beforehand.demo.chapters import CHAPTERS
from beforehand.demo.outage import Outage
from beforehand.demo.story_page import StoryPage
from beforehand.demo.telling import Story


@pytest.fixture
def page() -> Iterator[StoryPage]:
    page = StoryPage(Story(Console(file=io.StringIO())))
    page.start()
    yield page
    page.stop()


def states(page: StoryPage) -> list[str]:
    return re.findall(r'<li class="chapter (\w+)">', httpx.get(f"{page.url}chapters").text)


def test_every_step_of_the_story_belongs_to_one_of_ten_chapters() -> None:
    told = set(re.findall(r'story\.step\(\s*"(\w+)"', inspect.getsource(Outage)))
    assert len(CHAPTERS) == 10
    listed = [name for chapter in CHAPTERS for name in chapter.steps]
    assert len(listed) == len(set(listed))
    assert set(listed) == told


def test_a_chapter_is_ahead_then_now_then_held_and_what_broke_stays_broken(page: StoryPage) -> None:
    assert states(page) == ["ahead"] * 10
    with page.story.step("readiness", "How many could be told?"):
        assert states(page)[1] == "now"
        page.story.must(True, "all of them")
    with page.story.step("alert", "It fails."):
        page.story.must(False, "an incident is open")
    assert states(page)[:4] == ["ahead", "held", "broken", "ahead"]
    page.story.is_over = True
    assert states(page)[0] == "left"


def test_what_customers_are_called_is_text_and_not_markup(page: StoryPage) -> None:
    with page.story.step("affected", "Whom?"):
        page.story.say("<script>alert(1)</script>")
        page.story.show("The room", 'http://127.0.0.1/"onclick="x')
    shown = httpx.get(page.url)
    assert "<script>alert" not in shown.text
    assert "&lt;script&gt;alert(1)" in shown.text
    assert "&quot;onclick=" in shown.text
    assert "script-src 'self'" in shown.headers["content-security-policy"]


def test_the_fibre_is_cut_once_everything_is_set_up_and_only_from_the_page_itself(page: StoryPage) -> None:
    own = {"Origin": page.url.rstrip("/")}
    assert "<button disabled>" in httpx.get(page.url).text
    assert httpx.post(f"{page.url}cut", headers=own).status_code == 303
    assert not page.is_cut.is_set()
    page.is_ready.set()
    assert httpx.post(f"{page.url}cut", headers={"Origin": "https://elsewhere.example"}).status_code == 403
    assert httpx.post(f"{page.url}cut").status_code == 403
    assert not page.is_cut.is_set()
    assert httpx.post(f"{page.url}cut", headers=own).status_code == 303
    assert page.is_cut.is_set()
    assert "<button" not in httpx.get(page.url).text


def test_who_reads_the_page_is_noticed_and_what_it_asks_for_by_itself_is_not(page: StoryPage) -> None:
    assert httpx.get(f"{page.url}story.css").headers["content-type"].startswith("text/css")
    assert httpx.get(f"{page.url}chapters").status_code == 200
    assert not page.is_read
    httpx.get(page.url)
    assert page.is_read
    assert httpx.get(f"{page.url}nowhere").status_code == 404
