"""`beforehand migrate`: bring the database's tables to this version."""

import argparse

from beforehand.config.commands import add_json, print_json, running_database, tell, use_django
from beforehand.config.environment import Environment

# Several machines may be started at once: the second waits for the first. The number is ours: "Before" in ASCII.
_LOCK = 0x4265666F7265


def arguments(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    add_json(parser)


def run(environment: Environment, given: argparse.Namespace) -> int:
    """Apply the migrations that are missing; doing it again changes nothing."""
    with running_database(environment):
        use_django()
        from django.db import connection

        try:
            applied = apply_migrations()
            installed = install_contents()
        finally:
            connection.close()
    if given.json:
        print_json({"applied": applied, "playbooks": installed})
    else:
        tell(f"Applied {len(applied)} migrations." if applied else "The database is up to date.")
        if installed:
            tell(
                f"Playbooks stored: {', '.join(installed)}. `beforehand playbook approve SLUG` lets one tell by itself."
            )
    return 0


def install_contents() -> list[str]:
    """What tables need before the first use: the log's partitions, and the shipped playbooks that are missing.

    Answers the playbooks that are new. Once only, however many machines start at the same time.
    """
    from django.db import transaction

    from beforehand.events.actions import month_of, prepare_partitions
    from beforehand.kit import clock
    from beforehand.kit.rows import execute
    from beforehand.playbooks.actions import install_shipped

    with transaction.atomic():
        execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        prepare_partitions(today=month_of(clock.now()))
        return [version.slug for version in install_shipped()]


def missing_migrations() -> list[str]:
    """The migrations that the database lacks, such as "customers.0002_consent"; needs Django to be set up."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def apply_migrations() -> list[str]:
    """Apply what is missing, and answer what that was."""
    from django.core.management import call_command
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            missing = missing_migrations()
            if missing:
                call_command("migrate", interactive=False, verbosity=0)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    return missing
