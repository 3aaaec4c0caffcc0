"""Calls that people make: by when, and what follows from how one ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from beforehand.engine.contacts import ContactFault


class CallReason(StrEnum):
    """Why a message that a person has to say has not been said."""

    CALL_WAITS = "call_waits"
    TO_BE_CALLED = "to_be_called"
    NO_ANSWER = "no_answer"
    WRONG_NUMBER = "wrong_number"


class CallResult(StrEnum):
    """How a call ended, as whoever made it says."""

    REACHED = "reached"
    NO_ANSWER = "no answer"
    WRONG_NUMBER = "wrong number"


AGAIN = (timedelta(minutes=15), timedelta(minutes=30), timedelta(hours=1))
"""Waits after the first, second … call that nobody answered; after that, the last one each time."""


@dataclass(frozen=True, slots=True)
class AfterCall:
    """Whether the customer is told; if not, why, when to call again, and what it says of the number."""

    is_told: bool
    reason: CallReason | None = None
    again_at: datetime | None = None
    fault: ContactFault = ContactFault.NONE


def after_call(result: CallResult, *, attempt: int, now: datetime) -> AfterCall:
    """What follows from call number `attempt` (1 is the first) of this message."""
    match result:
        case CallResult.REACHED:
            return AfterCall(True)
        case CallResult.NO_ANSWER:
            return AfterCall(False, CallReason.NO_ANSWER, now + AGAIN[min(attempt, len(AGAIN)) - 1])
        case CallResult.WRONG_NUMBER:
            return AfterCall(False, CallReason.WRONG_NUMBER, None, ContactFault.INVALID)


def call_due(since: datetime, *, within: timedelta, next_word_at: datetime | None) -> datetime:
    """By when a customer is to be called: in the agreed time, and before the next word is due."""
    due = since + within
    return min(due, next_word_at) if next_word_at is not None and next_word_at > since else due
