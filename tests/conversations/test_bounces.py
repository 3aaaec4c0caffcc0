"""What comes back of our mail: the message goes on by its next channel, and only an address at fault is held to it."""

from datetime import timedelta

import pytest
from django.test import Client

from beforehand.conversations.models import Incoming, MessageIn
from beforehand.customers.models import ContactPoint
from beforehand.events.models import Event
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.outbound.bounces import FORGIVEN_AFTER, forgive_addresses
from beforehand.outbound.models import Delivery, Message, MessageBatch
from tests.cast import Cast
from tests.console.conftest import at
from tests.conversations.conftest import Post

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def bounce(
    post: Post, customer: str, *, status: str = "5.1.1", said: str = "550 5.1.1 user unknown", action: str = "failed"
) -> bytes:
    """The report of a mail server that took our mail and could not bring it."""
    ours = post.told(customer, nth=-1)
    return (
        f"From: MAILER-DAEMON@mx.example\nTo: {ours['Reply-To']}\nSubject: Undelivered Mail Returned to Sender\n"
        'Return-Path: <>\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nI could not deliver it.\n"
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
        f"Final-Recipient: rfc822; {customer}@customers.example\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: smtp; {said}\n\n"
        f"--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: {ours['Message-ID']}\n\n--b--\n"
    ).encode()


def point_of(cast: Cast) -> ContactPoint:
    return ContactPoint.objects.get(customer=cast.bram, channel="email")


def message_to(cast: Cast) -> Message:
    return Message.objects.filter(customer_id=cast.bram.pk).latest("id")


def test_a_mail_that_comes_back_is_no_longer_said_to_have_arrived_and_casts_doubt_on_its_address(
    cast: Cast, outage: Incident, post: Post, agent: Client
) -> None:
    with travel(at(6)):
        post.comes_in(bounce(post, "bram"), bounce(post, "bram", said="550 5.1.1 no such user"))
        page = agent.get(f"/console/customers/{cast.bram.public_id}/").content.decode()
    message, point = message_to(cast), point_of(cast)
    assert (message.state, message.reason) == ("failed", "came_back_no_such_mailbox")
    delivery = Delivery.objects.get(message_id=message.id)
    assert (delivery.state, delivery.reported, delivery.enhanced) == ("undelivered", "undelivered", "5.1.1")
    assert (point.status, point.status_reason) == (
        "failing",
        "came_back_no_such_mailbox",
    )  # two reports of one mail: one doubt
    assert Event.objects.filter(type="message.failed", customer_id=cast.bram.pk).count() == 1
    assert "it came back, because this mailbox does not exist" in page
    assert not MessageIn.objects.exists()


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        ("5.2.2", "552 mailbox is full", "mailbox_full"),
        ("5.7.1", "550 rejected as spam", "taken_for_spam"),
        ("5.7.1", "550 policy of our company", "against_policy"),
        ("4.4.7", "delivery time expired", "server_not_reached"),
    ],
)
def test_a_full_mailbox_a_rule_or_a_filter_is_no_fault_of_the_address(
    status: str, said: str, reason: str, cast: Cast, outage: Incident, post: Post
) -> None:
    with travel(at(6)):
        post.comes_in(bounce(post, "bram", status=status, said=said))
    assert (message_to(cast).state, message_to(cast).reason) == ("failed", reason)
    assert point_of(cast).status == "working"


def test_a_delay_changes_nothing(cast: Cast, outage: Incident, post: Post) -> None:
    with travel(at(6)):
        post.comes_in(bounce(post, "bram", status="4.4.1", said="connection timed out", action="delayed"))
    assert (message_to(cast).state, point_of(cast).status) == ("sent", "working")
    assert Incoming.objects.get().kind == "delayed"


def test_after_a_bounce_the_message_goes_on_by_the_next_channel(
    cast: Cast, outage: Incident, post: Post, settings: object
) -> None:
    ContactPoint.objects.create(customer=cast.bram, channel="sms", address="+31612345678")
    MessageBatch.objects.update(channels=["email", "sms"])
    settings.SMS_GATEWAY = object()  # type: ignore[attr-defined]
    with travel(at(6)):
        post.comes_in(bounce(post, "bram"))
    message = message_to(cast)
    assert (message.channel, message.state) == ("sms", "queued")
    assert message.passed_over == [["email", "came_back_no_such_mailbox"]]
    assert Event.objects.filter(type="message.channel_changed", customer_id=cast.bram.pk).count() == 1


def test_a_second_mail_that_comes_back_ends_the_address_although_a_server_accepted_it_in_between(
    cast: Cast, outage: Incident, post: Post, agent: Client
) -> None:
    with travel(at(6)):
        post.comes_in(bounce(post, "bram"))
    with travel(at(70)):
        post.drive.settle()  # the next word is accepted by the server before them
        assert message_to(cast).state == "sent"
        assert point_of(cast).status == "failing"
        post.comes_in(bounce(post, "bram"))
        assert point_of(cast).status == "dead"
        answer = agent.post(f"/console/customers/{cast.bram.public_id}/addresses/{point_of(cast).pk}/")
        assert answer.status_code == 302
    assert (point_of(cast).status, point_of(cast).status_reason) == ("working", "")
    undone = Event.objects.get(type="customer.contact_point_status_set")
    assert (undone.actor, undone.customer_id) == (f"user:{cast.ester.pk}", cast.bram.pk)


def test_a_doubt_is_forgiven_once_a_later_mail_did_not_come_back(cast: Cast, outage: Incident, post: Post) -> None:
    with travel(at(6)):
        post.comes_in(bounce(post, "bram"))
    late = at(10) + FORGIVEN_AFTER
    assert forgive_addresses(now=late) == 0  # nothing was sent since
    with travel(at(70)):
        post.drive.settle()
    assert forgive_addresses(now=at(71)) == 0  # it may still come back
    assert forgive_addresses(now=late + timedelta(hours=2)) == 1
    assert point_of(cast).status == "working"
    assert Event.objects.filter(type="contact_point.recovered", customer_id=cast.bram.pk).count() == 1


def test_a_report_that_names_our_message_only_in_what_it_sends_back_is_understood(
    cast: Cast, outage: Incident, post: Post
) -> None:
    ours = post.told("bram")["Reply-To"].encode()
    with travel(at(6)):
        post.comes_in(bounce(post, "bram").replace(ours, b"service@company.example"))
    assert message_to(cast).state == "failed"


def test_a_report_on_a_mail_that_is_not_ours_changes_nothing(cast: Cast, outage: Incident, post: Post) -> None:
    ours = post.told("bram")
    with travel(at(6)):
        forged = bounce(post, "bram")
        for name in ("Reply-To", "Message-ID"):
            forged = forged.replace(ours[name].encode(), ours[name].replace(".", ".x", 2).encode())
        post.comes_in(forged)
    assert message_to(cast).state == "sent"
    assert (Incoming.objects.get().state, Incoming.objects.get().reason) == ("read", "not_ours")


def test_a_bounce_that_is_quicker_than_our_own_record_waits_for_it(cast: Cast, outage: Incident, post: Post) -> None:
    Delivery.objects.filter(message_id=message_to(cast).id).update(state="sending")
    with travel(at(6)):
        post.comes_in(bounce(post, "bram"))
        assert (Incoming.objects.get().state, message_to(cast).state) == ("waiting", "sent")
        Delivery.objects.filter(message_id=message_to(cast).id).update(state="accepted")
    with travel(at(7)):
        post.comes_in()
    assert message_to(cast).state == "failed"


def test_who_calls_it_spam_gets_no_more_mail_until_somebody_says_so(cast: Cast, outage: Incident, post: Post) -> None:
    ours = post.told("bram")
    complaint = (
        "From: fbl@provider.example\nTo: service@company.example\nSubject: FW\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nThis is an abuse report.\n"
        "--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: x\nVersion: 1\n\n"
        f"--b\nContent-Type: message/rfc822\n\nMessage-ID: {ours['Message-ID']}\nSubject: x\n\nBody\n--b--\n"
    )
    with travel(at(6)):
        post.comes_in(complaint.encode())
    assert (point_of(cast).status, point_of(cast).status_reason) == ("blocked", "complained")
    assert message_to(cast).state == "sent"  # it did arrive
