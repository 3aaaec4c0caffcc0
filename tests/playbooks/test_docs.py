"""docs/playbooks.md names every word of the language, every name of a text, and its examples can be read."""

import re
from pathlib import Path

from ruamel.yaml import YAML

from beforehand.engine.playbooks.grammar import (
    PLAYBOOK,
    STEPS,
    TEXTS,
    TRIAL,
    TRIAL_CUSTOMER,
    TRIAL_EXPECT,
    TRIAL_GIVEN,
    TRIAL_INCIDENT,
)
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.outbound.skeletons import SLOTS
from beforehand.playbooks.bundles import TEXT_FACTS

PAGE = (Path(__file__).parents[2] / "docs/playbooks.md").read_text("utf-8")


def test_every_word_is_explained() -> None:
    heads = (PLAYBOOK, TEXTS, TRIAL, TRIAL_INCIDENT, TRIAL_CUSTOMER)
    tables = (*heads, *STEPS.values(), *TRIAL_GIVEN.values(), *TRIAL_EXPECT.values())
    words = {word for table in tables for word in table}
    assert {word for word in words if not re.search(rf"\b{word}\b", PAGE)} == set()


def test_every_name_that_a_text_may_use_is_listed() -> None:
    shown = PAGE.replace("`.cause`, `.area`, `.advice`", "`incident.cause`, `incident.area`, `incident.advice`")
    assert {name for name in (*TEXT_FACTS, *SLOTS) if f"`{name}`" not in shown} == set()


def test_the_examples_make_a_playbook_together() -> None:
    head, steps, tests = re.findall(r"```yaml\n((?:playbook:|  - if:|tests:).*?)```", PAGE, re.DOTALL)
    text = f"{head}steps:\n{steps}  - tell: first-notice\n  - label: all-clear\n  - label: false-alarm\n{tests}"
    playbook = parse_playbook(text)
    assert (playbook.approve_by, len(playbook.trials), len(playbook.tasks())) == (("care", "legal"), 2, 1)
    assert YAML(typ="safe", pure=True).load(text)["texts"]["joined"] is None
