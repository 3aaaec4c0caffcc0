"""The browser's scripts, run by Node: they say what the server says, so that no text jumps when they start."""

import importlib.util
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.utils import translation

from beforehand.kit.web import times

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
BROWSER = """
globalThis.document = {documentElement: {lang: LANGUAGE, dataset: {}}, cookie: "", addEventListener() {}, querySelectorAll: () => []};
globalThis.location = {href: "https://desk.example/console/", protocol: "https:"};
"""


def load_build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("frontend_build", ROOT / "frontend/build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(module: str, expression: str, language: str = "en") -> Any:
    """What this expression over the module's exports gives in a bare browser of that language."""
    npm, env = load_build().npm_command()
    bundle = [
        *npm,
        "exec",
        "--no",
        "--",
        "esbuild",
        f"frontend/js/{module}",
        "--bundle",
        "--format=iife",
        "--global-name=m",
    ]
    script = subprocess.run(bundle, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout
    program = (
        BROWSER.replace("LANGUAGE", json.dumps(language)) + script + f"\nconsole.log(JSON.stringify({expression}))"
    )
    answer = subprocess.run(["node", "-"], input=program, env=env, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


@pytest.mark.parametrize("language", ["en", "nl", "ar", "hi"])
def test_browser_and_server_say_the_same_relative_time(language: str) -> None:
    offsets = [
        -90,
        -50,
        50,
        -180,
        -49 * 60,
        -52 * 60,
        -86_400,
        2 * 3600,
        3 * 86_400,
        -8 * 86_400,
        -40 * 86_400,
        -400 * 86_400,
    ]
    with translation.override(language):
        said = [times.relative(NOW + timedelta(seconds=offset), now=NOW) for offset in offsets]
    assert run("relative-time.js", f"{offsets}.map((offset) => m.relative(offset, 'now'))", language) == said


def test_a_countdown_shows_seconds_only_when_they_matter() -> None:
    answers = run("countdown.js", "[581000, 600000, 7500000, 180000000, -12000].map(m.span)")
    assert answers == ["9:41", "10 min", "2 hr 5 min", "2 days 2 hr", "0:12"]


def test_a_stream_that_is_opened_anew_goes_on_where_it_stopped() -> None:
    answers = run("live.js", "[m.resumeUrl('/live?after=7', undefined), m.resumeUrl('/live?after=7', '1:42:3')]")
    assert answers == ["/live?after=7", "/live?after=7&last_event_id=1%3A42%3A3"]
