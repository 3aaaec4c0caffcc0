"""“Is it solved?” on a customer's page: asked when it is over, taken by a press, never by a look, and theirs alone."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from beforehand.events.models import Event, EventPrivate
from beforehand.incidents.actions import cancel_incident, post_update, reopen_incident, resolve_incident
from beforehand.incidents.affected import take_off_list
from beforehand.incidents.models import Affected, Answer, Incident
from beforehand.kit import clock
from beforehand.kit.links import MY_PAGE, UNSUBSCRIBE
from beforehand.kit.signing import sign
from beforehand.promises.models import Promise
from tests.cast import Cast
from tests.portal.conftest import START, outage
from tests.portal.pages import Page, reads_only
from tests.portal.test_my_page import link

Browser = Callable[..., Client]


def over(cast: Cast, **changes: object) -> Incident:
    """The outage began an hour ago and is over now."""
    incident = outage(cast, began_at=START - timedelta(hours=1), known_at=START - timedelta(hours=1), **changes)
    resolve_incident(incident, reason="fixed", actor="test")
    return incident


def words(reader: Client, where: str) -> str:
    return " ".join(Page(reader.get(where).content.decode()).words.split())


def press(reader: Client, where: str, incident: Incident, what: str = "answer", **given: str) -> Any:
    return reader.post(f"{where}{what}/{incident.public_id}/", given)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("dana", "Is it solved for you?"),
        ("bram", "Is het voor u opgelost?"),
        ("aisha", "هل حُلّت المشكلة لديكم؟"),
        ("chitra", "क्या आपके लिए समस्या हल हो गई?"),
    ],
)
def test_it_asks_when_it_is_over_in_the_customers_language(cast: Cast, browser: Browser, name: str, asked: str) -> None:
    over(cast)
    assert asked in words(browser(), link(getattr(cast, name)))
    assert asked not in words(browser(), link(cast.elif_))  # whom it never touched


def test_a_look_and_a_scanner_record_nothing(cast: Cast, browser: Browser) -> None:
    incident = over(cast)
    events = Event.objects.count()
    with reads_only():
        browser().get(link(cast.dana))
    for method in ("get", "head"):
        where = f"{link(cast.dana)}answer/{incident.public_id}/?says=broken"
        assert getattr(browser(), method)(where).status_code == 405
    assert Event.objects.count() == events
    assert not Answer.objects.exists()


def test_one_press_records_it_and_the_page_thanks(cast: Cast, browser: Browser) -> None:
    incident, reader = over(cast), browser()
    answer = press(reader, link(cast.dana), incident, says="works")
    assert (answer.status_code, answer["Location"]) == (302, f"{link(cast.dana)}#q-{incident.public_id}")
    assert answer["Referrer-Policy"] == "no-referrer"
    said = Answer.objects.get()
    assert (said.says, said.was_over, said.customer_id, said.asked_at) == ("works", True, cast.dana.pk, None)
    page = words(reader, link(cast.dana))
    assert "Thank you: it is solved" in page
    assert "How did we do?" in page
    assert "You told us: it works again." in page


def test_the_same_press_twice_is_one_answer(cast: Cast, browser: Browser) -> None:
    incident, reader = over(cast), browser()
    for _time in range(3):
        press(reader, link(cast.dana), incident, says="broken")
    assert Event.objects.filter(type="incident.customer_still_broken").count() == 1
    assert Promise.objects.filter(audience=f"customer:{cast.dana.pk}").count() == 1


def test_still_broken_gets_a_person_and_a_time_on_the_page_at_once(cast: Cast, browser: Browser) -> None:
    incident, reader = over(cast), browser()
    press(reader, link(cast.dana), incident, says="broken")
    html = reader.get(link(cast.dana)).content.decode()
    page = " ".join(Page(html).words.split())
    assert "We are looking into it for you" in page
    assert "Nothing is wrong for you" not in page
    promise = Promise.objects.get(audience=f"customer:{cast.dana.pk}")
    assert promise.due_at == START + timedelta(hours=2)
    assert promise.due_at.isoformat() in html


def test_while_it_lasts_both_answers_are_taken_and_need_nobody(cast: Cast, browser: Browser) -> None:
    incident, reader = outage(cast), browser()
    press(reader, link(cast.dana), incident, says="broken")
    assert "You told us: it is still broken." in words(reader, link(cast.dana))
    press(reader, link(cast.dana), incident, says="works")
    incident.refresh_from_db()
    assert incident.state == Incident.State.OPEN
    assert not Promise.objects.exists()
    meanings = Event.objects.filter(type__startswith="incident.customer_", customer_id=cast.dana.pk)
    assert {event.data.get("meaning") for event in meanings} >= {"known", "evidence"}


def test_an_answer_from_before_the_end_does_not_count_after_it(cast: Cast, browser: Browser) -> None:
    incident, reader = outage(cast, began_at=START - timedelta(hours=1)), browser()
    press(reader, link(cast.dana), incident, says="broken")
    with clock.travel(START + timedelta(minutes=9)):
        resolve_incident(incident, reason="fixed", actor="test")
        assert "Is it solved for you?" in words(reader, link(cast.dana))
    with clock.travel(START + timedelta(minutes=12)):
        press(reader, link(cast.dana), incident, says="broken")  # the same words, and now they mean something else
    assert Promise.objects.filter(audience=f"customer:{cast.dana.pk}").count() == 1


def test_it_asks_anew_after_a_second_end(cast: Cast, browser: Browser) -> None:
    incident, reader = over(cast), browser()
    press(reader, link(cast.dana), incident, says="works")
    with clock.travel(START + timedelta(minutes=9)):
        reopen_incident(incident, actor="test")
        resolve_incident(incident, reason="fixed", actor="test")
        assert "Is it solved for you?" in words(reader, link(cast.dana))


def test_who_was_cured_alone_is_asked_and_may_say_no(cast: Cast, browser: Browser) -> None:
    incident, reader = outage(cast, began_at=START - timedelta(hours=1)), browser()
    take_off_list(incident.pk, customer_ids=[cast.dana.pk], state=Affected.State.CURED, now=clock.now(), actor="test")
    assert "Is it solved for you?" in words(reader, link(cast.dana))
    press(reader, link(cast.dana), incident, says="broken")
    assert Promise.objects.filter(audience=f"customer:{cast.dana.pk}", state="open").exists()


def test_a_false_alarm_and_a_mistake_are_not_asked_about(cast: Cast, browser: Browser) -> None:
    incident = outage(cast, began_at=START - timedelta(hours=1))
    take_off_list(
        incident.pk, customer_ids=[cast.dana.pk], state=Affected.State.MISTAKEN, now=clock.now(), actor="test"
    )
    assert "Is it solved" not in words(browser(), link(cast.dana))
    cancel_incident(incident, reason="nothing was wrong", actor="test")
    assert "Is het voor u opgelost" not in words(browser(), link(cast.bram))


def test_after_a_week_it_asks_no_more_but_who_waits_is_still_shown(cast: Cast, browser: Browser) -> None:
    incident, reader = over(cast), browser()
    press(reader, link(cast.dana), incident, says="broken")
    with clock.travel(START + timedelta(days=8)):
        assert "You told us that it is still broken" in words(reader, link(cast.dana))
        assert "voor u opgelost" not in words(reader, link(cast.bram))


def test_a_figure_and_a_sentence_are_kept_and_can_be_changed(cast: Cast, browser: Browser) -> None:
    incident, reader = over(cast), browser()
    press(reader, link(cast.dana), incident, says="works")
    press(reader, link(cast.dana), incident, "score", score="4", comment="  Quick, and \0 honest. ")
    press(reader, link(cast.dana), incident, "score", score="5", comment="Quick, and  honest.")
    said = Answer.objects.get()
    assert (said.score, said.comment) == (5, "Quick, and  honest.")
    scored = Event.objects.filter(type="incident.customer_scored")
    assert [event.data["score"] for event in scored.order_by("pk")] == [4, 5]
    assert all("honest" not in str(event.data) for event in scored)
    assert "honest" in str(EventPrivate.objects.filter(customer_id=cast.dana.pk).values_list("data", flat=True)[0])
    assert "Quick, and  honest." in reader.get(link(cast.dana)).content.decode()


@pytest.mark.parametrize("score", ["0", "6", "-1", "٤٤", "x", "1000000000000"])
def test_a_figure_that_is_none_is_not_kept(cast: Cast, browser: Browser, score: str) -> None:
    incident, reader = over(cast), browser()
    press(reader, link(cast.dana), incident, says="works")
    assert press(reader, link(cast.dana), incident, "score", score=score).status_code in (302, 404)
    assert Answer.objects.get().score is None


def test_nobody_answers_for_somebody_else_or_about_what_is_not_theirs(cast: Cast, browser: Browser) -> None:
    incident, reader = over(cast), browser()
    other = sign(UNSUBSCRIBE, str(cast.dana.pk), until=START + timedelta(days=1))
    expired = sign(MY_PAGE, str(cast.dana.pk), until=START - timedelta(seconds=1))
    forged = link(cast.dana)[:-4] + "AAA/"
    for where, status in ((f"/my/{other}/", 404), (f"/my/{expired}/", 410), (forged, 404), (link(cast.elif_), 404)):
        assert press(reader, where, incident, says="broken").status_code == status
        assert press(reader, where, incident, "score", score="1").status_code == status
    assert press(reader, link(cast.dana), incident, says="perhaps").status_code == 404
    unknown = f"{link(cast.dana)}answer/01890a5d-ac96-774b-bcce-b302099a8057/"
    assert reader.post(unknown, {"says": "works"}).status_code == 404
    assert press(reader, link(cast.dana), incident, "score", score="1").status_code == 404  # before any answer
    assert not Answer.objects.exists()


def test_the_part_that_stays_fresh_changes_with_an_answer_and_keeps_what_is_being_typed(
    cast: Cast, browser: Browser
) -> None:
    incident, reader = over(cast), browser()
    page = Page(reader.get(link(cast.dana)).content.decode())
    where = next(a["hx-get"] for _tag, a in page.elements if a.get("id") == "now") or ""
    assert reader.get(where).status_code == 204
    press(reader, link(cast.dana), incident, says="works")
    fresh = reader.get(where)
    assert fresh.status_code == 200
    form = next(
        a for tag, a in Page(fresh.content.decode()).elements if tag == "form" and "/score/" in str(a["action"])
    )
    assert "hx-preserve" in form
    assert form["id"]


def test_what_is_not_about_working_is_asked_in_other_words(cast: Cast, browser: Browser) -> None:
    over(cast, kind="recall")
    page = words(browser(), link(cast.dana))
    assert "It is solved" in page
    assert "It works again" not in page


def test_news_that_comes_while_it_lasts_leaves_the_answer_as_it_is(cast: Cast, browser: Browser) -> None:
    incident, reader = outage(cast), browser()
    press(reader, link(cast.dana), incident, says="works")
    post_update(incident, texts={"en": "Nearly there."}, author=None, actor="test")
    assert "You told us: it works again." in words(reader, link(cast.dana))
