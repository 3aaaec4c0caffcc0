"""Today: each trouble once, in a sentence that keeps its direction."""

import uuid
from datetime import timedelta

import pytest
from django.test import Client

from beforehand.events.models import WorkerBeat
from beforehand.incidents.models import Incident
from beforehand.kit import clock
from beforehand.kit.clock import travel
from beforehand.kit.web.mixed import FSI, PDI
from beforehand.promises.models import Promise
from tests.console.conftest import at

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def test_a_latin_title_does_not_turn_an_arabic_sentence_round(agent: Client, outage: Incident) -> None:
    Promise.objects.update(owner=None)
    agent.cookies["django_language"] = "ar"
    with travel(at(4)):
        page = agent.get("/console/").content.decode()
    assert f'<p class="muted">{FSI}{outage.title}{PDI}: ' in page


def test_a_worker_that_is_gone_is_one_trouble_however_many_loops_it_had(agent: Client) -> None:
    now = clock.now()
    old = now - timedelta(minutes=5)
    for pid in (7, 7, 7, 8):
        WorkerBeat.objects.create(worker=uuid.uuid4(), host="till/pid:[1]", pid=pid, beat_at=old, started_at=old)
    WorkerBeat.objects.create(worker=uuid.uuid4(), host="till/pid:[1]", pid=9, beat_at=now, started_at=old)
    page = agent.get("/console/").content.decode()
    assert page.count("A worker is gone") == 2
    assert "till, process 7: the others" in page
    assert "pid:[1]" not in page
