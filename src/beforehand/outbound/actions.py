"""Say one thing to many: make the batch, and the gate over it all."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from beforehand.engine.message_classes import MessageClass
from beforehand.events.actions import append_event, notify
from beforehand.kit.ids import bucket_of
from beforehand.kit.rows import bulk, execute, fetch
from beforehand.outbound.models import Gate, MessageBatch


@transaction.atomic
def create_batch(
    *,
    effect_key: str,
    origin: str,
    step: str,
    audience: str,
    message_class: MessageClass,
    channels: Sequence[str],
    texts: Mapping[str, str],
    fallback_language: str,
    facts: Mapping[str, Any],
    next_update_at: datetime | None,
    why: Mapping[str, Any],
    decided_at: datetime,
    actor: str,
    rare_update_at: datetime | None = None,
    is_routine: bool = False,
) -> tuple[MessageBatch, bool]:
    """The batch with this effect key, made if there is none yet; the second value says whether it is new.

    The caller holds the lock on what `origin` stands for, so sequence numbers have no gaps.
    """
    known = MessageBatch.objects.filter(effect_key=effect_key).first()
    if known is not None:
        return known, False
    last = MessageBatch.objects.filter(origin=origin).order_by("-sequence").values_list("sequence", flat=True).first()
    gate = Gate.objects.filter(origin=origin).values_list("state", "reason").first() or (MessageBatch.State.OPEN, "")
    batch = MessageBatch.objects.create(
        state=gate[0],
        state_reason=gate[1],
        effect_key=effect_key,
        origin=origin,
        sequence=(last or 0) + 1,
        step=step,
        audience=audience,
        message_class=message_class.value,
        channels=list(channels),
        texts=dict(texts),
        fallback_language=fallback_language,
        facts=dict(facts),
        next_update_at=next_update_at,
        rare_update_at=rare_update_at,
        is_routine=is_routine,
        why=dict(why),
        decided_at=decided_at,
    )
    append_event(
        type="message.batch_decided",
        actor=actor,
        subject=origin,
        data={"batch": batch.pk, "step": step, "sequence": batch.sequence, "class": message_class.value},
    )
    return batch, True


def hold(origin: str, *, reason: str, actor: str) -> None:
    """Nothing of this origin is sent until `release`; what is at the provider stays there."""
    _set_gate(origin, state=Gate.State.HELD, reason=reason)
    MessageBatch.objects.filter(origin=origin, state=MessageBatch.State.OPEN).update(
        state=MessageBatch.State.HELD, state_reason=reason
    )
    append_event(type="message.origin_held", actor=actor, subject=origin, data={"reason": reason})


def release(origin: str, *, actor: str) -> None:
    """What was held is sent after all, judged anew."""
    Gate.objects.filter(origin=origin, state=Gate.State.HELD).delete()
    MessageBatch.objects.filter(origin=origin, state=MessageBatch.State.HELD).update(
        state=MessageBatch.State.OPEN, state_reason=""
    )
    append_event(type="message.origin_released", actor=actor, subject=origin)
    notify()


def cancel(origin: str, *, audiences: Sequence[str], reason: str, actor: str) -> int:
    """Nothing that this origin has still to say to these audiences is said; how many messages were stopped.

    Marking the batches stops every claim at once; the messages themselves follow in the same transaction. What is said
    to another audience goes on: those who have left the list still get their end.
    """
    batches = list(
        MessageBatch.objects.filter(
            origin=origin,
            audience__in=list(audiences),
            state__in=[MessageBatch.State.OPEN, MessageBatch.State.HELD],
        ).values_list("pk", flat=True)
    )
    if not batches:
        return 0
    MessageBatch.objects.filter(pk__in=batches).update(state=MessageBatch.State.CANCELLED, state_reason=reason)
    stopped = bulk(
        """
        UPDATE outbound_message m SET state = 'cancelled', reason = %(reason)s::text, ended_at = now()
        WHERE m.bucket = ANY(%(buckets)s::smallint[]) AND m.batch_id = ANY(%(batches)s::bigint[]) AND m.state = 'queued'
          AND NOT EXISTS (SELECT FROM outbound_delivery d
                          WHERE d.bucket = m.bucket AND d.message_id = m.id AND d.state = 'sending')
        """,
        {"reason": reason, "batches": batches, "buckets": list(range(64))},
    )
    append_event(
        type="message.origin_cancelled", actor=actor, subject=origin, data={"reason": reason, "messages": stopped}
    )
    return stopped


def _set_gate(origin: str, *, state: str, reason: str) -> None:
    Gate.objects.update_or_create(origin=origin, defaults={"state": state, "reason": reason})


def finish_spread(batch: MessageBatch, *, now: datetime) -> None:
    """Every customer of the batch has a message now; told to whoever waits for it."""
    MessageBatch.objects.filter(pk=batch.pk).update(spread_at=now)
    counts = dict(
        fetch(
            """
            SELECT state, count(*) FROM outbound_message
            WHERE bucket = ANY(%s) AND batch_id = %s GROUP BY state
            """,
            [list(range(64)), batch.pk],
        )
    )
    append_event(
        type="message.batch_spread",
        actor="outbound",
        subject=batch.origin,
        data={"batch": batch.pk, "messages": sum(counts.values()), "refused": counts.get("refused", 0)},
    )


@transaction.atomic
def cancel_for(origin: str, *, customer_ids: Sequence[int], audiences: Sequence[str], reason: str, actor: str) -> int:
    """These customers are not told what still waits for them as such an audience; how many messages were stopped."""
    return bulk(
        """
        WITH stopped AS (
            UPDATE outbound_message m SET state = 'cancelled', reason = %(reason)s::text, ended_at = now()
            FROM outbound_messagebatch b
            WHERE b.origin = %(origin)s::text AND b.audience = ANY(%(audiences)s::text[])
              AND m.batch_id = b.id AND m.state = 'queued'
              AND m.bucket = ANY(%(buckets)s::smallint[]) AND m.customer_id = ANY(%(customers)s::bigint[])
              AND NOT EXISTS (SELECT FROM outbound_delivery d
                              WHERE d.bucket = m.bucket AND d.message_id = m.id AND d.state = 'sending')
            RETURNING m.id, m.batch_id, m.customer_id, m.channel
        )
        INSERT INTO events_event (type, actor, subject, customer_id, data, occurred_at)
        SELECT 'message.cancelled', %(actor)s::text, %(origin)s::text, customer_id,
               jsonb_build_object('message', id, 'batch', batch_id, 'channel', channel, 'reason', %(reason)s::text), now()
        FROM stopped
        """,
        {
            "origin": origin,
            "audiences": list(audiences),
            "customers": list(customer_ids),
            "buckets": sorted({bucket_of(customer_id) for customer_id in customer_ids}),
            "reason": reason,
            "actor": actor,
        },
    )


def close_done_batches(*, now: datetime) -> int:
    """Mark the batches whose every message has an outcome, and say so in the log; how many."""
    done = 0
    with transaction.atomic():
        _stop_what_came_back()
        for pk, origin in fetch(
            """
            SELECT b.id, b.origin FROM outbound_messagebatch b
            WHERE b.spread_at IS NOT NULL AND b.done_at IS NULL
              AND NOT EXISTS (SELECT FROM outbound_message m WHERE m.state = 'queued' AND m.batch_id = b.id)
            ORDER BY b.id FOR UPDATE OF b SKIP LOCKED
            """
        ):
            ((ended_at,),) = fetch(
                "SELECT coalesce(max(ended_at), %s) FROM outbound_message WHERE bucket = ANY(%s) AND batch_id = %s",
                [now, list(range(64)), pk],
            )
            execute("UPDATE outbound_messagebatch SET done_at = %s WHERE id = %s", [ended_at, pk])
            append_event(
                type="message.batch_done", actor="outbound", subject=origin, data={"batch": pk}, occurred_at=ended_at
            )
            done += 1
    return done


def _stop_what_came_back() -> None:
    """A message that was in flight when its batch was cancelled, and was put off by the provider, is not tried again."""
    bulk(
        """
        UPDATE outbound_message m SET state = 'cancelled', reason = b.state_reason, ended_at = now()
        FROM outbound_messagebatch b
        WHERE b.state = 'cancelled' AND b.done_at IS NULL AND m.batch_id = b.id AND m.state = 'queued'
          AND m.bucket = ANY(%s::smallint[])
          AND NOT EXISTS (SELECT FROM outbound_delivery d
                          WHERE d.bucket = m.bucket AND d.message_id = m.id AND d.state = 'sending')
        """,
        [list(range(64))],
    )
