"""What a failure says of an address, and which channel a customer is told by."""

from datetime import UTC, datetime

import pytest

from beforehand.engine.contacts import ContactFault, ContactStatus, status_after
from beforehand.engine.sending import SendingDecision, SendingReason, Verdict
from beforehand.engine.ways import RUNS_OVER_FAILURE, Way, chosen_way

WORKING, FAILING, DEAD, BLOCKED = ContactStatus
YES = SendingDecision(Verdict.SEND, SendingReason.ALLOWED)
LATER = SendingDecision(Verdict.WAIT, SendingReason.QUIET_HOURS, datetime(2026, 11, 23, 8, tzinfo=UTC))
NONE = SendingDecision(Verdict.REFUSE, SendingReason.NO_CONTACT_POINT)
GONE = SendingDecision(Verdict.REFUSE, SendingReason.ADDRESS_DEAD)


@pytest.mark.parametrize(
    ("fault", "before", "after"),
    [
        (ContactFault.NONE, WORKING, WORKING),
        (ContactFault.NONE, FAILING, FAILING),
        (ContactFault.UNKNOWN, WORKING, FAILING),
        (ContactFault.UNKNOWN, FAILING, DEAD),
        (ContactFault.UNKNOWN, DEAD, DEAD),
        (ContactFault.UNKNOWN, BLOCKED, BLOCKED),
        (ContactFault.INVALID, WORKING, DEAD),
        (ContactFault.OPTED_OUT, WORKING, BLOCKED),
        (ContactFault.OPTED_OUT, DEAD, BLOCKED),
    ],
)
def test_one_word_is_a_doubt_and_the_second_confirms_it(
    fault: ContactFault, before: ContactStatus, after: ContactStatus
) -> None:
    assert status_after(fault, status=before) is after


def test_the_first_channel_that_may_is_taken_and_the_others_have_their_reason() -> None:
    chosen = chosen_way([Way("email", NONE), Way("sms", YES), Way("push", YES)])
    assert (chosen.place, chosen.passed_over) == (1, (("email", "no_contact_point"),))


def test_who_waits_for_the_morning_waits_on_the_first_channel() -> None:
    assert chosen_way([Way("email", LATER), Way("sms", YES)]).place == 0


def test_a_channel_that_runs_over_what_failed_is_passed_over() -> None:
    chosen = chosen_way([Way("email", YES, is_down=True), Way("sms", YES)])
    assert (chosen.place, chosen.passed_over) == (1, (("email", RUNS_OVER_FAILURE),))


def test_a_channel_that_is_down_is_taken_before_none_at_all() -> None:
    chosen = chosen_way([Way("email", YES, is_down=True), Way("sms", GONE)])
    assert (chosen.place, chosen.passed_over) == (0, (("sms", "address_dead"),))


def test_where_every_channel_is_refused_the_first_ones_refusal_stands() -> None:
    chosen = chosen_way([Way("email", NONE), Way("sms", GONE)])
    assert (chosen.place, chosen.passed_over) == (0, (("sms", "address_dead"),))


def test_without_a_channel_there_is_nothing_to_choose() -> None:
    with pytest.raises(ValueError, match="no way"):
        chosen_way([])
