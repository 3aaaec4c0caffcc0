"""What is different between two versions of a playbook, as values for the surfaces to word."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from difflib import SequenceMatcher
from enum import StrEnum

from beforehand.engine.playbooks.bundle import canonical
from beforehand.engine.playbooks.describe import Line, LineKind, describe
from beforehand.engine.playbooks.language import Playbook, Rhythm
from beforehand.engine.playbooks.place import Place
from beforehand.engine.playbooks.trials import Trial

Texts = Mapping[tuple[str, str], str]
Said = str | int | timedelta | Rhythm | None

_NUMBERED = re.compile(r"(wait|if|end)-[0-9]+")
_NOWHERE = Place(0, 0)
_RULES = frozenset({LineKind.WHEN, LineKind.CONFIRM_ABOVE, LineKind.CALL_FIRST, LineKind.RESTART, LineKind.APPROVE_BY})


class ChangeKind(StrEnum):
    """What changed; `Change.about` is the rule's word, the step, the text or the test."""

    RULE = "rule"  # before, after; None where there is none
    STEP_ADDED = "step added"  # line
    STEP_REMOVED = "step removed"  # was
    STEP_MOVED = "step moved"  # line
    STEP_SAYS = "step says"  # was, line
    WAIT = "wait"  # before, after; about is the step that comes after the wait
    RHYTHM = "rhythm"  # before, after
    PROMISE = "promise"  # before, after; None where nothing is promised, "" for in rhythm
    TEXT_ADDED = "text added"  # language
    TEXT_REMOVED = "text removed"  # language
    TEXT_CHANGED = "text changed"  # language
    TEST_ADDED = "test added"
    TEST_REMOVED = "test removed"
    TEST_CHANGED = "test changed"


@dataclass(frozen=True)
class Change:
    kind: ChangeKind
    about: str
    before: Said = None
    after: Said = None
    was: Line | None = None
    line: Line | None = None
    language: str = ""


def playbook_changes(old: Playbook, old_texts: Texts, new: Playbook, new_texts: Texts) -> list[Change]:
    """Everything that differs: rules first, then steps in the new order, then texts, then tests.

    What differs only in where it stands in the file, or in comments, is no change.
    """
    return [
        *_rule_changes(old, new),
        *_step_changes(old, new),
        *_text_changes(old_texts, new_texts),
        *_test_changes(old, new),
    ]


# Rules


def _rule_changes(old: Playbook, new: Playbook) -> Iterator[Change]:
    before, after = _rules(old), _rules(new)
    for word, value in before.items():
        if value != after[word]:
            yield Change(ChangeKind.RULE, word, before=value, after=after[word])


def _rules(playbook: Playbook) -> dict[str, Said]:
    texts = playbook.texts
    return {
        "title": playbook.title,
        "owner": playbook.owner,
        "approve by": ", ".join(playbook.approve_by) or None,
        "class": playbook.message_class.value,
        "when": playbook.when,
        "if": playbook.condition.text if playbook.condition else None,
        "audience": playbook.audience.value,
        "channels": ", ".join(channel.value for channel in playbook.channels),
        "call first": playbook.call_first.value if playbook.call_first else None,
        "confirm above": playbook.confirm_above,
        "fallback language": playbook.fallback_language,
        "holding": texts.holding,
        "joined": texts.joined,
        "left cured": texts.left_cured,
        "told by mistake": texts.told_by_mistake,
        "exits": ", ".join(f"{exit_.on} → {exit_.go_to}" for exit_ in playbook.exits) or None,
        "restart on": playbook.restart_on,
    }


# Steps


@dataclass
class _Step:
    """A step as it is described. `within` says under which label and inside which ways of an `if` it stands."""

    line: Line
    within: tuple[str, ...]
    promise: timedelta | str | None = None
    leads_to: str = ""


def _step_changes(old: Playbook, new: Playbook) -> Iterator[Change]:
    before, after = _steps(old), _steps(new)
    stays = _in_order(list(before), list(after))
    for key, step in after.items():
        if key not in before:
            yield Change(ChangeKind.STEP_ADDED, step.line.step, line=step.line)
            continue
        if key not in stays or before[key].within != step.within:
            yield Change(ChangeKind.STEP_MOVED, step.line.step, line=step.line)
        yield from _within_step(before[key], step)
    for key, step in before.items():
        if key not in after:
            yield Change(ChangeKind.STEP_REMOVED, step.line.step, was=step.line)


def _within_step(was: _Step, now: _Step) -> Iterator[Change]:
    if was.promise != now.promise:
        yield Change(ChangeKind.PROMISE, now.line.step, before=was.promise, after=now.promise)
    differing = {name for name in {*was.line.values, *now.line.values} if _value(was, name) != _value(now, name)}
    if was.line.kind is not now.line.kind or differing - {"duration", "every"}:
        yield Change(ChangeKind.STEP_SAYS, now.line.step, was=was.line, line=now.line)
        return
    for name, kind, about in (
        ("duration", ChangeKind.WAIT, now.leads_to or now.line.step),
        ("every", ChangeKind.RHYTHM, now.line.step),
    ):
        if name in differing:
            yield Change(kind, about, before=_value(was, name), after=_value(now, name))


def _value(step: _Step, name: str) -> Said:
    return step.line.values.get(name)


def _steps(playbook: Playbook) -> dict[str, _Step]:
    """The steps by a key that stays the same when others come and go: their name, or what they lead to."""
    row: list[_Step] = []
    ways: list[str] = []
    section = ""
    for line in describe(playbook):
        ways = ways[: line.depth]
        if line.kind is LineKind.PROMISE:
            within = line.values["within"]
            row[-1].promise = within if isinstance(within, timedelta) else ""
        elif line.kind is LineKind.OTHERWISE:
            ways.append("else")
        elif line.kind not in _RULES:
            if line.kind is LineKind.SECTION:
                section = str(line.values["label"])
            row.append(_Step(line, (section, *ways)))
            if line.kind is LineKind.IF:
                ways.append("then")
    return _keyed(row)


def _keyed(row: list[_Step]) -> dict[str, _Step]:
    leads_to = ""
    for step in reversed(row):
        step.leads_to = leads_to if step.line.kind is not LineKind.SECTION else ""
        if step.line.kind is LineKind.SECTION:
            leads_to = ""
        elif not _NUMBERED.fullmatch(step.line.step):
            leads_to = step.line.step
    found: dict[str, _Step] = {}
    for step in row:
        key = _key(step)
        while key in found:
            key += "+"
        found[key] = step
    return found


def _key(step: _Step) -> str:
    line = step.line
    if line.kind is LineKind.SECTION:
        return f"label {line.values['label']}"
    numbered = _NUMBERED.fullmatch(line.step)
    return f"{numbered[1]} {step.within[0]} {step.leads_to}" if numbered else line.step


def _in_order(before: list[str], after: list[str]) -> set[str]:
    """The keys that stand in the same order in both."""
    known = [key for key in after if key in before]
    matcher = SequenceMatcher(a=[key for key in before if key in after], b=known, autojunk=False)
    return {key for block in matcher.get_matching_blocks() for key in known[block.b : block.b + block.size]}


# Texts and tests


def _text_changes(old: Texts, new: Texts) -> Iterator[Change]:
    for name, language in sorted({*old, *new}):
        before, after = old.get((name, language)), new.get((name, language))
        if before is None:
            yield Change(ChangeKind.TEXT_ADDED, name, language=language)
        elif after is None:
            yield Change(ChangeKind.TEXT_REMOVED, name, language=language)
        elif canonical(before) != canonical(after):
            yield Change(ChangeKind.TEXT_CHANGED, name, language=language)


def _test_changes(old: Playbook, new: Playbook) -> Iterator[Change]:
    before = {trial.name: _without_places(trial) for trial in old.trials}
    after = {trial.name: _without_places(trial) for trial in new.trials}
    for name, trial in after.items():
        if name not in before:
            yield Change(ChangeKind.TEST_ADDED, name)
        elif before[name] != trial:
            yield Change(ChangeKind.TEST_CHANGED, name)
    for name in sorted(before.keys() - after.keys()):
        yield Change(ChangeKind.TEST_REMOVED, name)


def _without_places(trial: Trial) -> Trial:
    return replace(
        trial,
        place=_NOWHERE,
        given=tuple(replace(one, place=_NOWHERE) for one in trial.given),
        expected=tuple(replace(one, place=_NOWHERE) for one in trial.expected),
    )
