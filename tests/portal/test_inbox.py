"""The inbox on a customer's own page: what was said stands there, in their language, unread until they open it."""

import base64
import json
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from beforehand.customers.models import ContactPoint, Customer
from beforehand.events.models import Event
from beforehand.kit import clock
from beforehand.outbound.delivery import DeliveryLoop
from beforehand.outbound.in_house import InHouseCourier
from beforehand.outbound.media import InboxMedium
from beforehand.outbound.models import Delivery, Message
from tests.cast import Cast, make_cast
from tests.desk import Desk, speak_by
from tests.driving import alert, driving, outage_rule, post_webhook
from tests.portal.conftest import START, TEXTS
from tests.portal.pages import Page, reads_only
from tests.portal.test_my_page import link

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

Browser = Callable[..., Client]


@pytest.fixture
def told(noon: None) -> Iterator[Cast]:
    """An outage: Aisha and Dana read their inbox, Bram gets a mail, Chitra has neither."""
    cast = make_cast()
    ContactPoint.objects.exclude(customer=cast.bram).delete()
    for customer in (cast.aisha, cast.dana):
        ContactPoint.objects.create(customer=customer, channel="inbox", address="my page")
    outage_rule(owner=cast.team, texts=TEXTS)
    speak_by("[email, inbox]")
    with driving() as mails:
        desk = Desk(mails, DeliveryLoop(InHouseCourier(), worker=uuid.uuid4(), medium=InboxMedium()))
        post_webhook([alert(starts_at=START)])
        with clock.travel(START + timedelta(minutes=3)):
            desk.settle()
            yield cast


def message_to(customer: Customer) -> Message:
    return Message.objects.get(customer_id=customer.pk)


def page_of(customer: Customer, browser: Browser) -> str:
    return browser().get(link(customer)).content.decode()


def test_who_has_no_mail_but_reads_their_page_has_it_there_to_be_read(told: Cast) -> None:
    message = message_to(told.dana)
    assert (message.channel, message.state, message.reason) == ("inbox", "refused", "unread")
    assert message.passed_over == [["email", "no_contact_point"]]
    assert Delivery.objects.get(message_id=message.id).state == "accepted"
    assert message_to(told.bram).channel == "email"
    chitra = message_to(told.chitra)
    assert (chitra.state, chitra.passed_over) == ("refused", [["inbox", "no_contact_point"]])


def test_it_stands_there_unread_in_the_customers_language_and_direction_once(told: Cast, browser: Browser) -> None:
    html = page_of(told.aisha, browser)
    letter = html[html.index('class="letters"') : html.index("known-head")]
    assert TEXTS["ar"]["title"] in letter
    assert 'dir="rtl"' in letter
    assert "data-unread" in letter
    assert message_to(told.aisha).code in letter
    assert html.count(message_to(told.aisha).code) == 1, "not a second time in the story"
    english = page_of(told.dana, browser)
    assert "Messages for you" in english
    assert "1 unread" in english
    assert "Messages for you" not in page_of(told.bram, browser)


def test_looking_at_the_page_reads_nothing_and_opening_a_message_does(told: Cast, browser: Browser) -> None:
    with reads_only(at_most=18):
        page_of(told.dana, browser)
    message = message_to(told.dana)
    answer = browser().post(link(told.dana) + "read/", {"message": message.id}, headers={"hx-request": "true"})
    assert "all read" in answer.content.decode()
    assert Delivery.objects.get(message_id=message.id).state == "delivered"
    assert Event.objects.filter(type="message.delivered", customer_id=told.dana.pk).count() == 1
    html = page_of(told.dana, browser)
    assert "data-unread" not in html
    browser().post(link(told.dana) + "read/", {"message": message.id})
    assert Event.objects.filter(type="message.delivered").count() == 1, "once"


def test_opening_a_message_does_not_put_the_page_in_anew_under_the_readers_eyes(told: Cast, browser: Browser) -> None:
    polled = Page(page_of(told.dana, browser))
    address = next(a["hx-get"] for _tag, a in polled.elements if a.get("id") == "now")
    browser().post(link(told.dana) + "read/", {"message": message_to(told.dana).id})
    assert browser().get(address).status_code == 204


@pytest.mark.parametrize("number", ["0", "", "x", "9" * 30])
def test_what_is_no_message_of_theirs_is_left_alone(told: Cast, browser: Browser, number: str) -> None:
    assert browser().post(link(told.dana) + "read/", {"message": number}).status_code == 302
    browser().post(link(told.dana) + "read/", {"message": message_to(told.aisha).id})
    browser().post(link(told.bram) + "read/", {"message": message_to(told.bram).id})
    assert not Delivery.objects.filter(state="delivered").exists()


@pytest.mark.parametrize("end", ["read/", "inbox/"])
def test_a_stranger_opens_nothing_and_switches_nothing(told: Cast, browser: Browser, end: str) -> None:
    forged = re.sub(r"\.(.)", lambda found: "." + ("A" if found[1] != "A" else "B"), link(told.dana), count=1)
    assert browser().post(forged + end, {"message": message_to(told.dana).id, "want": "no"}).status_code == 404
    assert browser().get(forged + "live/").status_code == 404
    assert browser().get(link(told.dana) + end).status_code == 405
    assert not Delivery.objects.filter(state="delivered").exists()
    assert set(ContactPoint.objects.filter(channel="inbox").values_list("status", flat=True)) == {"working"}


def test_a_customer_asks_for_messages_on_the_page_and_for_no_more_of_them(told: Cast, browser: Browser) -> None:
    assert "Show them here" in browser().get(link(told.bram) + "?lang=en").content.decode()
    assert browser().post(link(told.bram) + "inbox/", {"want": "yes"}).status_code == 302
    inbox = ContactPoint.objects.get(customer=told.bram, channel="inbox")
    assert inbox.status == "working"
    assert "Not here any more" in browser().get(link(told.bram) + "?lang=en").content.decode()
    browser().post(link(told.bram) + "inbox/", {"want": "no"})
    inbox.refresh_from_db()
    assert (inbox.status, inbox.status_reason) == ("blocked", "not_wanted")
    browser().post(link(told.bram) + "inbox/", {"want": "yes"})
    inbox.refresh_from_db()
    assert inbox.status == "working"


def test_only_the_page_of_who_has_an_inbox_listens(told: Cast, browser: Browser) -> None:
    body = Page(page_of(told.dana, browser)).first("body")
    assert (body["hx-ext"], str(body["sse-connect"]).startswith(link(told.dana) + "live/?after=")) == ("sse", True)
    assert "sse-connect" not in Page(page_of(told.bram, browser)).first("body")


SUBSCRIPTION = json.dumps(
    {
        "endpoint": "https://push.example/device-1",
        "expirationTime": None,
        "keys": {"p256dh": base64.urlsafe_b64encode(b"\x04" * 65).decode(), "auth": "MDEyMzQ1Njc4OWFiY2RlZg"},
    }
)


def test_notifications_are_offered_only_where_there_is_a_key_for_them(
    told: Cast, browser: Browser, settings: Any
) -> None:
    assert "data-push" not in page_of(told.bram, browser)
    settings.PUSH_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    place = next(a for _tag, a in Page(page_of(told.bram, browser)).elements if "data-push" in a)
    assert len(str(place["data-key"])) == 87
    assert "hidden" in place, "until a script knows that this browser can do it"


def test_a_browser_that_subscribes_is_the_first_to_be_notified_until_the_customer_wants_no_more(
    told: Cast, browser: Browser
) -> None:
    address = link(told.bram) + "push/"
    for number in (1, 2):
        given = SUBSCRIPTION.replace("device-1", f"device-{number}")
        assert browser().post(address, {"subscription": given}).status_code == 204
    points = ContactPoint.objects.filter(customer=told.bram, channel="push").order_by("rank")
    assert [json.loads(point.address)["endpoint"][-1] for point in points] == ["2", "1"]
    html = page_of(told.bram, browser)
    assert "sse-connect" in html
    assert "push.example" not in html
    assert browser().post(address, {"want": "no"}).status_code == 302
    assert set(points.values_list("status", "status_reason")) == {("blocked", "not_wanted")}


@pytest.mark.parametrize("given", ["", "{}", SUBSCRIPTION.replace("https:", "http:"), SUBSCRIPTION.replace("MDEy", "")])
def test_what_is_no_subscription_is_not_kept(told: Cast, browser: Browser, given: str) -> None:
    assert browser().post(link(told.bram) + "push/", {"subscription": given}).status_code == 400
    assert not ContactPoint.objects.filter(channel="push").exists()


def test_the_script_that_shows_notifications_asks_no_other_site(client: Client) -> None:
    answer = client.get("/push-worker.js")
    assert answer["Content-Type"].startswith("text/javascript")
    assert "http" not in answer.content.decode()
