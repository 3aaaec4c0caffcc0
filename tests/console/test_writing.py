"""What people do on the pages: each shows whom it reaches first, asks, and asks again when the number has changed."""

import pytest
from django.test import Client

from beforehand.incidents.actions import open_incident
from beforehand.incidents.models import Affected, Incident, IncidentScope, IncidentUpdate
from beforehand.incidents.planned import finish_work, plan_work, start_work
from beforehand.kit.clock import travel
from beforehand.playbooks.actions import install_shipped
from beforehand.playbooks.models import PlaybookVersion, Run
from tests.cast import Cast
from tests.console.conftest import at, room
from tests.driving import Drive, alert, outage_rule, post_webhook
from tests.mailbox import text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

YES = {"confirmed": "yes"}


def test_an_update_shows_whom_it_reaches_and_what_stays_untranslated_and_is_then_told(
    agent: Client, outage: Incident, drive: Drive
) -> None:
    texts = {"text_en": "An engineer is on site.", "text_nl": "Er is een monteur ter plaatse."}
    with travel(at(4)):
        asked = agent.post(f"{room(outage)}update/", texts).content.decode()
        assert "<strong>4</strong>" in asked
        assert asked.count("not translated. 1 customers get it as it was written") == 2
        assert not IncidentUpdate.objects.exists()
        agent.post(f"{room(outage)}update/", {**texts, **YES, "count_seen": "4"})
        drive.settle()
    (update,) = IncidentUpdate.objects.all()
    assert update.texts == {"en": "An engineer is on site.", "nl": "Er is een monteur ter plaatse."}
    assert "monteur" in text_of(drive.mailbox.mails_to("bram@customers.example")[-1])
    assert "engineer" in text_of(drive.mailbox.mails_to("aisha@customers.example")[-1])
    with travel(at(4.5)):
        page = agent.get(room(outage)).content.decode()
    assert "Update by Ester" in page
    assert "An engineer is on site." in page


def test_words_that_promise_nothing_are_pointed_out_before_they_are_told(agent: Client, outage: Incident) -> None:
    empty = {"text_en": "We are looking into it.", "text_hi": "हम जल्द ही बताएँगे।"}
    page = agent.post(f"{room(outage)}update/", empty).content.decode()
    assert "“we are looking into it” promises nothing" in page
    assert "“जल्द ही” promises nothing" in page
    assert "We are looking into it.</textarea>" in page
    better = {"text_en": "We are looking into it. You hear more by 14:30."}
    assert "Tell everyone who is affected?" in agent.post(f"{room(outage)}update/", better).content.decode()
    asked = agent.post(f"{room(outage)}update/", {**empty, "as_it_is": "yes"}).content.decode()
    assert "Tell everyone who is affected?" in asked
    assert not IncidentUpdate.objects.exists()
    agent.post(f"{room(outage)}update/", {**empty, **YES, "count_seen": "4"})
    assert IncidentUpdate.objects.count() == 1


def test_an_update_in_no_language_is_not_an_update(agent: Client, outage: Incident) -> None:
    page = agent.post(f"{room(outage)}update/", {"text_en": "  "}).content.decode()
    assert "Choose a sentence, or write the update in at least one language." in page


def test_another_count_than_the_one_seen_asks_again(agent: Client, outage: Incident) -> None:
    answer = agent.post(f"{room(outage)}update/", {"text_en": "News", **YES, "count_seen": "3"})
    assert answer.status_code == 409
    assert "The number has changed" in answer.content.decode()
    assert not IncidentUpdate.objects.exists()


def test_an_update_on_an_incident_that_has_ended_is_refused_and_says_so(agent: Client, outage: Incident) -> None:
    agent.post(f"{room(outage)}resolve/", {**YES, "count_seen": "4"})
    answer = agent.post(f"{room(outage)}update/", {"text_en": "News", **YES, "count_seen": "4"}, follow=True)
    assert "The incident has ended meanwhile" in answer.content.decode()


@pytest.mark.parametrize(("how", "state"), [("resolve", "resolved"), ("false-alarm", "cancelled")])
def test_an_end_shows_how_many_will_hear_of_it_and_ends_it(
    how: str, state: str, agent: Client, outage: Incident, drive: Drive
) -> None:
    asked = agent.get(f"{room(outage)}{how}/").content.decode()
    assert "<strong>4</strong>" in asked
    outage.refresh_from_db()
    assert outage.state == "open"
    with travel(at(20)):
        agent.post(f"{room(outage)}{how}/", {**YES, "count_seen": "4"})
        drive.settle()
    outage.refresh_from_db()
    assert outage.state == state
    assert set(drive.mailbox.counts().values()) == {2}


def test_an_incident_is_opened_again(agent: Client, outage: Incident) -> None:
    agent.post(f"{room(outage)}resolve/", {**YES, "count_seen": "4"})
    again = agent.post(f"{room(outage)}resolve/", {**YES, "count_seen": "4"}, follow=True)
    assert "Somebody else was quicker" in again.content.decode()
    agent.post(f"{room(outage)}reopen/", {**YES, "count_seen": "4"})
    outage.refresh_from_db()
    assert outage.state == "open"


def test_what_is_not_opened_again_says_why(agent: Client, outage: Incident, cast: Cast) -> None:
    agent.post(f"{room(outage)}resolve/", {**YES, "count_seen": "4"})
    given = {"kind": "outage", "severity": "major", "actor": "test", "began_at": at(5), "known_at": at(5)}
    open_incident(title="It is back", group_key=outage.group_key, **given)
    answer = agent.post(f"{room(outage)}reopen/", {**YES, "count_seen": "4"}, follow=True)
    assert "has another incident that is open" in answer.content.decode()
    with travel(at(0)):
        window = {"starts_at": at(0), "ends_at": at(60)}
        work = plan_work(title="Digging", component_ids=[cast.node.pk], actor="test", **window)
        start_work(work, actor="test")
        finish_work(work, actor="test")
    answer = agent.post(f"{room(work.incident)}reopen/", {**YES, "count_seen": "0"}, follow=True)
    assert "is planned anew" in answer.content.decode()
    assert Incident.objects.get(state="open").title == "It is back"


def test_a_wider_scope_shows_how_many_are_in_it_and_they_join(
    agent: Client, outage: Incident, cast: Cast, drive: Drive
) -> None:
    part = {"component": [str(cast.other_node.pk)]}
    with travel(at(4)):
        asked = agent.post(f"{room(outage)}widen/", part).content.decode()
        assert "<strong>1</strong>" in asked
        agent.post(f"{room(outage)}widen/", {**part, **YES, "count_seen": "1"})
        drive.settle()
    assert drive.mailbox.counts()["elif@customers.example"] == 1


def test_a_part_taken_out_says_who_leaves_and_why_must_be_said(agent: Client, outage: Incident, drive: Drive) -> None:
    scope = IncidentScope.objects.get()
    where = f"{room(outage)}scope/{scope.pk}/"
    assert "<strong>4</strong>" in agent.get(where).content.decode()
    unsaid = agent.post(where, {**YES, "count_seen": "4"}).content.decode()
    assert "Say which of the two it is." in unsaid
    with travel(at(4)):
        agent.post(where, {**YES, "count_seen": "4", "as": "mistaken"})
        drive.settle()
    assert set(Affected.objects.values_list("state", flat=True)) == {"mistaken"}


def test_one_customer_is_taken_off_and_hears_that_it_is_over_for_them(
    agent: Client, outage: Incident, cast: Cast, drive: Drive
) -> None:
    with travel(at(4)):
        agent.post(f"{room(outage)}customers/{cast.bram.public_id}/", {**YES, "count_seen": "1", "as": "cured"})
        drive.settle()
        page = agent.get(f"{room(outage)}affected/?state=cured").content.decode()
    assert drive.mailbox.counts()["bram@customers.example"] == 2
    assert "Bram de Vries" in page
    elif_ = agent.get(f"{room(outage)}customers/{cast.elif_.public_id}/")
    assert elif_.status_code == 404  # never on the list


def test_an_incident_opened_by_hand_shows_whom_it_touches_first(agent: Client, cast: Cast) -> None:
    typed = {
        "title": "Faulty firmware", "kind": "recall", "severity": "major", "is_public": "on", "title_nl": "Terugroepactie",
        "condition": 'holdings.exists(h, h.product == "Fibre 500")',
    }  # fmt: skip
    count = agent.get("/console/incidents/reach/", {"condition": typed["condition"]}).content.decode()
    assert "<strong>5</strong>" in count
    asked = agent.post("/console/incidents/open/", typed).content.decode()
    assert "<strong>5</strong>" in asked
    assert not Incident.objects.exists()
    answer = agent.post("/console/incidents/open/", {**typed, **YES, "count_seen": "5"})
    incident = Incident.objects.get()
    assert answer["Location"] == room(incident)
    assert incident.texts == {"nl": {"title": "Terugroepactie"}}
    assert (incident.kind, incident.is_public) == ("recall", True)
    pressed_twice = agent.post("/console/incidents/open/", {**typed, **YES, "count_seen": "5"})
    assert pressed_twice["Location"] == room(incident)
    agent.post("/console/incidents/open/", {**typed, **YES, "count_seen": "5", "title": "Another one"})
    assert list(Incident.objects.order_by("pk").values_list("title", flat=True)) == ["Faulty firmware", "Another one"]


def test_a_faulty_condition_says_what_is_wrong_with_it(agent: Client, cast: Cast) -> None:
    reach = agent.get("/console/incidents/reach/", {"condition": "customer.nothing == 3"}).content.decode()
    assert "not declared" in reach
    page = agent.post("/console/incidents/open/", {"title": "x", "condition": "("}).content.decode()
    assert "field-error" in page


def test_an_incident_on_nothing_is_not_opened(agent: Client, cast: Cast) -> None:
    page = agent.post(
        "/console/incidents/open/", {"title": "x", "kind": "outage", "severity": "major"}
    ).content.decode()
    assert "Choose at least one network part, or write a condition." in page


def test_network_parts_are_found_and_those_ticked_are_kept(agent: Client, cast: Cast) -> None:
    page = agent.get(
        "/console/incidents/parts/", {"parts": "node 8", "component": [str(cast.node.pk)]}
    ).content.decode()
    assert page.index("Node 7") < page.index("Node 8")
    assert page.count("checked") == 1


@pytest.fixture
def waiting(cast: Cast, drive: Drive) -> Run:
    """An outage whose playbook nobody has approved, so it asks."""
    outage_rule(owner=cast.team)
    install_shipped()
    PlaybookVersion.objects.update(approved_at=None)
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    with travel(at(3)):
        drive.settle()
    run = Run.objects.get()
    assert run.state == Run.State.CONFIRMING
    return run


def test_before_sending_a_person_sees_count_languages_channel_missing_texts_and_a_sample(
    supervisor: Client, waiting: Run, drive: Drive
) -> None:
    texts = waiting.version.texts
    del texts["first-notice"]["hi"]
    PlaybookVersion.objects.update(texts=texts)
    page = supervisor.get(f"/console/runs/{waiting.public_id}/confirm/").content.decode()
    assert "has not been approved" in page
    assert '<input type="hidden" name="count_seen" value="4">' in page
    assert page.count("1 customer") >= 4
    assert "no text: gets en" in page
    assert "e-mail, text message, notification, inbox" in page
    sample = supervisor.get(f"/console/runs/{waiting.public_id}/sample/ar/")
    assert 'dir="rtl"' in sample.content.decode()
    assert "عائشة الفاسي" in sample.content.decode()
    assert sample["Content-Security-Policy"].startswith("sandbox;")
    assert sample["X-Frame-Options"] == "SAMEORIGIN"
    assert drive.mailbox.accepted == []


def test_a_supervisor_confirms_and_they_are_told(supervisor: Client, waiting: Run, drive: Drive) -> None:
    where = f"/console/runs/{waiting.public_id}/confirm/"
    with travel(at(4)):
        assert supervisor.post(where, {**YES, "count_seen": "5"}).status_code == 409
        assert supervisor.post(where, {"count_seen": "4"}).status_code == 200  # not without the press
        drive.settle()
        assert drive.mailbox.accepted == []
        supervisor.post(where, {**YES, "count_seen": "4"})
        drive.settle()
    assert set(drive.mailbox.counts().values()) == {1}
    again = supervisor.get(where, follow=True).content.decode()
    assert "Nothing waits for confirmation any more." in again
    assert "Telling was confirmed by Noor" in again


def test_the_room_and_today_say_that_a_run_waits_and_who_can_confirm(
    supervisor: Client, agent: Client, waiting: Run
) -> None:
    where = room(waiting.incident)
    assert "Review and confirm" in supervisor.get(where).content.decode()
    page = agent.get(where).content.decode()
    assert "Review and confirm" not in page
    assert "A supervisor can confirm it." in page
    assert "waits until somebody confirms" in agent.get("/console/").content.decode().replace(
        "wait until", "waits until"
    )


def test_a_version_is_approved_by_a_supervisor(supervisor: Client, waiting: Run) -> None:
    page = supervisor.get("/console/playbooks/outage/1/").content.decode()
    assert "Waits until the incident has lasted 3 minutes." in page
    assert "Promises the next update in this rhythm." in page
    supervisor.post("/console/playbooks/outage/1/approve/", {})
    assert PlaybookVersion.objects.get(slug="outage").approved_at is None
    supervisor.post("/console/playbooks/outage/1/approve/", YES)
    version = PlaybookVersion.objects.get(slug="outage")
    assert version.approved_by is not None
    assert version.approved_by.name == "Noor"
