"""The operating-system user as whom the server runs: oneself, or, for root, a system user of its own."""

import os
import pwd
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beforehand.kit.postgres.errors import AccountRefused

SYSTEM_USER = "beforehand"
_PASSWD_LOCK_TRIES = 20
_NOT_FOR_A_SERVER = ("PG", "LC_", "LANG", "BEFOREHAND_")


@dataclass(frozen=True)
class Account:
    """An operating-system user."""

    name: str
    uid: int
    gid: int

    @property
    def is_somebody_else(self) -> bool:
        """Whether processes must change their user to become this one."""
        return os.geteuid() != self.uid

    def popen(self, command: list[str | Path], **options: Any) -> subprocess.Popen[str]:
        """Start `command` as this user, from the root folder, with an environment that cannot mislead it.

        The caller's folder may be closed to the user, so it is not inherited; neither are PG* variables (PGDATA,
        PGHOST) nor the locale, because messages are read by us, nor our own settings, because they hold secrets.
        """
        environment = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_FOR_A_SERVER)}
        environment["LC_ALL"] = "C"
        if self.is_somebody_else:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
            environment |= {"HOME": "/", "USER": self.name, "LOGNAME": self.name}
        process: subprocess.Popen[str] = subprocess.Popen(
            [str(part) for part in command],
            cwd="/",
            umask=0o077,
            env=environment,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            **options,
        )
        return process

    def run(self, command: list[str | Path], *, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run `command` as this user and wait; both outputs end up in `stdout`."""
        with self.popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            try:
                output, _ = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def can(self, test: str, path: Path) -> bool:
        """Whether the user itself passes `test -r|-w|-x path`, every parent folder included."""
        if not self.is_somebody_else:
            return os.access(path, {"-r": os.R_OK, "-w": os.W_OK, "-x": os.X_OK}[test])
        # Asked as that user, and not computed from modes: ACLs and mount options count too.
        return self.run(["/bin/sh", "-c", f'test {test} "$1"', "sh", path]).returncode == 0


def existing_account(name: str) -> Account | None:
    """The account with this name, if there is one."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def server_account(name: str = SYSTEM_USER) -> Account:
    """The user to run the server as: the caller, or for root (whom PostgreSQL refuses) the system user `name`.

    The system user is created when it is missing. Raises AccountRefused when that is not possible.
    """
    uid = os.geteuid()
    if uid != 0:
        try:
            return Account(name=pwd.getpwuid(uid).pw_name, uid=uid, gid=os.getegid())
        except KeyError:  # a container's bare number: initdb wants a name, and says so itself
            return Account(name=str(uid), uid=uid, gid=os.getegid())
    account = existing_account(name) or _create_system_user(name)
    if account.uid == 0:
        raise AccountRefused(f"the server cannot run as {name}: PostgreSQL refuses the user root")
    return account


def _create_system_user(name: str) -> Account:
    remedy = f"create it (useradd --system --user-group {name}) or start as an ordinary user"
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        raise AccountRefused(f"the system user {name} does not exist and there is no useradd here: {remedy}")
    said = ""
    for _ in range(_PASSWD_LOCK_TRIES):
        shell = next((s for s in ("/usr/sbin/nologin", "/sbin/nologin") if Path(s).exists()), "/bin/false")
        command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        done = subprocess.run([*command, "--shell", shell, name], capture_output=True, text=True, check=False)
        # Another starter may have been quicker, or may hold the lock on /etc/passwd just now.
        if account := existing_account(name):
            return account
        said = " ".join(done.stderr.split())
        if "lock" not in said:
            break
        time.sleep(0.25)
    raise AccountRefused(f"the system user {name} could not be created ({said}): {remedy}")
