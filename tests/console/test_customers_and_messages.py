"""A customer's page shows all of it; each message says why, or why not."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from beforehand.console import reasons
from beforehand.customers.actions import record_consents
from beforehand.customers.models import Customer
from beforehand.engine.retries import RetryReason
from beforehand.engine.sending import SendingReason
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.outbound.models import Message
from tests.cast import Cast
from tests.console.conftest import at, bring_about_outage
from tests.driving import Drive

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def page_of(customer: Customer) -> str:
    return f"/console/customers/{customer.public_id}/"


def message_page(customer: Customer) -> str:
    message = Message.objects.filter(customer_id=customer.pk).order_by("id").first()
    assert message is not None
    return f"/console/messages/{message.bucket}/{message.id}/"


@pytest.mark.parametrize("text", ["Bram de", "bram@customers", "bram", "BRAM"])
def test_a_customer_is_found_by_name_number_or_address(text: str, agent: Client, cast: Cast) -> None:
    page = agent.get("/console/customers/", {"q": text}).content.decode()
    if text == "BRAM" or text.startswith(("Bram", "bram")):
        assert "Bram de Vries" in page
    assert "Elif Kaya" not in page


def test_a_search_that_finds_nobody_says_what_to_try(agent: Client, cast: Cast) -> None:
    assert "Nobody found" in agent.get("/console/customers/", {"q": "zeno"}).content.decode()


def test_a_search_as_one_types_fetches_the_list_alone(agent: Client, cast: Cast) -> None:
    headers = {"HX-Request": "true", "HX-Target": "found"}
    page = agent.get("/console/customers/", {"q": "bram"}, headers=headers).content.decode()
    assert "Bram de Vries" in page
    assert "<html" not in page


def test_one_page_shows_all_of_one_customer(agent: Client, cast: Cast, outage: Incident) -> None:
    record_consents(
        [
            {
                "customer": "bram", "message_class": "marketing", "channel": "email", "given": False,
                "wording": "May we send you offers?", "how": "telephone", "answered_at": "2026-03-01T10:00:00Z",
            }
        ],
        actor="test", source="test",
    )  # fmt: skip
    with travel(at(4)):
        page = agent.get(page_of(cast.bram)).content.decode()
    for said in (
        "Bram de Vries", "bram@customers.example", "informal", "Europe/Amsterdam",  # who, how
        "Fibre 500", "Kerkstraat 12", "Node 7",  # what they own, on what it depends
        "Fibre node down", "We promised the next word by", "data-countdown",  # what is wrong, what we promised
        "May we send you offers?", "telephone",  # what they allowed, how
        "Touched by an incident", "first-notice", "Sent: the customer&#x27;s mail provider accepted it.",  # one timeline
    ):  # fmt: skip
        assert said in page, said


def test_a_customer_whom_nothing_touches_is_told_apart(agent: Client, cast: Cast, outage: Incident) -> None:
    assert "Nothing is wrong for this customer now." in agent.get(page_of(cast.elif_)).content.decode()


def test_the_timeline_goes_on_without_a_gap_or_a_repeat(
    agent: Client, cast: Cast, outage: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = agent.get(f"{page_of(cast.bram)}timeline/").content.decode()
    monkeypatch.setattr("beforehand.console.customers.PAGE", 1)
    seen, where = 0, f"{page_of(cast.bram)}timeline/"
    for _turn in range(20):
        part = agent.get(where).content.decode()
        seen += part.count('class="entry')
        if "?before=" not in part:
            break
        where = f"{page_of(cast.bram)}timeline/?before={part.split('?before=')[1].split(chr(34))[0]}"
    assert seen == whole.count('class="entry')
    assert seen > 0


def test_how_we_speak_to_a_customer_is_changed(agent: Client, cast: Cast) -> None:
    typed = {
        "salutation": "Beste Bram", "form_of_address": "informal", "language": "en", "time_zone": "Asia/Kolkata",
        "quiet_from": "21:00", "quiet_until": "07:30", "priority": "care_alarm", "rhythm": "only_changes",
    }  # fmt: skip
    assert agent.post(f"{page_of(cast.bram)}change/", typed).status_code == 302
    bram = Customer.objects.get(pk=cast.bram.pk)
    assert (bram.language, bram.time_zone, str(bram.quiet_from), bram.priority) == (
        "en", "Asia/Kolkata", "21:00:00", "care_alarm",
    )  # fmt: skip
    page = agent.get(page_of(bram)).content.decode()
    assert "Changed by Ester" in page
    assert "care alarm" in page


def test_a_change_that_cannot_be_says_at_its_field_what_is_wrong(agent: Client, cast: Cast) -> None:
    typed = {
        "form_of_address": "formal", "language": "not a language", "time_zone": "Europe/Amsterdam", "priority": "normal",
    }  # fmt: skip
    answer = agent.post(f"{page_of(cast.bram)}change/", typed)
    assert answer.status_code == 200
    assert "field-error" in answer.content.decode()
    assert Customer.objects.get(pk=cast.bram.pk).language == "nl"


def test_a_message_shows_why_the_mail_and_every_attempt(agent: Client, cast: Cast, outage: Incident) -> None:
    where = message_page(cast.aisha)
    with travel(at(5)):
        page = agent.get(where).content.decode()
    assert "Because “Fibre node down” touches Fibre 500, Kerkstraat 12." in page
    assert "Fibre 500, Kerkstraat 12 depends on Node 7." in page
    assert "Step “first-notice” of the playbook “outage”, version 1." in page
    assert "accepted by the provider" in page
    mail = agent.get(f"{where}mail/")
    assert 'dir="rtl"' in mail.content.decode()
    assert "عائشة" in mail.content.decode()
    assert mail["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


def test_no_page_of_ours_shows_a_working_key_to_a_customers_page(agent: Client, cast: Cast, outage: Incident) -> None:
    mail = agent.get(f"{message_page(cast.bram)}mail/").content.decode()
    assert 'href="http://testserver.example/my/"' in mail


def test_the_list_says_why_and_why_not(agent: Client, cast: Cast, drive: Drive) -> None:
    cast.chitra.contact_points.all().delete()
    outage = bring_about_outage(cast, drive)
    for where in ("/console/messages/", f"/console/messages/?incident={outage.public_id}"):
        page = agent.get(where).content.decode()
        assert page.count("Sent: the customer") == 3
        assert "Not sent: we have no address or number of this customer for this channel." in page
    refused = agent.get("/console/messages/?state=refused").content.decode()
    assert "Bram" not in refused
    assert "चित्रा" in refused


def test_a_list_of_messages_goes_on_page_by_page(
    agent: Client, outage: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beforehand.console.messages.PAGE", 1)
    for start in ("/console/messages/?", f"/console/messages/?incident={outage.public_id}&"):
        seen, cursor = [], ""
        for _turn in range(6):
            page = agent.get(f"{start}cursor={cursor}").content.decode()
            rows = page.split("<tbody>")[1].split("</tbody>")[0]
            seen.append(rows.split('href="')[1].split('"')[0])
            if 'rel="next"' not in page:
                break
            cursor = page.split("cursor=")[-1].split('"')[0].split("&")[0]
        assert len(seen) == len(set(seen)) == 4


def test_quiet_hours_are_said_in_the_customers_zone() -> None:
    message = Message(
        state="queued", reason="quiet_hours", reason_until=datetime(2026, 11, 24, 2, 30, tzinfo=UTC),
        due_at=datetime(2026, 11, 24, 2, 30, tzinfo=UTC), time_zone="Asia/Kolkata",
    )  # fmt: skip
    with travel(datetime(2026, 11, 23, 20, 0, tzinfo=UTC)):
        said = reasons.outcome(message)
    assert "quiet hours until" in said
    assert "08:00" in said or "8:00" in said
    assert "Asia/Kolkata" in said


def test_every_reason_for_not_sending_has_a_sentence_of_its_own() -> None:
    waits = {SendingReason.ALLOWED, RetryReason.PUT_OFF}
    known = [one.value for one in (*SendingReason, *RetryReason) if one not in waits]
    known += [
        "template_error",
        "address_refused",
        "unreachable",
        "uncertain",
        "no_longer_affected",
        "resolved",
        "cancelled",
    ]
    sentences = {reason: reasons.not_sent(reason, "refused") for reason in known}
    assert len(set(sentences.values())) == len(sentences)
    for reason, sentence in sentences.items():
        assert f"({reason})" not in sentence  # the shape of what has no words of its own
        assert sentence.endswith(".")
    assert reasons.not_sent("brand_new", "refused") == "Not sent (brand_new)."


def test_a_held_message_says_who_holds_it_back() -> None:
    message = Message(state="queued", reason="", due_at=at(0) + timedelta(hours=1), time_zone="UTC")
    assert "held back (too many complaints)" in reasons.outcome(
        message, batch_state="held", held_because="too many complaints"
    )


def test_an_unknown_message_is_not_there(agent: Client, cast: Cast, drive: Drive) -> None:
    assert agent.get("/console/messages/3/99/").status_code == 404
    assert agent.get("/console/messages/?incident=nonsense").status_code == 404
