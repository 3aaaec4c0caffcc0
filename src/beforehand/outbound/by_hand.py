"""What people told customers whom no message reached."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from beforehand.kit.ids import BUCKETS, bucket_of
from beforehand.kit.rows import bulk, fetch
from beforehand.outbound.models import MessageBatch, ToldByPerson

TELL = """
WITH told AS (
    INSERT INTO outbound_toldbyperson (bucket, origin, customer_id, how, note, told_by, told_at)
    SELECT bucket, %(origin)s::text, customer_id, %(how)s::text, %(note)s::text, %(actor)s::text, %(now)s::timestamptz
    FROM unnest(%(bucket)s::smallint[], %(customer)s::bigint[]) AS w(bucket, customer_id)
    ON CONFLICT DO NOTHING
    RETURNING customer_id
)
INSERT INTO events_event (type, actor, subject, customer_id, data, occurred_at)
SELECT 'customer.told_by_person', %(actor)s::text, %(origin)s::text, customer_id,
       jsonb_build_object('how', %(how)s::text), %(now)s::timestamptz
FROM told
"""


@transaction.atomic
def tell_by_hand(
    origin: str, *, customer_ids: Sequence[int], how: ToldByPerson.How, note: str, actor: str, now: datetime
) -> int:
    """A person has told these customers; how many had not been told so before."""
    if not customer_ids:
        return 0
    return bulk(
        TELL,
        {
            "origin": origin,
            "bucket": [bucket_of(customer_id) for customer_id in customer_ids],
            "customer": list(customer_ids),
            "how": how.value,
            "note": note,
            "actor": actor,
            "now": now,
        },
    )


UNSENT_BUT_TOLD = """
SELECT count(*) FROM outbound_toldbyperson hand
JOIN outbound_message m ON m.bucket = hand.bucket AND m.customer_id = hand.customer_id AND m.batch_id = %(batch)s::bigint
WHERE hand.bucket = ANY(%(buckets)s::smallint[]) AND hand.origin = %(origin)s::text
  AND m.state IN ('refused', 'failed', 'cancelled')
"""


def told_by_person(batch: MessageBatch) -> int:
    """How many of those whom this batch did not reach have been told by a person."""
    wanted = {"batch": batch.pk, "origin": batch.origin, "buckets": list(range(BUCKETS))}
    return int(fetch(UNSENT_BUT_TOLD, wanted)[0][0])
