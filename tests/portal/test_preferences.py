"""Language, quiet hours, addresses and consents, changed on one's own page: each once, by the customer alone."""

from collections.abc import Callable
from datetime import time, timedelta

import pytest
from django.test import Client

from beforehand.customers.actions import change_customer, set_contact_point_status
from beforehand.customers.models import Consent, ContactPoint, Customer
from beforehand.customers.queries import consents_in_force
from beforehand.events.models import Event
from tests.cast import Cast
from tests.portal.conftest import START
from tests.portal.pages import Page, reads_only
from tests.portal.test_my_page import link

Browser = Callable[..., Client]
NEWS = {
    "language/": {"language": "nl"},
    "quiet/": {"quiet_from": "20:00", "quiet_until": "09:30"},
    "consents/": {"shown": ["care:email"]},
}


def page_of(reader: Client, customer: Customer) -> Page:
    return Page(reader.get(link(customer)).content.decode())


def second_address(customer: Customer, address: str = "second@customers.example") -> ContactPoint:
    return ContactPoint.objects.create(customer=customer, channel="email", address=address, rank=2)


def first_address(customer: Customer) -> ContactPoint:
    return ContactPoint.objects.filter(customer=customer, channel="email").order_by("rank", "id")[0]


def use(reader: Client, customer: Customer, point: ContactPoint, how: str) -> int:
    return reader.post(f"{link(customer)}address/", {"address": point.pk, "use": how}).status_code


def ticked(page: Page) -> set[str | None]:
    return {a["value"] for _tag, a in page.elements if a.get("name") == "allow" and "checked" in a}


def shown(page: Page) -> list[str | None]:
    return [a["value"] for _tag, a in page.elements if a.get("name") == "shown"]


def test_the_page_speaks_the_language_that_was_chosen_though_another_was_looked_at_before(
    cast: Cast, browser: Browser
) -> None:
    reader = browser()
    reader.get(f"{link(cast.dana)}?lang=hi")
    answer = reader.post(f"{link(cast.dana)}language/", {"language": "ar"})
    assert (answer.status_code, answer["Location"]) == (302, f"{link(cast.dana)}#writing-head")
    cast.dana.refresh_from_db()
    assert cast.dana.language == "ar"
    html = page_of(reader, cast.dana).first("html")
    assert (html["lang"], html["dir"]) == ("ar", "rtl")
    event = Event.objects.get(type="customer.changed")
    assert (event.actor, event.customer_id, event.data) == ("customer", cast.dana.pk, {"fields": ["language"]})


def test_a_language_that_we_do_not_write_stays_until_another_is_chosen(cast: Cast, browser: Browser) -> None:
    change_customer(cast.dana.pk, changes={"language": "pl"}, actor="test")
    page = page_of(browser(), cast.dana)
    assert [a["value"] for tag, a in page.elements if tag == "option" and "selected" in a] == ["pl"]
    assert "polski" in page.words
    browser().post(f"{link(cast.dana)}language/", {"language": "xx"})
    cast.dana.refresh_from_db()
    assert cast.dana.language == "pl"


def test_quiet_hours_are_both_times_or_none(cast: Cast, browser: Browser) -> None:
    reader = browser()
    assert reader.post(f"{link(cast.dana)}quiet/", NEWS["quiet/"]).status_code == 302
    cast.dana.refresh_from_db()
    assert (cast.dana.quiet_from, cast.dana.quiet_until) == (time(20), time(9, 30))
    assert page_of(reader, cast.dana).has(name="quiet_until", value="09:30")
    half = reader.post(f"{link(cast.dana)}quiet/", {"quiet_from": "21:00", "quiet_until": ""})
    assert half.status_code == 200
    assert half["Cache-Control"] == "no-store, private"
    assert "Give both times, or none." in half.content.decode()
    assert Page(half.content.decode()).has(name="quiet_from", value="21:00")
    cast.dana.refresh_from_db()
    assert cast.dana.quiet_from == time(20)
    reader.post(f"{link(cast.dana)}quiet/", {"quiet_from": "", "quiet_until": ""})
    cast.dana.refresh_from_db()
    assert (cast.dana.quiet_from, cast.dana.quiet_until) == (None, None)
    assert Event.objects.filter(type="customer.changed", actor="customer").count() == 2


def test_a_time_that_is_none_is_shown_again_with_what_is_wrong(cast: Cast, browser: Browser) -> None:
    answer = browser().post(f"{link(cast.dana)}quiet/", {"quiet_from": "noon", "quiet_until": "09:00"})
    assert "Enter a valid time." in answer.content.decode()
    assert not Event.objects.filter(type="customer.changed").exists()


def test_the_address_that_is_put_first_is_the_one_that_is_tried_first(cast: Cast, browser: Browser) -> None:
    before, after = first_address(cast.dana), second_address(cast.dana)
    page = page_of(browser(), cast.dana)
    assert [a["value"] for _tag, a in page.elements if a.get("name") == "use"] == ["stop", "first", "stop"]
    assert use(browser(), cast.dana, after, "first") == 302
    assert first_address(cast.dana) == after
    assert use(browser(), cast.dana, after, "first") == 302  # twice is once
    event = Event.objects.get(type="customer.contact_point_preferred")
    assert (event.actor, event.customer_id) == ("portal", cast.dana.pk)
    assert event.data == {"contact_point_id": after.pk, "channel": "email"}
    use(browser(), cast.dana, before, "first")
    assert first_address(cast.dana) == before


def test_an_address_is_used_no_more_until_its_owner_says_so(cast: Cast, browser: Browser) -> None:
    point = first_address(cast.dana)
    for _again in range(2):
        assert use(browser(), cast.dana, point, "stop") == 302
    point.refresh_from_db()
    assert (point.status, point.status_reason) == ("blocked", "not_wanted")
    assert Event.objects.filter(type="customer.contact_point_status_set").count() == 1
    page = page_of(browser(), cast.dana)
    assert page.has(name="use", value="again")
    assert "No address of yours is used: we cannot warn you." in page.words
    use(browser(), cast.dana, point, "again")
    point.refresh_from_db()
    assert point.status == "working"
    assert "we cannot warn you" not in page_of(browser(), cast.dana).words


@pytest.mark.parametrize(("status", "reason"), [("dead", "5.1.1"), ("blocked", "opted_out")])
def test_what_an_address_proved_to_be_is_not_undone_here(
    cast: Cast, browser: Browser, status: str, reason: str
) -> None:
    point = first_address(cast.dana)
    set_contact_point_status([point.pk], status=ContactPoint.Status(status), reason=reason, actor="test")
    assert not page_of(browser(), cast.dana).has(name="use", value="again")
    use(browser(), cast.dana, point, "again")
    point.refresh_from_db()
    assert (point.status, point.status_reason) == (status, reason)


@pytest.mark.parametrize("number", ["", "x", "0", "9" * 30, "-1"])
def test_the_address_of_somebody_else_or_of_nobody_is_refused(cast: Cast, browser: Browser, number: str) -> None:
    foreign = first_address(cast.bram)
    assert use(browser(), cast.dana, foreign, "stop") == 404
    assert browser().post(f"{link(cast.dana)}address/", {"address": number, "use": "stop"}).status_code == 404
    assert not ContactPoint.objects.exclude(status="working").exists()


def test_what_is_allowed_is_kept_with_the_words_that_stood_there(cast: Cast, browser: Browser) -> None:
    reader = browser()
    page = page_of(reader, cast.dana)
    assert shown(page) == ["care:email", "survey:email", "marketing:email"]
    assert ticked(page) == {"care:email", "survey:email"}
    answer = reader.post(
        f"{link(cast.dana)}consents/", {"shown": shown(page), "allow": ["care:email", "marketing:email"]}
    )
    assert (answer.status_code, answer["Location"]) == (302, f"{link(cast.dana)}#consents-head")
    kept = {one.message_class: one for one in Consent.objects.all()}
    assert {name: one.given for name, one in kept.items()} == {"survey": False, "marketing": True}
    assert kept["survey"].wording == "I want to be asked how you did, by: e-mail"
    assert {(one.how, one.asked_by, one.answered_at) for one in kept.values()} == {("portal", "customer", START)}
    event = Event.objects.get(type="consents.recorded")
    assert (event.actor, event.source, event.customer_id) == ("portal", "my page", cast.dana.pk)
    assert ticked(page_of(reader, cast.dana)) == {"care:email", "marketing:email"}


def test_the_words_are_kept_in_the_language_that_was_read(cast: Cast, browser: Browser) -> None:
    reader = browser()
    html = reader.get(f"{link(cast.dana)}?lang=nl").content.decode()
    action = next(a["action"] for tag, a in Page(html).elements if tag == "form" and "/consents/" in str(a["action"]))
    browser().post(str(action), {"shown": ["marketing:email"], "allow": ["marketing:email"]})
    words, _colon, channel = Consent.objects.get().wording.partition(": ")
    assert (words, channel) == ("Ik wil aanbiedingen, per", "e-mail")
    assert f"{words}:" in html


def test_only_what_the_page_showed_is_answered_and_only_what_is_new_is_said(cast: Cast, browser: Browser) -> None:
    for answer in (
        {},
        {"allow": ["marketing:email"]},
        {"shown": ["care:email", "service:email", "care:sms"], "allow": ["care:email", "service:email", "care:sms"]},
    ):
        assert browser().post(f"{link(cast.dana)}consents/", answer).status_code == 302
    assert not Consent.objects.exists()
    assert not Event.objects.filter(type="consents.recorded").exists()
    for _again in range(2):
        browser().post(f"{link(cast.dana)}consents/", {"shown": ["care:email"]})
    assert consents_in_force([cast.dana.pk]) == {cast.dana.pk: {("care", "email"): False}}
    assert Consent.objects.count() == 1


def test_who_has_a_mobile_number_is_asked_about_texts_and_calls(cast: Cast, browser: Browser) -> None:
    ContactPoint.objects.filter(customer=cast.dana).update(channel="sms", address="+31612345678")
    assert {str(name).partition(":")[2] for name in shown(page_of(browser(), cast.dana))} == {"sms", "phone"}


def test_who_has_no_address_is_asked_for_no_leave(cast: Cast, browser: Browser) -> None:
    ContactPoint.objects.filter(customer=cast.dana).delete()
    page = page_of(browser(), cast.dana)
    assert shown(page) == []
    assert "What else we may write to you" not in page.words


@pytest.mark.parametrize("path", [*NEWS, "address/"])
def test_nothing_changes_by_a_look_or_a_link_that_is_not_theirs(cast: Cast, browser: Browser, path: str) -> None:
    before = Customer.objects.values_list("pk", "language", "quiet_from")
    kept, events = list(before), Event.objects.count()
    news = {**NEWS, "address/": {"address": str(first_address(cast.dana).pk), "use": "stop"}}[path]
    expired = link(cast.dana, until=START - timedelta(minutes=1))
    mixed = link(cast.dana).rpartition(".")[0] + "." + link(cast.bram).rpartition(".")[2]
    refused = {expired: 410, mixed: 404, link(cast.dana, purpose="unsubscribe"): 404, "/my/wreck/": 404}
    for address, status in refused.items():
        assert browser().post(f"{address}{path}", news).status_code == status
    with reads_only():
        assert browser().get(f"{link(cast.dana)}{path}", news).status_code == 405
        assert browser().head(f"{link(cast.dana)}{path}", news).status_code == 405
    assert list(before.all()) == kept
    assert not Consent.objects.exists()
    assert not ContactPoint.objects.exclude(status="working").exists()
    assert Event.objects.count() == events
    assert browser().post(f"{link(cast.dana)}{path}", news).status_code == 302  # their own link, and no cookie
    assert Event.objects.count() == events + 1
