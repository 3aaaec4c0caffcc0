"""The report of an incident, recomputed from what was stored."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.cast import make_cast
from tests.driving import alert, approve_shipped, driving, outage_rule, post_webhook

from beforehand.events.actions import accept_events
from beforehand.events.intake.values import IncomingEvent
from beforehand.events.models import Event
from beforehand.incidents.answers import give_answer, give_score
from beforehand.incidents.models import Answer, Incident
from beforehand.insights.queries import Knew, how_soon, incident_report
from beforehand.kit import clock
from beforehand.kit.clock import travel

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def contact(customer: str, at: datetime) -> None:
    event = IncomingEvent(
        source="desk", source_id=f"{customer}-{at}", type="contact.received", occurred_at=at, customer_ref=customer
    )
    accept_events([event], body=b"{}", content_type="application/json", intake="test")


def test_it_says_who_was_told_when_and_how_long_we_knew_before_the_first_customer_wrote() -> None:
    cast = make_cast()
    cast.chitra.contact_points.all().delete()
    outage_rule(owner=cast.team)
    approve_shipped()
    with driving() as drive:
        with travel(START):
            post_webhook([alert(starts_at=START)])
            drive.settle()
        with travel(START + timedelta(minutes=3)):
            drive.settle()
        contact("bram", START + timedelta(minutes=7))
        contact("elif", START + timedelta(minutes=1))  # not touched, so her question is about something else
        end = START + timedelta(minutes=40)
        with travel(end):
            post_webhook([alert(starts_at=START, status="resolved", ends_at=end)])
            drive.settle()
            report = incident_report(Incident.objects.get(), now=end)
    assert (report.affected, report.told, report.uncertain) == (4, 3, 0)
    assert report.not_told == {"no_contact_point": 1}
    assert report.head_start == timedelta(minutes=7)
    assert (report.contacts, report.told_before_contact) == (1, 1)
    assert report.known_by_half == timedelta(minutes=3)
    assert report.known_by_most is None  # one in four was never told
    assert report.longest_wait == timedelta(minutes=37)
    assert report.last_known == timedelta(minutes=3)
    assert report.knew == (Knew(timedelta(minutes=5), 3), Knew(None, 1))
    assert (report.promises_kept, report.promises_broken) == (1, 0)
    assert {(row.language, row.affected, row.told) for row in report.languages} == {
        ("ar", 1, 1),
        ("en", 1, 1),
        ("hi", 1, 0),
        ("nl", 1, 1),
    }


def test_everybody_stands_in_one_row_of_the_distribution() -> None:
    seconds = [60.0, 299.0, 300.0, 301.0, 3600.0, 90_000.0]
    rows = how_soon(seconds, 9)
    assert [(row.within, row.customers) for row in rows] == [
        (timedelta(minutes=5), 3),
        (timedelta(minutes=15), 1),
        (timedelta(hours=1), 1),
        (timedelta.max, 1),
        (None, 3),
    ]
    assert sum(row.customers for row in rows) == 9
    assert how_soon([], 0) == ()


def of_log(type: str, incident: Incident) -> list[Event]:
    return list(Event.objects.filter(type=type, subject=f"incident:{incident.pk}").order_by("pk"))


def test_its_figures_can_be_recomputed_from_the_event_log_alone() -> None:
    cast = make_cast()
    cast.chitra.contact_points.all().delete()
    outage_rule(owner=cast.team)
    approve_shipped()
    end = START + timedelta(minutes=40)
    with driving() as drive:
        for minutes in (0, 3):
            with travel(START + timedelta(minutes=minutes)):
                if not minutes:
                    post_webhook([alert(starts_at=START)])
                drive.settle()
        contact("bram", START + timedelta(minutes=7))
        with travel(end):
            post_webhook([alert(starts_at=START, status="resolved", ends_at=end)])
            drive.settle()
        incident = Incident.objects.get()
        with travel(end + timedelta(minutes=5)):
            says = {cast.dana: Answer.Says.WORKS, cast.bram: Answer.Says.BROKEN}
            for customer, word in says.items():
                give_answer(incident, customer, says=word, owner=cast.team, now=clock.now(), actor="portal")
            give_score(incident, cast.dana, score=4, comment="Quick.", now=clock.now(), actor="portal")
            report = incident_report(incident, now=clock.now())
    affected = {event.customer_id for event in of_log("incident.customer_affected", incident)}
    assert report.affected == len(affected) == 4
    batches = {event.data["batch"] for event in of_log("message.batch_decided", incident)}
    sent = Event.objects.filter(type="message.sent", customer_id__in=affected).order_by("occurred_at")
    first: dict[int, datetime] = {}
    for event in sent:
        if event.data["batch"] in batches and event.customer_id is not None:
            first.setdefault(event.customer_id, event.occurred_at)
    assert report.told == len(first) == 3
    began_at = Incident.objects.get().began_at
    waits = sorted(at - began_at for at in first.values())
    assert report.known_by_half == waits[1]
    assert report.last_known == waits[-1]
    assert report.knew[-1] == Knew(None, len(affected) - len(first))
    wrote = Event.objects.filter(type="contact.received", customer_id__in=affected)
    opened = of_log("incident.opened", incident)[0]
    assert report.head_start == min(event.occurred_at for event in wrote) - opened.occurred_at
    assert report.promises_kept == len(of_log("promise.kept", incident))
    assert report.promises_broken == len(of_log("promise.broken", incident))
    meanings = [
        event.data["meaning"]
        for type in ("confirmed", "still_broken")
        for event in of_log(f"incident.customer_{type}", incident)
    ]
    assert (report.answers.works, report.answers.broken) == (meanings.count("confirmed"), meanings.count("reopened"))
    assert report.answers.score_sum == sum(
        event.data["score"] for event in of_log("incident.customer_scored", incident)
    )
