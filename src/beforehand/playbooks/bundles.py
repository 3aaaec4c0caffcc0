"""Playbook bundles: read from a folder, checked, and parsed once per version."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from beforehand.accounts.installation import installation
from beforehand.engine.conditions import ConditionError
from beforehand.engine.playbooks.bundle import BLOCK, text_file, text_of_file
from beforehand.engine.playbooks.check import check_playbook
from beforehand.engine.playbooks.incident_facts import incident_condition
from beforehand.engine.playbooks.language import Playbook
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.problems import PLAYBOOK_FILE, PlaybookErrors, PlaybookProblem, ProblemReason
from beforehand.engine.playbooks.try_out import trial_problems
from beforehand.outbound.skeletons import SLOTS
from beforehand.outbound.templates import TemplateSource, check_template
from beforehand.playbooks.models import PlaybookVersion
from beforehand.playbooks.text_lengths import long_text_messages

SHIPPED = Path(__file__).parent / "shipped"

TEXT_FACTS = (
    "brand.name",
    "brand.phone",
    *(f"incident.{name}" for name in ("title", "cause", "area", "advice", "began_at", "lasted")),
    "next_update_at",
    "restored_at",
    *(f"planned.{name}" for name in ("starts_at", "ends_at", "before", "has_started", "is_late", "how")),
    "now",
    "update.text",
    "update.untranslated",
    "formal",
    "only_changes",
)
"""What a text may ask of the whole batch (`facts.batch_facts`, and how the reader is addressed)."""

Texts = dict[tuple[str, str], str]


def read_bundle(folder: Path) -> tuple[str, Texts]:
    """The YAML and the texts by (name, language) of a bundle on disk; raises `FileNotFoundError` without a playbook.yaml."""
    source = (folder / "playbook.yaml").read_text(encoding="utf-8")
    texts: Texts = {}
    for path in sorted([*folder.glob("texts/*.md"), *folder.glob("blocks/*.md")]):
        texts[text_of_file(f"{path.parent.name}/{path.name}")] = path.read_text(encoding="utf-8")
    return source, texts


def nested(texts: Mapping[tuple[str, str], str]) -> dict[str, dict[str, str]]:
    """Texts as a version stores them: name to language to text."""
    stored: dict[str, dict[str, str]] = {}
    for (name, language), text in texts.items():
        stored.setdefault(name, {})[language] = text
    return stored


def flat(stored: Mapping[str, Mapping[str, str]]) -> Texts:
    """Stored texts by (name, language)."""
    return {(name, language): text for name, by_language in stored.items() for language, text in by_language.items()}


def bundle_problems(source: str, texts: Texts, *, audience_languages: Mapping[str, float]) -> list[PlaybookProblem]:
    """All that is wrong with a bundle, in the order of its files; `audience_languages` are shares from 0 to 1."""
    long_texts: list[PlaybookProblem] = []
    try:
        playbook = parse_playbook(source)
    except PlaybookErrors as errors:
        found = list(errors.problems)
    else:
        found = check_playbook(playbook, texts, audience_languages) + list(_condition_problems(playbook))
        long_texts = list(long_text_messages(playbook, texts))
    known = {(problem.file, problem.line) for problem in found}  # an empty text is found by both
    found += [problem for problem in _text_problems(texts) if (problem.file, problem.line) not in known]
    return sorted(
        [*found, *long_texts], key=lambda problem: (problem.file != PLAYBOOK_FILE, problem.file, problem.line)
    )


def own_test_problems(source: str) -> list[PlaybookProblem]:
    """Where a bundle without errors does something else than its own tests say."""
    return trial_problems(parse_playbook(source))


def _condition_problems(playbook: Playbook) -> Iterator[PlaybookProblem]:
    for condition in playbook.conditions():
        try:
            incident_condition(condition.text)
        except ConditionError as error:
            place = condition.place
            yield PlaybookProblem(place.line, place.column, ProblemReason.CONDITION_WRONG, {"detail": str(error)})


def _text_problems(texts: Texts) -> Iterator[PlaybookProblem]:
    """What no mail could be made from: words that Liquid cannot read, names that do not exist."""
    for (name, language), text in sorted(texts.items()):
        if name.startswith(BLOCK):
            continue  # no mail of its own
        yield from _faults_of_text(text_file(name, language), text)


@lru_cache(maxsize=1024)
def _faults_of_text(file: str, text: str) -> tuple[PlaybookProblem, ...]:
    """One text's; kept, since what is pushed is checked again when it is shown and when it is approved."""
    return tuple(
        PlaybookProblem(
            problem.line,
            1,
            ProblemReason.TEXT_WRONG,
            {"reason": problem.reason.value, "detail": problem.detail},
            file=file,
        )
        for problem in check_template(TemplateSource(file, text), TEXT_FACTS, SLOTS)
    )


@lru_cache(maxsize=256)
def _parsed(version_id: int) -> Playbook:
    return parse_playbook(PlaybookVersion.objects.values_list("source", flat=True).get(pk=version_id))


def playbook_of(version_id: int) -> Playbook:
    """A version's playbook (versions never change, so it is parsed once), under the installation's own limit."""
    playbook = _parsed(version_id)
    limit = installation().confirm_above
    if playbook.confirm_above is not None:
        limit = min(limit, playbook.confirm_above)
    return replace(playbook, confirm_above=limit)
