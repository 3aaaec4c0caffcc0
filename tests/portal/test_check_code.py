"""“Is this message really from us?”: yes with what it was, or one and the same no; and nobody guesses."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.test import Client

from beforehand.customers.models import ContactPoint, Customer
from beforehand.engine.message_classes import MessageClass
from beforehand.engine.thread_ids import CODE_ALPHABET, check_character
from beforehand.incidents.affected import origin_of
from beforehand.kit import clock
from beforehand.kit.ids import bucket_of
from beforehand.outbound.actions import create_batch
from beforehand.outbound.models import Message
from beforehand.portal.pace import AN_ADDRESS, IN_ALL, Guard
from tests.cast import Cast
from tests.portal.conftest import START, outage
from tests.portal.pages import Page, reads_only

Browser = Callable[..., Client]
OURS = "7K2M-9QX"
CODE = OURS + check_character(OURS.replace("-", ""))


def told(customer: Customer, *, origin: str = "incident:0", **changes: object) -> Message:
    """A message that this customer got."""
    batch, _ = create_batch(
        effect_key=f"test:{customer.pk}:{changes.get('state', 'sent')}",
        origin=origin,
        step="first-notice",
        audience="affected",
        message_class=MessageClass.SERVICE_CRITICAL,
        channels=["email"],
        texts={"en": "---\nsubject: x\n---\nx"},
        fallback_language="en",
        facts={},
        next_update_at=None,
        why={},
        decided_at=START,
        actor="test",
    )
    return Message.objects.create(
        **{
            "bucket": bucket_of(customer.pk),
            "batch_id": batch.pk,
            "customer_id": customer.pk,
            "channel": "email",
            "contact_point_id": ContactPoint.objects.get(customer=customer).pk,
            "language": customer.language,
            "time_zone": customer.time_zone,
            "code": CODE,
            "state": Message.State.SENT,
            "due_at": START,
            "created_at": START,
            "ended_at": START,
            **changes,
        }
    )


@pytest.fixture
def asks(cast: Cast) -> Callable[..., HttpResponse]:
    """Type a code into the page, as a browser does: the page first, then the form with its token."""

    def ask(code: str, language: str = "en", address: str = "192.0.2.1", path: str = "/check") -> HttpResponse:
        client = Client(headers={"accept-language": language}, enforce_csrf_checks=True, REMOTE_ADDR=address)
        page = Page(client.get(path).content.decode())
        token = next(a["value"] for _tag, a in page.elements if a.get("name") == "csrfmiddlewaretoken")
        answer: object = client.post(path, {"code": code, "csrfmiddlewaretoken": token})
        assert isinstance(answer, HttpResponse)
        return answer

    return ask


@pytest.mark.parametrize(("language", "direction"), [("en", "ltr"), ("nl", "ltr"), ("ar", "rtl"), ("hi", "ltr")])
@pytest.mark.parametrize("path", ["/check", "/check/"])
def test_the_page_asks_in_the_readers_language(
    cast: Cast, browser: Browser, path: str, language: str, direction: str
) -> None:
    page = Page(browser(language).get(path).content.decode())
    assert page.first("html")["lang"] == language
    assert page.first("html")["dir"] == direction
    assert page.has(name="code", dir="ltr")


@pytest.mark.parametrize("typed", [CODE, CODE.lower(), CODE.replace("-", ""), f"  {CODE.replace('-', ' ')} "])
def test_a_code_of_ours_is_known_however_it_is_typed(cast: Cast, asks: Callable[..., HttpResponse], typed: str) -> None:
    told(cast.dana, origin=origin_of(outage(cast).pk))
    words = Page(asks(typed).content.decode()).words
    assert "Yes, we sent this message" in words
    assert "an urgent message about your service" in words
    assert "outage" in words
    assert "11:00" in words
    assert "d•••@c…" in words


def test_the_answer_tells_nothing_of_the_person(cast: Cast, asks: Callable[..., HttpResponse]) -> None:
    told(cast.dana, origin=origin_of(outage(cast).pk), slots={"customer.name": "Dana O'Neill", "holding": "Fibre 500"})
    html = asks(CODE).content.decode()
    assert "Yes, we sent" in html
    for secret in ("Dana", "O&#x27;Neill", "dana@", "customers.example", "Fibre", "Internet outage", "/my/"):
        assert secret not in html


def wrong_codes() -> list[str]:
    swapped = CODE[1] + CODE[0] + CODE[2:]
    misspelt = ("8" if CODE[0] != "8" else "9") + CODE[1:]
    another = "ABCD-EFG" + check_character("ABCDEFG")
    return [swapped, misspelt, another, "hello", "١٢٣٤٥٦٧٨", "' OR 1=1 --", "<script>", "\x00" * 8]


def test_every_code_that_is_none_gets_one_and_the_same_answer(cast: Cast, asks: Callable[..., HttpResponse]) -> None:
    told(cast.dana)
    answers = [asks(typed, address=f"192.0.2.{at}") for at, typed in enumerate(wrong_codes())]
    assert {answer.status_code for answer in answers} == {200}
    said = [Page(answer.content.decode()) for answer in answers[:-1]]
    for page in said:
        assert "We know no such message" in page.words
        assert "+31 50 123 45 67" in page.words
    assert len({page.words for page in said}) == 1


@pytest.mark.parametrize(
    ("state", "is_known"),
    [("sent", True), ("queued", True), ("uncertain", True), ("failed", True), ("refused", False), ("cancelled", False)],
)
def test_a_message_that_never_left_is_not_known(
    cast: Cast, asks: Callable[..., HttpResponse], state: str, is_known: bool
) -> None:
    told(cast.dana, state=state)
    assert ("Yes, we sent" in asks(CODE).content.decode()) is is_known


def test_two_messages_that_share_a_code_are_both_named(cast: Cast, asks: Callable[..., HttpResponse]) -> None:
    told(cast.dana)
    told(cast.bram)
    words = Page(asks(CODE).content.decode()).words
    assert "d•••@c…" in words
    assert "b•••@c…" in words


def test_an_erased_recipient_leaves_no_trace(cast: Cast, asks: Callable[..., HttpResponse]) -> None:
    told(cast.dana)
    ContactPoint.objects.all().delete()
    words = Page(asks(CODE).content.decode()).words
    assert "Yes, we sent" in words
    assert "@" not in words


def test_typing_nothing_or_a_whole_letter_is_told_beside_the_field(
    cast: Cast, asks: Callable[..., HttpResponse]
) -> None:
    assert "Type the code that stands in the message." in asks("").content.decode()
    assert "Type only the code." in asks("x" * 41).content.decode()


def test_a_form_from_elsewhere_is_refused(cast: Cast, browser: Browser) -> None:
    assert browser().post("/check/", {"code": CODE}).status_code == 403


def test_the_answer_is_stored_nowhere_and_writes_nothing(cast: Cast) -> None:
    told(cast.dana)
    with reads_only(at_most=6):
        answer = Client().post("/check/", {"code": CODE})
    assert answer["Cache-Control"] == "no-store, private"


def test_who_guesses_must_wait_and_is_told_how_long(cast: Cast, asks: Callable[..., HttpResponse]) -> None:
    told(cast.dana)
    for _ in range(int(AN_ADDRESS.burst)):
        assert asks("AAAA-AAAA").status_code == 200
    refused = asks(CODE)
    assert refused.status_code == 429
    assert refused["Retry-After"] == "20"
    assert "Yes, we sent" not in refused.content.decode()
    assert asks(CODE, address="192.0.2.99").status_code == 200
    with clock.travel(START + timedelta(seconds=20)):
        assert "Yes, we sent" in asks(CODE).content.decode()


def test_a_household_of_addresses_is_one_guesser() -> None:
    guard = Guard()
    for number in range(int(AN_ADDRESS.burst)):
        assert guard.wait(f"2001:db8:1:2::{number:x}", now=0) == 0
    assert guard.wait("2001:db8:1:2:ffff::1", now=0) > 0
    assert guard.wait("2001:db8:1:3::1", now=0) == 0


def test_many_guessers_together_are_slowed_down_too() -> None:
    guard = Guard()
    allowed = sum(guard.wait(f"10.{n >> 8}.{n & 255}.1", now=0) == 0 for n in range(1000))
    assert allowed == int(IN_ALL.burst)
    later = sum(guard.wait(f"11.{n >> 8}.{n & 255}.1", now=10) == 0 for n in range(1000))
    assert later == int(IN_ALL.rate_per_second * 10)


def test_a_request_over_a_socket_without_an_address_is_counted_too() -> None:
    guard = Guard()
    for _ in range(int(AN_ADDRESS.burst)):
        assert guard.wait("", now=0) == 0
    assert guard.wait("", now=0) > 0


def test_the_cast_of_the_test_has_a_code_that_could_be_ours() -> None:
    assert set(CODE.replace("-", "")) <= set(CODE_ALPHABET)
