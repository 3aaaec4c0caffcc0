"""Steps that choose by the incident, and steps that a person does: every way ends, and every promise holds on it."""

import re
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.engine.playbooks.playbook_samples import NOON, OUTAGE, REPEAT, checked, minutes, reasons_of, sample
from tests.engine.playbooks.playbook_story import FEW, playing

from beforehand.engine.playbooks.describe import describe
from beforehand.engine.playbooks.moves import Phase, Position, Reach
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.paths import paths
from beforehand.engine.playbooks.run import advance, on_event, on_task_done, restart, start
from beforehand.engine.playbooks.try_out import happenings, trial_problems

MAJOR = replace(FEW, kind="outage", severity="major")
CRITICAL = replace(MAJOR, severity="critical")
FIRST = "  - tell: first\n    promise: next update within 60 minutes\n"
TASK = "  - task: look\n    title: Look\n    team: care\n    within: 20 minutes\n"
AWAITED = TASK + "    wait for it: yes\n"


def chosen(then, otherwise=""):
    """An `if` on a critical incident, with these steps (written at the outer level) on its two ways."""

    def inner(steps):
        return "".join(f"    {line}\n" for line in steps.splitlines())

    text = f'  - if: incident.severity == "critical"\n    then:\n{inner(then)}'
    return text + (f"    else:\n{inner(otherwise)}" if otherwise else "")


def found(text):
    return [problem.reason.value for problem in checked(text)]


# Choosing


def test_a_run_takes_the_way_that_fits_its_incident():
    steps = chosen(FIRST, "  - wait: 5 minutes\n" + FIRST.replace("first", "second")) + REPEAT
    assert playing(steps, reach=CRITICAL).keys == [("first", 1)]
    story = playing(steps, reach=MAJOR)
    assert story.keys == []
    story.timer(minutes(5))
    assert story.keys == [("second", 1)]
    story.all_told()
    assert (story.position.step, story.position.phase) == ("again", Phase.WAITING)


def test_after_the_first_way_a_run_passes_over_the_second():
    story = playing(chosen(FIRST, FIRST.replace("first", "second")) + REPEAT, reach=CRITICAL)
    story.all_told()
    assert (story.position.step, story.keys) == ("again", [("first", 1)])


def test_without_a_second_way_a_run_goes_on_behind_the_if():
    assert playing(chosen("  - wait: 5 minutes\n") + FIRST + REPEAT, reach=MAJOR).keys == [("first", 1)]


def test_the_condition_is_judged_when_the_run_comes_to_it():
    story = playing("  - wait: 5 minutes\n" + chosen(FIRST) + FIRST.replace("first", "second") + REPEAT, reach=MAJOR)
    story.reach = CRITICAL
    story.timer(minutes(5))
    assert story.keys == [("first", 1)]


def test_ifs_may_stand_inside_ifs():
    nested = chosen(chosen("  - wait: 1 minute\n", "  - wait: 2 minutes\n"), "  - wait: 3 minutes\n")
    assert playing(nested + FIRST + REPEAT, reach=CRITICAL).last.wake_at == NOON + minutes(1)
    assert playing(nested + FIRST + REPEAT, reach=MAJOR).last.wake_at == NOON + minutes(3)
    assert len(paths(parse_playbook(sample(nested + FIRST + REPEAT)).section_steps(None))) == 3


def test_an_update_is_told_in_the_repeat_that_this_run_comes_to():
    other = REPEAT.replace("repeat: again", "repeat: often").replace("50 minutes", "40 minutes")
    other = other.replace("60 minutes", "45 minutes").replace("tell: update", "tell: short")
    steps = FIRST.replace("60", "45") + chosen(other) + REPEAT.replace("60", "55")
    story = playing(steps, reach=CRITICAL)
    story.hears("incident.update_posted")
    story.all_told()
    assert story.keys == [("first", 1), ("often.short", 2)]
    story.all_told()
    assert story.position.step == "often"
    calm = playing(steps, reach=MAJOR)
    calm.hears("incident.update_posted")
    calm.all_told()
    assert calm.keys == [("first", 1), ("again.update", 2)]


def test_a_way_that_ends_the_run_has_no_repeat_to_come():
    story = playing(chosen("  - wait: 5 minutes\n  - end: done\n") + FIRST + REPEAT, reach=CRITICAL)
    assert story.hears("incident.update_posted") is None
    story.timer(minutes(5))
    assert story.last.finished == "done"


# Judging the ways


def test_a_choice_whose_every_way_is_sound_is_sound():
    assert found(sample(FIRST + chosen("  - wait: 50 minutes\n" + FIRST.replace("first", "second")) + REPEAT)) == []


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (FIRST + chosen("  - wait: 50 minutes\n") + REPEAT.replace("50", "70").replace("60", "75"), "promise not kept"),
        (FIRST + chosen("  - wait: 70 minutes\n" + FIRST.replace("first", "x")) + REPEAT, "promise not kept"),
        (FIRST + chosen("  - end: done\n") + REPEAT, "promise then end"),
        (chosen("  - tell: x\n  - wait: 10 minutes\n  - end: done\n", FIRST) + REPEAT, "tell without promise"),
        (chosen(FIRST + REPEAT, "  - wait: 1 minute\n"), "end missing"),
        (chosen("  - end: done\n" + FIRST) + REPEAT, "unreachable"),
        (chosen("  - end: done\n", "  - end: done\n") + FIRST + REPEAT, "unreachable"),
        (FIRST + AWAITED.replace("20 minutes", "70 minutes") + REPEAT, "promise not kept"),
    ],
)
def test_a_fault_on_one_way_is_found(steps, reason):
    assert reason in found(sample(steps))


def test_a_fault_that_lies_on_several_ways_is_named_once():
    steps = FIRST + chosen("  - wait: 1 minute\n") + "  - wait: 70 minutes\n" + REPEAT
    assert len(found(sample(steps))) == len(set(map(str, checked(sample(steps)))))


def test_what_stands_behind_one_way_that_ends_is_reached_by_the_other():
    assert found(sample(chosen("  - end: done\n") + FIRST + REPEAT)) == []


def test_a_task_that_nobody_waits_for_takes_no_time_from_a_promise():
    assert found(sample(FIRST + TASK + REPEAT)) == []
    over = "  - label: over\n  - tell: all-clear\n    to: told\n" + TASK + "  - end: resolved\n"
    assert found(sample(FIRST + REPEAT, tail=over)) == []


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (chosen("  - label: inside\n"), "no verb"),
        ("  - if: incident.affected > 3\n", "missing key"),
        (chosen("  - wait: 1 minute\n") * 7, "too many ifs"),
        (chosen("  - wait: { from: incident.began, for: 1 minute }\n"), "from not first"),
        (TASK.replace("    team: care\n", ""), "missing key"),
        (TASK + "    wait for it: perhaps\n", "bad choice"),
        (TASK + TASK, "duplicate id"),
    ],
)
def test_steps_that_cannot_be_understood_are_refused(steps, reason):
    assert reason in reasons_of(sample(steps + FIRST + REPEAT))


def test_teams_that_approve_are_names():
    text = sample(FIRST + REPEAT)
    assert parse_playbook(text.replace("steps:\n", "approve by: [care, legal, care]\nsteps:\n")).approve_by == (
        "care",
        "legal",
    )
    assert "bad name" in reasons_of(text.replace("steps:\n", "approve by: [Care Team]\nsteps:\n"))
    assert "not text" in reasons_of(text.replace("steps:\n", "approve by: [[care]]\nsteps:\n"))


def test_every_condition_of_a_playbook_is_listed():
    text = sample(chosen("  - wait: 1 minute\n") + FIRST + REPEAT)
    assert [one.text for one in parse_playbook(text).conditions()] == ['incident.severity == "critical"']
    assert len(parse_playbook(OUTAGE).conditions()) == 1


# Tasks


def test_a_task_begins_with_its_team_and_time_and_a_run_passes_on():
    story = playing(TASK + FIRST + REPEAT)
    (order,) = story.last.tasks
    assert (order.step, order.turn, order.title, order.team) == ("look", 1, "Look", "care")
    assert order.due_at == NOON + minutes(20)
    assert story.keys == [("first", 1)]


def test_a_run_waits_for_a_task_until_it_is_done():
    story = playing(AWAITED + FIRST + REPEAT)
    assert (story.position.step, story.last.wake_at, story.keys) == ("look", NOON + minutes(20), [])
    moment = {"now": NOON + minutes(7), "reach": FEW}
    assert on_task_done(story.playbook, story.position, step="look", turn=9, **moment) is None
    assert on_task_done(story.playbook, story.position, step="other", turn=1, **moment) is None
    done = story.take(on_task_done(story.playbook, story.position, step="look", turn=1, **moment))
    assert (done.reason, story.keys) == ("task done", [("first", 1)])
    assert on_task_done(story.playbook, story.position, step="look", turn=1, **moment) is None


def test_a_run_waits_no_longer_than_the_task_has_time():
    story = playing(AWAITED + FIRST + REPEAT)
    story.timer(minutes(19))
    assert story.keys == []
    story.timer(minutes(1))
    assert (story.last.reason, story.keys) == ("time came", [("first", 1)])


def test_an_exit_leaves_a_task_behind_at_once():
    story = playing(AWAITED + FIRST + REPEAT)
    story.hears("incident.resolved")
    assert story.last.finished == "resolved"


def test_each_time_round_a_task_is_a_new_one():
    story = playing(AWAITED + FIRST + REPEAT, reach=MAJOR)
    story.hears("incident.resolved")
    assert Position.from_json(story.position.to_json()).tasks == 1
    story.take(restart(story.playbook, story.position, now=story.now, reach=FEW))
    assert [(order.step, order.turn) for order in story.last.tasks] == [("look", 2)]


def test_a_position_stored_before_there_were_tasks_is_still_read():
    stored = playing(FIRST + REPEAT).position.to_json()
    del stored["tasks"]
    assert Position.from_json(stored).tasks == 0


def test_tasks_and_choices_are_tried_out_too():
    test = (
        "tests:\n  - name: t\n    incident: { severity: critical }\n"
        "    given: [{ at: 4 minutes, done: look }, { at: 6 minutes, done: look }]\n"
        "    expect: [{ at: start, task: look, due: 20 minutes }, { at: 4 minutes, tell: first }]\n"
    )
    text = sample(chosen(AWAITED) + FIRST + REPEAT) + test
    assert trial_problems(parse_playbook(text)) == []
    assert checked(text) == []
    wrong = parse_playbook(text.replace("due: 20", "due: 30"))
    (problem,) = trial_problems(wrong)
    assert "expected: at start task “look”, due by 30 minutes. What came: at start task “look”, due by 20" in str(
        problem
    )
    (unknown,) = checked(text.replace("4 minutes, done: look", "4 minutes, done: lok"))
    assert "no task “lok”" in unknown.message
    ask = text.replace("at: start, task: look, due: 20 minutes", "at: start, ask: a person")
    assert "expected: at start ask a person" in str(trial_problems(parse_playbook(ask))[0])
    end = text.replace("{ at: start, task: look, due: 20 minutes }", "{ at: start, end: done }")
    assert "expected: at start end “done”" in str(trial_problems(parse_playbook(end))[0])


# In words


def test_ways_and_tasks_are_described_in_their_place():
    text = sample(chosen(TASK, "  - wait: 1 minute\n") + AWAITED.replace("look", "act") + FIRST + REPEAT)
    lines = describe(parse_playbook(text.replace("steps:\n", "approve by: [care]\nsteps:\n")))
    assert [(line.kind.value, line.depth) for line in lines][2:8] == [
        ("approve by", 0), ("if", 0), ("task", 1), ("otherwise", 0), ("wait", 1), ("awaited task", 0),
    ]  # fmt: skip
    alone = describe(parse_playbook(sample(chosen(TASK) + FIRST + REPEAT)))
    assert "otherwise" not in [line.kind.value for line in alone]


# Whatever happens

STEPS = st.recursive(
    st.sampled_from([FIRST, "  - wait: 10 minutes\n", TASK, AWAITED, "  - end: done\n", REPEAT]),
    lambda inner: st.builds(chosen, inner, st.one_of(st.just(""), inner)),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=4), st.lists(st.integers(0, 90), max_size=12), st.booleans())
def test_a_playbook_that_passes_the_check_keeps_every_promise_on_every_way(parts, waits, is_critical):
    numbers = count()
    steps = re.sub("tell: first|task: look|repeat: again", lambda word: f"{word[0]}{next(numbers)}", "".join(parts))
    text = sample(steps + FIRST + REPEAT)
    assume(not reasons_of(text) and not any(problem.severity == "error" for problem in checked(text)))
    reach = CRITICAL if is_critical else MAJOR
    playbook, now = parse_playbook(text), NOON
    last = start(playbook, now=now, reach=reach)
    owed_at = None
    for wait in [*waits, 0, 0, 0]:
        if last.tell is not None and last.tell.promise is not None:
            owed_at = now + last.tell.promise
        if last.finished is not None:
            assert last.position.told_step is None or owed_at is None
            return
        assert last.wake_at is not None
        assert owed_at is None or last.wake_at <= owed_at
        now = min(max(now + timedelta(minutes=wait), now), max(last.wake_at, now))
        last = advance(playbook, last.position, now=now, told=True, reach=reach)
    ended = on_event(playbook, last.position, event_type="incident.resolved", now=now, reach=reach)
    assert ended is None or ended.finished or ended.tell


def test_a_condition_knows_how_many_are_affected():
    steps = FIRST.replace("first", "few").join(["  - if: incident.affected < 100\n    then:\n", ""]).replace(
        "  - tell", "      - tell"
    ).replace("    promise", "        promise")  # fmt: skip
    assert playing(steps + FIRST + REPEAT, reach=Reach(count=5)).keys == [("few", 1)]


def test_what_happens_in_a_test_stops_at_its_last_moment():
    text = sample(FIRST + REPEAT) + "tests:\n  - { name: t, expect: [] }\n"
    playbook = parse_playbook(text)
    assert [str(one) for one in happenings(playbook, playbook.trials[0])] == [
        "at start tell “first” to affected, next update by 60 minutes"
    ]
