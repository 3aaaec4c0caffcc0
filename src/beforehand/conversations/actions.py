"""Take in what customers send, once; read it, each in a transaction of its own; and see to it."""

import hashlib
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from beforehand.accounts.models import User
from beforehand.conversations.laying import Laid, Later, lay_mail, lay_text
from beforehand.conversations.models import Incoming, MessageIn
from beforehand.engine.incoming.mime import UnreadableMailError
from beforehand.events.actions import append_event, notify
from beforehand.kit.rows import DATABASE_TROUBLE, bulk, bulk_fetch
from beforehand.outbound.media import EMAIL, SMS

log = structlog.get_logger()

MOST_ATTEMPTS = 3
CLAIM = timedelta(minutes=5)
"""After which a reader that is not done counts as dead."""
AGAIN = timedelta(seconds=5)
READERS = {EMAIL: lay_mail, SMS: lay_text}


def take_in(
    *, channel: str, raw: bytes, now: datetime, name: str = "", state: str = "waiting", reason: str = ""
) -> bool:
    """Keep what came in; False if it is here already. `name` is the provider's own, where it gives one."""
    key = f"{channel}:{name or hashlib.sha256(raw).hexdigest()}"
    taken = bulk(
        """
        INSERT INTO conversations_incoming (public_id, channel, key, raw, received_at, state, kind, reason, attempts)
        VALUES (gen_random_uuid(), %(channel)s::text, %(key)s::text, %(raw)s::bytea, %(now)s::timestamptz,
                %(state)s::text, '', %(reason)s::text, 0)
        ON CONFLICT (key) DO NOTHING
        """,
        {"channel": channel, "key": key, "raw": raw, "now": now, "state": state, "reason": reason},
    )
    if taken:
        notify()
    return bool(taken)


CLAIM_NEXT = """
UPDATE conversations_incoming SET attempts = attempts + 1, claimed_at = %(now)s::timestamptz
WHERE id = (
    SELECT id FROM conversations_incoming
    WHERE state = 'waiting' AND (claimed_at IS NULL OR claimed_at < %(stale)s::timestamptz)
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, attempts
"""


def read_waiting(*, now: datetime, limit: int = 100) -> int:
    """Read what waits, oldest first; how many. What cannot be read is put aside with its reason, and holds up nothing."""
    read = 0
    while read < limit:
        claimed = bulk_fetch(CLAIM_NEXT, {"now": now, "stale": now - CLAIM})
        if not claimed:
            break
        ((incoming_id, attempts),) = claimed
        if attempts > MOST_ATTEMPTS:
            _end(incoming_id, Laid.aside("stops_the_reader"), now=now)
        else:
            _read(incoming_id, now=now)
        read += 1
    return read


def _read(incoming_id: int, *, now: datetime) -> None:
    try:
        with transaction.atomic():
            incoming = Incoming.objects.select_for_update().get(pk=incoming_id, state=Incoming.State.WAITING)
            _end(incoming_id, READERS[incoming.channel](incoming, now=now), now=now)
    except DATABASE_TROUBLE:
        raise
    except Later:
        Incoming.objects.filter(pk=incoming_id).update(attempts=0, claimed_at=now - CLAIM + AGAIN)
    except UnreadableMailError:
        _end(incoming_id, Laid.aside("unreadable"), now=now)
    except Exception:
        log.exception("message_in_put_aside", incoming=incoming_id)
        _end(incoming_id, Laid.aside("unreadable"), now=now)


def _end(incoming_id: int, laid: Laid, *, now: datetime) -> None:
    Incoming.objects.filter(pk=incoming_id).update(
        state=laid.state, kind=laid.kind, reason=laid.reason, customer_id=laid.customer_id, read_at=now
    )


@transaction.atomic
def handle_message(message_id: int, *, user: User, actor: str, now: datetime) -> bool:
    """Note that somebody has seen to what a customer wrote; False if somebody else was quicker."""
    message = MessageIn.objects.select_for_update().get(pk=message_id)
    if message.handled_at is not None:
        return False
    message.handled_at, message.handled_by = now, user
    message.save(update_fields=["handled_at", "handled_by"])
    append_event(
        type="conversation.message_handled",
        actor=actor,
        subject=message.origin,
        customer_id=message.customer_id,
        data={"message_in": message.pk},
        occurred_at=now,
    )
    return True


def forget_raw(*, older_than: datetime) -> int:
    """Drop the raw copies of what came in before then; how many. What was read of them stays."""
    return bulk(
        "UPDATE conversations_incoming SET raw = '' WHERE received_at < %s::timestamptz AND raw <> ''", [older_than]
    )
