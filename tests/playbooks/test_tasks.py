"""What a playbook asks of people: written once, shown, missed, done; and a run that waits for it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest
from django.test import Client

from beforehand.accounts.actions import create_token
from beforehand.events.models import Event
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.playbooks.actions import finish_task
from beforehand.playbooks.models import PlaybookVersion, Run, RunTask
from tests.api.callers import Caller, problem
from tests.cast import Cast
from tests.driving import Drive, alert, post_webhook
from tests.playbooks.conftest import TASK

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
Push = Callable[..., PlaybookVersion]


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture
def task(people: Cast, worker: Drive, pushed: Push) -> RunTask:
    """Node 7 is down, and before anyone is told somebody must look whether it is real."""
    pushed(TASK)
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        worker.settle()
    return RunTask.objects.get()


def happened(kind: str) -> int:
    return Event.objects.filter(type=f"run.{kind}").count()


def test_a_task_is_written_once_with_its_team_and_its_time(task: RunTask, worker: Drive, people: Cast) -> None:
    with travel(at(1)):
        worker.settle()
    assert (task.step, task.title, task.team, task.due_at) == ("look", "Look whether it is real", people.team, at(20))
    assert (RunTask.objects.count(), happened("task_made")) == (1, 1)
    assert worker.mailbox.counts() == {}


def test_a_run_that_waits_for_a_task_goes_on_when_it_is_done(task: RunTask, worker: Drive, people: Cast) -> None:
    with travel(at(5)):
        assert finish_task(task.pk, user=people.ester, note="It is real", actor="test", now=at(5))
        assert not finish_task(task.pk, user=people.farid, note="Me too", actor="test", now=at(5))
        worker.settle()
    with travel(at(8)):
        worker.settle()
    assert len(worker.mailbox.counts()) == 4
    task.refresh_from_db()
    assert (task.done_by, task.note, task.done_at) == (people.ester, "It is real", at(5))
    assert happened("task_done") == 1
    with travel(at(30)):
        worker.settle()
    assert happened("task_overdue") == 0


def test_a_task_that_nobody_does_is_said_to_be_late_once_and_holds_nobody_up(task: RunTask, worker: Drive) -> None:
    for minutes in (21, 22, 24):
        with travel(at(minutes)):
            worker.settle()
    task.refresh_from_db()
    assert (task.overdue_at, happened("task_overdue")) == (at(21), 1)
    assert len(worker.mailbox.counts()) == 4


def test_a_task_that_is_done_late_moves_nothing_any_more(task: RunTask, worker: Drive, people: Cast) -> None:
    with travel(at(24)):
        worker.settle()
        before = Run.objects.get().position
        assert finish_task(task.pk, user=people.ester, note="", actor="test", now=at(24))
    assert Run.objects.get().position == before


def test_the_branch_of_an_if_follows_the_incident(people: Cast, worker: Drive, pushed: Push) -> None:
    pushed(
        """\
  - if: incident.severity == "critical"
    then:
      - { task: call, title: Call the mayor, team: network-operations, within: 1 hour }
    else:
      - { task: note, title: Note it, team: nobody-knows, within: 1 hour }
"""
    )
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        worker.settle()
    incident, made = Incident.objects.get(), RunTask.objects.get()
    assert incident.severity == "major"
    assert (made.step, made.team, made.team_slug) == ("note", None, "nobody-knows")


def test_the_room_and_today_show_the_task_and_a_person_marks_it_done(task: RunTask, people: Cast) -> None:
    client = Client()
    client.force_login(people.ester)
    with travel(at(2)):
        for page in ("/console/", f"/console/incidents/{task.run.incident.public_id}/"):
            shown = client.get(page).content.decode()
            assert "Look whether it is real" in shown
            assert "Network operations" in shown
        address = f"/console/tasks/{task.public_id}/"
        assert "It is done" in client.get(address).content.decode()
        answer = client.post(address, {"note": "Checked the node"}, follow=True).content.decode()
        assert "Checked the node" in answer
        assert "Task done, says Ester" in answer
        assert "Look whether it is real" not in client.get("/console/").content.decode()
    assert client.get(f"/console/tasks/{uuid4()}/").status_code == 404


def test_the_api_lists_tasks_and_marks_one_done_once(task: RunTask) -> None:
    caller = Caller(create_token(name="desk", scopes=["playbooks:read", "playbooks:write"], actor="test")[1])
    (shown,) = orjson.loads(caller.get("/api/v1/run-tasks?done=false").content)["items"]
    assert (shown["title"], shown["team"], shown["playbook"]) == (task.title, "network-operations", "outage")
    done = caller.post(f"/api/v1/run-tasks/{shown['id']}/done", {"note": "looked"})
    assert orjson.loads(done.content)["note"] == "looked"
    assert orjson.loads(caller.get("/api/v1/run-tasks?done=false").content)["items"] == []
    assert problem(caller.post(f"/api/v1/run-tasks/{shown['id']}/done", {}), 409)["code"] == "done_already"
    problem(caller.post(f"/api/v1/run-tasks/{uuid4()}/done", {}), 404)
