"""Where people come in: confirming, reopening, joining, leaving, and waiting too long."""

import pytest
from tests.engine.playbooks.playbook_samples import NOON, REPEAT, STEADY, minutes, sample
from tests.engine.playbooks.playbook_story import DAY, FEW, HOUR, OUTAGE_PLAYBOOK, Story, after_first_notice, playing

from beforehand.engine.playbooks.language import Audience, EndReason
from beforehand.engine.playbooks.moves import (
    AdvanceReason,
    ConfirmReason,
    Phase,
    Position,
    Reach,
    Tell,
    holding_tell,
    joined_tell,
    leaving_tell,
)
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.run import restart

# Asking a person first


def test_above_the_limit_a_person_confirms_before_anyone_is_told():
    story = Story(reach=Reach(count=25_001))
    asked = story.timer(minutes(3))
    assert (asked.reason, asked.confirm, asked.tells) == (AdvanceReason.ASKED, ConfirmReason.ABOVE_LIMIT, ())
    assert (story.position.phase, asked.wake_at) == (Phase.CONFIRMING, None)
    assert story.timer(HOUR).confirm is ConfirmReason.ABOVE_LIMIT
    story.reach = Reach(count=25_001, is_confirmed=True)
    assert story.timer().tell.text == "first-notice"
    assert story.last.reason is AdvanceReason.CONFIRMED


def test_at_the_limit_nobody_is_asked():
    story = Story(reach=Reach(count=25_000))
    assert story.timer(minutes(3)).confirm is None


def test_without_a_limit_only_an_unapproved_playbook_asks():
    assert playing(REPEAT, reach=Reach(count=10**6)).last.confirm is None
    assert playing(REPEAT, reach=Reach(count=1, is_approved=False)).last.confirm is ConfirmReason.NOT_APPROVED


def test_an_exit_needs_no_confirmation_and_ends_the_asking():
    story = Story(reach=Reach(count=25_001))
    story.timer(minutes(3))
    assert story.hears("incident.resolved").finished is EndReason.RESOLVED


def test_the_end_is_told_to_any_number_without_asking():
    story = after_first_notice()
    story.reach = Reach(count=90_000)
    assert story.hears("incident.resolved").tell.text == "all-clear"


def test_a_person_who_is_slow_to_confirm_is_asked_again_while_the_promise_runs():
    story = after_first_notice()
    story.reach = Reach(count=30_000)
    asked = story.timer(minutes(55))
    assert asked.confirm is ConfirmReason.ABOVE_LIMIT
    assert asked.wake_at == NOON + minutes(63)
    assert story.timer(minutes(20)).wake_at == story.now + minutes(1)
    assert story.hears("incident.update_posted").reason is AdvanceReason.UPDATE_QUEUED
    story.reach = Reach(count=30_000, is_confirmed=True)
    assert story.timer().tell.text == "update"
    assert story.all_told().tells == ()


def test_an_update_that_waits_for_a_person_is_asked_about_once():
    story = after_first_notice()
    story.reach = Reach(count=30_000)
    assert story.hears("incident.update_posted").confirm is ConfirmReason.ABOVE_LIMIT
    assert story.hears("incident.update_posted") is None
    story.reach = Reach(count=30_000, is_confirmed=True)
    assert story.timer().tell.step == "still-working.update"


# It broke again


def test_a_reopened_incident_starts_from_the_top_and_turns_count_on():
    story = after_first_notice()
    story.hears("incident.resolved")
    result = story.hears("incident.reopened", minutes(1))
    assert (result.reason, result.wake_at) == (AdvanceReason.RESTARTED, story.now + minutes(3))
    story.timer(minutes(3))
    assert story.keys == [("first-notice", 1), ("all-clear", 2), ("first-notice", 3)]


def test_an_end_cut_short_by_a_restart_is_told_when_it_ends_again_and_never_to_who_joins():
    story = after_first_notice()
    story.hears("incident.resolved")
    story.hears("incident.reopened", minutes(1))
    assert (story.position.told_step, story.position.told_at) == ("all-clear", None)
    assert joined_tell(story.playbook, story.position) is None
    assert story.hears("incident.resolved", minutes(1)).tell.step == "all-clear"


def test_an_end_that_everyone_has_is_not_told_again():
    story = after_first_notice()
    story.hears("incident.resolved")
    story.all_told()
    story.take(restart(story.playbook, story.position, now=story.now, reach=FEW))
    assert (story.position.told_step, story.position.told_at) == (None, None)
    assert story.hears("incident.resolved", minutes(1)).tell is None


def test_a_finished_run_is_restarted_only_on_purpose():
    story = after_first_notice()
    story.hears("incident.resolved")
    story.all_told()
    again = restart(story.playbook, story.position, now=story.now, reach=FEW)
    assert again.position.phase is Phase.WAITING
    assert again.position.turn == 2


def test_without_restart_on_or_in_the_main_part_nothing_restarts():
    story = after_first_notice()
    assert restart(story.playbook, story.position, now=story.now, reach=FEW) is None
    once = parse_playbook(STEADY.replace("restart on: incident.reopened", "#"))
    story = Story(once)
    story.timer(minutes(3))
    story.hears("incident.resolved")
    assert story.last.listens == frozenset()
    assert story.hears("incident.reopened") is None
    assert restart(once, story.position, now=story.now, reach=FEW) is None


def test_a_promise_that_no_end_has_answered_survives_a_restart():
    late_end = "  - label: over\n  - wait: 10 minutes\n  - tell: all-clear\n    to: told\n  - end: resolved\n"
    playbook = parse_playbook(
        sample(
            "  - wait: 30 minutes\n  - tell: first\n    promise: next update within 35 minutes\n" + REPEAT,
            tail=late_end,
        )
    )
    story = Story(playbook)
    story.timer(minutes(30))
    story.all_told()
    story.hears("incident.resolved", minutes(20))
    story.hears("incident.reopened", minutes(5))
    assert story.position.told_step == "first"
    assert story.last.wake_at == NOON + minutes(30 + 35)
    straight = Story(parse_playbook(sample(REPEAT, tail=late_end)))
    straight.all_told()
    straight.hears("incident.resolved", minutes(20))
    straight.hears("incident.reopened", minutes(5))
    assert straight.last.wake_at == NOON + minutes(50)


# What belongs to no step


def test_who_joins_gets_the_latest_notice_under_its_own_key():
    story = Story()
    assert joined_tell(story.playbook, story.position) is None
    story.timer(minutes(3))
    assert joined_tell(story.playbook, story.position) == story.tells[-1]
    story.all_told()
    story.hears("incident.update_posted")
    story.all_told()
    assert joined_tell(story.playbook, story.position) == story.tells[-1]
    story.hears("incident.resolved")
    assert joined_tell(story.playbook, story.position) is None


def test_who_joins_gets_a_text_of_their_own_where_there_is_one():
    playbook = parse_playbook(STEADY.replace("joined: null", "joined: welcome"))
    story = Story(playbook)
    story.timer(minutes(3))
    assert joined_tell(playbook, story.position).text == "first-notice"
    story.all_told()
    assert joined_tell(playbook, story.position) == Tell("joined", 1, "welcome", Audience.AFFECTED, HOUR, DAY)


def test_a_late_update_has_an_honest_word_with_a_new_time():
    story = Story()
    assert held(story, turn=1) is None
    story.timer(minutes(3))
    assert held(story, turn=7) == Tell("holding", 7, "holding", Audience.TOLD, HOUR, DAY)
    without = parse_playbook(STEADY.replace("  holding: holding ", "  holding: null "))
    assert holding_tell(without, story.position, turn=7, now=story.now) is None
    story.hears("incident.resolved")
    assert held(story, turn=8) is None


def held(story, *, turn):
    return holding_tell(story.playbook, story.position, turn=turn, now=story.now)


def test_who_leaves_is_told_why():
    playbook = OUTAGE_PLAYBOOK
    assert leaving_tell(playbook, audience=Audience.LEFT_CURED, turn=2) == Tell(
        "left-cured", 2, "left-cured", Audience.LEFT_CURED, None
    )
    assert leaving_tell(playbook, audience=Audience.LEFT_MISTAKEN, turn=3).text == "told-by-mistake"
    assert leaving_tell(playbook, audience=Audience.TOLD, turn=4) is None


# Storing a position


def test_a_position_survives_being_stored():
    story = Story()
    for position in (story.position, story.timer(minutes(3)).position, story.hears("incident.update_posted").position):
        assert Position.from_json(position.to_json()) == position


@pytest.mark.parametrize("change", [{"pending": "x"}, {"phase": "dancing"}, {"turn": "many"}])
def test_a_damaged_position_is_refused(change):
    with pytest.raises(ValueError):
        Position.from_json(Story().position.to_json() | change)
