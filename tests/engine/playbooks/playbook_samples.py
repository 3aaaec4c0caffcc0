"""Playbooks that the tests read, change and run."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import beforehand.playbooks
from beforehand.engine.playbooks.check import check_playbook
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.problems import PlaybookErrors

SHIPPED = Path(beforehand.playbooks.__file__).parent / "shipped" / "outage"
OUTAGE = (SHIPPED / "playbook.yaml").read_text()
STEADY = re.sub(
    r"every: +#.*\n( +- \{ .* \}.*\n)+", "every: 55 minutes\n", OUTAGE.partition("\ntests:")[0] + "\n", count=1
)
STEADY = STEADY.replace("update in rhythm", "update within 60 minutes")
"""The same with one interval: so that a test can count."""
NOON = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)

HEAD = """\
playbook: sample
title: Sample
owner: network-operations
class: service-critical
when: incident.opened
audience: incident.affected
channels: [email]
fallback language: en
texts: { holding: holding, left cured: cured, told by mistake: mistaken }
exits:
  - { on: incident.resolved, go to: over }
  - { on: incident.cancelled, go to: over }
restart on: incident.reopened
steps:
"""
TAIL = """\
  - label: over
  - tell: all-clear
    to: told
  - end: resolved
"""
REPEAT = """\
  - repeat: again
    every: 50 minutes
    tell: again
    promise: next update within 60 minutes
    on:
      incident.update_posted: { tell: update, promise: next update within 60 minutes }
"""


def sample(steps: str, *, head: str = HEAD, tail: str = TAIL) -> str:
    return head + steps + tail


def shipped_texts() -> dict[tuple[str, str], str]:
    found = {}
    for file in sorted((SHIPPED / "texts").iterdir()):
        name, language, _ = file.name.split(".")
        found[name, language] = file.read_text()
    return found


def reasons_of(text: str) -> list[str]:
    """Why the text cannot be read as a playbook."""
    try:
        parse_playbook(text)
    except PlaybookErrors as errors:
        return [problem.reason.value for problem in errors.problems]
    return []


def checked(text: str, texts=None, languages=None):
    """What is wrong with its sense; without texts, only what is not about texts."""
    playbook = parse_playbook(text)
    if texts is None:
        found = check_playbook(playbook, {}, {})
        return [problem for problem in found if "text missing" not in problem.reason]
    return check_playbook(playbook, texts, languages or {})


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)
