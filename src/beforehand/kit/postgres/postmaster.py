"""Is the server of a data folder alive? Read from its lock file and the process table, not from hope."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Larger than any process number can be (PID_MAX_LIMIT is 4,194,304), so certainly nobody's.
_NOBODYS_PID = 4_194_305
_PORT_LINE, _STATUS_LINE = 3, 7


@dataclass(frozen=True)
class Postmaster:
    """A living server: its process and what its lock file says."""

    pid: int
    port: int | None
    is_ready: bool


def living_postmaster(data: Path) -> Postmaster | None:
    """The server that runs on the folder `data`, or None."""
    lines = _lock_file_lines(data)
    try:
        pid = abs(int(lines[0]))
    except (IndexError, ValueError):
        return None
    if not _is_server_process(pid, data):
        return None
    port = int(lines[_PORT_LINE]) if len(lines) > _PORT_LINE and lines[_PORT_LINE].strip().isdigit() else None
    status = lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else ""
    return Postmaster(pid=pid, port=port, is_ready=status == "ready")


def disown_lock_files(data: Path, *, socket_folder: Path) -> None:
    """Make a dead server's lock file name a process that cannot exist, and clear its private socket folder.

    After a crash the number in it may be another process's by now, or a zombie's that a careless PID 1 never buried;
    the server would refuse to start. The file is not removed: its other lines let the new server see whether children
    of the old one still use the data, and wait for them.
    """
    path = data / "postmaster.pid"
    if living_postmaster(data):
        return
    for left_over in socket_folder.glob(".s.PGSQL.*"):
        left_over.unlink(missing_ok=True)
    lines = _lock_file_lines(data)
    if not lines:
        return
    # Written in place: owner and mode stay what they are.
    with path.open("r+") as file:
        file.write("\n".join([str(_NOBODYS_PID), *lines[1:], ""]))
        file.truncate()


def _lock_file_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(errors="replace").splitlines()
    except OSError:
        return []


def _is_server_process(pid: int, data: Path) -> bool:
    if sys.platform == "linux":
        try:
            state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            # A server's current folder is its data folder: this tells it from a process that got its number later.
            return state != "Z" and os.path.samefile(os.readlink(f"/proc/{pid}/cwd"), data)
        except OSError:
            return False
    said = subprocess.run(["ps", "-o", "stat=,comm=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, name = said.stdout.strip().partition(" ")
    return bool(state) and not state.startswith("Z") and "postgres" in name
