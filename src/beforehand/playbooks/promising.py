"""What a run promises: by when the next word comes, to whom, and who owns that."""

from datetime import datetime, timedelta

from beforehand.accounts.installation import installation
from beforehand.accounts.models import Team
from beforehand.engine.playbooks.language import Playbook, SpokenStep
from beforehand.engine.playbooks.moves import Position, owed_after, step_told
from beforehand.engine.promises import CustomerRhythm, NextWord
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.outbound.models import MessageBatch
from beforehand.playbooks.bundles import playbook_of
from beforehand.playbooks.models import Run
from beforehand.promises.actions import SPEAKS_TO_ALL, make_promise
from beforehand.promises.models import Promise

SLOWEST_RATE = 500.0
"""Mails a second that we count on before this incident has shown its own rate."""
START_UP = timedelta(seconds=2)


def zone() -> str:
    """The installation's: a promise to an audience is one time, so the night that it spares is one too."""
    return installation().brand.time_zone


def owed_if_told(playbook: Playbook, step: SpokenStep, *, run: Run | None, now: datetime) -> NextWord | None:
    """What the step would promise if it were told at `now`, in this run, or as the first word of a new one."""
    since = run.position.get("since") if run else None
    return owed_after(playbook, step, at=now, since=datetime.fromisoformat(since) if since else now, zone=zone())


def told_step(run: Run) -> SpokenStep | None:
    """The step that the run told last."""
    return step_told(playbook_of(run.version_id), Position.from_json(run.position))


def expected_fan_out(incident: Incident) -> timedelta:
    """How long telling everyone takes: what the last batch to all took per message, else a cautious rate."""
    last = (
        MessageBatch.objects.filter(origin=origin_of(incident.pk), audience="affected", done_at__isnull=False)
        .order_by("-sequence")
        .first()
    )
    if last is not None and last.done_at is not None:
        return START_UP + min(last.done_at - last.decided_at, timedelta(hours=1))
    return START_UP + timedelta(seconds=incident.affected_count / SLOWEST_RATE)


def promise_word(batch: MessageBatch, run: Run, *, due_at: datetime, made_at: datetime, rhythm: CustomerRhythm) -> None:
    """Everyone of this rhythm whom the batch's incident touches is promised the next word by `due_at`."""
    make_promise(
        batch=batch,
        due_at=due_at,
        made_at=made_at,
        owner=run.incident.owner or Team.objects.filter(slug=playbook_of(run.version_id).owner).first(),
        fan_out=expected_fan_out(run.incident),
        actor=f"run:{run.pk}",
        rhythm=rhythm,
    )


def promise_rarely(batch: MessageBatch, run: Run) -> None:
    """Somebody who wants only what changes is told by this batch: enter what they are promised, once.

    Made where such a customer is found, so that an incident without any asks and promises nothing. A word that was not
    for all of them (somebody joined, or nothing was new) leaves the promise that runs as it is.
    """
    if batch.rare_update_at is None:
        return
    is_to_all = batch.audience in SPEAKS_TO_ALL and not batch.is_routine
    rhythm = CustomerRhythm.ONLY_CHANGES
    runs = Promise.objects.filter(audience=batch.origin, rhythm=rhythm, state=Promise.State.OPEN)
    if is_to_all or not runs.exists():
        promise_word(batch, run, due_at=batch.rare_update_at, made_at=batch.decided_at, rhythm=rhythm)
