"""Whom a promise's event concerns: who answers for it now, or the team when there is nobody else."""

from collections.abc import Sequence

from beforehand.accounts.models import DutyRole
from beforehand.accounts.notices import Asked, give_notice, whole_team
from beforehand.events.subscriptions import StoredEvent
from beforehand.kit import clock
from beforehand.promises.models import Promise

NOTICED = (
    "promise.due_soon",
    "promise.assigned",
    "promise.passed",
    "promise.nobody_on_duty",
    "promise.unanswered",
)


def notice_promises(events: Sequence[StoredEvent]) -> None:
    """Each promise that is still open is told to whom it concerns: once for each time that it came to them."""
    open_ones = Promise.objects.filter(state=Promise.State.OPEN).in_bulk([event.data["promise"] for event in events])
    for event in events:
        promise = open_ones.get(event.data["promise"])
        asked = _asked(event, promise) if promise is not None else None
        if promise is not None and asked is not None:
            reason = event.type.partition(".")[2]
            once = f"{reason}:{event.id}"
            give_notice(asked, about=f"promise:{promise.pk}", reason=reason, once=once, now=clock.now())


def _asked(event: StoredEvent, promise: Promise) -> Asked | None:
    """Who is to hear of this; None where another event of the same moment says it."""
    if event.type in ("promise.assigned", "promise.passed"):
        return Asked((event.data["person"],), is_team=False)
    if event.type == "promise.unanswered" or promise.assignee_id is None:
        return None if event.type == "promise.due_soon" and _has_roster(promise) else whole_team(promise.owner_id)
    was_theirs = promise.assigned_at is not None and promise.assigned_at < event.occurred_at
    return Asked((promise.assignee_id,), is_team=False) if was_theirs else None


def _has_roster(promise: Promise) -> bool:
    """Whether its team has duty roles: then what follows the warning says who has it, or that nobody is there."""
    return DutyRole.objects.filter(team=promise.owner_id).exists()
