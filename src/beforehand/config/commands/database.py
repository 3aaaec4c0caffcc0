"""`beforehand database`: the embedded server by itself, for those who run web and worker one by one."""

import argparse

from beforehand.config.commands import CommandError, add_json, print_json, tell
from beforehand.config.environment import Environment
from beforehand.kit.postgres import ServerState


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do with the server."""
    parser.add_argument("what", choices=["start", "stop", "status", "url"], help="url shows the password too")
    add_json(parser)


def run(environment: Environment, given: argparse.Namespace) -> int:
    """Start, stop or look at the embedded server; `status` exits 3 when it does not run, as pg_ctl does."""
    if not environment.is_embedded:
        raise CommandError("BEFOREHAND_DATABASE_URL names a server of your own: it is not started or stopped from here")
    server = environment.embedded_server()
    if given.what == "url":
        print(server.url)
        return 0
    if given.what == "start":
        server.start()
    elif given.what == "stop":
        server.stop()
    status = server.status()
    if given.json:
        print_json({"state": status.state, "pid": status.pid, "version": status.version, "home": server.home})
    else:
        process = f" (process {status.pid}, PostgreSQL {status.version})" if status.pid else ""
        tell(f"The embedded database is {status.state}{process}.")
    return 3 if given.what == "status" and status.state is not ServerState.RUNNING else 0
