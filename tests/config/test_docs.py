"""The documentation names everything that there is: settings, figures, commands, the console's settings, kinds of events."""

import re
from pathlib import Path

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from beforehand.accounts.actions import SCOPES
from beforehand.accounts.installation import KEYS
from beforehand.config.cli import COMMANDS
from beforehand.config.environment import SETTINGS
from beforehand.config.metrics import METRICS
from beforehand.config.settings_page import settings_page

ROOT = Path(__file__).resolve().parents[2]
DOCS = {path.name: path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md")}
EVERYTHING = "\n".join([*DOCS.values(), (ROOT / "README.md").read_text("utf-8")])


def test_the_page_of_settings_is_made_from_the_settings() -> None:
    assert DOCS["settings.md"] == settings_page()
    assert all(f"`{setting.name}`" in DOCS["settings.md"] for setting in SETTINGS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_figure_is_in_operating_with_its_meaning(metric: object) -> None:
    found = next(one for one in METRICS if one is metric)
    assert f"`{found.full_name}" in DOCS["operating.md"]
    assert f"| {found.meaning} |" in DOCS["operating.md"]


def test_every_command_is_named() -> None:
    assert [command.name for command in COMMANDS if f"beforehand {command.name}" not in EVERYTHING] == []


def test_every_setting_of_the_business_and_every_scope_is_named() -> None:
    assert [key for key in KEYS if f"`{key}`" not in EVERYTHING] == []
    assert [scope for scope in SCOPES if f"`{scope}`" not in EVERYTHING] == []


def types_in_use() -> set[str]:
    """The types of events that the product appends, as its source writes them."""
    types: set[str] = set()
    for path in (ROOT / "src" / "beforehand").rglob("*.py"):
        source = path.read_text("utf-8")
        types |= set(re.findall(r'append_event\(\s*type="([a-z_]+\.[a-z_]+)"', source))
    return types


def test_every_type_of_event_is_named() -> None:
    assert len(types_in_use()) > 40
    assert [one for one in sorted(types_in_use()) if f"`{one}`" not in EVERYTHING] == []


def prefixes(patterns: list[URLPattern | URLResolver], before: str = "") -> set[str]:
    """The beginning of every address, as a person would name it."""
    found: set[str] = set()
    for one in patterns:
        whole = before + str(one.pattern)
        if isinstance(one, URLResolver) and before.count("/") < 1:
            found |= prefixes(one.url_patterns, whole)
        else:
            found.add(whole.split("<")[0].strip("^$").rstrip("/"))
    return found


def test_every_address_outside_the_console_is_named() -> None:
    known = {"accounts", "console", "language", "", "api"}
    outside = {one for one in prefixes(get_resolver().url_patterns) if one.split("/")[0] not in known}
    assert len(outside) > 5
    assert [one for one in sorted(outside) if f"/{one}" not in EVERYTHING] == []


def test_every_link_between_pages_leads_somewhere() -> None:
    for name, text in DOCS.items():
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
            if "://" not in link:
                assert (ROOT / "docs" / link).exists(), (name, link)
