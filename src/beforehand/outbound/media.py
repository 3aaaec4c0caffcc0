"""What a channel is to the delivery loop: something that makes a message's bytes, and something that carries them.

The loop claims, judges again, paces, and records; it does so for every channel alike. Here are the two sides that differ.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Generic, Protocol, TypeVar

from django.conf import settings

from beforehand.accounts.installation import Installation
from beforehand.customers.models import ContactPoint
from beforehand.engine.calls import CallReason
from beforehand.engine.message_classes import RULES, MessageClass
from beforehand.engine.retries import Retry, retry_after_rejection, retry_after_sms_refusal
from beforehand.engine.thread_ids import message_id, reply_address
from beforehand.kit.links import page_link, unsubscribe_link
from beforehand.outbound.claims import Claim
from beforehand.outbound.in_house import UNREAD, Placed
from beforehand.outbound.models import Channel
from beforehand.outbound.short_texts import ShortText
from beforehand.outbound.skeletons import Compiler, compile_batch, compile_short_batch
from beforehand.outbound.sms import OutgoingSms
from beforehand.outbound.smtp_protocol import Outcome, Outgoing
from beforehand.outbound.templates import MailSkeleton

VERIFY_URL = f"{settings.BASE_URL}/check"
"""Where a customer types the code of a message to learn whether it is ours."""
REPORT_URL = f"{settings.BASE_URL}/hooks/sms/status"
"""Where the SMS gateway reports what became of a message."""

EMAIL, SMS = Channel.EMAIL.value, Channel.SMS.value


class Sendable(Protocol):
    """A message that is ready to go."""

    @property
    def key(self) -> Hashable: ...


class Carrier(Protocol):
    """Takes flights of messages to the provider, several at a time, and brings back what became of each."""

    connections: int

    def idle(self) -> int: ...
    @property
    def failures(self) -> int: ...
    @property
    def wait_asked(self) -> float: ...
    def submit(self, flight: Sequence[Any], landed: Callable[[list[Outcome]], object]) -> None: ...


Text = TypeVar("Text")


class Medium(Protocol, Generic[Text]):
    """One channel's own ways."""

    channel: str
    flight: int
    """Messages in flight on one connection at the most: so many a crash leaves in doubt."""
    reports_later: bool
    """Whether the provider says afterwards what became of what it accepted."""
    compiler: Compiler[Text]
    by_hand: str
    """For a channel whose messages people say: the reason with which they wait on the list for somebody to do it."""
    until_opened: str
    """For a channel on which being there is not being told: the reason with which a message waits to be opened."""

    def rate(self, standard: Installation) -> float: ...
    def made(self, one: Claim, text: Text, *, message_class: MessageClass, now: datetime) -> Sendable: ...
    def after_rejection(self, outcome: Outcome) -> Retry: ...


class MailMedium:
    """E-mail over SMTP."""

    channel = EMAIL
    flight = 50
    reports_later = False
    by_hand = ""
    until_opened = ""
    compiler: Compiler[MailSkeleton] = staticmethod(compile_batch)

    def __init__(self) -> None:
        self._dated_at: datetime | None = None
        self._date = ""

    def rate(self, standard: Installation) -> float:
        """Mails a second; 0 is as fast as the server takes them."""
        return standard.mail_rate

    def made(self, one: Claim, text: MailSkeleton, *, message_class: MessageClass, now: datetime) -> Outgoing:
        """The mail for one recipient; raises `MailValueError` and `AddressRefusedError`."""
        if now != self._dated_at:
            self._dated_at, self._date = now, format_datetime(now)
        reply_to = reply_address(one.bucket, one.message_id, settings.REPLY_MAILBOX, settings.SECRET_KEY)
        data = text.fill(
            values_of(one, now),
            to=one.address or "",
            to_name=one.name,
            message_id=message_id(one.bucket, one.message_id, settings.MESSAGE_DOMAIN, settings.SECRET_KEY),
            reply_to=reply_to,
            date=self._date,
            unsubscribe_url=unsubscribe_link(one.customer_id, message_class.value, now=now)
            if RULES[message_class].offers_unsubscribe
            else "",
        )
        return Outgoing(key=one.key, sender=reply_to, recipient=one.address or "", data=data)

    def after_rejection(self, outcome: Outcome) -> Retry:
        """What follows when the mail server refuses for good."""
        return retry_after_rejection(enhanced=outcome.enhanced)


class SmsMedium:
    """Text messages over Twilio's HTTP API, or whatever speaks it."""

    channel = SMS
    flight = 5
    reports_later = True
    by_hand = ""
    until_opened = ""
    compiler: Compiler[ShortText] = staticmethod(compile_short_batch)

    def rate(self, standard: Installation) -> float:
        """Messages a second; 0 is as fast as the gateway takes them."""
        return standard.sms_rate

    def made(self, one: Claim, text: ShortText, *, message_class: MessageClass, now: datetime) -> OutgoingSms:
        """The text message for one recipient; raises `MailValueError`."""
        report_url = f"{REPORT_URL}?attempt={one.bucket}-{one.message_id}-{one.attempt}"
        return OutgoingSms(one.key, to=one.address or "", text=text.fill(values_of(one, now)), report_url=report_url)

    def after_rejection(self, outcome: Outcome) -> Retry:
        """What follows when the gateway refuses for good."""
        return retry_after_sms_refusal(outcome.enhanced or "")


class InboxMedium:
    """Messages on the customer's own page: there is no provider, and what was opened is known."""

    channel = Channel.INBOX.value
    flight = 500
    reports_later = True
    by_hand = ""
    until_opened = UNREAD
    compiler: Compiler[MailSkeleton] = staticmethod(compile_batch)

    def rate(self, standard: Installation) -> float:
        """As fast as they can be written down."""
        return 0

    def made(self, one: Claim, text: MailSkeleton, *, message_class: MessageClass, now: datetime) -> Placed:
        """Filled once, to know that it can be; raises `MailValueError`."""
        text.preview(values_of(one, now))
        return Placed(one.key)

    def after_rejection(self, outcome: Outcome) -> Retry:
        """Never asked: nobody refuses a message to themselves."""
        return retry_after_rejection(enhanced=outcome.enhanced)


class CallMedium(InboxMedium):
    """Calls that a person makes: judged like any message when they are due, and then put on the list."""

    channel = Channel.CALL.value
    by_hand = CallReason.CALL_WAITS.value


def values_of(one: Claim, now: datetime) -> dict[str, str]:
    """The recipient's own values."""
    return {
        **one.slots,
        "code": one.code,
        "my_page_url": page_link(one.customer_id, now=now),
        "verify_url": VERIFY_URL,
    }


def addresses_for(channels: Iterable[str]) -> frozenset[str]:
    """The kinds of address by which these channels reach somebody here; those without a provider reach nobody."""
    named, call = {str(channel) for channel in channels}, Channel.CALL.value
    usable = live_channels() & named
    return usable - {call} | {ContactPoint.Channel.PHONE.value, SMS} if call in usable else usable


def live_channels() -> frozenset[str]:
    """The channels for which this installation has a provider."""
    live = {EMAIL, Channel.INBOX.value, Channel.WEBHOOK.value, Channel.CALL.value}
    if settings.SMS_GATEWAY is not None:
        live.add(SMS)
    if settings.PUSH_KEY:
        live.add(Channel.PUSH.value)
    return frozenset(live)
