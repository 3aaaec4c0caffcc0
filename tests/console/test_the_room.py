"""The room answers at its top: since when, how many, told or not and why; and its list shows whom one asks for."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from beforehand.events.models import Event
from beforehand.incidents.affected import take_off_list
from beforehand.incidents.models import Affected, Incident
from beforehand.incidents.queries import affected_trend
from beforehand.kit.clock import travel
from beforehand.outbound.by_hand import tell_by_hand
from beforehand.outbound.models import Message, ToldByPerson
from tests.cast import Cast
from tests.console.conftest import at, room
from tests.driving import Drive

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

NAMES = ("عائشة الفاسي", "Bram de Vries", "चित्रा शर्मा", "Dana O&#x27;Neill")
EVERYBODY = {"aisha", "bram", "chitra", "dana"}


def listed(agent: Client, outage: Incident, **filters: str) -> set[str]:
    """Who stands on the list under these filters."""
    page = agent.get(f"{room(outage)}affected/", filters).content.decode()
    return {key for key, name in zip(("aisha", "bram", "chitra", "dana"), NAMES, strict=True) if name in page}


@pytest.fixture
def mixed(outage: Incident, cast: Cast) -> Incident:
    """Aisha's mailbox does not exist, Bram's message waits, Chitra was told by a call, Dana by mail."""
    said = {
        cast.aisha: ("failed", "mailbox_does_not_exist"),
        cast.bram: ("queued", "quiet_hours"),
        cast.chitra: ("refused", "no_contact_point"),
    }
    for customer, (state, reason) in said.items():
        Message.objects.filter(customer_id=customer.pk).update(state=state, reason=reason)
    origin = f"incident:{outage.pk}"
    how = ToldByPerson.How.CALL
    tell_by_hand(origin, customer_ids=[cast.chitra.pk], how=how, note="", actor="test", now=at(4))
    return outage


@pytest.mark.parametrize(
    ("filters", "who"),
    [
        ({}, EVERYBODY),
        ({"told": "told"}, {"chitra", "dana"}),
        ({"told": "waiting"}, {"bram"}),
        ({"told": "not_told"}, {"aisha"}),
        ({"reason": "mailbox_does_not_exist"}, {"aisha"}),
        ({"told": "not_told", "language": "nl"}, set()),
        ({"told": "told", "q": "dana"}, {"dana"}),
        ({"told": "waiting", "q": "dana"}, set()),
        ({"channel": "email"}, EVERYBODY),
        ({"channel": "sms"}, set()),
        ({"told": "nonsense"}, EVERYBODY),
    ],
)
def test_the_list_shows_who_was_told_who_was_not_and_why(
    filters: dict[str, str], who: set[str], agent: Client, mixed: Incident
) -> None:
    assert listed(agent, mixed, **filters) == who


def test_the_rooms_own_address_says_what_the_list_shows(agent: Client, mixed: Incident) -> None:
    headers = {"HX-Request": "true", "HX-Target": "affected"}
    part = agent.get(f"{room(mixed)}affected/", {"told": "not_told", "state": ""}, headers=headers)
    assert part["HX-Replace-Url"] == f"{room(mixed)}?told=not_told"
    page = agent.get(part["HX-Replace-Url"]).content.decode()
    assert '<option value="not_told" selected>' in page
    assert NAMES[0] in page
    assert NAMES[3] not in page


def test_who_joined_last_comes_first_page_by_page(
    agent: Client, mixed: Incident, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beforehand.console.incidents.ON_LIST", 2)
    for minute, customer in enumerate(cast.touched):
        Affected.objects.filter(customer_id=customer.pk).update(joined_at=at(minute))
    shown: list[str] = []
    where = f"{room(mixed)}affected/?sort=joined"
    for _page in range(2):
        page = agent.get(where).content.decode()
        shown += sorted((name for name in NAMES if name in page), key=page.index)
        cursor = re.search(r"cursor=([\d.]+)", page)
        where = f"{room(mixed)}affected/?sort=joined&cursor={cursor[1] if cursor else ''}"
    assert shown == list(reversed(NAMES))


def test_whom_we_could_not_tell_is_said_at_the_top_with_the_way_to_them(agent: Client, mixed: Incident) -> None:
    with travel(at(4)):
        page = agent.get(room(mixed)).content.decode()
    assert f'href="{room(mixed)}?told=not_told&amp;reason=mailbox_does_not_exist#affected"' in page
    assert "For 4 minutes now" in page


def test_the_trend_is_that_of_the_last_hour(agent: Client, outage: Incident, cast: Cast) -> None:
    assert affected_trend(outage.pk, since=at(0) - timedelta(minutes=1)) == 4
    with travel(at(70)):
        take_off_list(outage.pk, customer_ids=[cast.bram.pk], state=Affected.State.CURED, now=at(70), actor="test")
        page = agent.get(room(outage)).content.decode()
    assert affected_trend(outage.pk, since=at(30)) == -1
    assert "in the last hour" in page


def test_who_was_told_by_a_person_counts_as_told_at_the_top_too(agent: Client, mixed: Incident, cast: Cast) -> None:
    Message.objects.filter(customer_id=cast.dana.pk).update(state="uncertain")
    with travel(at(5)):
        page = agent.get(room(mixed)).content.decode()
    figures = re.findall(r'stat-label">(Told|Could not tell).*?stat-value[^>]*>(\d+)', page, re.DOTALL)
    assert figures == [("Told", "2"), ("Could not tell", "1")]  # Chitra by a call, Dana perhaps; Aisha not


def test_what_was_said_long_ago_is_folded_and_still_there(
    agent: Client, outage: Incident, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beforehand.console.incidents.SAID_AT_ONCE", 1)
    with travel(at(64)):
        drive.settle()
        page = agent.get(room(outage)).content.decode()
    folded = page[page.index("2 things said before</summary>") :]
    assert "first-notice" in folded[: folded.index("</details>")]


def test_a_supervisor_holds_what_an_incident_still_has_to_say_and_lets_it_go(
    cast: Cast, outage: Incident, drive: Drive, agent: Client, supervisor: Client
) -> None:
    hold, release = f"{room(outage)}hold/", f"{room(outage)}release/"
    sent = len(drive.mailbox.accepted)
    assert agent.get(hold).status_code == 403
    assert "Hold messages" not in agent.get(room(outage)).content.decode()
    assert "Hold messages" in supervisor.get(room(outage)).content.decode()
    with travel(at(10)):
        assert "messages wait to be sent at this moment" in supervisor.get(hold).content.decode()
        assert supervisor.post(hold, {"confirmed": "yes", "count_seen": "0"}).status_code == 302
        assert "Its messages are held back" in agent.get(room(outage)).content.decode()
    with travel(at(58)):
        drive.settle()  # the next word is due
        assert len(drive.mailbox.accepted) == sent
        waiting = Message.objects.filter(state="queued").count()
        assert waiting == 4
        assert supervisor.post(release, {"confirmed": "yes", "count_seen": "3"}).status_code == 409
        assert supervisor.post(release, {"confirmed": "yes", "count_seen": "4"}).status_code == 302
        drive.settle()
        assert len(drive.mailbox.accepted) == sent + 4
        html = supervisor.get(room(outage)).content.decode()
    assert "Its messages are held back" not in html
    held = Event.objects.filter(type__in=["message.origin_held", "message.origin_released"]).order_by("id")
    assert [one.actor for one in held] == [f"user:{cast.noor.pk}"] * 2
