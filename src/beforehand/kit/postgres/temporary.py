"""A throw-away server for tests: empty, quick, gone at the end even if the tests are killed."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

from beforehand.kit.postgres import configuration, folders
from beforehand.kit.postgres.account import SYSTEM_USER, Account, existing_account, server_account
from beforehand.kit.postgres.binaries import binaries_in, reachable_binaries, wheel_binaries
from beforehand.kit.postgres.cluster import initialise, start_postmaster

ROLE = "beforehand"
_SOCKET_PORT = 5432
_PATIENCE = 60
# Reads until the end of its input, which comes when the maker of the server closes it or dies in any way.
_BURIAL = 'read -r _; kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")"; sleep 0.2; rm -rf "$1"; rm -rf "$1"'


@contextmanager
def temporary_server(version_dir: Path | None = None, *, is_on_tcp: bool = False) -> Iterator[str]:
    """The URL of a fresh server's superuser; at the end the server is killed and its data deleted.

    `version_dir` is a folder with PostgreSQL's programs or their `bin`, such as /usr/lib/postgresql/15/bin; by
    default the wheel's. The server listens on a private socket, or on a free port of 127.0.0.1 with `is_on_tcp`.
    """
    account = _throwaway_account()
    root = Path(tempfile.mkdtemp(prefix="beforehand-test-", dir="/tmp"))  # a short path, for the socket
    burial = subprocess.Popen(
        ["/bin/sh", "-c", _BURIAL, "sh", str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        if account.is_somebody_else:
            os.chown(root, account.uid, account.gid)
        yield _start(root, account=account, version_dir=version_dir, is_on_tcp=is_on_tcp)
    finally:
        burial.communicate()
        shutil.rmtree(root, ignore_errors=True)


def _start(root: Path, *, account: Account, version_dir: Path | None, is_on_tcp: bool) -> str:
    found = binaries_in(version_dir) if version_dir else wheel_binaries()
    binaries = reachable_binaries(found, home=root, account=account)
    password = folders.make_secret(root / "password", account=account)
    data = root / "data"
    initialise(binaries, data=data, account=account, superuser=ROLE, password_file=root / "password", is_synced=False)
    port = _free_port() if is_on_tcp else _SOCKET_PORT
    settings = configuration.throwaway_configuration(socket_folder=root, port=port, is_on_tcp=is_on_tcp)
    with (data / "postgresql.conf").open("a") as file:
        file.write(configuration.configuration_text(settings, heading="A throw-away server."))
    start_postmaster(binaries, data=data, account=account, socket_folder=root, log_folder=root, patience=_PATIENCE)
    place = {"host": "127.0.0.1" if is_on_tcp else str(root), "port": port}
    return f"postgresql://{ROLE}:{quote(password, safe='')}@/postgres?{urlencode(place)}"


def _throwaway_account() -> Account:
    """Oneself; for root the system user if there is one, else `nobody`: running tests creates no users."""
    if os.geteuid() != 0:
        return server_account()
    return existing_account(SYSTEM_USER) or existing_account("nobody") or server_account()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
