"""When a waiting run wakes: by its playbook, or earlier, so that what was promised is kept."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from beforehand.engine.playbooks.language import NamedStep, Playbook, RepeatStep, Rhythm, TaskStep, WaitStep
from beforehand.engine.playbooks.moves import Phase, Position, Reach

# How soon an overdue run looks again whether a person has confirmed.
_LOOK_AGAIN = timedelta(minutes=1)


@dataclass(frozen=True)
class Moment:
    """A run's surroundings while it moves: its playbook, the time, whom it reaches, and how early it must speak."""

    playbook: Playbook
    now: datetime
    reach: Reach
    lead: timedelta
    zone: str

    @classmethod
    def at(cls, playbook: Playbook, now: datetime, reach: Reach, lead: timedelta, zone: str) -> "Moment":
        """In UTC, because Python adds hours to a zone's wall clock, and an hour goes wrong when the clocks change."""
        return cls(playbook, now.astimezone(UTC), reach, lead, zone)


def wake_at(moment: Moment, position: Position) -> datetime | None:
    """When the run must be looked at again: never later than a promise that is open allows."""
    if position.phase is Phase.FINISHED:
        return None
    if position.phase is Phase.TELLING:
        return moment.now
    owed_at = position.owed_at
    if position.phase is Phase.CONFIRMING:
        return owed_at if owed_at is None or owed_at > moment.now else moment.now + _LOOK_AGAIN
    return timer(moment, position, moment.playbook.step(position.step))


def timer(moment: Moment, position: Position, step: NamedStep) -> datetime:
    """When waiting at this step is over: by the playbook, or earlier by `lead` before what was promised."""
    planned_at = _planned(moment, position, step)
    if position.owed_at is None or position.told_at is None:
        return planned_at
    return min(planned_at, position.owed_at - min(moment.lead, (position.owed_at - position.told_at) / 2))


def _planned(moment: Moment, position: Position, step: NamedStep) -> datetime:
    match step:
        case WaitStep():
            return position.anchor_at + step.duration
        case TaskStep():
            return position.anchor_at + step.within
        case RepeatStep(every=Rhythm() as rhythm):
            since = position.since or position.anchor_at
            return rhythm.turn(position.anchor_at, since=since, zone=moment.zone).speak_at
        case _:
            assert isinstance(step, RepeatStep)
            assert isinstance(step.every, timedelta)
            return position.anchor_at + step.every
