"""What two versions of a playbook differ in."""

from datetime import timedelta

import pytest
from tests.engine.playbooks.playbook_samples import OUTAGE, REPEAT, sample, shipped_texts

from beforehand.engine.playbooks.diff import playbook_changes
from beforehand.engine.playbooks.parse import parse_playbook

FIRST = "  - wait: 3 minutes\n  - tell: first\n    promise: next update within 60 minutes\n"
SECOND = "  - wait: 50 minutes\n  - tell: second\n    promise: next update within 60 minutes\n"
IF = '  - if: incident.severity == "critical"\n    then:\n      - wait: 1 minute\n    else:\n      - wait: 2 minutes\n'
OLD = sample(FIRST + REPEAT)


def changes(old, new, old_texts=None, new_texts=None):
    return playbook_changes(parse_playbook(old), old_texts or {}, parse_playbook(new), new_texts or {})


def found(old, new):
    return [(change.kind.value, change.about) for change in changes(old, new)]


def test_a_version_differs_in_nothing_from_itself_nor_from_its_own_words_on_other_lines():
    assert changes(OUTAGE, "# a comment\n\n" + OUTAGE, shipped_texts(), shipped_texts()) == []


def test_a_wait_is_told_by_the_step_that_comes_after_it():
    (change,) = changes(OLD, OLD.replace("wait: 3 minutes", "wait: 5 minutes"))
    assert (change.kind, change.about) == ("wait", "first")
    assert (change.before, change.after) == (timedelta(minutes=3), timedelta(minutes=5))


def test_a_wait_after_which_nothing_has_a_name_is_told_by_its_own():
    old = sample(FIRST + REPEAT, tail="  - label: over\n  - wait: 1 minute\n  - end: resolved\n")
    assert found(old, old.replace("wait: 1 minute", "wait: 2 minutes")) == [("wait", "wait-2")]


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ("every: 50 minutes", "every: 55 minutes", [("rhythm", "again")]),
        ("tell: first\n    promise: next update within 60", "tell: first\n    promise: next update within 90", [("promise", "first")]),
        ("tell: first\n    promise: next update within 60 minutes", "tell: first", [("promise", "first")]),
        ("tell: first", "tell: other\n    id: first", [("step says", "first")]),
        ("    to: told\n", "", [("step says", "all-clear")]),
        ("end: resolved", "end: done", [("step says", "end-1")]),
        ("wait: 3 minutes", "wait: { until: a.b, at most: 3 minutes }", [("step says", "wait-1")]),
        ("title: Sample", "title: Another", [("rule", "title")]),
        ("restart on: incident.reopened\n", "", [("rule", "restart on")]),
        ("owner: network-operations", "owner: care", [("rule", "owner")]),
        ("steps:\n", "approve by: [care, legal]\nsteps:\n", [("rule", "approve by")]),
        ("steps:\n", "call first: care alarms\nsteps:\n", [("rule", "call first")]),
        ("steps:\n", "limits: { confirm above: 7 }\nif: incident.affected > 3\nsteps:\n", [("rule", "if"), ("rule", "confirm above")]),
    ],
)  # fmt: skip
def test_each_change_is_named(old, new, kinds):
    text = OLD.replace(old, new, 1)
    assert found(OLD, text) == kinds


def test_steps_that_come_and_go_leave_the_others_unchanged():
    new = sample(FIRST + SECOND + REPEAT)
    assert found(OLD, new) == [("step added", "wait-2"), ("step added", "second")]
    assert found(new, OLD) == [("step removed", "wait-2"), ("step removed", "second")]


def test_steps_that_change_places_are_moved():
    swapped = sample(SECOND + FIRST + REPEAT)
    kinds = found(sample(FIRST + SECOND + REPEAT), swapped)
    assert {kind for kind, _ in kinds} == {"step moved"}


def test_a_step_that_goes_into_a_way_of_an_if_is_moved():
    task = "- {{ task: call, title: Call, team: care, within: 1 hour }}\n"
    outside = sample(IF + "  " + task.format() + FIRST + REPEAT)
    inside = sample(IF.replace("    else", "      " + task.format() + "    else") + FIRST + REPEAT)
    assert ("step moved", "call") in found(outside, inside)
    assert found(outside, outside.replace('"critical"', '"major"')) == [("step says", "if-1")]
    other_way = sample(IF + "      " + task.format() + FIRST + REPEAT)
    assert ("step moved", "call") in found(inside, other_way)


def test_a_section_under_another_label_is_another_section():
    new = OLD.replace("label: over", "label: end").replace("go to: over", "go to: end")
    kinds = found(OLD, new)
    assert kinds[0] == ("rule", "exits")
    assert ("step moved", "all-clear") in kinds
    assert {kind for kind, _ in kinds[1:]} == {"step added", "step moved", "step removed"}


def test_texts_are_compared_in_each_language():
    old = {("first", "en"): "Hello", ("first", "ar"): "مرحبا", ("second", "nl"): "Dag", ("third", "en"): "Same"}
    new = {("first", "en"): "Hello\r\n", ("first", "ar"): "أهلا", ("first", "hi"): "नमस्ते", ("third", "en"): "Same"}
    kinds = [(change.kind.value, change.about, change.language) for change in changes(OLD, OLD, old, new)]
    assert kinds == [("text changed", "first", "ar"), ("text added", "first", "hi"), ("text removed", "second", "nl")]


def test_tests_are_compared_by_name():
    test = "tests:\n  - {{ name: {}, expect: [{{ at: {}, tell: first }}], given: [{{ at: start, event: a.b }}] }}\n"
    one = OLD + test.format("one", "3 minutes")
    assert found(OLD, one) == [("test added", "one")]
    assert found(one, OLD + test.format("one", "4 minutes")) == [("test changed", "one")]
    assert found(one, OLD + test.format("two", "3 minutes")) == [("test added", "two"), ("test removed", "one")]
