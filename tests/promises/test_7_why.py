"""Guarantee 7: for any customer and any message, sent or not, one sentence says why."""

import re
from pathlib import Path

import pytest
from django.utils import translation
from tests.cast import Cast
from tests.driving import Drive
from tests.promises.story import at, node_fails, outage_playbook

import beforehand
from beforehand.console.reasons import not_sent, outcome, why_said
from beforehand.customers.models import ContactPoint
from beforehand.engine.retries import RetryReason
from beforehand.engine.sending import SendingReason
from beforehand.incidents.actions import resolve_incident
from beforehand.incidents.affected import take_off_list
from beforehand.incidents.models import Affected
from beforehand.kit.clock import travel
from beforehand.outbound.models import Message, MessageBatch
from beforehand.playbooks.audiences import BatchAudience

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def known_reasons() -> set[str]:
    """Every reason that the engine gives, or that a statement of ours writes."""
    engine = {reason.value for reason in (*SendingReason, *RetryReason)} - {"allowed"}
    written: set[str] = set()
    for path in Path(beforehand.__file__).parent.glob("*/*.py"):
        text = path.read_text()
        written |= set(re.findall(r'PutBack\([^()]*"(?:queued|refused)", "(\w+)"', text))
        written |= set(re.findall(r'cancel(?:_for)?\([^()]*(?:\([^()]*\)[^()]*)*reason="(\w+)"', text))
    return engine | written


def test_every_reason_has_a_sentence_of_its_own() -> None:
    reasons = known_reasons()
    assert {"no_longer_affected", "unreachable", "reopened", "affected_again", "fault", "template_error"} <= reasons
    with translation.override("en"):
        sentences = {reason: not_sent(reason, "cancelled") for reason in reasons}
    assert [reason for reason, sentence in sentences.items() if f"({reason})" in sentence] == []
    assert len(set(sentences.values())) == len(sentences)


def test_every_message_sent_or_not_says_why(people: Cast, worker: Drive) -> None:
    ContactPoint.objects.filter(customer=people.chitra).delete()
    outage_playbook()
    incident = node_fails(worker)
    with travel(at(10)):
        take_off_list(incident.pk, customer_ids=[people.bram.pk], state=Affected.State.CURED, now=at(10), actor="test")
        worker.settle()
        resolve_incident(incident, reason="repaired", actor="test")
        worker.settle()
    batches = MessageBatch.objects.in_bulk()
    assert {batch.audience for batch in batches.values()} == {
        BatchAudience.AFFECTED,
        BatchAudience.LEFT_CURED,
        BatchAudience.TOLD,
    }
    with translation.override("en"):
        for message in Message.objects.all():
            batch = batches[message.batch_id]
            why = why_said(batch, incident_title=incident.title, holding="Fibre 500")
            became = outcome(message, batch_state=batch.state)  # type: ignore[arg-type]
            for sentence in (why, became):
                assert re.fullmatch(r"[A-Z“].+\.", str(sentence)), sentence
    assert {"sent", "refused"} <= set(Message.objects.values_list("state", flat=True))
