"""Customers join late and are cured early: nobody stays un-notified, nobody is told twice, everybody who was told gets one end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from beforehand.customers.actions import upsert_components, upsert_customers
from beforehand.customers.models import Component, Customer
from beforehand.events.models import Event, SubscriptionFailure
from beforehand.incidents.actions import narrow_scope, reopen_incident, resolve_incident, want_refresh, widen_scope
from beforehand.incidents.affected import count_affected, put_on_list, take_off_list
from beforehand.incidents.models import Affected, Incident
from beforehand.kit.clock import travel
from beforehand.outbound.models import Message, MessageBatch
from beforehand.promises.models import Promise
from tests.cast import Cast, make_cast
from tests.company import addresses, connect, disconnect, make_company
from tests.driving import Drive, alert, approve_shipped, driving, outage_rule, post_webhook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
BRAM = "bram@customers.example"


@pytest.fixture
def drive(transactional_db: None) -> Iterator[Drive]:
    outage_rule(resolve_after_seconds=100_000)
    approve_shipped()
    with driving() as drive:
        yield drive
    assert not SubscriptionFailure.objects.exists()


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    return make_cast()


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def node_fails(drive: Drive, *, minutes: float = 3) -> Incident:
    with travel(at(minutes)):
        post_webhook([alert(starts_at=at(minutes - 3))])
        drive.settle()
    return Incident.objects.get()


def resolve(drive: Drive, incident: Incident, *, minutes: float) -> None:
    with travel(at(minutes)):
        assert resolve_incident(incident, reason="repaired", actor="test")
        drive.settle()


def steps_to(address: str) -> list[str]:
    """The steps that were sent to one customer, in order."""
    return list(
        Message.objects.filter(customer_id=Customer.objects.get(external_id=address.partition("@")[0]).pk, state="sent")
        .order_by("id")
        .extra(select={"step": "SELECT step FROM outbound_messagebatch b WHERE b.id = batch_id"})
        .values_list("step", flat=True)
    )


def test_who_is_touched_once_the_network_or_the_customers_are_loaded_anew_joins(cast: Cast, drive: Drive) -> None:
    incident = node_fails(drive)
    dutch = {"external_id": "elif", "name": "Elif Kaya", "language": "nl"}
    with travel(at(4)):
        widen_scope(incident, condition='customer.language == "ur"', actor="test")
        drive.settle()
        assert count_affected(incident.pk) == 4
    with travel(at(5)):
        upsert_customers([{**dutch, "language": "ur"}], actor="test", source="test")
        drive.settle()
        assert count_affected(incident.pk) == 5
    with travel(at(6)):
        upsert_customers([dutch], actor="test", source="test")
        drive.settle()
        assert count_affected(incident.pk) == 4
    with travel(at(7)):
        node = {"external_id": "node-8", "kind": "node", "name": "Node 8", "depends_on": ["north", "node-7"]}
        upsert_components([node], actor="test", source="test")
        drive.settle()
        assert count_affected(incident.pk) == 5


def test_300_join_late_and_200_are_cured_early_among_5000(drive: Drive) -> None:
    node = make_company(5_000)
    other = make_company(300, first=5_001, node="node-9")
    incident = node_fails(drive)
    assert drive.mailbox.counts() == dict.fromkeys(addresses(5_000), 1)
    with travel(at(10)):
        widen_scope(incident, component_ids=[other.pk], actor="test")
        drive.settle()
    assert drive.mailbox.counts() == dict.fromkeys(addresses(5_300), 1)
    with travel(at(20)):
        disconnect(node, first=1, last=200)
        want_refresh(incident.pk)
        drive.settle()
    cured, rest = addresses(200), addresses(5_100, first=201)
    assert drive.mailbox.counts() == {**dict.fromkeys(cured, 2), **dict.fromkeys(rest, 1)}
    resolve(drive, incident, minutes=50)
    assert drive.mailbox.counts() == dict.fromkeys(cured | rest, 2)
    assert not Message.objects.exclude(state="sent").exists()
    ends = MessageBatch.objects.filter(why__is_end=True).values_list("pk", flat=True)
    assert Message.objects.filter(batch_id__in=ends).count() == 5_300
    assert Message.objects.filter(batch_id__in=ends).values("customer_id").distinct().count() == 5_300
    assert list(Promise.objects.order_by("pk").values_list("state", flat=True)) == ["kept"]


def test_who_joins_while_all_are_being_told_is_told_too(drive: Drive) -> None:
    make_company(200)
    other = make_company(20, first=201, node="node-9")
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        drive.decide()
        incident = Incident.objects.get()
        widen_scope(incident, component_ids=[other.pk], actor="test")
        drive.settle()
    assert drive.mailbox.counts() == dict.fromkeys(addresses(220), 1)


def test_who_is_cured_before_being_told_hears_nothing(cast: Cast, drive: Drive) -> None:
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
        incident = Incident.objects.get()
        take_off_list(incident.pk, customer_ids=[cast.bram.pk], state=Affected.State.CURED, now=at(1), actor="test")
    with travel(at(3)):
        drive.settle()
    resolve(drive, incident, minutes=30)
    assert BRAM not in drive.mailbox.counts()


def test_who_is_cured_while_the_mail_waits_hears_nothing_and_starts_afresh_when_affected_again(
    cast: Cast, drive: Drive
) -> None:
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        for _ in range(4):
            drive.decide()  # written, and not yet delivered
        incident = Incident.objects.get()
        assert Message.objects.filter(state="queued").count() == 4
        take_off_list(incident.pk, customer_ids=[cast.bram.pk], state=Affected.State.CURED, now=at(3), actor="test")
        drive.decide()
        drive.settle()
    assert drive.mailbox.counts()[BRAM] == 0
    assert Message.objects.get(customer_id=cast.bram.pk).reason == "no_longer_affected"
    scope = incident.scopes.get()
    with travel(at(5)):
        put_on_list(incident.pk, customer_ids=[cast.bram.pk], scope_id=scope.pk, now=at(5), actor="test")
        drive.settle()
    assert drive.mailbox.counts()[BRAM] == 1
    resolve(drive, incident, minutes=30)
    assert drive.mailbox.counts()[BRAM] == 2


def test_who_is_cured_and_then_affected_again_is_told_again_and_gets_an_end_each_time(cast: Cast, drive: Drive) -> None:
    incident = node_fails(drive)
    scope = incident.scopes.get()
    with travel(at(10)):
        take_off_list(incident.pk, customer_ids=[cast.bram.pk], state=Affected.State.CURED, now=at(10), actor="test")
        drive.settle()
    assert steps_to(BRAM) == ["first-notice", "left-cured"]
    with travel(at(20)):
        put_on_list(incident.pk, customer_ids=[cast.bram.pk], scope_id=scope.pk, now=at(20), actor="test")
        drive.settle()
    resolve(drive, incident, minutes=30)
    assert steps_to(BRAM) == ["first-notice", "left-cured", "joined", "all-clear"]
    assert drive.mailbox.counts()["dana@customers.example"] == 2


def test_who_was_told_by_mistake_is_told_so_and_hears_no_more(cast: Cast, drive: Drive) -> None:
    incident = node_fails(drive)
    with travel(at(10)):
        take_off_list(incident.pk, customer_ids=[cast.dana.pk], state=Affected.State.MISTAKEN, now=at(10), actor="test")
        drive.settle()
    resolve(drive, incident, minutes=30)
    assert steps_to("dana@customers.example") == ["first-notice", "left-by-mistake"]
    assert Event.objects.filter(type="incident.customer_left", customer_id=cast.dana.pk).count() == 1


def test_a_part_of_the_scope_that_was_a_mistake_tells_only_whom_nothing_else_reaches(cast: Cast, drive: Drive) -> None:
    incident = node_fails(drive)
    with travel(at(5)):
        widen_scope(incident, component_ids=[cast.other_node.pk], actor="test")
        drive.settle()
    mistaken = incident.scopes.get(component=cast.node)
    with travel(at(10)):
        narrow_scope(mistaken, reason="mistaken", actor="test")
        drive.settle()
    for name in ("aisha", "bram", "chitra", "dana"):
        assert steps_to(f"{name}@customers.example") == ["first-notice", "left-by-mistake"]
    assert steps_to("elif@customers.example") == ["joined"]
    resolve(drive, incident, minutes=30)
    assert steps_to("elif@customers.example") == ["joined", "all-clear"]
    assert drive.mailbox.counts()[BRAM] == 2


def test_whom_two_parts_reach_is_not_called_a_mistake_when_the_other_part_is_cured(drive: Drive) -> None:
    node = make_company(1)
    other = Component.objects.create(external_id="node-9", kind="node", name="node-9")
    connect(other, first=1, last=1)
    incident = node_fails(drive)
    with travel(at(5)):
        widen_scope(incident, component_ids=[other.pk], actor="test")
        drive.settle()
        narrow_scope(incident.scopes.get(component=node), reason="mistaken", actor="test")
        drive.settle()
    assert Affected.objects.get().scope_id == incident.scopes.get(component=other).pk
    with travel(at(10)):
        narrow_scope(incident.scopes.get(component=other), reason="cured", actor="test")
        drive.settle()
    assert steps_to("c1@customers.example") == ["first-notice", "left-cured"]


def test_two_changes_of_the_list_at_one_moment_are_both_attended_to(cast: Cast, drive: Drive) -> None:
    incident = node_fails(drive)
    with travel(at(10)):
        for customer in (cast.bram, cast.dana):
            take_off_list(incident.pk, customer_ids=[customer.pk], state=Affected.State.CURED, now=at(10), actor="test")
            drive.settle()
    assert steps_to(BRAM) == steps_to("dana@customers.example") == ["first-notice", "left-cured"]
    assert Event.objects.filter(type="incident.customer_left").count() == 2


def test_who_left_just_before_it_was_over_still_gets_their_end(cast: Cast, drive: Drive) -> None:
    incident = node_fails(drive)
    with travel(at(10)):
        take_off_list(incident.pk, customer_ids=[cast.bram.pk], state=Affected.State.CURED, now=at(10), actor="test")
        resolve_incident(incident, reason="repaired", actor="test")
        drive.settle()
    assert steps_to(BRAM) == ["first-notice", "left-cured"]
    assert steps_to("dana@customers.example") == ["first-notice", "all-clear"]


def test_reopened_it_is_told_again_and_its_end_is_for_those_told_this_time(cast: Cast, drive: Drive) -> None:
    incident = node_fails(drive)
    resolve(drive, incident, minutes=10)
    with travel(at(20)):
        assert reopen_incident(incident, actor="test")
        drive.settle()
    assert steps_to(BRAM) == ["first-notice", "all-clear"]  # a fault that heals by itself troubles nobody
    resolve(drive, incident, minutes=21)
    assert steps_to(BRAM) == ["first-notice", "all-clear"]
    with travel(at(30)):
        assert reopen_incident(incident, actor="test")
        drive.settle()
        take_off_list(incident.pk, customer_ids=[cast.dana.pk], state=Affected.State.CURED, now=at(30), actor="test")
        drive.settle()
    with travel(at(33)):
        drive.settle()
    assert steps_to(BRAM) == ["first-notice", "all-clear", "first-notice"]
    assert steps_to("dana@customers.example") == ["first-notice", "all-clear"]
    resolve(drive, incident, minutes=40)
    assert steps_to(BRAM) == ["first-notice", "all-clear", "first-notice", "all-clear"]
    assert steps_to("dana@customers.example") == ["first-notice", "all-clear"]


def test_reopened_while_the_end_is_being_told_nobody_else_is_told_that_it_is_over(drive: Drive) -> None:
    make_company(300)
    incident = node_fails(drive)
    with travel(at(10)):
        resolve_incident(incident, reason="repaired", actor="test")
        drive.decide()
        drive.loop.step(wait=0)  # as many as the connections take
        reopen_incident(incident, actor="test")
        drive.settle()
    told_the_end = sum(times == 2 for times in drive.mailbox.counts().values())
    assert 0 < told_the_end < 300
    resolve(drive, incident, minutes=11)
    assert drive.mailbox.counts() == dict.fromkeys(addresses(300), 2)  # the others get their end now
