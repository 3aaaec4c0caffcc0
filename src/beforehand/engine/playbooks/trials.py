"""The tests that a playbook carries, as values: what is given at which time, and what must come of it.

Every time is counted from the beginning of the incident.
"""

from dataclasses import dataclass
from datetime import time, timedelta
from enum import StrEnum

from beforehand.engine.playbooks.durations import duration_words
from beforehand.engine.playbooks.place import Place

START = "start"
NOT_STARTED = "not started"
A_PERSON = "a person"
DEFAULT_AFFECTED = 100
DEFAULT_BEGAN = time(12)
DEFAULT_KIND = "outage"
DEFAULT_SEVERITY = "major"


class GivenKind(StrEnum):
    """What may happen to a run in a test."""

    EVENT = "event"
    CONFIRMS = "person"
    DONE = "done"
    CHANGE = "incident"


@dataclass(frozen=True)
class IncidentChange:
    """What the incident is, or becomes; None leaves it as it was."""

    kind: str | None = None
    severity: str | None = None
    affected: int | None = None


@dataclass(frozen=True)
class Given:
    """Something that happens at `at`. `what` is the event, or the step whose task is done."""

    at: timedelta
    kind: GivenKind
    place: Place
    what: str = ""
    change: IncidentChange | None = None


class HappeningKind(StrEnum):
    """What a run may do."""

    TELL = "tell"
    ASK = "ask"
    TASK = "task"
    END = "end"


@dataclass(frozen=True)
class Happening:
    """Something that a run does, or is expected to do, at `at`.

    `what` is the text that is told, the step whose task begins, or how the run ends. `to` is who is told; `by` is until
    when the next update is promised, or when the task is due; `way` is the channel by which the test's customer is told, or
    that only a person can. None in what is expected: whatever it is.
    """

    at: timedelta
    kind: HappeningKind
    what: str = ""
    to: str | None = None
    by: timedelta | None = None
    way: str | None = None

    def answers(self, expected: "Happening") -> bool:
        """Whether this is what was expected."""
        is_same = (self.at, self.kind, self.what) == (expected.at, expected.kind, expected.what)
        return is_same and all(
            said in (None, came)
            for said, came in ((expected.to, self.to), (expected.by, self.by), (expected.way, self.way))
        )

    def __str__(self) -> str:
        return f"at {moment_words(self.at)} {self._said()}"

    def _said(self) -> str:
        match self.kind:
            case HappeningKind.TELL:
                to = (f" by {self.way}" if self.way else "") + (f" to {self.to}" if self.to else "")
                by = f", next update by {moment_words(self.by)}" if self.by is not None else ""
                return f"tell “{self.what}”{to}{by}"
            case HappeningKind.TASK:
                return f"task “{self.what}”" + (f", due by {moment_words(self.by)}" if self.by is not None else "")
            case HappeningKind.ASK:
                return f"ask {A_PERSON}"
            case _:
                return f"end “{self.what}”"


@dataclass(frozen=True)
class TrialCustomer:
    """One of those whom a test's incident touches: by which channels they can be told.

    `has` None: by all that the playbook names. `over_failure` are those that run over what has failed.
    """

    has: frozenset[str] | None = None
    over_failure: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Expected:
    happening: Happening
    place: Place


@dataclass(frozen=True)
class Trial:
    """One test. `known_after` is how long after its beginning the incident's list was there, and the run began."""

    name: str
    place: Place
    incident: IncidentChange
    known_after: timedelta
    given: tuple[Given, ...]
    expected: tuple[Expected, ...]
    until: timedelta | None
    began: time = DEFAULT_BEGAN
    """The time of day at which it began, for a rhythm that knows the time."""
    customer: TrialCustomer | None = None

    @property
    def asks_for_channels(self) -> bool:
        """Whether it speaks of how one customer is told."""
        return self.customer is not None or any(one.happening.way is not None for one in self.expected)

    @property
    def horizon(self) -> timedelta:
        """Until when everything that happens must have been expected."""
        times = [self.known_after, *(one.at for one in self.given), *(one.happening.at for one in self.expected)]
        return max([*times, self.until] if self.until is not None else times)


def moment_words(at: timedelta) -> str:
    """A time in a test as it is written there."""
    return duration_words(at) if at else START
