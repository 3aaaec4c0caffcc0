"""A promise belongs to whoever is on duty; unacknowledged it passes on; what is to be done by a time is kept or not."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from tests.cast import Cast, make_cast
from tests.driving import until_someone_waits

from beforehand.accounts.models import Absence
from beforehand.accounts.shifts import ShiftGiven, put_shifts, save_roles, save_team_duty
from beforehand.kit.clock import travel
from beforehand.kit.rows import fetch
from beforehand.promises.duty import acknowledge
from beforehand.promises.models import Promise
from beforehand.promises.outcomes import (
    PromiseRefused,
    make_outcome,
    mark_told,
    move_outcome,
    settle_outcome,
    settle_outcomes,
)
from beforehand.promises.queries import due_soonest, held_by, next_promises, outcomes_to_tell, unowned_promises
from beforehand.promises.watch import watch_promises

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture
def cast() -> Cast:
    cast = make_cast()
    save_roles(cast.team, [("duty-manager", "Duty manager")], actor="test")
    save_team_duty(cast.team, time_zone="Europe/Amsterdam", supervisor=cast.noor, members=None, actor="test")
    return cast


def on_duty(cast: Cast, *, ester: float = 600, farid: float = 600) -> None:
    """Ester has the duty and Farid is the deputy, each until so many minutes after the start."""
    put_shifts(
        cast.team,
        [
            ShiftGiven("e", "ester@company.example", at(-60), at(ester)),
            ShiftGiven("f", "farid@company.example", at(-60), at(farid), place=2),
        ],
        actor="test",
    )


def promised(cast: Cast, *, due: float = 60, warn: float = 30, hold: float = 57) -> Promise:
    return Promise.objects.create(
        audience="incident:1", made_by=f"run:1:{due}", made_at=at(0), due_at=at(due), warn_at=at(warn),
        hold_at=at(hold), owner=cast.team,
    )  # fmt: skip


def watched(minutes: float) -> None:
    with travel(at(minutes)):
        watch_promises(now=at(minutes))


def told(promise: Promise) -> list[str]:
    rows = fetch("SELECT type FROM events_event WHERE type LIKE 'promise.%%' ORDER BY id")
    return [row[0].partition(".")[2] for row in rows]


def test_a_warning_goes_to_the_person_on_duty_then_the_deputy_then_the_supervisor(cast: Cast) -> None:
    on_duty(cast)
    promise = promised(cast)  # nine minutes for each of three
    holders = []
    for minutes in (29, 30, 38, 39, 48, 56):
        watched(minutes)
        promise.refresh_from_db()
        holders.append(promise.assignee.name if promise.assignee else "")
    assert holders == ["", "Ester", "Ester", "Farid", "Noor", "Noor"]
    assert told(promise) == ["due_soon", "assigned", "passed", "passed"]
    watched(57)
    assert told(promise)[4:] == ["unanswered", "broken", "holding_asked"]


def test_one_press_makes_it_theirs_and_it_passes_no_further(cast: Cast) -> None:
    on_duty(cast)
    promise = promised(cast)
    watched(30)
    assert [one.pk for one in held_by(cast.ester)] == [promise.pk]
    said = acknowledge(promise.pk, person=cast.ester, actor="user:1", now=at(31))
    assert said.is_new
    watched(56)
    promise.refresh_from_db()
    assert promise.assignee == cast.ester
    assert told(promise) == ["due_soon", "assigned", "acknowledged"]


def test_of_two_people_who_acknowledge_at_once_one_has_it_and_the_other_is_told_who(cast: Cast) -> None:
    on_duty(cast)
    promise = promised(cast)
    watched(30)
    said = {}

    def press() -> None:
        try:
            said["ester"] = acknowledge(promise.pk, person=cast.ester, actor="user:ester", now=at(31))
        finally:
            connection.close()

    slower = threading.Thread(target=press)
    with transaction.atomic():
        said["farid"] = acknowledge(promise.pk, person=cast.farid, actor="user:farid", now=at(31))
        slower.start()
        until_someone_waits()
    slower.join(timeout=20)
    assert (said["farid"].is_new, said["ester"].is_new) == (True, False)
    promise.refresh_from_db()
    assert said["ester"].holder == cast.farid == promise.assignee
    assert told(promise).count("acknowledged") == 1


def test_with_nobody_on_duty_the_supervisor_is_asked_at_once(cast: Cast) -> None:
    on_duty(cast, ester=20, farid=20)
    promise = promised(cast)
    assert [(one.promise.pk, one.gap.starts_at) for one in unowned_promises(due_soonest(), now=at(5))] == [
        (promise.pk, at(20))
    ]
    watched(30)
    promise.refresh_from_db()
    assert (promise.assignee, promise.rung) == (cast.noor, "supervisor")


def test_with_nobody_at_all_that_is_said(cast: Cast) -> None:
    save_team_duty(cast.team, time_zone=None, supervisor=None, members=None, actor="test")
    promise = promised(cast)
    watched(30)
    promise.refresh_from_db()
    assert promise.assignee is None
    assert told(promise) == ["due_soon", "nobody_on_duty"]


def test_when_the_holders_shift_ends_the_promise_goes_to_who_comes_and_is_to_be_acknowledged_anew(cast: Cast) -> None:
    on_duty(cast, ester=45)
    put_shifts(cast.team, [ShiftGiven("n", "noor@company.example", at(45), at(600))], actor="test")
    promise = promised(cast)
    watched(30)
    acknowledge(promise.pk, person=cast.ester, actor="user:1", now=at(31))
    watched(44)
    promise.refresh_from_db()
    assert promise.assignee == cast.ester
    watched(45)
    promise.refresh_from_db()
    assert (promise.assignee, promise.acknowledged_at) == (cast.noor, None)
    assert told(promise)[-1] == "passed"
    assert unowned_promises(due_soonest(), now=at(45)) == []


def test_who_is_suddenly_away_holds_nothing_any_more(cast: Cast) -> None:
    on_duty(cast)
    promise = promised(cast)
    watched(30)
    Absence.objects.create(person=cast.ester, starts_at=at(33), ends_at=at(600))
    watched(33)
    promise.refresh_from_db()
    assert promise.assignee == cast.farid


def test_who_took_it_freely_keeps_it_without_a_shift(cast: Cast) -> None:
    on_duty(cast, ester=45)
    promise = promised(cast)
    watched(30)
    acknowledge(promise.pk, person=cast.noor, actor="user:3", now=at(31))
    watched(50)
    promise.refresh_from_db()
    assert promise.assignee == cast.noor


def test_a_team_without_roles_is_warned_as_a_team(cast: Cast) -> None:
    cast.team.duty_roles.all().delete()
    promise = promised(cast)
    watched(30)
    promise.refresh_from_db()
    assert promise.assignee is None
    assert told(promise) == ["due_soon"]
    assert unowned_promises(due_soonest(), now=at(30)) == []


def test_ten_minutes_are_a_setting(cast: Cast) -> None:
    from beforehand.accounts.actions import set_setting

    set_setting(key="promises.acknowledge_minutes", value=2, actor="test")
    on_duty(cast)
    promise = promised(cast)
    watched(30)
    watched(32)
    promise.refresh_from_db()
    assert promise.assignee == cast.farid


def outcome(cast: Cast, *, due: float = 120, now: float = 0) -> Promise:
    return make_outcome(
        audience="incident:1", outcome="restored", due_at=at(due), now=at(now), owner=cast.team, actor="user:1"
    )


@pytest.mark.parametrize(("done", "state"), [(60, "kept_early"), (119, "kept"), (120, "kept"), (121, "broken")])
def test_an_outcome_is_kept_early_kept_or_broken(cast: Cast, done: float, state: str) -> None:
    promise = outcome(cast)
    settle_outcome(promise, done_at=at(done), actor="user:1")
    promise.refresh_from_db()
    assert (promise.state, told(promise)) == (state, ["made", state])


def test_an_update_is_kept_by_telling_and_never_early(cast: Cast) -> None:
    promise = promised(cast)
    for press in (
        lambda: settle_outcome(promise, done_at=at(1), actor="user:1"),
        lambda: move_outcome(promise, due_at=at(500), now=at(1), actor="user:1"),
    ):
        with pytest.raises(PromiseRefused) as refused:
            press()
        assert refused.value.code == "not_an_outcome"
    assert settle_outcomes("incident:1", done_at=at(1), is_mistake=False, actor="test") == 0


def test_a_move_is_written_down_told_and_counts_by_its_new_time(cast: Cast) -> None:
    first = outcome(cast)
    mark_told("incident:1", at=at(5))
    second = move_outcome(first, due_at=at(240), now=at(60), actor="user:1")
    first.refresh_from_db()
    assert (first.state, first.told_at) == ("moved", at(5))
    assert (second.moved_from, second.told_at) == (first, None)
    assert outcomes_to_tell("incident:1") == [second]
    watched(239)
    second.refresh_from_db()
    assert second.state == "open"
    watched(241)
    second.refresh_from_db()
    assert second.state == "broken"
    assert outcomes_to_tell("incident:1") == [second]  # the next word says that it did not happen
    third = outcome(cast, due=400, now=250)
    assert outcomes_to_tell("incident:1") == [third]


@pytest.mark.parametrize(
    ("due", "code"), [(0, "past"), (-5, "past"), (120, "one_is_open")]
)  # fmt: skip
def test_what_cannot_be_promised_is_refused(cast: Cast, due: float, code: str) -> None:
    if code == "one_is_open":
        outcome(cast)
    with pytest.raises(PromiseRefused) as refused:
        outcome(cast, due=due)
    assert refused.value.code == code


def test_the_owner_of_an_outcome_is_warned_before(cast: Cast) -> None:
    on_duty(cast)
    promise = outcome(cast)
    watched(95)
    promise.refresh_from_db()
    assert promise.warned_at is None
    watched(96)  # a fifth of two hours before
    promise.refresh_from_db()
    assert promise.assignee == cast.ester


def test_an_outcome_is_no_next_word(cast: Cast) -> None:
    outcome(cast)
    assert next_promises(["incident:1"]) == {}
    word = promised(cast, due=200, warn=190, hold=198)
    assert next_promises(["incident:1"])["incident:1"] == word


def test_after_a_false_alarm_nobody_waits_for_it(cast: Cast) -> None:
    promise = outcome(cast)
    settle_outcomes("incident:1", done_at=at(9), is_mistake=True, actor="ledger")
    promise.refresh_from_db()
    assert promise.state == "ended"
