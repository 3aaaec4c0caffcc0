"""The README speaks to newcomers: what it tells them to type exists, and what it links to is there."""

import re
from pathlib import Path

import pytest

from beforehand.config.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_every_file_that_it_links_to_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_that_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"\bmake ([a-z]+)\b", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_command_that_it_names_exists_and_takes_what_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    lines = re.findall(r"beforehand ((?:[a-z]+)(?: [a-z]+)?)[^\n]*", README.split("## Use it")[1].split("```")[1])
    assert len(lines) > 5
    known = {command.name for command in COMMANDS}
    for line in lines:
        name, _, action = line.partition(" ")
        assert name in known
        with pytest.raises(SystemExit) as asked:
            main([name, *([action] if action in ("create", "approve") else []), "--help"])
        assert asked.value.code == 0
        capsys.readouterr()
