"""The inbox in Chromium: a message appears while the page is open, and opening it is known."""

import os
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from beforehand.customers.models import ContactPoint
from beforehand.kit.links import page_link
from beforehand.outbound.delivery import DeliveryLoop
from beforehand.outbound.in_house import InHouseCourier
from beforehand.outbound.media import InboxMedium
from beforehand.outbound.models import Delivery, Message
from tests.cast import Cast
from tests.desk import Desk, speak_by
from tests.driving import Drive, alert, outage_rule, post_webhook

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.database]

PATIENCE = 60_000  # milliseconds; a page that only polled would find out too, but is asked every thirty seconds


def path(customer_id: int) -> str:
    return "/" + page_link(customer_id, now=timezone.now()).split("/", 3)[3]


def shoot(page: Page, name: str) -> None:
    """A picture to look at, where somebody asks for it."""
    if folder := os.environ.get("BEFOREHAND_TEST_SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_a_message_appears_while_the_page_is_open_and_opening_it_is_known(
    cast: Cast, drive: Drive, site: str, browser: Browser
) -> None:
    ContactPoint.objects.all().delete()
    for customer in (cast.dana, cast.aisha):
        ContactPoint.objects.create(customer=customer, channel="inbox", address="my page")
    outage_rule(owner=cast.team, texts={"en": {"title": "Internet outage"}, "ar": {"title": "انقطاع الإنترنت"}})
    speak_by("[email, inbox]")
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.clock.install()  # its half minutes never pass: what it learns, it hears
    page.goto(f"{site}{path(cast.dana.pk)}", wait_until="load")
    desk = Desk(drive, DeliveryLoop(InHouseCourier(), worker=uuid.uuid4(), medium=InboxMedium()))
    post_webhook([alert(starts_at=timezone.now() - timedelta(minutes=5))])
    desk.settle()
    expect(page.locator("#unread")).to_have_text("1 unread", timeout=PATIENCE)
    shoot(page, "inbox-unread")
    page.locator(".letter summary").click()
    expect(page.locator("#unread")).to_have_text("all read", timeout=PATIENCE)
    shoot(page, "inbox-read")
    message = Message.objects.get(customer_id=cast.dana.pk)
    assert message.code in page.locator(".letter .told-text").inner_text()
    assert Delivery.objects.get(message_id=message.id).state == "delivered"
    for name, scheme, width in (("ar-dark", "dark", 390), ("ar-light", "light", 1440)):
        other = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)  # type: ignore[arg-type]
        other.goto(f"{site}{path(cast.aisha.pk)}", wait_until="load")
        expect(other.locator(".letter .letter-title")).to_have_count(1)
        shoot(other, f"inbox-{name}")


def test_leave_to_notify_is_asked_for_only_after_a_press(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, browser: Browser
) -> None:
    """The push service is the only thing that is not real: a browser reaches it over the internet alone."""
    monkeypatch.setenv("BEFOREHAND_PUSH_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")
    site = request.getfixturevalue("site")
    context = browser.new_context()
    context.grant_permissions(["notifications"], origin=site)
    page = context.new_page()
    page.add_init_script(
        """
        window.asked = 0;
        const ask = Notification.requestPermission.bind(Notification);
        Notification.requestPermission = () => { window.asked += 1; return ask(); };
        PushManager.prototype.subscribe = async (options) => ({
          toJSON: () => ({ endpoint: "https://push.example/" + options.applicationServerKey.length,
            keys: { p256dh: btoa("\\x04".repeat(65)), auth: btoa("0123456789abcdef") } }),
        });
        """
    )
    page.goto(f"{site}{path(cast.dana.pk)}", wait_until="load")
    button = page.get_by_role("button", name="Notify me on this device")
    expect(button).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("window.asked") == 0
    shoot(page, "push-offered")
    button.click()
    expect(page.get_by_text("A device of yours is notified of them.")).to_be_visible(timeout=PATIENCE)
    shoot(page, "push-on")
    assert '"https://push.example/65"' in ContactPoint.objects.get(channel="push").address
    scopes = page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.map((one) => one.scope))")
    assert scopes == [f"{site}/my/"]
