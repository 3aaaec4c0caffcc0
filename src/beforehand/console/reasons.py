"""Why: one sentence for each message, sent or not, and for each customer on a list. Every page takes its words from here."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

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


WHY_NOT = {
    "quiet_hours": gettext_lazy("Not sent: quiet hours at the customer's."),
    "waiting": gettext_lazy("Not sent yet: its turn has not come."),
    "put_off": gettext_lazy("Not sent yet: the mail provider asked us to wait."),
    "no_contact_point": gettext_lazy("Not sent: we have no address or number of this customer for this channel."),
    "address_dead": gettext_lazy("Not sent: the address or number does not exist any more."),
    "address_blocked": gettext_lazy("Not sent: the customer told the provider to let nothing more through."),
    "not_wanted": gettext_lazy("Not sent: the customer wants no messages there."),
    "channel_off": gettext_lazy("Not sent: no provider is set up for this channel."),
    "cap_reached": gettext_lazy(
        "Not sent: the customer has had as many messages of this kind this week as we allow ourselves."
    ),
    "unread": gettext_lazy("Waiting to be read: it stands in the customer's inbox, and they have not opened it yet."),
    "to_be_called": gettext_lazy("To be called: only a call reaches this customer, and nobody has called yet."),
    "call_waits": gettext_lazy(
        "To be called: its turn has not come, the team has as many calls before it as it can make at once."
    ),
    "care_alarm": gettext_lazy("To be called too: the customer wears a care alarm, and may not have read our message."),
    "no_answer": gettext_lazy("Not told yet: somebody called, and nobody answered."),
    "wrong_number": gettext_lazy("Not told: somebody called, and it was the wrong number."),
    "gone": gettext_lazy("Not delivered: the receiver says that this address does not exist any more."),
    "host_refused": gettext_lazy("Not sent: this web address leads to a machine inside a private network."),
    "runs_over_failure": gettext_lazy("Not used: this channel runs over what has failed."),
    "address_refused": gettext_lazy("Not sent: the e-mail address is not one that mail can be sent to."),
    "customer_erased": gettext_lazy("Not sent: this customer's data has been erased."),
    "objected": gettext_lazy("Not sent: the customer objected to messages of this kind."),
    "no_opt_in": gettext_lazy("Not sent: the customer never agreed to messages of this kind."),
    "only_changes": gettext_lazy("Not sent: the customer wants only what changes, and nothing had."),
    "word_waits": gettext_lazy(
        "Not sent: nothing was new, and an earlier message still waits for the end of the quiet hours."
    ),
    "never_told": gettext_lazy("Not sent: the message before it never arrived, so there was nothing to end."),
    "no_text": gettext_lazy("Not sent: there was no text in a language that this customer can be given."),
    "template_error": gettext_lazy("Not sent: the text has an error, in the customer's language and in the fallback."),
    "given_up": gettext_lazy("Not delivered: the mail provider put us off %(count)d times, and we gave up."),
    "mailbox_does_not_exist": gettext_lazy("Not delivered: the mail provider says that this mailbox does not exist."),
    "came_back_no_such_mailbox": gettext_lazy("Not delivered: it came back, because this mailbox does not exist."),
    "came_back_no_such_domain": gettext_lazy(
        "Not delivered: it came back, because the address’s domain does not exist."
    ),
    "came_back_moved": gettext_lazy("Not delivered: it came back, because the customer no longer has this address."),
    "came_back_takes_no_mail": gettext_lazy("Not delivered: it came back, because no mail is taken there."),
    "mailbox_off": gettext_lazy("Not delivered: the customer's mailbox is switched off for now."),
    "taken_for_spam": gettext_lazy("Not delivered: the customer's mail provider took it for spam."),
    "sender_blocked": gettext_lazy("Not delivered: the customer's mail provider lets nothing of ours through."),
    "against_policy": gettext_lazy("Not delivered: a rule of the customer's mail provider is against it."),
    "too_large": gettext_lazy("Not delivered: it is larger than the customer's mail provider takes."),
    "too_much_at_once": gettext_lazy("Not delivered: the customer's mail provider had too many mails at once."),
    "server_not_reached": gettext_lazy("Not delivered: the customer's mail provider could not be reached for days."),
    "fault_over_there": gettext_lazy("Not delivered: something is broken at the customer's mail provider."),
    "came_back": gettext_lazy("Not delivered: it came back, and the mail provider did not say why."),
    "complained": gettext_lazy("Not used: the customer told their mail provider that our mail is unwanted."),
    "mailbox_full": gettext_lazy("Not delivered: the customer's mailbox is full."),
    "number_invalid": gettext_lazy("Not delivered: this is no telephone number."),
    "number_gets_no_texts": gettext_lazy("Not delivered: this number cannot get text messages."),
    "number_unknown": gettext_lazy("Not delivered: the telephone company does not know this number."),
    "opted_out": gettext_lazy("Not delivered: the customer answered STOP, so no text messages go to this number."),
    "phone_not_reached": gettext_lazy("Not delivered: the telephone was off or out of reach."),
    "filtered": gettext_lazy("Not delivered: the telephone company filtered it out."),
    "not_delivered": gettext_lazy("Not delivered: the gateway took it, and reported later that it did not arrive."),
    "refused_by_provider": gettext_lazy("Not delivered: the customer's mail provider refused it."),
    "unreachable": gettext_lazy("Not delivered: the mail server could not be reached."),
    "uncertain": gettext_lazy("Perhaps sent: the connection broke before the provider answered."),
    "no_longer_affected": gettext_lazy("Not sent: the customer was no longer affected when its turn came."),
    "affected_again": gettext_lazy("Not sent: the customer was affected again before this end was sent."),
    "reached_us": gettext_lazy("Not sent: the customer got in touch with us first, and was told on the telephone."),
    "reopened": gettext_lazy("Not sent: the incident was not over after all."),
    "fault": gettext_lazy("Not sent yet: a fault on our side, which is in the log; we try again every few minutes."),
    "resolved": gettext_lazy("Not sent: the incident was over before its turn came."),
    "cancelled": gettext_lazy("Not sent: the incident turned out to be a false alarm before its turn came."),
    "nothing_said": gettext_lazy("Not told yet: nothing has been decided for this customer."),
}
"""By reason; translated when one is asked for: a page of customers asks for a hundred, and each needs only its own."""


def mailbox_sentence(reason: str, said: str) -> str:
    """Why a mailbox cannot be read, in one sentence, and then the server's own words."""
    sentences = {
        "unreachable": _("The mail server cannot be reached."),
        "timeout": _("The mail server does not answer in time."),
        "not_trusted": _("The mail server’s certificate is not trusted."),
        "no_tls": _("The mail server does not speak TLS as we do, so it is not told the password."),
        "sign_in_refused": _("The mail server refuses the user name or the password."),
        "no_folder": _("The mailbox has no such folder, or it may not be read."),
        "interrupted": _("The connection to the mail server broke off."),
    }
    sentence = sentences.get(reason, "")
    if not said or not sentence:
        return sentence or said
    return _("%(sentence)s The server says: “%(said)s”") % apart(sentence=sentence, said=said)


def not_sent(reason: str, state: str = "refused", *, attempts: int = 0) -> str:
    """Why a message was not sent, or not delivered, in one sentence."""
    if reason in WHY_NOT:
        return str(WHY_NOT[reason]) % {"count": max(attempts, 1)}
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
