"""Where a test puts a server that syncs for real: a busy disk would make it slow, a container's small memory disk full."""

import shutil
import tempfile
from pathlib import Path

MEMORY_DISK = Path("/dev/shm")
ENOUGH = 1 << 30  # bytes; a container's usual 64 MB do not hold one server


def fast_folder() -> Path:
    """A new folder with a short path that the server's user can pass (pytest's own are closed to others)."""
    in_memory = MEMORY_DISK.is_dir() and shutil.disk_usage(MEMORY_DISK).free >= ENOUGH
    folder = Path(tempfile.mkdtemp(prefix="bh-", dir=MEMORY_DISK if in_memory else "/tmp"))
    folder.chmod(0o755)
    return folder
