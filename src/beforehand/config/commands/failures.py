"""`beforehand failures`: events that a subscriber could not handle, and another try once the cause is gone."""

import argparse
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from beforehand.config.commands import CommandError, add_json, print_json, ready_database, tell
from beforehand.config.environment import Environment

if TYPE_CHECKING:
    from beforehand.events.models import SubscriptionFailure


def arguments(parser: argparse.ArgumentParser) -> None:
    """`failures list`, `failures retry [ID …]`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_json(actions.add_parser("list", help="what was set aside, with why", description="List what was set aside."))
    retry = actions.add_parser("retry", help="try again what was set aside", description="Try again; oldest first.")
    retry.add_argument("failures", nargs="*", type=int, metavar="ID", help="only these; by default all")
    add_json(retry)


def run(environment: Environment, given: argparse.Namespace) -> int:
    """List or retry; a retry exits 1 when one failed again."""
    with ready_database(environment):
        return _list(given) if given.action == "list" else _retry(given)


def _open() -> "list[SubscriptionFailure]":
    from beforehand.events.models import SubscriptionFailure

    return list(SubscriptionFailure.objects.filter(solved_at=None).order_by("event_recorded_at", "event_id"))


def _list(given: argparse.Namespace) -> int:
    failures = _open()
    if given.json:
        print_json([_as_json(failure) for failure in failures])
        return 0
    if not failures:
        tell("Nothing is set aside.")
        return 0
    table = Table("id", "subscriber", "failed", "tries", "why", box=None, pad_edge=False)
    for failure in failures:
        failed = f"{failure.failed_at:%Y-%m-%d %H:%M} UTC"
        table.add_row(str(failure.pk), failure.subscriber, failed, str(failure.attempts), _reason(failure.error))
    Console().print(table)
    return 0


def _retry(given: argparse.Namespace) -> int:
    from beforehand.events.subscriptions import retry_failure

    failures = _open()
    unknown = set(given.failures) - {failure.pk for failure in failures}
    if unknown:
        raise CommandError(
            f"nothing is set aside as {', '.join(map(str, sorted(unknown)))}: see `beforehand failures list`"
        )
    results = []
    for failure in failures:
        if given.failures and failure.pk not in given.failures:
            continue
        error = ""
        try:
            retry_failure(failure.pk)
        except Exception as raised:  # whatever the handler raises: it is reported, and the others get their try
            error = str(raised) or type(raised).__name__
        results.append({"id": failure.pk, "solved": not error, "error": error})
        if not given.json:
            tell(f"{failure.pk}: {error or 'it worked this time'}")
    if given.json:
        print_json(results)
    return 1 if any(not result["solved"] for result in results) else 0


def _as_json(failure: "SubscriptionFailure") -> dict[str, Any]:
    return {
        "id": failure.pk,
        "subscriber": failure.subscriber,
        "event_id": failure.event_id,
        "failed_at": failure.failed_at.isoformat(),
        "attempts": failure.attempts,
        "error": failure.error,
    }


def _reason(error: str) -> str:
    """The last line of a traceback."""
    return error.strip().splitlines()[-1] if error.strip() else ""
