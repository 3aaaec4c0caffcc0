"""May this go to this customer now: every answer and its reason."""

from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any

import pytest

from beforehand.engine.message_classes import MessageClass
from beforehand.engine.sending import Recipient, SendingReason, Verdict, sending_decision

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NIGHT = datetime(2026, 11, 23, 23, tzinfo=UTC)
ANYBODY = Recipient(
    has_contact_point=True,
    address_is_dead=False,
    is_erased=False,
    consent=None,
    has_text=True,
    zone="Europe/London",
    quiet_from=time(22),
    quiet_until=time(8),
)


@pytest.mark.parametrize(
    ("message_class", "changes", "reason"),
    [
        (MessageClass.SERVICE_CRITICAL, {}, SendingReason.ALLOWED),
        (MessageClass.SERVICE_CRITICAL, {"consent": False}, SendingReason.ALLOWED),
        (MessageClass.SERVICE, {"consent": False}, SendingReason.ALLOWED),
        (MessageClass.CARE, {}, SendingReason.ALLOWED),
        (MessageClass.CARE, {"consent": False}, SendingReason.OBJECTED),
        (MessageClass.SURVEY, {"consent": False}, SendingReason.OBJECTED),
        (MessageClass.MARKETING, {}, SendingReason.NO_OPT_IN),
        (MessageClass.MARKETING, {"consent": False}, SendingReason.OBJECTED),
        (MessageClass.MARKETING, {"consent": True}, SendingReason.ALLOWED),
        (MessageClass.SERVICE_CRITICAL, {"is_erased": True}, SendingReason.CUSTOMER_ERASED),
        (MessageClass.SERVICE_CRITICAL, {"has_contact_point": False}, SendingReason.NO_CONTACT_POINT),
        (MessageClass.SERVICE_CRITICAL, {"address_is_dead": True}, SendingReason.ADDRESS_DEAD),
        (MessageClass.SERVICE_CRITICAL, {"address_is_blocked": True}, SendingReason.ADDRESS_BLOCKED),
        (MessageClass.SERVICE_CRITICAL, {"channel_is_off": True}, SendingReason.CHANNEL_OFF),
        (MessageClass.CARE, {"cap": 2, "said_this_week": 1}, SendingReason.ALLOWED),
        (MessageClass.CARE, {"cap": 2, "said_this_week": 2}, SendingReason.CAP_REACHED),
        (MessageClass.CARE, {"cap": 0}, SendingReason.CAP_REACHED),
        (MessageClass.CARE, {"said_this_week": 9}, SendingReason.ALLOWED),
        (MessageClass.CARE, {"cap": 0, "consent": False}, SendingReason.OBJECTED),
        (MessageClass.SERVICE_CRITICAL, {"cap": 0}, SendingReason.ALLOWED),
        (MessageClass.SERVICE, {"cap": 0}, SendingReason.ALLOWED),
        (MessageClass.SERVICE_CRITICAL, {"has_text": False}, SendingReason.NO_TEXT),
    ],
)
def test_by_day_the_class_and_the_recipient_decide(
    message_class: MessageClass, changes: dict[str, Any], reason: SendingReason
) -> None:
    decision = sending_decision(replace(ANYBODY, **changes), message_class=message_class, now=NOON)
    assert decision.reason is reason
    assert decision.verdict is (Verdict.SEND if reason is SendingReason.ALLOWED else Verdict.REFUSE)
    assert decision.until is None


@pytest.mark.parametrize("message_class", [one for one in MessageClass if one is not MessageClass.SERVICE_CRITICAL])
def test_by_night_all_but_the_critical_waits_for_the_morning(message_class: MessageClass) -> None:
    decision = sending_decision(replace(ANYBODY, consent=True), message_class=message_class, now=NIGHT)
    assert (decision.verdict, decision.reason) == (Verdict.WAIT, SendingReason.QUIET_HOURS)
    assert decision.until == datetime(2026, 11, 24, 8, tzinfo=UTC)


def test_by_night_the_critical_goes_out() -> None:
    decision = sending_decision(ANYBODY, message_class=MessageClass.SERVICE_CRITICAL, now=NIGHT)
    assert decision.verdict is Verdict.SEND


def test_what_is_forbidden_for_good_is_not_put_off_until_the_morning() -> None:
    decision = sending_decision(replace(ANYBODY, consent=False), message_class=MessageClass.CARE, now=NIGHT)
    assert decision.verdict is Verdict.REFUSE
