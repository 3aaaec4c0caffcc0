"""The public status page: is something wrong now, in the reader's words, and nothing about anyone."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from beforehand.incidents.actions import cancel_incident, post_update, resolve_incident
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident, PlannedWork
from beforehand.kit import clock
from beforehand.portal import problems
from beforehand.promises.models import Promise
from tests.cast import CUSTOMERS, Cast
from tests.portal.conftest import START, TEXTS, outage
from tests.portal.pages import Page, reads_only

Browser = Callable[..., Client]
READERS = [("en", "ltr"), ("nl", "ltr"), ("ar", "rtl"), ("hi", "ltr")]


@pytest.mark.parametrize(("language", "direction"), READERS)
def test_each_reads_what_is_wrong_in_their_own_language(
    cast: Cast, browser: Browser, language: str, direction: str
) -> None:
    outage(cast)
    answer = browser(language).get("/")
    page = Page(answer.content.decode())
    assert page.first("html")["lang"] == language
    assert page.first("html")["dir"] == direction
    assert answer["Content-Language"] == language
    assert TEXTS[language]["title"] in page.words
    assert TEXTS[language]["advice"] in page.words
    assert cast.node.texts[language] in page.words


def test_it_says_that_everything_works_when_it_does(cast: Cast, browser: Browser) -> None:
    page = Page(browser().get("/status/").content.decode())
    assert "Everything works" in page.words
    assert "+31 50 123 45 67" in page.words


def test_it_shows_no_customer_and_no_name_of_the_house(cast: Cast, browser: Browser) -> None:
    incident = outage(cast, component_ids=[cast.node.pk, cast.other_node.pk])
    assert incident.affected_count == 5
    html = browser().get("/").content.decode()
    words = Page(html).words
    names = [name for name, *_rest in CUSTOMERS.values()]
    for secret in [*names, "Kerkstraat", "Fibre 500", "customers.example", "NodeDown", "Node 7", "Node 8", "node-8"]:
        assert secret not in html
    assert "Groningen" in words


def test_a_problem_that_is_not_public_is_not_on_it(cast: Cast, browser: Browser) -> None:
    outage(cast, is_public=False)
    assert "Everything works" in browser().get("/").content.decode()


def test_the_next_news_is_counted_down_to(cast: Cast, browser: Browser) -> None:
    incident = outage(cast)
    due = START + timedelta(minutes=40)
    Promise.objects.create(
        audience=origin_of(incident.pk), made_at=START, due_at=due, warn_at=due, hold_at=due, made_by="x"
    )
    page = Page(browser().get("/").content.decode())
    assert page.has(**{"data-countdown": due.isoformat()})
    assert "11:40" in page.words  # in the brand's zone, as long as the browser has told no other


def test_an_update_in_another_language_only_says_so(cast: Cast, browser: Browser) -> None:
    incident = outage(cast)
    post_update(incident, texts={"nl": "De monteur is er."}, author=cast.ester, actor="test")
    page = Page(browser("ar").get("/").content.decode())
    assert "De monteur is er." in page.words
    assert page.has(lang="nl", dir="ltr", **{"class": "said"})
    assert page.has(**{"class": "foreign small muted"})
    dutch = Page(browser("nl").get("/").content.decode())
    assert not dutch.has(**{"class": "foreign small muted"})


def test_a_title_in_another_language_only_gives_way_to_the_kind_of_problem(cast: Cast, browser: Browser) -> None:
    outage(cast, texts={"nl": {"title": "Internetstoring"}})
    words = Page(browser("en").get("/").content.decode()).words
    assert "Internetstoring" not in words
    assert "Outage" in words


def test_what_is_over_stays_for_a_week_with_how_long_it_took(cast: Cast, browser: Browser) -> None:
    incident = outage(cast)
    with clock.travel(START + timedelta(minutes=95)):
        resolve_incident(incident, reason="fixed", actor="test")
        words = " ".join(Page(browser().get("/").content.decode()).words.split())
        assert "Everything works" in words
        assert "Internet outage" in words
        assert "lasted 2 hours" in words
    with clock.travel(START + timedelta(days=8)):
        assert "Internet outage" not in browser().get("/").content.decode()


def test_what_ended_last_is_shown_however_long_ago_it_began(
    cast: Cast, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "MAX_OPEN", 3)
    monkeypatch.setattr(problems, "MAX_ENDED", 2)
    made = [outage(cast, group_key=f"g{number}", texts={"en": {"title": f"Outage {number}"}}) for number in range(5)]
    for minutes, incident in enumerate(reversed(made), start=1):
        with clock.travel(START + timedelta(minutes=minutes)):
            resolve_incident(incident, reason="fixed", actor="test")
    with clock.travel(START + timedelta(minutes=10)):
        page = browser().get("/").content.decode()
    assert [f"Outage {number}" in page for number in range(5)] == [True, True, False, False, False]
    assert page.index("Outage 0") < page.index("Outage 1")


def test_a_false_alarm_is_called_one(cast: Cast, browser: Browser) -> None:
    cancel_incident(outage(cast), reason="drill", actor="test")
    assert "false alarm" in browser().get("/").content.decode()


def test_the_address_chooses_before_the_cookie_and_the_cookie_before_the_browser(cast: Cast, browser: Browser) -> None:
    reader = browser("nl")
    assert Page(reader.get("/").content.decode()).first("html")["lang"] == "nl"
    chosen = reader.get("/?lang=ar")
    assert Page(chosen.content.decode()).first("html")["lang"] == "ar"
    assert Page(reader.get("/").content.decode()).first("html")["lang"] == "ar"
    assert Page(reader.get("/?lang=hi").content.decode()).first("html")["lang"] == "hi"
    assert Page(browser("nl").get("/?lang=tlh").content.decode()).first("html")["lang"] == "nl"


def test_a_reader_without_a_language_of_ours_gets_the_brands(cast: Cast) -> None:
    assert Page(Client().get("/").content.decode()).first("html")["lang"] == "en"


def test_it_can_be_kept_for_a_moment_by_whoever_stands_between(cast: Cast, browser: Browser) -> None:
    outage(cast)
    first = browser().get("/")
    assert "public" in first["Cache-Control"]
    assert "max-age=15" in first["Cache-Control"]
    assert "Set-Cookie" not in first
    assert not first.cookies
    assert {"Accept-Language", "Cookie"} <= {name.strip() for name in first["Vary"].split(",")}
    again = browser().get("/", headers={"if-none-match": first["ETag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert again["ETag"] == first["ETag"]
    assert browser("nl").get("/", headers={"if-none-match": first["ETag"]}).status_code == 200


def test_news_change_its_etag(cast: Cast, browser: Browser) -> None:
    incident = outage(cast)
    before = browser().get("/")["ETag"]
    post_update(incident, texts={"en": "The mast is found."}, author=None, actor="test")
    assert browser().get("/")["ETag"] != before


def test_choosing_a_language_is_no_other_readers_answer(cast: Cast, browser: Browser) -> None:
    chosen = browser().get("/?lang=nl")
    assert "private" in chosen["Cache-Control"]
    assert chosen.cookies["django_language"].value == "nl"


def test_it_costs_as_little_with_thirty_problems_as_with_one(cast: Cast, browser: Browser) -> None:
    for number in range(30):
        incident = outage(cast, group_key=f"g{number}")
        post_update(incident, texts={"en": f"News {number}"}, author=None, actor="test")
    reader = browser()
    with reads_only(at_most=7):
        assert reader.get("/").status_code == 200
    with reads_only(at_most=7):
        assert reader.get("/status/now/").status_code == 200


def test_what_does_not_work_stands_above_what_works_badly(cast: Cast, browser: Browser) -> None:
    outage(cast)
    outage(cast, severity="minor", kind="degraded", texts={"en": {"title": "Slow e-mail"}})
    words = Page(browser().get("/").content.decode()).words
    assert "2 problems right now" in words
    assert words.index("Internet outage") < words.index("Slow e-mail")


def test_work_that_is_only_planned_is_no_problem_until_it_begins(cast: Cast, browser: Browser) -> None:
    work = outage(cast, kind="planned", texts={"en": {"title": "New switch"}})
    Incident.objects.filter(pk=work.pk).update(began_at=START + timedelta(hours=5))
    PlannedWork.objects.create(
        incident=work, starts_at=START + timedelta(hours=5), ends_at=START + timedelta(hours=7),
        announce_at=START, announced_at=START,
    )  # fmt: skip
    words = Page(browser().get("/").content.decode()).words
    assert "Everything works" in words
    assert "Below you see the work that we have planned." in words
    assert "New switch" in words
    outage(cast)
    words = Page(browser().get("/").content.decode()).words
    assert "1 problem right now" in words
    assert words.index("Internet outage") < words.index("New switch")
    with clock.travel(START + timedelta(hours=6)):
        assert "2 problems right now" in Page(browser().get("/").content.decode()).words


def test_the_part_that_stays_fresh_is_the_page_without_its_frame(cast: Cast, browser: Browser) -> None:
    outage(cast)
    html = browser().get("/status/now/?lang=nl").content.decode()
    assert "<html" not in html
    assert "Internetstoring" in html


def test_search_engines_are_kept_out_of_what_is_one_persons(db: None, browser: Browser) -> None:
    answer = browser().get("/robots.txt")
    assert answer["Content-Type"].startswith("text/plain")
    for path in ("/my/", "/unsubscribe/"):
        assert f"Disallow: {path}\n" in answer.content.decode()
