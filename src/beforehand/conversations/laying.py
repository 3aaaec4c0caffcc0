"""Where something that came in belongs: whose it is, which message of ours it answers, and what follows from it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

from beforehand.conversations.models import Incoming, MessageIn
from beforehand.conversations.placing import addressed_place, bounced_place, message_at, referred_place
from beforehand.customers.queries import owners_of_address
from beforehand.engine.incoming.bounces import bounce_of
from beforehand.engine.incoming.kinds import MailKind, kind_of
from beforehand.engine.incoming.mime import Mail, read_mail, storable
from beforehand.engine.incoming.replies import newly_written
from beforehand.engine.incoming.words import OptWord, language_written, opt_word
from beforehand.events.actions import append_event, notify
from beforehand.outbound.bounces import BounceTooEarly, take_bounce, take_complaint, take_opt_in, take_opt_out
from beforehand.outbound.media import EMAIL, SMS
from beforehand.outbound.models import Message, MessageBatch
from beforehand.outbound.queries import last_text_to

PHONE = "phone"
MOST_KEPT = 200_000
"""Characters of text, and of HTML, that are kept to be shown; the raw copy has the rest."""
ANSWERS_WITHIN = timedelta(days=14)
"""A text message names nothing that it answers: it is taken to answer our last one, if that is no older."""


class Later(Exception):
    """What this is about is still being written down: read it again in a moment."""


@dataclass(frozen=True, slots=True)
class Laid:
    """What became of something that came in."""

    state: str
    kind: str = ""
    reason: str = ""
    customer_id: int | None = None

    @classmethod
    def aside(cls, reason: str, kind: str = "") -> "Laid":
        """Somebody must look at it."""
        return cls(Incoming.State.ASIDE, kind, reason)

    @classmethod
    def read(cls, kind: str, *, customer_id: int | None = None, reason: str = "") -> "Laid":
        """It was understood, and is done with, or lies with its customer."""
        return cls(Incoming.State.READ, kind, reason, customer_id)


def lay_mail(incoming: Incoming, *, now: datetime) -> Laid:
    """Read a mail and do what follows from it; raises `UnreadableMailError`, and `Later`."""
    mail = read_mail(bytes(incoming.raw))
    kind = kind_of(mail)
    if kind in (MailKind.BOUNCE, MailKind.COMPLAINT):
        return _lay_report(mail, kind, now=now)
    if kind not in (MailKind.WRITTEN, MailKind.AUTO_REPLY):
        return Laid.read(kind)
    place, looks_signed = addressed_place(mail)
    match = MessageIn.Match.REPLY_ADDRESS
    if place is None and looks_signed:
        return Laid.aside("forged", kind)
    if place is None:
        place, match = referred_place(mail), MessageIn.Match.REFERENCE
    answered = message_at(place) if place else None
    if answered is None:
        return _lay_unasked(incoming, mail, kind, now=now)
    return _keep_mail(incoming, mail, kind, answered.customer_id, answered=answered, match=match, now=now)


def _lay_report(mail: Mail, kind: MailKind, *, now: datetime) -> Laid:
    place = bounced_place(mail)
    message = message_at(place) if place else None
    if place is None or message is None:
        return Laid.read(kind, reason="not_ours")
    if kind is MailKind.COMPLAINT:
        take_complaint(place, now=now)
        return Laid.read(kind, customer_id=message.customer_id)
    bounce = bounce_of(mail)
    try:
        take_bounce(place, bounce=bounce, now=now)
    except BounceTooEarly as early:
        raise Later from early
    return Laid.read(kind, customer_id=message.customer_id, reason=bounce.reason)


def _lay_unasked(incoming: Incoming, mail: Mail, kind: MailKind, *, now: datetime) -> Laid:
    """A mail that answers none of ours: by its sender, if only one customer has that address."""
    if kind is MailKind.AUTO_REPLY:
        return Laid.read(kind, reason="not_ours")
    owners = owners_of_address(next(iter(mail.addresses("from")), ""), channels=[EMAIL])
    if len(owners) != 1:
        return Laid.aside("several_customers" if owners else "stranger", kind)
    return _keep_mail(incoming, mail, kind, owners[0], answered=None, match=MessageIn.Match.SENDER, now=now)


def _keep_mail(
    incoming: Incoming,
    mail: Mail,
    kind: MailKind,
    customer_id: int,
    *,
    answered: Message | None,
    match: MessageIn.Match,
    now: datetime,
) -> Laid:
    sender = next(iter(mail.addresses("from")), "")
    new_text = newly_written(mail.text)
    said = MessageIn(
        incoming=incoming,
        customer_id=customer_id,
        channel=EMAIL,
        kind=MessageIn.Kind.AUTO_REPLY if kind is MailKind.AUTO_REPLY else MessageIn.Kind.WRITTEN,
        matched_by=match,
        is_known_sender=customer_id in owners_of_address(sender, channels=[EMAIL]),
        sender=sender,
        foreign_id=mail.header("message-id")[:500] or incoming.key,
        subject=mail.header("subject")[:1_000],
        text=mail.text[:MOST_KEPT],
        new_text=new_text[:MOST_KEPT],
        html=mail.html[:MOST_KEPT],
        attachments=list(mail.attachments[:100]),
        received_at=incoming.received_at,
    )
    return _keep(said, answered, now=now)


def lay_text(incoming: Incoming, *, now: datetime) -> Laid:
    """Read a text message, as Twilio hands it over, and do what follows from it."""
    fields = dict(parse_qsl(bytes(incoming.raw).decode("utf-8", "replace"), keep_blank_values=True))
    sender, text = fields.get("From", "").strip(), storable(fields.get("Body", ""))[:MOST_KEPT]
    word = opt_word(fields.get("OptOutType", "")) or opt_word(text)
    if word is OptWord.STOP:
        take_opt_out(sender, now=now)
    elif word is OptWord.START:
        take_opt_in(sender, now=now)
    owners = owners_of_address(sender, channels=[SMS, PHONE])
    answered = last_text_to(owners, since=now - ANSWERS_WITHIN)
    if answered is None and len(owners) != 1:
        return Laid.aside("several_customers" if owners else "stranger", MessageIn.Kind.WRITTEN)
    kind = {OptWord.STOP: MessageIn.Kind.OPT_OUT, OptWord.START: MessageIn.Kind.OPT_IN}
    said = MessageIn(
        incoming=incoming,
        customer_id=answered.customer_id if answered else owners[0],
        channel=SMS,
        kind=kind.get(word, MessageIn.Kind.WRITTEN) if word else MessageIn.Kind.WRITTEN,
        matched_by=MessageIn.Match.SENDER,
        is_known_sender=True,
        sender=sender,
        foreign_id=fields.get("MessageSid", "")[:100] or incoming.key,
        text=text,
        new_text=text.strip(),
        attachments=[one for name, one in fields.items() if name.startswith("MediaContentType")][:10],
        received_at=incoming.received_at,
    )
    return _keep(said, answered, now=now)


def _keep(said: MessageIn, answered: Message | None, *, now: datetime) -> Laid:
    """Write it down with its event, once; the same one again, by another way, is only read."""
    if MessageIn.objects.filter(customer_id=said.customer_id, foreign_id=said.foreign_id).exists():
        return Laid.read(said.kind, customer_id=said.customer_id, reason="known")
    if answered is not None:
        said.answers_bucket, said.answers_id = answered.bucket, answered.id
        said.origin = MessageBatch.objects.values_list("origin", flat=True).get(pk=answered.batch_id)
    said.language = language_written(said.new_text, expected=answered.language if answered else "")
    said.save()
    is_written = said.kind == MessageIn.Kind.WRITTEN
    append_event(
        type="conversation.message_received" if is_written else "conversation.notice_received",
        actor=f"customer:{said.customer_id}",
        subject=said.origin,
        customer_id=said.customer_id,
        data={"message_in": said.pk, "channel": said.channel, "kind": said.kind, "answers": said.answers_id},
        occurred_at=said.received_at,
    )
    notify()
    return Laid.read(said.kind, customer_id=said.customer_id)
