"""Every step or only what changes: chosen on one's own page, in force at once, and what the page promises follows."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from beforehand.customers.models import Customer
from beforehand.events.models import Event
from beforehand.incidents.affected import origin_of
from beforehand.kit import clock
from beforehand.outbound.models import Message, MessageBatch
from beforehand.promises.models import Promise
from tests.cast import Cast
from tests.portal.conftest import START, outage
from tests.portal.pages import Page
from tests.portal.test_my_page import link

Browser = Callable[..., Client]


def choice(page: Page) -> str | None:
    return next(a["value"] for tag, a in page.elements if a.get("name") == "rhythm" and "checked" in a)


def shown(browser: Browser, customer: Customer) -> Page:
    return Page(browser().get(link(customer)).content.decode())


def promise(audience: str, hours: float, rhythm: str) -> None:
    due_at = START + timedelta(hours=hours)
    Promise.objects.create(
        audience=audience, rhythm=rhythm, made_by=f"{rhythm}-{hours}", made_at=START, due_at=due_at, warn_at=due_at, hold_at=due_at
    )  # fmt: skip


def test_it_is_chosen_on_the_page_and_said_there_afterwards(cast: Cast, browser: Browser) -> None:
    assert choice(shown(browser, cast.dana)) == "every_step"
    answer = browser().post(f"{link(cast.dana)}rhythm/", {"rhythm": "only_changes"})
    assert (answer.status_code, answer["Location"]) == (302, f"{link(cast.dana)}#news-head")
    cast.dana.refresh_from_db()
    assert cast.dana.rhythm == "only_changes"
    assert choice(shown(browser, cast.dana)) == "only_changes"
    event = Event.objects.get(type="customer.changed")
    assert (event.actor, event.customer_id, event.data) == ("customer", cast.dana.pk, {"fields": ["rhythm"]})


@pytest.mark.parametrize("chosen", ["every_step", "never", ""])
def test_what_is_so_already_or_is_no_choice_changes_nothing(cast: Cast, browser: Browser, chosen: str) -> None:
    assert browser().post(f"{link(cast.dana)}rhythm/", {"rhythm": chosen}).status_code == 302
    assert not Event.objects.filter(type="customer.changed").exists()


def test_only_the_customers_own_link_in_its_time_may_choose(cast: Cast, browser: Browser) -> None:
    expired = link(cast.dana, until=START - timedelta(minutes=1))
    forged = link(cast.dana)[:-3] + "xx/"
    for address in (expired, forged, link(cast.dana, purpose="unsubscribe")):
        assert browser().post(f"{address}rhythm/", {"rhythm": "only_changes"}).status_code in (403, 404, 410)
    assert browser().get(f"{link(cast.dana)}rhythm/").status_code == 405
    assert not Customer.objects.filter(rhythm="only_changes").exists()


def test_the_next_news_are_those_that_were_promised_to_this_customer(cast: Cast, browser: Browser) -> None:
    incident = outage(cast)
    audience = origin_of(incident.pk)
    promise(audience, 1, "every_step")
    Customer.objects.filter(pk=cast.bram.pk).update(rhythm="only_changes")
    assert "2026-11-23T11:00:00" in str(shown(browser, cast.bram).elements)  # chosen since: promised as before
    promise(audience, 20, "only_changes")
    assert "2026-11-23T11:00:00" in str(shown(browser, cast.dana).elements)
    Customer.objects.filter(pk=cast.dana.pk).update(rhythm="only_changes")
    seen = str(shown(browser, cast.dana).elements)
    assert "2026-11-24T06:00:00" in seen
    assert "2026-11-23T11:00:00" not in seen


def test_a_later_time_that_a_message_named_is_the_one_that_holds(cast: Cast, browser: Browser) -> None:
    incident = outage(cast)
    promise(origin_of(incident.pk), 1, "every_step")
    batch = MessageBatch.objects.create(
        effect_key="one", origin=origin_of(incident.pk), sequence=1, step="first", audience="affected",
        message_class="service", texts={}, decided_at=START,
    )  # fmt: skip
    after_the_night = START + timedelta(hours=22, minutes=15)
    Message.objects.create(
        bucket=cast.dana.pk % 64, batch_id=batch.pk, customer_id=cast.dana.pk, channel="email", language="en",
        time_zone="Europe/London", code="", state="sent", due_at=START, next_update_at=after_the_night,
    )  # fmt: skip
    assert "2026-11-24T08:15:00" in str(shown(browser, cast.dana).elements)
    assert "2026-11-23T11:00:00" in str(shown(browser, cast.bram).elements)
    with clock.travel(after_the_night + timedelta(minutes=1)):
        assert "2026-11-24T08:15:00" not in str(shown(browser, cast.dana).elements)
