"""A next word that is promised to one customer alone: made, kept by the person who is in touch, or no longer needed."""

from datetime import datetime, timedelta

from django.db import transaction

from beforehand.accounts.models import Team
from beforehand.engine.promises import PromiseReason, PromiseState, promise_times
from beforehand.events.actions import append_event
from beforehand.promises.actions import settle
from beforehand.promises.erasure import audience_of
from beforehand.promises.models import Promise

REACHING = timedelta(minutes=1)
"""How long one message is expected to take."""


@transaction.atomic
def promise_word(
    *, customer_id: int, due_at: datetime, made_at: datetime, made_by: str, owner: Team | None, actor: str
) -> Promise:
    """This customer hears from us by `due_at`, and `owner` sees to it. Idempotent per customer and `made_by`."""
    times = promise_times(made_at, due_at, fan_out=REACHING)
    promise, made = Promise.objects.get_or_create(
        audience=audience_of(customer_id),
        made_by=made_by,
        rhythm="every_step",
        defaults={
            "made_at": made_at,
            "due_at": due_at,
            "warn_at": times.warn_at,
            "hold_at": times.hold_at,
            "owner": owner,
        },
    )
    if made:
        append_event(
            type="promise.made",
            actor=actor,
            subject=promise.audience,
            data={"promise": promise.pk, "due_at": due_at.isoformat(), "reason": ""},
        )
    return promise


@transaction.atomic
def keep_word(promise_id: int | None, *, at: datetime, actor: str) -> None:
    """A person was in touch: the promise is kept, or broken if that was too late. One that is settled stays as it is."""
    promise = _open(promise_id)
    if promise is None:
        return
    in_time = at <= promise.due_at
    settle(
        promise,
        PromiseState.KEPT if in_time else PromiseState.BROKEN,
        PromiseReason.TOLD_IN_TIME if in_time else PromiseReason.TOO_LATE,
        kept_by=actor if in_time else "",
        at=at,
        actor=actor,
    )


@transaction.atomic
def end_word(promise_id: int | None, *, at: datetime, actor: str) -> None:
    """The customer waits no longer for it."""
    promise = _open(promise_id)
    if promise is not None:
        settle(promise, PromiseState.ENDED, PromiseReason.NOBODY_WAITING, kept_by="", at=at, actor=actor)


def _open(promise_id: int | None) -> Promise | None:
    if promise_id is None:
        return None
    return Promise.objects.select_for_update().filter(pk=promise_id, state=Promise.State.OPEN).first()
