"""Taking back the leave: a look changes nothing, a press or a mail program's one click does, once."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from beforehand.customers.models import Consent, Customer
from beforehand.customers.queries import consents_in_force
from beforehand.events.models import Event
from beforehand.kit.links import MY_PAGE, UNSUBSCRIBE
from beforehand.kit.signing import sign
from tests.cast import Cast
from tests.portal.conftest import START
from tests.portal.pages import Page, reads_only

Browser = Callable[..., Client]
READERS = [("dana", "en", "ltr"), ("bram", "nl", "ltr"), ("aisha", "ar", "rtl"), ("chitra", "hi", "ltr")]
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def link(customer: Customer, message_class: str = "marketing", days: float = 365, purpose: str = UNSUBSCRIBE) -> str:
    token = sign(purpose, f"{customer.pk}:{message_class}", until=START + timedelta(days=days))
    return f"/unsubscribe/{token}/"


@pytest.mark.parametrize(("name", "language", "direction"), READERS)
def test_it_asks_in_the_customers_language(
    cast: Cast, browser: Browser, name: str, language: str, direction: str
) -> None:
    page = Page(browser("fr").get(link(getattr(cast, name))).content.decode())
    assert page.first("html")["lang"] == language
    assert page.first("html")["dir"] == direction
    assert page.first("form")["method"] == "post"


def test_a_scanner_that_opens_the_link_takes_nothing_back(cast: Cast, browser: Browser) -> None:
    events = Event.objects.count()
    with reads_only(at_most=6):
        assert browser().get(link(cast.dana)).status_code == 200
        assert browser().head(link(cast.dana)).status_code == 200
    assert Consent.objects.count() == 0
    assert Event.objects.count() == events


def test_a_press_takes_it_back_and_keeps_what_was_said(cast: Cast, browser: Browser) -> None:
    reader = browser()
    assert "Nothing has been changed yet." in reader.get(link(cast.dana)).content.decode()
    answer = reader.post(link(cast.dana))
    assert answer.status_code == 200
    assert "You get no more of these" in answer.content.decode()
    consent = Consent.objects.get()
    assert (consent.customer_id, consent.message_class, consent.channel) == (cast.dana.pk, "marketing", "email")
    assert consent.given is False
    assert consent.wording == "I no longer want e-mails with offers."
    assert consent.wording in answer.content.decode()
    assert consent.how == "unsubscribe link (page)"
    assert consent.answered_at == START


def test_a_mail_program_takes_it_back_with_one_click_and_no_detour(cast: Cast) -> None:
    program = Client(enforce_csrf_checks=True)
    answer = program.post(link(cast.dana), ONE_CLICK)
    assert answer.status_code == 200
    assert not answer.cookies
    assert Consent.objects.get().how == "unsubscribe link (one-click)"


def test_one_click_works_in_both_forms_that_mail_programs_post_and_without_the_last_slash(cast: Cast) -> None:
    program = Client(enforce_csrf_checks=True)
    body = "List-Unsubscribe=One-Click"
    form = "application/x-www-form-urlencoded"
    assert program.post(link(cast.dana).rstrip("/"), body, content_type=form).status_code == 200
    assert program.post(link(cast.bram), ONE_CLICK).status_code == 200  # multipart/form-data
    assert set(Consent.objects.values_list("how", flat=True)) == {"unsubscribe link (one-click)"}


def test_again_changes_nothing_and_says_the_same(cast: Cast, browser: Browser) -> None:
    first = browser().post(link(cast.dana))
    events = Event.objects.count()
    for again in (browser().post(link(cast.dana)), browser().post(link(cast.dana) + "?lang=nl", ONE_CLICK)):
        assert again.status_code == first.status_code
    assert Consent.objects.count() == 1
    assert Event.objects.count() == events


def test_it_takes_back_this_class_of_this_customer_and_nothing_else(cast: Cast, browser: Browser) -> None:
    browser().post(link(cast.dana, "survey") + f"?customer={cast.bram.pk}&class=marketing", {"class": "marketing"})
    assert consents_in_force([c.pk for c in cast.touched]) == {cast.dana.pk: {("survey", "email"): False}}


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_link_that_is_too_old_or_forged_or_for_another_purpose_takes_nothing_back(
    cast: Cast, browser: Browser, method: str
) -> None:
    own = link(cast.dana)
    refused = {
        link(cast.dana, days=-1): 410,
        own.rpartition(".")[0] + "." + link(cast.bram).rpartition(".")[2]: 404,
        link(cast.dana, purpose=MY_PAGE): 404,
        link(cast.dana, "no-such-class"): 404,
        "/unsubscribe/wreck/": 404,
    }
    for path, status in refused.items():
        assert getattr(browser(), method)(path).status_code == status
    assert Consent.objects.count() == 0


def test_its_address_is_told_to_nobody(cast: Cast, browser: Browser) -> None:
    for answer in (browser().get(link(cast.dana)), browser().post(link(cast.dana))):
        assert answer["Referrer-Policy"] == "no-referrer"
        assert answer["Cache-Control"] == "no-store, private"
        assert "noindex" in answer["X-Robots-Tag"]
