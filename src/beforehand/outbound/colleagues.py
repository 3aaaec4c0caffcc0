"""Mail to colleagues: over a connection of its own, so that it waits for no customer's mail and keeps none waiting."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import structlog
from django.conf import settings

from beforehand.accounts.installation import installation
from beforehand.accounts.models import Notice
from beforehand.accounts.notices import NoticeMail, claim_mail, put_off_notices, settle_notices
from beforehand.kit import clock
from beforehand.outbound.addresses import AddressRefusedError, wire_address
from beforehand.outbound.mime import MAX_NAME, MAX_SUBJECT, clean_value
from beforehand.outbound.smtp import Courier, Outcome, Outgoing, SendResult

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Written:
    """A mail in its reader's language; `told` are the notices that it speaks of, the others are no longer needed."""

    subject: str
    text: str
    html: str
    language: str
    told: tuple[Notice, ...]


Write = Callable[[NoticeMail], Written | None]
"""Writes a mail; None when there is nothing left to say."""


def send_notices(courier: Courier, write: Write, *, now: datetime) -> int:
    """Send what colleagues are to hear of now; how many mails were dealt with.

    A process that dies in the middle leaves the mail to the next one, after a while and under the same Message-ID:
    a colleague rather hears twice than never.
    """
    done = 0
    while (mail := claim_mail(now=now)) is not None:
        _send(courier, mail, write, now=now)
        done += 1
    return done


def _send(courier: Courier, mail: NoticeMail, write: Write, *, now: datetime) -> None:
    written = write(mail) if mail.person.is_active else None
    told = written.told if written else ()
    settle_notices([one for one in mail.notices if one not in told], Notice.Outcome.MOOT, now=now)
    if written is None:
        return
    try:
        wire_address(mail.person.email)
    except AddressRefusedError as error:
        settle_notices(told, Notice.Outcome.REFUSED, answer=str(error), now=now)
        return
    outgoing = Outgoing(mail.key, settings.MAIL_FROM, mail.person.email, _bytes(mail, written))
    outcome: Outcome = courier.send_flight([outgoing]).result()[0]
    match outcome.result:
        case SendResult.ACCEPTED:
            settle_notices(told, Notice.Outcome.SENT, answer=outcome.text, now=now)
        case SendResult.REJECTED:
            log.warning("colleague_not_mailed", person=mail.person.pk, code=outcome.code)
            settle_notices(told, Notice.Outcome.REFUSED, answer=outcome.text, now=now)
        case _:
            put_off_notices(told, answer=outcome.text, now=now)


def _bytes(mail: NoticeMail, written: Written) -> bytes:
    brand = installation().brand
    message = EmailMessage(policy=SMTP)
    name = clean_value(brand.sender_name or brand.name)[:MAX_NAME]
    message["From"] = Address(display_name=name, addr_spec=settings.MAIL_FROM)
    message["To"] = Address(display_name=clean_value(mail.person.name)[:MAX_NAME], addr_spec=mail.person.email)
    message["Subject"] = clean_value(written.subject)[:MAX_SUBJECT]
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = f"<notice-{mail.key}@{settings.MAIL_FROM.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(written.text)
    message.add_alternative(written.html, subtype="html")
    message["Content-Language"] = written.language  # last: what is set before goes with the first part
    return message.as_bytes()
