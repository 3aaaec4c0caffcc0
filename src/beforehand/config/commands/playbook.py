"""`beforehand playbook`: check what we agreed to do, store it, approve it."""

import argparse
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beforehand.config.commands import CommandError, add_json, print_json, ready_database, tell, use_django
from beforehand.config.environment import Environment

if TYPE_CHECKING:
    from beforehand.accounts.models import User
    from beforehand.engine.playbooks.problems import PlaybookProblem

_LANGUAGES = "en,nl,ar,hi"


def arguments(parser: argparse.ArgumentParser) -> None:
    """`playbook check DIR`, `test DIR`, `push DIR`, `approve SLUG`, `install`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="say what is wrong with a bundle", description="Check a playbook.")
    check.add_argument("folder", metavar="DIR", type=Path, help="holds playbook.yaml and texts/NAME.LANGUAGE.md")
    check.add_argument(
        "--languages", default=_LANGUAGES, help=f"languages that the audience reads, by default {_LANGUAGES}"
    )
    add_json(check)
    test = actions.add_parser(
        "test",
        help="run the tests that a bundle carries, on a virtual clock",
        description="Run a playbook's own tests: no database, no waiting.",
    )
    test.add_argument("folder", metavar="DIR", type=Path)
    add_json(test)
    diff = actions.add_parser(
        "diff",
        help="say in words what a bundle changes of the stored version",
        description="Say what a bundle changes of the version that is in use.",
    )
    diff.add_argument("folder", metavar="DIR", type=Path)
    add_json(diff)
    push = actions.add_parser("push", help="store a bundle as a new version", description="Store a playbook.")
    push.add_argument("folder", metavar="DIR", type=Path)
    push.add_argument("--note", default="", help="what has changed, for who approves it")
    add_json(push)
    approve = actions.add_parser(
        "approve", help="let its current version tell customers", description="Approve the current version."
    )
    approve.add_argument("slug", metavar="SLUG")
    approve.add_argument("--hash", default="", help="approve only if the current version has this hash")
    approve.add_argument("--as", dest="email", default="", help="who approves, where the playbook names teams")
    approve.add_argument("--team", default="", help="for which of their teams, if they belong to several")
    add_json(approve)
    actions.add_parser("schema", help="print the language as JSON Schema, for editors")
    add_json(actions.add_parser("install", help="store the shipped playbooks that are missing"))


def run(environment: Environment, given: argparse.Namespace) -> int:
    """Check and test without a database; diff, push, approve and install with one."""
    if given.action in WITHOUT_DATABASE:
        return WITHOUT_DATABASE[given.action](given)
    with ready_database(environment):
        if given.action in ("push", "diff"):
            return _push(given) if given.action == "push" else _diff(given)
        return _approve(given) if given.action == "approve" else _install(given)


def _without_database() -> None:
    if not os.environ.get("BEFOREHAND_SECRET_KEY") and not os.environ.get("BEFOREHAND_SECRET_KEY_FILE"):
        # Nothing is signed here; without this, looking at a folder would make a home with a key in it.
        os.environ["BEFOREHAND_SECRET_KEY"] = secrets.token_urlsafe(48)
    use_django()


def _check(given: argparse.Namespace) -> int:
    _without_database()
    from beforehand.playbooks.bundles import bundle_problems

    source, texts = _read(given.folder)
    languages = [language for language in given.languages.replace(",", " ").split() if language]
    problems = bundle_problems(source, texts, audience_languages={code: 1 / len(languages) for code in languages})
    errors = sum(problem.severity == "error" for problem in problems)
    if given.json:
        print_json({"ok": not errors, "problems": [as_json(problem) for problem in problems]})
    else:
        for problem in problems:
            print(in_words(given.folder, problem))
        warnings = len(problems) - errors
        tell(f"{errors} errors, {warnings} warnings." if problems else f"{given.folder} is in order.")
    return 1 if errors else 0


def _test(given: argparse.Namespace) -> int:
    _without_database()
    from beforehand.engine.playbooks.parse import parse_playbook
    from beforehand.engine.playbooks.try_out import trial_fault
    from beforehand.playbooks.bundles import bundle_problems

    source, texts = _read(given.folder)
    errors = [one for one in bundle_problems(source, texts, audience_languages={}) if one.severity == "error"]
    if errors:
        for problem in errors:
            print(in_words(given.folder, problem))
        raise CommandError(f"{given.folder} has {len(errors)} errors: nothing was tested")
    playbook = parse_playbook(source)
    if not playbook.trials:
        raise CommandError(f"{given.folder / 'playbook.yaml'} carries no tests: add “tests:”")
    faults = [(trial.name, trial_fault(playbook, trial)) for trial in playbook.trials]
    failed = sum(bool(found) for _, found in faults)
    if given.json:
        tests = [{"name": name, "ok": not found, "problems": [as_json(one) for one in found]} for name, found in faults]
        print_json({"ok": not failed, "tests": tests})
    else:
        for problem in (one for _, found in faults for one in found):
            print(in_words(given.folder, problem))
        tell(f"{len(faults) - failed} of {len(faults)} tests passed.")
    return 1 if failed else 0


def in_words(folder: Path, problem: "PlaybookProblem") -> str:
    """A problem as compilers print them, so that editors can jump to it."""
    kind = "warning: " if problem.severity == "warning" else ""
    return f"{folder / problem.file}:{problem.line}: {kind}{problem.message}"


def as_json(problem: "PlaybookProblem") -> dict[str, Any]:
    """A problem for programs."""
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "severity": problem.severity,
        "reason": problem.reason,
        "message": problem.message,
    }


def _push(given: argparse.Namespace) -> int:
    from beforehand.playbooks.actions import PlaybookRefused, push_version

    source, texts = _read(given.folder)
    try:
        version = push_version(source=source, texts=texts, actor="command", note=given.note)
    except PlaybookRefused as refused:
        for problem in refused.problems:
            print(in_words(given.folder, problem))
        raise CommandError(f"{given.folder} has {len(refused.problems)} errors: nothing was stored") from None
    if given.json:
        print_json({"slug": version.slug, "number": version.number, "hash": version.hash})
    else:
        tell(f"{version.slug} {version.number} is stored ({version.hash[:12]}).")
        if version.approved_at is None:
            tell(f"It asks a person before it tells anybody, until `beforehand playbook approve {version.slug}`.")
    return 0


def _diff(given: argparse.Namespace) -> int:
    from beforehand.console.playbook_changes import change_sentence, version_changes
    from beforehand.engine.playbooks.parse import parse_playbook
    from beforehand.engine.playbooks.problems import PlaybookErrors
    from beforehand.playbooks.models import PlaybookVersion

    source, texts = _read(given.folder)
    try:
        slug = parse_playbook(source).name
    except PlaybookErrors as errors:
        for problem in errors.problems:
            print(in_words(given.folder, problem))
        raise CommandError(f"{given.folder} cannot be read as a playbook") from None
    version = PlaybookVersion.objects.filter(slug=slug, is_current=True).first()
    if version is None:
        raise CommandError(f"no playbook {slug!r} is stored: all of {given.folder} would be new")
    changes = version_changes(version, source, texts)
    if given.json:
        shown = [{"kind": change.kind, "about": change.about, "text": change_sentence(change)} for change in changes]
        print_json({"slug": slug, "number": version.number, "changes": shown})
    else:
        for change in changes:
            print(change_sentence(change))
        tell(
            f"{len(changes)} changes of {slug} {version.number}."
            if changes
            else f"The same as {slug} {version.number}."
        )
    return 0


def _approve(given: argparse.Namespace) -> int:
    from beforehand.engine.playbooks.parse import parse_playbook
    from beforehand.playbooks.actions import NotTheirsToApprove, PlaybookRefused, approve_version
    from beforehand.playbooks.models import PlaybookVersion
    from beforehand.playbooks.queries import missing_approvals

    version = PlaybookVersion.objects.filter(slug=given.slug, is_current=True).first()
    if version is None:
        known = PlaybookVersion.objects.filter(is_current=True).order_by("slug").values_list("slug", flat=True)
        raise CommandError(f"there is no playbook {given.slug!r}; known: {', '.join(known) or 'none'}")
    if given.hash and not version.hash.startswith(given.hash):
        raise CommandError(f"the current version of {version.slug} is {version.hash[:12]}, not {given.hash}")
    is_approved = version.approved_at is not None
    if not is_approved:
        try:
            is_approved = approve_version(version, user=_user(given.email), actor="command", team=given.team)
        except PlaybookRefused as refused:
            raise CommandError(str(refused)) from None
        except NotTheirsToApprove as refused:
            _say_lacking(version.source)
            raise CommandError(f"{refused}; say who approves with --as EMAIL") from None
    missing = missing_approvals(version, parse_playbook(version.source).approve_by)
    if given.json:
        shown = {"slug": version.slug, "number": version.number, "hash": version.hash}
        print_json({**shown, "approved": is_approved, "missing": missing})
        return 0
    if is_approved:
        tell(f"{version.slug} {version.number} now tells customers without asking first, up to its limits.")
    else:
        tell(f"Noted. {version.slug} {version.number} still needs the word of: {', '.join(missing)}.")
    _say_lacking(version.source)
    return 0


def _say_lacking(source: str) -> None:
    """Name the teams of a playbook in which nobody is, and what puts somebody in."""
    from beforehand.engine.playbooks.parse import parse_playbook
    from beforehand.playbooks.queries import named_teams

    for team in named_teams(parse_playbook(source)):
        if not team.members:
            why = "nobody is in it" if team.is_known else "there is no such team"
            tell(f"It names the team {team.slug}, and {why}: beforehand user join EMAIL --team {team.slug}")


def _user(email: str) -> "User | None":
    """Who signs in with this address; None where none is given."""
    from beforehand.accounts.models import User

    if not email:
        return None
    user = User.objects.filter(email__iexact=email, is_active=True).first()
    if user is None:
        raise CommandError(f"nobody signs in as {email}")
    return user


def _install(given: argparse.Namespace) -> int:
    from beforehand.playbooks.actions import install_shipped

    installed = [version.slug for version in install_shipped()]
    if given.json:
        print_json({"installed": installed})
    else:
        tell(f"Stored: {', '.join(installed)}." if installed else "All shipped playbooks are here.")
    return 0


def _schema(given: argparse.Namespace) -> int:
    from beforehand.engine.playbooks.schema import playbook_json_schema

    print_json(playbook_json_schema())
    return 0


WITHOUT_DATABASE = {"check": _check, "test": _test, "schema": _schema}


def _read(folder: Path) -> tuple[str, dict[tuple[str, str], str]]:
    from beforehand.playbooks.bundles import read_bundle

    try:
        return read_bundle(folder)
    except FileNotFoundError:
        raise CommandError(f"{folder} holds no playbook.yaml") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{folder} cannot be read: {error}") from None
