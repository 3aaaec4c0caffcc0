"""Judging a playbook's sense."""

import pytest
from tests.engine.playbooks.playbook_samples import HEAD, OUTAGE, REPEAT, checked, sample, shipped_texts

from beforehand.engine.playbooks.check import check_playbook
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.problems import Severity
from beforehand.engine.playbooks.try_out import trial_problems

FIRST = "  - tell: first\n    promise: next update within 60 minutes\n"
GOOD = sample(FIRST + REPEAT)
CARE = """\
playbook: care
title: Care
owner: care
class: care
when: customer.joined
audience: customer
channels: [email]
fallback language: en
steps:
"""


def found(text):
    return [(problem.reason.value, problem.line) for problem in checked(text)]


def line_of(text, part):
    return next(number for number, line in enumerate(text.splitlines(), start=1) if part in line)


def test_the_shipped_playbook_has_nothing_wrong_for_its_four_languages():
    shares = {"nl": 0.7, "en": 0.15, "ar": 0.1, "hi": 0.05}
    assert check_playbook(parse_playbook(OUTAGE), shipped_texts(), shares) == []


def test_a_sound_playbook_has_no_problems():
    assert found(GOOD) == []


def test_an_incident_playbook_needs_an_exit_for_each_way_an_incident_ends():
    text = GOOD.replace("  - { on: incident.cancelled, go to: over }\n", "")
    assert found(text) == [("no exit", line_of(text, "steps:") + 1)]


def test_only_incidents_affect_people():
    text = CARE.replace("audience: customer", "audience: incident.affected") + "  - tell: hello\n  - end: done\n"
    assert [reason for reason, _ in found(text)] == ["audience mismatch"]


def test_a_playbook_that_tells_nobody_anything_is_pointless():
    assert [reason for reason, _ in found(CARE + "  - wait: 3 minutes\n  - end: done\n")] == ["no tell"]


def test_a_label_that_no_exit_goes_to_is_named():
    text = GOOD + "  - label: nowhere\n  - end: done\n"
    assert found(text) == [("unused label", line_of(text, "nowhere"))]


@pytest.mark.parametrize(
    ("steps", "part", "above"),
    [
        (FIRST + REPEAT + "  - wait: 1 day\n", "wait: 1 day", "repeat: again"),
        ("  - tell: bye\n  - end: done\n  - wait: 1 day\n", "wait: 1 day", "end: done"),
    ],
)
def test_steps_behind_a_repeat_or_an_end_are_never_reached(steps, part, above):
    text = sample(steps)
    problems = checked(text)
    assert [(problem.reason.value, problem.line) for problem in problems] == [("unreachable", line_of(text, part))]
    assert above in problems[0].message


def test_every_section_says_how_it_ends():
    text = sample(FIRST + REPEAT, tail="  - label: over\n  - tell: all-clear\n    to: told\n")
    problems = checked(text)
    assert [problem.reason.value for problem in problems] == ["end missing"]
    assert "end: cancelled" in problems[0].message


@pytest.mark.parametrize("empty", [HEAD + "  - label: over\n  - end: done\n", HEAD + "  - label: over\n"])
def test_an_empty_section_has_no_end_either(empty):
    assert "end missing" in [reason for reason, _ in found(empty)]


def test_a_repeat_must_be_able_to_stop():
    repeat = "  - repeat: again\n    every: 1 day\n    tell: again\n"
    assert [reason for reason, _ in found(CARE + repeat)] == ["repeat without exit"]
    in_exit = sample(FIRST + REPEAT, tail="  - label: over\n" + repeat.replace("again", "more"))
    assert [reason for reason, _ in found(in_exit)] == ["repeat without exit"]


@pytest.mark.parametrize(
    ("steps", "part"),
    [
        ("  - tell: first\n" + REPEAT, "tell: first"),
        ("  - tell: first\n  - wait: 1 hour\n  - end: done\n", "tell: first"),
        (FIRST + REPEAT.replace("    promise: next update within 60 minutes\n", ""), "repeat: again"),
        (
            FIRST + REPEAT.replace("{ tell: update, promise: next update within 60 minutes }", "{ tell: update }"),
            "tell: update",
        ),
    ],
)
def test_nobody_is_left_without_a_time_for_the_next_word(steps, part):
    text = sample(steps)
    assert found(text) == [("tell without promise", line_of(text, part))]


def test_the_last_word_needs_no_promise():
    assert found(sample("  - tell: only\n  - end: done\n")) == []


def test_outside_incidents_a_promise_is_not_required():
    text = CARE + "  - tell: hello\n  - wait: 1 day\n  - tell: tips\n  - wait: 1 day\n  - end: done\n"
    assert found(text) == []


@pytest.mark.parametrize(
    ("steps", "reason", "words"),
    [
        (FIRST.replace("60", "30") + REPEAT, "promise not kept", "within 30 minutes, but it comes after 50 minutes"),
        (
            FIRST + REPEAT.replace("    promise: next update within 60", "    promise: next update within 30"),
            "promise not kept",
            "30 minutes",
        ),
        (
            FIRST
            + REPEAT.replace("update, promise: next update within 60", "update, promise: next update within 3000"),
            "promise loose",
            "2 days 2 hours",
        ),
        (
            FIRST
            + "  - wait: 40 minutes\n  - wait: { until: a.b, at most: 30 minutes }\n  - tell: bye\n  - end: done\n",
            "promise not kept",
            "70 minutes",
        ),
        (FIRST + "  - wait: 55 minutes\n" + REPEAT, "", ""),
        (FIRST + REPEAT.replace("every: 50", "every: 60"), "promise tight", "too little time"),
        (FIRST.replace("60", "180") + REPEAT, "promise loose", "nearer to the truth"),
        (FIRST + "  - tell: bye\n  - end: done\n", "promise loose", "no time"),
        (FIRST + "  - wait: 50 minutes\n  - end: done\n", "promise then end", "Remove the promise"),
    ],
)
def test_promises_are_held_against_what_follows(steps, reason, words):
    problems = checked(sample(steps))
    assert {problem.reason.value for problem in problems} == ({reason} if reason else set())
    assert all(words in problem.message for problem in problems)


def test_a_promise_in_the_last_words_of_an_exit_cannot_be_kept():
    text = GOOD.replace("    to: told\n", "    to: told\n    promise: next update within 1 hour\n")
    assert found(text) == [("promise then end", line_of(text, "within 1 hour"))]


def test_an_exit_that_runs_out_without_an_end_still_judges_its_promise():
    text = sample(FIRST + REPEAT, tail="  - label: over\n  - tell: bye\n    promise: next update within 1 hour\n")
    assert [reason for reason, _ in found(text)] == ["end missing", "promise then end"]


def test_a_promise_needs_a_text_for_when_it_cannot_be_kept():
    assert [reason for reason, _ in found(GOOD.replace("holding: holding, ", ""))] == ["no holding text"]


def test_those_who_leave_need_an_end_too():
    problems = checked(GOOD.replace(", left cured: cured, told by mistake: mistaken", ""))
    assert [problem.values["key"] for problem in problems] == ["left cured", "told by mistake"]
    assert {problem.reason.value for problem in problems} == {"no leaving text"}


TEXT = "---\nsubject: Hello\n---\nBody\n"
NAMES = ("first", "again", "update", "all-clear", "holding", "cured", "mistaken")


def texts_in(*languages, without=()):
    return {(name, lang): TEXT for name in NAMES for lang in languages if (name, lang) not in without}


def test_complete_texts_have_no_problems():
    assert checked(GOOD, texts_in("en", "nl"), {"en": 0.5, "nl": 0.5}) == []


def test_the_fallback_language_must_always_be_there():
    problems = checked(GOOD, texts_in("en", without=[("update", "en")]), {})
    assert [(p.reason.value, p.values["file"], p.line) for p in problems] == [
        ("text missing", "texts/update.en.md", line_of(GOOD, "tell: update"))
    ]


@pytest.mark.parametrize(
    ("share", "reason", "severity", "percent"),
    [
        (0.5, "language missing", Severity.ERROR, "50 %"),
        (0.01, "language missing", Severity.ERROR, "1 %"),
        (0.0099, "rare language missing", Severity.WARNING, "0.99 %"),
        (0.00004, "rare language missing", Severity.WARNING, "0.004 %"),
    ],
)
def test_a_language_that_one_percent_reads_must_have_every_text(share, reason, severity, percent):
    problems = checked(GOOD, texts_in("en", "hi", without=[("first", "hi")]), {"en": 1 - share, "hi": share})
    assert [(p.reason.value, p.severity, p.values["text"]) for p in problems] == [(reason, severity, "first")]
    assert percent in problems[0].message
    assert "texts/first.hi.md" in problems[0].message


def test_a_regional_language_is_served_by_its_parent():
    assert checked(GOOD, texts_in("en", "nl"), {"nl-BE": 0.6, "en-GB": 0.4}) == []


def test_files_that_no_step_uses_or_that_say_nothing_are_named():
    texts = texts_in("en") | {
        ("spare", "en"): TEXT,
        ("first", "nl"): "No head",
        ("again", "nl"): "---\nsubject: Only a subject\n---\n",
    }
    assert [(p.file, p.reason.value, p.severity.value) for p in checked(GOOD, texts, {"en": 1.0})] == [
        ("texts/again.nl.md", "text empty", "error"),
        ("texts/first.nl.md", "text without subject", "error"),
        ("texts/spare.en.md", "text unused", "warning"),
    ]


def test_a_text_for_joiners_is_looked_for_too():
    text = GOOD.replace("{ holding: holding,", "{ holding: holding, joined: welcome,")
    assert [p.values["text"] for p in checked(text, texts_in("en"), {})] == ["welcome"]


def test_an_update_may_promise_the_next_word_sooner_than_the_rhythm_because_the_repeat_then_speaks_sooner():
    text = sample(
        FIRST + REPEAT.replace("update, promise: next update within 60", "update, promise: next update within 30")
    )
    assert found(text) == []
    playbook = parse_playbook(
        text
        + "tests:\n  - name: sooner\n    given: [{ at: 5 minutes, event: incident.update_posted }]\n    expect:\n"
        + "      - { at: start, tell: first }\n      - { at: 5 minutes, tell: update, promise by: 35 minutes }\n"
        + "      - { at: 35 minutes, tell: again }\n"
    )
    assert trial_problems(playbook) == []
