"""Runs and playbooks in words: where a run is, and what each step of a playbook does."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from babel.dates import format_timedelta
from django.utils.translation import gettext as _

from beforehand.console.reasons import audience_name
from beforehand.engine.playbooks.describe import Line, LineKind, Value, describe
from beforehand.engine.playbooks.language import Playbook, Rhythm
from beforehand.engine.playbooks.rhythm import Stage
from beforehand.kit import clock
from beforehand.kit.web import times
from beforehand.kit.web.mixed import apart
from beforehand.kit.web.templatetags.kit import number
from beforehand.playbooks.models import Run

Unit = Literal["day", "hour", "minute", "second"]
UNITS: tuple[tuple[Unit, int], ...] = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def run_sentence(run: Run) -> str:
    """Where a run is, in one sentence. `run.incident` is used."""
    step = str(run.position.get("step", ""))
    if run.state == Run.State.FAILED:
        return _("It was stopped by an error at the step “%(step)s”, and says nothing until somebody acts.") % apart(
            step=step
        )
    if run.state == Run.State.CONFIRMING:
        return confirm_reason(str((run.pending or {}).get("reason", "")), count=run.incident.affected_count)
    if run.state == Run.State.FINISHED:
        return _("It has finished.")
    if run.state == Run.State.TELLING:
        return _("It is telling “%(step)s” now.") % apart(step=step)
    if run.wake_at is None:
        return _("It waits at the step “%(step)s” for something to happen.") % apart(step=step)
    return _("It waits until %(time)s at the step “%(step)s”.") % apart(
        time=times.clock(run.wake_at, now=clock.now()), step=step
    )


def confirm_reason(reason: str, *, count: int) -> str:
    """Why a person has to confirm, in one sentence."""
    if reason == "above limit":
        return _("%(count)s customers are more than may be told without asking.") % {"count": number(count)}
    if reason == "not approved":
        return _("This version of the playbook has not been approved.")
    return _("A person must confirm before anyone is told.")


@dataclass(frozen=True, slots=True)
class StepLine:
    """A line of a playbook for a page."""

    icon: str
    text: str
    step: str = ""
    depth: int = 0


ICONS = {
    LineKind.WHEN: "incident",
    LineKind.CONFIRM_ABOVE: "pause",
    LineKind.RESTART: "incident",
    LineKind.WAIT: "clock",
    LineKind.WAIT_FROM_BEGINNING: "clock",
    LineKind.WAIT_UNTIL: "clock",
    LineKind.TELL: "send",
    LineKind.REPEAT: "send",
    LineKind.ON_EVENT: "send",
    LineKind.PROMISE: "promise",
    LineKind.SECTION: "playbook",
    LineKind.END: "check",
    LineKind.IF: "next",
    LineKind.OTHERWISE: "next",
    LineKind.TASK: "person",
    LineKind.AWAITED_TASK: "person",
    LineKind.APPROVE_BY: "check",
    LineKind.CALL_FIRST: "person",
}


def playbook_lines(playbook: Playbook) -> list[StepLine]:
    """The whole playbook in words, in the order in which it happens."""
    return [
        StepLine(
            ICONS[line.kind],
            line_sentence(line),
            line.step,
            line.depth + (line.kind in (LineKind.PROMISE, LineKind.ON_EVENT)),
        )
        for line in describe(playbook)
    ]


def line_sentence(line: Line) -> str:
    """One line of a playbook in words."""
    values = apart(**{name: _said(name, value) for name, value in line.values.items()})
    match line.kind:
        case LineKind.WHEN if values["condition"]:
            return _("Starts when %(event)s, if %(condition)s.") % values
        case LineKind.WHEN:
            return _("Starts when %(event)s.") % values
        case LineKind.CONFIRM_ABOVE:
            return _("Above %(count)s customers, a person must confirm first.") % values
        case LineKind.RESTART:
            return _("Starts anew when %(event)s.") % values
        case LineKind.WAIT:
            return _("Waits %(duration)s.") % values
        case LineKind.WAIT_FROM_BEGINNING:
            return _("Waits until the incident has lasted %(duration)s.") % values
        case LineKind.WAIT_UNTIL:
            return _("Waits until %(event)s, at most %(duration)s.") % values
        case LineKind.TELL:
            return _("Tells “%(text)s” to %(audience)s.") % values
        case LineKind.REPEAT if isinstance(line.values["every"], Rhythm):
            return _("Tells “%(text)s” to %(audience)s again and again: %(every)s.") % values
        case LineKind.REPEAT:
            return _("Every %(every)s, tells “%(text)s” to %(audience)s.") % values
        case LineKind.ON_EVENT:
            return _("When %(event)s, tells “%(text)s” at once to %(audience)s.") % values
        case LineKind.PROMISE if not values["within"]:
            return _("Promises the next update in this rhythm.")
        case LineKind.PROMISE:
            return _("Promises the next update within %(within)s.") % values
        case LineKind.IF:
            return _("If %(condition)s:") % values
        case LineKind.OTHERWISE:
            return _("Otherwise:")
        case LineKind.TASK:
            return _("A task for %(team)s, to be done within %(within)s: %(title)s.") % values
        case LineKind.AWAITED_TASK:
            return _("A task for %(team)s, to be done within %(within)s: %(title)s. The run waits for it.") % values
        case LineKind.CALL_FIRST:
            return _("Who wears a care alarm is called as well, once while it lasts.")
        case LineKind.APPROVE_BY:
            return _("Each version needs the word of: %(teams)s.") % values
        case LineKind.SECTION if values["events"]:
            return _("Goes on here, at once, when %(events)s:") % values
        case LineKind.SECTION:
            return _("Section “%(label)s”:") % values
        case _:
            return _("Ends.")


def _said(name: str, value: Value) -> str:
    if isinstance(value, timedelta):
        return spoken_length(value)
    if isinstance(value, Rhythm):
        return spoken_rhythm(value)
    if isinstance(value, int):
        return number(value)
    if name == "audience":
        return audience_name(value)
    if name in ("event", "events"):
        return _(" or ").join(event_name(one) for one in value.split(", "))
    return value


def spoken_rhythm(rhythm: Rhythm) -> str:
    """Each interval in the reader's words, in the order in which they come."""
    return _("; then ").join(_spoken_stage(stage) for stage in rhythm.stages)


def _spoken_stage(stage: Stage) -> str:
    if isinstance(stage.every, timedelta):
        said = _("every %(length)s") % {"length": spoken_length(stage.every)}
    else:
        said = _("every day at %(time)s") % {"time": f"{stage.every:%H:%M}"}
    if stage.quiet:
        night = {"from": f"{stage.quiet.begins:%H:%M}", "until": f"{stage.quiet.ends:%H:%M}"}
        # Translators: nothing is said at night; follows “every 2 hours”.
        said += _(", but not from %(from)s to %(until)s") % night
    if stage.lasts:
        # Translators: for how long such an interval holds, as in “for 4 hours, every 60 minutes”.
        said = _("for %(length)s, %(every)s") % {"length": spoken_length(stage.lasts), "every": said}
    return said


def spoken_length(length: timedelta, *, units: int = 4) -> str:
    """A length of time in the reader's words, in its largest `units` units: "1 hour 55 minutes"."""
    parts: list[str] = []
    seconds = int(length.total_seconds())
    for unit, size in UNITS:
        count, seconds = divmod(seconds, size)
        if count or (unit == "second" and not parts):
            parts.append(_of_unit(timedelta(seconds=count * size), unit))
    return " ".join(parts[:units])


def _of_unit(length: timedelta, unit: Unit) -> str:
    """So many of one unit. Babel's `format_unit` has no words for days and hours in some languages; this has."""
    return format_timedelta(length, granularity=unit, threshold=float("inf"), locale=times.babel_locale())


def event_name(event: str) -> str:
    """An event type, as people say it in "when …"."""
    return {
        "incident.opened": _("an incident is opened"),
        "incident.resolved": _("the incident is resolved"),
        "incident.cancelled": _("the incident is called a false alarm"),
        "incident.reopened": _("the incident is opened again"),
        "incident.update_posted": _("somebody writes an update"),
    }.get(event, event)
