"""Guarantee 9: a link in a message serves one purpose, for one customer, until a time."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from tests.cast import Cast
from tests.driving import Drive
from tests.mailbox import text_of
from tests.promises.story import START, at, node_fails, outage_playbook

from beforehand.customers.models import Consent
from beforehand.kit.clock import travel

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def links(worker: Drive, name: str) -> list[str]:
    (mail,) = worker.mailbox.mails_to(f"{name}@customers.example")
    return re.findall(r"http://testserver\.example(/[^\s>)\]]+)", text_of(mail) + str(mail["List-Unsubscribe"] or ""))


def page_of(worker: Drive, name: str) -> str:
    return next(link for link in links(worker, name) if link.startswith("/my/"))


@pytest.fixture
def browser() -> Client:
    return Client(HTTP_HOST="testserver.example")


def test_the_link_in_a_mail_opens_its_readers_page_and_nobody_elses(
    people: Cast, worker: Drive, browser: Client
) -> None:
    outage_playbook()
    node_fails(worker)
    with travel(at(10)):
        page = browser.get(page_of(worker, "dana"))
        assert page.status_code == 200
        assert people.dana.name.split()[0] in page.content.decode()
        assert people.bram.name not in page.content.decode()
        forged = page_of(worker, "dana").replace(page_of(worker, "dana")[6:9], "xxx", 1)
        assert browser.get(forged).status_code in (403, 404)
    with travel(START + timedelta(days=60)):
        assert browser.get(page_of(worker, "dana")).status_code in (403, 404, 410)


def test_the_way_out_takes_back_one_class_of_one_customer_and_opens_no_page(
    people: Cast, worker: Drive, browser: Client
) -> None:
    outage_playbook("care")
    node_fails(worker)
    way_out = next(link for link in links(worker, "bram") if link.startswith("/unsubscribe/"))
    with travel(at(10)):
        token = way_out.removeprefix("/unsubscribe/").strip("/")
        assert browser.get(f"/my/{token}/").status_code in (403, 404)
        assert browser.get(way_out).status_code == 200
        assert not Consent.objects.exists()  # only looking changes nothing
        assert browser.post(way_out, {"List-Unsubscribe": "One-Click"}).status_code in (200, 302)
    (answer,) = Consent.objects.all()
    assert (answer.customer_id, answer.message_class, answer.given) == (people.bram.pk, "care", False)
