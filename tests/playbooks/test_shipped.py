"""Every playbook that ships is in order as it is, and each incident starts one of them at the most."""

import json
from pathlib import Path

import pytest

from beforehand.config.cli import main
from beforehand.engine.playbooks.blocks import BlockKind, blocks_of
from beforehand.engine.playbooks.bundle import BLOCK, text_parts
from beforehand.engine.playbooks.incident_facts import is_met
from beforehand.engine.playbooks.language import EndReason
from beforehand.engine.playbooks.moves import Reach
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.try_out import happenings
from beforehand.incidents.models import Incident
from beforehand.kit import clock
from beforehand.playbooks.bundles import SHIPPED, nested, read_bundle

pytestmark = [pytest.mark.django_db, pytest.mark.database]

BUNDLES = sorted(path.parent for path in SHIPPED.glob("*/playbook.yaml"))
LANGUAGES = ("en", "nl", "ar", "hi")
STARTED = {
    "outage": ["outage"],
    "degraded": ["degraded-service"],
    "planned": ["planned-maintenance"],
    "recall": ["product-recall"],
    "data": ["data-incident"],
    "delivery": ["delayed-delivery"],
    "other": [],
}

every_bundle = pytest.mark.parametrize("folder", BUNDLES, ids=lambda folder: folder.name)


@every_bundle
def test_it_has_no_error_and_no_warning_in_its_four_languages(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["playbook", "check", "--json", "--languages", ",".join(LANGUAGES), str(folder)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], answer["problems"]) == (True, [])


@every_bundle
def test_its_own_tests_pass_and_show_its_end_and_the_false_alarm(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["playbook", "test", str(folder)]) == 0
    assert capsys.readouterr().err.endswith("tests passed.\n")
    playbook = parse_playbook((folder / "playbook.yaml").read_text("utf-8"))
    ends = {happened.what for trial in playbook.trials for happened in happenings(playbook, trial)}
    assert {EndReason.RESOLVED, EndReason.CANCELLED, "not started"} <= ends


@every_bundle
def test_every_text_says_who_speaks_how_to_check_it_and_where_to_call(folder: Path) -> None:
    _, texts = read_bundle(folder)
    assert {language for _, language in texts} == set(LANGUAGES)
    for key, text in texts.items():
        if key[0].startswith(BLOCK):
            continue
        missing = [
            name for name in ("code", "verify_url", "brand.phone", "brand.name") if f"{{{{ {name} }}}}" not in text
        ]
        assert (key, missing) == (key, [])
        assert text_parts(text).subject, key


@every_bundle
def test_it_has_sentences_to_choose_of_every_kind_in_its_four_languages(folder: Path) -> None:
    _, texts = read_bundle(folder)
    blocks = blocks_of(nested(texts))
    assert {block.kind for block in blocks} == set(BlockKind)
    assert {block.name: set(block.sentences) for block in blocks} == {block.name: set(LANGUAGES) for block in blocks}
    assert all(block.facts[language] for block in blocks if block.kind is BlockKind.CAUSE for language in LANGUAGES)


@pytest.mark.parametrize("kind", Incident.Kind.values)
@pytest.mark.parametrize("severity", ["major", "critical"])
def test_an_incident_starts_the_playbook_of_its_kind_and_no_other(kind: str, severity: str) -> None:
    reach = Reach(100, kind=kind, severity=severity)
    started = []
    for folder in BUNDLES:
        playbook = parse_playbook((folder / "playbook.yaml").read_text("utf-8"))
        assert playbook.condition is not None
        if is_met(playbook.condition.text, reach, now=clock.now()):
            started.append(playbook.name)
    assert started == STARTED[kind]
