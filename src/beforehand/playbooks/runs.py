"""Move runs: by the clock, by events, by a person's word. The engine decides; here it is written in one transaction."""

from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from beforehand.engine.playbooks.language import Audience, Playbook
from beforehand.engine.playbooks.moves import Advance, AdvanceReason, Phase, Position, Reach, holding_tell
from beforehand.engine.playbooks.run import advance, on_event, on_task_done, restart, start
from beforehand.engine.promises import CustomerRhythm, speaking_lead
from beforehand.events.actions import append_event
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.kit.rows import DATABASE_TROUBLE, fetch
from beforehand.outbound.actions import cancel
from beforehand.outbound.models import MessageBatch
from beforehand.playbooks.audiences import TO_THE_AFFECTED, BatchAudience
from beforehand.playbooks.bundles import playbook_of
from beforehand.playbooks.models import PlaybookVersion, Run
from beforehand.playbooks.promising import expected_fan_out, zone
from beforehand.playbooks.speaking import attend_joiners_and_leavers, effect_key, effect_keys, speak
from beforehand.playbooks.spreads import fail_run, is_spread
from beforehand.playbooks.tasks import mark_overdue_tasks, order_tasks
from beforehand.promises.actions import end_promises, is_answered
from beforehand.promises.models import AFTER_NIGHT, Promise

log = structlog.get_logger()

HEALING = (AdvanceReason.EXITED, AdvanceReason.RESTARTED)
"""What a run that was stopped by an error still does: whoever it told gets the end, and a reopened incident starts anew."""

STATES = {
    Phase.WAITING: Run.State.WAITING,
    Phase.CONFIRMING: Run.State.CONFIRMING,
    Phase.TELLING: Run.State.TELLING,
    Phase.FINISHED: Run.State.FINISHED,
}


def begin_run(version: PlaybookVersion, incident: Incident, *, now: datetime) -> Run | None:
    """Start a playbook for an incident whose affected list is there; None if this version already runs for it."""
    playbook = playbook_of(version.pk)
    with transaction.atomic():
        run, made = Run.objects.get_or_create(
            version=version, incident=incident, defaults={"state": Run.State.WAITING, "position": {}, "started_at": now}
        )
        if not made:
            return None
        append_event(
            type="run.started",
            actor="playbooks",
            subject=origin_of(incident.pk),
            data={"run": run.pk, "playbook": version.slug, "version": version.number},
        )
        first = start(
            playbook,
            now=now,
            reach=_reach(run),
            began_at=incident.began_at,
            zone=zone(),
        )
        _apply(run, playbook, first, now=now)
    return run


def tend_runs(*, now: datetime) -> int:
    """Move every run whose time has come; how many. Each in its own transaction; a faulty one is stopped, loudly."""
    rows = fetch(
        """
        SELECT id FROM playbooks_run WHERE state IN ('waiting', 'telling') AND wake_at <= %s
        ORDER BY wake_at LIMIT 100
        """,
        [now],
    )
    moved = mark_overdue_tasks(now=now)
    for (run_id,) in rows:
        try:
            moved += tend_run(run_id, now=now)
        except DATABASE_TROUBLE:
            raise
        except Exception as error:
            log.exception("run_failed", run_id=run_id)
            with transaction.atomic():
                fail_run(Run.objects.select_for_update().get(pk=run_id), f"{type(error).__name__}: {error}")
    return moved


@transaction.atomic
def tend_run(run_id: int, *, now: datetime) -> int:
    """Move one run by the clock, unless another worker is at it."""
    run = Run.objects.select_for_update(skip_locked=True).filter(pk=run_id).prefetch_related("incident").first()
    if run is None or run.state not in (Run.State.WAITING, Run.State.TELLING):
        return 0
    playbook = playbook_of(run.version_id)
    position = Position.from_json(run.position)
    if _has_to_leave(run, playbook, position):
        Run.objects.filter(pk=run.pk).update(wake_at=now + timedelta(seconds=1))
        return 0
    told = position.phase is Phase.TELLING and _tell_is_spread(run, position)
    step = advance(playbook, position, now=now, told=told, reach=_reach(run), lead=_lead(run, position), zone=zone())
    if step.reason is AdvanceReason.STILL_TELLING:
        Run.objects.filter(pk=run.pk).update(wake_at=now + timedelta(seconds=1))
        return 0
    _apply(run, playbook, step, now=now)
    return 1


@transaction.atomic
def hear_event(incident_id: int, event_type: str, *, now: datetime) -> int:
    """Tell the incident's runs that something happened; an exit acts at once, whatever they are doing. How many moved."""
    moved = 0
    for run in Run.objects.select_for_update().filter(incident_id=incident_id).prefetch_related("incident"):
        playbook = playbook_of(run.version_id)
        position = Position.from_json(run.position)
        lead = _lead(run, position)
        if event_type == "incident.reopened":
            step = restart(playbook, position, now=now, reach=_reach(run), lead=lead, zone=zone())
        else:
            step = on_event(
                playbook, position, event_type=event_type, now=now, reach=_reach(run), lead=lead, zone=zone()
            )
        if step is None or (run.state == Run.State.FAILED and step.reason not in HEALING):
            continue
        if step.reason is AdvanceReason.RESTARTED:
            # It is not over after all: nobody else is told that it is.
            cancel(origin_of(incident_id), audiences=[BatchAudience.TOLD], reason="reopened", actor=f"run:{run.pk}")
            run.error, run.finish_reason, run.finished_at = "", "", None
        if step.reason is AdvanceReason.EXITED:
            attend_joiners_and_leavers(run, playbook, position, now=now, leaving_only=True)
            cancel(
                origin_of(incident_id),
                audiences=TO_THE_AFFECTED,
                reason=event_type.partition(".")[2],
                actor=f"run:{run.pk}",
            )
        _apply(run, playbook, step, now=now)
        moved += 1
    return moved


@transaction.atomic
def confirm_run(run_id: int, *, actor: str, now: datetime) -> bool:
    """A person says: tell them. False if the run no longer asks (another person was quicker, or the incident ended)."""
    run = Run.objects.select_for_update().prefetch_related("incident").get(pk=run_id)
    playbook = playbook_of(run.version_id)
    position = Position.from_json(run.position)
    if run.state != Run.State.CONFIRMING or _has_to_leave(run, playbook, position):
        return False
    run.is_confirmed = True
    append_event(
        type="run.confirmed",
        actor=actor,
        subject=origin_of(run.incident_id),
        data={"run": run.pk, "affected": run.incident.affected_count},
    )
    step = advance(playbook, position, now=now, told=False, reach=_reach(run), lead=_lead(run, position), zone=zone())
    _apply(run, playbook, step, now=now)
    return True


def go_on_after_task(run: Run, *, step: str, turn: int, now: datetime) -> None:
    """A task of this (locked) run is done: go on, if the run waits for just that."""
    playbook, position = playbook_of(run.version_id), Position.from_json(run.position)
    if _has_to_leave(run, playbook, position):
        return
    lead = _lead(run, position)
    moved = on_task_done(playbook, position, step=step, turn=turn, now=now, reach=_reach(run), lead=lead, zone=zone())
    if moved is not None and run.state == Run.State.WAITING:
        _apply(run, playbook, moved, now=now)


@transaction.atomic
def attend_list(incident_id: int, *, now: datetime) -> None:
    """The affected list changed: who joined hears the latest notice, who left hears the end."""
    for run in Run.objects.select_for_update().filter(incident_id=incident_id).prefetch_related("incident"):
        if run.state in (Run.State.WAITING, Run.State.CONFIRMING, Run.State.TELLING):
            position = Position.from_json(run.position)
            attend_joiners_and_leavers(run, playbook_of(run.version_id), position, now=now)
            run.save()


@transaction.atomic
def hold_the_line(promise_id: int, *, now: datetime) -> bool:
    """An update will not come in time: say so honestly, with a new time. False when nobody is left to be told."""
    promise = Promise.objects.get(pk=promise_id)
    batch = MessageBatch.objects.filter(effect_key=promise.made_by).first()
    run_id = int(batch.why["run"]) if batch else 0
    run = Run.objects.select_for_update().filter(pk=run_id).prefetch_related("incident").first()
    if run is None or run.incident.state != Incident.State.OPEN or _is_answered(promise):
        return False
    run.side_turn += 1
    tell = holding_tell(
        playbook_of(run.version_id), Position.from_json(run.position), turn=run.side_turn, now=now, zone=zone()
    )
    if tell is None:
        return False
    if promise.rhythm != CustomerRhythm.ONLY_CHANGES:
        tell = replace(
            tell, is_routine=True
        )  # who wants only what changes was promised a later time, and nothing is new
    speak(run, playbook_of(run.version_id), tell, BatchAudience.TOLD, now=now, cause="promise.holding_asked")
    run.save()
    return True


def _is_answered(promise: Promise) -> bool:
    """Whether a word is on its way already; who slept was looked at one by one when their time passed."""
    return promise.rhythm != AFTER_NIGHT and is_answered(promise)


def _has_to_leave(run: Run, playbook: Playbook, position: Position) -> bool:
    """Whether its incident has ended in a way on which it exits, and it has not heard so yet: until then it says nothing."""
    ending = f"incident.{run.incident.state}"
    return playbook.section(position.step) is None and any(one.on == ending for one in playbook.exits)


def _reach(run: Run) -> Reach:
    return Reach(
        count=run.incident.affected_count,
        is_confirmed=run.is_confirmed,
        is_approved=run.version.approved_at is not None,
        kind=run.incident.kind,
        severity=run.incident.severity,
    )


def _lead(run: Run, position: Position) -> timedelta:
    if position.owed_at is None or position.told_at is None:
        return timedelta(0)
    return speaking_lead(position.owed_at - position.told_at, fan_out=expected_fan_out(run.incident))


def _tell_is_spread(run: Run, position: Position) -> bool:
    batch = MessageBatch.objects.filter(effect_key=effect_key(run, position.step, position.turn)).first()
    return batch is None or is_spread(batch.pk)


def _apply(run: Run, playbook: Playbook, step: Advance, *, now: datetime) -> None:
    """Write the run's new place with all that follows from it, in the caller's transaction."""
    run.position = step.position.to_json()
    run.state = STATES[step.position.phase]
    run.wake_at = step.wake_at
    run.pending = None
    order_tasks(run, step.tasks, now=now)
    if step.confirm is not None:
        run.pending = {"step": step.position.step, "reason": step.confirm.value}
        append_event(
            type="run.confirmation_asked",
            actor=f"run:{run.pk}",
            subject=origin_of(run.incident_id),
            data={"run": run.pk, "reason": step.confirm.value, "affected": run.incident.affected_count},
        )
    if step.tell is not None:
        audience = BatchAudience.AFFECTED if step.tell.audience is Audience.AFFECTED else BatchAudience.TOLD
        is_end = playbook.section(step.tell.step) is not None
        speak(run, playbook, step.tell, audience, now=now, cause=step.reason.value, is_end=is_end)
        run.list_seen_at = run.list_seen_at or run.incident.affected_at
    if step.finished is not None:
        run.finish_reason = step.finished.value
        run.finished_at = now
        # While it lasts, what another playbook's run has promised is still owed.
        own = effect_keys(run) if run.incident.state == Incident.State.OPEN else ""
        end_promises(origin_of(run.incident_id), at=now, actor=f"run:{run.pk}", made_by=own)
        append_event(
            type="run.finished",
            actor=f"run:{run.pk}",
            subject=origin_of(run.incident_id),
            data={"run": run.pk, "reason": step.finished.value},
        )
    elif step.position.phase is Phase.WAITING:
        attend_joiners_and_leavers(run, playbook, step.position, now=now)
    run.save()
