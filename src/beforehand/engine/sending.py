"""May this message go to this customer now? One answer with its reason, when it is due and again when it is sent."""

from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum

from beforehand.engine.message_classes import RULES, ConsentNeed, MessageClass
from beforehand.engine.quiet_hours import quiet_until


class Verdict(StrEnum):
    """What to do with the message."""

    SEND = "send"
    WAIT = "wait"
    REFUSE = "refuse"


class SendingReason(StrEnum):
    """Why a message is sent, waits, or is not sent."""

    ALLOWED = "allowed"
    QUIET_HOURS = "quiet_hours"
    CHANNEL_OFF = "channel_off"
    NO_CONTACT_POINT = "no_contact_point"
    ADDRESS_DEAD = "address_dead"
    ADDRESS_BLOCKED = "address_blocked"
    CUSTOMER_ERASED = "customer_erased"
    OBJECTED = "objected"
    NO_OPT_IN = "no_opt_in"
    NO_TEXT = "no_text"
    CAP_REACHED = "cap_reached"
    ONLY_CHANGES = "only_changes"
    WORD_WAITS = "word_waits"


@dataclass(frozen=True, slots=True)
class Recipient:
    """What the decision needs to know of one customer on one channel."""

    has_contact_point: bool
    address_is_dead: bool
    is_erased: bool
    consent: bool | None
    """The newest answer for this class and channel; None: never asked."""
    has_text: bool
    """Whether a text exists in a language that this customer can be given."""
    zone: str
    quiet_from: time
    quiet_until: time
    address_is_blocked: bool = False
    """Whether its owner told the provider that nothing more may come there."""
    channel_is_off: bool = False
    """Whether this installation has no provider for the channel."""
    said_this_week: int = 0
    """How many messages of this class the customer has been sent in the last seven days."""
    skipped_for: SendingReason | None = None
    """Why a word in which nothing is new is not for them."""
    cap: int | None = None
    """How many of this class are allowed in seven days; None: as many as there are."""


@dataclass(frozen=True, slots=True)
class SendingDecision:
    """The verdict, its reason, and until when to wait."""

    verdict: Verdict
    reason: SendingReason
    until: datetime | None = None


def sending_decision(recipient: Recipient, *, message_class: MessageClass, now: datetime) -> SendingDecision:
    """Whether a message of this class may go now; what forbids it for good is answered before what delays it."""
    rule = RULES[message_class]
    refusal = _refusal(recipient, rule.consent)
    if refusal is None and rule.is_capped and recipient.cap is not None and recipient.said_this_week >= recipient.cap:
        refusal = SendingReason.CAP_REACHED
    if refusal is not None:
        return SendingDecision(Verdict.REFUSE, refusal)
    if not rule.breaks_quiet_hours:
        until = quiet_until(now, zone=recipient.zone, start=recipient.quiet_from, end=recipient.quiet_until)
        if until is not None:
            return SendingDecision(Verdict.WAIT, SendingReason.QUIET_HOURS, until)
    return SendingDecision(Verdict.SEND, SendingReason.ALLOWED)


def _refusal(recipient: Recipient, need: ConsentNeed) -> SendingReason | None:
    if recipient.is_erased:
        return SendingReason.CUSTOMER_ERASED
    if recipient.skipped_for is not None:
        return recipient.skipped_for
    if recipient.channel_is_off:
        return SendingReason.CHANNEL_OFF
    if not recipient.has_contact_point:
        return SendingReason.NO_CONTACT_POINT
    if recipient.address_is_dead:
        return SendingReason.ADDRESS_DEAD
    if recipient.address_is_blocked:
        return SendingReason.ADDRESS_BLOCKED
    if need is not ConsentNeed.NONE and recipient.consent is False:
        return SendingReason.OBJECTED
    if need is ConsentNeed.OPT_IN and recipient.consent is not True:
        return SendingReason.NO_OPT_IN
    if not recipient.has_text:
        return SendingReason.NO_TEXT
    return None
