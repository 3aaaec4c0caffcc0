"""The values of a run: where it is, what it tells, why it moved; and the tells that belong to no step."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from beforehand.engine.playbooks.language import (
    HOLDING_STEP,
    JOINED_STEP,
    LEFT_CURED_STEP,
    LEFT_MISTAKEN_STEP,
    Audience,
    EndReason,
    Playbook,
    RepeatStep,
    SpokenStep,
    TellStep,
)
from beforehand.engine.playbooks.rhythm import LONGEST_SILENCE
from beforehand.engine.promises import NextWord


class Phase(StrEnum):
    """What a run is doing at its step."""

    WAITING = "waiting"
    CONFIRMING = "confirming"
    TELLING = "telling"
    FINISHED = "finished"


class AdvanceReason(StrEnum):
    """Why a run is where it is now."""

    STARTED = "started"
    TIME_CAME = "time came"
    TOO_EARLY = "too early"
    TOLD = "told"
    STILL_TELLING = "still telling"
    ASKED = "asked a person"
    CONFIRMED = "confirmed"
    EVENT_CAME = "event came"
    TASK_DONE = "task done"
    UPDATE_CAME = "update came"
    UPDATE_QUEUED = "update queued"
    EXITED = "exited"
    RESTARTED = "restarted"
    ALREADY_FINISHED = "already finished"


class ConfirmReason(StrEnum):
    """Why a person must confirm before anyone is told."""

    ABOVE_LIMIT = "above limit"
    NOT_APPROVED = "not approved"


@dataclass(frozen=True)
class Reach:
    """How many would be told, whether a person has confirmed this run, and whether its playbook is approved.

    `kind` and `severity` are the incident's, for conditions.
    """

    count: int
    is_confirmed: bool = False
    is_approved: bool = True
    kind: str = ""
    severity: str = ""


@dataclass(frozen=True)
class Position:
    """Where a run is.

    `turn` counts the run's tells, and `tasks` its tasks. `anchor_at` is what the step's time counts from. `told_step`
    and `told_at` are the last tell and when it was due; `pending` are tells asked for by events while another was under way.
    `since` is when the first tell was, `owed_at` by when the next is promised, and `rare_at` by when at the latest who
    wants only what changes must hear something.
    """

    step: str
    turn: int
    phase: Phase
    anchor_at: datetime
    told_step: str | None = None
    told_at: datetime | None = None
    pending: tuple[str, ...] = ()
    tasks: int = 0
    since: datetime | None = None
    owed_at: datetime | None = None
    rare_at: datetime | None = None

    def to_json(self) -> dict[str, object]:
        return {
            "step": self.step,
            "turn": self.turn,
            "phase": self.phase.value,
            "anchor_at": self.anchor_at.isoformat(),
            "told_step": self.told_step,
            "told_at": _written(self.told_at),
            "pending": list(self.pending),
            "tasks": self.tasks,
            "since": _written(self.since),
            "owed_at": _written(self.owed_at),
            "rare_at": _written(self.rare_at),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> "Position":
        """The position that `to_json` stored; raises `KeyError` or `ValueError` for anything else."""
        told_step, pending = stored["told_step"], stored["pending"]
        if not isinstance(pending, list):
            raise ValueError("pending is not a list")
        return cls(
            step=str(stored["step"]),
            turn=int(str(stored["turn"])),
            phase=Phase(str(stored["phase"])),
            anchor_at=datetime.fromisoformat(str(stored["anchor_at"])),
            told_step=None if told_step is None else str(told_step),
            told_at=_read(stored["told_at"]),
            pending=tuple(str(step) for step in pending),
            tasks=int(str(stored.get("tasks", 0))),
            since=_read(stored.get("since")),
            owed_at=_read(stored.get("owed_at")),
            rare_at=_read(stored.get("rare_at")),
        )


def _written(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _read(stored: object) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(str(stored))


@dataclass(frozen=True)
class Tell:
    """Something to say, once, to an audience. Its key within the run is (step, turn).

    `promise` is how long from now the next word is promised for, `rare` the same for who wants only what changes.
    `is_routine`: nothing has changed, so those are not told.
    """

    step: str
    turn: int
    text: str
    audience: Audience
    promise: timedelta | None
    rare: timedelta | None = None
    is_routine: bool = False

    @classmethod
    def of(cls, step: SpokenStep, turn: int, owed: NextWord | None, *, at: datetime) -> "Tell":
        promise, rare = (owed.next_at - at, owed.rare_at - at) if owed else (None, None)
        return cls(step.id, turn, step.text, step.to, promise, rare)


@dataclass(frozen=True)
class TaskOrder:
    """Something that a person must do. Its key within the run is (step, turn)."""

    step: str
    turn: int
    title: str
    team: str
    due_at: datetime


@dataclass(frozen=True)
class Advance:
    """A run's next state, to be written together with what it tells and the tasks that begin.

    `wake_at` None: nothing but an event (or, while confirming, a person) moves it. `listens` are the event types that
    do. While telling, `wake_at` is now: whoever finds the run continues the fan-out.
    """

    position: Position
    wake_at: datetime | None
    listens: frozenset[str]
    reason: AdvanceReason
    tell: Tell | None = None
    confirm: ConfirmReason | None = None
    finished: EndReason | None = None
    tasks: tuple[TaskOrder, ...] = ()

    @property
    def tells(self) -> tuple[Tell, ...]:
        return () if self.tell is None else (self.tell,)


def owed_after(playbook: Playbook, step: SpokenStep, *, at: datetime, since: datetime, zone: str) -> NextWord | None:
    """What the step promises when it is told at `at`, in a run whose first word was at `since`; None if nothing."""
    if step.promise is None:
        return None
    rhythm = playbook.rhythm_of(step.id)
    if step.promise.within is None:
        assert rhythm is not None, "the checker lets nobody promise a rhythm that is not there"
        next_at = rhythm.turn(at, since=since, zone=zone).due_at
    else:
        next_at = at + step.promise.within
    rare_at = rhythm.rare_turn(at, zone=zone).due_at if rhythm else at + LONGEST_SILENCE
    return NextWord(next_at, max(next_at, rare_at))


def joined_tell(playbook: Playbook, position: Position) -> Tell | None:
    """What to tell who joins now: the text for joiners, or the latest notice under its own key; None before the first.

    Nothing is told after an exit: for who joins then, it is over. The time promised is that of the running promise.
    """
    step = step_told(playbook, position)
    if step is None or playbook.section(position.step) is not None or playbook.section(step.id) is not None:
        return None
    at = position.told_at or position.anchor_at
    owed = NextWord(position.owed_at, position.rare_at) if position.owed_at and position.rare_at else None
    last = Tell.of(step, position.turn, owed, at=at)
    if playbook.texts.joined is None or position.phase is Phase.TELLING:
        return last
    return replace(last, step=JOINED_STEP, text=playbook.texts.joined, audience=Audience.AFFECTED)


def holding_tell(playbook: Playbook, position: Position, *, turn: int, now: datetime, zone: str = "UTC") -> Tell | None:
    """The honest word when a promised update would be late, with as much new time as a word of now would have.

    `turn` numbers the broken promise within the run, so that each is answered once. None when nothing is owed.
    """
    step = step_told(playbook, position)
    at = now.astimezone(UTC)
    owed = owed_after(playbook, step, at=at, since=position.since or at, zone=zone) if step else None
    if owed is None or playbook.texts.holding is None:
        return None
    return Tell(HOLDING_STEP, turn, playbook.texts.holding, Audience.TOLD, owed.next_at - at, owed.rare_at - at)


def leaving_tell(playbook: Playbook, *, audience: Audience, turn: int) -> Tell | None:
    """The end for those who leave the affected list early; `turn` numbers the batch of leavers.

    None when the playbook has no such text, or the audience is not one that left.
    """
    step, text = {
        Audience.LEFT_CURED: (LEFT_CURED_STEP, playbook.texts.left_cured),
        Audience.LEFT_MISTAKEN: (LEFT_MISTAKEN_STEP, playbook.texts.told_by_mistake),
    }.get(audience, ("", None))
    return None if text is None else Tell(step, turn, text, audience, None)


def step_told(playbook: Playbook, position: Position) -> SpokenStep | None:
    """The step that was told last."""
    if position.told_step is None:
        return None
    step = playbook.step(position.told_step)
    assert isinstance(step, TellStep | RepeatStep)
    return step
