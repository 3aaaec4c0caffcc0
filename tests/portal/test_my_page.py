"""A customer's own page: theirs alone, in their language and zone, and a look at it changes nothing."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.test import Client

from beforehand.customers.actions import add_contact_point, change_customer
from beforehand.customers.models import Customer
from beforehand.events.models import Event
from beforehand.incidents.actions import post_update, resolve_incident
from beforehand.incidents.affected import put_on_list, take_off_list
from beforehand.incidents.models import Affected, Incident, PlannedWork
from beforehand.kit import clock
from beforehand.kit.links import MY_PAGE, UNSUBSCRIBE
from beforehand.kit.signing import sign
from beforehand.outbound.models import Message
from tests.cast import CUSTOMERS, Cast, make_cast
from tests.driving import Drive, alert, approve_shipped, driving, outage_rule, post_webhook
from tests.portal.conftest import START, TEXTS, outage
from tests.portal.pages import Page, reads_only

Browser = Callable[..., Client]
READERS = [("dana", "en", "ltr"), ("bram", "nl", "ltr"), ("aisha", "ar", "rtl"), ("chitra", "hi", "ltr")]


def link(customer: Customer, **changes: object) -> str:
    until = changes.get("until", START + timedelta(days=30))
    token = sign(str(changes.get("purpose", MY_PAGE)), str(customer.pk), until=until)  # type: ignore[arg-type]
    return f"/my/{token}/"


@pytest.mark.parametrize(("name", "language", "direction"), READERS)
def test_it_speaks_the_customers_language_whatever_the_browser_does(
    cast: Cast, browser: Browser, name: str, language: str, direction: str
) -> None:
    outage(cast)
    page = Page(browser("fr, en;q=0.5").get(link(getattr(cast, name))).content.decode())
    assert page.first("html")["lang"] == language
    assert page.first("html")["dir"] == direction
    assert TEXTS[language]["title"] in page.words
    assert CUSTOMERS[name][0] in page.words


def test_its_language_can_be_changed_and_the_part_that_stays_fresh_follows(cast: Cast, browser: Browser) -> None:
    reader = browser("en")
    page = Page(reader.get(link(cast.aisha) + "?lang=nl").content.decode())
    assert page.first("html")["lang"] == "nl"
    polled = next(a["hx-get"] for _tag, a in page.elements if a.get("id") == "now")
    assert polled is not None
    assert "lang=nl" in polled


def test_it_says_which_product_is_touched_and_why(cast: Cast, browser: Browser) -> None:
    outage(cast)
    words = Page(browser().get(link(cast.dana)).content.decode()).words
    assert "A problem concerns you" in words
    assert "Fibre 500" in words
    assert "Kerkstraat 12" in words
    assert "depends on this part of our network: Groningen" in " ".join(words.split())


def test_nothing_is_wrong_for_whom_nothing_is(cast: Cast, browser: Browser) -> None:
    outage(cast)
    words = Page(browser().get(link(cast.elif_) + "?lang=en").content.decode()).words
    assert "Nothing is wrong for you" in words
    assert "Internet outage" not in words


def test_work_that_is_only_planned_is_announced_and_not_called_a_problem(cast: Cast, browser: Browser) -> None:
    work = outage(cast, kind="planned")
    begins = START + timedelta(hours=5)
    Incident.objects.filter(pk=work.pk).update(began_at=begins)
    PlannedWork.objects.create(
        incident=work, starts_at=begins, ends_at=begins + timedelta(hours=2), announce_at=START, announced_at=START
    )
    words = Page(browser().get(link(cast.dana)).content.decode()).words
    assert "Work is planned that concerns you" in words
    assert "It has not begun." in words
    assert "A problem concerns you" not in words
    with clock.travel(begins):
        words = Page(browser().get(link(cast.dana)).content.decode()).words
    assert "A problem concerns you" in words
    assert "We are carrying out the work that we announced." in words


def test_a_part_without_a_public_name_is_not_named(cast: Cast, browser: Browser) -> None:
    outage(cast, component_ids=[cast.other_node.pk])
    html = browser().get(link(cast.elif_) + "?lang=en").content.decode()
    assert "depends on a part of our network that this concerns" in html
    assert "Node 8" not in html


def test_who_was_put_on_the_list_by_hand_is_told_so(cast: Cast, browser: Browser) -> None:
    incident = outage(cast)
    scope = incident.scopes.get()
    put_on_list(incident.pk, customer_ids=[cast.elif_.pk], scope_id=scope.pk, now=clock.now(), actor="test")
    assert "our team found" in browser().get(link(cast.elif_) + "?lang=en").content.decode()


def test_a_condition_that_touches_is_told_as_one(cast: Cast, browser: Browser) -> None:
    outage(cast, component_ids=[], condition='customer.language == "en"')
    assert "is among what this concerns" in browser().get(link(cast.dana)).content.decode()


def test_who_is_cured_reads_that_it_works_again(cast: Cast, browser: Browser) -> None:
    incident = outage(cast)
    take_off_list(incident.pk, customer_ids=[cast.dana.pk], state=Affected.State.CURED, now=clock.now(), actor="test")
    with clock.travel(START + timedelta(minutes=5)):
        post_update(incident, texts={"en": "Still digging in the north."}, author=None, actor="test")
    words = Page(browser().get(link(cast.dana)).content.decode()).words
    assert "Nothing is wrong for you" in words
    assert "It works again for you." in words
    assert "Still digging" not in words  # this no longer concerns her


def test_what_is_over_is_told_as_over(cast: Cast, browser: Browser) -> None:
    resolve_incident(outage(cast), reason="fixed", actor="test")
    words = Page(browser().get(link(cast.dana)).content.decode()).words
    assert "Nothing is wrong for you" in words
    assert "It is over." in words


def test_addresses_are_masked(cast: Cast, browser: Browser) -> None:
    html = browser().get(link(cast.dana)).content.decode()
    assert "d•••@c…" in html
    assert "dana@" not in html


def test_times_are_in_the_customers_zone(cast: Cast, browser: Browser) -> None:
    outage(cast)
    page = Page(browser().get(link(cast.chitra)).content.decode())
    assert page.first("html")["data-zone"] == "Asia/Kolkata"
    assert page.has(name="zone", content="Asia/Kolkata")
    assert "15:30" in page.words


def test_who_needs_large_print_gets_it(cast: Cast, browser: Browser) -> None:
    assert Page(browser().get(link(cast.dana)).content.decode()).first("body")["class"] == "portal"
    change_customer(cast.dana.pk, changes={"access_needs": ["large_print"]}, actor="test")
    assert Page(browser().get(link(cast.dana)).content.decode()).first("body")["class"] == "portal large-print"


@pytest.mark.parametrize("end", ["", "now/"])
def test_it_is_stored_nowhere_found_by_no_search_and_tells_nobody_its_address(
    cast: Cast, browser: Browser, end: str
) -> None:
    answer = browser().get(link(cast.dana) + end)
    assert answer["Cache-Control"] == "no-store, private"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "noindex" in answer["X-Robots-Tag"]
    assert not answer.cookies


def test_it_asks_no_other_site_for_anything(cast: Cast, browser: Browser) -> None:
    page = Page(browser().get(link(cast.dana)).content.decode())
    addresses = [
        a.get("src") or a.get("href") or "" for tag, a in page.elements if tag in ("script", "link", "img", "use")
    ]
    assert addresses
    assert [one for one in addresses if not one.startswith("/") or one.startswith("//")] == []


def test_a_link_whose_last_slash_was_cut_opens_the_page_without_a_detour(cast: Cast, browser: Browser) -> None:
    assert browser().get(link(cast.dana).rstrip("/")).status_code == 200


# --- links that open nothing ---------------------------------------------------------------------------------------


def forged(customer: Customer) -> str:
    """Zeno knows how our links are made, writes another number and a later end into his own, and keeps its signature."""
    wanted = link(customer, until=START + timedelta(days=3650)).rpartition(".")[0]
    return f"{wanted}.{link(Customer(pk=424242)).rpartition('.')[2]}"


@pytest.mark.parametrize("end", ["", "now/"])
def test_a_forged_link_opens_nothing(cast: Cast, browser: Browser, end: str) -> None:
    answer = browser().get(forged(cast.dana) + end)
    assert answer.status_code == 404
    assert "Dana" not in answer.content.decode()


def test_a_link_for_another_purpose_opens_nothing(cast: Cast, browser: Browser) -> None:
    assert browser().get(link(cast.dana, purpose=UNSUBSCRIBE)).status_code == 404


@pytest.mark.parametrize("language", ["en", "nl", "ar", "hi"])
def test_a_link_that_is_too_old_says_what_to_do(cast: Cast, browser: Browser, language: str) -> None:
    answer = browser(language).get(link(cast.dana, until=START - timedelta(seconds=1)))
    page = Page(answer.content.decode())
    assert answer.status_code == 410
    assert page.first("html")["lang"] == language
    assert "+31 50 123 45 67" in page.words
    assert "Dana" not in page.words
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["Cache-Control"] == "no-store, private"


def test_a_page_that_was_open_when_its_link_ended_says_so_and_asks_no_more(cast: Cast, browser: Browser) -> None:
    old = link(cast.dana, until=START - timedelta(seconds=1)) + "now/"
    answer = browser().get(old, headers={"hx-request": "true"})
    assert answer.status_code == 286
    assert "hx-get" not in answer.content.decode()
    assert browser().get(old).status_code == 410


def test_nobody_learns_whether_a_customer_exists(cast: Cast, browser: Browser) -> None:
    """A customer who is gone, one who never was, a forgery and a wreck of a link look alike to the last byte."""
    Customer.objects.filter(pk=cast.bram.pk).update(erased_at=clock.now())
    never = sign(MY_PAGE, "999999", until=START + timedelta(days=1))
    pages = [
        browser().get(path)
        for path in (link(cast.bram), f"/my/{never}/", forged(cast.dana), "/my/", "/my/wreck/", "/my/.../", "/my/é.é/")
    ]
    assert {page.status_code for page in pages} == {404}
    assert len({page.content for page in pages}) == 1


def test_nothing_in_the_address_leads_to_another_customer(cast: Cast, browser: Browser) -> None:
    outage(cast)
    own, others = link(cast.dana), link(cast.bram)
    swapped = own.rpartition(".")[0] + "." + others.rpartition(".")[2]
    assert browser().get(swapped).status_code == 404
    for query in (f"?customer={cast.bram.pk}", f"?id={cast.bram.pk}&customer_id={cast.bram.pk}", f"?token={others}"):
        words = Page(browser().get(own + query).content.decode()).words
        assert "Dana" in words
        assert "Bram" not in words


# --- a look changes nothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "now/"])
def test_a_scanner_that_opens_every_link_changes_nothing(cast: Cast, browser: Browser, end: str) -> None:
    outage(cast)
    events = Event.objects.count()
    with reads_only(at_most=17):
        assert browser().get(link(cast.dana) + end).status_code == 200
    with reads_only(at_most=17):
        assert browser().head(link(cast.dana) + end).status_code == 200
    assert Event.objects.count() == events


def test_only_looking_is_possible(cast: Cast, browser: Browser) -> None:
    assert browser().post(link(cast.dana)).status_code in (403, 405)


def test_the_part_that_stays_fresh_is_sent_only_when_something_changed(cast: Cast, browser: Browser) -> None:
    incident = outage(cast)
    page = Page(browser().get(link(cast.dana)).content.decode())
    polled = next(a["hx-get"] for _tag, a in page.elements if a.get("id") == "now")
    assert polled is not None
    with clock.travel(START + timedelta(seconds=30)):
        assert browser().get(polled).status_code == 204
    with clock.travel(START + timedelta(minutes=1)):
        post_update(incident, texts={"en": "A cable is cut."}, author=None, actor="test")
        answer = browser().get(polled)
        assert answer.status_code == 200
        assert "A cable is cut." in answer.content.decode()


@pytest.mark.django_db(transaction=True)
class TestTheWholeStory:
    """An alert came in, mails went out: the page tells what they told."""

    @pytest.fixture
    def drive(self) -> Iterator[Drive]:
        with clock.travel(START):
            cast = make_cast()
            outage_rule(owner=cast.team, texts=TEXTS)
            approve_shipped()
        with driving() as drive:
            yield drive

    def test_it_tells_what_we_told_in_the_words_in_which_we_told_it(self, drive: Drive, browser: Browser) -> None:
        with clock.travel(START):
            post_webhook([alert(starts_at=START)])
            drive.settle()
        with clock.travel(START + timedelta(minutes=3)):
            drive.settle()
            dana = Customer.objects.get(external_id="dana")
            message = Message.objects.get(customer_id=dana.pk)
            for _ in range(2):  # cold, then with what the first look compiled
                with reads_only(at_most=17):
                    answer = browser().get(link(dana))
            page = Page(answer.content.decode())
            assert "Internet outage: next news by 11:05" in page.words  # London's time, not Amsterdam's
            assert message.code in page.words
            assert page.has(**{"data-countdown": (START + timedelta(minutes=65)).isoformat()})
            bram = Customer.objects.get(external_id="bram")
            assert message.code not in browser().get(link(bram)).content.decode()

    def test_what_is_told_next_follows_what_they_chose_there(self, drive: Drive, browser: Browser) -> None:
        with clock.travel(START):
            dana, bram = (Customer.objects.get(external_id=name) for name in ("dana", "bram"))
            second = add_contact_point(dana.pk, channel="email", address="d@second.example", rank=2, actor="test")
            browser().post(f"{link(dana)}language/", {"language": "ar"})
            browser().post(f"{link(dana)}address/", {"address": second.pk, "use": "first"})
            only = bram.contact_points.get()
            browser().post(f"{link(bram)}address/", {"address": only.pk, "use": "stop"})
            post_webhook([alert(starts_at=START)])
            drive.settle()
        with clock.travel(START + timedelta(minutes=3)):
            drive.settle()
        told = Message.objects.get(customer_id=dana.pk)
        assert (told.state, told.language, told.contact_point_id) == ("sent", "ar", second.pk)
        untold = Message.objects.get(customer_id=bram.pk)
        assert (untold.state, untold.reason) == ("refused", "address_blocked")
