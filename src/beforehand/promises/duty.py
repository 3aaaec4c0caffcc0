"""Who answers for a promise: whoever is on duty when it is due soon; unacknowledged, the deputy, then the supervisor."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from beforehand.accounts.installation import installation
from beforehand.accounts.models import User
from beforehand.accounts.rosters import Roster, answering_rosters
from beforehand.engine.roster import Holder, Rung, next_holder, patience
from beforehand.events.actions import append_event, append_many
from beforehand.kit.rows import bulk, bulk_fetch
from beforehand.promises.models import Promise

AT_ONCE = 5_000
"""Promises that one pass takes: what one transaction writes well within a second or two."""

WARN = """
UPDATE promises_promise p SET warned_at = %(now)s::timestamptz
WHERE p.id IN (SELECT id FROM promises_promise WHERE state = 'open' AND warned_at IS NULL AND warn_at <= %(now)s::timestamptz
               ORDER BY warn_at LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
RETURNING p.id, p.owner_id, p.assignee_id, p.rung, p.assigned_at, p.warn_at, p.hold_at, p.acknowledged_at IS NOT NULL
"""

UNANSWERED = """
SELECT p.id, p.owner_id, p.assignee_id, p.rung, p.assigned_at, p.warn_at, p.hold_at, false
FROM promises_promise p
WHERE p.state = 'open' AND p.assignee_id IS NOT NULL AND p.pass_at <= %(now)s::timestamptz
ORDER BY p.pass_at LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED
"""

ASSIGNED = """
SELECT p.id, p.owner_id, p.assignee_id, p.rung, p.assigned_at, p.warn_at, p.hold_at, p.acknowledged_at IS NOT NULL
FROM promises_promise p WHERE p.state = 'open' AND p.assignee_id IS NOT NULL AND p.owner_id IS NOT NULL
"""

ASSIGN = """
UPDATE promises_promise p SET assignee_id = g.person, rung = g.rung, assigned_at = %(now)s::timestamptz, pass_at = g.pass_at,
                              acknowledged_at = NULL
FROM unnest(%(ids)s::bigint[], %(people)s::bigint[], %(rungs)s::text[], %(passes)s::timestamptz[])
     AS g(id, person, rung, pass_at)
WHERE p.id = g.id AND p.state = 'open'
"""

LOG = """
SELECT %(type)s::text, 'watchdog', p.audience, NULL::bigint,
       jsonb_build_object('promise', p.id, 'due_at', p.due_at, 'reason', %(reason)s::text, 'person', p.assignee_id,
                          'rung', p.rung),
       %(now)s::timestamptz
FROM promises_promise p WHERE p.id = ANY(%(ids)s::bigint[])
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A promise whose owner is to be found."""

    id: int
    owner_id: int | None
    assignee_id: int | None
    rung: str
    assigned_at: datetime | None
    warn_at: datetime
    hold_at: datetime
    is_acknowledged: bool


def tend_duties(*, now: datetime) -> int:
    """Warn who is on duty of what is due soon, pass on what nobody acknowledged or whose holder has gone; how many moved."""
    return warn_due(now=now) + pass_unanswered(now=now) + pass_from_gone(now=now)


@transaction.atomic
def warn_due(*, now: datetime) -> int:
    """Every promise whose warning is due gets it, and belongs to whoever is on duty for its team."""
    due = [_Asked(*row) for row in bulk_fetch(WARN, {"now": now, "limit": AT_ONCE})]
    if not due:
        return 0
    _note([one.id for one in due], "promise.due_soon", reason="due soon", now=now)
    _assign([one for one in due if one.assignee_id is None], now=now, type="promise.assigned", reason="due soon")
    return len(due)


@transaction.atomic
def pass_unanswered(*, now: datetime) -> int:
    """What nobody acknowledged in time goes to the next: the deputy, then the supervisor."""
    asked = [_Asked(*row) for row in bulk_fetch(UNANSWERED, {"now": now, "limit": AT_ONCE})]
    if not asked:
        return 0
    passed = _assign(asked, now=now, type="promise.passed", reason="unacknowledged")
    left = [one.id for one in asked if one.id not in passed]
    Promise.objects.filter(pk__in=left).update(pass_at=None)
    _note(left, "promise.unanswered", reason="nobody left to ask", now=now)
    return len(asked)


@transaction.atomic
def pass_from_gone(*, now: datetime) -> int:
    """A promise whose holder's shift has ended belongs to whoever is on duty now, and is to be acknowledged anew."""
    held = [_Asked(*row) for row in bulk_fetch(ASSIGNED)]
    if not held:
        return 0
    known = _rosters(held, now=now)
    gone = [
        one
        for one in held
        if one.assignee_id is not None
        and one.owner_id in known
        and known[one.owner_id].has_gone(one.assignee_id, since=one.assigned_at or now, now=now)
    ]
    if not gone:
        return 0
    locked = set(
        Promise.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(pk__in=[one.id for one in gone], state=Promise.State.OPEN)
        .values_list("pk", "assignee_id")
    )
    anew = [one for one in gone if (one.id, one.assignee_id) in locked]
    return len(_assign(anew, now=now, type="promise.passed", reason="shift ended", is_anew=True))


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What became of a press on “I have it”."""

    is_new: bool
    holder: User | None
    """Who has it: the one who pressed, or whoever was quicker."""


@transaction.atomic
def acknowledge(promise_id: int, *, person: User, actor: str, now: datetime) -> Acknowledged:
    """A person says: this promise is mine. Of two who press at once, one has it and the other is told who."""
    promise = Promise.objects.select_for_update().prefetch_related("assignee").get(pk=promise_id)
    if promise.state != Promise.State.OPEN or promise.acknowledged_at is not None:
        return Acknowledged(is_new=False, holder=promise.assignee)
    promise.assignee, promise.acknowledged_at, promise.pass_at = person, now, None
    promise.assigned_at = now
    promise.save(update_fields=["assignee", "acknowledged_at", "pass_at", "assigned_at"])
    append_event(
        type="promise.acknowledged",
        actor=actor,
        subject=promise.audience,
        data={"promise": promise.pk, "due_at": promise.due_at.isoformat(), "person": person.pk},
    )
    return Acknowledged(is_new=True, holder=person)


def _rosters(asked: Iterable[_Asked], *, now: datetime) -> dict[int, Roster]:
    since = min((one.assigned_at for one in asked if one.assigned_at is not None), default=now)
    teams = {one.owner_id for one in asked if one.owner_id is not None}
    return answering_rosters(teams, since=min(since, now), until=now + timedelta(seconds=1))


def _assign(asked: Sequence[_Asked], *, now: datetime, type: str, reason: str, is_anew: bool = False) -> set[int]:
    """Give each promise its next holder; the ids of those that got one. A team without a roster is warned as a team."""
    known = _rosters(asked, now=now)
    setting = timedelta(minutes=installation().acknowledge_minutes)
    found: list[tuple[_Asked, Holder]] = []
    deserted: list[int] = []
    for one in asked:
        roster = known.get(one.owner_id or 0)
        if roster is None:
            continue
        after = Rung(one.rung) if one.rung and not is_anew else None
        holder = next_holder(roster.duty_at(now), supervisor=roster.supervisor, after=after, last=one.assignee_id)
        if holder is not None:
            found.append((one, holder))
        elif one.assignee_id is None:
            deserted.append(one.id)
    _note(deserted, "promise.nobody_on_duty", reason="nobody on duty", now=now)
    if not found:
        return set()
    parameters: dict[str, Any] = {
        "now": now,
        "ids": [one.id for one, _ in found],
        "people": [holder.person for _, holder in found],
        "rungs": [holder.rung.value for _, holder in found],
        "passes": [now + patience(one.warn_at, one.hold_at, setting=setting) for one, _ in found],
    }
    bulk(ASSIGN, parameters)
    _note(parameters["ids"], type, reason=reason, now=now)
    return set(parameters["ids"])


def _note(ids: Sequence[int], type: str, *, reason: str, now: datetime) -> None:
    if ids:
        append_many(LOG, {"type": type, "reason": reason, "now": now, "ids": list(ids)})
