"""Puts a playbook into lines for a page: a kind and its values each, for the surfaces to word and translate."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum

from beforehand.engine.playbooks.language import (
    IfStep,
    LabelStep,
    Playbook,
    RepeatStep,
    Rhythm,
    SkipStep,
    SpokenStep,
    Step,
    TaskStep,
    TellStep,
    WaitStep,
)

Value = str | int | timedelta | Rhythm


class LineKind(StrEnum):
    """What a line says; in brackets, its values."""

    WHEN = "when"  # event, condition ("" for none)
    CONFIRM_ABOVE = "confirm above"  # count
    RESTART = "restart"  # event
    WAIT = "wait"  # duration
    WAIT_FROM_BEGINNING = "wait from beginning"  # duration
    WAIT_UNTIL = "wait until"  # event, duration
    TELL = "tell"  # text, audience
    REPEAT = "repeat"  # text, audience, every
    ON_EVENT = "on event"  # event, text, audience
    PROMISE = "promise"  # within ("" for: in rhythm)
    SECTION = "section"  # label, events (joined by ", ")
    END = "end"  # reason
    IF = "if"  # condition
    OTHERWISE = "otherwise"
    TASK = "task"  # title, team, within
    AWAITED_TASK = "awaited task"  # title, team, within
    APPROVE_BY = "approve by"  # teams (joined by ", ")
    CALL_FIRST = "call first"  # whom


@dataclass(frozen=True)
class Line:
    """One line. `step` is the id of the step that it is about, or "" for a rule; `line` its place in the file.

    `depth` says inside how many `if`s it stands.
    """

    kind: LineKind
    step: str = ""
    line: int = 0
    values: Mapping[str, Value] = field(default_factory=dict)
    depth: int = 0


def describe(playbook: Playbook) -> list[Line]:
    """The whole playbook, rules first, then the steps in their order."""
    return [*_rules(playbook), *_steps(playbook)]


def _rules(playbook: Playbook) -> Iterator[Line]:
    condition = playbook.condition.text if playbook.condition else ""
    yield Line(LineKind.WHEN, values={"event": playbook.when, "condition": condition})
    if playbook.confirm_above is not None:
        yield Line(LineKind.CONFIRM_ABOVE, values={"count": playbook.confirm_above})
    if playbook.call_first is not None:
        yield Line(LineKind.CALL_FIRST, values={"whom": playbook.call_first.value})
    if playbook.restart_on is not None:
        yield Line(LineKind.RESTART, values={"event": playbook.restart_on})
    if playbook.approve_by:
        yield Line(LineKind.APPROVE_BY, values={"teams": ", ".join(playbook.approve_by)})


def _steps(playbook: Playbook) -> Iterator[Line]:
    open_until: list[int] = []  # where each `if` that we are in ends
    for index, step in enumerate(playbook.steps):
        while open_until and index > open_until[-1]:
            open_until.pop()
        depth = len(open_until) - isinstance(step, SkipStep)
        yield from (replace(line, depth=depth) for line in _lines(playbook, step))
        if isinstance(step, IfStep):
            skip_index = index + step.then_count + 1
            skip = playbook.steps[skip_index]
            assert isinstance(skip, SkipStep)
            open_until.append(skip_index + skip.count)


def _lines(playbook: Playbook, step: Step) -> Iterator[Line]:
    match step:
        case WaitStep():
            yield _wait(step)
        case TellStep():
            yield from _spoken(LineKind.TELL, step, {})
        case RepeatStep():
            yield from _spoken(LineKind.REPEAT, step, {"every": step.every})
            for handler in step.on:
                yield from _spoken(LineKind.ON_EVENT, handler.tell, {"event": handler.event})
        case LabelStep():
            events = ", ".join(exit_.on for exit_ in playbook.exits if exit_.go_to == step.name)
            yield Line(LineKind.SECTION, line=step.place.line, values={"label": step.name, "events": events})
        case IfStep():
            yield Line(LineKind.IF, step.id, step.place.line, {"condition": step.condition.text})
        case SkipStep():
            if step.count:
                yield Line(LineKind.OTHERWISE, line=step.place.line)
        case TaskStep():
            values: dict[str, Value] = {"title": step.title, "team": step.team, "within": step.within}
            kind = LineKind.AWAITED_TASK if step.is_awaited else LineKind.TASK
            yield Line(kind, step.id, step.place.line, values)
        case _:
            yield Line(LineKind.END, step.id, step.place.line, {"reason": step.reason.value})


def _wait(step: WaitStep) -> Line:
    values: dict[str, Value] = {"duration": step.duration}
    kind = LineKind.WAIT_FROM_BEGINNING if step.from_began else LineKind.WAIT
    if step.until is not None:
        kind = LineKind.WAIT_UNTIL
        values["event"] = step.until
    return Line(kind, step.id, step.place.line, values)


def _spoken(kind: LineKind, step: SpokenStep, values: Mapping[str, Value]) -> Iterator[Line]:
    told = {"text": step.text, "audience": step.to.value, **values}
    yield Line(kind, step.id, step.place.line, told)
    if step.promise is not None:
        yield Line(LineKind.PROMISE, step.id, step.promise.place.line, {"within": step.promise.within or ""})
