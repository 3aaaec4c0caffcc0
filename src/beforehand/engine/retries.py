"""When to try a delivery again, and when to stop: what the provider said decides."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from beforehand.engine.contacts import ContactFault
from beforehand.engine.incoming.bounces import Bounce

DELAYS = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=8),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=4),
)
"""Waits after the first, second … attempt that was put off; after the last one the message has failed."""


class RetryReason(StrEnum):
    """What follows from an attempt's outcome."""

    PUT_OFF = "put_off"
    GIVEN_UP = "given_up"
    REFUSED_BY_PROVIDER = "refused_by_provider"
    MAILBOX_DOES_NOT_EXIST = "mailbox_does_not_exist"
    MAILBOX_FULL = "mailbox_full"
    NUMBER_INVALID = "number_invalid"
    NUMBER_GETS_NO_TEXTS = "number_gets_no_texts"
    NUMBER_UNKNOWN = "number_unknown"
    OPTED_OUT = "opted_out"
    PHONE_NOT_REACHED = "phone_not_reached"
    FILTERED = "filtered"
    NOT_DELIVERED = "not_delivered"
    GONE = "gone"
    HOST_REFUSED = "host_refused"
    CAME_BACK_NO_SUCH_MAILBOX = "came_back_no_such_mailbox"
    CAME_BACK_NO_SUCH_DOMAIN = "came_back_no_such_domain"
    CAME_BACK_MOVED = "came_back_moved"
    CAME_BACK_TAKES_NO_MAIL = "came_back_takes_no_mail"
    MAILBOX_OFF = "mailbox_off"
    TAKEN_FOR_SPAM = "taken_for_spam"
    SENDER_BLOCKED = "sender_blocked"
    AGAINST_POLICY = "against_policy"
    TOO_LARGE = "too_large"
    TOO_MUCH_AT_ONCE = "too_much_at_once"
    SERVER_NOT_REACHED = "server_not_reached"
    FAULT_OVER_THERE = "fault_over_there"
    CAME_BACK = "came_back"
    COMPLAINED = "complained"


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again at `at`, or never (None); `fault` is what the answer holds against the address itself."""

    reason: RetryReason
    at: datetime | None
    fault: ContactFault = ContactFault.NONE


def retry_after_deferral(*, attempt: int, now: datetime, asked: timedelta = timedelta()) -> Retry:
    """What to do after the provider put off attempt number `attempt` (1 is the first) on this channel."""
    if attempt > len(DELAYS):
        return Retry(RetryReason.GIVEN_UP, None)
    return Retry(RetryReason.PUT_OFF, now + max(DELAYS[attempt - 1], asked))


UNKNOWN_ADDRESS = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10")
"""Enhanced status codes (RFC 3463, RFC 7505) that speak of the address itself; a full mailbox does not."""
FULL_MAILBOX = "5.2.2"


def retry_after_rejection(*, enhanced: str | None) -> Retry:
    """What follows from a mail server's permanent refusal; nothing is held against a living address."""
    if enhanced in UNKNOWN_ADDRESS:
        return Retry(RetryReason.MAILBOX_DOES_NOT_EXIST, None, ContactFault.UNKNOWN)
    if enhanced == FULL_MAILBOX:
        return Retry(RetryReason.MAILBOX_FULL, None)
    return Retry(RetryReason.REFUSED_BY_PROVIDER, None)


SMS_REFUSALS: dict[str, tuple[RetryReason, ContactFault]] = {
    "21211": (RetryReason.NUMBER_INVALID, ContactFault.INVALID),
    "21614": (RetryReason.NUMBER_GETS_NO_TEXTS, ContactFault.INVALID),
    "21610": (RetryReason.OPTED_OUT, ContactFault.OPTED_OUT),
    "30003": (RetryReason.PHONE_NOT_REACHED, ContactFault.NONE),
    "30005": (RetryReason.NUMBER_UNKNOWN, ContactFault.UNKNOWN),
    "30006": (RetryReason.NUMBER_GETS_NO_TEXTS, ContactFault.UNKNOWN),
    "30007": (RetryReason.FILTERED, ContactFault.NONE),
}
"""Twilio's error codes that speak of the number, in the answer to a request (2….) or in a report later (3….)."""


def retry_after_sms_refusal(code: str) -> Retry:
    """What follows when the SMS gateway refuses a message for good."""
    reason, fault = SMS_REFUSALS.get(code, (RetryReason.REFUSED_BY_PROVIDER, ContactFault.NONE))
    return Retry(reason, None, fault)


def retry_after_sms_report(code: str) -> Retry:
    """What follows when the gateway took a message and reports later that it did not arrive."""
    reason, fault = SMS_REFUSALS.get(code, (RetryReason.NOT_DELIVERED, ContactFault.NONE))
    return Retry(reason, None, fault)


def retry_after_bounce(bounce: Bounce) -> Retry:
    """What follows when a mail comes back: only a reason that speaks of the address is held against it."""
    fault = ContactFault.UNKNOWN if bounce.is_hard else ContactFault.NONE
    return Retry(RetryReason(bounce.reason), None, fault)


def retry_after_post_refusal(word: str) -> Retry:
    """What follows when a receiver of posts, or a push service, refuses one for good."""
    if word == "gone":
        return Retry(RetryReason.GONE, None, ContactFault.INVALID)
    if word == "host refused":
        return Retry(RetryReason.HOST_REFUSED, None, ContactFault.UNKNOWN)
    return Retry(RetryReason.REFUSED_BY_PROVIDER, None)
