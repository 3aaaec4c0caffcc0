"""The story: what does not hold is said loudly, remembered, and decides how it ends."""

import io
from collections import Counter

import httpx
import pytest
from rich.console import Console

from beforehand.demo import telling
from beforehand.demo.company import FEWEST_CUSTOMERS, make_company
from beforehand.demo.inbox import Delivered, Inbox
from beforehand.demo.outage import Outage
from beforehand.demo.public_api import PublicApi
from beforehand.demo.telling import NotInTime, Story
from beforehand.demo.watching import Places


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def story(said: io.StringIO) -> Story:
    return Story(Console(file=said, highlight=False, soft_wrap=True))


def test_a_story_without_steps_has_not_held(story: Story) -> None:
    assert not story.held


def test_a_claim_that_does_not_hold_breaks_its_step_and_the_story_goes_on(story: Story, said: io.StringIO) -> None:
    with story.step("told", "Everyone is told."):
        story.must(True, "each of them once")
        story.must(False, "in their language", "2 in another")
    with story.step("over", "It is over."):
        story.must(True, "the incident is over")
    assert [step.as_json()["held"] for step in story.steps] == [False, True]
    assert story.steps[0].broken == ["in their language: 2 in another"]
    assert not story.held
    assert "✘ in their language: 2 in another" in said.getvalue()


def test_what_does_not_come_in_time_ends_the_story(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "LOOK_EVERY", 0)
    with pytest.raises(NotInTime, match="Mails arrive: not within 0 s 3 of 5"), story.step("told", "Everyone is told."):
        story.wait_for("Mails arrive", lambda: False, within=0, progress=lambda: "3 of 5")
    assert not story.held
    assert story.steps[0].broken


def test_what_is_found_is_answered(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "LOOK_EVERY", 0)
    looks = iter(["", "", "batch 7"])
    assert story.wait_for("Mails arrive", lambda: next(looks), within=10) == "batch 7"


def test_a_summary_has_every_figure_even_when_nothing_was_reached(story: Story) -> None:
    company = make_company(customers=FEWEST_CUSTOMERS)
    inbox = Inbox("http://127.0.0.1:1")
    with PublicApi("http://127.0.0.1:1", "none") as api:
        summary = Outage(story, api, inbox, company, places=Places("", "", ""), kill_worker=lambda: None).summary()
    inbox.close()
    assert summary["held"] is False
    assert summary["told"] is None
    assert set(summary) >= {
        "languages", "affected", "told", "not_told", "told_twice", "promises", "head_start_seconds",
        "seconds_from_decision_to_last_mail", "mails", "steps",
    }  # fmt: skip
    assert set(summary["languages"]) == {"nl", "en", "ar", "hi"}


def test_an_inbox_counts_who_was_told_twice_by_one_batch() -> None:
    inbox = Inbox("http://127.0.0.1:1")
    for number, batch in enumerate(["1", "2", "2"], start=1):
        inbox.mails.append(
            Delivered(number, 0.0, "bram@customers.example", "nl", f"<{number}@x>", batch, "first-notice")
        )
        inbox.by_batch[batch]["bram@customers.example"] += 1
        inbox.steps[batch] = "first-notice"
    assert inbox.twice() == 1
    assert inbox.batches("first-notice") == ["1", "2"]
    assert inbox.languages("2") == Counter({"nl": 2})
    inbox.close()


def test_a_mail_that_comes_again_under_its_message_id_is_the_same_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    def row(number: int, message_id: str) -> dict[str, object]:
        return {"number": number, "received_at": 0.0, "recipient": "b@c.example", "language": "nl", "message_id": message_id,
                "batch": "1", "step": "first-notice"}  # fmt: skip

    index = [row(1, "<a@x>"), row(2, "<b@x>"), row(3, "<a@x>")]
    inbox = Inbox("http://127.0.0.1:1")
    asked: list[int] = []

    def get(url: str, *, params: dict[str, int]) -> httpx.Response:
        asked.append(params["after"])
        return httpx.Response(200, json=index[params["after"] :], request=httpx.Request("GET", url))

    monkeypatch.setattr(inbox._client, "get", get)
    assert inbox.look() == 2
    assert (inbox.again, inbox.twice()) == (1, 1)
    assert inbox.look() == 2
    assert asked == [0, 3]
    inbox.close()
