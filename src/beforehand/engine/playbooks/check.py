"""Judges what a playbook means: is every step reached, is nobody left hanging, can everybody read it?"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta

from beforehand.engine.playbooks.blocks import BlockKind, Slot, block_kind, slots_in
from beforehand.engine.playbooks.bundle import BLOCK, language_chain, text_file, text_parts
from beforehand.engine.playbooks.durations import duration_words
from beforehand.engine.playbooks.fields import did_you_mean
from beforehand.engine.playbooks.language import (
    AudienceSource,
    EndReason,
    EndStep,
    IfStep,
    LabelStep,
    Place,
    Playbook,
    Promise,
    RepeatStep,
    Rhythm,
    SpokenStep,
    Step,
    TaskStep,
    TellStep,
    WaitStep,
)
from beforehand.engine.playbooks.paths import paths
from beforehand.engine.playbooks.plain_words import MOST_WORDS, empty_words, long_sentences
from beforehand.engine.playbooks.problems import PlaybookProblem, ProblemReason
from beforehand.engine.playbooks.trials import GivenKind, HappeningKind

# A language that this share of the audience reads must have every text (guarantee 6).
REQUIRED_SHARE = 0.01

# Exits without which an incident playbook cannot be right, and how the run then ends.
INCIDENT_EXITS = {"incident.resolved": EndReason.RESOLVED, "incident.cancelled": EndReason.CANCELLED}

# Less than a twentieth of the promised time left for sending is tight; half of it left over is loose.
_TIGHT = 0.95
_LOOSE = 0.5

_SLOT_TIME = re.compile(r"{\s*time\s*}")  # a block's time, written as the texts write theirs

_LEAVING = ("left cured", "told by mistake")


def check_playbook(
    playbook: Playbook, texts: Mapping[tuple[str, str], str], audience_languages: Mapping[str, float]
) -> list[PlaybookProblem]:
    """Everything wrong with the sense of a parsed playbook and its bundle, in the order of the file.

    `texts` are whole files by (name, language); `audience_languages` is each language's share of the audience, 0 to 1.
    """
    found = [
        *_flow_problems(playbook),
        *_promise_problems(playbook),
        *_side_text_problems(playbook),
        *_text_problems(playbook, texts, audience_languages),
        *_block_problems(playbook, texts, audience_languages),
        *_trial_problems(playbook),
    ]
    problems = {str(problem): problem for problem in found}.values()  # a step on several ways is judged on each
    return sorted(problems, key=lambda problem: (problem.file != "playbook.yaml", problem.file, problem.line))


def _problem(place: Place, reason: ProblemReason, **values: str) -> PlaybookProblem:
    return PlaybookProblem(place.line, place.column, reason, values)


# The way through


def _flow_problems(playbook: Playbook) -> Iterator[PlaybookProblem]:
    if playbook.audience is AudienceSource.INCIDENT_AFFECTED and not playbook.is_about_incident:
        yield _problem(playbook.steps_place, ProblemReason.AUDIENCE_MISMATCH, event=playbook.when)
    if not playbook.spoken_steps():
        yield _problem(playbook.steps_place, ProblemReason.NO_TELL)
    exit_events = {exit_.on for exit_ in playbook.exits}
    for event in INCIDENT_EXITS if playbook.is_about_incident else ():
        if event not in exit_events:
            yield _problem(playbook.steps_place, ProblemReason.NO_EXIT, event=event)
    used = {exit_.go_to: INCIDENT_EXITS.get(exit_.on, EndReason.DONE) for exit_ in playbook.exits}
    yield from _section_problems(playbook, None, EndReason.DONE)
    for step in playbook.steps:
        if isinstance(step, LabelStep):
            if step.name not in used:
                yield _problem(step.place, ProblemReason.UNUSED_LABEL, label=step.name)
            yield from _section_problems(playbook, step.name, used.get(step.name, EndReason.DONE))


def _section_problems(playbook: Playbook, label: str | None, end: EndReason) -> Iterator[PlaybookProblem]:
    """Every way through the section must come to an end, and every step must stand on some way."""
    steps = playbook.section_steps(label)
    reached: list[Step] = []
    cut_off: dict[int, Step] = {}
    for way in paths(steps):
        last = next((i for i, step in enumerate(way) if isinstance(step, EndStep | RepeatStep)), None)
        if last is None:
            place = way[-1].place if way else _section_place(playbook, label)
            yield _problem(place, ProblemReason.END_MISSING, end=end)
            reached.extend(way)
            continue
        stop = way[last]
        if isinstance(stop, RepeatStep) and (label is not None or not playbook.exits):
            yield _problem(stop.place, ProblemReason.REPEAT_WITHOUT_EXIT)
        reached.extend(way[: last + 1])
        cut_off.update({id(step): stop for step in way[last + 1 :]})
    known = {id(step) for step in reached}
    for step in steps:
        if id(step) in cut_off and id(step) not in known:
            yield _problem(step.place, ProblemReason.UNREACHABLE, before=_words(cut_off[id(step)]))


def _section_place(playbook: Playbook, label: str | None) -> Place:
    return playbook.steps_place if label is None else playbook.steps[playbook.label_index(label)].place


def _words(step: Step) -> str:
    return f"end: {step.reason}" if isinstance(step, EndStep) else f"repeat: {getattr(step, 'id', '')}"


# Promises


def _promise_problems(playbook: Playbook) -> Iterator[PlaybookProblem]:
    labels = [step.name for step in playbook.steps if isinstance(step, LabelStep)]
    for label in (None, *labels):
        must_promise = label is None and playbook.is_about_incident
        for way in paths(playbook.section_steps(label)):
            yield from _promises_of_section(way, must_promise)


def _promises_of_section(steps: tuple[Step, ...], must_promise: bool) -> Iterator[PlaybookProblem]:
    for index, step in enumerate(steps):
        if isinstance(step, TellStep):
            gap = _time_until_next_word(steps[index + 1 :])
            if step.promise is not None and step.promise.within is None:
                yield from _rhythm_against(step.promise, steps[index + 1 :], gap)
            elif gap is not None:
                yield from _promise_against(step, gap, must_promise)
            elif step.promise is not None:
                yield _problem(step.promise.place, ProblemReason.PROMISE_THEN_END)
            elif must_promise and not _ends_at_once(steps[index + 1 :]):
                yield _problem(step.place, ProblemReason.TELL_WITHOUT_PROMISE, text=step.text)
        elif isinstance(step, RepeatStep):
            yield from _promises_of_repeat(step, must_promise)


def _promises_of_repeat(step: RepeatStep, must_promise: bool) -> Iterator[PlaybookProblem]:
    every, promise = _gap_of(step), step.promise
    if isinstance(step.every, Rhythm) and promise is not None:
        if promise.within is not None:
            yield _problem(promise.place, ProblemReason.PROMISE_NOT_IN_RHYTHM)
    else:
        yield from _promise_against(step, every, must_promise)
    for handler in step.on:
        own = handler.tell.promise
        if isinstance(step.every, Rhythm) and own is not None and own.within is None:
            continue
        # A shorter promise than the rhythm is kept: the repeat speaks when the promise is due.
        promised = every if own is None or own.within is None else own.within
        yield from _promise_against(handler.tell, min(every, promised * _TIGHT), must_promise)


def _gap_of(step: RepeatStep) -> timedelta:
    return step.every.first_gap if isinstance(step.every, Rhythm) else step.every


def _rhythm_against(promise: Promise, rest: tuple[Step, ...], gap: timedelta | None) -> Iterator[PlaybookProblem]:
    """A tell that promises the next word in rhythm: a repeat that has one must come next, and not too late."""
    spoken = next((step for step in rest if isinstance(step, TellStep | RepeatStep | EndStep)), None)
    if not isinstance(spoken, RepeatStep) or not isinstance(spoken.every, Rhythm):
        yield _problem(promise.place, ProblemReason.PROMISE_WITHOUT_RHYTHM)
    elif gap is not None and gap > spoken.every.first_gap:
        said = duration_words(spoken.every.first_gap)
        yield _problem(promise.place, ProblemReason.PROMISE_NOT_KEPT, promise=said, gap=duration_words(gap))


def _time_until_next_word(steps: tuple[Step, ...]) -> timedelta | None:
    """The longest time until something is told again; None when it never is."""
    waited = timedelta(0)
    for step in steps:
        match step:
            case WaitStep():
                waited += step.duration
            case TellStep():
                return waited
            case RepeatStep():
                return max(waited, _gap_of(step))
            case TaskStep() if step.is_awaited:
                waited += step.within
            case TaskStep() | IfStep():
                continue
            case _:
                return None
    return None


def _ends_at_once(steps: tuple[Step, ...]) -> bool:
    stops = [step for step in steps if not (isinstance(step, IfStep) or _is_passed(step))]
    return not stops or isinstance(stops[0], EndStep)


def _is_passed(step: Step) -> bool:
    return isinstance(step, TaskStep) and not step.is_awaited


def _promise_against(step: SpokenStep, gap: timedelta, must_promise: bool) -> Iterator[PlaybookProblem]:
    promise = step.promise
    if promise is None:
        if must_promise:
            yield _problem(step.place, ProblemReason.TELL_WITHOUT_PROMISE, text=step.text)
    elif promise.within is None:
        yield _problem(promise.place, ProblemReason.PROMISE_WITHOUT_RHYTHM)
    elif reason := _mismatch(promise.within, gap):
        said, comes = duration_words(promise.within), duration_words(gap) if gap else "no time"
        yield _problem(promise.place, reason, promise=said, gap=comes)


def _mismatch(within: timedelta, gap: timedelta) -> ProblemReason | None:
    if gap > within:
        return ProblemReason.PROMISE_NOT_KEPT
    if gap > within * _TIGHT:
        return ProblemReason.PROMISE_TIGHT
    if gap < within * _LOOSE:
        return ProblemReason.PROMISE_LOOSE
    return None


# Texts


def _side_text_problems(playbook: Playbook) -> Iterator[PlaybookProblem]:
    if playbook.texts.holding is None and any(step.promise for step in playbook.spoken_steps()):
        yield _problem(playbook.texts_place, ProblemReason.NO_HOLDING_TEXT)
    if playbook.is_about_incident:
        for key, name in zip(_LEAVING, (playbook.texts.left_cured, playbook.texts.told_by_mistake), strict=True):
            if name is None:
                yield _problem(playbook.texts_place, ProblemReason.NO_LEAVING_TEXT, key=key)


def named_texts(playbook: Playbook) -> dict[str, Place]:
    """Every text that the playbook names, with the place where it does so first."""
    side = playbook.texts
    named = {
        name: playbook.texts_place
        for name in (side.holding, side.joined, side.left_cured, side.told_by_mistake)
        if name is not None
    }
    for step in playbook.spoken_steps():
        named.setdefault(step.text, step.place)
    return named


def _text_problems(
    playbook: Playbook, texts: Mapping[tuple[str, str], str], audience_languages: Mapping[str, float]
) -> Iterator[PlaybookProblem]:
    named = named_texts(playbook)
    for name, place in named.items():
        yield from _missing_languages(playbook, name, place, texts, audience_languages)
    for (name, language), content in texts.items():
        file = text_file(name, language)
        if name.startswith(BLOCK):
            continue
        if name not in named:
            yield PlaybookProblem(1, 1, ProblemReason.TEXT_UNUSED, {"text": name}, file)
            continue
        parts = text_parts(content)
        if not parts.subject:
            yield PlaybookProblem(1, 1, ProblemReason.TEXT_WITHOUT_SUBJECT, file=file)
        if not parts.body:
            yield PlaybookProblem(1, 1, ProblemReason.TEXT_EMPTY, file=file)
        yield from _word_problems(content, language, file)


def _word_problems(content: str, language: str, file: str) -> Iterator[PlaybookProblem]:
    for empty in empty_words(content, language):
        yield PlaybookProblem(empty.line, 1, ProblemReason.EMPTY_WORDS, {"phrase": empty.phrase}, file)
    for long in long_sentences(content):
        values = {"start": long.start, "words": str(long.words), "limit": str(MOST_WORDS)}
        yield PlaybookProblem(long.line, 1, ProblemReason.LONG_SENTENCE, values, file)


def _missing_languages(
    playbook: Playbook,
    name: str,
    place: Place,
    texts: Mapping[tuple[str, str], str],
    audience_languages: Mapping[str, float],
) -> Iterator[PlaybookProblem]:
    fallback = playbook.fallback_language
    if (name, fallback) not in texts:
        file = text_file(name, fallback)
        yield _problem(place, ProblemReason.TEXT_MISSING, text=name, language=fallback, file=file)
    for language, share in sorted(audience_languages.items()):
        own = language_chain(language, language)
        if fallback in own or any((name, known) in texts for known in own):
            continue
        reason = ProblemReason.LANGUAGE_MISSING if share >= REQUIRED_SHARE else ProblemReason.RARE_LANGUAGE_MISSING
        percent = f"{share * 100:.2g} %" if share < REQUIRED_SHARE else f"{share * 100:.0f} %"
        file = text_file(name, language)
        values = {"percent": percent, "language": language, "text": name, "file": file, "fallback": fallback}
        yield _problem(place, reason, **values)


# The blocks


def _block_problems(
    playbook: Playbook, texts: Mapping[tuple[str, str], str], audience_languages: Mapping[str, float]
) -> Iterator[PlaybookProblem]:
    """A block must be fit to send as it is, in each language of the audience, with the same slots in each."""
    blocks: dict[str, dict[str, str]] = {}
    for (name, language), content in texts.items():
        if name.startswith(BLOCK):
            blocks.setdefault(name, {})[language] = content
    for name, files in blocks.items():
        if block_kind(name) is None:
            file = text_file(name, next(iter(files)))
            yield PlaybookProblem(1, 1, ProblemReason.BLOCK_WITHOUT_KIND, {"choices": ", ".join(BlockKind)}, file)
            continue
        yield from _missing_languages(playbook, name, playbook.texts_place, texts, audience_languages)
        wanted = set(slots_in(files.get(playbook.fallback_language, "")))
        for language, content in files.items():
            yield from _block_file_problems(content, language, text_file(name, language), wanted)


def _block_file_problems(content: str, language: str, file: str, wanted: set[str]) -> Iterator[PlaybookProblem]:
    if not text_parts(content).body:
        yield PlaybookProblem(1, 1, ProblemReason.TEXT_EMPTY, file=file)
    written = set(slots_in(content))
    for slot in sorted(written - set(Slot)):
        yield PlaybookProblem(1, 1, ProblemReason.BLOCK_SLOT_UNKNOWN, {"slot": slot, "choices": ", ".join(Slot)}, file)
    for slot in sorted((wanted - written) & set(Slot)):
        yield PlaybookProblem(1, 1, ProblemReason.BLOCK_SLOT_MISSING, {"slot": slot}, file)
    yield from _word_problems(_SLOT_TIME.sub("{{ due_at }}", content), language, file)


# The playbook's own tests


def _trial_problems(playbook: Playbook) -> Iterator[PlaybookProblem]:
    """Names in the tests that the playbook does not have: such a test could never pass."""
    texts, tasks = list(named_texts(playbook)), [task.id for task in playbook.tasks()]
    for trial in playbook.trials:
        named = [("task", given.what, given.place) for given in trial.given if given.kind is GivenKind.DONE]
        for expected in trial.expected:
            if expected.happening.kind in (HappeningKind.TELL, HappeningKind.TASK):
                kind = "text" if expected.happening.kind is HappeningKind.TELL else "task"
                named.append((kind, expected.happening.what, expected.place))
        for kind, name, place in named:
            known = texts if kind == "text" else tasks
            if name not in known:
                hint = did_you_mean(name, known)
                yield _problem(place, ProblemReason.TEST_UNKNOWN_NAME, kind=kind, name=name, hint=hint)
