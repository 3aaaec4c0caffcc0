"""The playbook's further channels, for those whom the first may not reach: asked for them alone, in two statements a bucket.

A component says in its attribute `carries` which channels run over it ("email"; several with commas). While it is down,
whoever is affected through it is told by another channel.
"""

from collections.abc import Sequence
from dataclasses import replace

from beforehand.engine.message_classes import RULES, ConsentNeed, MessageClass
from beforehand.kit.rows import bulk_fetch
from beforehand.outbound.media import live_channels
from beforehand.outbound.writing import Addressee, Contact

CARRIED = """
SELECT a.customer_id, carried.channel
FROM (
    SELECT c.id, btrim(w.channel) AS channel
    FROM customers_component c, regexp_split_to_table(c.attributes->>'carries', '[,\\s]+') AS w(channel)
    WHERE c.attributes ? 'carries'
) carried
JOIN incidents_affected a ON a.bucket = %(bucket)s::smallint AND a.incident_id = %(incident)s::bigint
LEFT JOIN incidents_incidentscope s ON s.id = a.scope_id
WHERE carried.channel = ANY(%(channels)s::text[]) AND carried.id IN (a.component_id, s.component_id)
"""
"""Which channels are down for whom: what the product hangs on, or what the incident is on, carries them."""

CONTACTS = """
SELECT w.customer_id, ch.channel, point.id, coalesce(point.status, ''),
       (SELECT s.given FROM customers_consent s
        WHERE s.customer_id = w.customer_id AND s.message_class = %(class)s::text
          AND s.channel = CASE ch.channel WHEN 'call' THEN 'phone' ELSE ch.channel END
        ORDER BY s.answered_at DESC, s.id DESC LIMIT 1)
FROM unnest(%(customers)s::bigint[]) AS w(customer_id)
CROSS JOIN unnest(%(channels)s::text[]) WITH ORDINALITY AS ch(channel, place)
LEFT JOIN LATERAL (
    SELECT p.id, p.status FROM customers_contactpoint p
    WHERE p.customer_id = w.customer_id
      AND (p.channel = ch.channel OR ch.channel = 'call' AND p.channel IN ('phone', 'sms'))
    ORDER BY p.status IN ('dead', 'blocked'), p.channel = 'sms', p.rank, p.id LIMIT 1
) point ON true
ORDER BY w.customer_id, ch.place
"""


def with_other_channels(
    addressees: Sequence[Addressee],
    channels: Sequence[str],
    *,
    incident_id: int,
    bucket: int,
    message_class: str,
    is_failing: bool,
) -> list[Addressee]:
    """The same customers; those whom the first channel may not reach with what is known of the others, in order."""
    down: dict[int, set[str]] = {}
    if is_failing:
        rows = bulk_fetch(CARRIED, {"incident": incident_id, "bucket": bucket, "channels": list(channels)})
        for customer_id, channel in rows:
            down.setdefault(customer_id, set()).add(channel)
    need = RULES[MessageClass(message_class)].consent
    is_off = channels[0] not in live_channels()
    asked = [one.customer_id for one in addressees if is_off or one.customer_id in down or _may_not_reach(one, need)]
    if not asked:
        return list(addressees)
    others: dict[int, list[Contact]] = {}
    rows = bulk_fetch(CONTACTS, {"customers": asked, "channels": list(channels[1:]), "class": message_class})
    for customer_id, channel, point, status, consent in rows:
        is_down = channel in down.get(customer_id, ())
        contact = Contact(channel, point, status == "dead", status == "blocked", consent, is_down)
        others.setdefault(customer_id, []).append(contact)
    return [
        replace(
            one, is_down=one.channel in down.get(one.customer_id, ()), others=tuple(others.get(one.customer_id, ()))
        )
        if one.customer_id in others
        else one
        for one in addressees
    ]


def _may_not_reach(one: Addressee, need: ConsentNeed) -> bool:
    """Whether the first channel is, or may be, refused to this customer."""
    if one.contact_point_id is None or one.address_is_dead or one.address_is_blocked:
        return True
    if need is ConsentNeed.OPT_IN:
        return one.consent is not True
    return need is ConsentNeed.NO_OBJECTION and one.consent is False
