"""The task of calling those whom only a call reaches: put up once for a run, paced for its team, closed when nobody is left."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from beforehand.accounts.installation import installation
from beforehand.accounts.models import User
from beforehand.engine.calls import call_due
from beforehand.engine.playbooks.moves import TaskOrder
from beforehand.events.actions import append_event
from beforehand.events.subscriptions import StoredEvent
from beforehand.incidents.affected import origin_of
from beforehand.incidents.untold import CallCounts, WaitingCall, call_counts, waiting_calls
from beforehand.kit import clock
from beforehand.kit.ids import BUCKETS
from beforehand.kit.rows import bulk_fetch
from beforehand.outbound.calls import take_turns
from beforehand.outbound.models import Channel, MessageBatch
from beforehand.playbooks.actions import finish_task
from beforehand.playbooks.models import RunTask, Spread
from beforehand.playbooks.tasks import order_tasks

CALLS = "calls"
"""The step under which these tasks stand; no step of the file waits for them."""

WITH_CALLS = f"""
SELECT b.id, called.count, least(called.due_at, alarms.due_at)
FROM outbound_messagebatch b
CROSS JOIN LATERAL (
    SELECT count(*), min(m.due_at) AS due_at FROM outbound_message m
    WHERE b.channels @> '"call"' AND m.bucket = ANY(%(buckets)s::smallint[]) AND m.batch_id = b.id
      AND m.channel = 'call' AND m.state IN ('queued', 'refused')
) called
CROSS JOIN LATERAL (
    SELECT count(*), min(m.due_at) AS due_at
    FROM customers_customer c
    JOIN outbound_message m ON m.bucket = ANY(%(buckets)s::smallint[]) AND m.bucket = (c.id %% {BUCKETS})::smallint
        AND m.customer_id = c.id AND m.batch_id = b.id
    WHERE c.priority = 'care_alarm' AND m.state IN ('queued', 'sent', 'uncertain')
) alarms
WHERE b.id = ANY(%(batches)s::bigint[]) AND b.state <> 'cancelled'
  AND (b.channels @> '"call"' OR b.why ? 'call_first') AND called.count + alarms.count > 0
"""
"""Of these batches, those that leave somebody to be called; how many of them nothing else reaches, and when the first is due."""


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
    now, found = clock.now(), {row[0]: row[1:] for row in rows}
    for batch in MessageBatch.objects.filter(pk__in=found).order_by("pk"):
        called, due_at = found[batch.pk]
        _order(batch, is_for_alarms=not called, since=max(now, due_at or now), now=now)


def _order(batch: MessageBatch, *, is_for_alarms: bool, since: datetime, now: datetime) -> None:
    piece = Spread.objects.filter(batch_id=batch.pk).select_related("run__incident__owner").first()
    if piece is None or RunTask.objects.filter(run=piece.run, step=CALLS, done_at=None).exists():
        return
    incident = piece.run.incident
    if is_for_alarms and since <= now and not call_counts(incident.pk, now=now).left:
        return  # called already while it lasts
    standard = installation()
    minutes = standard.calls_care_alarm_minutes if is_for_alarms else standard.calls_within_minutes
    with translation.override(standard.brand.language):
        title = (
            _("Call the customers who wear a care alarm")
            if is_for_alarms
            else _("Call the customers whom no message reaches, care alarms first")
        )
    due_at = call_due(since, within=timedelta(minutes=minutes), next_word_at=batch.next_update_at)
    order = TaskOrder(CALLS, batch.sequence, title, incident.owner.slug if incident.owner else "", due_at)
    order_tasks(piece.run, [order], now=now)


def tend_calls(*, now: datetime) -> int:
    """Ask each team for the calls that it can make now, and close the tasks of which nobody is left; how many moved."""
    tasks = RunTask.objects.filter(step=CALLS, done_at=None).select_related("run").order_by("pk")
    by_team: dict[str, list[int]] = {}
    for task in tasks:
        incidents = by_team.setdefault(task.team_slug, [])
        if task.run.incident_id not in incidents:
            incidents.append(task.run.incident_id)
    return sum(_tend_team(incidents, now=now) for incidents in by_team.values())


def _tend_team(incident_ids: Sequence[int], *, now: datetime) -> int:
    counts = {incident_id: call_counts(incident_id, now=now) for incident_id in incident_ids}
    moved = _open_next(counts)
    for incident_id, count in counts.items():
        if not count.left and not _is_coming(incident_id):
            moved += close_call_tasks(incident_id, user=None, actor="playbooks", now=now)
    return moved


def _open_next(counts: dict[int, CallCounts]) -> int:
    """As many calls as the team has room for, over all its incidents; a care alarm whatever the room."""
    limit = installation().calls_open_at_once
    waiting = sum(count.waiting for count in counts.values())
    if not waiting:
        return 0
    room = max(0, limit - sum(count.open for count in counts.values())) if limit else waiting
    found = [
        (incident_id, call)
        for incident_id, count in counts.items()
        if count.waiting
        for call in waiting_calls(incident_id, limit=AT_ONCE)
    ]
    found.sort(key=lambda one: (not one[1].is_care_alarm, one[1].since, one[1].message_id))
    chosen = [one for place, one in enumerate(found) if one[1].is_care_alarm or place < room]
    opened: dict[int, list[WaitingCall]] = {}
    for incident_id, call in chosen:
        opened.setdefault(incident_id, []).append(call)
    return sum(_open(incident_id, calls) for incident_id, calls in opened.items())


AT_ONCE = 500
"""Calls that one look opens for an incident at the most."""


@transaction.atomic
def _open(incident_id: int, calls: Sequence[WaitingCall]) -> int:
    count = take_turns([(call.bucket, call.message_id) for call in calls])
    if count:
        append_event(type="run.calls_opened", actor="playbooks", subject=origin_of(incident_id), data={"count": count})
    return count


COMING = f"""
SELECT EXISTS (
    SELECT FROM outbound_messagebatch b
    JOIN outbound_message m ON m.bucket = ANY(%(buckets)s::smallint[]) AND m.batch_id = b.id
    WHERE b.origin = %(origin)s::text AND b.state <> 'cancelled' AND b.channels @> '"call"'
      AND m.channel = 'call' AND m.state = 'queued')
OR EXISTS (
    SELECT FROM customers_customer c
    JOIN outbound_message m ON m.bucket = ANY(%(buckets)s::smallint[]) AND m.bucket = (c.id %% {BUCKETS})::smallint
        AND m.customer_id = c.id AND m.state = 'queued'
    JOIN outbound_messagebatch b ON b.id = m.batch_id AND b.origin = %(origin)s::text AND b.state <> 'cancelled'
    WHERE c.priority = 'care_alarm' AND (b.channels @> '"call"' OR b.why ? 'call_first'))
"""


def _is_coming(incident_id: int) -> bool:
    """Whether a call will be asked for that is not on the list yet: its word waits for the morning, or has just been written."""
    values = {"origin": origin_of(incident_id), "buckets": list(range(BUCKETS))}
    return bool(bulk_fetch(COMING, values)[0][0])


def close_call_tasks(incident_id: int, *, user: User | None, actor: str, now: datetime) -> int:
    """When nobody is left to be called, the incident's tasks of calling are done; how many were."""
    if call_counts(incident_id, now=now).left:
        return 0
    tasks = RunTask.objects.filter(run__incident_id=incident_id, step=CALLS, done_at=None)
    return sum(finish_task(pk, user=user, note="", actor=actor, now=now) for pk in tasks.values_list("pk", flat=True))
