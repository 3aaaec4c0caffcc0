"""`beforehand import`: customers, components, holdings and consents from CSV files."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from beforehand.config.commands import CommandError, add_json, print_json, ready_database, tell
from beforehand.config.environment import Environment

if TYPE_CHECKING:
    from beforehand.customers.models import Import

KINDS = ("components", "customers", "holdings", "consents")
_SHOWN = 50
"""So many problems are printed for people; a program gets all of them."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """`import KIND FILE`."""
    parser.add_argument("kind", choices=KINDS, help="what its rows are; components first, consents last")
    parser.add_argument("file", metavar="FILE", type=Path, help="a CSV file in UTF-8; its first line names the columns")
    parser.add_argument("--region", default="", help="country (NL) by which telephone numbers without one are read")
    add_json(parser)


def run(environment: Environment, given: argparse.Namespace) -> int:
    """Load the file; rows with faults are left out and named. Exits 1 when any was. Again: goes on where it stopped."""
    if not given.file.is_file() or not os.access(given.file, os.R_OK):
        raise CommandError(f"{given.file} cannot be read")
    with ready_database(environment):
        from beforehand.customers.csv_rows import ImportRefused

        try:
            done = _load(given)
        except ImportRefused as error:
            raise CommandError(f"{given.file}: {error.detail}") from None
        return _report(done, given)


def _load(given: argparse.Namespace) -> "Import":
    from beforehand.customers.imports import Progress as Done
    from beforehand.customers.imports import import_file

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=given.json) as bar:
        task = bar.add_task(f"Importing {given.kind}", total=given.file.stat().st_size, rows=0)

        def show(done: Done) -> None:
            bar.update(task, completed=done.done_bytes, total=done.total_bytes, rows=done.loaded + done.refused)

        return import_file(given.file, kind=given.kind, actor="command", region=given.region.upper(), progress=show)


def _report(done: "Import", given: argparse.Namespace) -> int:
    problems = [
        {"line": problem.line, "column": problem.column, "reason": problem.reason, "detail": problem.detail}
        for problem in done.problems.order_by("line", "column")
    ]
    if given.json:
        print_json({"id": str(done.public_id), "loaded": done.loaded, "refused": done.refused, "problems": problems})
    else:
        for problem in problems[:_SHOWN]:
            print(_in_words(given.file, problem))
        if len(problems) > _SHOWN:
            tell(f"… and {len(problems) - _SHOWN:,} more problems; --json lists them all.")
        left_out = f"; {done.refused:,} left out, see above" if done.refused else ""
        tell(f"{done.loaded:,} rows of {given.file.name} are loaded{left_out}.")
    return 1 if done.refused else 0


def _in_words(file: Path, problem: dict[str, Any]) -> str:
    column = f" {problem['column']}:" if problem["column"] else ""
    reason = problem["detail"] or problem["reason"].replace("_", " ")
    return f"{file}:{problem['line']}:{column} {reason}"
