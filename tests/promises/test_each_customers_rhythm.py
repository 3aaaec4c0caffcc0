"""Every step, or only what changes: that rhythm is what a customer is told, what they are promised, and what the ledger holds."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from tests.cast import Cast
from tests.driving import Drive
from tests.mailbox import text_of
from tests.promises.story import at, node_fails, outage_playbook

from beforehand.console.reasons import not_sent
from beforehand.customers.actions import change_customer
from beforehand.customers.models import Customer
from beforehand.incidents.actions import post_update, resolve_incident
from beforehand.incidents.affected import put_on_list
from beforehand.incidents.models import Affected, Incident
from beforehand.incidents.untold import untold_count
from beforehand.kit.clock import travel
from beforehand.outbound.models import Message
from beforehand.playbooks.models import Run
from beforehand.playbooks.queries import HangingReason, left_hanging
from beforehand.promises.models import Promise
from beforehand.promises.outcomes import make_outcome

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

BRAM, DANA = "bram@customers.example", "dana@customers.example"
MORNING = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)  # 09:00 in the installation's zone, on the day after


def only_changes(customer: Customer) -> None:
    change_customer(customer.pk, changes={"rhythm": "only_changes"}, actor="test")


def steps(worker: Drive, address: str) -> list[str]:
    return [str(mail["Feedback-ID"]).split(":")[1] for mail in worker.mailbox.mails_to(address)]


def lasts(worker: Drive, *minutes: float) -> None:
    for each in minutes:
        with travel(at(each)):
            worker.settle()


def ledger(rhythm: str) -> list[tuple[str, str]]:
    return list(Promise.objects.filter(rhythm=rhythm).order_by("pk").values_list("state", "reason"))


def test_who_wants_only_what_changes_is_spared_what_is_routine_and_promised_a_time_that_is_kept(
    people: Cast, worker: Drive
) -> None:
    only_changes(people.bram)
    outage_playbook()
    incident = node_fails(worker)
    (first,) = worker.mailbox.mails_to(BRAM)
    assert "dinsdag 24 november" in text_of(first)
    assert "09:00" in text_of(first)
    assert "Zodra er iets verandert" in text_of(first)
    assert "11:05" in text_of(worker.mailbox.mails_to(DANA)[0])  # 10:03 and an hour, rounded up, in London
    rare = Promise.objects.get(rhythm="only_changes")
    assert (rare.due_at, rare.owner) == (MORNING, people.team)
    lasts(worker, 58, 113)
    assert steps(worker, DANA) == ["first-notice", "still-working", "still-working"]
    assert steps(worker, BRAM) == ["first-notice"]
    spared = Message.objects.filter(customer_id=people.bram.pk).exclude(state="sent")
    assert {(one.state, one.reason) for one in spared} == {("refused", "only_changes")}
    assert not_sent("only_changes") == "Not sent: the customer wants only what changes, and nothing had."
    assert (ledger("every_step")[:2], ledger("only_changes")) == ([("kept", "told in time")] * 2, [("open", "")])
    assert untold_count(incident.pk) == 0
    assert left_hanging(now=at(114)) == []

    with travel(at(120)):
        post_update(incident, texts={"nl": "Er is een monteur"}, author=people.noor, actor="noor")
        worker.settle()
    assert steps(worker, BRAM) == ["first-notice", "still-working.update"]
    assert ledger("only_changes") == [("kept", "told in time"), ("open", "")]
    with travel(at(130)):
        resolve_incident(incident, reason="repaired", actor="noor")
        worker.settle()
    assert steps(worker, BRAM)[-1] == "all-clear"
    assert ledger("only_changes") == [("kept", "told in time")] * 2


def test_before_their_time_passes_they_hear_that_it_still_lasts(people: Cast, worker: Drive) -> None:
    only_changes(people.bram)
    outage_playbook()
    node_fails(worker)
    while Run.objects.get().wake_at < MORNING:  # as it goes, hour by hour and through the night
        with travel(Run.objects.get().wake_at):
            worker.settle()
    assert steps(worker, BRAM) == ["first-notice", "still-working"]
    assert len(steps(worker, DANA)) > 5
    assert ledger("only_changes") == [("kept", "told in time"), ("open", "")]
    assert Promise.objects.get(rhythm="only_changes", state="open").due_at > MORNING


def test_an_incident_without_such_customers_promises_nothing_to_them(people: Cast, worker: Drive) -> None:
    only_changes(people.elif_)  # whom it does not touch
    outage_playbook()
    node_fails(worker)
    lasts(worker, 58)
    assert ledger("only_changes") == []


def test_who_joins_is_told_and_promised_in_their_own_rhythm(people: Cast, worker: Drive) -> None:
    only_changes(people.elif_)
    outage_playbook()
    incident = node_fails(worker)
    scope = incident.scopes.get()
    with travel(at(20)):
        put_on_list(incident.pk, scope_id=scope.pk, customer_ids=[people.elif_.pk], now=at(20), actor="noor")
        worker.settle()
    assert [promise.due_at for promise in Promise.objects.filter(rhythm="only_changes")] == [MORNING]
    lasts(worker, 58)
    (said,) = worker.mailbox.mails_to("elif@customers.example")
    assert "dinsdag 24 november" in text_of(said)
    assert Affected.objects.get(customer_id=people.elif_.pk).told_sequence > 0
    assert left_hanging(now=at(59)) == []


def test_who_changes_their_mind_still_gets_the_word_that_they_were_promised(people: Cast, worker: Drive) -> None:
    outage_playbook()
    node_fails(worker)
    only_changes(people.bram)
    lasts(worker, 58)
    assert steps(worker, BRAM) == ["first-notice", "still-working"]
    assert "dinsdag 24 november" in text_of(worker.mailbox.mails_to(BRAM)[-1])
    assert ledger("only_changes") == [("open", "")]
    lasts(worker, 113)
    assert len(steps(worker, BRAM)) == 2
    change_customer(people.bram.pk, changes={"rhythm": "every_step"}, actor="test")
    lasts(worker, 168)
    assert len(steps(worker, BRAM)) == 3


def test_whose_last_word_failed_is_not_spared_the_next_one(people: Cast, worker: Drive) -> None:
    only_changes(people.bram)
    outage_playbook()
    incident = node_fails(worker)
    Message.objects.filter(customer_id=people.bram.pk).update(state="failed", reason="mailbox_full")
    assert untold_count(incident.pk) == 1
    lasts(worker, 58)
    assert steps(worker, BRAM) == ["first-notice", "still-working"]
    lasts(worker, 113)
    Message.objects.filter(customer_id=people.bram.pk, state="sent").update(state="failed", reason="mailbox_full")
    assert untold_count(incident.pk) == 1  # the word that they were spared does not hide it


def test_a_late_word_is_held_up_only_to_those_to_whom_it_was_promised(people: Cast, worker: Drive) -> None:
    only_changes(people.bram)
    outage_playbook()
    node_fails(worker)
    Run.objects.update(wake_at=None)
    lasts(worker, 64)
    assert (steps(worker, DANA), steps(worker, BRAM)) == (["first-notice", "holding"], ["first-notice"])
    assert (ledger("every_step")[0], ledger("only_changes")) == (("broken", "holding message instead"), [("open", "")])
    with travel(MORNING):
        worker.settle()
    assert steps(worker, BRAM) == ["first-notice", "holding"]
    assert ledger("only_changes") == [("broken", "holding message instead"), ("open", "")]


def test_news_of_what_is_promised_to_be_done_is_a_change(people: Cast, worker: Drive) -> None:
    only_changes(people.bram)
    outage_playbook()
    incident = node_fails(worker)
    audience = f"incident:{incident.pk}"
    make_outcome(audience=audience, outcome="restored", due_at=at(100), now=at(10), owner=people.team, actor="noor")
    lasts(worker, 58, 113, 168)
    assert steps(worker, BRAM) == ["first-notice", "still-working", "still-working"]  # promised; not done; nothing new


def test_the_guarantee_sees_a_promise_to_them_that_ran_out(people: Cast, worker: Drive) -> None:
    only_changes(people.bram)
    outage_playbook()
    incident = node_fails(worker)
    Promise.objects.filter(rhythm="only_changes").update(state="kept")
    now = at(30)
    Promise.objects.filter(rhythm="only_changes").update(due_at=at(20))
    (row,) = left_hanging(now=now)
    assert (row.incident_id, row.reason, row.customers) == (incident.pk, HangingReason.NO_PROMISE, 1)
    change_customer(people.bram.pk, changes={"rhythm": "every_step"}, actor="test")
    assert left_hanging(now=now) == []
    assert Incident.objects.count() == 1


def test_each_reads_the_same_promise_in_their_own_zone(people: Cast, worker: Drive) -> None:
    for one in people.touched:
        only_changes(one)
    outage_playbook()
    node_fails(worker)
    in_kolkata = f"{MORNING.astimezone(ZoneInfo('Asia/Kolkata')):%-I:%M}"
    assert in_kolkata in text_of(worker.mailbox.mails_to("chitra@customers.example")[0])
    assert Promise.objects.filter(rhythm="only_changes").count() == 1
