"""The delivery loop: claim what is due, judge it once more, fill the text, keep every connection busy, record the outcome.

At most 50 messages are in flight on a connection, and each is marked as being sent before its first byte leaves. So what a
crash leaves in doubt is at most 50 times the connections, and it is known by name.
"""

import queue
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from beforehand.accounts.installation import Installation, installation
from beforehand.engine.contacts import ContactFault, ContactStatus, status_after
from beforehand.engine.message_classes import RULES, MessageClass
from beforehand.engine.pace import Pace, reconnect_delay
from beforehand.engine.retries import retry_after_deferral
from beforehand.engine.sending import Recipient, Verdict, sending_decision
from beforehand.events.workers import live_workers
from beforehand.kit import clock
from beforehand.kit.rows import DATABASE_TROUBLE
from beforehand.outbound.addresses import AddressRefusedError
from beforehand.outbound.caps import cap_of, said_this_week
from beforehand.outbound.claims import (
    IN_FLIGHT,
    LANDING,
    Claim,
    PutBack,
    Record,
    claim,
    due_places,
    landed,
    put_back,
    record,
    still_sending,
)
from beforehand.outbound.contact_status import ContactChange, change_contact_points
from beforehand.outbound.media import Carrier, MailMedium, Medium, Sendable
from beforehand.outbound.mime import MailValueError
from beforehand.outbound.models import Channel
from beforehand.outbound.onward import move_on, onward
from beforehand.outbound.reports import settle_reports
from beforehand.outbound.skeletons import Skeletons
from beforehand.outbound.smtp_protocol import Outcome, SendResult

log = structlog.get_logger()

FAULT_AGAIN = timedelta(minutes=5)
"""When to try a message again that could not be made through a fault of ours."""
LONGEST_SILENCE = 30.0
"""Seconds to leave a provider alone that cannot be reached, at the most, unless it asked for more."""

Key = tuple[int, int, int]


@dataclass(slots=True)
class _InFlight:
    message_class: MessageClass
    contact_point_id: int | None
    address_status: str
    tried_before: int
    language: str | None


class DeliveryLoop:
    """One worker's deliveries over one channel. Call `step` again and again; it never blocks for long.

    `loops` is how many loops of this channel a worker has: they share the provider's rate.
    """

    def __init__(self, courier: Carrier, *, worker: UUID, medium: Medium[Any] | None = None, loops: int = 1) -> None:
        self._courier = courier
        self._medium: Medium[Any] = MailMedium() if medium is None else medium
        self._loops = loops
        self._worker = worker
        self._landed: queue.SimpleQueue[list[Outcome]] = queue.SimpleQueue()
        self._unrecorded: list[Outcome] = []
        self._in_flight: dict[Key, _InFlight] = {}
        self._places: list[tuple[int, int]] = []
        self._turn = worker.int % 64
        self._not_before: datetime | None = None
        self._skeletons: Skeletons[Any] = Skeletons(self._medium.compiler)
        self._installation = installation()
        self._pace: Pace | None = None
        self._senders = 1
        self._nothing_due = False
        self._look_again_at: datetime | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing of ours is under way."""
        return not self._in_flight

    def step(self, *, wait: float) -> int:
        """Record what has landed and send what is due; how many messages moved. Waits up to `wait` seconds for a landing."""
        self._collect(wait)
        now = clock.now()
        if self._look_again_at is None or now >= self._look_again_at:
            self._installation = installation()
            self._senders = max(1, live_workers(now=now)) * self._loops
            self._look_again_at = now + timedelta(seconds=5)
        records = [self._judge_outcome(outcome, now) for outcome in self._unrecorded]
        with transaction.atomic():
            self._write(records, now)
            claims = self._claim(now)
        self._nothing_due = not claims
        moved = len(self._unrecorded) + len(claims)
        for outcome in self._unrecorded:
            self._in_flight.pop(outcome.key, None)  # type: ignore[call-overload]
        self._unrecorded = []
        if claims:
            self._send(claims, now)
        return moved

    def recover_own(self) -> int:
        """After the database was gone: put back what was claimed and never reached our hands; how many."""
        now = clock.now()
        lost = [key for key, _, _ in still_sending(self._worker) if key not in self._in_flight]
        return put_back([PutBack(key, "queued", "", now) for key in lost], worker=self._worker, now=now)

    def drain(self, *, until: datetime) -> None:
        """Stop claiming; wait for what is in flight and record it."""
        while self._in_flight and clock.now() < until:
            self._collect(0.2)
            if self._unrecorded:
                now = clock.now()
                with transaction.atomic():
                    self._write([self._judge_outcome(outcome, now) for outcome in self._unrecorded], now)
                for outcome in self._unrecorded:
                    self._in_flight.pop(outcome.key, None)  # type: ignore[call-overload]
                self._unrecorded = []

    def _collect(self, wait: float) -> None:
        """Take what has landed; wait for it when there is nothing else to do."""
        is_waiting = self._in_flight and (self._nothing_due or self._courier.idle() == 0)
        try:
            self._unrecorded += self._landed.get(timeout=wait) if wait and is_waiting else self._landed.get_nowait()
            while True:
                self._unrecorded += self._landed.get_nowait()
        except queue.Empty:
            return

    def _write(self, records: Sequence[Record | PutBack], now: datetime) -> None:
        outcomes, moves = onward(records, now=now)
        said = [one for one in outcomes if isinstance(one, Record)]
        record(said, worker=self._worker, now=now)
        put_back([one for one in outcomes if isinstance(one, PutBack)], worker=self._worker, now=now)
        move_on(moves, now=now)
        change_contact_points([change for one in said for change in self._contact_change(one)], now=now)
        if self._medium.reports_later:
            settle_reports([one.key for one in said if one.delivery_state == "accepted"], now=now)

    def _contact_change(self, one: Record) -> list[ContactChange]:
        """What this outcome says of the address: its fault, or that it works after all."""
        flight = self._in_flight.get(one.key)
        if flight is None or flight.contact_point_id is None:
            return []
        if one.fault is not ContactFault.NONE:
            status = status_after(one.fault, status=ContactStatus(flight.address_status))
            return [ContactChange(flight.contact_point_id, status, one.reason)]
        is_proof = one.delivery_state == "accepted" and not self._medium.reports_later
        if is_proof and flight.address_status == ContactStatus.FAILING:
            return [ContactChange(flight.contact_point_id, ContactStatus.WORKING, "")]
        return []

    def _judge_outcome(self, outcome: Outcome, now: datetime) -> Record | PutBack:
        key: Key = outcome.key  # type: ignore[assignment]
        flight = self._in_flight[key]
        said = partial(Record, key, code=outcome.code, enhanced=outcome.enhanced or "", answer=outcome.text)
        match outcome.result:
            case SendResult.ACCEPTED:
                waits = self._medium.until_opened
                state = "refused" if waits else "sent"
                return said(
                    delivery_state="accepted", message_state=state, reason=waits, due_at=None, language=flight.language
                )
            case SendResult.DEFERRED:
                asked = timedelta(seconds=outcome.wait)
                again = retry_after_deferral(attempt=key[2] - flight.tried_before, now=now, asked=asked)
                state = "failed" if again.at is None else "queued"
                return said(delivery_state="deferred", message_state=state, reason=again.reason.value, due_at=again.at)
            case SendResult.REJECTED:
                never = self._medium.after_rejection(outcome)
                return said(
                    delivery_state="rejected",
                    message_state="failed",
                    reason=never.reason.value,
                    due_at=None,
                    fault=never.fault,
                )
            case SendResult.UNCERTAIN:
                # Not for ever: a server that takes every mail and then hangs up would have each said again and again.
                again_at = retry_after_deferral(attempt=key[2] - flight.tried_before, now=now).at
                return uncertain_record(key, flight.message_class, answer=outcome.text, again_at=again_at)
            case SendResult.UNSENT:
                return PutBack(key, "queued", "unreachable", self._not_before_after_failure(now))

    def _not_before_after_failure(self, now: datetime) -> datetime:
        if not self._courier.failures:
            return now
        delay = max(reconnect_delay(self._courier.failures, longest=LONGEST_SILENCE), self._courier.wait_asked)
        self._not_before = now + timedelta(seconds=delay)
        return self._not_before

    def _claim(self, now: datetime) -> list[Claim]:
        if self._installation.sending_paused:
            return []
        if self._not_before is not None and now < self._not_before:
            return []
        # What has landed since and is not recorded yet still counts: a crash would leave it in doubt too.
        in_doubt = len(self._in_flight) - len(self._unrecorded)
        flight, channel = self._medium.flight, self._medium.channel
        room = min(self._courier.idle() * flight, self._courier.connections * flight - in_doubt)
        if self._not_before is not None:
            room = min(room, flight)  # the server was away: one flight finds out whether it is back
        room = min(room, self._allowance(now, room))
        claims: list[Claim] = []
        is_fresh = False
        while room > len(claims):
            if not self._places:
                if is_fresh:
                    break
                self._places = due_places(channel=channel, now=now, turn=self._turn)
                is_fresh = True
                if not self._places:
                    break
            priority, bucket = self._places[0]
            wanted = room - len(claims)
            found = claim(priority=priority, bucket=bucket, channel=channel, limit=wanted, worker=self._worker, now=now)
            claims += found
            if len(found) < wanted:
                self._places.pop(0)
        if claims and self._not_before is not None and self._courier.failures == 0:
            self._not_before = None
        if self._pace is not None:
            self._pace = self._pace.taken(len(claims), now.timestamp())
        return claims

    def _allowance(self, now: datetime, room: int) -> int:
        """How many the asked rate allows; the rate is the provider's, so the workers that live share it."""
        rate = self._medium.rate(self._installation) / self._senders
        if not rate:
            self._pace = None
            return room
        if self._pace is None or self._pace.rate_per_second != rate:
            self._pace = Pace(rate_per_second=rate, burst=max(1.0, rate / 4 + 1))
        return min(room, self._pace.allowed(now.timestamp()))

    def _send(self, claims: Sequence[Claim], now: datetime) -> None:
        flight: list[Sendable] = []
        carried: dict[Key, _InFlight] = {}
        refused: list[PutBack] = []
        self._skeletons.load({one.batch_id for one in claims})
        said = self._said_this_week(claims, now)
        told = landed([one for one in claims if one.reason == IN_FLIGHT])
        for one in claims:
            if one.message_id in told and not told[one.message_id]:
                refused.append(_end_without_notice(one, told[one.message_id], now=now))
                continue
            message_class = MessageClass(self._skeletons.batch(one.batch_id).message_class)
            recipient = _recipient(
                one,
                self._installation,
                said=said.get(one.message_id, 0),
                cap=cap_of(message_class, self._installation),
            )
            decision = sending_decision(recipient, message_class=message_class, now=now)
            if decision.verdict is not Verdict.SEND or one.address is None:
                state = "queued" if decision.verdict is Verdict.WAIT else "refused"
                refused.append(PutBack(one.key, state, decision.reason.value, decision.until))
                continue
            if self._medium.by_hand:
                refused.append(PutBack(one.key, "refused", self._medium.by_hand, None))
                continue
            try:
                skeleton = self._skeletons.skeleton(one, now=now)
                if skeleton is None:
                    refused.append(PutBack(one.key, "refused", "template_error", None))
                    continue
                flight.append(self._medium.made(one, skeleton.text, message_class=message_class, now=now))
            except (MailValueError, AddressRefusedError) as error:
                log.warning("message_refused", message=one.message_id, error=str(error))
                refused.append(PutBack(one.key, "refused", "address_refused", None))
                continue
            except DATABASE_TROUBLE:
                raise
            except Exception:
                # Ours to mend: this one waits, and keeps no other from going out.
                log.exception("message_failed", message=one.message_id)
                refused.append(PutBack(one.key, "queued", "fault", now + FAULT_AGAIN))
                continue
            carried[one.key] = _InFlight(
                message_class,
                one.contact_point_id,
                one.address_status,
                one.tried_before,
                skeleton.language if skeleton.is_fallback else None,
            )
        # Only now: had the database gone away above, what nobody carries could not be told from what is under way.
        self._in_flight.update(carried)
        for start in range(0, len(flight), self._medium.flight):
            self._courier.submit(flight[start : start + self._medium.flight], self._landed.put)
        if refused:
            with transaction.atomic():
                self._write(refused, now)

    def _said_this_week(self, claims: Sequence[Claim], now: datetime) -> dict[int, int]:
        """How many of a capped class each of these messages' customers has been sent, by message; mostly asks nothing."""
        asked: dict[MessageClass, list[Claim]] = {}
        for one in claims:
            message_class = MessageClass(self._skeletons.batch(one.batch_id).message_class)
            if RULES[message_class].is_capped:
                asked.setdefault(message_class, []).append(one)
        found: dict[int, int] = {}
        for message_class, those in asked.items():
            whom = [(one.bucket, one.customer_id, one.message_id) for one in those]
            counts = said_this_week(whom, message_class=message_class, now=now)
            found.update({one.message_id: counts.get((one.customer_id, one.message_id), 0) for one in those})
        return found


def _end_without_notice(one: Claim, was_told: bool | None, *, now: datetime) -> PutBack:
    """An end whose notice is still on its way waits; one whose notice never arrived is not said: there is nothing to end."""
    if was_told is None:
        return PutBack(one.key, "queued", IN_FLIGHT, now + LANDING)
    return PutBack(one.key, "cancelled", "never_told", None)


def _recipient(one: Claim, standard: Installation, *, said: int, cap: int | None) -> Recipient:
    return Recipient(
        has_contact_point=one.address is not None,
        address_is_dead=one.address_status == ContactStatus.DEAD,
        is_erased=one.is_erased,
        consent=one.consent,
        has_text=True,
        zone=one.time_zone,
        quiet_from=one.quiet_from or standard.quiet_from,
        quiet_until=one.quiet_until or standard.quiet_until,
        address_is_blocked=one.address_status == ContactStatus.BLOCKED,
        said_this_week=said,
        cap=cap,
    )


def uncertain_record(key: Key, message_class: MessageClass, *, answer: str, again_at: datetime | None) -> Record:
    """What is written of an attempt that may or may not have arrived: said again only where twice is better than never,
    and only at `again_at`, if there is such a time."""
    again = again_at is not None and RULES[message_class].twice_rather_than_never
    return Record(
        key,
        "uncertain",
        code=None,
        enhanced="",
        answer=answer,
        message_state="queued" if again else "uncertain",
        reason="uncertain",
        due_at=again_at if again else None,
    )


def recover_dead(worker: UUID, *, now: datetime) -> int:
    """What a dead worker left in flight is uncertain; how many attempts."""
    left = still_sending(worker)
    records = [
        uncertain_record(key, MessageClass(message_class), answer="the worker died", again_at=now)
        for key, message_class, channel in left
        if channel != Channel.INBOX
    ]
    # What was to be written down, and is not, has not happened.
    unplaced = [PutBack(key, "queued", "", now) for key, _, channel in left if channel == Channel.INBOX]
    with transaction.atomic():
        recovered = record(records, worker=worker, now=now) + len(unplaced)
        put_back(unplaced, worker=worker, now=now)
        settle_reports([one.key for one in records], now=now)  # a provider may know more than we do
    return recovered
