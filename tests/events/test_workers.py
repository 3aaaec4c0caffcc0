"""Which workers live: by their beat, and on this machine by their process."""

import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from beforehand.events.models import WorkerBeat
from beforehand.events.workers import GONE_AFTER, HOST, beat, dead_among, forget_gone, leave, live_workers
from beforehand.kit.clock import travel

pytestmark = [pytest.mark.django_db, pytest.mark.database]

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ME, OTHER = uuid.uuid4(), uuid.uuid4()


def test_a_worker_lives_as_long_as_it_beats() -> None:
    with travel(NOW):
        beat(ME, lag_seconds=0.5)
    assert live_workers(now=NOW) == 1
    assert dead_among([ME], now=NOW + GONE_AFTER) == []
    assert dead_among([ME], now=NOW + GONE_AFTER + timedelta(seconds=1)) == [ME]
    with travel(NOW + timedelta(minutes=1)):
        beat(ME, lag_seconds=0)
    assert dead_among([ME], now=NOW + timedelta(minutes=1)) == []
    assert WorkerBeat.objects.get().started_at == NOW


def test_one_that_left_or_was_never_there_is_gone() -> None:
    with travel(NOW):
        beat(ME, lag_seconds=0)
        leave(ME)
    assert dead_among([ME, OTHER], now=NOW) == [ME, OTHER]


def test_a_process_of_this_machine_that_is_no_more_is_dead_at_once_but_not_one_of_another_machine() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for worker, host in ((ME, HOST), (OTHER, "elsewhere/pid:[1]")):
        WorkerBeat.objects.create(worker=worker, host=host, pid=ended.pid, started_at=NOW, beat_at=NOW)
    assert dead_among([ME, OTHER], now=NOW) == [ME]


def test_containers_that_share_a_hosts_name_are_different_machines() -> None:
    assert HOST.startswith(os.uname().nodename)
    assert os.uname().nodename != HOST or not os.path.exists("/proc/self/ns/pid")


def test_beats_of_the_long_gone_are_forgotten() -> None:
    WorkerBeat.objects.create(worker=ME, host=HOST, pid=1, started_at=NOW, beat_at=NOW)
    assert forget_gone(now=NOW + timedelta(minutes=59)) == 0
    assert forget_gone(now=NOW + timedelta(minutes=61)) == 1
