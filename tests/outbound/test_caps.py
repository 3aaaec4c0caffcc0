"""At most so many messages of a class in a week: judged when due and again when sent, for many customers at once."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.cast import Cast, make_cast
from tests.driving import Drive, driving

from beforehand.accounts.actions import set_setting
from beforehand.customers.models import ContactPoint, Customer
from beforehand.engine.message_classes import MessageClass
from beforehand.kit.clock import travel
from beforehand.outbound.actions import create_batch
from beforehand.outbound.models import Message
from beforehand.outbound.writing import Addressee, write_messages

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

MONDAY = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TEXT = "---\nsubject: A tip\n---\nDear {{ customer.name }}, put your router high up.\n"


@pytest.fixture
def cast() -> Cast:
    return make_cast()


@pytest.fixture
def drive(cast: Cast) -> Iterator[Drive]:
    with driving() as drive:
        yield drive


def say(cast: Cast, name: str, *, now: datetime, message_class: MessageClass = MessageClass.CARE) -> None:
    """One more message to Bram and Dana."""
    batch, _ = create_batch(
        effect_key=name, origin=f"tip:{name}", step="tip", audience="affected", message_class=message_class,
        channels=["email"], texts={"en": TEXT}, fallback_language="en", facts={"en": {}}, next_update_at=None,
        why={}, decided_at=now, actor="test",
    )  # fmt: skip
    write_messages(batch, [_to(cast.bram), _to(cast.dana)], now=now, actor="test")


def _to(customer: Customer) -> Addressee:
    return Addressee(
        customer_id=customer.pk, channel="email",
        contact_point_id=ContactPoint.objects.get(customer=customer).pk, address_is_dead=False, is_erased=False,
        consent=None, language="en", time_zone="Europe/London", formal=True, large_print=False,
        quiet_from=time(22), quiet_until=time(8), is_urgent=False,
        slots={"customer.name": customer.name, "customer.salutation": "", "holding": ""},
    )  # fmt: skip


def outcomes(cast: Cast) -> list[tuple[str, str]]:
    return [(one.state, one.reason) for one in Message.objects.filter(customer_id=cast.bram.pk).order_by("id")]


def test_the_third_care_message_of_a_week_is_refused_and_a_week_later_it_is_sent(cast: Cast, drive: Drive) -> None:
    for number in range(3):
        with travel(MONDAY + timedelta(days=number)):
            say(cast, f"tip-{number}", now=MONDAY + timedelta(days=number))
            drive.settle()
    assert outcomes(cast) == [("sent", ""), ("sent", ""), ("refused", "cap_reached")]
    later = MONDAY + timedelta(days=7, minutes=1)
    with travel(later):
        say(cast, "tip-later", now=later)
        drive.settle()
    assert outcomes(cast)[-1] == ("sent", "")


def test_what_was_decided_together_is_judged_again_when_it_is_sent(cast: Cast, drive: Drive) -> None:
    set_setting(key="caps.care", value=1, actor="test")
    with travel(MONDAY):
        say(cast, "one", now=MONDAY)
        say(cast, "two", now=MONDAY)
        assert outcomes(cast) == [("queued", ""), ("queued", "")]
        drive.settle()
    assert outcomes(cast) == [("sent", ""), ("refused", "cap_reached")]
    assert drive.mailbox.counts() == {"bram@customers.example": 1, "dana@customers.example": 1}


def test_a_cap_of_none_stops_a_class_and_what_is_critical_is_never_capped(cast: Cast, drive: Drive) -> None:
    set_setting(key="caps.survey", value=0, actor="test")
    with travel(MONDAY):
        say(cast, "survey", now=MONDAY, message_class=MessageClass.SURVEY)
        for number in range(4):
            say(cast, f"critical-{number}", now=MONDAY, message_class=MessageClass.SERVICE_CRITICAL)
        drive.settle()
    assert outcomes(cast) == [("refused", "cap_reached"), *[("sent", "")] * 4]


def test_a_batch_asks_for_the_cap_and_once_for_everyone_and_an_uncapped_one_not_at_all(cast: Cast) -> None:
    def asked(message_class: MessageClass, name: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            say(cast, name, now=MONDAY, message_class=message_class)
        return len(queries)

    assert asked(MessageClass.CARE, "care") <= asked(MessageClass.SERVICE, "service") + 2
