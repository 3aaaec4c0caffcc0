"""What a run asks people to do: written with the run's place, once for each (run, step, turn); and what is late."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from beforehand.accounts.models import Team
from beforehand.engine.playbooks.moves import TaskOrder
from beforehand.events.actions import append_event
from beforehand.incidents.affected import origin_of
from beforehand.kit.rows import fetch
from beforehand.playbooks.models import Run, RunTask


def order_tasks(run: Run, orders: Sequence[TaskOrder], *, now: datetime) -> None:
    """Write the tasks that begin here, in the caller's transaction; one that is there already stays as it is."""
    for order in orders:
        task, made = RunTask.objects.get_or_create(
            run=run,
            step=order.step,
            turn=order.turn,
            defaults={
                "title": order.title,
                "team_slug": order.team,
                "team": Team.objects.filter(slug=order.team).first(),
                "made_at": now,
                "due_at": order.due_at,
            },
        )
        if made:
            append_event(
                type="run.task_made",
                actor=f"run:{run.pk}",
                subject=origin_of(run.incident_id),
                data={"task": task.pk, "run": run.pk, "step": order.step, "due_at": order.due_at.isoformat()},
            )


OVERDUE = """
UPDATE playbooks_runtask t SET overdue_at = %(now)s FROM playbooks_run r
WHERE t.id IN (SELECT id FROM playbooks_runtask WHERE done_at IS NULL AND overdue_at IS NULL AND due_at <= %(now)s
               ORDER BY due_at LIMIT 100 FOR UPDATE SKIP LOCKED)
  AND r.id = t.run_id
RETURNING t.id, t.run_id, t.step, t.due_at, r.incident_id
"""


@transaction.atomic
def mark_overdue_tasks(*, now: datetime) -> int:
    """Say once of each task that its time has passed and it is not done; how many."""
    late = fetch(OVERDUE, {"now": now})
    for task_id, run_id, step, due_at, incident_id in late:
        append_event(
            type="run.task_overdue",
            actor=f"run:{run_id}",
            subject=origin_of(incident_id),
            data={"task": task_id, "run": run_id, "step": step, "due_at": due_at.isoformat()},
        )
    return len(late)
