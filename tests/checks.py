"""`make check`'s own checks: migrations, the API's description, and catalogues without a gap, locks without a join.

python -m tests.checks
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "beforehand"
LOCALE = PACKAGE / "locale"
LANGUAGES = ("nl", "ar", "hi")
QUIET = {
    **os.environ,
    "BEFOREHAND_SECRET_KEY": "a-secret-key-for-the-checks-only-0123456789",
    "BEFOREHAND_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "BEFOREHAND_LOG_LEVEL": "ERROR",
    "DJANGO_SETTINGS_MODULE": "beforehand.config.settings",
}


def migrations() -> Iterator[str]:
    """Models and migrations say the same."""
    command = [sys.executable, "-W", "ignore", "-m", "django", "makemigrations", "--check", "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, env=QUIET, cwd=ROOT, check=False)
    if done.returncode:
        yield f"models differ from their migrations:\n{done.stdout}{done.stderr[-2000:]}"


def api_description() -> Iterator[str]:
    """docs/openapi.json is what the API says of itself."""
    command = [sys.executable, "-W", "ignore", "-m", "beforehand.api.schema"]
    done = subprocess.run(command, capture_output=True, text=True, env=QUIET, cwd=ROOT, check=False)
    kept = ROOT / "docs" / "openapi.json"
    if done.returncode or not kept.exists() or done.stdout.strip() != kept.read_text().strip():
        yield f"docs/openapi.json is not current: python -m beforehand.api.schema > docs/openapi.json\n{done.stderr[-1000:]}"


def texts_in_use() -> set[str]:
    """Every text in the product that people read, as gettext collects them."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "beforehand"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("*.mo", "__pycache__", "locale", "built"))
        (copy / "locale").mkdir()
        command = [sys.executable, "-W", "ignore", "-m", "django", "makemessages", "--locale", "nl", "--no-location"]
        done = subprocess.run(command, capture_output=True, text=True, env=QUIET, cwd=copy, check=False)
        made = copy / "locale" / "nl" / "LC_MESSAGES" / "django.po"
        if not made.exists():
            raise SystemExit(f"texts cannot be collected (is gettext installed?): {done.stderr[-2000:]}")
        with made.open("rb") as file:
            catalogue = read_po(file)
    return {_key(message.id, message.context) for message in catalogue if message.id}


def _key(text: object, context: str | None) -> str:
    return f"{context or ''}\x04{text[0] if isinstance(text, tuple | list) else text}"


def catalogues() -> Iterator[str]:
    """Dutch, Arabic and Hindi have every text, none of them fuzzy."""
    wanted = texts_in_use()
    for language in LANGUAGES:
        path = LOCALE / language / "LC_MESSAGES" / "django.po"
        if not path.exists():
            yield f"{language}: no catalogue"
            continue
        with path.open("rb") as file:
            catalogue = read_po(file, locale=language)
        have = {
            _key(message.id, message.context)
            for message in catalogue
            if message.id and not message.fuzzy and all(_parts(message.string))
        }
        missing = sorted(wanted - have)
        if missing:
            some = "\n".join(f"    {text[1:].strip()[:100]!r}" for text in missing[:15])
            yield f"{language}: {len(missing)} of {len(wanted)} texts are missing or fuzzy (make messages):\n{some}"
        for message in catalogue:
            if message.id and not message.fuzzy:
                for error in message.check():
                    yield f"{language}: {error}: {message.id!r}"


def _parts(string: object) -> list[str]:
    return [str(part) for part in string] if isinstance(string, tuple | list) else [str(string or "")]


def locks() -> Iterator[str]:
    """A row that was waited for is the newest; one joined to it is not: it is as old as the statement, or is missing."""
    chain = re.compile(r"select_for_update\((?:[^\n]*\n\s+\.)*[^\n]*\.select_related\(")
    for path in sorted(PACKAGE.rglob("*.py")):
        for found in chain.finditer(text := path.read_text()):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{path.relative_to(ROOT)}:{line}: locks a row joined to others; read those after it (prefetch_related)"


def main() -> int:
    faults = [*migrations(), *api_description(), *catalogues(), *locks()]
    for fault in faults:
        print(fault, file=sys.stderr)
    print(
        "checks: "
        + (f"{len(faults)} found" if faults else "migrations, API description, catalogues, locks are in order")
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
