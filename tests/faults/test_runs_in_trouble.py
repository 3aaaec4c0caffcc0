"""Runs when something goes wrong, or two people or two things happen at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.db import connection

from beforehand.customers.models import Customer
from beforehand.events.models import Event, SubscriptionFailure
from beforehand.incidents.actions import cancel_incident, open_incident, post_update, resolve_incident
from beforehand.incidents.models import Incident, IncidentScope
from beforehand.kit.clock import travel
from beforehand.outbound.models import Delivery, Message, MessageBatch
from beforehand.playbooks import facts, runs, speaking
from beforehand.playbooks.actions import push_version
from beforehand.playbooks.models import PlaybookVersion, Run
from beforehand.playbooks.runs import confirm_run
from beforehand.promises.models import Promise
from tests.cast import Cast, make_cast
from tests.company import addresses, make_company
from tests.driving import Drive, alert, approve_shipped, driving, outage_rule, post_webhook
from tests.mailbox import text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
EVERYBODY = {f"{name}@customers.example" for name in ("aisha", "bram", "chitra", "dana")}


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    cast = make_cast()
    outage_rule(owner=cast.team, resolve_after_seconds=100_000)
    approve_shipped()
    return cast


@pytest.fixture
def drive(transactional_db: None) -> Iterator[Drive]:
    with driving() as drive:
        yield drive


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def node_fails(drive: Drive, *, node: str = "node-7") -> Incident:
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0), node=node)])
        drive.settle()
    return Incident.objects.order_by("-pk")[0]


# Errors


def test_a_fault_in_one_languages_text_gives_its_readers_the_fallback_and_is_reported(cast: Cast, drive: Drive) -> None:
    version = PlaybookVersion.objects.get(slug="outage")
    version.texts["first-notice"]["hi"] = "---\nsubject: x\n---\n{% if incident.title %}never closed"
    PlaybookVersion.objects.filter(pk=version.pk).update(texts=version.texts)
    node_fails(drive)
    assert drive.mailbox.counts() == dict.fromkeys(EVERYBODY, 1)
    (hindi,) = drive.mailbox.mails_to("chitra@customers.example")
    assert hindi["Content-Language"] == "en"
    assert "There is an outage" in text_of(hindi)
    (dutch,) = drive.mailbox.mails_to("bram@customers.example")
    assert dutch["Content-Language"] == "nl"
    (report,) = Event.objects.filter(type="message.template_failed")
    assert report.data["language"] == "hi"
    assert Message.objects.get(customer_id=cast.chitra.pk).language == "en"


def test_a_run_that_fails_is_stopped_loudly_and_the_others_go_on(
    cast: Cast, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = facts.batch_facts

    def faulty(incident: Incident, **rest: object) -> object:
        if incident.pk == poor.pk:
            raise ValueError("no such thing")
        return usual(incident, **rest)  # type: ignore[arg-type]

    with travel(at(0)):
        post_webhook([alert(starts_at=at(0)), alert(starts_at=at(0), node="node-8")])
        drive.settle()
        poor = Incident.objects.get(scopes__component=cast.node)
        good = Incident.objects.get(scopes__component=cast.other_node)
    monkeypatch.setattr(speaking, "batch_facts", faulty)
    with travel(at(3)):
        drive.settle()
    failed = Run.objects.get(incident=poor)
    assert (failed.state, failed.error) == ("failed", "ValueError: no such thing")
    assert Event.objects.filter(type="run.failed", subject=f"incident:{poor.pk}").count() == 1
    assert Run.objects.get(incident=good).state == "waiting"
    assert drive.mailbox.counts() == {"elif@customers.example": 1}


def test_a_run_that_fails_after_it_told_still_gives_everyone_told_the_end(
    cast: Cast, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = node_fails(drive)
    with monkeypatch.context() as patch:
        patch.setattr(runs, "expected_fan_out", lambda _: 1 / 0)
        with travel(at(58)):
            drive.settle()
    assert Run.objects.get().state == "failed"
    with travel(at(70)):
        resolve_incident(incident, reason="repaired", actor="test")
        drive.settle()
    assert Run.objects.get().state == "finished"
    last = {address: drive.mailbox.mails_to(address)[-1] for address in EVERYBODY}
    assert {mail["Feedback-ID"].split(":")[1] for mail in last.values()} == {"all-clear"}


def test_a_run_that_fails_breaks_its_promise_but_keeps_no_one_waiting_without_a_word(
    cast: Cast, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    node_fails(drive)
    Run.objects.update(state="failed", wake_at=None)
    for minutes in (54, 60, 62, 64):
        with travel(at(minutes)):
            drive.settle()
    assert list(Promise.objects.order_by("pk").values_list("state", flat=True)) == ["broken", "open"]
    assert set(drive.mailbox.counts().values()) == {2}
    assert Promise.objects.get(state="open").due_at > at(64)


def test_the_database_going_away_is_no_fault_of_a_run(
    cast: Cast, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    with monkeypatch.context() as patch:

        def gone(*_: object, **__: object) -> None:
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        patch.setattr(speaking, "open_spread", gone)
        with travel(at(3)), pytest.raises(psycopg.OperationalError):
            drive.settle()
    assert Run.objects.get().state == "waiting"
    with travel(at(3)):
        drive.settle()
    assert drive.mailbox.counts() == dict.fromkeys(EVERYBODY, 1)


def test_customers_that_cannot_be_decided_for_stop_their_own_bucket_only(
    cast: Cast, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    from beforehand.playbooks import spreads

    usual = spreads.write_messages

    def faulty(batch: MessageBatch, found: list[object], **rest: object) -> object:
        if any(one.customer_id == cast.bram.pk for one in found):  # type: ignore[attr-defined]
            raise ValueError("what a customer")
        return usual(batch, found, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(spreads, "write_messages", faulty)
    node_fails(drive)
    assert drive.mailbox.counts() == dict.fromkeys(EVERYBODY - {"bram@customers.example"}, 1)
    assert "what a customer" in Run.objects.get().error
    assert Event.objects.filter(type="run.failed").count() == 1


def test_a_list_that_cannot_be_worked_out_is_reported_once_and_holds_up_no_other(cast: Cast, drive: Drive) -> None:
    with travel(at(0)):
        bad = open_incident(
            title="x", kind="outage", severity="major", actor="test", began_at=at(0), known_at=at(0), condition="true"
        )
        IncidentScope.objects.filter(incident=bad).update(condition="nobody.knows == 1")
    node_fails(drive)
    assert drive.mailbox.counts() == dict.fromkeys(EVERYBODY, 1)
    assert Event.objects.filter(type="incident.list_failed").count() == 1


# Two at once


def test_of_two_supervisors_who_confirm_at_once_one_is_the_one(cast: Cast, drive: Drive) -> None:
    PlaybookVersion.objects.update(approved_at=None)
    node_fails(drive)
    run = Run.objects.get()
    assert run.state == "confirming"
    assert drive.mailbox.accepted == []
    barrier = Barrier(2)

    def confirm(name: str) -> bool:
        try:
            barrier.wait(10)
            return confirm_run(run.pk, actor=name, now=at(4))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as people:
        answers = list(people.map(confirm, ["noor", "ester"]))
    assert sorted(answers) == [False, True]
    with travel(at(4)):
        drive.settle()
    assert Event.objects.filter(type="run.confirmed").count() == 1
    assert drive.mailbox.counts() == dict.fromkeys(EVERYBODY, 1)


def test_who_confirms_after_it_was_over_tells_nobody(cast: Cast, drive: Drive) -> None:
    PlaybookVersion.objects.update(approved_at=None)
    incident = node_fails(drive)
    with travel(at(5)):
        resolve_incident(incident, reason="repaired", actor="test")
        drive.settle()
    assert not confirm_run(Run.objects.get().pk, actor="noor", now=at(6))
    assert drive.mailbox.accepted == []


def test_an_update_posted_while_all_are_being_told_follows_the_notice(cast: Cast, drive: Drive) -> None:
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    with travel(at(3)):
        drive.decide()
        drive.loop.step(wait=0)
        post_update(Incident.objects.get(), texts={"en": "Half of it works"}, author=None, actor="test")
        drive.settle()
    assert drive.mailbox.counts() == dict.fromkeys(EVERYBODY, 2)
    latest = drive.mailbox.mails_to("dana@customers.example")[-1]
    assert "Half of it works" in text_of(latest)


@pytest.mark.parametrize("end", [resolve_incident, cancel_incident])
def test_resolved_in_the_middle_of_the_fan_out_only_what_was_in_flight_leaves(drive: Drive, end: object) -> None:
    make_company(400)
    outage_rule(resolve_after_seconds=100_000)
    approve_shipped()
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        while not Message.objects.exists():
            drive.decide()
        drive.loop.step(wait=0)
        in_flight = set(Delivery.objects.filter(state="sending").values_list("message_id", flat=True))
        end(Incident.objects.get(), reason="repaired", actor="test")  # type: ignore[operator]
        drive.settle()
    with travel(at(3.2)):
        drive.settle()  # the end waited for what was in flight
    first, last = MessageBatch.objects.order_by("sequence")
    told = set(Message.objects.filter(batch_id=first.pk, state="sent").values_list("id", flat=True))
    assert told == in_flight
    assert 0 < len(told) < 400
    assert set(Message.objects.filter(batch_id=first.pk).exclude(id__in=told).values_list("state", flat=True)) == {
        "cancelled"
    }
    heard = {number: Customer.objects.get(pk=number).external_id for number in _customers_of(told)}
    assert drive.mailbox.counts() == dict.fromkeys({f"{name}@customers.example" for name in heard.values()}, 2)
    assert Message.objects.filter(batch_id=last.pk).count() == len(told)
    assert not Promise.objects.filter(state="open").exists()
    assert set(drive.mailbox.counts()) < addresses(400)


def _customers_of(messages: set[int]) -> set[int]:
    return set(Message.objects.filter(id__in=messages).values_list("customer_id", flat=True))


def test_a_poison_event_is_set_aside_and_what_follows_goes_on(cast: Cast, drive: Drive) -> None:
    from beforehand.events.actions import append_event

    append_event(type="incident.affected_listed", actor="test", subject="incident:not-a-number")
    node_fails(drive)
    assert drive.mailbox.counts() == dict.fromkeys(EVERYBODY, 1)
    failure = SubscriptionFailure.objects.get()
    assert failure.subscriber == "playbooks.start"
    assert "not-a-number" in failure.error


def test_a_playbook_that_cannot_start_is_reported_and_the_others_start(
    cast: Cast, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = PlaybookVersion.objects.get(slug="outage")
    push_version(
        source=shipped.source.replace("playbook: outage", "playbook: another"),
        texts={(name, language): text for name, by in shipped.texts.items() for language, text in by.items()},
        actor="test",
    )
    usual = runs.start

    def start(playbook: object, **rest: object) -> object:
        if playbook.name == "another":  # type: ignore[attr-defined]
            raise ValueError("cannot")
        return usual(playbook, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(runs, "start", start)
    node_fails(drive)
    assert drive.mailbox.counts() == dict.fromkeys(EVERYBODY, 1)
    (report,) = Event.objects.filter(type="run.failed")
    assert report.data == {"playbook": "another"}
