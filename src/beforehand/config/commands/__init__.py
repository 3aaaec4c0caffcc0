"""The subcommands of `beforehand`, one module each, and what they share."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from beforehand.config.environment import Environment, current_environment
from beforehand.kit.postgres import ServerState

SETTINGS_MODULE = "beforehand.config.settings"


class CommandError(Exception):
    """The command cannot go on; the text is one line that says why and what to do."""


def no_arguments(parser: argparse.ArgumentParser) -> None:
    """For commands that take none."""


@dataclass(frozen=True)
class Command:
    """One line of the table of subcommands. `run` answers the exit code."""

    name: str
    summary: str
    run: Callable[[Environment, argparse.Namespace], int]
    arguments: Callable[[argparse.ArgumentParser], None] = no_arguments


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`, for commands whose answer a program may read."""
    parser.add_argument("--json", action="store_true", help="answer in JSON, for programs")


def print_json(answer: object) -> None:
    """Print an answer for programs: one line."""
    print(json.dumps(answer, default=str, ensure_ascii=False))


def tell(line: str) -> None:
    """Say something to the person who waits; a program reads standard output and is not disturbed."""
    print(line, file=sys.stderr, flush=True)


def use_django() -> None:
    """Make models and settings usable. Raises SettingError for a wrong setting."""
    current_environment()  # first, so that a wrong setting is an error of ours and not one inside Django
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", SETTINGS_MODULE)
    import django

    django.setup()


def require_database(environment: Environment) -> None:
    """Raise CommandError when the database is the embedded one and it does not run."""
    if environment.is_embedded and environment.embedded_server().status().state is not ServerState.RUNNING:
        raise CommandError(
            "the embedded database is not running: `beforehand up` starts everything,"
            " `beforehand database start` only the database"
        )


@contextmanager
def running_database(environment: Environment) -> Iterator[None]:
    """The database, running: an embedded one is started if needed, and then stopped at the end."""
    if environment.is_embedded:
        with environment.embedded_server():
            yield
    else:
        yield


@contextmanager
def ready_database(environment: Environment) -> Iterator[None]:
    """The database running, Django in use, and the tables as this version wants them; raises CommandError otherwise."""
    with running_database(environment):
        use_django()
        from django.db import OperationalError, connection

        from beforehand.config.commands.migrate import missing_migrations

        try:
            missing = missing_migrations()
            if missing:
                raise CommandError("the database is not up to date: run `beforehand migrate` first")
            yield
        except OperationalError as error:
            raise CommandError(f"the database cannot be used: {str(error).strip().splitlines()[0]}") from None
        finally:
            connection.close()  # before an embedded server is stopped
