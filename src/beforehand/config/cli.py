"""The `beforehand` command."""

import argparse
import os
import sys
from collections.abc import Sequence

from beforehand.config import doctor
from beforehand.config.commands import (
    Command,
    CommandError,
    backup,
    customer,
    database,
    demo,
    events,
    failures,
    importing,
    migrate,
    mute,
    playbook,
    rule,
    serve,
    token,
    up,
    upgrade,
    user,
)
from beforehand.config.environment import SettingError, read_environment
from beforehand.kit.postgres import PostgresError

# A new subcommand is one line here; its module has `run(environment, arguments)` and perhaps `arguments(parser)`.
COMMANDS: tuple[Command, ...] = (
    Command("up", "run everything: database, web, worker", up.run),
    Command("web", "serve the web", serve.run_web),
    Command("worker", "do the background work", serve.run_worker),
    Command("migrate", "bring the database's tables to this version", migrate.run, migrate.arguments),
    Command("upgrade", "back up, then bring the database's tables to this version", upgrade.run, upgrade.arguments),
    Command("backup", "write everything to one file", backup.run_backup, backup.backup_arguments),
    Command("restore", "put a backup in the database's place", backup.run_restore, backup.restore_arguments),
    Command("database", "start, stop or look at the embedded database", database.run, database.arguments),
    Command("user", "let people sign in", user.run, user.arguments),
    Command("token", "let other systems use the API", token.run, token.arguments),
    Command("import", "load customers, components, holdings or consents", importing.run, importing.arguments),
    Command("customer", "give out or erase one customer's data", customer.run, customer.arguments),
    Command("playbook", "check, store and approve playbooks", playbook.run, playbook.arguments),
    Command("rule", "say which alerts mean trouble for customers", rule.run, rule.arguments),
    Command("mute", "let alerts open nothing for a time", mute.run, mute.arguments),
    Command("events", "see what happens, as it is logged", events.run, events.arguments),
    Command("failures", "see and retry events that could not be handled", failures.run, failures.arguments),
    Command("demo", "see the main job happen at a simulated company", demo.run, demo.arguments),
    Command("doctor", "check this installation, and say what to do", doctor.run, doctor.arguments),
)

WRONG_SETTING = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and answer its exit code: 2 for a wrong setting or command line, 1 for a failure."""
    parser = argparse.ArgumentParser(prog="beforehand", description="Customer service that speaks first.")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.summary, description=command.summary)
        command.arguments(subparser)
        subparser.set_defaults(run=command.run)
    given = parser.parse_args(argv)
    try:
        code: int = given.run(read_environment(os.environ), given)
    except SettingError as error:
        return _refuse(error, WRONG_SETTING)
    except (CommandError, PostgresError) as error:
        return _refuse(error, 1)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _refuse(error: Exception, code: int) -> int:
    print(f"beforehand: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
