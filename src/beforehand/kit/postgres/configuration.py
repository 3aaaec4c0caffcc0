"""The server's configuration for one small machine; `beforehand.conf` is rewritten at every start."""

import os
import shutil
from pathlib import Path

_MEGABYTE = 1024 * 1024
_LARGEST_BUFFERS_MB = 1024
_SMALL_SHARED_MEMORY = 256 * _MEGABYTE


def machine_memory_mb() -> int:
    """Main memory that this process may use, in megabytes: the machine's, or its container's limit if less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(limit).read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return total // _MEGABYTE


def server_configuration(
    *, socket_folder: Path, log_folder: Path, port: int, is_on_tcp: bool, memory_mb: int
) -> dict[str, str]:
    """The settings of the embedded server.

    shared_buffers is an eighth of the memory, at most 1 GB: web and workers live on the same machine.
    """
    buffers = max(32, min(_LARGEST_BUFFERS_MB, memory_mb // 8))
    settings = {
        "listen_addresses": "127.0.0.1" if is_on_tcp else "",
        "port": str(port),
        "unix_socket_directories": str(socket_folder),
        "unix_socket_permissions": "0700",
        "password_encryption": "scram-sha-256",
        "max_connections": "100",
        "shared_buffers": f"{buffers}MB",
        "effective_cache_size": f"{max(64, memory_mb // 2)}MB",
        "work_mem": "16MB",
        "maintenance_work_mem": f"{max(64, min(512, memory_mb // 16))}MB",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "wal_compression": "on",
        "max_wal_size": "4GB",
        "min_wal_size": "256MB",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        # No action holds a transaction over 5 s; one that was forgotten must not hold back readers and vacuum.
        "idle_in_transaction_session_timeout": "5min",
        "logging_collector": "on",
        "log_directory": str(log_folder),
        "log_filename": "postgres-%a.log",
        "log_file_mode": "0600",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_truncate_on_rotation": "on",
        "log_line_prefix": "%m [%p] ",
        "log_lock_waits": "on",
        # Whoever waits for recovery reads these lines to see that it moves.
        "log_startup_progress_interval": "2s",
    }
    if _is_shared_memory_small():
        settings["dynamic_shared_memory_type"] = "mmap"  # a container's 64 MB /dev/shm fails parallel queries
    return settings


def throwaway_configuration(*, socket_folder: Path, port: int, is_on_tcp: bool) -> dict[str, str]:
    """The settings of a server whose data nobody will miss: quick, and unsafe after a crash."""
    return {
        "listen_addresses": "127.0.0.1" if is_on_tcp else "",
        "port": str(port),
        "unix_socket_directories": str(socket_folder),
        "unix_socket_permissions": "0700",
        "password_encryption": "scram-sha-256",
        "max_connections": "100",
        "shared_buffers": "128MB",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "autovacuum_naptime": "1h",
        "max_wal_size": "1GB",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "lc_messages": "C",
    }


def configuration_text(settings: dict[str, str], *, heading: str) -> str:
    """The settings as a configuration file."""
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
    return "\n".join([f"# {heading}", *lines, ""])


def _is_shared_memory_small() -> bool:
    try:
        return shutil.disk_usage("/dev/shm").total < _SMALL_SHARED_MEMORY  # noqa: S108
    except OSError:
        return False
