"""The embedded server of one home folder: create, start, recover, stop.

Under the home folder:
  postgres/data/               the cluster; its PG_VERSION decides which programs run it
  postgres/password            of the role that the product uses (0600)
  postgres/superuser-password  of the role `postgres` (0600)
  postgres/run/                the socket, unless the path is too long for one (then a private folder under /tmp)
  postgres/lock                held while somebody starts or stops the server
  log/postgres-Mon.log …       a week of logs; log/postgres-start.log holds the last start's first words
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql

from beforehand.kit.postgres import configuration, folders
from beforehand.kit.postgres.account import SYSTEM_USER, Account, server_account
from beforehand.kit.postgres.binaries import Binaries, reachable_binaries, wheel_binaries
from beforehand.kit.postgres.cluster import initialise, start_postmaster, stop_postmaster
from beforehand.kit.postgres.errors import PostgresError, StartFailed
from beforehand.kit.postgres.postmaster import living_postmaster

ROLE = "beforehand"
SUPERUSER = "postgres"
DATABASE = "beforehand"
_LAST_BREATH = 2  # seconds
_SOCKET_PORT = 5432  # part of the socket's file name; nothing listens on it


class ServerState(StrEnum):
    """Where a server stands."""

    ABSENT = "absent"
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"


@dataclass(frozen=True)
class ServerStatus:
    """What is known of the server without asking it."""

    state: ServerState
    pid: int | None
    version: int | None  # the data's major version


class EmbeddedServer:
    """The PostgreSQL server that keeps its data under `home`.

    `port`: also listen on this TCP port of 127.0.0.1; by default on a private socket only.
    `patience`: seconds that recovery may show no progress before a start is given up (it may take hours in all).
    As a context manager it starts the server if needed, and at the end stops it if it was it that started it.
    """

    def __init__(
        self, home: Path, *, port: int | None = None, system_user: str = SYSTEM_USER, patience: float = 300
    ) -> None:
        self.home = Path(home).absolute()
        self.port = port
        self.patience = patience
        self.base = self.home / "postgres"
        self.data = self.base / "data"
        self.log_folder = self.home / "log"
        self.started_here = False
        self._system_user = system_user

    def start(self) -> str:
        """Start the server if it is not running, and answer its URL once it takes connections.

        Creates the cluster, the role and the database the first time. The server goes on when this process ends.
        Raises a PostgresError that says in one line what is wrong.
        """
        account = server_account(self._system_user)
        folders.make_home(self.home, account=account)
        folders.make_folder(self.base, account=account)
        folders.make_folder(self.log_folder, account=account)
        with self._lock(account):
            self._run_and_let_in(account)
        return self.url

    def stop(self) -> None:
        """Stop the server, ending its sessions; nothing happens when it is not running."""
        if not self.base.is_dir():
            return
        account = server_account(self._system_user)
        with self._lock(account):
            if living_postmaster(self.data):
                stop_postmaster(self._binaries(account), data=self.data, account=account)
        self.started_here = False

    def status(self) -> ServerStatus:
        """Whether there is a server and whether it runs, without connecting to it."""
        version = self._data_version()
        if version is None:
            return ServerStatus(state=ServerState.ABSENT, pid=None, version=None)
        postmaster = living_postmaster(self.data)
        if postmaster is None:
            return ServerStatus(state=ServerState.STOPPED, pid=None, version=version)
        state = ServerState.RUNNING if postmaster.is_ready else ServerState.STARTING
        return ServerStatus(state=state, pid=postmaster.pid, version=version)

    @property
    def url(self) -> str:
        """The URL of the product's database; without a password while no server has been created here."""
        postmaster = living_postmaster(self.data)
        port = (postmaster and postmaster.port) or self.port or _SOCKET_PORT
        place = urlencode({"host": str(folders.remembered_socket_folder(self.base)), "port": port}, quote_via=quote)
        try:
            password = ":" + quote(folders.read_secret(self.base / "password"), safe="")
        except PostgresError:
            password = ""
        return f"postgresql://{ROLE}{password}@/{DATABASE}?{place}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.started_here:
            self.stop()

    def _data_version(self) -> int | None:
        try:
            return int((self.data / "PG_VERSION").read_text())
        except (OSError, ValueError):
            return None

    def _binaries(self, account: Account) -> Binaries:
        return reachable_binaries(wheel_binaries(self._data_version()), home=self.home, account=account)

    @contextmanager
    def _lock(self, account: Account) -> Iterator[None]:
        """One starter at a time; a starter that is killed lets go."""
        descriptor = os.open(self.base / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, folders.PRIVATE_FILE)
        try:
            if account.is_somebody_else:
                os.fchown(descriptor, account.uid, account.gid)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _run_and_let_in(self, account: Account) -> None:
        while True:
            if self.status().state is not ServerState.RUNNING:
                self._start_under_lock(account)
            pid = self.status().pid
            try:
                return self._provision()
            except StartFailed:
                # A server that is being killed looks alive until the system has cleared it away.
                deadline = time.monotonic() + _LAST_BREATH
                while self.status().pid == pid and pid is not None:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)

    def _start_under_lock(self, account: Account) -> None:
        binaries = self._binaries(account)
        if self._data_version() is None:
            self._create(binaries, account)
        if self.status().state is ServerState.STOPPED:
            socket_folder = folders.socket_folder(self.base, account=account)
            settings = configuration.server_configuration(
                socket_folder=socket_folder,
                log_folder=self.log_folder,
                port=self.port or _SOCKET_PORT,
                is_on_tcp=self.port is not None,
                memory_mb=configuration.machine_memory_mb(),
            )
            (self.data / "beforehand.conf").write_text(
                configuration.configuration_text(settings, heading="Rewritten at every start; use local.conf instead.")
            )
            start_postmaster(
                binaries,
                data=self.data,
                account=account,
                socket_folder=socket_folder,
                log_folder=self.log_folder,
                patience=self.patience,
            )
            self.started_here = True
        self._wait_until_ready()

    def _create(self, binaries: Binaries, account: Account) -> None:
        folders.make_secret(self.base / "password", account=account)
        superuser_password = self.base / "superuser-password"
        folders.make_secret(superuser_password, account=account)
        # Under another name until it is whole: a kill in the middle leaves nothing that looks like a cluster.
        draft = self.base / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        initialise(binaries, data=draft, account=account, superuser=SUPERUSER, password_file=superuser_password)
        conf = draft / "postgresql.conf"
        with conf.open("a") as file:
            file.write("\ninclude_if_exists = 'beforehand.conf'\n# Your own settings; they win:\n")
            file.write("include_if_exists = 'local.conf'\n")
        for name in ("beforehand.conf", "local.conf"):
            (draft / name).touch(mode=folders.PRIVATE_FILE)
            if account.is_somebody_else:
                os.chown(draft / name, account.uid, account.gid)
        draft.rename(self.data)

    def _wait_until_ready(self) -> None:
        """Wait for as long as recovery makes progress: its log grows every two seconds (configuration)."""
        seen, deadline = self._progress(), time.monotonic() + self.patience
        while (state := self.status().state) is not ServerState.RUNNING:
            if state is not ServerState.STARTING:
                raise StartFailed(f"the embedded PostgreSQL stopped while it started: see {self.log_folder}")
            now = self._progress()
            if now != seen:
                seen, deadline = now, time.monotonic() + self.patience
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"the embedded PostgreSQL has been starting without progress for {self.patience:.0f} s:"
                    f" it was left running; see {self.log_folder}"
                )
            time.sleep(0.05)

    def _progress(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in self.log_folder.glob("postgres-*.log")}

    def _provision(self) -> None:
        """See that the role, its password and the database exist; after the first time this is one connection."""
        try:
            psycopg.connect(self.url, connect_timeout=10).close()
            return
        except psycopg.OperationalError as error:
            reason = " ".join(str(error).split())
        password = folders.read_secret(self.base / "password")
        try:
            with psycopg.connect(
                self.url,
                user=SUPERUSER,
                password=folders.read_secret(self.base / "superuser-password"),
                dbname="postgres",
                autocommit=True,
                connect_timeout=10,
            ) as connection:
                _make_role(connection, password)
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                    connection.execute(
                        sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(ROLE))
                    )
            psycopg.connect(self.url, connect_timeout=10).close()
        except psycopg.Error as error:
            second = " ".join(str(error).split())
            raise StartFailed(f"the embedded PostgreSQL runs but lets nobody in: {reason}; {second}") from error


def _make_role(connection: psycopg.Connection, password: str) -> None:
    """Create or repair the product's role: it owns its database and may create others, but is no superuser."""
    exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone()
    # The server gets a SCRAM verifier, so the password itself cannot turn up in its log.
    verifier = connection.pgconn.encrypt_password(password.encode(), ROLE.encode(), b"scram-sha-256").decode()
    connection.execute(
        sql.SQL("{} {} LOGIN CREATEDB PASSWORD {}").format(
            sql.SQL("ALTER ROLE" if exists else "CREATE ROLE"), sql.Identifier(ROLE), sql.Literal(verifier)
        )
    )
