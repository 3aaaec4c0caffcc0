"""A run's way through its playbook, told as it happens over time."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from tests.engine.playbooks.playbook_samples import NOON, REPEAT, minutes, sample
from tests.engine.playbooks.playbook_story import DAY, FEW, HOUR, Story, after_first_notice, playing

from beforehand.engine.playbooks.language import Audience, EndReason
from beforehand.engine.playbooks.moves import (
    AdvanceReason,
    Phase,
    Tell,
)
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.run import start


def test_an_outage_from_its_beginning_to_the_all_clear():
    story = Story()
    assert (story.last.reason, story.position.phase) == (AdvanceReason.STARTED, Phase.WAITING)
    assert story.last.wake_at == NOON + minutes(3)

    assert story.timer(minutes(3)).tell == Tell("first-notice", 1, "first-notice", Audience.AFFECTED, HOUR, DAY)
    assert story.last.wake_at == story.now
    assert story.timer(timedelta(seconds=5)).reason is AdvanceReason.STILL_TELLING
    assert story.all_told(timedelta(seconds=15)).wake_at == NOON + minutes(3 + 55)

    still = story.timer(
        minutes(55)
    ).tell  # 20 seconds late: the rhythm, and what it promises, count from when it was due
    late = timedelta(seconds=20)
    assert still == Tell(
        "still-working", 2, "still-working", Audience.AFFECTED, HOUR - late, DAY - minutes(55) - late, is_routine=True
    )
    story.all_told()
    assert story.hears("incident.update_posted", minutes(10)).tell == Tell(
        "still-working.update", 3, "update", Audience.AFFECTED, HOUR, DAY
    )
    updated_at = story.now
    assert story.all_told(timedelta(seconds=30)).wake_at == updated_at + minutes(55)

    assert story.hears("incident.resolved", minutes(5)).tell == Tell("all-clear", 4, "all-clear", Audience.TOLD, None)
    assert story.last.reason is AdvanceReason.EXITED
    done = story.all_told()
    assert (done.finished, done.position.phase, done.wake_at) == (EndReason.RESOLVED, Phase.FINISHED, None)
    assert done.listens == frozenset()


def test_the_fault_must_last_counted_from_when_it_began():
    assert Story(began_at=NOON - minutes(2)).last.wake_at == NOON + minutes(1)
    assert Story(began_at=NOON - minutes(20)).keys == [("first-notice", 1)]
    assert Story(began_at=NOON + minutes(20)).last.wake_at == NOON + minutes(3)


def test_a_fault_that_heals_at_once_is_told_to_nobody():
    story = Story()
    result = story.hears("incident.resolved", minutes(1))
    assert (result.finished, result.tells) == (EndReason.RESOLVED, ())


def test_a_timer_that_comes_too_early_or_twice_changes_nothing():
    story = Story()
    before = story.position
    assert story.timer(minutes(2)).reason is AdvanceReason.TOO_EARLY
    assert story.position == before
    story.timer(minutes(1))
    telling = story.position
    assert story.timer().position == telling
    assert story.keys == [("first-notice", 1)]


def test_after_five_hours_of_downtime_people_are_told_once_and_then_in_an_hour():
    story = after_first_notice()
    story.timer(timedelta(hours=5))
    assert story.all_told(timedelta(seconds=40)).wake_at == story.now - timedelta(seconds=40) + minutes(55)
    assert story.timer().reason is AdvanceReason.TOO_EARLY
    assert story.keys == [("first-notice", 1), ("still-working", 2)]


def test_small_delays_do_not_add_up():
    story = after_first_notice()
    first = story.position.told_at
    for turn in range(1, 11):
        due = first + turn * minutes(55)
        assert story.last.wake_at == due
        story.timer(due - story.now + timedelta(seconds=50))
        story.all_told(timedelta(seconds=30))


def test_a_clock_that_jumps_back_tells_nobody_twice():
    story = after_first_notice()
    story.timer(minutes(55))
    story.timer(-HOUR, told=True)
    story.timer()
    story.timer(minutes(30))
    assert story.keys == [("first-notice", 1), ("still-working", 2)]
    assert story.last.reason is AdvanceReason.TOO_EARLY


def test_an_hour_is_an_hour_on_the_night_the_clocks_change():
    amsterdam = ZoneInfo("Europe/Amsterdam")
    story = Story(
        now=datetime(2026, 3, 29, 1, 50, tzinfo=amsterdam), began_at=datetime(2026, 3, 29, 1, 40, tzinfo=amsterdam)
    )
    story.all_told()
    assert story.last.wake_at.astimezone(amsterdam).strftime("%H:%M") == "03:45"


def test_a_word_is_decided_early_enough_to_arrive_as_promised():
    story = after_first_notice(lead=minutes(12))
    assert story.last.wake_at == NOON + minutes(3 + 48)
    assert after_first_notice(lead=timedelta(hours=3)).last.wake_at == NOON + minutes(3 + 30)


def test_an_exit_acts_at_once_in_the_middle_of_telling():
    story = Story()
    story.timer(minutes(3))
    story.hears("incident.update_posted")
    assert story.hears("incident.cancelled").tell.text == "false-alarm"
    assert story.position.pending == ()
    assert story.all_told().finished is EndReason.CANCELLED


def test_an_exit_acts_only_once():
    story = after_first_notice()
    story.hears("incident.resolved")
    assert story.last.listens == {"incident.reopened"}
    assert story.hears("incident.resolved") is None
    assert story.hears("incident.cancelled") is None
    assert story.keys == [("first-notice", 1), ("all-clear", 2)]


def test_a_finished_run_stays_finished():
    story = after_first_notice()
    story.hears("incident.resolved")
    story.all_told()
    assert story.timer(HOUR).reason is AdvanceReason.ALREADY_FINISHED
    for event in ("incident.reopened", "incident.resolved", "incident.update_posted"):
        assert story.hears(event) is None


def test_an_update_before_the_first_notice_is_not_told_by_itself():
    story = Story()
    assert "incident.update_posted" not in story.last.listens
    assert story.hears("incident.update_posted") is None


def test_updates_that_come_while_telling_are_told_together_right_after():
    story = Story()
    story.timer(minutes(3))
    assert "incident.update_posted" in story.last.listens
    assert story.hears("incident.update_posted").reason is AdvanceReason.UPDATE_QUEUED
    assert story.hears("incident.update_posted") is None
    assert story.all_told().tell.text == "update"
    assert story.hears("incident.update_posted").reason is AdvanceReason.UPDATE_QUEUED
    story.all_told()
    story.all_told()
    assert story.keys == [("first-notice", 1), ("still-working.update", 2), ("still-working.update", 3)]
    assert story.position.phase is Phase.WAITING


def test_events_that_mean_nothing_here_are_left_alone():
    story = after_first_notice()
    assert story.hears("incident.renamed") is None
    assert story.hears("incident.reopened") is None
    assert playing("  - tell: first\n  - end: done\n").hears("incident.update_posted") is None


def test_a_wait_for_an_event_ends_with_it_or_with_its_time():
    steps = "  - wait: { until: incident.confirmed, at most: 2 hours }\n  - tell: first\n  - end: done\n"
    woken = playing(steps)
    assert "incident.confirmed" in woken.last.listens
    assert woken.hears("incident.confirmed", minutes(5)).tell.text == "first"
    assert woken.last.reason is AdvanceReason.EVENT_CAME
    assert woken.hears("incident.confirmed") is None
    timed_out = playing(steps)
    assert timed_out.timer(minutes(119)).tells == ()
    assert timed_out.timer(minutes(1)).tell.text == "first"


def test_waits_after_a_tell_count_from_its_decision_and_never_outlast_its_promise():
    story = playing(
        "  - tell: first\n    promise: next update within 60 minutes\n  - wait: 40 minutes\n  - wait: 40 minutes\n"
        "  - tell: second\n  - end: done\n"
    )
    assert story.all_told(minutes(2)).wake_at == NOON + minutes(40)
    assert story.timer(minutes(38)).wake_at == NOON + minutes(60)
    assert story.timer(minutes(20)).tell.text == "second"
    assert story.all_told().finished is EndReason.DONE


def test_a_wait_that_is_long_over_is_passed_through():
    story = playing(
        "  - tell: first\n    promise: next update within 60 minutes\n  - wait: 20 minutes\n  - wait: 20 minutes\n"
        "  - tell: second\n  - end: done\n"
    )
    story.all_told()
    assert story.timer(timedelta(hours=5)).tell.text == "second"


def test_a_repeat_that_comes_first_tells_at_once():
    story = playing(REPEAT)
    assert story.keys == [("again", 1)]
    assert story.all_told().wake_at == NOON + minutes(50)


def test_an_update_during_a_wait_between_tells_is_told_when_the_repeat_begins():
    story = playing("  - tell: first\n    promise: next update within 60 minutes\n  - wait: 5 minutes\n" + REPEAT)
    story.all_told()
    assert story.hears("incident.update_posted", minutes(1)).reason is AdvanceReason.UPDATE_QUEUED
    assert story.last.wake_at == NOON + minutes(5)
    assert story.timer(minutes(4)).tell.step == "again.update"


def test_two_kinds_of_update_are_both_told():
    both = REPEAT + "      incident.eta_changed: { tell: new-time, promise: next update within 60 minutes }\n"
    story = playing(both)
    story.hears("incident.eta_changed")
    story.hears("incident.update_posted")
    story.all_told()
    story.all_told()
    story.all_told()
    assert [tell.text for tell in story.tells] == ["again", "new-time", "update"]


def test_a_playbook_that_was_not_checked_ends_where_its_steps_run_out():
    story = playing("  - label: aside\n  - tell: first\n", reach=FEW)
    story.playbook = parse_playbook(sample("  - tell: first\n", tail="  - label: over\n"))
    story.take(start(story.playbook, now=NOON, reach=FEW))
    assert story.all_told().finished is EndReason.DONE
