"""What a run asks of colleagues, by mail: that somebody confirms, that somebody of a team does a task."""

from collections.abc import Sequence

from beforehand.accounts.models import Team
from beforehand.accounts.notices import give_notice, whom_to_ask
from beforehand.events.subscriptions import StoredEvent
from beforehand.kit import clock
from beforehand.playbooks.bundles import playbook_of
from beforehand.playbooks.models import Run, RunTask


def notice_confirmations(events: Sequence[StoredEvent]) -> None:
    """Each run that still waits for a person is told to whoever of its team is there and may confirm."""
    now = clock.now()
    waiting = Run.objects.filter(state=Run.State.CONFIRMING).select_related("incident")
    runs = waiting.in_bulk([event.data["run"] for event in events])
    for event in events:
        run = runs.get(event.data["run"])
        if run is not None:
            asked = whom_to_ask(_owner_of(run), now=now, action="run:confirm")
            give_notice(asked, about=f"run:{run.pk}", reason="confirm", once=f"confirm:{event.id}", now=now)


def notice_tasks(events: Sequence[StoredEvent]) -> None:
    """Each task that is still to be done is told to whoever of its team is there."""
    now = clock.now()
    tasks = RunTask.objects.filter(done_at=None).in_bulk([event.data["task"] for event in events])
    for event in events:
        task = tasks.get(event.data["task"])
        if task is not None:
            asked = whom_to_ask(task.team_id, now=now)
            give_notice(asked, about=f"task:{task.pk}", reason="task", once=f"task:{event.id}", now=now)


def _owner_of(run: Run) -> int | None:
    """The team that answers for it: the incident's, else the one that its playbook names, if there is such a team."""
    if run.incident.owner_id is not None:
        return run.incident.owner_id
    return Team.objects.filter(slug=playbook_of(run.version_id).owner).values_list("pk", flat=True).first()
