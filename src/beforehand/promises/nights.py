"""Promises to who sleeps: a time of their own, after their night, that a word's readers were told instead of everybody's.

One row for each word and time, never one for each customer.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from beforehand.engine.promises import PromiseReason, PromiseState, promise_times
from beforehand.events.actions import append_many
from beforehand.events.subscriptions import StoredEvent
from beforehand.outbound.models import MessageBatch
from beforehand.outbound.own_times import Heard, heard_by, own_times
from beforehand.promises.actions import AT_ONCE, HOLDING, SETTLING, SPEAKS_TO_ALL, ask_for_holding, settle
from beforehand.promises.models import AFTER_NIGHT, Promise

LOOKED_BACK = timedelta(days=1)
"""What is longer past than this is history, and not judged anew by who reads the log from its beginning."""
SETTLED = ("promise.kept", "promise.broken", "promise.ended")

LOG_MADE = """
SELECT 'promise.made', 'ledger', p.audience, NULL::bigint,
       jsonb_build_object('promise', p.id, 'due_at', p.due_at, 'reason', ''), %(now)s::timestamptz
FROM promises_promise p WHERE p.id = ANY(%(ids)s::bigint[])
"""


@transaction.atomic
def enter_nights(events: Sequence[StoredEvent], *, now: datetime) -> int:
    """When everybody's promise is settled, enter the later times that some of its readers were told; how many are new.

    Only then, and not when the words are written: what is put off into the night on its way out promises anew.
    Idempotent per word and time.
    """
    promises = Promise.objects.filter(pk__in=[event.data["promise"] for event in events], kind=Promise.Kind.UPDATE)
    # Nobody waits any longer where everybody's has ended; one to sleepers may have ended because they were put off again.
    wanted = [one for one in promises if one.state != Promise.State.ENDED or one.rhythm == AFTER_NIGHT]
    words = _words(wanted)
    times = own_times({batch.pk: batch for found in words.values() for batch in found}.values())
    rows = {}
    for promise in wanted:
        for batch in words[promise.pk]:
            for due_at in (at for at in times.get(batch.pk, ()) if at > now - LOOKED_BACK):
                warn_at = promise_times(batch.decided_at, due_at, fan_out=timedelta(0)).warn_at
                rows[batch.effect_key, due_at] = Promise(
                    audience=promise.audience,
                    made_by=batch.effect_key,
                    rhythm=AFTER_NIGHT,
                    made_at=batch.decided_at,
                    due_at=due_at,
                    warn_at=warn_at,
                    hold_at=due_at,
                    owner_id=promise.owner_id,
                )
    known = set(
        Promise.objects.filter(made_by__in={key for key, _ in rows}, rhythm=AFTER_NIGHT).values_list(
            "made_by", "due_at"
        )
    )
    new = Promise.objects.bulk_create([row for key, row in sorted(rows.items()) if key not in known])
    if new:
        append_many(LOG_MADE, {"ids": [one.pk for one in new], "now": now})
    return len(new)


def _words(promises: Sequence[Promise]) -> dict[int, list[MessageBatch]]:
    """By promise, the word that made it, and what was said to who joined while it was owed: these were told the same time."""
    made = MessageBatch.objects.filter(effect_key__in={one.made_by for one in promises}).defer("texts", "facts")
    by_key = {batch.effect_key: batch for batch in made}
    at = Q(next_update_at__in={one.due_at for one in promises}) | Q(rare_update_at__in={one.due_at for one in promises})
    beside = MessageBatch.objects.filter(at, origin__in={one.audience for one in promises}, audience="joined").defer(
        "texts", "facts"
    )
    found: dict[int, list[MessageBatch]] = {}
    for promise in promises:
        batch = by_key.get(promise.made_by)
        found[promise.pk] = [batch] if batch else []
        if batch is not None and promise.rhythm != AFTER_NIGHT:
            found[promise.pk] += [
                one
                for one in beside
                if one.origin == promise.audience
                and one.sequence > batch.sequence
                and promise.due_at in (one.next_update_at, one.rare_update_at)
            ]
    return found


def watch_nights(*, now: datetime) -> int:
    """Settle what was promised to who slept: before anybody is warned, if they had their word; else at its time. How many."""
    moved, after = 0, 0
    while True:
        seen, settled = _watch_some(now=now, after=after)
        moved += settled
        if len(seen) < AT_ONCE:
            return moved
        after = max(seen)


@transaction.atomic
def _watch_some(*, now: datetime, after: int) -> tuple[list[int], int]:
    is_near = Q(warn_at__lte=now, warned_at=None) | Q(due_at__lt=now - SETTLING)
    promises = list(
        Promise.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(is_near, state=Promise.State.OPEN, rhythm=AFTER_NIGHT, pk__gt=after)
        .order_by("pk")[:AT_ONCE]
    )
    made = MessageBatch.objects.filter(effect_key__in={one.made_by for one in promises}).defer("texts", "facts")
    by_key = {batch.effect_key: batch for batch in made}
    newest = _newest_words({one.audience for one in promises})
    return [one.pk for one in promises], sum(
        _watch(one, by_key.get(one.made_by), newest.get(one.audience), now=now) for one in promises
    )


def _newest_words(origins: Iterable[str]) -> dict[str, MessageBatch]:
    """The last word to all of each origin that everybody has been decided for."""
    said = MessageBatch.objects.filter(origin__in=origins, audience__in=SPEAKS_TO_ALL, spread_at__isnull=False)
    said = said.exclude(step=HOLDING).exclude(state=MessageBatch.State.CANCELLED)
    return {batch.origin: batch for batch in said.defer("texts", "facts").order_by("sequence")}


def _watch(promise: Promise, batch: MessageBatch | None, newest: MessageBatch | None, *, now: datetime) -> int:
    if batch is None:
        return 0
    later = newest if newest is not None and newest.sequence > batch.sequence else None
    heard = heard_by(batch, due_at=promise.due_at, newest=later)
    is_over = now > promise.due_at + SETTLING
    if heard.told and not heard.unheard:
        kept_by = later.effect_key if later else ""
        at = min(now, promise.due_at)
        settle(promise, PromiseState.KEPT, PromiseReason.TOLD_IN_TIME, kept_by=kept_by, at=at, actor="watchdog")
    elif is_over and not heard.told:
        settle(promise, PromiseState.ENDED, PromiseReason.NOBODY_WAITING, kept_by="", at=now, actor="watchdog")
    elif is_over:
        _break(promise, heard, now=now)
    else:
        return 0
    return 1


def _break(promise: Promise, heard: Heard, *, now: datetime) -> None:
    reason = PromiseReason.NOT_AT_ALL if heard.unheard == heard.told else PromiseReason.NOT_FOR_ALL
    if heard.forgotten:
        ask_for_holding(promise, reason, now=now)
    else:  # their word is on its way: another would be just as late
        settle(promise, PromiseState.BROKEN, reason, kept_by="", at=now, actor="watchdog")
