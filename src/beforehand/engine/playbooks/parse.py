"""Turns the text of `playbook.yaml` into a `Playbook`, or into the list of everything that is wrong with its words."""

import re
from collections.abc import Iterable, Mapping
from datetime import time, timedelta
from functools import lru_cache

from beforehand.engine.message_classes import MessageClass
from beforehand.engine.playbooks import yaml_tree
from beforehand.engine.playbooks.durations import duration_words
from beforehand.engine.playbooks.fields import (
    UNREAD,
    Fields,
    Problems,
    did_you_mean,
    form_of,
    place_of,
    read_choice,
    read_event,
    read_name,
)
from beforehand.engine.playbooks.grammar import (
    DAILY,
    EXIT,
    HANDLER,
    INNER_STEPS,
    LIMITS,
    MAX_IFS,
    MAX_STAGES,
    MAX_STEPS,
    NIGHT,
    PLAYBOOK,
    STAGE,
    STEPS,
    TEXTS,
    WAIT_FROM,
    WAIT_UNTIL,
    Beginning,
    Key,
    YesNo,
)
from beforehand.engine.playbooks.language import (
    RESERVED_IDS,
    Audience,
    AudienceSource,
    CalledFirst,
    Channel,
    Condition,
    EndReason,
    EndStep,
    Exit,
    Handler,
    IfStep,
    LabelStep,
    Place,
    Playbook,
    RepeatStep,
    Rhythm,
    SideTexts,
    SkipStep,
    Step,
    TaskStep,
    TellStep,
    WaitStep,
)
from beforehand.engine.playbooks.parse_trials import read_trials
from beforehand.engine.playbooks.problems import ProblemReason
from beforehand.engine.playbooks.rhythm import Night, Stage
from beforehand.engine.playbooks.yaml_tree import Node, Scalar, read_tree

Forms = Mapping[str, Mapping[str, Key]]

_TITLE_LIMIT = 200
_TELL_AUDIENCES = (Audience.AFFECTED, Audience.TOLD)


@lru_cache(maxsize=64)
def parse_playbook(text: str) -> Playbook:
    """The playbook that `text` says; raises `PlaybookErrors` with every problem found.

    What it means (nobody left hanging, no step out of reach, no text missing) is judged by `check_playbook`.
    """
    problems = Problems()
    tree = read_tree(text)
    if not isinstance(tree, yaml_tree.Mapping):
        problems.add(tree, ProblemReason.NOT_A_MAPPING, key="playbook")
        problems.raise_any()
    assert isinstance(tree, yaml_tree.Mapping)
    fields = Fields(tree, PLAYBOOK, problems)
    steps = _StepReader(problems).read(fields)
    condition = fields.text("if")
    playbook = Playbook(
        name=fields.name("playbook") or "",
        title=fields.text("title", _TITLE_LIMIT) or "",
        owner=fields.name("owner") or "",
        message_class=fields.choice("class", MessageClass),
        when=fields.event("when") or "",
        condition=Condition(condition, fields.place("if")) if condition else None,
        audience=fields.choice("audience", AudienceSource),
        channels=_channels(fields, problems),
        confirm_above=_confirm_above(fields, problems),
        fallback_language=fields.language("fallback language") or "",
        texts=_side_texts(fields, problems),
        exits=_exits(fields, steps, problems),
        restart_on=fields.event("restart on"),
        steps=steps,
        texts_place=fields.place("texts"),
        steps_place=fields.place("steps"),
        trials=read_trials(fields, problems),
        approve_by=_approve_by(fields, problems),
        call_first=fields.choice("call first", CalledFirst) if fields.node_at("call first") is not None else None,
    )
    problems.raise_any()
    return playbook


def _channels(fields: Fields, problems: Problems) -> tuple[Channel, ...]:
    channels: list[Channel] = []
    listed = fields.node_at("channels")
    if isinstance(listed, yaml_tree.Sequence) and not listed.items:
        problems.add(listed, ProblemReason.EMPTY_LIST, key="channels")
    for node in fields.items("channels"):
        if isinstance(node, Scalar):
            channels.append(read_choice("channels", node, list(Channel), problems))
        else:
            problems.add(node, ProblemReason.NOT_TEXT, key="channels")
    if listed is not None and Channel.CALL in channels[:-1]:
        problems.add(listed, ProblemReason.CALL_NOT_LAST)
    return tuple(dict.fromkeys(channels))


def _approve_by(fields: Fields, problems: Problems) -> tuple[str, ...]:
    teams: list[str] = []
    for node in fields.items("approve by"):
        if isinstance(node, Scalar):
            teams.append(read_name(node, problems))
        else:
            problems.add(node, ProblemReason.NOT_TEXT, key="approve by")
    return tuple(dict.fromkeys(teams))


def _confirm_above(fields: Fields, problems: Problems) -> int | None:
    limits = fields.mapping("limits")
    return Fields(limits, LIMITS, problems).number("confirm above") if limits else None


def _side_texts(fields: Fields, problems: Problems) -> SideTexts:
    texts = fields.mapping("texts")
    if texts is None:
        return SideTexts()
    named = Fields(texts, TEXTS, problems)
    return SideTexts(
        holding=named.name("holding"),
        joined=named.name("joined"),
        left_cured=named.name("left cured"),
        told_by_mistake=named.name("told by mistake"),
    )


def _exits(fields: Fields, steps: Iterable[Step], problems: Problems) -> tuple[Exit, ...]:
    labels = [step.name for step in steps if isinstance(step, LabelStep)]
    exits: dict[str, Exit] = {}
    for node in fields.items("exits"):
        if not isinstance(node, yaml_tree.Mapping):
            problems.add(node, ProblemReason.NOT_A_MAPPING, key="exits")
            continue
        line = Fields(node, EXIT, problems)
        on, go_to = line.event("on") or "", line.name("go to") or ""
        if go_to and go_to not in labels:
            hint = did_you_mean(go_to, labels)
            problems.add(line.place("go to"), ProblemReason.UNKNOWN_LABEL, label=go_to, hint=hint)
        if on in exits:
            problems.add(line.place("on"), ProblemReason.DUPLICATE_EXIT, event=on, first=str(exits[on].place.line))
        else:
            exits[on] = Exit(on, go_to, line.place("on"))
    return tuple(exits.values())


class _StepReader:
    """Reads the list of steps; gives those without a name of their own a stable one."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._ids: dict[str, Place] = {}
        self._labels: dict[str, Place] = {}
        self._counts = {"wait": 0, "end": 0, "if": 0}

    def read(self, fields: Fields) -> tuple[Step, ...]:
        nodes = fields.items("steps")
        if not nodes and fields.node_at("steps") is not None:
            self._problems.add(fields.place("steps"), ProblemReason.NO_STEPS)
        steps = self._row(nodes, STEPS)
        if len(steps) > MAX_STEPS:
            self._problems.add(steps[MAX_STEPS].place, ProblemReason.TOO_MANY_STEPS, limit=str(MAX_STEPS))
        ifs = [step for step in steps if isinstance(step, IfStep)]
        if len(ifs) > MAX_IFS:
            self._problems.add(ifs[MAX_IFS].place, ProblemReason.TOO_MANY_IFS, limit=str(MAX_IFS))
        return steps

    def _row(self, nodes: Iterable[Node], forms: Forms) -> tuple[Step, ...]:
        return tuple(step for node in nodes for step in self._steps(node, forms))

    def _steps(self, node: Node, forms: Forms) -> tuple[Step, ...]:
        """The one step that the node says; with an `if`, those inside it too; none where it cannot be read."""
        if not isinstance(node, yaml_tree.Mapping):
            self._problems.add(node, ProblemReason.NOT_A_MAPPING, key="steps")
            return ()
        verb = self._verb(node, forms)
        if verb is None:
            return ()
        fields = Fields(node, STEPS[verb], self._problems)
        place = place_of(node)
        match verb:
            case "wait":
                return (self._wait(fields, place),)
            case "tell":
                return (self._tell(fields, place),)
            case "repeat":
                return (self._repeat(fields, place),)
            case "if":
                return self._if(fields, place)
            case "task":
                return (self._task(fields, place),)
            case "label":
                return (self._label(fields, place),)
            case _:
                return (EndStep(self._numbered("end", place), place, fields.choice("end", EndReason)),)

    def _verb(self, node: yaml_tree.Mapping, forms: Forms) -> str | None:
        words = {entry.key.text for entry in node.entries} & forms.keys()
        return "repeat" if words == {"repeat", "tell"} else form_of(node, forms, self._problems)

    def _if(self, fields: Fields, place: Place) -> tuple[Step, ...]:
        step_id = self._own_or_numbered(fields, "if", place)
        condition = Condition(fields.text("if") or "", fields.place("if"))
        then = self._row(fields.items("then"), INNER_STEPS)
        otherwise = self._row(fields.items("else"), INNER_STEPS)
        return IfStep(step_id, place, condition, len(then)), *then, SkipStep(place, len(otherwise)), *otherwise

    def _task(self, fields: Fields, place: Place) -> TaskStep:
        return TaskStep(
            self._claim(fields.name("task") or "", fields.place("task")),
            place,
            fields.text("title", _TITLE_LIMIT) or "",
            fields.name("team") or "",
            fields.duration("within"),
            fields.choice("wait for it", YesNo) is YesNo.YES,
        )

    def _wait(self, fields: Fields, place: Place) -> WaitStep:
        step_id = self._own_or_numbered(fields, "wait", place)
        node = fields.node_at("wait")
        if isinstance(node, yaml_tree.Mapping):
            if any(entry.key.text == "from" for entry in node.entries):
                from_line = Fields(node, WAIT_FROM, self._problems)
                from_line.choice("from", Beginning)
                duration = from_line.duration("for")
                if self._ids.keys() != {step_id}:
                    words = duration_words(duration) if duration else "…"
                    self._problems.add(place_of(node), ProblemReason.FROM_NOT_FIRST, duration=words)
                return WaitStep(step_id, place, duration, from_began=True)
            until_line = Fields(node, WAIT_UNTIL, self._problems)
            return WaitStep(step_id, place, until_line.duration("at most"), until=until_line.event("until"))
        return WaitStep(step_id, place, fields.duration("wait"))

    def _tell(self, fields: Fields, place: Place) -> TellStep:
        text = fields.name("tell") or ""
        step_id = self._claim(fields.name("id") or text, fields.place("tell"))
        to = fields.choice("to", Audience, among=_TELL_AUDIENCES)
        return TellStep(step_id, place, text, to, fields.promise())

    def _repeat(self, fields: Fields, place: Place) -> RepeatStep:
        step_id = self._claim(fields.name("repeat") or "", fields.place("repeat"))
        to = fields.choice("to", Audience, among=_TELL_AUDIENCES)
        return RepeatStep(
            step_id,
            place,
            self._every(fields),
            fields.name("tell") or "",
            to,
            fields.promise(),
            tuple(self._handlers(fields, step_id, to)),
        )

    def _every(self, fields: Fields) -> timedelta | Rhythm:
        node = fields.node_at("every")
        if not isinstance(node, yaml_tree.Sequence):
            return fields.duration("every")
        if not node.items:
            self._problems.add(node, ProblemReason.EMPTY_LIST, key="every")
        if len(node.items) > MAX_STAGES:
            self._problems.add(node.items[MAX_STAGES], ProblemReason.TOO_MANY_STAGES, limit=str(MAX_STAGES))
        return Rhythm(tuple(self._stage(item, is_last=item is node.items[-1]) for item in node.items))

    def _stage(self, node: Node, *, is_last: bool) -> Stage:
        if not isinstance(node, yaml_tree.Mapping):
            self._problems.add(node, ProblemReason.NOT_A_MAPPING, key="every")
            return Stage(UNREAD)
        fields = Fields(node, STAGE, self._problems)
        lasts = fields.duration("for") if fields.node_at("for") else None
        if is_last and lasts is not None:
            self._problems.add(fields.place("for"), ProblemReason.LAST_STAGE_ENDS)
        elif not is_last and lasts is None:
            self._problems.add(node, ProblemReason.STAGE_ENDLESS)
        return Stage(self._interval(fields), lasts, self._night(fields))

    def _interval(self, fields: Fields) -> timedelta | time:
        text, place = fields.text("every"), fields.place("every")
        if text is None:
            return UNREAD
        if daily := re.fullmatch(DAILY, text):
            return time.fromisoformat(daily[1])
        if text.startswith("day"):
            self._problems.add(place, ProblemReason.BAD_EVERY, value=text)
            return UNREAD
        return fields.duration("every")

    def _night(self, fields: Fields) -> Night | None:
        text = fields.text("quiet")
        night = re.fullmatch(NIGHT, text) if text else None
        if text and (night is None or night[1] == night[2]):
            self._problems.add(fields.place("quiet"), ProblemReason.BAD_NIGHT, value=text)
        return Night(time.fromisoformat(night[1]), time.fromisoformat(night[2])) if night else None

    def _handlers(self, fields: Fields, repeat_id: str, to: Audience) -> Iterable[Handler]:
        handlers = fields.mapping("on")
        for entry in handlers.entries if handlers else ():
            event = read_event(entry.key, self._problems)
            if not isinstance(entry.value, yaml_tree.Mapping):
                self._problems.add(entry.value, ProblemReason.NOT_A_MAPPING, key=entry.key.text)
                continue
            line = Fields(entry.value, HANDLER, self._problems)
            text = line.name("tell") or ""
            step_id = self._claim(f"{repeat_id}.{text}", line.place("tell"))
            yield Handler(event, TellStep(step_id, place_of(entry.key), text, to, line.promise()))

    def _label(self, fields: Fields, place: Place) -> LabelStep:
        name = fields.name("label") or ""
        if name in self._labels:
            first = str(self._labels[name].line)
            self._problems.add(fields.place("label"), ProblemReason.DUPLICATE_LABEL, label=name, first=first)
        self._labels.setdefault(name, place)
        return LabelStep(name, place)

    def _own_or_numbered(self, fields: Fields, verb: str, place: Place) -> str:
        own = fields.name("id")
        return self._claim(own, fields.place("id")) if own else self._numbered(verb, place)

    def _numbered(self, verb: str, place: Place) -> str:
        self._counts[verb] += 1
        return self._claim(f"{verb}-{self._counts[verb]}", place)

    def _claim(self, step_id: str, place: Place) -> str:
        if step_id in RESERVED_IDS:
            self._problems.add(place, ProblemReason.RESERVED_ID, id=step_id)
        if step_id in self._ids:
            self._problems.add(place, ProblemReason.DUPLICATE_ID, id=step_id, first=str(self._ids[step_id].line))
        self._ids.setdefault(step_id, place)
        return step_id
