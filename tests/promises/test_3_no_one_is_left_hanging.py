"""Guarantee 3: a next word is always promised; before it breaks the owner is warned; when it would break, an honest word goes out."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.cast import Cast
from tests.driving import Drive
from tests.mailbox import text_of
from tests.promises.story import TOUCHED, at, node_fails, outage_playbook

from beforehand.events.models import Event
from beforehand.incidents.actions import post_update, resolve_incident
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.outbound.models import MessageBatch
from beforehand.playbooks.models import Run
from beforehand.playbooks.queries import left_hanging
from beforehand.promises.models import Promise

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

DANA = "dana@customers.example"


def states() -> list[tuple[str, str]]:
    return list(Promise.objects.order_by("pk").values_list("state", "reason"))


def steps(worker: Drive, address: str = DANA) -> list[str]:
    return [str(mail["Feedback-ID"]).split(":")[1] for mail in worker.mailbox.mails_to(address)]


def stop_the_run() -> None:
    Run.objects.update(wake_at=None)


def test_the_notice_and_the_ledger_name_the_same_time_and_someone_owns_it(people: Cast, worker: Drive) -> None:
    outage_playbook()
    node_fails(worker)
    promise = Promise.objects.get()
    assert promise.due_at == at(65)  # 11:03 and an hour, rounded up to five minutes
    assert promise.owner == people.team
    spoken = promise.due_at.astimezone(ZoneInfo("Europe/Amsterdam"))
    (dutch,) = worker.mailbox.mails_to("bram@customers.example")
    assert f"{spoken:%H:%M}" in text_of(dutch)
    with travel(at(4)):
        assert left_hanging(now=at(4)) == []


def test_its_owner_is_warned_before_and_an_honest_word_goes_out_when_nobody_speaks(worker: Drive) -> None:
    outage_playbook()
    node_fails(worker)
    stop_the_run()
    with travel(at(50)):
        worker.settle()
        assert not Event.objects.filter(type="promise.due_soon").exists()
    with travel(at(56)):
        worker.settle()
        assert Event.objects.filter(type="promise.due_soon").count() == 1
        assert states() == [("open", "")]
    with travel(at(64)):
        worker.settle()
    assert states() == [("broken", "holding message instead"), ("open", "")]
    assert steps(worker) == ["first-notice", "holding"]
    newest = Promise.objects.get(state="open")
    assert newest.due_at == at(125)
    assert f"{newest.due_at.astimezone(ZoneInfo('Europe/London')):%H:%M}" in text_of(worker.mailbox.mails_to(DANA)[1])
    assert worker.mailbox.counts() == dict.fromkeys(TOUCHED, 2)


def test_nobody_watched_either_so_the_honest_word_comes_late_but_it_comes(worker: Drive) -> None:
    outage_playbook()
    node_fails(worker)
    stop_the_run()
    with travel(at(200)):
        worker.settle()
    assert states() == [("broken", "not at all"), ("open", "")]
    assert steps(worker) == ["first-notice", "holding"]


def test_a_worker_that_was_down_past_the_promise_speaks_once_when_it_is_back(worker: Drive) -> None:
    outage_playbook()
    node_fails(worker)
    with travel(at(100)):
        worker.settle()
    assert [state for state, _ in states()] == ["broken", "open"]
    assert steps(worker) == ["first-notice", "still-working"]


def test_a_word_at_the_last_moment_keeps_the_promise(worker: Drive) -> None:
    outage_playbook()
    incident = node_fails(worker)
    with travel(at(57)):
        worker.decide()  # the regular word is on its way
    with travel(at(64.9)):
        worker.settle()
    with travel(at(65) + timedelta(seconds=1)):
        worker.settle()
    assert states()[0] == ("kept", "told in time")
    assert incident.pk == Incident.objects.get().pk


def test_the_end_keeps_what_was_promised_and_an_update_by_a_person_does_too(people: Cast, worker: Drive) -> None:
    outage_playbook()
    incident = node_fails(worker)
    with travel(at(20)):
        post_update(incident, texts={"en": "An engineer is there"}, author=people.noor, actor="noor")
        worker.settle()
    with travel(at(40)):
        resolve_incident(incident, reason="repaired", actor="noor")
        worker.settle()
    assert states() == [("kept", "told in time"), ("kept", "told in time")]
    assert steps(worker) == ["first-notice", "still-working.update", "all-clear"]


def test_a_promise_to_nobody_is_no_longer_needed_when_it_is_over(people: Cast, worker: Drive) -> None:
    outage_playbook()
    incident = node_fails(worker)
    with travel(at(10)):
        resolve_incident(incident, reason="repaired", actor="noor")
        worker.decide()
        worker.decide()
        MessageBatch.objects.filter(step="all-clear").update(state="cancelled")
        worker.settle()
    with travel(at(70)):
        worker.settle()
    assert not Promise.objects.filter(state="kept").exists()  # a word that was stopped keeps nothing


@pytest.mark.parametrize(
    ("since", "spoken"),
    [
        (datetime(2026, 10, 25, 0, 15, tzinfo=UTC), "02:20"),  # 02:15 summer time; an hour later it is 02:18 again
        (datetime(2027, 3, 28, 0, 15, tzinfo=UTC), "03:20"),  # 01:15 winter time; an hour later it is 03:18
    ],
)
def test_on_the_night_when_the_clocks_change_the_ledger_the_words_and_the_rhythm_agree(
    worker: Drive, since: datetime, spoken: str
) -> None:
    outage_playbook()
    node_fails(worker, since=since)
    promise = Promise.objects.get()
    assert promise.due_at == at(65, since=since)
    (dutch,) = worker.mailbox.mails_to("bram@customers.example")
    assert spoken in text_of(dutch)
    if since.month == 10:
        assert "CET" in text_of(dutch) or "UTC+1" in text_of(dutch)  # which of the two times 02:20 is meant
    for minutes in (30, 58, 90, 113):
        with travel(at(minutes, since=since)):
            worker.settle()
    assert steps(worker) == ["first-notice", "still-working", "still-working"]
    assert [state for state, _ in states()] == ["kept", "kept", "open"]
