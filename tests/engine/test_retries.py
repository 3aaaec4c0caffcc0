"""When a delivery is tried again, when it is not, and what the answer holds against the address."""

from datetime import UTC, datetime, timedelta

import pytest

from beforehand.engine.contacts import ContactFault
from beforehand.engine.retries import (
    DELAYS,
    RetryReason,
    retry_after_deferral,
    retry_after_rejection,
    retry_after_sms_refusal,
    retry_after_sms_report,
)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_each_wait_is_longer_than_the_one_before_and_all_together_less_than_a_day() -> None:
    assert list(DELAYS) == sorted(set(DELAYS))
    assert sum(DELAYS, timedelta(0)) < timedelta(days=1)


@pytest.mark.parametrize("attempt", range(1, len(DELAYS) + 1))
def test_what_was_put_off_waits_its_turn(attempt: int) -> None:
    again = retry_after_deferral(attempt=attempt, now=NOW)
    assert (again.reason, again.at, again.fault) == (RetryReason.PUT_OFF, NOW + DELAYS[attempt - 1], ContactFault.NONE)


def test_after_the_last_wait_it_is_given_up_and_the_address_lives() -> None:
    again = retry_after_deferral(attempt=len(DELAYS) + 1, now=NOW)
    assert (again.reason, again.at, again.fault) == (RetryReason.GIVEN_UP, None, ContactFault.NONE)


@pytest.mark.parametrize("enhanced", ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"])
def test_a_mailbox_that_does_not_exist_is_dead(enhanced: str) -> None:
    never = retry_after_rejection(enhanced=enhanced)
    assert (never.reason, never.at, never.fault) == (RetryReason.MAILBOX_DOES_NOT_EXIST, None, ContactFault.UNKNOWN)


@pytest.mark.parametrize("enhanced", ["5.7.1", "5.1.8", "5.0.0", "", None])
def test_a_policy_says_nothing_against_the_address(enhanced: str | None) -> None:
    never = retry_after_rejection(enhanced=enhanced)
    assert (never.reason, never.at, never.fault) == (RetryReason.REFUSED_BY_PROVIDER, None, ContactFault.NONE)


def test_a_full_mailbox_has_a_reason_of_its_own_and_lives() -> None:
    full = retry_after_rejection(enhanced="5.2.2")
    assert (full.reason, full.at, full.fault) == (RetryReason.MAILBOX_FULL, None, ContactFault.NONE)


@pytest.mark.parametrize(
    ("code", "reason", "fault"),
    [
        ("21211", RetryReason.NUMBER_INVALID, ContactFault.INVALID),
        ("21610", RetryReason.OPTED_OUT, ContactFault.OPTED_OUT),
        ("30005", RetryReason.NUMBER_UNKNOWN, ContactFault.UNKNOWN),
        ("30007", RetryReason.FILTERED, ContactFault.NONE),
    ],
)
def test_a_gateways_code_says_the_same_of_the_number_at_once_and_later(
    code: str, reason: RetryReason, fault: ContactFault
) -> None:
    for never in (retry_after_sms_refusal(code), retry_after_sms_report(code)):
        assert (never.reason, never.at, never.fault) == (reason, None, fault)


def test_a_code_that_we_do_not_know_holds_nothing_against_the_number() -> None:
    assert retry_after_sms_refusal("21617").reason is RetryReason.REFUSED_BY_PROVIDER
    assert retry_after_sms_report("").reason is RetryReason.NOT_DELIVERED
    assert retry_after_sms_report("30008").fault is ContactFault.NONE
