"""What must be so whenever work has come to rest, whatever happened before: the design's guarantees, asked of the rows."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

from django.utils import translation

from beforehand.accounts.installation import installation
from beforehand.console.reasons import outcome, why_said
from beforehand.engine.message_classes import RULES, MessageClass
from beforehand.engine.quiet_hours import quiet_until
from beforehand.events.models import Event, EventKey
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Affected, Incident, PlannedWork
from beforehand.incidents.untold import NOT_TO_BE_TOLD, untold_ids
from beforehand.kit.clock import travel
from beforehand.outbound.models import Delivery, Message, MessageBatch
from beforehand.playbooks.models import Run
from beforehand.playbooks.queries import left_hanging
from beforehand.promises.models import Promise
from tests.survival.world import World

SENTENCE = re.compile(r"[A-Z“].+\.", re.DOTALL)


def check(world: World) -> None:
    """All of them."""
    with travel(world.now):
        nothing_accepted_is_lost(world)
        told_once(world)
        nobody_left_hanging(world)
        never_without_a_right(world)
        exit_at_once(world)
        says_why(world)
        recomputable(world)


def nothing_accepted_is_lost(world: World) -> None:
    """1: what was taken in is in the log, once."""
    for starts_at, status in world.posted:
        keys = EventKey.objects.filter(source_id__endswith=f":{starts_at}:{status}")
        assert Event.objects.filter(id__in=keys.values("event_id")).count() == 1, f"lost or twice: {status} {starts_at}"


def told_once(world: World) -> None:
    """2: one message of a step to a customer, and heard again only as often as an attempt was in doubt."""
    for (channel, address, message_id), times in world.times_heard().items():
        if times > 1:
            attempts = Delivery.objects.filter(message_id=message_id, channel=channel)
            doubtful = attempts.filter(state__in=["uncertain", "delivered", "undelivered"]).count()
            assert times <= 1 + doubtful, f"{address} heard message {message_id} {times} times, {doubtful} in doubt"


def nobody_left_hanging(world: World) -> None:
    """3: a promise in the future or an alarm that someone owns; who was told hears the end; the page says the same."""
    wrong = [one for one in left_hanging(now=world.now + timedelta(seconds=61)) if not one.is_owned]
    mine = {one.pk: one for one in world.incidents}
    wrong = [
        one for one in wrong if one.incident_id in mine and not _falls_due_within_the_look_ahead(one.incident_id, world)
    ]
    assert not wrong, f"left hanging: {wrong}"
    for incident in mine.values():
        stuck = _messages_of(incident).filter(state="queued", due_at__lte=world.now)
        assert not stuck.exists(), f"due and not on its way: {list(stuck.values('id', 'channel', 'reason'))}"
        assert not Run.objects.filter(incident=incident, state=Run.State.FAILED).exists()
        if incident.state == Incident.State.OPEN:
            _next_word_is_promised(incident, world)
            _everyone_has_been_decided_for(incident)
            _the_untold_are_on_the_list(incident)
        else:
            _everyone_told_has_heard_the_end(incident)
    _each_promise_has_its_person(world)


def _falls_due_within_the_look_ahead(incident_id: int, world: World) -> bool:
    """The page lets a minute pass before it speaks; so we ask a minute ahead, and what falls due only then is no fault."""
    soon = world.now + timedelta(seconds=62)
    return (
        Promise.objects.filter(audience=origin_of(incident_id), state="open", due_at__range=(world.now, soon)).exists()
        or Run.objects.filter(incident_id=incident_id, wake_at__range=(world.now, soon)).exists()
    )


def _next_word_is_promised(incident: Incident, world: World) -> None:
    work = PlannedWork.objects.filter(incident=incident).first()
    runs = list(Run.objects.filter(incident=incident))
    if work is None or work.announced_at is not None:
        assert runs, f"nobody responds to incident {incident.pk}"
    spoken = [run for run in runs if run.position["told_at"] is not None and run.state != Run.State.FINISHED]
    if spoken and incident.affected_count:
        owed = Promise.objects.filter(
            audience=origin_of(incident.pk), kind="update", state="open", due_at__gte=world.now
        )
        assert owed.exists(), f"nobody whom incident {incident.pk} touches knows when they hear next"


def _everyone_has_been_decided_for(incident: Incident) -> None:
    runs = list(Run.objects.filter(incident=incident).exclude(state=Run.State.FINISHED))
    if any(run.position["told_at"] is not None for run in runs):
        waiting = Affected.objects.filter(incident_id=incident.pk, state="affected", told_sequence=0)
        assert not waiting.exists(), f"not told of incident {incident.pk}: {list(waiting.values_list('customer_id'))}"
        left = Affected.objects.filter(incident_id=incident.pk, told_sequence__gt=0).exclude(state="affected")
        assert not left.exists(), f"left incident {incident.pk} without an end: {list(left.values_list('customer_id'))}"


def _the_untold_are_on_the_list(incident: Incident) -> None:
    """Whose newest word was refused for want of a way, or failed, is called by a person."""
    untold = set()
    for one in Affected.objects.filter(incident_id=incident.pk, state="affected"):
        newest = _messages_of(incident).filter(customer_id=one.customer_id).exclude(state="cancelled").last()
        if newest is not None and newest.state in ("refused", "failed") and newest.reason not in NOT_TO_BE_TOLD:
            untold.add(one.customer_id)
    assert set(untold_ids(incident.pk)) == untold


def _everyone_told_has_heard_the_end(incident: Incident) -> None:
    ends = set(_batches_of(incident).filter(why__is_end=True).values_list("pk", flat=True))
    for one in Affected.objects.filter(incident_id=incident.pk):
        said = _messages_of(incident).filter(customer_id=one.customer_id)
        heard = [each for each in said if each.state in ("sent", "uncertain") or each.reason == "unread"]
        if heard and heard[-1].batch_id not in ends:
            later = [each for each in said if each.id > heard[-1].id and each.batch_id in ends]
            assert any(each.state != "cancelled" for each in later), (
                f"customer {one.customer_id} of incident {incident.pk} was told, and not that it is over"
            )


def _each_promise_has_its_person(world: World) -> None:
    for promise in Promise.objects.filter(
        audience__in=[origin_of(one.pk) for one in world.incidents], state="open", warn_at__lte=world.now
    ):
        assert promise.warned_at is not None, f"promise {promise.pk}: nobody was warned"
        if promise.owner_id is not None:
            assert promise.assignee_id is not None, f"promise {promise.pk} belongs to nobody"
            assert promise.pass_at is None or promise.pass_at > world.now, f"promise {promise.pk} was not passed on"


def never_without_a_right(world: World) -> None:
    """4: nothing at night that may not wake anybody, nothing to who objected; and every refusal has its reason."""
    standard = installation()
    batches = MessageBatch.objects.in_bulk({one.batch_id for one in world.heard})
    zones = {one.pk: one.time_zone for one in world.customers}
    customers = dict(
        Message.objects.filter(id__in={one.message_id for one in world.heard}).values_list("id", "customer_id")
    )
    for one in world.heard:
        rule = RULES[MessageClass(batches[one.batch_id].message_class)]
        zone = zones[customers[one.message_id]]
        until = quiet_until(one.at, zone=zone, start=standard.quiet_from, end=standard.quiet_until)
        assert rule.breaks_quiet_hours or until is None, f"woken at {one.at.astimezone(ZoneInfo(zone))}"
    for incident in world.incidents:
        silent = _messages_of(incident).filter(state__in=["refused", "failed", "cancelled"], reason="")
        assert not silent.exists(), "not told, and nobody can say why"


def exit_at_once(world: World) -> None:
    """5: once it is over, only the end is spoken; nothing else waits."""
    for incident in world.incidents:
        if incident.state != Incident.State.OPEN:
            ends = set(_batches_of(incident).filter(why__is_end=True).values_list("pk", flat=True))
            waiting = _messages_of(incident).filter(state="queued").exclude(batch_id__in=ends)
            assert not waiting.exists(), f"incident {incident.pk} is over, and would still speak"
            if incident.pk in world.closed_before:
                mine = set(_batches_of(incident).values_list("pk", flat=True))
                late = [one for one in world.heard if one.at == world.now and one.batch_id in mine - ends]
                assert not late, f"incident {incident.pk} was over, and spoke: {late}"


def says_why(world: World) -> None:
    """7: one sentence for each message."""
    with translation.override("en"):
        for incident in world.incidents:
            batches = {one.pk: one for one in _batches_of(incident)}
            for message in _messages_of(incident):
                batch = batches[message.batch_id]
                why = str(why_said(batch, incident_title=incident.title, holding="Fibre"))
                became = str(outcome(message, batch_state=batch.state))
                assert SENTENCE.fullmatch(why), why
                assert SENTENCE.fullmatch(became), became


def recomputable(world: World) -> None:
    """8: the log alone tells how each thing stands."""
    for incident in world.incidents:
        log = list(Event.objects.filter(subject=origin_of(incident.pk)).order_by("id"))
        states = {"opened": "open", "reopened": "open", "resolved": "resolved", "cancelled": "cancelled"}
        said = [states[verb] for one in log if (verb := one.type.removeprefix("incident.")) in states]
        assert said[-1] == incident.state
        listed: dict[int | None, bool] = {}
        for one in log:
            if one.type in ("incident.customer_affected", "incident.customer_left"):
                listed[one.customer_id] = one.type == "incident.customer_affected"
        assert sum(listed.values()) == incident.affected_count, f"incident {incident.pk}: the log counts otherwise"
        _messages_agree(incident, log)
        _ledger_agrees(incident, log)


def _messages_agree(incident: Incident, log: list[Event]) -> None:
    accepted = {one.data["message"] for one in log if one.type in ("message.sent", "message.delivered")}
    sent = set(_messages_of(incident).filter(state="sent").values_list("id", flat=True))
    assert sent <= accepted, f"sent without a word in the log: {sent - accepted}"
    decided = {one.data["batch"] for one in log if one.type == "message.batch_decided"}
    assert decided == {one.pk for one in _batches_of(incident)}


def _ledger_agrees(incident: Incident, log: list[Event]) -> None:
    verbs = ("made", "kept", "kept_early", "broken", "moved", "ended")
    last = {
        one.data["promise"]: one.type.removeprefix("promise.")
        for one in log
        if one.type.removeprefix("promise.") in verbs
    }
    for promise in Promise.objects.filter(audience=origin_of(incident.pk)):
        told = last.get(promise.pk, "nothing")
        assert ("open" if told == "made" else told) == promise.state, f"promise {promise.pk}: the log says {told}"


def _batches_of(incident: Incident):
    return MessageBatch.objects.filter(origin=origin_of(incident.pk))


def _messages_of(incident: Incident):
    batches = list(_batches_of(incident).values_list("pk", flat=True))
    return Message.objects.filter(batch_id__in=batches).order_by("id")
