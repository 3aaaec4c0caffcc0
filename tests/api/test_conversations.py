"""Conversations over the API: what customers wrote, cut into pages that hold still, and each whole with what we had said."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from beforehand.conversations.models import MessageIn
from beforehand.customers.erasure import erase_customer
from beforehand.customers.models import Customer
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.kit.ids import bucket_of
from beforehand.outbound.models import Message, MessageBatch
from tests.api.callers import Caller, problem
from tests.api.test_nouns import V1, ok, open_incident
from tests.cast import Cast, make_cast

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


@pytest.fixture
def incident(caller: Caller, cast: Cast) -> Incident:
    return Incident.objects.get(public_id=open_incident(caller)["id"])


def writes(customer: Customer, text: str, *, minute: int, about: Incident | None = None, **more: Any) -> MessageIn:
    return MessageIn.objects.create(
        customer_id=customer.pk,
        channel="email",
        kind=more.pop("kind", "written"),
        origin=origin_of(about.pk) if about else "",
        matched_by="sender",
        is_known_sender=True,
        sender=f"{customer.external_id}@customers.example",
        foreign_id=uuid4().hex,
        text=f"{text}\n> Storing",
        new_text=text,
        received_at=START + timedelta(minutes=minute),
        **more,
    )


def told(customer: Customer, *, about: Incident, minute: int) -> Message:
    batch = MessageBatch.objects.create(
        effect_key=uuid4().hex,
        origin=origin_of(about.pk),
        sequence=1,
        step="first-notice",
        audience="affected",
        message_class="service-critical",
        texts={},
        decided_at=START,
    )
    at = START + timedelta(minutes=minute)
    return Message.objects.create(
        bucket=bucket_of(customer.pk), batch_id=batch.pk, customer_id=customer.pk, channel="email", language="nl",
        time_zone="Europe/Amsterdam", code="ABCD-EFGH", state="sent", due_at=at, ended_at=at,
    )  # fmt: skip


def test_what_one_customer_wrote_about_one_thing_is_one_conversation(
    caller: Caller, cast: Cast, incident: Incident
) -> None:
    first = writes(cast.bram, "Het werkt niet.", minute=1, about=incident)
    writes(cast.bram, "Nog steeds niet.", minute=9, about=incident)
    writes(cast.bram, "Ik ben weg.", minute=10, about=incident, kind="auto_reply")
    writes(cast.bram, "Mijn rekening?", minute=3)
    writes(cast.dana, "No internet.", minute=4, about=incident, handled_at=START)
    found = ok(caller.get(f"{V1}/conversations"))["items"]
    assert [(one["customer"], one["incident"], one["messages"], one["waiting"]) for one in found] == [
        ("dana", str(incident.public_id), 1, 0),
        ("bram", None, 1, 1),
        ("bram", str(incident.public_id), 3, 2),
    ]
    whole = found[-1]
    assert whole["id"] == str(first.public_id)
    assert (datetime.fromisoformat(whole["began_at"]), datetime.fromisoformat(whole["last_at"])) == (
        START + timedelta(minutes=1),
        START + timedelta(minutes=10),
    )


def test_they_are_found_by_customer_by_incident_and_by_what_waits(
    caller: Caller, cast: Cast, incident: Incident
) -> None:
    writes(cast.bram, "a", minute=1, about=incident)
    writes(cast.dana, "b", minute=2, about=incident, handled_at=START)
    writes(cast.bram, "c", minute=3, handled_at=START)

    def whose(query: str) -> list[tuple[str, bool]]:
        items = ok(caller.get(f"{V1}/conversations?{query}"))["items"]
        return [(one["customer"], one["incident"] is not None) for one in items]

    assert whose("customer=bram") == [("bram", False), ("bram", True)]
    assert whose(f"customer={cast.dana.public_id}") == [("dana", True)]
    assert whose(f"incident={incident.public_id}") == [("dana", True), ("bram", True)]
    assert whose("waiting=true") == [("bram", True)]
    assert whose("waiting=false") == [("bram", False), ("dana", True)]
    assert problem(caller.get(f"{V1}/conversations?customer=nobody"), 404)["code"] == "not_found"
    assert problem(caller.get(f"{V1}/conversations?incident={uuid4()}"), 404)["code"] == "not_found"
    assert problem(caller.get(f"{V1}/conversations?state=open"), 422)["errors"][0]["parameter"] == "state"


def test_pages_hold_still_while_customers_go_on_writing(caller: Caller, cast: Cast, incident: Incident) -> None:
    for customer in cast.touched:
        writes(customer, "a", minute=1, about=incident)
    first = ok(caller.get(f"{V1}/conversations?limit=2"))
    writes(cast.aisha, "b", minute=5, about=incident)
    writes(cast.dana, "c", minute=6)
    second = ok(caller.get(f"{V1}/conversations?limit=2&cursor={first['next']}"))
    assert [one["customer"] for one in first["items"] + second["items"]] == ["dana", "chitra", "bram", "aisha"]
    assert second["items"][-1]["messages"] == 2
    assert second["next"] is None
    other = ok(caller.get(f"{V1}/customers?limit=1"))["next"]
    assert problem(caller.get(f"{V1}/conversations?cursor={other}"), 422)["errors"][0]["code"] == "bad_cursor"


def test_one_conversation_holds_what_both_said_in_order(caller: Caller, cast: Cast, incident: Incident) -> None:
    ours = told(cast.bram, about=incident, minute=0)
    wrote = writes(
        cast.bram, "Het werkt.", minute=4, about=incident, answers_bucket=ours.bucket, answers_id=ours.id,
        attachments=["foto.jpg"], subject="Re: Storing", language="nl",
    )  # fmt: skip
    writes(cast.bram, "Mijn rekening?", minute=5)
    whole = ok(caller.get(f"{V1}/conversations/{wrote.public_id}"))
    assert (whole["customer"], whole["messages"]) == ("bram", 1)
    said, written = whole["thread"]
    assert said == {
        "direction": "out",
        "id": f"{ours.bucket}-{ours.id}",
        "channel": "email",
        "state": "sent",
        "reason": "",
        "at": said["at"],
        "language": "nl",
    }
    assert (written["direction"], written["answers"], written["new_text"]) == ("in", said["id"], "Het werkt.")
    assert (written["text"], written["attachments"], written["handled_at"]) == (
        "Het werkt.\n> Storing",
        ["foto.jpg"],
        None,
    )


def test_a_conversation_goes_by_its_first_message_alone(caller: Caller, cast: Cast) -> None:
    writes(cast.bram, "a", minute=1)
    later = writes(cast.bram, "b", minute=2)
    for name in (later.public_id, uuid4()):
        assert problem(caller.get(f"{V1}/conversations/{name}"), 404)["code"] == "not_found"
    assert problem(caller.get(f"{V1}/conversations/x"), 422)["code"] == "invalid"


def test_who_may_read_messages_may_not_therefore_read_what_customers_wrote(
    caller_with: Callable[..., Caller], stranger: Caller, cast: Cast
) -> None:
    wrote = writes(cast.bram, "Geheim", minute=1)
    for path in ("conversations", f"conversations/{wrote.public_id}"):
        assert problem(caller_with("messages:read").get(f"{V1}/{path}"), 403)["code"] == "scope_missing"
        problem(stranger.get(f"{V1}/{path}"), 401)
        ok(caller_with("conversations:read").get(f"{V1}/{path}"))


def test_of_whom_is_erased_the_conversation_stays_without_a_word(caller: Caller, cast: Cast) -> None:
    wrote = writes(cast.bram, "Geheim", minute=1)
    erase_customer(cast.bram.pk, reason="asked us to", actor="test", is_forced=True)
    response = caller.get(f"{V1}/conversations/{wrote.public_id}")
    assert ok(response)["messages"] == 1
    assert b"Geheim" not in response.content
    assert b"bram@" not in response.content


def test_a_long_list_asks_no_more_than_a_short_one(caller: Caller, cast: Cast, incident: Incident) -> None:
    def counted() -> int:
        with CaptureQueriesContext(connection) as queries:
            ok(caller.get(f"{V1}/conversations"))
        return len(queries)

    writes(cast.bram, "a", minute=1, about=incident)
    counted()
    before = counted()
    for number in range(12):
        writes(cast.touched[number % 4], "b", minute=number, about=incident if number % 2 else None)
    assert counted() == before
