"""Write a batch's messages, one bucket of customers at a time; any worker takes the next bucket, none takes it twice."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache

import structlog
from django.db import transaction

from beforehand.accounts.installation import installation
from beforehand.engine.promises import NextWord
from beforehand.events.actions import append_event
from beforehand.incidents.affected import hold_list, origin_of
from beforehand.incidents.models import Incident
from beforehand.kit.ids import BUCKETS
from beforehand.kit.rows import DATABASE_TROUBLE, bulk, fetch
from beforehand.outbound.actions import cancel_for, finish_spread
from beforehand.outbound.models import MessageBatch
from beforehand.outbound.writing import write_messages
from beforehand.playbooks.audiences import (
    TO_LEAVERS,
    BatchAudience,
    addressees,
    leavers,
    mark_told,
    stop_telling_leavers,
)
from beforehand.playbooks.bundles import playbook_of
from beforehand.playbooks.models import Run, Spread
from beforehand.playbooks.promising import owed_if_told, promise_rarely, told_step

log = structlog.get_logger()

FAILED = -1
"""Written in a bucket whose customers could not be decided for: the run stopped there, the other buckets went on."""


def open_spread(batch: MessageBatch, run: Run, *, buckets: Sequence[int] | None = None) -> None:
    """Put up the work of a batch: one row per bucket; by default those with somebody on the incident's list.

    Who joins one of the others after this is told as one who joins a bucket that is done: by a batch of their own.
    """
    bulk(
        """
        INSERT INTO playbooks_spread (batch_id, bucket, run_id, is_done, written)
        SELECT %s::bigint, wanted.bucket, %s::bigint, false, 0 FROM unnest(%s::smallint[]) AS wanted(bucket)
        WHERE %s::boolean OR EXISTS (SELECT FROM incidents_affected a
                                     WHERE a.bucket = wanted.bucket AND a.incident_id = %s::bigint)
        ON CONFLICT DO NOTHING
        """,
        [batch.pk, run.pk, list(range(BUCKETS) if buckets is None else buckets), buckets is not None, run.incident_id],
    )


def spread_next(*, now: datetime) -> bool:
    """Decide for and write to the next bucket of whatever batch is first; False if there is nothing to do.

    The messages, the note on the affected list and the end of this piece of work are one transaction: a crash before its
    commit leaves the bucket to the next worker, untouched.
    """
    with transaction.atomic():
        rows = fetch(
            """
            SELECT batch_id, bucket FROM playbooks_spread WHERE NOT is_done
            ORDER BY batch_id, bucket LIMIT 1 FOR UPDATE SKIP LOCKED
            """
        )
        if not rows:
            return False
        batch_id, bucket = rows[0]
        piece = Spread.objects.select_related("run__incident").get(batch_id=batch_id, bucket=bucket)
        # Shared: whoever cancels the batch waits for this bucket, and then finds its messages.
        batch = _shared(batch_id)
        try:
            with transaction.atomic():
                written = 0 if batch.state == MessageBatch.State.CANCELLED else _write(batch, piece, now=now)
        except DATABASE_TROUBLE:
            raise
        except Exception as error:
            log.exception("spread_failed", batch=batch_id, bucket=bucket)
            written = FAILED
            fail_run(piece.run, f"bucket {bucket} of batch {batch_id}: {type(error).__name__}: {error}")
        Spread.objects.filter(batch_id=batch_id, bucket=bucket).update(is_done=True, written=written)
    return True


def fail_run(run: Run, error: str) -> None:
    """Stop a run, loudly; what it has promised is still watched, and an exit still ends it."""
    Run.objects.filter(pk=run.pk).update(
        state=Run.State.FAILED, error=error.replace("\0", "")[:2000], wake_at=None, pending=None
    )
    append_event(type="run.failed", actor="playbooks", subject=origin_of(run.incident_id), data={"run": run.pk})


def _shared(batch_id: int) -> MessageBatch:
    fetch("SELECT id FROM outbound_messagebatch WHERE id = %s FOR SHARE", [batch_id])
    return MessageBatch.objects.get(pk=batch_id)


def _write(batch: MessageBatch, piece: Spread, *, now: datetime) -> int:
    settings = installation()
    audience = BatchAudience(batch.audience)
    incident = piece.run.incident
    incident_id = incident.pk
    hold_list(incident_id)
    is_leaving = audience in TO_LEAVERS
    if is_leaving:
        # First what they must not hear any more: then it is certain who was told, and so needs an end.
        gone = leavers(incident_id, buckets=[piece.bucket])
        stop_telling_leavers(incident_id, origin=batch.origin, customer_ids=gone, actor=f"run:{piece.run_id}")
    found = addressees(
        audience,
        incident_id=incident_id,
        bucket=piece.bucket,
        sequence=batch.sequence,
        origin=batch.origin,
        message_class=batch.message_class,
        channels=batch.channels,
        quiet=(settings.quiet_from, settings.quiet_until),
        is_failing=incident.state == Incident.State.OPEN and incident.began_at <= now,
        is_routine=batch.is_routine,
        is_end=batch.why.get("is_end", False),
    )
    if found and not is_leaving:
        # Affected again before their end went out: it is not over for them after all, and must not be said later than this.
        cancel_for(
            batch.origin,
            customer_ids=[one.customer_id for one in found],
            audiences=TO_LEAVERS,
            reason="affected_again",
            actor=f"run:{piece.run_id}",
        )
    if found:
        write_messages(batch, found, now=now, actor=f"run:{piece.run_id}", later=_later(piece.run))
    if any(one.only_changes and one.skipped_for is None for one in found):
        promise_rarely(batch, piece.run)
    mark_told(
        audience,
        incident_id=incident_id,
        bucket=piece.bucket,
        sequence=batch.sequence,
        customer_ids=[one.customer_id for one in found],
    )
    return len(found)


def _later(run: Run) -> Callable[[datetime], NextWord | None]:
    """What a word of this run would promise at a later time; worked out once for each time."""

    @cache
    def owed(at: datetime) -> NextWord | None:
        step = told_step(run)
        return owed_if_told(playbook_of(run.version_id), step, run=run, now=at) if step else None

    return owed


def is_spread(batch_id: int) -> bool:
    """Whether every customer of the batch has been decided for."""
    return not Spread.objects.filter(batch_id=batch_id, is_done=False).exists()


def finish_spreads(*, now: datetime) -> int:
    """Note the batches of which every bucket is done, and wake their runs; how many."""
    finished = 0
    with transaction.atomic():
        rows = fetch(
            """
            SELECT b.id FROM outbound_messagebatch b
            WHERE b.spread_at IS NULL
              AND NOT EXISTS (SELECT FROM playbooks_spread s WHERE s.batch_id = b.id AND NOT s.is_done)
            ORDER BY b.id FOR UPDATE OF b SKIP LOCKED
            """
        )
        for batch in MessageBatch.objects.filter(pk__in=[row[0] for row in rows]):
            finish_spread(batch, now=now)
            Run.objects.filter(
                pk__in=Spread.objects.filter(batch_id=batch.pk).values("run_id"), state="telling"
            ).update(wake_at=now)
            finished += 1
    return finished
