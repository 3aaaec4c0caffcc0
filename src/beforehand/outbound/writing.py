"""Write what a batch says to each customer: a message that waits, or its refusal with the reason, and the time promised."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time

import orjson
from django.conf import settings
from psycopg.types.json import Jsonb

from beforehand.accounts.installation import installation
from beforehand.engine.languages import fallback_chain
from beforehand.engine.message_classes import RULES, MessageClass
from beforehand.engine.promises import NextWord, spoken_time
from beforehand.engine.quiet_hours import time_after_quiet_hours
from beforehand.engine.sending import Recipient, SendingDecision, SendingReason, Verdict, sending_decision
from beforehand.engine.thread_ids import verify_code
from beforehand.engine.ways import Way, chosen_way
from beforehand.events.actions import append_many, notify
from beforehand.kit.ids import bucket_of
from beforehand.kit.rows import bulk_fetch, copy_rows
from beforehand.outbound.caps import cap_of, said_this_week
from beforehand.outbound.claims import IN_FLIGHT, LANDING
from beforehand.outbound.media import live_channels
from beforehand.outbound.models import MessageBatch


@dataclass(frozen=True, slots=True)
class Contact:
    """How one customer is reached by one channel. `is_down`: the channel runs over what has failed for them."""

    channel: str
    contact_point_id: int | None
    address_is_dead: bool
    address_is_blocked: bool
    consent: bool | None
    is_down: bool = False


@dataclass(frozen=True, slots=True)
class Addressee:
    """One customer of a batch, with all that the decision and the text need; read in bulk by the caller."""

    customer_id: int
    channel: str
    contact_point_id: int | None
    address_is_dead: bool
    is_erased: bool
    consent: bool | None
    language: str
    time_zone: str
    formal: bool
    large_print: bool
    quiet_from: time
    quiet_until: time
    is_urgent: bool
    """Called first: a care alarm, for example."""
    slots: Mapping[str, str]
    address_is_blocked: bool = False
    is_down: bool = False
    only_changes: bool = False
    """What they want to hear of a problem that lasts."""
    skipped_for: SendingReason | None = None
    """Why a word in which nothing is new is not for them."""
    is_in_flight: bool = False
    """Whether an earlier word is on its way to them right now: an end waits until that has landed, or has not."""
    others: tuple[Contact, ...] = ()
    """The playbook's further channels, in its order, for whom the first one may not do."""


COLUMNS = (
    "bucket",
    "id",
    "batch_id",
    "customer_id",
    "channel",
    "contact_point_id",
    "language",
    "time_zone",
    "formal",
    "large_print",
    "only_changes",
    "next_update_at",
    "slots",
    "passed_over",
    "code",
    "state",
    "reason",
    "reason_until",
    "priority",
    "due_at",
    "ended_at",
)
STATE = COLUMNS.index("state")


def write_messages(
    batch: MessageBatch,
    addressees: Sequence[Addressee],
    *,
    now: datetime,
    actor: str,
    later: Callable[[datetime], NextWord | None] | None = None,
) -> Counter[str]:
    """Write one message per addressee, waiting or refused with its reason; counts by reason.

    `later` answers what a word that is said at a later time promises: for those whose quiet hours it waits for.

    Runs inside the caller's transaction, which also marks these customers as told; a customer who already has a message of
    this batch must not be among them.
    """
    message_class = MessageClass(batch.message_class)
    priority = RULES[message_class].priority
    has_quiet_hours = not RULES[message_class].breaks_quiet_hours
    live = live_channels()
    chains: dict[str, str | None] = {}
    counts: Counter[str] = Counter()
    ids = [
        row[0]
        for row in bulk_fetch(
            "SELECT nextval('outbound_message_id_seq') FROM generate_series(1, %s::int)", [len(addressees)]
        )
    ]
    cap = cap_of(message_class, installation()) if RULES[message_class].is_capped else None
    whom = [(bucket_of(one.customer_id), one.customer_id, 0) for one in addressees] if cap is not None else []
    said = said_this_week(whom, message_class=message_class, now=now)
    rows = []
    for message_id, one in zip(ids, addressees, strict=True):
        if one.language not in chains:
            chains[one.language] = next(
                iter(fallback_chain(one.language, batch.texts.keys(), batch.fallback_language)), None
            )
        language = chains[one.language]
        recipient = Recipient(
            has_contact_point=one.contact_point_id is not None,
            address_is_dead=one.address_is_dead,
            is_erased=one.is_erased,
            consent=one.consent,
            has_text=language is not None,
            zone=one.time_zone,
            quiet_from=one.quiet_from,
            quiet_until=one.quiet_until,
            address_is_blocked=one.address_is_blocked,
            channel_is_off=one.channel not in live,
            skipped_for=one.skipped_for,
            said_this_week=said.get((one.customer_id, 0), 0),
            cap=cap,
        )
        decision = sending_decision(recipient, message_class=message_class, now=now)
        channel, contact_point_id, passed_over = one.channel, one.contact_point_id, None
        if one.others and one.skipped_for is None:
            contact, decision, passed_over = _way_of(one, recipient, decision, message_class, live=live, now=now)
            channel, contact_point_id = contact.channel, contact.contact_point_id
        counts[decision.reason.value] += 1
        is_refused = decision.verdict is Verdict.REFUSE
        reason = "" if decision.reason is SendingReason.ALLOWED else decision.reason.value
        due_at = decision.until or now
        if one.is_in_flight and decision.verdict is Verdict.SEND:
            reason, due_at = IN_FLIGHT, now + LANDING
        rows.append(
            (
                bucket_of(one.customer_id),
                message_id,
                batch.pk,
                one.customer_id,
                channel,
                contact_point_id,
                language or batch.fallback_language,
                one.time_zone,
                one.formal,
                one.large_print,
                one.only_changes,
                _told_next(batch, one, decision, later=later) if has_quiet_hours else _base_time(batch, one),
                orjson.dumps(dict(one.slots)).decode(),
                passed_over,
                verify_code(message_id, settings.SECRET_KEY),
                "refused" if is_refused else "queued",
                reason,
                decision.until,
                1 if one.is_urgent else priority,
                due_at,
                now if is_refused else None,
            )
        )
    copy_rows("outbound_message", COLUMNS, rows)
    if any(row[STATE] == "refused" for row in rows):
        _log_refusals(batch, ids, actor=actor, now=now)
    notify()
    return counts


def _base_time(batch: MessageBatch, one: Addressee) -> datetime | None:
    """By when the batch promises the next word to who wants such news as this customer."""
    return (one.only_changes and batch.rare_update_at) or batch.next_update_at


def _told_next(
    batch: MessageBatch,
    one: Addressee,
    decision: SendingDecision,
    *,
    later: Callable[[datetime], NextWord | None] | None,
) -> datetime | None:
    """By when this customer is told to hear next: a time that is true for somebody who is not disturbed at night."""
    due_at = _base_time(batch, one)
    if due_at is None:
        return None
    if decision.until is not None and later is not None and (word := later(decision.until)) is not None:
        due_at = word.rare_at if one.only_changes else word.next_at
        due_at = spoken_time(due_at, due_at - decision.until)
    return time_after_quiet_hours(due_at, zone=one.time_zone, start=one.quiet_from, end=one.quiet_until)


def _way_of(
    one: Addressee,
    recipient: Recipient,
    first: SendingDecision,
    message_class: MessageClass,
    *,
    live: Collection[str],
    now: datetime,
) -> tuple[Contact, SendingDecision, Jsonb | None]:
    """The channel that this customer is told by, its judgement, and the channels passed over with the reason for each."""
    contacts = [
        Contact(
            one.channel, one.contact_point_id, one.address_is_dead, one.address_is_blocked, one.consent, one.is_down
        ),
        *one.others,
    ]
    ways = [Way(one.channel, first, one.is_down)]
    for contact in one.others:
        judged = replace(
            recipient,
            has_contact_point=contact.contact_point_id is not None,
            address_is_dead=contact.address_is_dead,
            address_is_blocked=contact.address_is_blocked,
            consent=contact.consent,
            channel_is_off=contact.channel not in live,
        )
        decision = sending_decision(judged, message_class=message_class, now=now)
        ways.append(Way(contact.channel, decision, contact.is_down))
    chosen = chosen_way(ways)
    passed_over = Jsonb([list(each) for each in chosen.passed_over]) if chosen.passed_over else None
    return contacts[chosen.place], ways[chosen.place].decision, passed_over


def _log_refusals(batch: MessageBatch, ids: Sequence[int], *, actor: str, now: datetime) -> None:
    append_many(
        """
        SELECT 'message.refused', %(actor)s::text, 'batch:' || m.batch_id, m.customer_id,
               jsonb_build_object('message', m.id, 'reason', m.reason, 'channel', m.channel), %(now)s::timestamptz
        FROM outbound_message m
        WHERE m.bucket = ANY(%(buckets)s::smallint[]) AND m.batch_id = %(batch)s::bigint AND m.state = 'refused'
          AND m.id = ANY(%(ids)s::bigint[])
        """,
        {"actor": actor, "now": now, "batch": batch.pk, "ids": list(ids), "buckets": list(range(64))},
    )
