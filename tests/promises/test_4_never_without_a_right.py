"""Guarantee 4: judged when due and again when sent; every refusal is stored with its reason."""

from datetime import UTC, datetime

import pytest
from tests.cast import Cast
from tests.driving import Drive
from tests.promises.story import TOUCHED, at, node_fails, outage_playbook

from beforehand.customers.actions import record_consents
from beforehand.customers.models import ContactPoint, Customer
from beforehand.events.models import Event
from beforehand.kit.clock import travel
from beforehand.outbound.models import Message

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

NIGHT = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
BRAM = "bram@customers.example"


def objects(name: str, *, message_class: str, given: bool = False) -> None:
    answer = {"customer": name, "message_class": message_class, "channel": "email", "given": given}
    record_consents([{**answer, "wording": "May we?", "how": "form"}], actor="test", source="test")


def to(customer: Customer) -> Message:
    return Message.objects.get(customer_id=customer.pk)


def test_who_objected_is_not_told_and_the_reason_is_kept(people: Cast, worker: Drive) -> None:
    objects("bram", message_class="care")
    outage_playbook("care")
    node_fails(worker)
    assert worker.mailbox.counts() == dict.fromkeys(TOUCHED - {BRAM}, 1)
    assert (to(people.bram).state, to(people.bram).reason) == ("refused", "objected")
    assert Event.objects.get(type="message.refused").customer_id == people.bram.pk


def test_marketing_goes_only_to_who_asked_for_it(people: Cast, worker: Drive) -> None:
    objects("bram", message_class="marketing", given=True)
    outage_playbook("marketing")
    node_fails(worker)
    assert set(worker.mailbox.counts()) == {BRAM}
    assert set(Message.objects.exclude(state="sent").values_list("reason", flat=True)) == {"no_opt_in"}


def test_who_objects_while_the_message_waits_for_the_morning_is_not_told(people: Cast, worker: Drive) -> None:
    outage_playbook("care")
    node_fails(worker, since=NIGHT)
    assert to(people.bram).reason == "quiet_hours"
    objects("bram", message_class="care")
    with travel(at(10 * 60 + 10, since=NIGHT)):
        worker.settle()
    first = Message.objects.filter(customer_id=people.bram.pk).order_by("id")[0]
    assert (first.state, first.reason) == ("refused", "objected")
    assert BRAM not in worker.mailbox.counts()


def test_at_night_each_waits_for_the_morning_in_their_own_zone(people: Cast, worker: Drive) -> None:
    outage_playbook("service")
    node_fails(worker, since=NIGHT)  # 22:03 in London, 23:03 in Amsterdam and Casablanca, 03:33 in Kolkata
    assert worker.mailbox.accepted == []
    due = {name: to(getattr(people, name)).due_at for name in ("aisha", "bram", "chitra", "dana")}
    assert due == {
        "chitra": datetime(2026, 11, 24, 2, 30, tzinfo=UTC),
        "bram": datetime(2026, 11, 24, 7, 0, tzinfo=UTC),
        "aisha": datetime(2026, 11, 24, 7, 0, tzinfo=UTC),
        "dana": datetime(2026, 11, 24, 8, 0, tzinfo=UTC),
    }
    with travel(datetime(2026, 11, 24, 2, 30, tzinfo=UTC)):
        worker.deliver()
    assert set(worker.mailbox.counts()) == {"chitra@customers.example"}


def test_what_is_critical_does_not_wait_for_the_morning(worker: Drive) -> None:
    outage_playbook("service-critical")
    node_fails(worker, since=NIGHT)
    assert worker.mailbox.counts() == dict.fromkeys(TOUCHED, 1)


def test_who_was_erased_and_whose_address_is_dead_or_missing_is_not_written_to(people: Cast, worker: Drive) -> None:
    Customer.objects.filter(pk=people.aisha.pk).update(erased_at=at(0))
    ContactPoint.objects.filter(customer=people.bram).update(status="dead")
    ContactPoint.objects.filter(customer=people.chitra).delete()
    outage_playbook()
    node_fails(worker)
    assert set(worker.mailbox.counts()) <= {"dana@customers.example"}
    assert to(people.bram).reason == "address_dead"
    assert to(people.chitra).reason == "no_contact_point"
    aisha = Message.objects.filter(customer_id=people.aisha.pk).first()
    assert aisha is None or aisha.reason == "customer_erased"
