"""Make a promise, keep it, break it, end it; ask for a holding message where the word does not come."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from beforehand.accounts.models import Team
from beforehand.engine.promises import CustomerRhythm, PromiseReason, PromiseState, promise_times
from beforehand.events.actions import append_event
from beforehand.outbound.models import MessageBatch
from beforehand.outbound.queries import is_said_but_for_the_night
from beforehand.promises.models import AFTER_NIGHT, Promise

SPEAKS_TO_ALL = ("affected", "told")
"""Audiences whose batch is a word to everyone who waits; one to joiners or leavers keeps nobody else's promise."""
HOLDING = "holding"
AT_ONCE = 500
SETTLING = timedelta(seconds=2)
"""A promise is called broken this long after its time: what was delivered just before it has been counted by then."""


@transaction.atomic
def make_promise(
    *,
    batch: MessageBatch,
    due_at: datetime,
    made_at: datetime,
    owner: Team | None,
    fan_out: timedelta,
    actor: str,
    rhythm: CustomerRhythm = CustomerRhythm.EVERY_STEP,
) -> Promise:
    """The next word is promised by `due_at` to everyone of this rhythm whom this batch's origin touches.

    Idempotent per batch and rhythm.
    """
    times = promise_times(made_at, due_at, fan_out=fan_out)
    promise, made = Promise.objects.get_or_create(
        audience=batch.origin,
        made_by=batch.effect_key,
        rhythm=rhythm.value,
        defaults={
            "made_at": made_at,
            "due_at": due_at,
            "warn_at": times.warn_at,
            "hold_at": times.hold_at,
            "owner": owner,
        },
    )
    if made:
        _log(promise, "promise.made", actor=actor)
    return promise


@transaction.atomic
def keep_promises(batch: MessageBatch, *, done_at: datetime, actor: str) -> int:
    """A word to all has reached them: the promises of earlier batches are kept, if it was in time; how many were open."""
    if batch.audience not in SPEAKS_TO_ALL or batch.step == HOLDING or batch.state == MessageBatch.State.CANCELLED:
        return 0
    earlier = MessageBatch.objects.filter(origin=batch.origin, sequence__lt=batch.sequence).values_list(
        "effect_key", flat=True
    )
    answered = 0
    answering = _open(batch.origin).filter(made_by__in=list(earlier)).exclude(rhythm=AFTER_NIGHT)
    if batch.is_routine:
        answering = answering.filter(rhythm=CustomerRhythm.EVERY_STEP)
    for promise in answering:
        reason = _how_answered(promise, batch, done_at=done_at)
        settle(
            promise,
            PromiseState.BROKEN if reason is PromiseReason.TOO_LATE else PromiseState.KEPT,
            reason,
            kept_by=batch.effect_key,
            at=done_at,
            actor=actor,
        )
        answered += 1
    return answered


def _how_answered(promise: Promise, batch: MessageBatch, *, done_at: datetime) -> PromiseReason:
    if done_at <= promise.due_at:
        return PromiseReason.TOLD_IN_TIME
    if is_said_but_for_the_night(batch, due_at=promise.due_at):
        return PromiseReason.HELD_FOR_THE_NIGHT
    return PromiseReason.TOO_LATE


@transaction.atomic
def end_promises(audience: str, *, at: datetime, actor: str, made_by: str = "") -> int:
    """Nobody waits any longer: what is still open, and not being answered by a word under way, is no longer needed.

    `made_by` is how the keys of the batches begin whose promises are meant; all of the audience's if it is empty.
    """
    count = 0
    for promise in _open(audience).filter(made_by__startswith=made_by):
        if _later_words(promise):
            continue
        settle(promise, PromiseState.ENDED, PromiseReason.NOBODY_WAITING, kept_by="", at=at, actor=actor)
        count += 1
    return count


def settle_words(*, now: datetime) -> int:
    """Ask for holding messages, and record which promised words came and which did not; how many promises moved."""
    moved, after = 0, 0
    while True:
        seen, settled = _settle_some(now=now, after=after)
        moved += settled
        if len(seen) < AT_ONCE:
            return moved
        after = max(seen)


@transaction.atomic
def _settle_some(*, now: datetime, after: int) -> tuple[list[int], int]:
    """See to the next promises whose holding message or whose time is due: which were looked at, how many moved."""
    near = Q(hold_at__lte=now, held_at=None) | Q(due_at__lt=now - SETTLING)
    promises = list(
        Promise.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(near, state=Promise.State.OPEN, kind=Promise.Kind.UPDATE, pk__gt=after)
        .exclude(rhythm=AFTER_NIGHT)
        .order_by("pk")[:AT_ONCE]
    )
    words = _words_after(promises)
    moved = sum(_watch(promise, words[promise.pk], now=now) for promise in promises)
    return [promise.pk for promise in promises], moved


def _watch(promise: Promise, words: list[MessageBatch], *, now: datetime) -> int:
    if now > promise.due_at + SETTLING:
        answer = next((word for word in words if word.done_at is not None), None)
        if answer is not None and answer.done_at is not None:
            return keep_promises(answer, done_at=answer.done_at, actor="watchdog")
        held = next((word for word in words if is_said_but_for_the_night(word, due_at=promise.due_at)), None)
        if held is not None:
            settle(
                promise,
                PromiseState.KEPT,
                PromiseReason.HELD_FOR_THE_NIGHT,
                kept_by=held.effect_key,
                at=promise.due_at,
                actor="watchdog",
            )
        elif words:
            settle(promise, PromiseState.BROKEN, PromiseReason.NOT_FOR_ALL, kept_by="", at=now, actor="watchdog")
        else:
            ask_for_holding(promise, PromiseReason.NOT_AT_ALL, now=now)  # nobody watched in time: late is not never
        return 1
    if now >= promise.hold_at and not words:
        # The ledger is honest: a holding message is not the word that was promised, even if it comes in time.
        ask_for_holding(promise, PromiseReason.HOLDING_INSTEAD, now=now)
        return 1
    return 0


def ask_for_holding(promise: Promise, reason: PromiseReason, *, now: datetime) -> None:
    """Broken, and not said yet: have it said, with a new time."""
    promise.held_at = now
    promise.save(update_fields=["held_at"])
    settle(promise, PromiseState.BROKEN, reason, kept_by="", at=now, actor="watchdog")
    _log(promise, "promise.holding_asked", actor="watchdog")


def is_answered(promise: Promise) -> bool:
    """Whether a word to all has been decided since this promise was made."""
    return bool(_later_words(promise))


def _later_words(promise: Promise) -> list[MessageBatch]:
    return _words_after([promise])[promise.pk]


def _words_after(promises: Sequence[Promise]) -> dict[int, list[MessageBatch]]:
    """By promise, the words to all that were decided after it was made, first one first. Two queries for any number."""
    made = dict(
        MessageBatch.objects.filter(effect_key__in=[promise.made_by for promise in promises]).values_list(
            "effect_key", "sequence"
        )
    )
    said: dict[str, list[MessageBatch]] = {}
    batches = MessageBatch.objects.filter(
        origin__in={promise.audience for promise in promises}, audience__in=SPEAKS_TO_ALL
    )
    batches = batches.exclude(step=HOLDING).exclude(state=MessageBatch.State.CANCELLED)
    for batch in batches.defer("texts", "facts").order_by("sequence"):
        said.setdefault(batch.origin, []).append(batch)
    return {
        promise.pk: [batch for batch in said.get(promise.audience, ()) if _answers(batch, promise, made)]
        for promise in promises
    }


def _answers(batch: MessageBatch, promise: Promise, made: Mapping[str, int]) -> bool:
    """Whether this is a later word, and one for who wants such news as was promised."""
    is_for_them = not batch.is_routine or promise.rhythm == CustomerRhythm.EVERY_STEP
    return is_for_them and batch.sequence > made.get(promise.made_by, 0)


def _open(audience: str) -> QuerySet[Promise]:
    """Its promised words; what is to be done by a time is settled by what happens (`outcomes`)."""
    return Promise.objects.select_for_update(of=("self",)).filter(
        audience=audience, state=Promise.State.OPEN, kind=Promise.Kind.UPDATE
    )


def settle(
    promise: Promise, state: PromiseState, reason: PromiseReason, *, kept_by: str, at: datetime, actor: str
) -> None:
    promise.state = state.value
    promise.reason = reason.value
    promise.kept_by = kept_by
    promise.ended_at = at
    promise.save(update_fields=["state", "reason", "kept_by", "ended_at"])
    _log(promise, f"promise.{state.value}", actor=actor)


def _log(promise: Promise, type: str, *, actor: str) -> None:
    append_event(
        type=type,
        actor=actor,
        subject=promise.audience,
        data={"promise": promise.pk, "due_at": promise.due_at.isoformat(), "reason": promise.reason},
    )
