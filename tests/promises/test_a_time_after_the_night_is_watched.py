"""Who slept was promised a time of their own; the ledger watches it with one row for each time, and says how it turned out."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.cast import Cast
from tests.driving import Drive, alert, post_webhook
from tests.promises.story import at, node_fails, outage_playbook

from beforehand.incidents.actions import resolve_incident
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.outbound.models import Message, MessageBatch
from beforehand.playbooks.models import Run
from beforehand.playbooks.queries import left_hanging
from beforehand.promises.models import AFTER_NIGHT, Promise
from beforehand.promises.queries import next_promises, standing

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

EVENING = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)  # 20:00 in London, 21:00 in Amsterdam, 01:30 in Kolkata
MORNING = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)  # eight o'clock in Amsterdam
BRAMS_TIME = MORNING + timedelta(minutes=15)


def nights() -> list[tuple[datetime, str, str]]:
    rows = Promise.objects.filter(rhythm=AFTER_NIGHT).order_by("due_at", "pk")
    return list(rows.values_list("due_at", "state", "reason"))


def of_first_notice() -> list[tuple[datetime, str, str]]:
    batch = MessageBatch.objects.get(step="first-notice")
    rows = Promise.objects.filter(rhythm=AFTER_NIGHT, made_by=batch.effect_key).order_by("due_at")
    return list(rows.values_list("due_at", "state", "reason"))


def at_time(worker: Drive, *moments: datetime) -> None:
    for moment in moments:
        with travel(moment):
            worker.settle()


def night_falls(worker: Drive) -> Incident:
    """Bram reads at 21:03 that he hears by 22:05; that would be in his night, so he was promised 08:15."""
    outage_playbook("service")
    incident = node_fails(worker, since=EVENING)
    at_time(worker, at(58, since=EVENING), at(113, since=EVENING), at(121, since=EVENING))
    return incident


def test_it_stands_in_the_ledger_once_for_each_time(people: Cast, worker: Drive) -> None:
    night_falls(worker)
    second = MessageBatch.objects.get(sequence=2)
    told = Message.objects.filter(batch_id=second.pk, next_update_at__gt=second.next_update_at, state="sent")
    times = sorted(set(told.values_list("next_update_at", flat=True)))
    assert BRAMS_TIME in times
    rows = Promise.objects.filter(rhythm=AFTER_NIGHT, made_by=second.effect_key)
    assert sorted(rows.values_list("due_at", flat=True)) == times
    assert set(rows.values_list("state", flat=True)) == {"open"}


def test_it_is_kept_by_the_morning_word_and_nobody_is_warned(people: Cast, worker: Drive) -> None:
    night_falls(worker)
    at_time(worker, MORNING, BRAMS_TIME - timedelta(minutes=10))
    rows = Promise.objects.filter(rhythm=AFTER_NIGHT, due_at=BRAMS_TIME)
    assert set(rows.values_list("state", "reason", "warned_at")) == {("kept", "told in time", None)}


def test_it_is_broken_when_the_morning_word_comes_late(people: Cast, worker: Drive) -> None:
    night_falls(worker)
    for moment in (BRAMS_TIME - timedelta(minutes=1), BRAMS_TIME + timedelta(seconds=5)):
        with travel(moment):
            worker.decide()  # and nothing is delivered
    second = MessageBatch.objects.get(sequence=2)  # the word before it kept what the first notice had promised
    rows = Promise.objects.filter(rhythm=AFTER_NIGHT, due_at=BRAMS_TIME, made_by=second.effect_key)
    assert set(rows.values_list("state", "reason")) == {("broken", "not at all")}
    assert rows.exclude(warned_at=None).count() == rows.count()
    assert not rows.exclude(held_at=None).exists()  # their word is on its way: a second one would be as late


def test_whom_nothing_more_was_written_to_hears_that_we_are_late(people: Cast, worker: Drive) -> None:
    outage_playbook("service")
    node_fails(worker, since=EVENING)
    at_time(worker, at(58, since=EVENING))
    Run.objects.update(state=Run.State.FAILED, wake_at=None)
    MessageBatch.objects.filter(sequence__gt=2).delete()
    Message.objects.filter(customer_id=people.bram.pk).exclude(state="sent").delete()
    Promise.objects.exclude(rhythm=AFTER_NIGHT).filter(state="open").update(state="broken", reason="not at all")
    second = MessageBatch.objects.get(sequence=2)
    Promise.objects.create(
        audience=second.origin,
        made_by=second.effect_key,
        rhythm=AFTER_NIGHT,
        made_at=second.decided_at,
        due_at=BRAMS_TIME,
        warn_at=BRAMS_TIME - timedelta(minutes=10),
        hold_at=BRAMS_TIME,
    )
    at_time(worker, BRAMS_TIME + timedelta(seconds=5))
    row = Promise.objects.get(rhythm=AFTER_NIGHT, made_by=second.effect_key, due_at=BRAMS_TIME)
    assert (row.state, row.reason) == ("broken", "not at all")
    assert row.held_at is not None
    holding = Message.objects.filter(batch_id__in=MessageBatch.objects.filter(step="holding").values("pk"))
    assert holding.filter(customer_id=people.bram.pk, state="sent").exists()


def test_an_end_in_the_morning_keeps_it(people: Cast, worker: Drive) -> None:
    incident = night_falls(worker)
    with travel(at(150, since=EVENING)):
        resolve_incident(incident, reason="repaired", actor="noor")
        worker.settle()
    at_time(worker, MORNING, BRAMS_TIME + timedelta(seconds=5))
    rows = Promise.objects.filter(rhythm=AFTER_NIGHT, due_at=BRAMS_TIME)
    assert rows.exists()
    assert set(rows.values_list("state", "reason")) == {("kept", "told in time")}
    later = datetime(2026, 11, 25, tzinfo=UTC)
    at_time(worker, later)
    assert not Promise.objects.filter(state="open").exists()


def test_what_is_put_off_into_the_night_on_its_way_out_is_watched_at_its_new_time(people: Cast, worker: Drive) -> None:
    outage_playbook("service")
    evening = datetime(2026, 11, 23, 20, 30, tzinfo=UTC)
    with travel(at(3, since=evening)):
        post_webhook([alert(starts_at=evening)])
        for _ in range(6):
            worker.decide()
    night = datetime(2026, 11, 23, 21, 30, tzinfo=UTC)  # 22:30: the mail server is there again
    at_time(worker, night)
    first = Message.objects.filter(customer_id=people.bram.pk).order_by("id")[0]
    assert (first.reason, first.next_update_at is not None) == ("quiet_hours", True)
    at_time(worker, night + timedelta(minutes=40))
    batch = MessageBatch.objects.get(step="first-notice")
    assert first.next_update_at in [due_at for due_at, _, _ in of_first_notice()]
    assert batch.next_update_at is not None
    assert first.next_update_at > batch.next_update_at


def test_it_stands_for_nobody_elses_next_word(people: Cast, worker: Drive) -> None:
    incident = night_falls(worker)
    audience = f"incident:{incident.pk}"
    Promise.objects.exclude(rhythm=AFTER_NIGHT).filter(state="open").update(state="broken")
    assert nights()
    assert next_promises([audience]) == {}
    assert standing(audience)[0] is None
    assert left_hanging(now=at(300, since=EVENING)) != []
