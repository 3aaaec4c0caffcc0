"""Promise that something is done by a time: make it, move it honestly, and write down how it turned out."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from beforehand.accounts.models import Team
from beforehand.engine.promises import (
    PromiseFacts,
    PromiseKind,
    PromiseReason,
    PromiseState,
    outcome_times,
    promise_state,
)
from beforehand.events.actions import append_event
from beforehand.kit.rows import fetch
from beforehand.promises.models import Promise

UPDATES_ARE_NEVER_EARLY = "not_an_outcome"


class PromiseRefused(Exception):
    """Something that cannot be promised, moved or settled; `code` names why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@transaction.atomic
def make_outcome(
    *, audience: str, outcome: str, due_at: datetime, now: datetime, owner: Team | None, actor: str
) -> Promise:
    """Promise everyone whom `audience` stands for that it is restored, delivered or visited by `due_at`.

    They hear it with the next message. One of a kind is open at a time. Raises `PromiseRefused`: past, one_is_open.
    """
    if due_at <= now:
        raise PromiseRefused("past")
    _lock(audience)
    if _open(audience).filter(outcome=outcome).exists():
        raise PromiseRefused("one_is_open")
    return _make(audience=audience, outcome=outcome, due_at=due_at, now=now, owner=owner, actor=actor, moved_from=None)


@transaction.atomic
def move_outcome(promise: Promise, *, due_at: datetime, now: datetime, actor: str) -> Promise:
    """A new time for what was promised; customers hear of the move. Raises `PromiseRefused`: not_open, not_an_outcome, past."""
    _lock(promise.audience)
    held = _held(promise)
    if due_at <= now:
        raise PromiseRefused("past")
    if due_at == held.due_at:
        raise PromiseRefused("same_time")
    _settle(held, PromiseState.MOVED, PromiseReason.MOVED_IN_TIME, at=now, actor=actor)
    made = _make(
        audience=held.audience,
        outcome=held.outcome,
        due_at=due_at,
        now=now,
        owner=held.owner,
        actor=actor,
        moved_from=held,
    )
    if held.acknowledged_at is not None:  # whoever had it has it still
        made.assignee, made.acknowledged_at, made.assigned_at, made.rung = held.assignee, now, now, held.rung
        made.save(update_fields=["assignee", "acknowledged_at", "assigned_at", "rung"])
    return made


@transaction.atomic
def settle_outcome(promise: Promise, *, done_at: datetime, actor: str) -> PromiseState:
    """It is done: kept, kept early, or broken by its time. Raises `PromiseRefused`: not_open, not_an_outcome."""
    held = _held(promise)
    verdict = promise_state(
        PromiseFacts(
            kind=PromiseKind.OUTCOME,
            made_at=held.made_at,
            due_at=held.due_at,
            warn_at=held.warn_at,
            waiting=1,
            outstanding=0,
            fulfilled_at=done_at,
        ),
        now=done_at,
    )
    _settle(held, verdict.state, verdict.reason, at=done_at, actor=actor)
    return verdict.state


@transaction.atomic
def settle_outcomes(audience: str, *, done_at: datetime, is_mistake: bool, actor: str) -> int:
    """What it was about has ended: every open outcome is settled; after a false alarm nobody waits for one. How many."""
    count = 0
    for promise in _open(audience).select_for_update(of=("self",)).order_by("pk"):
        if is_mistake:
            _settle(promise, PromiseState.ENDED, PromiseReason.NOBODY_WAITING, at=done_at, actor=actor)
        else:
            settle_outcome(promise, done_at=done_at, actor=actor)
        count += 1
    return count


@transaction.atomic
def break_outcomes(*, now: datetime) -> int:
    """Every outcome whose time has passed is broken; how many."""
    late = Promise.objects.select_for_update(skip_locked=True, of=("self",)).filter(
        state=Promise.State.OPEN, kind=Promise.Kind.OUTCOME, due_at__lt=now
    )
    count = 0
    for promise in late.order_by("due_at")[:500]:
        _settle(promise, PromiseState.BROKEN, PromiseReason.NOT_AT_ALL, at=now, actor="watchdog")
        count += 1
    return count


def mark_told(audience: str, *, at: datetime) -> int:
    """A word to all has been decided: it carries the outcomes that stood then."""
    return _open(audience).filter(told_at=None, made_at__lte=at).update(told_at=at)


def _make(
    *,
    audience: str,
    outcome: str,
    due_at: datetime,
    now: datetime,
    owner: Team | None,
    actor: str,
    moved_from: Promise | None,
) -> Promise:
    times = outcome_times(now, due_at)
    number = Promise.objects.filter(audience=audience, kind=Promise.Kind.OUTCOME).count() + 1
    promise = Promise.objects.create(
        kind=Promise.Kind.OUTCOME,
        outcome=Promise.Outcome(outcome),
        audience=audience,
        made_at=now,
        due_at=due_at,
        warn_at=times.warn_at,
        hold_at=times.hold_at,
        made_by=f"outcome:{number}",
        owner=owner,
        moved_from=moved_from,
    )
    _log(promise, "promise.made", actor=actor)
    return promise


def _lock(audience: str) -> None:
    """Two people who promise the same at once come one after the other."""
    fetch("SELECT pg_advisory_xact_lock(hashtext('promises.outcomes'), hashtext(%s))", [audience])


def _held(promise: Promise) -> Promise:
    held = Promise.objects.select_for_update().prefetch_related("owner", "assignee").get(pk=promise.pk)
    if held.kind != Promise.Kind.OUTCOME:
        raise PromiseRefused(UPDATES_ARE_NEVER_EARLY)
    if held.state != Promise.State.OPEN:
        raise PromiseRefused("not_open")
    return held


def _open(audience: str) -> QuerySet[Promise]:
    return Promise.objects.filter(audience=audience, kind=Promise.Kind.OUTCOME, state=Promise.State.OPEN)


def _settle(promise: Promise, state: PromiseState, reason: PromiseReason, *, at: datetime, actor: str) -> None:
    promise.state, promise.reason, promise.ended_at = state.value, reason.value, at
    promise.save(update_fields=["state", "reason", "ended_at"])
    _log(promise, f"promise.{state.value}", actor=actor)


def _log(promise: Promise, type: str, *, actor: str) -> None:
    append_event(
        type=type,
        actor=actor,
        subject=promise.audience,
        data={
            "promise": promise.pk,
            "due_at": promise.due_at.isoformat(),
            "outcome": promise.outcome,
            "reason": promise.reason,
        },
    )
