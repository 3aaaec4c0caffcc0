"""Runs a playbook's own tests on a virtual clock: no database, no waiting.

Every tell reaches its audience at once; what is given for a moment comes before what the clock does at that moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from beforehand.engine.playbooks.incident_facts import is_met
from beforehand.engine.playbooks.language import Channel, Playbook
from beforehand.engine.playbooks.moves import Advance, Phase, Position, Reach
from beforehand.engine.playbooks.problems import PlaybookProblem, ProblemReason
from beforehand.engine.playbooks.run import advance, on_event, on_task_done, restart, start
from beforehand.engine.playbooks.trials import (
    A_PERSON,
    NOT_STARTED,
    Given,
    GivenKind,
    Happening,
    HappeningKind,
    IncidentChange,
    Trial,
    TrialCustomer,
    moment_words,
)
from beforehand.engine.sending import SendingDecision, SendingReason, Verdict
from beforehand.engine.ways import Way, chosen_way

MAX_MOVES = 5_000
"""So many steps of the clock and no more: a rhythm of seconds over a year tests nothing that an hour does not."""

_DAY = date(2001, 1, 1)
_REOPENED = "incident.reopened"
_PLANNED = "planned"
_FAILS = (_REOPENED, "incident.started")
_WORKS = ("incident.resolved", "incident.cancelled")
_USABLE = SendingDecision(Verdict.SEND, SendingReason.ALLOWED)
_MISSING = SendingDecision(Verdict.REFUSE, SendingReason.NO_CONTACT_POINT)


class EndlessError(Exception):
    """A test moves its run more often than `MAX_MOVES`."""


def trial_problems(playbook: Playbook) -> list[PlaybookProblem]:
    """Where the playbook does something else than its tests say: at most one fault for each test.

    The playbook must have passed `check_playbook`, and its conditions must be readable.
    """
    return [problem for trial in playbook.trials for problem in trial_fault(playbook, trial)]


def trial_fault(playbook: Playbook, trial: Trial) -> tuple[PlaybookProblem, ...]:
    """The first difference between what a test expects and what comes, if there is one."""
    try:
        came = happenings(playbook, trial)
    except EndlessError:
        return (_fault(trial, trial.place.line, ProblemReason.TEST_ENDLESS, limit=str(MAX_MOVES)),)
    until = moment_words(trial.horizon)
    for index, expected in enumerate(trial.expected):
        said = str(expected.happening)
        if index >= len(came):
            return (_fault(trial, expected.place.line, ProblemReason.TEST_NOTHING, expected=said, until=until),)
        if not came[index].answers(expected.happening):
            come = str(came[index])
            return (_fault(trial, expected.place.line, ProblemReason.TEST_OTHER, expected=said, came=come),)
    if len(came) > len(trial.expected):
        come = str(came[len(trial.expected)])
        line = trial.expected[-1].place.line if trial.expected else trial.place.line
        return (_fault(trial, line, ProblemReason.TEST_MORE, came=come, until=until),)
    return ()


def _fault(trial: Trial, line: int, reason: ProblemReason, **values: str) -> PlaybookProblem:
    return PlaybookProblem(line, trial.place.column, reason, {"test": trial.name, **values})


def happenings(playbook: Playbook, trial: Trial) -> tuple[Happening, ...]:
    """Everything that the run does until the test's last moment, in order; raises `EndlessError`."""
    tried = _Tried(playbook, trial)
    if not _starts(playbook, trial, tried.reach):
        return (Happening(trial.known_after, HappeningKind.END, NOT_STARTED),)
    tried.begin()
    for given in trial.given:
        tried.pass_time(given.at, is_inclusive=False)
        tried.take_given(given)
    tried.pass_time(trial.horizon, is_inclusive=True)
    return tuple(tried.done)


def _began_at(trial: Trial) -> datetime:
    return datetime.combine(_DAY, trial.began, UTC)


def _starts(playbook: Playbook, trial: Trial, reach: Reach) -> bool:
    now = _began_at(trial) + trial.known_after
    return playbook.condition is None or is_met(playbook.condition.text, reach, now=now)


@dataclass
class _Tried:
    """One run of a test, and what it has done."""

    playbook: Playbook
    trial: Trial
    done: list[Happening] = field(default_factory=list)
    turns: dict[str, int] = field(default_factory=dict)
    is_failing: bool = False
    """Whether what it is about is down now, and so the channels that run over it."""
    moves: int = 0

    def __post_init__(self) -> None:
        self.reach = _changed(Reach(0), self.trial.incident)
        self.began_at = _began_at(self.trial)
        self.now = self.began_at + self.trial.known_after
        self.is_failing = self.reach.kind != _PLANNED

    def begin(self) -> None:
        self._take(start(self.playbook, now=self.now, reach=self.reach, began_at=self.began_at), was=None)

    def pass_time(self, until: timedelta, *, is_inclusive: bool) -> None:
        """Let every timer fire that is due before `until` (or then). A run that asks a person waits for the person."""
        end = self.began_at + until
        while (due := self.last.wake_at) is not None and (due < end or (is_inclusive and due == end)):
            if self.position.phase is Phase.CONFIRMING:
                break
            self.now = max(due, self.now)
            self._advance()
        self.now = max(end, self.now)

    def take_given(self, given: Given) -> None:
        match given.kind:
            case GivenKind.EVENT:
                self._hear(given.what)
            case GivenKind.DONE:
                was = self.position
                turn = self.turns.get(given.what, 0)
                self._take_any(
                    on_task_done(self.playbook, was, step=given.what, turn=turn, now=self.now, reach=self.reach), was
                )
            case GivenKind.CONFIRMS:
                self.reach = replace(self.reach, is_confirmed=True)
                if self.position.phase is Phase.CONFIRMING:
                    self._advance()
            case _:
                self.reach = _changed(self.reach, given.change or IncidentChange())

    def _hear(self, event: str) -> None:
        was = self.position
        if event in _FAILS or event in _WORKS:
            self.is_failing = event in _FAILS
        if event == _REOPENED:
            step = restart(self.playbook, was, now=self.now, reach=self.reach)
        else:
            step = on_event(self.playbook, was, event_type=event, now=self.now, reach=self.reach)
        self._take_any(step, was)

    def _take_any(self, step: Advance | None, was: Position) -> None:
        if step is not None:
            self._take(step, was=was)

    def _advance(self) -> None:
        was = self.position
        self._take(advance(self.playbook, was, now=self.now, told=True, reach=self.reach), was=was)

    def _take(self, step: Advance, *, was: Position | None) -> None:
        self.moves += 1
        if self.moves > MAX_MOVES:
            raise EndlessError
        self.last, self.position = step, step.position
        self.done.extend(self._happenings(step, was))
        if step.position.phase is Phase.TELLING:
            self._advance()

    def _happenings(self, step: Advance, was: Position | None) -> Iterator[Happening]:
        at = self.now - self.began_at
        is_asked_anew = was is None or (was.phase, was.step) != (step.position.phase, step.position.step)
        for task in step.tasks:
            self.turns[task.step] = task.turn
            yield Happening(at, HappeningKind.TASK, task.step, by=task.due_at - self.began_at)
        if step.confirm is not None and is_asked_anew:
            yield Happening(at, HappeningKind.ASK)
        for tell in step.tells:
            by = None if tell.promise is None else at + tell.promise
            way = (
                told_by(self.playbook, self.trial.customer, is_failing=self.is_failing)
                if self.trial.asks_for_channels
                else None
            )
            yield Happening(at, HappeningKind.TELL, tell.text, tell.audience.value, by, way)
        if step.finished is not None:
            yield Happening(at, HappeningKind.END, step.finished.value)


def told_by(playbook: Playbook, customer: TrialCustomer | None, *, is_failing: bool) -> str:
    """The channel by which this customer is told, judged as in earnest; or that only a person can tell them.

    An inbox tells who opens it, and the next channel has its turn at once: so it is the way where there is no other.
    """
    one = customer or TrialCustomer()
    ways = [
        Way(
            channel.value,
            _USABLE if one.has is None or channel in one.has else _MISSING,
            is_down=is_failing and channel in one.over_failure,
        )
        for channel in sorted(playbook.channels, key=lambda channel: channel is Channel.INBOX)
    ]
    way = ways[chosen_way(ways).place]
    return way.channel if way.decision is _USABLE else A_PERSON


def _changed(reach: Reach, change: IncidentChange) -> Reach:
    return replace(
        reach,
        kind=change.kind or reach.kind,
        severity=change.severity or reach.severity,
        count=change.affected or reach.count,
    )
