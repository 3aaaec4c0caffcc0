"""Planned work: an incident that is known beforehand. Planned, announced, moved, started, and finished: early, late or in time.

Each verb appends an event that playbooks hear. While the window lasts, alerts of its components raise no problem of their
own: a mute holds them back, and raises it if they still fire afterwards.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import F, Q

from beforehand.accounts.models import Team
from beforehand.customers.models import Component
from beforehand.detection.models import Mute
from beforehand.detection.mutes import create_mute, end_mute
from beforehand.events.actions import append_event
from beforehand.incidents.actions import (
    IncidentError,
    cancel_incident,
    open_incident,
    pressed_just_now,
    resolve_incident,
)
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident, PlannedWork
from beforehand.kit import clock
from beforehand.kit.rows import DATABASE_TROUBLE

log = structlog.get_logger()

REMIND_BEFORE = timedelta(hours=24)
WORD_EVERY = timedelta(hours=2)
"""How often those affected hear that the work goes on as planned, once it has begun."""
LATE_WORD_EVERY = timedelta(hours=1)
"""And how often once it lasts longer than planned."""
IN_TIME = timedelta(minutes=5)
"""An end this close to the planned one is neither early nor late."""
LONGEST = timedelta(days=31)

FINISHED, FINISHED_EARLY, FINISHED_LATE = "finished", "finished_early", "finished_late"


@transaction.atomic
def plan_work(
    *,
    title: str,
    starts_at: datetime,
    ends_at: datetime,
    component_ids: Sequence[int],
    actor: str,
    severity: str = "minor",
    condition: str = "",
    texts: Mapping[str, Mapping[str, str]] | None = None,
    owner: Team | None = None,
    is_public: bool = True,
    announce_at: datetime | None = None,
    external_id: str = "",
) -> PlannedWork:
    """Plan work for a window; `announce_at` is when customers are told, now if not stated.

    Who presses twice gets what the first press planned.
    Raises `IncidentError` "ends_before", "too_long", "is_past" or "touches_nobody".
    """
    now = clock.now()
    _check_window(starts_at, ends_at, now=now)
    if not component_ids and not condition:
        raise IncidentError("touches_nobody")
    if not external_id:
        known = pressed_just_now(
            title=title,
            kind=Incident.Kind.PLANNED,
            severity=severity,
            actor=actor,
            component_ids=component_ids,
            condition=condition,
        )
        twin = PlannedWork.objects.filter(incident=known, starts_at=starts_at, ends_at=ends_at).first()
        if twin is not None:
            return twin
    incident = open_incident(
        title=title,
        kind=Incident.Kind.PLANNED,
        severity=severity,
        actor=actor,
        began_at=now,
        known_at=now,
        component_ids=component_ids,
        condition=condition,
        texts=texts,
        owner=owner,
        is_public=is_public,
    )
    # It touches nobody before it begins: `open_incident` dates no incident ahead, this is what does.
    Incident.objects.filter(pk=incident.pk).update(began_at=starts_at)
    incident.began_at = starts_at
    work = PlannedWork.objects.create(
        incident=incident,
        starts_at=starts_at,
        ends_at=ends_at,
        announce_at=announce_at or now,
        external_id=external_id,
    )
    _mute(work, _component_ids(work), actor=actor)
    _log(work, "incident.planned", actor=actor)
    return work


@transaction.atomic
def move_work(work: PlannedWork, *, starts_at: datetime, ends_at: datetime, actor: str) -> bool:
    """Give it another window; False if it is the one that it has. Once begun, only its end moves."""
    work = _locked(work)
    now = clock.now()
    if (starts_at, ends_at) == (work.starts_at, work.ends_at):
        return False
    if work.started_at is not None and starts_at != work.starts_at:
        raise IncidentError("has_started")
    _check_window(starts_at, ends_at, now=now, is_running=work.started_at is not None)
    work.before_starts_at, work.before_ends_at = work.starts_at, work.ends_at
    work.starts_at, work.ends_at = starts_at, ends_at
    work.moves += 1
    if work.started_at is None:
        work.reminded_at = None
        Incident.objects.filter(pk=work.incident_id).update(began_at=starts_at)
    else:
        work.word_at = now
    work.late_at = None
    work.save()
    _unmute(work, actor=actor)
    _mute(work, _component_ids(work), actor=actor)
    is_longer = work.started_at is not None and work.ends_at > (work.before_ends_at or work.ends_at)
    _log(work, "incident.late" if is_longer else "incident.moved", actor=actor)
    return True


@transaction.atomic
def start_work(work: PlannedWork, *, actor: str) -> bool:
    """It begins now, whatever was planned; False if it had begun."""
    work = _locked(work)
    if work.started_at is not None:
        return False
    now = clock.now()
    if work.announced_at is None:
        # Who was not told that it would come is told that it is there.
        work.announced_at = work.reminded_at = now
        _log(work, "incident.announced", actor=actor)
    if now < work.starts_at:
        work.starts_at = now
        _unmute(work, actor=actor)
        _mute(work, _component_ids(work), actor=actor)
    work.started_at = work.word_at = now
    work.phase = PlannedWork.Phase.STARTED
    work.save()
    Incident.objects.filter(pk=work.incident_id).update(began_at=now)
    _log(work, "incident.started", actor=actor)
    return True


@transaction.atomic
def finish_work(work: PlannedWork, *, actor: str, ended_at: datetime | None = None) -> str:
    """It is done; answers whether early, late or in time. Raises `IncidentError` "not_started" for work that never began."""
    work = _locked(work)
    if work.started_at is None:
        raise IncidentError("not_started")
    now = clock.now()
    ended_at = min(ended_at or now, now)
    if ended_at < work.ends_at - IN_TIME:
        how = FINISHED_EARLY
    elif ended_at > work.ends_at + IN_TIME:
        how = FINISHED_LATE
    else:
        how = FINISHED
    work.phase = PlannedWork.Phase.FINISHED
    work.save(update_fields=["phase"])
    _unmute(work, actor=actor)
    resolve_incident(work.incident, reason=how, actor=actor, ended_at=ended_at)
    return how


@transaction.atomic
def cancel_work(work: PlannedWork, *, actor: str) -> None:
    """It does not take place, or stops without being done; who was told is told so."""
    work = _locked(work)
    work.phase = PlannedWork.Phase.CANCELLED
    work.save(update_fields=["phase"])
    _unmute(work, actor=actor)
    cancel_incident(work.incident, reason="work_cancelled", actor=actor)


@transaction.atomic
def close_planned(incident_id: int, *, actor: str) -> bool:
    """Its incident ended: so did the work, and alerts are held back no longer; False for what was no planned work."""
    work = PlannedWork.objects.select_for_update().prefetch_related("incident").filter(pk=incident_id).first()
    if work is None or work.incident.state == Incident.State.OPEN:
        return False
    is_done = work.incident.state == Incident.State.RESOLVED
    work.phase = PlannedWork.Phase.FINISHED if is_done else PlannedWork.Phase.CANCELLED
    work.save(update_fields=["phase"])
    _unmute(work, actor=actor)
    return True


@transaction.atomic
def follow_scope(incident_id: int, *, added: Collection[int], actor: str) -> bool:
    """What an incident is on has changed, and these components are new in it: alerts are held back of what it is on now.

    A mute that a person has ended stays so. False for what is no planned work, or is over.
    """
    work = PlannedWork.objects.select_for_update().prefetch_related("incident").filter(pk=incident_id).first()
    if work is None or work.incident.state != Incident.State.OPEN:
        return False
    ids = _component_ids(work)
    standing = Mute.objects.filter(pk__in=work.mute_ids, ends_at__gt=clock.now())
    for mute in standing:
        if mute.component_id not in ids:
            end_mute(mute, actor=actor)
    _mute(work, ids.intersection(added) - {mute.component_id for mute in standing}, actor=actor)
    return True


def tend_planned(*, now: datetime) -> int:
    """Announce, remind, start and say that it lasts, whatever is due; how many. Each in its own transaction."""
    due = (
        PlannedWork.objects.filter(incident__state=Incident.State.OPEN)
        .filter(
            Q(announced_at=None, announce_at__lte=now)
            | Q(reminded_at=None, started_at=None, starts_at__lte=now + REMIND_BEFORE)
            | Q(started_at=None, starts_at__lte=now)
            | Q(started_at__isnull=False, word_at__lte=now - LATE_WORD_EVERY)
            | Q(started_at__isnull=False, late_at=None, ends_at__lte=now)
        )
        .order_by("starts_at")
        .values_list("pk", flat=True)[:500]
    )
    done = 0
    for pk in list(due):
        try:
            done += _tend(pk, now=now)
        except DATABASE_TROUBLE:
            raise
        except Exception:
            log.exception("planned_work_failed", incident=pk)  # the others have theirs to be told
    return done


@transaction.atomic
def _tend(pk: int, *, now: datetime) -> int:
    """One thing at a time, the first that is due: the run must hear them in order."""
    work = (
        PlannedWork.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(pk=pk, incident__state=Incident.State.OPEN)
        .first()
    )
    if work is None:
        return 0
    if work.announced_at is None and not _has_list(work):
        return 0  # whom it touches is being worked out: nobody could be told yet
    if work.announced_at is None and (work.announce_at <= now or work.starts_at <= now):
        work.announced_at = now
        work.phase = PlannedWork.Phase.ANNOUNCED
        if work.starts_at <= now + REMIND_BEFORE:
            work.reminded_at = now  # the announcement is the reminder
        work.save()
        _log(work, "incident.announced", actor="planned")
    elif work.started_at is None and work.starts_at <= now:
        start_work(work, actor="planned")
    elif work.started_at is None and work.reminded_at is None and work.starts_at <= now + REMIND_BEFORE:
        work.reminded_at = now
        work.save(update_fields=["reminded_at"])
        _log(work, "incident.reminder_due", actor="planned")
    elif work.started_at is not None and work.ends_at <= now and _word_is_due(work, now=now):
        work.late_at = work.late_at or now
        work.word_at = now
        work.save(update_fields=["late_at", "word_at"])
        _log(work, "incident.late", actor="planned")
    elif work.started_at is not None and work.word_at is not None and work.word_at <= now - WORD_EVERY:
        work.word_at = now
        work.save(update_fields=["word_at"])
        _log(work, "incident.under_way", actor="planned")
    else:
        return 0
    return 1


def _has_list(work: PlannedWork) -> bool:
    return Incident.objects.filter(pk=work.incident_id, affected_at__isnull=False).exists()


def _word_is_due(work: PlannedWork, *, now: datetime) -> bool:
    return work.late_at is None or (work.word_at is not None and work.word_at <= now - LATE_WORD_EVERY)


def _check_window(starts_at: datetime, ends_at: datetime, *, now: datetime, is_running: bool = False) -> None:
    if ends_at <= starts_at:
        raise IncidentError("ends_before")
    if ends_at - starts_at > LONGEST:
        raise IncidentError("too_long")
    if ends_at <= now or (starts_at < now - IN_TIME and not is_running):
        raise IncidentError("is_past")


def _locked(work: PlannedWork) -> PlannedWork:
    """Take the work's lock; raises `IncidentError` if its incident has ended."""
    locked = PlannedWork.objects.select_for_update().prefetch_related("incident").get(pk=work.pk)
    if locked.incident.state != Incident.State.OPEN:
        raise IncidentError("not_open")
    return locked


def _component_ids(work: PlannedWork) -> set[int]:
    """What the work is on now."""
    parts = work.incident.scopes.filter(removed_at=None, component_id__isnull=False)
    return set(parts.values_list("component_id", flat=True))


def _mute(work: PlannedWork, component_ids: Collection[int], *, actor: str) -> None:
    """Hold back the alerts of these components for its window."""
    if work.ends_at <= clock.now():
        return
    mutes = [
        create_mute(
            starts_at=work.starts_at,
            ends_at=work.ends_at,
            reason=work.incident.title,
            actor=actor,
            component=component,
        )
        for component in Component.objects.filter(pk__in=component_ids)
    ]
    work.mute_ids = [*work.mute_ids, *(mute.pk for mute in mutes)]
    work.save(update_fields=["mute_ids"])


def _unmute(work: PlannedWork, *, actor: str) -> None:
    for mute in Mute.objects.filter(pk__in=work.mute_ids, ends_at__gt=clock.now()):
        end_mute(mute, actor=actor)


def _log(work: PlannedWork, type: str, *, actor: str) -> None:
    PlannedWork.objects.filter(pk=work.pk).update(sequence=F("sequence") + 1)
    append_event(
        type=type,
        actor=actor,
        subject=origin_of(work.incident_id),
        data={
            "incident": work.incident_id,
            "starts_at": work.starts_at.isoformat(),
            "ends_at": work.ends_at.isoformat(),
        },
    )
