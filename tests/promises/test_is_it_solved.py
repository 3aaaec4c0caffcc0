"""After the all-clear: “still broken” is a person's question with a promised time, and nobody is left hanging with it."""

from datetime import timedelta

import pytest
from django.test import Client
from tests.cast import Cast
from tests.driving import Drive
from tests.mailbox import text_of
from tests.promises.story import at, node_fails, outage_playbook

from beforehand.customers.actions import change_customer
from beforehand.customers.models import Customer
from beforehand.events.models import Event
from beforehand.incidents.actions import reopen_incident, resolve_incident
from beforehand.incidents.answered import answer_counts, open_questions, patterns
from beforehand.incidents.answers import note_contact
from beforehand.incidents.models import Answer, Incident
from beforehand.kit.clock import now, travel
from beforehand.kit.links import page_link
from beforehand.playbooks.queries import HangingReason, left_hanging
from beforehand.promises.models import Promise

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

DANA = "dana@customers.example"


def tap(customer: Customer, incident: Incident, says: str) -> int:
    path = page_link(customer.pk, now=now()).partition("/my/")[2]
    return Client().post(f"/my/{path}answer/{incident.public_id}/", {"says": says}).status_code


def outage_is_over(worker: Drive) -> Incident:
    """Told at 3 minutes, over at 40; everybody is told the end."""
    outage_playbook()
    incident = node_fails(worker)
    with travel(at(40)):
        resolve_incident(incident, reason="repaired", actor="test")
        worker.settle()
    return incident


def own_promises(customer: Customer) -> list[tuple[str, str]]:
    mine = Promise.objects.filter(audience=f"customer:{customer.pk}").order_by("pk")
    return list(mine.values_list("state", "reason"))


def test_the_all_clear_asks_and_its_link_opens_the_page_that_takes_the_answer(people: Cast, worker: Drive) -> None:
    incident = outage_is_over(worker)
    text = text_of(worker.mailbox.mails_to(DANA)[-1])
    assert "Is it solved for you?" in text
    link = text.partition("/my/")[2].split("/")[0]
    with travel(at(45)):
        page = Client().get(f"/my/{link}/").content.decode()
        assert "Is it solved for you?" in page
        assert not Answer.objects.exists()
        assert Client().post(f"/my/{link}/answer/{incident.public_id}/", {"says": "works"}).status_code == 302
    assert answer_counts(incident.pk).works == 1


def test_still_broken_after_the_all_clear_is_owned_and_promised_at_once(people: Cast, worker: Drive) -> None:
    incident = outage_is_over(worker)
    with travel(at(50)):
        assert tap(people.dana, incident, "broken") == 302
    (question,) = open_questions(limit=9)
    assert (question.name, question.product, question.place, question.component) == (
        "Dana O'Neill", "Fibre 500", "Kerkstraat 12", "Node 7",
    )  # fmt: skip
    assert question.team == "Network operations"
    assert question.due_at == at(170)
    event = Event.objects.get(type="incident.customer_still_broken")
    assert (event.customer_id, event.data["meaning"]) == (people.dana.pk, "reopened")
    assert left_hanging(now=at(60)) == []


def test_nobody_is_in_touch_so_the_customer_hears_it_honestly_with_a_new_time(people: Cast, worker: Drive) -> None:
    incident = outage_is_over(worker)
    with travel(at(50)):
        tap(people.dana, incident, "broken")
        worker.settle()
    with travel(at(169)):
        worker.settle()
    assert own_promises(people.dana) == [("broken", "holding message instead"), ("open", "")]
    late = worker.mailbox.mails_to(DANA)[-1]
    newest = Promise.objects.get(state="open")
    assert newest.due_at == at(410)  # four hours later, rounded up to five minutes
    assert "We are late" in str(late["Subject"])
    assert "4:50" in text_of(late)
    assert "Nobody has been in touch yet" in text_of(late)
    assert left_hanging(now=at(180)) == []
    assert len(worker.mailbox.mails_to("bram@customers.example")) == 2  # whom it does not concern hears nothing of it


@pytest.mark.parametrize(("name", "word"), [("bram", "te laat"), ("aisha", "تأخرنا"), ("chitra", "देर")])
def test_the_honest_word_is_in_their_language(people: Cast, worker: Drive, name: str, word: str) -> None:
    incident = outage_is_over(worker)
    customer: Customer = getattr(people, name)
    with travel(at(50)):
        tap(customer, incident, "broken")
        worker.settle()
    due_at = Promise.objects.get(audience=f"customer:{customer.pk}").due_at
    with travel(due_at - timedelta(minutes=1)):
        worker.settle()
    late = worker.mailbox.mails_to(f"{name}@customers.example")[-1]
    assert word in str(late["Subject"])
    assert "{" not in text_of(late)


def test_a_person_was_in_touch_and_it_is_settled(people: Cast, worker: Drive) -> None:
    incident = outage_is_over(worker)
    with travel(at(50)):
        tap(people.dana, incident, "broken")
    with travel(at(80)):
        given = {"note": "New modem.", "owner": people.team, "now": at(80), "actor": f"user:{people.ester.pk}"}
        assert note_contact(incident.pk, people.dana, next_at=None, **given)
        assert not note_contact(incident.pk, people.dana, next_at=None, **given)  # whoever is second changes nothing
    assert own_promises(people.dana) == [("kept", "told in time")]
    assert open_questions(limit=9) == []
    assert Event.objects.filter(type="incident.customer_contacted").count() == 1


def test_what_goes_on_after_a_call_is_promised_anew(people: Cast, worker: Drive) -> None:
    incident = outage_is_over(worker)
    with travel(at(50)):
        tap(people.dana, incident, "broken")
    note_contact(
        incident.pk,
        people.dana,
        note="A mechanic comes.",
        next_at=at(1500),
        owner=people.team,
        now=at(80),
        actor="test",
    )
    assert own_promises(people.dana) == [("kept", "told in time"), ("open", "")]
    assert open_questions(limit=9)[0].due_at == at(1500)
    assert left_hanging(now=at(600)) == []


def test_who_says_that_it_works_after_all_waits_for_nobody(people: Cast, worker: Drive) -> None:
    incident = outage_is_over(worker)
    with travel(at(50)):
        tap(people.dana, incident, "broken")
    with travel(at(60)):
        tap(people.dana, incident, "works")
        worker.settle()
    assert own_promises(people.dana) == [("ended", "nobody waiting")]
    assert open_questions(limit=9) == []
    with travel(at(70)):
        tap(people.dana, incident, "broken")  # and broken again: promised again
    assert own_promises(people.dana)[1:] == [("open", "")]


def test_several_on_one_part_are_shown_as_a_pattern_and_opening_it_again_takes_them_over(
    people: Cast, worker: Drive
) -> None:
    incident = outage_is_over(worker)
    with travel(at(50)):
        for customer in (people.dana, people.bram):
            tap(customer, incident, "broken")
        assert patterns(open_questions(limit=9)) == []
        tap(people.chitra, incident, "broken")
    (pattern,) = patterns(open_questions(limit=9))
    assert (pattern.component, pattern.customers) == ("Node 7", 3)
    with travel(at(55)):
        reopen_incident(incident, actor="test")
        worker.settle()
    with travel(at(60)):
        worker.settle()
    assert open_questions(limit=9) == []
    assert own_promises(people.dana) == [("ended", "nobody waiting")]
    assert Promise.objects.filter(audience=f"incident:{incident.pk}", state="open").count() == 1
    assert left_hanging(now=at(61)) == []


def test_it_works_again_while_it_lasts_is_shown_and_ends_nothing(people: Cast, worker: Drive) -> None:
    outage_playbook()
    incident = node_fails(worker)
    with travel(at(10)):
        tap(people.dana, incident, "works")
        tap(people.bram, incident, "broken")
        worker.settle()
    incident.refresh_from_db()
    assert incident.state == Incident.State.OPEN
    counts = answer_counts(incident.pk)
    assert (counts.works_before, counts.broken_before, counts.waiting) == (1, 1, 0)
    assert own_promises(people.bram) == []  # he is kept told with everybody


def test_a_question_that_nobody_owns_breaks_the_guarantee(people: Cast, worker: Drive) -> None:
    incident = outage_is_over(worker)
    with travel(at(50)):
        tap(people.dana, incident, "broken")
    Promise.objects.filter(audience__startswith="customer:").update(owner=None)
    (row,) = left_hanging(now=at(60))
    assert (row.reason, row.customers, row.is_owned) == (HangingReason.STILL_BROKEN, 1, False)
    Promise.objects.filter(audience__startswith="customer:").update(owner=people.team, due_at=at(55))
    (row,) = left_hanging(now=at(60))  # promised, owned, and its time has passed: the watchdog has not seen to it
    assert (row.reason, row.is_owned) == (HangingReason.STILL_BROKEN, False)


def test_an_incident_without_an_owner_falls_to_the_team_of_its_playbook(people: Cast, worker: Drive) -> None:
    incident = outage_is_over(worker)
    Incident.objects.update(owner=None)
    with travel(at(50)):
        tap(people.dana, incident, "broken")
    assert Promise.objects.get(audience=f"customer:{people.dana.pk}").owner == people.team


def test_nobody_is_called_in_their_own_quiet_hours(people: Cast, worker: Drive) -> None:
    incident = outage_is_over(worker)
    change_customer(people.dana.pk, changes={"quiet_from": "12:00", "quiet_until": "15:00"}, actor="test")
    with travel(at(50)):
        tap(people.dana, incident, "broken")
    assert open_questions(limit=9)[0].due_at == at(360)  # an hour after the quiet ends, at 16:00 in London
