"""The playbook language as values: what a parsed playbook is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cached_property

from beforehand.engine.message_classes import MessageClass
from beforehand.engine.playbooks.place import Place as Place
from beforehand.engine.playbooks.rhythm import Rhythm as Rhythm
from beforehand.engine.playbooks.trials import Trial
from beforehand.engine.promises import PromiseKind


class AudienceSource(StrEnum):
    """Whom a run is about."""

    INCIDENT_AFFECTED = "incident.affected"
    CUSTOMER = "customer"


class Audience(StrEnum):
    """Whom one tell reaches: everyone affected now, only those told before, or those who left the list."""

    AFFECTED = "affected"
    TOLD = "told"
    LEFT_CURED = "left cured"
    LEFT_MISTAKEN = "left by mistake"


class Channel(StrEnum):
    """How a customer is reached."""

    EMAIL = "email"
    SMS = "sms"
    INBOX = "inbox"
    PUSH = "push"
    WEBHOOK = "webhook"
    CALL = "call"
    """A person calls: the last resort, so it stands last."""


class CalledFirst(StrEnum):
    """Who is called as well as written to."""

    CARE_ALARMS = "care alarms"


class EndReason(StrEnum):
    """How a run ends."""

    RESOLVED = "resolved"
    CANCELLED = "cancelled"
    DONE = "done"


@dataclass(frozen=True)
class Condition:
    """A CEL condition as written; `engine.conditions` checks and compiles it."""

    text: str
    place: Place


@dataclass(frozen=True)
class Promise:
    """What is promised. `within` None: as the rhythm of the coming repeat has it."""

    kind: PromiseKind
    within: timedelta | None
    place: Place


@dataclass(frozen=True)
class WaitStep:
    """Waits for `duration`: from entering, or from the incident's beginning; or until an event, at most so long."""

    id: str
    place: Place
    duration: timedelta
    from_began: bool = False
    until: str | None = None


@dataclass(frozen=True)
class TellStep:
    id: str
    place: Place
    text: str
    to: Audience
    promise: Promise | None


@dataclass(frozen=True)
class Handler:
    """What a repeat tells at once when an event comes; the rhythm starts anew after it."""

    event: str
    tell: TellStep


@dataclass(frozen=True)
class RepeatStep:
    """Tells `text` every so often, counted from the tell before, until an exit; or in a rhythm that stretches."""

    id: str
    place: Place
    every: timedelta | Rhythm
    text: str
    to: Audience
    promise: Promise | None
    on: tuple[Handler, ...]


@dataclass(frozen=True)
class LabelStep:
    """Where exits go to. It is no stop: a run passes through it."""

    name: str
    place: Place


@dataclass(frozen=True)
class EndStep:
    id: str
    place: Place
    reason: EndReason


@dataclass(frozen=True)
class IfStep:
    """Goes on with the `then_count` steps behind it where the condition holds, else behind the skip that follows them."""

    id: str
    place: Place
    condition: Condition
    then_count: int


@dataclass(frozen=True)
class SkipStep:
    """Ends the first way of an `if` and passes over the `count` steps of the second. It is no stop."""

    place: Place
    count: int


@dataclass(frozen=True)
class TaskStep:
    """Something that a person of `team` must do within `within`; `is_awaited`: the run waits for it, at most so long."""

    id: str
    place: Place
    title: str
    team: str
    within: timedelta
    is_awaited: bool


Step = WaitStep | TellStep | RepeatStep | LabelStep | EndStep | IfStep | SkipStep | TaskStep
NamedStep = WaitStep | TellStep | RepeatStep | EndStep | IfStep | TaskStep
SpokenStep = TellStep | RepeatStep


@dataclass(frozen=True)
class Exit:
    on: str
    go_to: str
    place: Place


@dataclass(frozen=True)
class SideTexts:
    """Texts that belong to no step. `joined` None: who joins later gets the latest notice."""

    holding: str | None = None
    joined: str | None = None
    left_cured: str | None = None
    told_by_mistake: str | None = None


HOLDING_STEP = "holding"
JOINED_STEP = "joined"
LEFT_CURED_STEP = "left-cured"
LEFT_MISTAKEN_STEP = "told-by-mistake"
RESERVED_IDS = frozenset({HOLDING_STEP, JOINED_STEP, LEFT_CURED_STEP, LEFT_MISTAKEN_STEP})


@dataclass(frozen=True)
class Playbook:
    """One playbook. Steps before the first label are its main part; each label begins a section that exits go to.

    The steps inside an `if` stand in the same row: the `IfStep`, its first way, a `SkipStep`, its second way.
    """

    name: str
    title: str
    owner: str
    message_class: MessageClass
    when: str
    condition: Condition | None
    audience: AudienceSource
    channels: tuple[Channel, ...]
    confirm_above: int | None
    fallback_language: str
    texts: SideTexts
    exits: tuple[Exit, ...]
    restart_on: str | None
    steps: tuple[Step, ...]
    texts_place: Place
    steps_place: Place
    trials: tuple[Trial, ...] = ()
    approve_by: tuple[str, ...] = ()
    call_first: CalledFirst | None = None
    """Called once while it lasts, whatever message reaches them."""

    @property
    def is_about_incident(self) -> bool:
        return self.when.startswith("incident.")

    def step(self, step_id: str) -> NamedStep:
        """The step of that id, also one told on an event inside a repeat; raises `KeyError`."""
        return self._by_id[step_id][0]

    def index(self, step_id: str) -> int:
        """Where the step stands in `steps`; for one inside a repeat, where the repeat stands. Raises `KeyError`."""
        return self._by_id[step_id][1]

    def section(self, step_id: str) -> str | None:
        """The label under which the step stands, or None in the main part."""
        labels = [step.name for step in self.steps[: self.index(step_id)] if isinstance(step, LabelStep)]
        return labels[-1] if labels else None

    def label_index(self, label: str) -> int:
        """Where the label stands in `steps`; raises `KeyError`."""
        return self._labels[label]

    def section_steps(self, label: str | None) -> tuple[Step, ...]:
        """The steps of the main part (None) or under a label, without the label."""
        first = 0 if label is None else self.label_index(label) + 1
        rest = self.steps[first:]
        length = next((i for i, step in enumerate(rest) if isinstance(step, LabelStep)), len(rest))
        return rest[:length]

    def rhythm_of(self, step_id: str) -> Rhythm | None:
        """The rhythm of the repeat that the step is in, or that comes first after it in its section, if it has one."""
        for step in self.steps[self.index(step_id) :]:
            if isinstance(step, RepeatStep):
                return step.every if isinstance(step.every, Rhythm) else None
            if isinstance(step, LabelStep):
                return None
        return None

    def spoken_steps(self) -> tuple[SpokenStep, ...]:
        """Every step that tells something, those inside repeats too, in the order of the file."""
        spoken: list[SpokenStep] = []
        for step in self.steps:
            if isinstance(step, TellStep):
                spoken.append(step)
            elif isinstance(step, RepeatStep):
                spoken.extend((step, *(handler.tell for handler in step.on)))
        return tuple(spoken)

    def tasks(self) -> tuple[TaskStep, ...]:
        """Every step that is a person's task, in the order of the file."""
        return tuple(step for step in self.steps if isinstance(step, TaskStep))

    def conditions(self) -> tuple[Condition, ...]:
        """Every condition: what starts a run first, then those of the steps."""
        own = [self.condition] if self.condition else []
        return (*own, *(step.condition for step in self.steps if isinstance(step, IfStep)))

    @cached_property
    def _labels(self) -> Mapping[str, int]:
        return {step.name: index for index, step in enumerate(self.steps) if isinstance(step, LabelStep)}

    @cached_property
    def _by_id(self) -> Mapping[str, tuple[NamedStep, int]]:
        found: dict[str, tuple[NamedStep, int]] = {}
        for index, step in enumerate(self.steps):
            if isinstance(step, LabelStep | SkipStep):
                continue
            found[step.id] = (step, index)
            if isinstance(step, RepeatStep):
                found.update({handler.tell.id: (handler.tell, index) for handler in step.on})
        return found
