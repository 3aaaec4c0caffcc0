"""The task of calling those whom only a call reaches: put up once for a run while there is somebody to call."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import translation
from django.utils.translation import gettext as _

from beforehand.accounts.installation import installation
from beforehand.accounts.models import User
from beforehand.engine.calls import call_due
from beforehand.engine.playbooks.moves import TaskOrder
from beforehand.events.subscriptions import StoredEvent
from beforehand.incidents.untold import untold_counts
from beforehand.kit import clock
from beforehand.kit.ids import BUCKETS
from beforehand.kit.rows import bulk_fetch
from beforehand.outbound.models import Channel, MessageBatch
from beforehand.playbooks.actions import finish_task
from beforehand.playbooks.models import RunTask, Spread
from beforehand.playbooks.tasks import order_tasks

CALLS = "calls"
"""The step under which these tasks stand; no step of the file waits for them."""

WITH_CALLS = """
SELECT b.id, (SELECT min(m.due_at) FROM outbound_message m
              WHERE m.bucket = ANY(%(buckets)s::smallint[]) AND m.batch_id = b.id AND m.channel = 'call'
                AND m.state IN ('queued', 'refused'))
FROM outbound_messagebatch b
WHERE b.id = ANY(%(batches)s::bigint[]) AND b.channels @> '"call"' AND b.state <> 'cancelled'
  AND (EXISTS (SELECT FROM outbound_message m
               WHERE m.bucket = ANY(%(buckets)s::smallint[]) AND m.batch_id = b.id AND m.channel = 'call'
                 AND m.state IN ('queued', 'refused'))
       OR EXISTS (SELECT FROM outbound_message m JOIN customers_customer c ON c.id = m.customer_id
                  WHERE m.bucket = ANY(%(buckets)s::smallint[]) AND m.batch_id = b.id AND c.priority = 'care_alarm'))
"""


def ask_for_calls(events: Sequence[StoredEvent]) -> None:
    """Put up the task when a batch leaves somebody to be called, at once or after another channel failed."""
    heard = {
        int(event.data["batch"])
        for event in events
        if event.type == "message.batch_spread" or event.data.get("to") == Channel.CALL
    }
    if not heard:
        return
    rows = bulk_fetch(WITH_CALLS, {"batches": sorted(heard), "buckets": list(range(BUCKETS))})
    now, from_then = clock.now(), dict(rows)
    for batch in MessageBatch.objects.filter(pk__in=from_then).order_by("pk"):
        _order(batch, since=max(now, from_then[batch.pk] or now), now=now)


def _order(batch: MessageBatch, *, since: datetime, now: datetime) -> None:
    piece = Spread.objects.filter(batch_id=batch.pk).select_related("run__incident__owner").first()
    if piece is None or RunTask.objects.filter(run=piece.run, step=CALLS, done_at=None).exists():
        return
    standard = installation()
    within = timedelta(minutes=standard.calls_within_minutes)
    owner = piece.run.incident.owner
    with translation.override(standard.brand.language):
        title = _("Call the customers whom no message reaches, care alarms first")
    due_at = call_due(since, within=within, next_word_at=batch.next_update_at)
    order = TaskOrder(CALLS, batch.sequence, title, owner.slug if owner else "", due_at)
    order_tasks(piece.run, [order], now=now)


def close_call_tasks(incident_id: int, *, user: User | None, actor: str, now: datetime) -> int:
    """When nobody is left to be told by a person, the incident's tasks of calling are done; how many were."""
    if any(untold_counts(incident_id)):
        return 0
    tasks = RunTask.objects.filter(run__incident_id=incident_id, step=CALLS, done_at=None)
    return sum(finish_task(pk, user=user, note="", actor=actor, now=now) for pk in tasks.values_list("pk", flat=True))
