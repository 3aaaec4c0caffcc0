"""Intervals that stretch the longer it lasts, and leave the night in peace; and who wants only what changes."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.playbooks.playbook_samples import HEAD, NOON, REPEAT, TAIL, checked, minutes, reasons_of, sample
from tests.engine.playbooks.playbook_story import DAY, HOUR, Story, playing

from beforehand.engine.playbooks.describe import LineKind, describe
from beforehand.engine.playbooks.diff import playbook_changes
from beforehand.engine.playbooks.moves import Position, holding_tell, joined_tell
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.rhythm import LONGEST_SILENCE, Night, Rhythm, Stage
from beforehand.engine.playbooks.run import restart
from beforehand.engine.quiet_hours import quiet_until

FIRST = "  - tell: first\n    promise: next update in rhythm\n"
STAGES = """\
      - { for: 4 hours, every: 60 minutes }
      - { for: 20 hours, every: 3 hours, quiet: 22:00 to 07:00 }
      - { every: day at 09:00 }
"""
STRETCHING = REPEAT.replace("every: 50 minutes\n", "every:\n" + STAGES).replace(
    "update within 60 minutes", "update in rhythm"
)
NIGHT = Night(time(22), time(7))
EVERY_HOUR = Rhythm((Stage(HOUR),))


def rhythm(*stages):
    return Rhythm(tuple(stages))


def at(text, zone="UTC"):
    return datetime.fromisoformat(f"2026-03-{text}").replace(tzinfo=ZoneInfo(zone))


# The next turn


@pytest.mark.parametrize(
    ("told", "speaks", "due"),
    [
        ("02 10:00", "02 10:55", "02 11:00"),  # in the first four hours, each hour
        ("02 13:59", "02 14:54", "02 14:59"),
        ("02 14:00", "02 16:50", "02 17:00"),  # then every three
        ("02 19:00", "02 21:50", "02 22:00"),  # said before the night
        ("02 19:20", "03 07:00", "03 07:10"),  # would be said at 22:10: after the night, with time to send it
        ("03 10:00", "04 08:50", "04 09:00"),  # then each morning
        ("04 08:50", "05 08:50", "05 09:00"),  # the morning's word is not followed by itself ten minutes later
        ("04 05:30", "04 08:50", "04 09:00"),
        ("04 06:30", "05 08:50", "05 09:00"),  # never sooner than the interval before it
    ],
)
def test_it_stretches_the_longer_it_lasts(told, speaks, due):
    stretching = rhythm(Stage(HOUR, minutes(240)), Stage(3 * HOUR, 20 * HOUR, NIGHT), Stage(time(9)))
    turn = stretching.turn(at(told), since=at("02 10:00"), zone="UTC")
    assert (turn.speak_at, turn.due_at) == (at(speaks), at(due))


def test_the_night_and_the_morning_are_those_of_the_installation():
    turn = rhythm(Stage(time(9))).turn(at("02 12:00"), since=at("02 12:00"), zone="Asia/Kolkata")
    assert turn.due_at == at("03 09:00", "Asia/Kolkata")
    nightly = rhythm(Stage(HOUR, quiet=NIGHT)).turn(at("02 21:30", "Asia/Kolkata"), since=NOON, zone="Asia/Kolkata")
    assert nightly.speak_at == at("03 07:00", "Asia/Kolkata")


@pytest.mark.parametrize(("day", "hours"), [("28 09:00", 23), ("27 09:00", 24)])
def test_nine_in_the_morning_is_nine_also_when_the_clocks_change(day, hours):
    told = at(day, "Europe/Amsterdam")  # in the night to the 29th an hour is skipped
    turn = rhythm(Stage(time(9))).turn(told, since=told, zone="Europe/Amsterdam")
    assert turn.due_at - told.astimezone(UTC) == hours * HOUR


def test_a_daily_word_after_a_daily_word_or_as_the_only_one_is_at_least_an_hour_away():
    twice_daily = rhythm(Stage(time(18), DAY), Stage(time(9)))
    assert twice_daily.turn(at("03 08:30"), since=at("01 08:00"), zone="UTC").due_at == at("04 09:00")
    assert twice_daily.turn(at("01 16:59"), since=at("01 08:00"), zone="UTC").due_at == at("01 18:00")


def test_who_wants_only_what_changes_hears_as_seldom_as_in_the_last_stage_and_at_least_once_a_day():
    told = at("02 10:00")
    assert rhythm(Stage(HOUR, 4 * HOUR), Stage(time(9))).rare_turn(told, zone="UTC").due_at == at("03 09:00")
    assert rhythm(Stage(HOUR)).rare_turn(told, zone="UTC").due_at == at("03 10:00")
    assert rhythm(Stage(3 * DAY)).rare_turn(told, zone="UTC").due_at == at("05 10:00")


MOMENTS = st.integers(0, 730 * 86_400).map(lambda seconds: NOON + timedelta(seconds=seconds))
LENGTHS = st.integers(60, 3 * 86_400).map(lambda seconds: timedelta(seconds=seconds))
CLOCKS = st.times().map(lambda one: one.replace(second=0, microsecond=0))
NIGHTS = st.one_of(
    st.none(), st.tuples(CLOCKS, CLOCKS).filter(lambda two: two[0] != two[1]).map(lambda two: Night(*two))
)
EACH_STAGE = st.builds(Stage, st.one_of(LENGTHS, CLOCKS), LENGTHS, NIGHTS)


@given(
    stages=st.lists(EACH_STAGE, min_size=1, max_size=4),
    told=MOMENTS,
    lasted=st.integers(0, 10 * 86_400),
    zone=st.sampled_from(["UTC", "Europe/Amsterdam", "Asia/Kolkata", "America/New_York", "Pacific/Auckland"]),
)
def test_whatever_the_rhythm_the_next_word_is_ahead_in_time_to_be_sent_and_out_of_the_night(stages, told, lasted, zone):
    one = Rhythm(tuple(stages))
    since = told - timedelta(seconds=lasted)
    for turn in (one.turn(told, since=since, zone=zone), one.rare_turn(told, zone=zone)):
        assert told < turn.speak_at < turn.due_at
    turn = one.turn(told, since=since, zone=zone)
    assert turn.due_at - turn.speak_at <= minutes(10)
    assert turn.due_at - told <= 3 * DAY + 3 * DAY + 2 * HOUR + DAY
    spoken = next((stage for stage in stages[:-1] if (lasted := lasted - stage.lasts.total_seconds()) < 0), stages[-1])
    if spoken.quiet is not None:
        begins, ends = spoken.quiet.begins, spoken.quiet.ends
        assert quiet_until(turn.speak_at, zone=zone, start=begins, end=ends) is None


# In a run


def test_a_run_speaks_in_its_rhythm_and_promises_it():
    story = playing(FIRST + STRETCHING, now=at("02 12:00"))
    said = [story.tells[-1]]
    while len(said) < 9:
        story.all_told()
        story.now = story.last.wake_at
        said.append(story.timer().tell)
    assert story.now == at("03 09:50")
    night = 11 * HOUR + minutes(45)
    # 12:00, 12:55, 13:50, 14:45, 15:40; 16:35; 19:25 until the next morning; 07:00, 09:50
    assert [tell.promise for tell in said] == [HOUR] * 5 + [3 * HOUR, night, 3 * HOUR, 3 * HOUR]


def test_a_word_that_comes_a_little_late_in_the_morning_still_promises_the_time_on_the_clock():
    story = playing(FIRST + STRETCHING.replace(STAGES, STAGES.splitlines()[2] + "\n"), now=at("02 12:00"))
    story.all_told()
    story.now = story.last.wake_at + timedelta(seconds=7)
    assert story.now + story.timer().tell.promise == at("04 09:00")


def test_an_update_starts_the_interval_anew_but_not_the_stages():
    story = playing(FIRST + STRETCHING, now=at("02 08:00"))
    story.all_told()
    update = story.hears("incident.update_posted", 5 * HOUR).tell
    assert update.promise == 3 * HOUR
    assert story.all_told().wake_at == at("02 15:50")


def test_after_it_broke_again_the_stages_start_anew():
    story = playing(FIRST + STRETCHING, now=at("02 08:00"))
    story.all_told()
    story.hears("incident.resolved", 6 * HOUR)
    story.all_told()
    assert story.position.owed_at is None
    story.take(restart(story.playbook, story.position, now=story.now, reach=story.reach))
    assert story.tells[-1].promise == HOUR


def test_what_a_late_update_and_a_joiner_are_told_follows_the_rhythm():
    story = playing(FIRST + STRETCHING, now=at("02 08:00"))
    story.all_told()
    joined = joined_tell(story.playbook, story.position)
    assert (joined.text, joined.promise, joined.rare) == ("first", HOUR, at("03 09:00") - story.now)
    held = holding_tell(story.playbook, story.position, turn=1, now=at("02 14:00"))
    assert (held.promise, held.rare) == (3 * HOUR, 19 * HOUR)


def test_a_place_that_was_stored_before_there_were_rhythms_is_read():
    story = playing(FIRST + STRETCHING)
    story.all_told()
    stored = story.position.to_json()
    for name in ("since", "owed_at", "rare_at"):
        del stored[name]
    story.position = Position.from_json(stored)
    assert story.timer(minutes(1)).wake_at == NOON + minutes(55)


# Who wants only what changes


def test_a_repeat_is_routine_until_those_who_want_only_changes_would_hear_nothing_for_too_long():
    story = playing(FIRST + STRETCHING, now=at("02 12:00"))
    routine = []
    while story.now < at("05 00:00"):
        story.all_told()
        story.now = story.last.wake_at
        routine.append((f"{story.now:%d %H:%M}", story.timer().tell.is_routine))
    owed = at("03 09:00")
    for moment, is_routine in routine:
        if not is_routine:
            spoken = at(moment)
            assert spoken <= owed
            owed = story.playbook.rhythm_of("again").rare_turn(spoken, zone="UTC").due_at
    assert [moment for moment, is_routine in routine if not is_routine] == ["03 07:00", "04 08:50", "05 08:50"]


def test_a_change_is_never_routine_and_counts_as_a_word_to_them():
    story = playing(FIRST.replace("in rhythm", "within 60 minutes") + REPEAT)
    story.all_told()
    assert story.hears("incident.update_posted", minutes(10)).tell.is_routine is False
    assert story.position.rare_at == story.now + LONGEST_SILENCE
    story.all_told()
    assert story.timer(minutes(50)).tell.is_routine is True
    assert story.position.rare_at == story.now - minutes(50) + LONGEST_SILENCE


def test_a_repeat_that_promises_nothing_is_told_to_everyone():
    story = playing("  - repeat: again\n    every: 50 minutes\n    tell: again\n")
    story.all_told()
    assert story.timer(minutes(50)).tell.is_routine is False
    assert (story.position.owed_at, story.position.rare_at) == (None, None)


# Read, checked, put into words


@pytest.mark.parametrize(
    ("stages", "reason"),
    [
        ("every: []", "empty list"),
        ("every: [60 minutes]", "not a mapping"),
        ("every: [{ every: 1 hour }, { every: 2 hours }]", "stage endless"),
        ("every: [{ for: 1 hour, every: 1 hour }]", "last stage ends"),
        ("every: [{ for: 1 hour }, { every: 2 hours }]", "missing key"),
        ("every: [{ every: hourly }]", "bad duration"),
        ("every: [{ every: day at 9 }]", "bad every"),
        ("every: [{ every: 1 hour, quiet: night }]", "bad night"),
        ("every: [{ every: 1 hour, quiet: 07:00 to 07:00 }]", "bad night"),
        ("every: [{ every: 1 hour, quiet: 22:00 to 24:00 }]", "bad night"),
        ("every: [{ each: 1 hour, every: 1 hour }]", "unknown key"),
        (f"every: [{'{ for: 1 hour, every: 1 hour }, ' * 10}{{ every: 1 hour }}]", "too many stages"),
    ],
)
def test_each_mistake_in_a_rhythm_is_named(stages, reason):
    assert reasons_of(sample(FIRST + REPEAT.replace("every: 50 minutes", stages))) == [reason]


@pytest.mark.parametrize(
    ("steps", "reasons"),
    [
        (FIRST + STRETCHING, []),
        (FIRST + "  - wait: 55 minutes\n" + STRETCHING, []),
        (FIRST + "  - wait: 56 minutes\n" + STRETCHING, ["promise not kept"]),
        (FIRST + REPEAT, ["promise without rhythm"]),
        (FIRST + "  - wait: 10 minutes\n" + FIRST.replace("first", "second") + STRETCHING, ["promise without rhythm"]),
        (FIRST.replace("in rhythm", "within 60 minutes") + STRETCHING, []),
        (FIRST + STRETCHING.replace("in rhythm", "within 60 minutes"), ["promise not in rhythm"]),
        (FIRST + STRETCHING.replace("    promise: next update in rhythm\n", ""), ["tell without promise"]),
        (STRETCHING.replace("in rhythm }", "within 30 minutes }"), []),
        (STRETCHING.replace(", promise: next update in rhythm }", " }"), ["tell without promise"]),
        (FIRST.replace("in rhythm", "within 60 minutes") + REPEAT.replace("within 60 minutes }", "in rhythm }"), ["promise without rhythm"]),
        (STRETCHING.replace(STAGES, "      - { every: day at 09:00 }\n"), []),
    ],
)  # fmt: skip
def test_the_checker_holds_the_promise_to_the_rhythm(steps, reasons):
    assert [problem.reason.value for problem in checked(sample(steps))] == reasons


def test_an_end_may_not_promise_a_rhythm():
    tail = TAIL.replace("    to: told\n", "    to: told\n    promise: next update in rhythm\n")
    assert [problem.reason.value for problem in checked(sample(STRETCHING, tail=tail))] == ["promise without rhythm"]


def test_a_rhythm_reads_as_lines_and_its_change_is_one():
    old = parse_playbook(HEAD + FIRST + STRETCHING + TAIL)
    lines = [line for line in describe(old) if line.kind in (LineKind.REPEAT, LineKind.PROMISE)]
    assert lines[1].values["every"] == old.rhythm_of("first")
    assert [line.values["within"] for line in lines if line.kind is LineKind.PROMISE] == ["", "", ""]
    new = parse_playbook(
        HEAD + FIRST.replace("in rhythm", "within 60 minutes") + STRETCHING.replace("3 hours", "2 hours") + TAIL
    )
    changes = playbook_changes(old, {}, new, {})
    assert [(one.kind.value, one.about) for one in changes] == [("promise", "first"), ("rhythm", "again")]
    assert (changes[0].before, changes[0].after) == ("", HOUR)
    assert changes[1].after == new.rhythm_of("again")


def test_a_test_may_say_at_what_time_of_day_it_began():
    tests = "tests: [{ name: a, incident: { began: 22:30 }, expect: [{ at: start, tell: first }] }]\n"
    assert parse_playbook(tests + sample(FIRST + STRETCHING)).trials[0].began == time(22, 30)
    assert reasons_of(tests.replace("22:30", "9:00") + sample(FIRST + STRETCHING)) == ["bad time of day"]
    assert Story(parse_playbook(sample(FIRST + STRETCHING))).keys == [("first", 1)]
