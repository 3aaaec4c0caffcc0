"""`beforehand upgrade`: bring the database to this version, with a backup of what it was."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from beforehand.config.commands import CommandError, add_json, print_json, running_database, tell, use_django
from beforehand.config.commands.backup import back_up
from beforehand.config.environment import Environment
from beforehand.kit.postgres.folders import PRIVATE_FOLDER


def arguments(parser: argparse.ArgumentParser) -> None:
    """`upgrade [--backups FOLDER]`."""
    parser.add_argument(
        "--backups", type=Path, metavar="FOLDER", help="where the backup goes; by default BEFOREHAND_HOME/backups"
    )
    add_json(parser)


def run(environment: Environment, given: argparse.Namespace) -> int:
    """Back up, then apply the migrations that are missing; without any, nothing is done."""
    with running_database(environment):
        use_django()
        from django.db import connection

        from beforehand.config.commands.migrate import apply_migrations, install_contents, missing_migrations

        try:
            missing = missing_migrations()
            is_filled = bool(connection.introspection.table_names())
            connection.close()
            kept = _keep(environment, given.backups) if missing and is_filled else None
            applied = apply_migrations() if missing else []
            installed = install_contents() if missing else []
        finally:
            connection.close()
    if given.json:
        print_json({"backup": str(kept) if kept else None, "applied": applied, "playbooks": installed})
    elif applied:
        tell(f"Applied {len(applied)} migrations." + (f" What was before is in {kept}." if kept else ""))
    else:
        tell("The database is up to date; nothing was done.")
    return 0


def _keep(environment: Environment, folder: Path | None) -> Path:
    if folder is None:
        folder = environment.home / "backups"
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    if not folder.is_dir():
        raise CommandError(f"--backups {folder}: there is no such folder")
    return back_up(environment, folder.absolute() / f"before-upgrade-{datetime.now(UTC):%Y-%m-%dT%H%M%S.%fZ}.dump")
