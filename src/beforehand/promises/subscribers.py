"""What the ledger hears: what keeps a promise, and what the people who answer for one are to be told."""

from collections.abc import Sequence

from beforehand.events.subscriptions import StoredEvent, subscriber
from beforehand.kit import clock
from beforehand.outbound.models import MessageBatch
from beforehand.promises.actions import SPEAKS_TO_ALL, keep_promises
from beforehand.promises.nights import SETTLED, enter_nights
from beforehand.promises.notices import NOTICED, notice_promises
from beforehand.promises.outcomes import mark_told, settle_outcomes


@subscriber("promises.keep", types=["message.batch_done"])
def keep(events: Sequence[StoredEvent]) -> None:
    """Settle the promises that each finished batch answers; the time is when its last message had an outcome."""
    batches = MessageBatch.objects.in_bulk([event.data["batch"] for event in events])
    for event in events:
        batch = batches.get(event.data["batch"])
        if batch is not None:
            keep_promises(batch, done_at=event.occurred_at, actor="ledger")


@subscriber("promises.nights", types=SETTLED)
def nights(events: Sequence[StoredEvent]) -> None:
    """Watch the later times that were promised to who slept when everybody's came."""
    enter_nights(events, now=clock.now())


@subscriber("promises.outcomes", types=["incident.resolved", "incident.cancelled"])
def settle(events: Sequence[StoredEvent]) -> None:
    """What was promised to be done is settled by the end of what it was about."""
    for event in events:
        settle_outcomes(
            event.subject,
            done_at=event.occurred_at,
            is_mistake=event.type == "incident.cancelled",
            actor="ledger",
        )


@subscriber("promises.told", types=["message.batch_decided"])
def told(events: Sequence[StoredEvent]) -> None:
    """A word to all carries what was promised to be done."""
    to_all = dict(
        MessageBatch.objects.filter(
            pk__in=[event.data["batch"] for event in events], audience__in=SPEAKS_TO_ALL
        ).values_list("pk", "decided_at")
    )
    for event in events:
        if event.data["batch"] in to_all:
            mark_told(event.subject, at=to_all[event.data["batch"]])


@subscriber("promises.notices", types=NOTICED)
def notices(events: Sequence[StoredEvent]) -> None:
    """Whoever is to answer for a promise hears of it by mail."""
    notice_promises(events)
