"""The shipped playbooks' channels: the next one if one cannot be used, with the reason, and in sets however many they are."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from django.conf import settings
from django.test import Client
from tests.cast import Cast, make_cast
from tests.company import make_company
from tests.desk import Desk
from tests.driving import Drive, alert, approve_shipped, driving, outage_rule, post_webhook
from tests.sms_gateway import FakeSmsGateway

from beforehand.console.reasons import not_sent, passed_over
from beforehand.customers.actions import upsert_components
from beforehand.customers.models import ContactPoint
from beforehand.incidents.models import Incident
from beforehand.incidents.queries import language_shares
from beforehand.incidents.untold import untold_ids
from beforehand.kit.clock import travel
from beforehand.kit.rows import execute
from beforehand.outbound.delivery import DeliveryLoop
from beforehand.outbound.in_house import InHouseCourier
from beforehand.outbound.media import InboxMedium, addresses_for, live_channels
from beforehand.outbound.models import Delivery, Message
from beforehand.playbooks.models import PlaybookVersion, Run
from beforehand.playbooks.queries import incident_addresses, planned_tell

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture
def desk() -> Iterator[Desk]:
    with driving() as mails:
        yield Desk(mails, DeliveryLoop(InHouseCourier(), worker=uuid.uuid4(), medium=InboxMedium()))


@pytest.fixture
def cast() -> Cast:
    """Aisha has a mail address; Bram only a mobile number, Chitra a browser and her page, Dana nothing at all."""
    cast = make_cast()
    ContactPoint.objects.exclude(customer=cast.aisha).delete()
    ContactPoint.objects.create(customer=cast.bram, channel="sms", address="+31612345678")
    ContactPoint.objects.create(customer=cast.chitra, channel="push", address="{}")
    ContactPoint.objects.create(customer=cast.chitra, channel="inbox", address="my page")
    outage_rule(owner=cast.team, resolve_after_seconds=100_000)
    approve_shipped()
    return cast


def node_fails(desk: Desk) -> Incident:
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        desk.settle()
    return Incident.objects.get()


def test_where_mail_alone_is_set_up_the_rest_is_passed_over_with_a_reason_that_can_be_read(
    cast: Cast, desk: Desk
) -> None:
    assert not {"sms", "push"} & live_channels()
    incident = node_fails(desk)
    told = {one.customer_id: one for one in Message.objects.all()}
    aisha, bram, chitra, dana = (told[one.pk] for one in cast.touched)
    assert (aisha.state, aisha.channel, aisha.passed_over) == ("sent", "email", None)
    off = [["sms", "channel_off"], ["push", "channel_off"]]
    assert (chitra.state, chitra.reason, chitra.channel) == ("refused", "unread", "inbox")
    assert chitra.passed_over == [["email", "no_contact_point"], *off]
    for nobody in (bram, dana):
        assert (nobody.state, nobody.reason, nobody.channel) == ("refused", "no_contact_point", "email")
        assert nobody.passed_over == [*off, ["inbox", "no_contact_point"]]
    assert passed_over(bram.passed_over)[0] == "text message: Not sent: no provider is set up for this channel."
    assert untold_ids(incident.pk) == sorted([cast.bram.pk, cast.chitra.pk, cast.dana.pk])
    assert set(Delivery.objects.values_list("channel", "state")) == {("email", "accepted"), ("inbox", "accepted")}
    assert not Message.objects.filter(state="failed").exists()


def test_the_list_for_a_person_says_of_each_channel_why_it_did_not_do(cast: Cast, desk: Desk) -> None:
    incident = node_fails(desk)
    client = Client()
    client.force_login(cast.ester)
    page = client.get(f"/console/incidents/{incident.public_id}/could-not-tell/").content.decode()
    assert not_sent("no_contact_point") in page
    assert f"text message: {not_sent('channel_off')}" in page
    assert f"notification: {not_sent('channel_off')}" in page


def test_who_cannot_be_reached_is_counted_over_all_channels_that_are_set_up(
    cast: Cast, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    PlaybookVersion.objects.update(approved_at=None)
    incident = node_fails(desk)
    run = Run.objects.select_related("incident", "version").get(incident=incident)
    plan = planned_tell(run, now=at(3))
    assert plan is not None
    assert (plan.channels, plan.unreachable) == (("email", "sms", "push", "inbox"), 2)
    with FakeSmsGateway() as gateway:
        monkeypatch.setattr(settings, "SMS_GATEWAY", gateway.gateway)
        usable = incident_addresses(incident)
        assert usable == {"email", "sms", "inbox"}
        assert [one.language for one in language_shares(incident, channels=usable) if one.unreachable] == ["en"]
        assert addresses_for(["call"]) == {"phone", "sms"}


@contextmanager
def statements() -> Iterator[list[str]]:
    """Everything that is sent to the database, also by the engine room's own cursors."""
    seen: list[str] = []
    whole = psycopg.Cursor.execute

    def noted(self: Any, query: Any, *given: Any, **more: Any) -> Any:
        seen.append(str(query))
        return whole(self, query, *given, **more)

    with patch.object(psycopg.Cursor, "execute", noted):
        yield seen


ADDRESSES = """
WITH these AS (SELECT id FROM customers_customer WHERE external_id IN (SELECT 'c' || n FROM generate_series(%s, %s) n)),
gone AS (DELETE FROM customers_contactpoint p USING these WHERE p.customer_id = these.id AND these.id %% 10 < 4)
INSERT INTO customers_contactpoint (customer_id, channel, address, rank, status, status_reason)
SELECT these.id, has.channel, '+3161' || lpad(these.id::text, 7, '0'), 1, 'working', ''
FROM these JOIN (VALUES (0, 'sms'), (1, 'inbox'), (2, 'sms'), (2, 'inbox'), (4, 'sms')) has(digit, channel)
  ON has.digit = these.id %% 10
"""
"""Of every ten customers six have a mail address, one of them a mobile number too; one each has only a mobile number, only
their page, both of these, and nothing."""


def make_varied(count: int, *, first: int, node: str) -> None:
    """Customers of every kind on a node, over which their mail runs."""
    make_company(count, first=first, node=node)
    over_it = {"external_id": node, "kind": "node", "name": node, "attributes.carries": "email"}
    upsert_components([over_it], actor="test", source="test")
    execute(ADDRESSES, [first, first + count - 1])


def told_of(drive: Drive, node: str, *, minutes: float) -> tuple[int, int]:
    """How many statements it took to decide for everyone on a node, and to give their mails to the mail server."""
    with travel(at(minutes + 3)):
        post_webhook([alert(starts_at=at(minutes), node=node)])
        with statements() as deciding:
            while drive.decide():
                pass
        with statements() as sending:
            while drive.deliver():
                pass
    return len(deciding), len(sending)


def test_over_four_channels_no_question_is_asked_for_each_customer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    outage_rule(resolve_after_seconds=100_000)
    approve_shipped()
    make_varied(128, first=1, node="node-1")
    make_varied(128, first=1_001, node="node-2")
    make_varied(1_024, first=2_001, node="node-3")
    with FakeSmsGateway() as gateway:
        monkeypatch.setattr(settings, "SMS_GATEWAY", gateway.gateway)
        told_of(desk.mails, "node-1", minutes=0)  # what is asked once, and then known
        few, few_sent = told_of(desk.mails, "node-2", minutes=10)
        many, many_sent = told_of(desk.mails, "node-3", minutes=20)
    channels = Message.objects.filter(state__in=["queued", "sent"]).values_list("channel", flat=True)
    assert set(channels) == {"email", "sms", "inbox"}
    assert Message.objects.filter(passed_over__contains=[["email", "runs_over_failure"]]).exists()
    assert Message.objects.count() == 128 + 128 + 1_024
    more = 1_024 - 128
    assert many - few < more / 10, "they are decided for in sets, a bucket at a time"
    assert many_sent - few_sent < more / 4, "and sent in flights"
