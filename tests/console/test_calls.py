"""Whom only a call reaches is on the list of whoever owns the incident, with what to say; told is who was reached."""

import uuid

import pytest
from django.test import Client

from beforehand.accounts.actions import create_token, set_setting
from beforehand.customers.models import ContactPoint, Customer
from beforehand.engine.playbooks.language import CalledFirst
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.events.models import Event
from beforehand.incidents.actions import reopen_incident, resolve_incident
from beforehand.incidents.models import Incident
from beforehand.incidents.untold import untold_counts, untold_ids, untold_page
from beforehand.insights.queries import incident_report
from beforehand.kit.clock import travel
from beforehand.outbound.delivery import DeliveryLoop
from beforehand.outbound.in_house import InHouseCourier
from beforehand.outbound.media import CallMedium
from beforehand.outbound.models import Delivery, Message
from beforehand.playbooks.actions import approve_version, push_version
from beforehand.playbooks.bundles import SHIPPED, read_bundle
from beforehand.playbooks.models import RunTask
from beforehand.promises.models import Promise
from tests.api.callers import Caller
from tests.cast import Cast
from tests.console.conftest import at
from tests.desk import Desk, speak_by
from tests.driving import Drive, alert, approve_shipped, outage_rule, post_webhook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


@pytest.fixture
def desk(cast: Cast, drive: Drive) -> Desk:
    """Bram has a telephone alone, Chitra a mobile alone, Aisha wears a care alarm and has all; Dana has a mail address."""
    ContactPoint.objects.filter(customer__in=[cast.bram, cast.chitra]).delete()
    ContactPoint.objects.create(customer=cast.bram, channel="phone", address="+31501234567")
    ContactPoint.objects.create(customer=cast.chitra, channel="sms", address="+919812345678")
    ContactPoint.objects.create(customer=cast.aisha, channel="phone", address="+212612345678")
    Customer.objects.filter(pk=cast.aisha.pk).update(priority="care_alarm")
    outage_rule(owner=cast.team, resolve_after_seconds=100_000)
    speak_by("[email, call]")
    return Desk(drive, DeliveryLoop(InHouseCourier(), worker=uuid.uuid4(), medium=CallMedium()))


@pytest.fixture
def calling(desk: Desk) -> Incident:
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        desk.settle()
    return Incident.objects.get()


def message_to(customer: Customer) -> Message:
    return Message.objects.filter(customer_id=customer.pk).latest("id")


def said(agent: Client, incident: Incident, customer: Customer, result: str, **more: str) -> int:
    data = {"call": f"{result}:{customer.pk}:{message_to(customer).id}", **more}
    return agent.post(f"/console/incidents/{incident.public_id}/could-not-tell/called/", data).status_code


def page(agent: Client, incident: Incident) -> str:
    return agent.get(f"/console/incidents/{incident.public_id}/could-not-tell/").content.decode()


def test_who_has_only_a_number_is_to_be_called_and_a_care_alarm_is_called_too_and_first(
    cast: Cast, calling: Incident
) -> None:
    bram, chitra, aisha = (message_to(one) for one in (cast.bram, cast.chitra, cast.aisha))
    assert [(one.channel, one.state, one.reason) for one in (bram, chitra)] == [("call", "refused", "to_be_called")] * 2
    assert bram.passed_over == [["email", "no_contact_point"]]
    assert (aisha.channel, aisha.state) == ("email", "sent"), "the mail goes out at once all the same"
    listed = untold_page(calling.pk, now=at(4), limit=10)
    assert next(one.external_id for one in listed) == "aisha"
    assert {one.external_id for one in listed} == {"aisha", "bram", "chitra"}
    assert untold_counts(calling.pk) == (2, 1)
    assert not Delivery.objects.filter(channel="call").exists(), "that it is on a list is no attempt"


def test_the_page_says_what_to_read_aloud_in_their_language_with_the_code_on_which_number_and_by_when(
    cast: Cast, calling: Incident, agent: Client
) -> None:
    with travel(at(4)):
        html = page(agent, calling)
    assert "No message reaches 2 customers." in html
    assert "1 care alarm is to be called as well" in html
    for customer, number in (
        (cast.bram, "+31501234567"),
        (cast.chitra, "+919812345678"),
        (cast.aisha, "+212612345678"),
    ):
        assert f"tel:{number}" in html
        assert message_to(customer).code in html
    assert "Internetstoring" in html
    assert 'lang="ar" dir="rtl"' in html
    assert at(63).isoformat() in html, "an hour, since the next word is due after that"
    assert at(18).isoformat() in html, "a care alarm in a quarter of an hour"
    assert "To be called: only a call reaches this customer" in html


def test_reached_counts_as_told_and_the_end_is_told_by_a_call_too(
    cast: Cast, calling: Incident, agent: Client, desk: Desk
) -> None:
    assert incident_report(calling, now=at(5)).told == 2
    with travel(at(10)):
        assert said(agent, calling, cast.bram, "reached", note="spoke to his wife") == 302
    bram = message_to(cast.bram)
    assert (bram.state, bram.channel, bram.reason, bram.ended_at) == ("sent", "call", "", at(10))
    call = Delivery.objects.get(message_id=bram.id)
    assert (call.channel, call.state, call.answer) == ("call", "delivered", "spoke to his wife")
    assert incident_report(calling, now=at(11)).told == 3
    assert cast.bram.pk not in untold_ids(calling.pk)
    event = Event.objects.get(type="message.delivered", customer_id=cast.bram.pk)
    assert (event.actor, event.data["channel"]) == (f"user:{cast.ester.pk}", "call")
    with travel(at(20)):
        post_webhook([alert(status="resolved", starts_at=at(0), ends_at=at(20))])
        desk.settle()
    assert message_to(cast.bram).id != bram.id
    assert message_to(cast.bram).reason == "to_be_called"
    assert message_to(cast.chitra).batch_id == bram.batch_id, "who was never told the beginning is not told the end"


def test_no_answer_comes_up_again_later_behind_the_others(cast: Cast, calling: Incident, agent: Client) -> None:
    with travel(at(10)):
        said(agent, calling, cast.aisha, "no answer")
        said(agent, calling, cast.bram, "no answer")
        html = page(agent, calling)
    assert "1 call, nobody answered." in html
    order = [one.external_id for one in untold_page(calling.pk, now=at(11), limit=10)]
    assert order == ["aisha", "chitra", "bram"], "a care alarm is first, whatever happened"
    bram = message_to(cast.bram)
    assert (bram.state, bram.reason, bram.reason_until) == ("refused", "no_answer", at(25))
    with travel(at(30)):
        said(agent, calling, cast.bram, "no answer")
    assert message_to(cast.bram).reason_until == at(60)
    assert [one.state for one in Delivery.objects.filter(message_id=bram.id)] == ["deferred", "deferred"]
    with travel(at(61)):
        said(agent, calling, cast.bram, "reached")
    assert message_to(cast.bram).state == "sent"


def test_a_wrong_number_is_dead_and_the_next_number_or_the_next_channel_has_its_turn(
    cast: Cast, calling: Incident, agent: Client, desk: Desk
) -> None:
    ContactPoint.objects.create(customer=cast.bram, channel="sms", address="+31612345678")
    with travel(at(10)):
        said(agent, calling, cast.bram, "wrong number")
    assert ContactPoint.objects.get(address="+31501234567").status == "dead"
    assert message_to(cast.bram).reason == "to_be_called"
    assert "tel:+31612345678" in page(agent, calling)
    ContactPoint.objects.create(customer=cast.bram, channel="email", address="bram@new.example")
    Message.objects.filter(customer_id=cast.bram.pk).update(passed_over=None)
    with travel(at(11)):
        said(agent, calling, cast.bram, "wrong number")
        desk.settle()
    assert (message_to(cast.bram).channel, message_to(cast.bram).state) == ("email", "sent")
    with travel(at(12)):
        said(agent, calling, cast.chitra, "wrong number")
    chitra = message_to(cast.chitra)
    assert (chitra.state, chitra.reason) == ("failed", "wrong_number")
    assert cast.chitra.pk in untold_ids(calling.pk), (
        "no number is left, so she stays on the list for a letter or a visit"
    )


def test_a_mail_that_bounces_leads_to_a_call(
    cast: Cast, desk: Desk, agent: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ContactPoint.objects.create(customer=cast.dana, channel="phone", address="+447911123456")
    ContactPoint.objects.filter(address="dana@customers.example").update(address="no address at all")
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        desk.settle()
    dana = message_to(cast.dana)
    assert (dana.channel, dana.state, dana.reason) == ("call", "refused", "to_be_called")
    assert dana.passed_over == [["email", "address_refused"]]


def test_the_owners_have_a_task_until_the_list_is_empty(cast: Cast, calling: Incident, agent: Client) -> None:
    task = RunTask.objects.get(step="calls")
    assert (task.team, task.due_at) == (cast.team, at(63))
    assert Promise.objects.filter(state="open").exists(), "what is promised does not wait for the calls"
    with travel(at(10)):
        for customer in (cast.bram, cast.chitra):
            said(agent, calling, customer, "reached")
        task.refresh_from_db()
        assert task.done_at is None, "the care alarm has not been called yet"
        said(agent, calling, cast.aisha, "reached")
    task.refresh_from_db()
    assert (task.done_at, task.done_by) == (at(10), cast.ester)
    assert untold_counts(calling.pk) == (0, 0)


def test_a_call_is_noted_once_and_only_by_who_may(cast: Cast, calling: Incident, agent: Client, viewer: Client) -> None:
    assert said(viewer, calling, cast.bram, "reached") == 403
    assert said(Client(), calling, cast.bram, "reached") == 302
    for data in ("", "reached", "reached:x:1", f"reached:{cast.dana.pk}:{message_to(cast.dana).id}", "shouted:1:1"):
        agent.post(f"/console/incidents/{calling.public_id}/could-not-tell/called/", {"call": data})
    agent.post(
        f"/console/incidents/{calling.public_id}/could-not-tell/called/",
        {"call": f"reached:{cast.bram.pk}:{message_to(cast.dana).id}"},
    )
    assert not Delivery.objects.filter(channel="call").exists()
    for _ in range(2):
        said(agent, calling, cast.bram, "reached")
    assert Delivery.objects.filter(channel="call").count() == 1


def test_nobody_is_put_on_the_list_in_their_quiet_hours(cast: Cast, desk: Desk) -> None:
    speak_by("[email, call]", message_class="service")
    Customer.objects.filter(pk=cast.bram.pk).update(quiet_from="10:00", quiet_until="13:00")
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        desk.settle()
    incident = Incident.objects.get()
    assert (message_to(cast.bram).state, message_to(cast.bram).reason) == ("queued", "quiet_hours")
    assert cast.bram.pk not in untold_ids(incident.pk)
    with travel(at(125)):
        desk.settle()
    first = Message.objects.filter(customer_id=cast.bram.pk).earliest("id")
    assert (first.state, first.reason) == ("refused", "to_be_called")
    assert cast.bram.pk in untold_ids(incident.pk), "that there was nothing new since takes nobody off the list"


def test_a_call_is_noted_over_the_api_too(cast: Cast, calling: Incident) -> None:
    caller = Caller(create_token(name="desk", scopes=["incidents:read", "incidents:write"], actor="test")[1])
    base = f"/api/v1/incidents/{calling.public_id}/could-not-tell"
    bram = next(one for one in caller.get(base).json()["items"] if one["customer"] == "bram")
    assert (bram["reason"], bram["message"]) == ("to_be_called", message_to(cast.bram).id)
    call = {"customer": "bram", "message": bram["message"], "result": "no answer"}
    with travel(at(10)):
        assert caller.post(f"{base}/called", call).json() == {"told": False, "call_again_at": at(25).isoformat()}
    assert caller.post(f"{base}/called", {**call, "message": bram["message"] + 1}).status_code == 404
    assert caller.post(f"{base}/called", {**call, "customer": "dana"}).status_code == 404
    assert caller.post(f"{base}/called", {**call, "result": "reached"}).json()["told"] is True
    assert message_to(cast.bram).state == "sent"


# At a pace


def task_titles() -> list[str]:
    return list(RunTask.objects.filter(step="calls", done_at=None).values_list("title", flat=True))


def paced(desk: Desk, *, at_once: int) -> Incident:
    set_setting(key="calls.open_at_once", value=at_once, actor="test")
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        desk.settle()
    return Incident.objects.get()


def reasons(*customers: Customer) -> list[str]:
    return [message_to(one).reason for one in customers]


def test_a_team_is_asked_for_so_many_calls_at_once_and_the_others_wait_for_their_turn(
    cast: Cast, desk: Desk, agent: Client
) -> None:
    incident = paced(desk, at_once=2)  # the care alarm is one of them
    assert sorted(reasons(cast.bram, cast.chitra)) == ["call_waits", "to_be_called"]
    first, second = sorted((cast.bram, cast.chitra), key=lambda one: message_to(one).reason, reverse=True)
    listed = untold_page(incident.pk, now=at(5), limit=10)
    assert [one.customer_id for one in listed] == [cast.aisha.pk, first.pk, second.pk]
    with travel(at(5)):
        html = page(agent, incident)
        assert "its turn has not come" in html
        assert message_to(first).code in html
        assert message_to(second).code not in html, "nobody is to call yet, so nothing is to be read aloud"
        said(agent, incident, first, "reached")
    assert reasons(second) == ["to_be_called"]
    assert Event.objects.filter(type="run.calls_opened").count() == 2


def test_what_waits_longer_than_was_agreed_stands_with_those_to_be_called_now(
    cast: Cast, desk: Desk, agent: Client
) -> None:
    incident = paced(desk, at_once=1)
    assert reasons(cast.bram, cast.chitra) == ["call_waits"] * 2
    assert [one.rank for one in untold_page(incident.pk, now=at(62), limit=10)] == [0, 3, 3]
    assert [one.waits_its_turn for one in untold_page(incident.pk, now=at(63.1), limit=10)] == [False] * 3


def test_a_care_alarm_never_waits_and_a_team_has_one_pace_over_all_its_incidents(cast: Cast, desk: Desk) -> None:
    Customer.objects.filter(pk=cast.bram.pk).update(priority="care_alarm")
    paced(desk, at_once=1)
    assert reasons(cast.bram, cast.chitra) == ["to_be_called", "call_waits"]


def test_without_a_pace_all_are_asked_for_at_once(cast: Cast, desk: Desk) -> None:
    paced(desk, at_once=0)
    assert reasons(cast.bram, cast.chitra) == ["to_be_called"] * 2


def test_the_task_is_done_when_the_last_one_was_told_some_other_way(
    cast: Cast, calling: Incident, agent: Client, desk: Desk
) -> None:
    with travel(at(10)):
        told = {"how": "visit", "whom": "everyone"}
        agent.post(f"/console/incidents/{calling.public_id}/could-not-tell/told/", told)
        assert untold_ids(calling.pk) == []
        desk.settle()
    assert RunTask.objects.get(step="calls").done_at == at(10)


# Called first


@pytest.fixture
def alarm(cast: Cast, drive: Drive) -> Incident:
    """The shipped playbook; Aisha wears a care alarm, and has a mail address and a telephone."""
    ContactPoint.objects.create(customer=cast.aisha, channel="phone", address="+212612345678")
    Customer.objects.filter(pk=cast.aisha.pk).update(priority="care_alarm")
    outage_rule(owner=cast.team, resolve_after_seconds=100_000)
    approve_shipped()
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    return Incident.objects.get()


def test_in_an_outage_a_care_alarm_is_written_to_and_called(cast: Cast, alarm: Incident, drive: Drive) -> None:
    assert message_to(cast.aisha).state == "sent"
    (line,) = untold_page(alarm.pk, now=at(4), limit=10)
    assert (line.customer_id, line.reason) == (cast.aisha.pk, "care_alarm")
    task = RunTask.objects.get(step="calls")
    assert (task.title, task.team, task.due_at) == ("Call the customers who wear a care alarm", cast.team, at(18))


def test_once_while_it_lasts_and_again_when_it_breaks_again(
    cast: Cast, alarm: Incident, drive: Drive, agent: Client
) -> None:
    with travel(at(10)):
        said(agent, alarm, cast.aisha, "reached")
        drive.settle()
    assert untold_ids(alarm.pk) == []
    with travel(at(60)):
        drive.settle()
    assert message_to(cast.aisha).batch_id != Message.objects.filter(customer_id=cast.aisha.pk).earliest("id").batch_id
    assert untold_ids(alarm.pk) == [], "the next word says nothing that she must be called for"
    assert task_titles() == []
    with travel(at(70)):
        resolve_incident(alarm, reason="repaired", actor="noor")
        drive.settle()
    with travel(at(75)):
        reopen_incident(Incident.objects.get(), actor="noor")
        drive.settle()
    with travel(at(79)):
        drive.settle()
    assert untold_ids(alarm.pk) == [cast.aisha.pk]
    assert task_titles() == ["Call the customers who wear a care alarm"]


@pytest.mark.parametrize("slug", ["outage", "degraded-service", "planned-maintenance"])
def test_the_playbooks_about_a_service_call_care_alarms_first(slug: str) -> None:
    source, _texts = read_bundle(SHIPPED / slug)
    assert parse_playbook(source).call_first is CalledFirst.CARE_ALARMS


def test_who_sleeps_is_called_in_the_morning_when_their_message_has_come(cast: Cast, desk: Desk, drive: Drive) -> None:
    source, texts = read_bundle(SHIPPED / "outage")
    source = source.replace("class: service-critical", "class: service")
    approve_version(push_version(source=source, texts=texts, actor="t"), user=None, actor="t")
    Customer.objects.filter(pk=cast.aisha.pk).update(quiet_from="09:00", quiet_until="13:00", time_zone="UTC")
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    incident = Incident.objects.get()
    assert cast.aisha.pk not in untold_ids(incident.pk)
    task = RunTask.objects.get(step="calls")
    assert task.due_at > at(180)
    with travel(at(180.1)):
        drive.settle()
    assert cast.aisha.pk in untold_ids(incident.pk)
