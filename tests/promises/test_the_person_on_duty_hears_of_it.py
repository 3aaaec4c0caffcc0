"""A promise, a playbook that waits, a task: whoever is to act hears of it by mail, once, in their language, with the way there."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from tests.cast import Cast, make_cast
from tests.driving import outage_rule, wait_until_readable
from tests.mailbox import Mailbox, html_of, text_of

from beforehand.accounts.actions import change_own_ways, join_team
from beforehand.accounts.models import Notice, User
from beforehand.accounts.notices import Asked, claim_mail, forget_notices, give_notice
from beforehand.accounts.shifts import ShiftGiven, put_shifts, save_roles, save_team_duty
from beforehand.console.colleague_mail import written_mail
from beforehand.events.subscriptions import StoredEvent, ensure_cursors, run_all_once
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.kit.rows import fetch
from beforehand.outbound.colleagues import send_notices
from beforehand.outbound.smtp import Courier
from beforehand.outbound.smtp_handshake import SmtpServer
from beforehand.playbooks.actions import install_shipped
from beforehand.playbooks.models import PlaybookVersion, Run, RunTask
from beforehand.promises.duty import acknowledge
from beforehand.promises.models import Promise
from beforehand.promises.notices import notice_promises
from beforehand.promises.watch import watch_promises

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ESTER, FARID, NOOR = (f"{name}@company.example" for name in ("ester", "farid", "noor"))


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


class Office:
    """A worker's work as far as colleagues' mail goes, minute by minute."""

    def __init__(self, mailbox: Mailbox, courier: Courier) -> None:
        self.mailbox, self.courier = mailbox, courier
        ensure_cursors()

    def minute(self, minutes: float) -> None:
        """Watch and note at this minute, and mail what is gathered four seconds later."""
        with travel(at(minutes)):
            watch_promises(now=at(minutes))
            self.note()
        self.mail(minutes + 4 / 60)

    def note(self) -> None:
        while wait_until_readable() or run_all_once():
            pass

    def mail(self, minutes: float) -> int:
        with travel(at(minutes)):
            return send_notices(self.courier, written_mail, now=at(minutes))

    def texts(self, address: str) -> list[str]:
        return [text_of(mail) for mail in self.mailbox.mails_to(address)]


@pytest.fixture
def cast() -> Cast:
    cast = make_cast()
    outage_rule(owner=cast.team)
    save_roles(cast.team, [("duty-manager", "Duty manager")], actor="test")
    save_team_duty(cast.team, time_zone="Europe/Amsterdam", supervisor=cast.noor, members=None, actor="test")
    put_shifts(
        cast.team,
        [ShiftGiven("e", ESTER, at(-60), at(600)), ShiftGiven("f", FARID, at(-60), at(600), place=2)],
        actor="test",
    )
    return cast


@pytest.fixture
def office(cast: Cast) -> Iterator[Office]:
    with Mailbox() as box, Courier(SmtpServer.from_url(box.url), connections=1) as courier:
        yield Office(box, courier)


@pytest.fixture
def incident(cast: Cast) -> Incident:
    return Incident.objects.create(
        title="Internet outage in the north", kind="outage", severity="major", began_at=at(0), known_at=at(0),
        owner=cast.team, affected_count=25_120,
    )  # fmt: skip


@pytest.fixture
def promised(cast: Cast, incident: Incident) -> Callable[..., Promise]:
    def promise(name: str = "a", *, due: float = 60, **changes: object) -> Promise:
        given = {
            "audience": f"incident:{incident.pk}", "made_by": f"run:1:{name}", "made_at": at(0), "due_at": at(due),
            "warn_at": at(due - 30), "hold_at": at(due - 3), "owner": cast.team,
        }  # fmt: skip
        return Promise.objects.create(**{**given, **changes})

    return promise


def test_the_person_on_duty_is_told_once_with_the_way_there_and_what_happens_if_they_do_nothing(
    promised: Callable[..., Promise], office: Office
) -> None:
    promise = promised()
    for minutes in (30, 31, 32, 38):
        office.minute(minutes)
    assert office.mailbox.counts() == {ESTER: 1}
    [mail] = office.mailbox.mails_to(ESTER)
    assert mail["Subject"] == "Next update, promised for 12:00: Internet outage in the north"
    assert (mail["Auto-Submitted"], mail["Content-Language"]) == ("auto-generated", "en")
    text = text_of(mail)
    assert "You are on duty: this promise is yours." in text
    assert "If nobody takes it by 11:39, the next person is asked." in text
    assert "If nothing is said by 11:57, customers get a message that the update is late" in text
    assert f"/console/promises/{promise.public_id}/" in text
    assert f"/console/promises/{promise.public_id}/" in html_of(mail)


def test_what_passes_on_is_told_to_the_next_and_at_last_to_the_team(
    cast: Cast, promised: Callable[..., Promise], office: Office
) -> None:
    join_team(user=cast.farid, team=cast.team, actor="test")
    promised()
    for minutes in (30, 39, 48, 57):
        office.minute(minutes)
    assert office.mailbox.counts() == {ESTER: 1, FARID: 1, NOOR: 1}
    assert "It has passed to you." in office.texts(NOOR)[0]
    long = promised("b", due=120, hold_at=at(200))  # so long that it is still open when all three have been asked
    for minutes in (90, 100, 110, 120):
        office.minute(minutes)
    assert long.pk == Promise.objects.filter(state="open").get().pk
    assert "Everyone on duty was asked, and nobody has taken it." in office.texts(FARID)[-1]


def test_who_was_quicker_than_the_mail_gets_none(cast: Cast, promised: Callable[..., Promise], office: Office) -> None:
    promise = promised()
    with travel(at(30)):
        watch_promises(now=at(30))
        office.note()
        acknowledge(promise.pk, person=cast.farid, actor="test", now=at(30))
    office.mail(31)
    assert office.mailbox.counts() == {}
    assert [notice.outcome for notice in Notice.objects.all()] == ["moot"]


def test_a_promise_taken_before_its_warning_is_told_to_who_has_it(
    cast: Cast, promised: Callable[..., Promise], office: Office
) -> None:
    promise = promised()
    acknowledge(promise.pk, person=cast.farid, actor="test", now=at(10))
    office.minute(30)
    assert office.mailbox.counts() == {FARID: 1}
    assert "You have it, and it is due soon." in office.texts(FARID)[0]
    assert "the next person is asked" not in office.texts(FARID)[0]


def test_many_at_once_are_one_mail_and_what_follows_waits_a_minute(
    promised: Callable[..., Promise], office: Office
) -> None:
    for number in range(25):
        promised(f"p{number}")
    promised("later", due=60.3)
    office.minute(30)
    office.minute(30.3)
    [mail] = office.mailbox.mails_to(ESTER)
    assert mail["Subject"] == "25 things wait for you"
    assert text_of(mail).count("/console/promises/") == 20
    assert "And 5 more, on Today:" in text_of(mail)
    office.minute(31.2)
    assert [mail["Subject"].partition(":")[0] for mail in office.mailbox.mails_to(ESTER)[1:]] == [
        "Next update, promised for 12"
    ]


def test_a_person_chooses_what_is_mailed_to_them(cast: Cast, promised: Callable[..., Promise], office: Office) -> None:
    change_own_ways(cast.ester, mail_about="none", language="en", time_zone="UTC", actor="test")
    promised()
    office.minute(30)
    assert office.mailbox.counts() == {}
    save_roles(cast.team, [], actor="test")
    for person, about in ((cast.farid, "own"), (cast.noor, "all")):
        join_team(user=person, team=cast.team, actor="test")
        change_own_ways(person, mail_about=about, language="en", time_zone="UTC", actor="test")
    promised("b", due=90)
    office.minute(60)
    assert office.mailbox.counts() == {NOOR: 1}


def test_a_team_without_duty_roles_is_told_as_a_team_and_no_team_leaves_it_to_those_who_decide(
    cast: Cast, promised: Callable[..., Promise], office: Office
) -> None:
    save_roles(cast.team, [], actor="test")
    join_team(user=cast.ester, team=cast.team, actor="test")
    join_team(user=cast.farid, team=cast.team, actor="test")
    promised()
    office.minute(30)
    assert office.mailbox.counts() == {ESTER: 1, FARID: 1}
    assert "your team owns it: whoever can, takes it" in office.texts(ESTER)[0]
    promised("unowned", due=90, owner=None)
    office.minute(60)
    assert office.mailbox.counts() == {ESTER: 1, FARID: 1, NOOR: 1}
    assert "No team owns it: whoever can, takes it." in office.texts(NOOR)[0]


def test_with_nobody_on_duty_and_no_supervisor_the_team_is_told(
    cast: Cast, promised: Callable[..., Promise], office: Office
) -> None:
    save_team_duty(cast.team, time_zone=None, supervisor=None, members=[cast.farid], actor="test")
    promised(due=700)
    office.minute(670)
    assert office.mailbox.counts() == {FARID: 1}
    assert "Nobody of the team is on duty" in office.texts(FARID)[0]


def test_it_speaks_the_readers_language_from_their_side_and_on_their_clock(
    cast: Cast, promised: Callable[..., Promise], office: Office
) -> None:
    change_own_ways(cast.ester, mail_about="all", language="ar", time_zone="Asia/Kolkata", actor="test")
    promised()
    office.minute(30)
    [mail] = office.mailbox.mails_to(ESTER)
    assert mail["Content-Language"] == "ar"
    assert 'lang="ar" dir="rtl"' in html_of(mail)
    assert "16:30" in text_of(mail)  # eleven o'clock UTC
    assert "promised for" not in text_of(mail)


def a_run(incident: Incident) -> Run:
    install_shipped()
    version = PlaybookVersion.objects.get(slug="outage")
    return Run.objects.create(version=version, incident=incident, state="confirming", position={}, pending={})


def said(kind: str, **data: int) -> StoredEvent:
    return StoredEvent(id=7, recorded_at=at(0), occurred_at=at(0), type=kind, source="", source_id="", actor="run:1",
                       subject="incident:1", customer_id=None, data=data)  # fmt: skip


def test_what_waits_for_confirmation_is_told_to_who_is_there_and_may_confirm(
    cast: Cast, incident: Incident, office: Office
) -> None:
    from beforehand.playbooks.notices import notice_confirmations

    run = a_run(incident)
    with travel(at(0)):
        notice_confirmations([said("run.confirmation_asked", run=run.pk)])
        notice_confirmations([said("run.confirmation_asked", run=run.pk)])  # the same event, handed over twice
    office.mail(1)
    assert office.mailbox.counts() == {NOOR: 1}  # Ester has the duty, and an agent may not confirm
    assert "If nobody confirms, nothing is said to the 25,120 customers whom it touches." in office.texts(NOOR)[0]
    assert f"/console/runs/{run.public_id}/confirm/" in office.texts(NOOR)[0]


def test_a_task_is_told_to_who_is_on_duty_for_its_team_and_to_nobody_once_it_is_done(
    cast: Cast, incident: Incident, office: Office
) -> None:
    from beforehand.playbooks.notices import notice_tasks

    tasks = [
        RunTask.objects.create(
            run=a_run(incident) if turn == 1 else Run.objects.get(), step="look", turn=turn, title=f"Look {turn}",
            team_slug="network-operations", team=cast.team, made_at=at(0), due_at=at(20),
        )
        for turn in (1, 2)
    ]  # fmt: skip
    with travel(at(0)):
        notice_tasks([said("run.task_made", task=task.pk) for task in tasks])
    RunTask.objects.filter(pk=tasks[1].pk).update(done_at=at(0))
    office.mail(1)
    assert office.mailbox.counts() == {ESTER: 1}
    [mail] = office.mailbox.mails_to(ESTER)
    assert mail["Subject"] == "Look 1, by 11:20: Internet outage in the north"


def test_the_log_makes_it_happen_and_the_same_event_again_makes_nothing(
    cast: Cast, promised: Callable[..., Promise], office: Office
) -> None:
    promised()
    office.minute(30)
    rows = fetch(
        "SELECT id, recorded_at, occurred_at, type, source, source_id, actor, subject, customer_id, data "
        "FROM events_event WHERE type LIKE 'promise.%%' ORDER BY id"
    )
    with travel(at(31)):
        notice_promises([StoredEvent(*row) for row in rows])
    office.mail(35)
    assert (office.mailbox.counts(), Notice.objects.count()) == ({ESTER: 1}, 1)


def test_a_worker_that_died_over_a_mail_leaves_it_to_the_next_under_the_same_name(
    cast: Cast, promised: Callable[..., Promise], office: Office
) -> None:
    promised()
    with travel(at(30)):
        watch_promises(now=at(30))
        office.note()
    taken = claim_mail(now=at(30.2))  # and the process is gone
    assert taken is not None
    assert office.mail(31) == 0
    promised("b", due=61)
    with travel(at(31)):
        watch_promises(now=at(31))
        office.note()
    office.mail(33)
    office.mail(35)
    first, second = office.mailbox.mails_to(ESTER)
    keys = {str(first["Message-ID"]), str(second["Message-ID"])}
    assert len(keys) == 2
    assert any(str(taken.key) in key for key in keys)
    assert {notice.outcome for notice in Notice.objects.all()} == {"sent"}


def test_two_workers_make_one_mail_of_what_waits_for_one_person(cast: Cast) -> None:
    people = [cast.ester, cast.farid, cast.noor]
    for person in people:
        for number in range(40):
            asked = Asked((person.pk,), is_team=False)
            give_notice(asked, about=f"promise:{number}", reason="assigned", once="x", now=at(0))
    claimed, start = [], threading.Barrier(4)

    def work() -> None:
        try:
            start.wait(20)
            while (mail := claim_mail(now=at(1))) is not None:
                claimed.append(mail)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    while (mail := claim_mail(now=at(1))) is not None:  # whom every one of them took to be in another's hands
        claimed.append(mail)
    assert sorted(mail.person.pk for mail in claimed) == sorted(person.pk for person in people)
    assert {len(mail.notices) for mail in claimed} == {40}


def test_a_mail_server_that_puts_us_off_is_asked_again_later_and_one_that_refuses_is_not(
    cast: Cast, promised: Callable[..., Promise]
) -> None:
    answers = {0: "451 4.3.0 later", 2: "550 5.1.1 nobody here"}

    def script(command: str, nth: int) -> str | None:
        return answers.get(nth) if command.startswith("RCPT") else None

    with Mailbox(script) as box, Courier(SmtpServer.from_url(box.url), connections=1) as courier:
        office = Office(box, courier)
        promised()
        office.minute(30)
        assert box.counts() == {}
        assert office.mail(30.1) == 0
        office.mail(31)
        assert box.counts() == {ESTER: 1}
        promised("b", due=90)
        office.minute(60)
        office.mail(80)
        refused = Notice.objects.get(outcome="refused")
    assert (box.counts(), refused.answer) == ({ESTER: 1}, "nobody here")


def test_who_has_left_gets_none_and_old_notices_are_forgotten(
    cast: Cast, promised: Callable[..., Promise], office: Office
) -> None:
    promised()
    with travel(at(30)):
        watch_promises(now=at(30))
        office.note()
    User.objects.filter(pk=cast.ester.pk).update(is_active=False)
    office.mail(31)
    assert office.mailbox.counts() == {}
    assert (forget_notices(older_than=at(30)), forget_notices(older_than=at(40))) == (0, 1)
