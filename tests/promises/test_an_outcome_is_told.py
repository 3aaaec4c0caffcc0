"""What is promised to be done by a time is told with the next message, and so is its move, and that it was not done."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import translation
from tests.cast import make_cast
from tests.driving import Drive, alert, approve_shipped, driving, outage_rule, post_webhook
from tests.mailbox import text_of

from beforehand.engine.languages import Direction
from beforehand.incidents.actions import post_update
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.outbound import outcome_words as words
from beforehand.outbound.frame import Brand
from beforehand.outbound.short_texts import compile_short
from beforehand.outbound.template_check import TemplateSource
from beforehand.promises.models import Promise
from beforehand.promises.outcomes import make_outcome, move_outcome

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DANA = "dana@customers.example"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def told(drive: Drive, incident: Incident, minutes: float) -> str:
    """What Dana reads, in London, of an update written at that time."""
    with travel(at(minutes)):
        post_update(incident, texts={"en": "Two joints are left."}, author=None, actor="test")
        drive.settle()
    return " ".join(text_of(drive.mailbox.mails_to(DANA)[-1]).split())


def test_an_outcome_its_move_and_its_failure_are_told_and_the_end_settles_the_last() -> None:
    cast = make_cast()
    outage_rule(owner=cast.team, resolve_after_seconds=86_400)
    approve_shipped()
    with driving() as drive:
        with travel(at(0)):
            post_webhook([alert(starts_at=at(0))])
            drive.settle()
        with travel(at(3)):
            drive.settle()
        incident = Incident.objects.get()
        audience = f"incident:{incident.pk}"
        assert "work again by" not in text_of(drive.mailbox.mails_to(DANA)[0])
        first = make_outcome(
            audience=audience, outcome="restored", due_at=at(120), now=at(4), owner=cast.team, actor="test"
        )
        assert "We expect it to work again by 12:00" in told(drive, incident, 5)
        second = move_outcome(first, due_at=at(60), now=at(6), actor="test")
        said = told(drive, incident, 7)
        assert "We had said 12:00 PM; that has changed. We expect it to work again by 11:00 AM." in said
        assert "We had said 12:00" not in told(drive, incident, 8)  # once is enough
        with travel(at(61)):
            drive.settle()
        second.refresh_from_db()
        assert second.state == "broken"
        assert "We had said that it would work again by 11:00 AM. We did not manage that." in told(drive, incident, 62)
        make_outcome(audience=audience, outcome="restored", due_at=at(180), now=at(63), owner=cast.team, actor="test")
        with travel(at(70)):
            post_webhook([alert(starts_at=at(0), status="resolved", ends_at=at(70))])
            drive.settle()
        assert "by 1:00 PM" not in text_of(drive.mailbox.mails_to(DANA)[-1])
    outcomes = Promise.objects.filter(kind="outcome").order_by("pk")
    assert [one.state for one in outcomes] == ["moved", "broken", "kept_early"]


def test_a_language_without_a_translation_says_nothing_rather_than_something_foreign() -> None:
    facts = {"outcomes": {"visited": {"by": "12:00", "before": None, "is_broken": False}}}
    assert words.outcome_words("en", facts) == "We visit by 12:00."
    with translation.override("en"):
        assert words.outcome_words("fy", facts) == ""
    assert words.outcome_words("en", {}) == ""


def test_a_text_message_carries_it_too() -> None:
    facts = {"outcomes": {"restored": {"by": "16:00", "before": "14:00", "is_broken": False}}}
    message = compile_short(
        TemplateSource("notice.en.md", "---\nsubject: Internet outage\n---\nDear customer, it is down.\n"),
        language="en",
        direction=Direction.LTR,
        facts=facts,
        slots=(),
        brand=Brand(name="Noorderlicht", sender="news@example.org"),
    )
    said = "We had said 14:00; that has changed. We expect it to work again by 16:00."
    assert message.fill({}) == f"Noorderlicht: Internet outage. {said}"
