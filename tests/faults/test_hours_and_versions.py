"""What a long response lives through: a channel away for an hour, a playbook changed under it, midnight, a clock change."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from beforehand.incidents.actions import resolve_incident
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.outbound.models import Message
from beforehand.playbooks.actions import approve_version, push_version
from beforehand.playbooks.bundles import SHIPPED, read_bundle
from beforehand.playbooks.models import PlaybookVersion, Run
from beforehand.promises.models import Promise
from tests.cast import Cast, make_cast
from tests.driving import Drive, alert, driving, outage_rule, post_webhook
from tests.mailbox import Mailbox, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
BRAM, CHITRA, DANA, ELIF = (f"{name}@customers.example" for name in ("bram", "chitra", "dana", "elif"))


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    cast = make_cast()
    outage_rule(owner=cast.team, resolve_after_seconds=1_000_000)
    return cast


@pytest.fixture
def drive(cast: Cast) -> Iterator[Drive]:
    with driving() as drive:
        yield drive


def outage(*, message_class: str = "service-critical", still: str = "") -> PlaybookVersion:
    """The outage playbook that says its word every hour, approved; `still` is the subject of its Dutch updates."""
    source, texts = read_bundle(SHIPPED / "outage")
    head, _, rest = source.partition("\ntests:")[0].partition("    every:")
    rest = rest[rest.index("    tell:") :]
    source = (head + "    every: 55 minutes\n" + rest).replace("next update in rhythm", "next update within 60 minutes")
    source = source.replace("class: service-critical", f"class: {message_class}")
    if still:
        dutch = texts["still-working", "nl"]
        _, subject, words = dutch.partition("subject:")
        texts = {**texts, ("still-working", "nl"): f"---\nsubject: {still}\n{words.partition(chr(10))[2]}"}
        assert subject
    version = push_version(source=source, texts=texts, actor="test")
    approve_version(version, user=None, actor="test")
    return version


def fails(drive: Drive, *, since: datetime = START, node: str = "node-7") -> Incident:
    with travel(since + timedelta(minutes=3)):
        post_webhook([alert(starts_at=since, node=node)])
        drive.settle()
    return Incident.objects.order_by("-pk")[0]


def at(moment: datetime, drive: Drive) -> None:
    with travel(moment):
        drive.settle()


def minutes(count: float) -> datetime:
    return START + timedelta(minutes=count)


def test_a_channel_that_comes_back_after_an_hour_says_each_word_once_and_the_ledger_says_what_was_late(
    cast: Cast, drive: Drive
) -> None:
    outage()
    drive.mailbox.__exit__()
    fails(drive)
    for count in range(4, 68, 7):
        at(minutes(count), drive)
    first = Promise.objects.order_by("pk")[0]
    assert (first.state, first.reason) == ("broken", "not for all")
    with Mailbox(port=drive.mailbox.port) as back:
        for count in (68, 70):
            at(minutes(count), drive)
        for person in (BRAM, CHITRA, DANA):
            mails = back.mails_to(person)
            assert len({mail["Message-ID"] for mail in mails}) == len(mails) == 2, (
                "the notice, and the word of an hour later"
            )
        assert not Message.objects.filter(state="queued").exists()
        assert Promise.objects.filter(state="open", due_at__gt=minutes(70)).count() == 1


def test_a_playbook_changed_under_a_run_changes_nothing_of_it_and_the_next_incident_uses_the_new_one(
    cast: Cast, drive: Drive
) -> None:
    before = outage()
    incident = fails(drive)
    with travel(minutes(10)):
        after = outage(still="Een ander onderwerp")
    assert (before.number, after.number) == (1, 2)
    at(minutes(58), drive)
    assert Run.objects.get(incident=incident).version == before
    assert "Een ander onderwerp" not in [mail["Subject"] for mail in drive.mailbox.mails_to(BRAM)]
    other = fails(drive, since=minutes(60), node="node-8")
    assert Run.objects.get(incident=other).version == after
    at(minutes(119), drive)
    assert "Een ander onderwerp" in [mail["Subject"] for mail in drive.mailbox.mails_to(ELIF)]
    with travel(minutes(120)):
        resolve_incident(incident, reason="repaired", actor="test")
        drive.settle()
    assert Run.objects.get(incident=incident).state == "finished"


@pytest.mark.parametrize(
    ("since", "offset"),
    [
        (datetime(2026, 10, 24, 22, 30, tzinfo=UTC), 1),  # half past midnight in Amsterdam, before the clocks go back
        (datetime(2026, 3, 28, 23, 30, tzinfo=UTC), 2),  # and before they go forward
    ],
)
def test_who_is_not_woken_hears_it_when_the_night_of_a_clock_change_is_over_where_they_are(
    since: datetime, offset: int, cast: Cast, drive: Drive
) -> None:
    outage(message_class="service")
    fails(drive, since=since)
    due = Message.objects.filter(customer_id=cast.bram.pk, state="queued").get().due_at
    local = due.astimezone(ZoneInfo("Europe/Amsterdam"))
    assert (local.hour, local.utcoffset()) == (8, timedelta(hours=offset))
    assert (local.date() - since.date()).days == 1
    at(due - timedelta(seconds=1), drive)
    assert not drive.mailbox.mails_to(BRAM)
    at(due, drive)
    assert drive.mailbox.mails_to(BRAM)
    heard = [mail["Message-ID"] for mail in drive.mailbox.mails_to(BRAM)]
    assert len(heard) == len(set(heard))


def test_a_time_beyond_midnight_names_the_day_where_the_reader_is(cast: Cast, drive: Drive) -> None:
    outage()
    fails(drive, since=datetime(2026, 11, 23, 22, 27, tzinfo=UTC))
    (dutch,) = drive.mailbox.mails_to(BRAM)  # 23:30 in Amsterdam: the next word is by 00:30 tomorrow
    (english,) = drive.mailbox.mails_to(DANA)  # 22:30 in London: it is today
    assert "dinsdag 24 november" in text_of(dutch)
    assert "00:30" in text_of(dutch)
    assert "November" not in text_of(english)
    assert "11:30" in text_of(english)
