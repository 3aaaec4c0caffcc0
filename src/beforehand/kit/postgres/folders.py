"""Folders and files that only the server's user may read. What exists already keeps its mode and its owner."""

import contextlib
import os
import secrets
import stat
import tempfile
from pathlib import Path

from beforehand.kit.postgres.account import Account
from beforehand.kit.postgres.errors import FolderRefused

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600
SOCKET_PATH_LIMIT = 103  # macOS; Linux has 107
_SOCKET_NAME_LENGTH = len("/.s.PGSQL.65535.lock")
_PLAIN = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-")
# initdb and pg_ctl hand paths to /bin/sh within double quotes; these would not arrive as they are.
_SHELL_SPECIAL = set('"\\$`\n\r\0')


def make_folder(path: Path, *, account: Account) -> None:
    """See that `path` is a folder of `account`; create it with mode 0700 when it is missing.

    Raises FolderRefused when something else is there or it belongs to somebody else.
    """
    try:
        path.mkdir(mode=PRIVATE_FOLDER)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise FolderRefused(f"{path} is in the way: it is not a folder") from None
        if found.st_uid != account.uid:
            raise FolderRefused(
                f"{path} belongs to user {found.st_uid}, not to {account.name}: chown -R {account.name} {path}"
            ) from None
    except OSError as error:
        raise FolderRefused(f"{path} cannot be created: {error.strerror}") from error
    else:
        # Between the two steps the folder is root's own: nobody else can have touched it.
        if account.is_somebody_else:
            os.chown(path, account.uid, account.gid)


def make_home(home: Path, *, account: Account) -> None:
    """Create `home` (0700, of `account`) and the parents that are missing; refuse one that `account` cannot use."""
    if _SHELL_SPECIAL & set(str(home)):
        raise FolderRefused(f"{home} cannot be the home folder: its name has a quote, $, ` or \\ in it")
    if not home.exists():
        try:
            make_parents(home)
        except OSError as error:
            raise FolderRefused(f"{error.filename} cannot be created: {error.strerror}") from error
        make_folder(home, account=account)
    if not home.is_dir():
        raise FolderRefused(f"{home} is in the way: it is not a folder")
    if not account.can("-x", home):
        closed = next((p for p in [*reversed(home.parents), home] if not account.can("-x", p)), home)
        raise FolderRefused(
            f"the user {account.name} cannot enter {closed}: set BEFOREHAND_HOME to a folder that is open to it,"
            f" such as /var/lib/beforehand, or change that folder's owner"
        )


def make_parents(path: Path) -> None:
    """Create the parents of `path` that are missing; root's are open to pass, whatever its umask. Raises OSError."""
    for parent in reversed([p for p in path.parents if not p.exists()]):
        parent.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            parent.chmod(0o755)


def make_secret(path: Path, *, account: Account | None = None) -> str:
    """The secret kept in `path`; a random one is stored there (0600, of `account` or the caller) the first time.

    Two processes that ask at once get the same one: the file appears whole, by a hard link.
    """
    if not path.exists():
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(48) + "\n")
                file.flush()
                os.fsync(descriptor)
                if account and account.is_somebody_else:
                    os.fchown(descriptor, account.uid, account.gid)
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            os.unlink(draft)
    return read_secret(path)


def read_secret(path: Path) -> str:
    """The secret kept in `path`. Raises FolderRefused when it is empty, a link, or open to other users."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise FolderRefused(f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor) as file:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            raise FolderRefused(f"{path} holds a secret and others may read it: chmod 600 {path}")
        secret = file.read().strip()
    if not secret:
        raise FolderRefused(f"{path} is empty: it should hold a secret")
    return secret


def socket_folder(base: Path, *, account: Account, temporary: Path = Path("/tmp")) -> Path:  # noqa: S108
    """The private folder for the server's socket: `base/run`, or one under /tmp when that path is too long or odd.

    The name under /tmp is random and remembered in `base/socket-folder`, so that it can be neither guessed nor taken
    while the machine restarts and /tmp is emptied. The folder of a login session (/run/user) was refused: it goes
    when its user signs out, and the server stays.
    """
    near = base / "run"
    if len(os.fsencode(near)) + _SOCKET_NAME_LENGTH <= SOCKET_PATH_LIMIT and set(str(near)) <= _PLAIN:
        make_folder(near, account=account)
        return near
    note = base / "socket-folder"
    if note.exists():
        folder = Path(note.read_text().strip())
        try:
            make_folder(folder, account=account)
        except FolderRefused:
            pass  # somebody else has taken the name: choose another
        else:
            if stat.S_IMODE(folder.lstat().st_mode) == PRIVATE_FOLDER:
                return folder
    folder = Path(tempfile.mkdtemp(prefix="beforehand-", dir=temporary))
    if account.is_somebody_else:
        os.chown(folder, account.uid, account.gid)
    draft = note.with_suffix(".new")
    draft.write_text(f"{folder}\n")
    draft.replace(note)
    return folder


def remembered_socket_folder(base: Path) -> Path:
    """Where `socket_folder` put the socket the last time, without creating anything."""
    note = base / "socket-folder"
    return Path(note.read_text().strip()) if note.exists() else base / "run"
