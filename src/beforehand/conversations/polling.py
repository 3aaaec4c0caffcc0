"""Brings in what is new in the mailbox: every mail once, in order, whatever breaks in the middle.

A place (UIDVALIDITY, UID) says how far we are, and the mail's own digest that we have it: either alone would do.
"""

from datetime import datetime, timedelta

import structlog

from beforehand.conversations.actions import take_in
from beforehand.conversations.imap import TROUBLE, ImapMailbox, ImapServer, NotGiven, why_not_read
from beforehand.conversations.models import Incoming, Mailbox
from beforehand.kit import clock
from beforehand.kit.rows import bulk_fetch
from beforehand.outbound.media import EMAIL

log = structlog.get_logger()

LARGEST = 25 * 1024 * 1024
"""Bytes; of a larger mail only the header comes in, for a person to look at."""
CLAIM = timedelta(minutes=5)


def poll_mailbox(server: ImapServer, *, now: datetime) -> int:
    """Take in what is new; how many mails. Another worker that reads it, or a server in trouble, makes it none."""
    Mailbox.objects.get_or_create(name=server.name)
    if not _claim(server.name, now=now):
        return 0
    mailbox = Mailbox.objects.filter(name=server.name)
    try:
        with ImapMailbox(server) as box:
            taken = _take_new(box, server.name)
    except TROUBLE as error:
        log.warning("mailbox_not_read", mailbox=server.name, error=str(error)[:300])
        mailbox.filter(failed_since=None).update(failed_since=now)
        reason, said = why_not_read(error)
        mailbox.update(claimed_until=None, reason=reason.value, error=said[:300])
        return 0
    except BaseException:
        mailbox.update(claimed_until=None)
        raise
    mailbox.update(claimed_until=None, polled_at=now, failed_since=None, reason="", error="")
    return taken


def _claim(name: str, *, now: datetime) -> bool:
    return bool(
        bulk_fetch(
            """
            UPDATE conversations_mailbox SET claimed_until = %(until)s::timestamptz
            WHERE name = %(name)s::text AND (claimed_until IS NULL OR claimed_until < %(now)s::timestamptz)
            RETURNING name
            """,
            {"name": name, "now": now, "until": now + CLAIM},
        )
    )


def _take_new(box: ImapMailbox, name: str) -> int:
    """A mailbox that was made anew (another UIDVALIDITY) is read from its beginning; what we have already is known."""
    row = Mailbox.objects.get(name=name)
    last_uid = row.last_uid if row.uid_validity == box.uid_validity else 0
    taken = 0
    for end, uids in box.windows(last_uid):
        for uid, size in box.sizes(uids, after=last_uid):
            taken += _take(box, uid, size)
            last_uid = uid
            Mailbox.objects.filter(name=name).update(
                last_uid=uid, uid_validity=box.uid_validity, claimed_until=clock.now() + CLAIM
            )
        last_uid = max(last_uid, end)
        Mailbox.objects.filter(name=name).update(last_uid=last_uid, uid_validity=box.uid_validity)
    return taken


def _take(box: ImapMailbox, uid: int, size: int) -> bool:
    is_whole = size <= LARGEST
    try:
        raw = box.mail(uid, is_whole=is_whole)
    except NotGiven as error:
        log.warning("mail_not_given", uid=uid, error=str(error))
        name = f"{box.uid_validity}:{uid}"
        return take_in(
            channel=EMAIL, raw=b"", now=clock.now(), name=name, state=Incoming.State.ASIDE, reason="not_given"
        )
    if raw is None:
        return False
    if is_whole:
        return take_in(channel=EMAIL, raw=raw, now=clock.now())
    return take_in(channel=EMAIL, raw=raw, now=clock.now(), state=Incoming.State.ASIDE, reason="too_large")
