"""Which worker processes live: each writes a beat, and whoever finds an old one knows that its worker is gone."""

import os
import socket
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from beforehand.events.models import WorkerBeat
from beforehand.kit import clock

GONE_AFTER = timedelta(seconds=20)
"""A beat so old means that the process is dead, or as good as dead."""


BEHIND_AFTER = 30.0
"""Seconds of lag from which a person is told: what a worker does is a matter of a second or two."""


def _machine() -> str:
    """Where process ids mean something: a host, and on it a space of ids, since containers can share a host's name."""
    try:
        return f"{socket.gethostname()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return socket.gethostname()


HOST = _machine()


def beat(worker: UUID, *, lag_seconds: float) -> None:
    """Say that this process lives, and how far behind its work is."""
    WorkerBeat.objects.update_or_create(
        worker=worker,
        defaults={"beat_at": clock.now(), "lag_seconds": lag_seconds},
        create_defaults={
            "host": HOST,
            "pid": os.getpid(),
            "started_at": clock.now(),
            "beat_at": clock.now(),
            "lag_seconds": lag_seconds,
        },
    )


def leave(worker: UUID) -> None:
    """Say that this process stops, with nothing under way."""
    WorkerBeat.objects.filter(worker=worker).delete()


def live_workers(*, now: datetime) -> int:
    """How many worker processes live."""
    return WorkerBeat.objects.filter(beat_at__gte=now - GONE_AFTER).values("host", "pid").distinct().count()


def dead_among(workers: Iterable[UUID], *, now: datetime) -> list[UUID]:
    """Those of these workers that are gone: no beat, an old one, or on this machine a process that no longer exists."""
    asked = list(workers)
    beats = {beat.worker: beat for beat in WorkerBeat.objects.filter(worker__in=asked)}
    return [worker for worker in asked if _is_dead(beats.get(worker), now)]


def _is_dead(one: WorkerBeat | None, now: datetime) -> bool:
    if one is None or one.beat_at < now - GONE_AFTER:
        return True
    return one.host == HOST and one.pid != os.getpid() and not _exists(one.pid)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def forget_gone(*, now: datetime) -> int:
    """Delete the beats of workers that have been gone for an hour; how many."""
    return WorkerBeat.objects.filter(beat_at__lt=now - timedelta(hours=1)).delete()[0]
