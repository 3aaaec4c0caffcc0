"""Why: one sentence for each message, sent or not, and for each customer on a list. Every page takes its words from here."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from django.utils.translation import gettext as _

from beforehand.customers.models import ContactPoint
from beforehand.incidents.queries import AffectedLine
from beforehand.kit import clock
from beforehand.kit.web import times
from beforehand.kit.web.mixed import apart
from beforehand.outbound.in_house import UNREAD
from beforehand.outbound.localise import spoken_at
from beforehand.outbound.models import Channel, Message, MessageBatch


class Outcome(Protocol):
    """What a sentence needs of a message."""

    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def reason_until(self) -> datetime | None: ...
    @property
    def due_at(self) -> datetime: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def attempts(self) -> int: ...
    @property
    def channel(self) -> str: ...


def outcome(message: Outcome, *, batch_state: str = "", held_because: str = "") -> str:
    """What became of a message, and why, in one sentence."""
    if message.state == "queued":
        return _waiting(message, batch_state, held_because)
    if message.state == "sent" and message.channel == Channel.SMS:
        return _("Sent: the SMS gateway accepted it.")
    if message.state == "sent" and message.channel == Channel.CALL:
        return _("Told: somebody called the customer and reached them.")
    if message.state == "sent" and message.channel == Channel.WEBHOOK:
        return _("Sent: the customer's own system took it.")
    if message.state == "sent" and message.channel == Channel.PUSH:
        return _("Sent: the push service took the notification, and the message stands in the customer's inbox.")
    if message.state == "sent" and message.channel == Channel.INBOX:
        return _("Told: the customer opened it in their inbox.")
    if message.state == "sent":
        return _("Sent: the customer's mail provider accepted it.")
    if message.state == "uncertain":
        return _("Perhaps sent: the connection broke before the provider answered, and it is not sent a second time.")
    return not_sent(message.reason, message.state, attempts=message.attempts)


def state_name(state: str, reason: str) -> str:
    """How a message stands, in a word or two."""
    if reason == UNREAD:
        return _("waiting to be read")
    return str(Message.State(state).label)


def _waiting(message: Outcome, batch_state: str, held_because: str) -> str:
    if batch_state == MessageBatch.State.HELD:
        return _("Not sent yet: held back (%(reason)s).") % apart(reason=held_because or _("no reason was given"))
    if message.reason == "quiet_hours":
        return _("Not sent yet: quiet hours until %(time)s in %(zone)s.") % apart(
            time=_local(message.reason_until or message.due_at, message.time_zone), zone=message.time_zone
        )
    if message.reason in ("put_off", "unreachable") and message.channel == Channel.SMS:
        return _("Not sent yet: the SMS gateway does not take it now; the next attempt is at %(time)s.") % {
            "time": times.clock(message.due_at, now=clock.now())
        }
    if message.reason == "put_off" and message.channel in (Channel.WEBHOOK, Channel.PUSH):
        return _("Not sent yet: the receiver does not take it now; the next attempt is at %(time)s.") % {
            "time": times.clock(message.due_at, now=clock.now())
        }
    if message.reason in ("put_off", "unreachable"):
        return _("Not sent yet: the mail provider asked us to wait; the next attempt is at %(time)s.") % {
            "time": times.clock(message.due_at, now=clock.now())
        }
    if message.reason == "in_flight":
        return _("Not sent yet: the message before it is on its way to the customer at this moment.")
    if message.reason == "uncertain":
        return _("Perhaps sent: the connection broke before the provider answered; it is sent once more to be sure.")
    return _("On its way: it is sent as soon as its turn comes.")


def _local(at: datetime, zone: str) -> str:
    from zoneinfo import ZoneInfo

    from django.utils.translation import get_language

    return spoken_at(at, language=get_language() or "en", zone=ZoneInfo(zone), now=clock.now())


def not_sent(reason: str, state: str = "refused", *, attempts: int = 0) -> str:
    """Why a message was not sent, or not delivered, in one sentence."""
    sentences = {
        "quiet_hours": _("Not sent: quiet hours at the customer's."),
        "waiting": _("Not sent yet: its turn has not come."),
        "put_off": _("Not sent yet: the mail provider asked us to wait."),
        "no_contact_point": _("Not sent: we have no address or number of this customer for this channel."),
        "address_dead": _("Not sent: the address or number does not exist any more."),
        "address_blocked": _("Not sent: the customer told the provider to let nothing more through."),
        "not_wanted": _("Not sent: the customer wants no messages there."),
        "channel_off": _("Not sent: no provider is set up for this channel."),
        "cap_reached": _(
            "Not sent: the customer has had as many messages of this kind this week as we allow ourselves."
        ),
        "unread": _("Waiting to be read: it stands in the customer's inbox, and they have not opened it yet."),
        "to_be_called": _("To be called: only a call reaches this customer, and nobody has called yet."),
        "care_alarm": _("To be called too: the customer wears a care alarm, and may not have read our message."),
        "no_answer": _("Not told yet: somebody called, and nobody answered."),
        "wrong_number": _("Not told: somebody called, and it was the wrong number."),
        "gone": _("Not delivered: the receiver says that this address does not exist any more."),
        "host_refused": _("Not sent: this web address leads to a machine inside a private network."),
        "runs_over_failure": _("Not used: this channel runs over what has failed."),
        "address_refused": _("Not sent: the e-mail address is not one that mail can be sent to."),
        "customer_erased": _("Not sent: this customer's data has been erased."),
        "objected": _("Not sent: the customer objected to messages of this kind."),
        "no_opt_in": _("Not sent: the customer never agreed to messages of this kind."),
        "only_changes": _("Not sent: the customer wants only what changes, and nothing had."),
        "word_waits": _(
            "Not sent: nothing was new, and an earlier message still waits for the end of the quiet hours."
        ),
        "never_told": _("Not sent: the message before it never arrived, so there was nothing to end."),
        "no_text": _("Not sent: there was no text in a language that this customer can be given."),
        "template_error": _("Not sent: the text has an error, in the customer's language and in the fallback."),
        "given_up": _("Not delivered: the mail provider put us off %(count)d times, and we gave up.")
        % {"count": max(attempts, 1)},
        "mailbox_does_not_exist": _("Not delivered: the mail provider says that this mailbox does not exist."),
        "came_back_no_such_mailbox": _("Not delivered: it came back, because this mailbox does not exist."),
        "came_back_no_such_domain": _("Not delivered: it came back, because the address’s domain does not exist."),
        "came_back_moved": _("Not delivered: it came back, because the customer no longer has this address."),
        "came_back_takes_no_mail": _("Not delivered: it came back, because no mail is taken there."),
        "mailbox_off": _("Not delivered: the customer's mailbox is switched off for now."),
        "taken_for_spam": _("Not delivered: the customer's mail provider took it for spam."),
        "sender_blocked": _("Not delivered: the customer's mail provider lets nothing of ours through."),
        "against_policy": _("Not delivered: a rule of the customer's mail provider is against it."),
        "too_large": _("Not delivered: it is larger than the customer's mail provider takes."),
        "too_much_at_once": _("Not delivered: the customer's mail provider had too many mails at once."),
        "server_not_reached": _("Not delivered: the customer's mail provider could not be reached for days."),
        "fault_over_there": _("Not delivered: something is broken at the customer's mail provider."),
        "came_back": _("Not delivered: it came back, and the mail provider did not say why."),
        "complained": _("Not used: the customer told their mail provider that our mail is unwanted."),
        "mailbox_full": _("Not delivered: the customer's mailbox is full."),
        "number_invalid": _("Not delivered: this is no telephone number."),
        "number_gets_no_texts": _("Not delivered: this number cannot get text messages."),
        "number_unknown": _("Not delivered: the telephone company does not know this number."),
        "opted_out": _("Not delivered: the customer answered STOP, so no text messages go to this number."),
        "phone_not_reached": _("Not delivered: the telephone was off or out of reach."),
        "filtered": _("Not delivered: the telephone company filtered it out."),
        "not_delivered": _("Not delivered: the gateway took it, and reported later that it did not arrive."),
        "refused_by_provider": _("Not delivered: the customer's mail provider refused it."),
        "unreachable": _("Not delivered: the mail server could not be reached."),
        "uncertain": _("Perhaps sent: the connection broke before the provider answered."),
        "no_longer_affected": _("Not sent: the customer was no longer affected when its turn came."),
        "affected_again": _("Not sent: the customer was affected again before this end was sent."),
        "reached_us": _("Not sent: the customer got in touch with us first, and was told on the telephone."),
        "reopened": _("Not sent: the incident was not over after all."),
        "fault": _("Not sent yet: a fault on our side, which is in the log; we try again every few minutes."),
        "resolved": _("Not sent: the incident was over before its turn came."),
        "cancelled": _("Not sent: the incident turned out to be a false alarm before its turn came."),
        "nothing_said": _("Not told yet: nothing has been decided for this customer."),
    }
    if reason in sentences:
        return sentences[reason]
    if state == "cancelled":
        return _("Not sent: it was stopped (%(reason)s).") % apart(reason=reason or _("no reason was given"))
    return _("Not sent (%(reason)s).") % apart(reason=reason or _("no reason was given"))


def passed_over(tried: Sequence[Sequence[str]] | None) -> list[str]:
    """Why each channel before this one was not, or could not be, used; one sentence each."""
    return [f"{Channel(channel).label}: {not_sent(reason, 'failed')}" for channel, reason in tried or ()]


def address_trouble(status: str, reason: str) -> str:
    """Why an address is in doubt, or not used; empty where nothing is known against it."""
    if status == ContactPoint.Status.WORKING or not reason:
        return ""
    return not_sent(reason, "failed")


def why_said(batch: MessageBatch, *, incident_title: str = "", holding: str = "") -> str:
    """Why this is said to a customer at all, in one sentence; `holding` is what of theirs is touched."""
    cause = batch.why.get("cause", "")
    values = apart(title=incident_title or _("an incident"), holding=holding or _("something that this customer uses"))
    if batch.audience == "left cured":
        return _("Because “%(title)s” no longer touches %(holding)s.") % values
    if batch.audience == "left by mistake":
        return _("Because “%(title)s” never touched %(holding)s, and we had said that it did.") % values
    if cause == "contact.late":
        return _("Because this customer says that it is still broken, and nobody was in touch by the promised time.")
    if cause == "promise.holding_asked" or batch.step == "holding":
        return _("Because an update on “%(title)s” was promised and would have come late.") % values
    if cause in ("update came", "update queued"):
        return _("Because somebody wrote an update on “%(title)s”, which touches %(holding)s.") % values
    if cause == "exited":
        return _("Because “%(title)s”, of which we had told this customer, has ended.") % values
    return _("Because “%(title)s” touches %(holding)s.") % values


def which_step(batch: MessageBatch) -> str:
    """The place in the playbook that says it."""
    if not batch.why.get("playbook"):
        return ""
    return _("Step “%(step)s” of the playbook “%(playbook)s”, version %(version)s.") % apart(
        step=batch.step, playbook=batch.why["playbook"], version=batch.why.get("version", "")
    )


def holding_name(line: AffectedLine) -> str:
    """What of the customer's is touched."""
    return ", ".join(part for part in (line.product, line.place) if part)


def why_affected(line: AffectedLine) -> str:
    """Why this customer is on the list, in one sentence."""
    holding = holding_name(line)
    if line.component and line.root and line.component != line.root:
        return _("%(holding)s depends on %(part)s, which depends on %(root)s.") % apart(
            holding=holding, part=line.component, root=line.root
        )
    if line.component:
        return _("%(holding)s depends on %(part)s.") % apart(holding=holding, part=line.component)
    if line.is_by_hand:
        return _("Put on the list by hand.")
    if line.condition and holding:
        return _("%(holding)s meets the condition %(condition)s.") % apart(holding=holding, condition=line.condition)
    if line.condition:
        return _("Meets the condition %(condition)s.") % apart(condition=line.condition)
    return _("In the incident's scope.")


def audience_name(audience: str) -> str:
    """Whom a batch is for, as people say it."""
    return {
        "affected": _("everyone affected"),
        "told": _("everyone told before"),
        "joined": _("who joined later"),
        "left cured": _("who is no longer affected"),
        "left by mistake": _("who was told by mistake"),
        "one": _("one customer"),
    }.get(audience, audience)
