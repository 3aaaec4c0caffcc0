"""Moves a run through its playbook: from a place, by a timer or an event, to the next place and what must be told.

Everything is a plain value. The caller writes what an `Advance` says (the tell, the position, the wake-up) in one
transaction. A tell's key is (step, turn); `turn` counts the tells of the run, so no key ever comes twice.
The playbook must have passed `check_playbook` without errors.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from beforehand.engine.playbooks.incident_facts import is_met
from beforehand.engine.playbooks.language import (
    Audience,
    EndReason,
    EndStep,
    IfStep,
    LabelStep,
    Playbook,
    RepeatStep,
    SkipStep,
    SpokenStep,
    Step,
    TaskStep,
    TellStep,
    WaitStep,
)
from beforehand.engine.playbooks.moves import (
    Advance,
    AdvanceReason,
    ConfirmReason,
    Phase,
    Position,
    Reach,
    TaskOrder,
    Tell,
    owed_after,
)
from beforehand.engine.playbooks.waking import Moment, timer, wake_at

NO_LEAD = timedelta(0)

# A timer that fires within this share of its interval is on time: the rhythm counts from when it was due, and so does
# not drift. A later one (the worker was down) counts from now, so that nobody is told twice in a row.
_ON_TIME_SHARE = 10


def start(
    playbook: Playbook,
    *,
    now: datetime,
    reach: Reach,
    began_at: datetime | None = None,
    lead: timedelta = NO_LEAD,
    zone: str = "UTC",
) -> Advance:
    """Begins a run. `began_at` is when the incident began, for a first wait that counts from there (default: now).

    `lead` is how long before a promised time a word must be decided, so that it arrives in time. `zone` is the
    installation's, for a rhythm that knows the time of day.
    """
    moment = Moment.at(playbook, now, reach, lead, zone)
    nowhere = Position(step="", turn=0, phase=Phase.WAITING, anchor_at=moment.now)
    since = moment.now if began_at is None else min(began_at.astimezone(UTC), moment.now)
    return _enter(moment, nowhere, 0, anchor_at=since, reason=AdvanceReason.STARTED)


def advance(
    playbook: Playbook,
    position: Position,
    *,
    now: datetime,
    told: bool,
    reach: Reach,
    lead: timedelta = NO_LEAD,
    zone: str = "UTC",
) -> Advance:
    """What a timer does: goes on if it is time. `told` says that the position's tell has reached its whole audience.

    Calling it too early, or twice, changes nothing: the answer then holds the same position and no tell.
    """
    moment = Moment.at(playbook, now, reach, lead, zone)
    match position.phase:
        case Phase.FINISHED:
            return _rest(moment, position, AdvanceReason.ALREADY_FINISHED)
        case Phase.CONFIRMING:
            return _speak(
                moment, position, _spoken(playbook, position.step), AdvanceReason.CONFIRMED, decided_at=moment.now
            )
        case Phase.TELLING:
            return _after_tell(moment, position, told)
        case _:
            return _after_wait(moment, position)


def on_event(
    playbook: Playbook,
    position: Position,
    *,
    event_type: str,
    now: datetime,
    reach: Reach,
    lead: timedelta = NO_LEAD,
    zone: str = "UTC",
) -> Advance | None:
    """What an event does at this position; None when it means nothing here.

    An exit acts at once, also in the middle of telling. An update that comes while something else is being told
    waits for that to finish (`UPDATE_QUEUED`). Before the first tell no update is told by itself: the first notice
    has it.
    """
    if position.phase is Phase.FINISHED:
        return None
    moment = Moment.at(playbook, now, reach, lead, zone)
    if playbook.section(position.step) is not None:
        if event_type == playbook.restart_on:
            return _restarted(moment, position)
    else:
        for exit_ in playbook.exits:
            if exit_.on == event_type:
                left = replace(position, pending=())
                first = playbook.label_index(exit_.go_to) + 1
                return _enter(moment, left, first, anchor_at=moment.now, reason=AdvanceReason.EXITED)
    step = playbook.step(position.step)
    if position.phase is Phase.WAITING and isinstance(step, WaitStep) and step.until == event_type:
        following = playbook.index(step.id) + 1
        return _enter(moment, position, following, anchor_at=moment.now, reason=AdvanceReason.EVENT_CAME)
    return _on_update(moment, position, event_type)


def on_task_done(
    playbook: Playbook,
    position: Position,
    *,
    step: str,
    turn: int,
    now: datetime,
    reach: Reach,
    lead: timedelta = NO_LEAD,
    zone: str = "UTC",
) -> Advance | None:
    """What it does at this position that the task of (step, turn) is done; None when the run does not wait for it."""
    if position.phase is not Phase.WAITING or (position.step, position.tasks) != (step, turn):
        return None
    moment = Moment.at(playbook, now, reach, lead, zone)
    following = playbook.index(step) + 1
    return _enter(moment, position, following, anchor_at=moment.now, reason=AdvanceReason.TASK_DONE)


def restart(
    playbook: Playbook,
    position: Position,
    *,
    now: datetime,
    reach: Reach,
    lead: timedelta = NO_LEAD,
    zone: str = "UTC",
) -> Advance | None:
    """Starts a run from the top again, also a finished one, because its incident was reopened; turns go on counting.

    None where the playbook has no `restart on`, and in the main part, which the incident has never left.
    """
    if playbook.restart_on is None or playbook.section(position.step) is None:
        return None
    return _restarted(Moment.at(playbook, now, reach, lead, zone), position)


def _restarted(moment: Moment, position: Position) -> Advance:
    """From the top. Who was given an end is owed nothing; a promise not yet answered by one stays owed.

    An end in the middle of being told has not reached everyone: the run goes on knowing that it has told, so that those
    who lack it get one, should this end again before the next notice.
    """
    fresh = replace(position, pending=(), since=None)
    if position.told_step is not None and moment.playbook.section(position.told_step) is not None:
        is_cut_short = position.phase is Phase.TELLING
        fresh = replace(fresh, told_step=position.told_step if is_cut_short else None, told_at=None)
        fresh = replace(fresh, owed_at=None, rare_at=None)
    return _enter(moment, fresh, 0, anchor_at=moment.now, reason=AdvanceReason.RESTARTED)


def _on_update(moment: Moment, position: Position, event_type: str) -> Advance | None:
    repeat = _coming_repeat(moment, position.step)
    if repeat is None or position.told_step is None:
        return None
    tell = next((handler.tell for handler in repeat.on if handler.event == event_type), None)
    if tell is None:
        return None
    if position.phase is Phase.WAITING and position.step == repeat.id:
        return _speak(moment, position, tell, AdvanceReason.UPDATE_CAME, decided_at=moment.now)
    is_asked_already = position.phase is Phase.CONFIRMING and position.step == tell.id
    if is_asked_already or tell.id in position.pending:
        return None
    return _rest(moment, replace(position, pending=(*position.pending, tell.id)), AdvanceReason.UPDATE_QUEUED)


def _after_wait(moment: Moment, position: Position) -> Advance:
    step = moment.playbook.step(position.step)
    due = timer(moment, position, step)
    if moment.now < due:
        return _rest(moment, position, AdvanceReason.TOO_EARLY)
    if isinstance(step, RepeatStep):
        decided_at = _on_time(due, moment.now, due - position.anchor_at)
        return _speak(moment, position, step, AdvanceReason.TIME_CAME, decided_at=decided_at)
    anchor_at = _on_time(due, moment.now, due - position.anchor_at)
    following = moment.playbook.index(step.id) + 1
    return _enter(moment, position, following, anchor_at=anchor_at, reason=AdvanceReason.TIME_CAME)


def _after_tell(moment: Moment, position: Position, told: bool) -> Advance:
    if not told:
        return _rest(moment, position, AdvanceReason.STILL_TELLING)
    index = moment.playbook.index(position.step)
    holder = moment.playbook.steps[index]
    if not isinstance(holder, RepeatStep):
        return _enter(moment, position, index + 1, anchor_at=position.anchor_at, reason=AdvanceReason.TOLD)
    waiting = replace(position, step=holder.id, phase=Phase.WAITING)
    return _pending_or_rest(moment, waiting, AdvanceReason.TOLD)


def _enter(moment: Moment, position: Position, index: int, *, anchor_at: datetime, reason: AdvanceReason) -> Advance:
    """Goes to the first step from `index` on where a run stops: to wait, to tell, or for good. Tasks on the way begin."""
    orders: list[TaskOrder] = []
    steps = moment.playbook.steps
    while index < len(steps):
        step = steps[index]
        if isinstance(step, TaskStep):
            position = replace(position, tasks=position.tasks + 1)
            orders.append(TaskOrder(step.id, position.tasks, step.title, step.team, moment.now + step.within))
        due = timer(moment, replace(position, anchor_at=anchor_at), step) if isinstance(step, WaitStep) else None
        if isinstance(step, WaitStep) and due is not None and due <= moment.now:
            anchor_at = _on_time(due, moment.now, step.duration)
        elif (stop := _stop(moment, position, step, anchor_at=anchor_at, reason=reason)) is not None:
            return replace(stop, tasks=tuple(orders))
        index = _following(moment, index)
    return replace(_finish(position, position.step, EndReason.DONE, reason), tasks=tuple(orders))


def _stop(
    moment: Moment, position: Position, step: Step, *, anchor_at: datetime, reason: AdvanceReason
) -> Advance | None:
    """Stops at this step; None where a run passes through it."""
    match step:
        case WaitStep():
            return _rest(moment, replace(position, step=step.id, phase=Phase.WAITING, anchor_at=anchor_at), reason)
        case TaskStep() if step.is_awaited:
            return _rest(moment, replace(position, step=step.id, phase=Phase.WAITING, anchor_at=moment.now), reason)
        case TellStep() if step.to is not Audience.TOLD or position.told_step is not None:
            return _speak(moment, position, step, reason, decided_at=moment.now)
        case RepeatStep():
            if position.told_at is None:
                return _speak(moment, position, step, reason, decided_at=moment.now)
            waiting = replace(position, step=step.id, phase=Phase.WAITING, anchor_at=position.told_at)
            return _pending_or_rest(moment, waiting, reason)
        case EndStep():
            return _finish(position, step.id, step.reason, reason)
        case _:
            return None


def _following(moment: Moment, index: int) -> int:
    """Where a run that passes the step at `index` goes on; the condition of an `if` is judged as things stand now."""
    match moment.playbook.steps[index]:
        case IfStep() as step if not is_met(step.condition.text, moment.reach, now=moment.now):
            return index + step.then_count + 2
        case SkipStep() as step:
            return index + step.count + 1
        case _:
            return index + 1


def _coming_repeat(moment: Moment, step_id: str) -> RepeatStep | None:
    """The repeat that a run at this step comes to, or is in."""
    steps, index = moment.playbook.steps, moment.playbook.index(step_id)
    while index < len(steps) and not isinstance(steps[index], RepeatStep | EndStep | LabelStep):
        index = _following(moment, index)
    stop = steps[index] if index < len(steps) else None
    return stop if isinstance(stop, RepeatStep) else None


def _pending_or_rest(moment: Moment, position: Position, reason: AdvanceReason) -> Advance:
    """In a repeat: tells at once the update that came meanwhile, or waits for the next turn."""
    if not position.pending:
        return _rest(moment, position, reason)
    return _speak(moment, position, _spoken(moment.playbook, position.pending[0]), reason, decided_at=moment.now)


def _speak(
    moment: Moment, position: Position, step: SpokenStep, reason: AdvanceReason, *, decided_at: datetime
) -> Advance:
    if isinstance(step, RepeatStep) and position.pending:
        step = _spoken(moment.playbook, position.pending[0])
    confirm = _confirmation(moment, step)
    if confirm is not None:
        asking = replace(position, step=step.id, phase=Phase.CONFIRMING)
        return replace(_rest(moment, asking, AdvanceReason.ASKED), confirm=confirm)
    since = position.since or decided_at
    owed = owed_after(moment.playbook, step, at=decided_at, since=since, zone=moment.zone)
    tell = Tell.of(step, position.turn + 1, owed, at=moment.now)
    rare_at = owed.rare_at if owed else None
    is_turn = isinstance(step, RepeatStep) or _says_the_same(moment.playbook, position, step)
    if is_turn and owed and position.rare_at and owed.next_at <= position.rare_at:
        # Nothing has changed, and the next turn comes early enough for those who want only what changes.
        rare_at = position.rare_at
        tell = replace(tell, is_routine=True, rare=rare_at - moment.now)
    telling = Position(
        step=step.id,
        turn=position.turn + 1,
        phase=Phase.TELLING,
        anchor_at=decided_at,
        told_step=step.id,
        told_at=decided_at,
        pending=tuple(waiting for waiting in position.pending if waiting != step.id),
        since=since,
        owed_at=owed.next_at if owed else None,
        rare_at=rare_at,
    )
    return replace(_rest(moment, telling, reason), tell=tell)


SAYS_THE_SAME = ("incident.under_way", "incident.late")
"""Events that come again while nothing changes: of planned work, that it goes on, and that it is late."""


def _says_the_same(playbook: Playbook, position: Position, step: SpokenStep) -> bool:
    """Whether the word before this was the same text, told for such an event: then nothing is new in it."""
    if position.told_step != step.id:
        return False
    repeats = (one for one in playbook.steps if isinstance(one, RepeatStep))
    return any(on.tell.id == step.id and on.event in SAYS_THE_SAME for repeat in repeats for on in repeat.on)


def _confirmation(moment: Moment, step: SpokenStep) -> ConfirmReason | None:
    """Who was told already may always be told the end: only new people are asked about."""
    if moment.reach.is_confirmed or step.to is Audience.TOLD:
        return None
    if not moment.reach.is_approved:
        return ConfirmReason.NOT_APPROVED
    limit = moment.playbook.confirm_above
    return ConfirmReason.ABOVE_LIMIT if limit is not None and moment.reach.count > limit else None


def _finish(position: Position, step_id: str, end: EndReason, reason: AdvanceReason) -> Advance:
    finished = replace(position, step=step_id, phase=Phase.FINISHED, pending=())
    return Advance(finished, None, frozenset(), reason, finished=end)


def _rest(moment: Moment, position: Position, reason: AdvanceReason) -> Advance:
    return Advance(position, wake_at(moment, position), _listens(moment, position), reason)


def _on_time(due: datetime, now: datetime, interval: timedelta) -> datetime:
    return due if now - due <= interval / _ON_TIME_SHARE else now


def _spoken(playbook: Playbook, step_id: str) -> SpokenStep:
    step = playbook.step(step_id)
    assert isinstance(step, TellStep | RepeatStep)
    return step


def _listens(moment: Moment, position: Position) -> frozenset[str]:
    if position.phase is Phase.FINISHED:
        return frozenset()
    playbook = moment.playbook
    events: set[str] = set()
    if playbook.section(position.step) is None:
        events.update(exit_.on for exit_ in playbook.exits)
    elif playbook.restart_on is not None:
        events.add(playbook.restart_on)
    step = playbook.step(position.step)
    if position.phase is Phase.WAITING and isinstance(step, WaitStep) and step.until is not None:
        events.add(step.until)
    repeat = _coming_repeat(moment, position.step)
    if repeat is not None and position.told_step is not None:
        events.update(handler.event for handler in repeat.on)
    return frozenset(events)
