"""The tests that a playbook carries: what they can say, and what is said when the playbook does something else."""

import pytest
from tests.engine.playbooks.playbook_samples import OUTAGE, REPEAT, checked, reasons_of, sample

from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.problems import PlaybookErrors
from beforehand.engine.playbooks.try_out import trial_problems

FIRST = "  - tell: first\n    promise: next update within 60 minutes\n"
TOLD = "{ at: start, tell: first, to: affected, promise by: 60 minutes }"
ENDED = "{ at: 10 minutes, tell: all-clear }, { at: 10 minutes, end: resolved }"
RESOLVED = "{ at: 10 minutes, event: incident.resolved }"


def trying(expect, given="", more="", steps=FIRST + REPEAT):
    test = f"tests:\n  - name: a test\n    given: [{given}]\n    expect: [{expect}]\n{more}"
    return sample(steps) + test


def line_of(text, part):
    return next(number for number, line in enumerate(text.splitlines(), start=1) if part in line)


def faults(text):
    return [(problem.reason.value, problem.line, problem.message) for problem in trial_problems(parse_playbook(text))]


def test_the_shipped_playbook_does_what_its_tests_say():
    playbook = parse_playbook(OUTAGE)
    assert len(playbook.trials) >= 4
    assert trial_problems(playbook) == []


def test_a_test_that_expects_what_comes_passes():
    assert faults(trying(f"{TOLD}, {ENDED}", RESOLVED)) == []


def test_what_is_not_said_of_an_expected_tell_may_be_anything():
    assert faults(trying("{ at: start, tell: first }")) == []


@pytest.mark.parametrize(
    ("expected", "came"),
    [
        ("{ at: 1 minute, tell: first }", "at start tell “first” to affected, next update by 60 minutes"),
        ("{ at: start, tell: again }", "at start tell “first” to affected"),
        ("{ at: start, tell: first, to: told }", "to affected"),
        ("{ at: start, tell: first, promise by: 30 minutes }", "next update by 60 minutes"),
        ("{ at: start, end: resolved }", "at start tell “first”"),
        ("{ at: start, ask: a person }", "at start tell “first”"),
    ],
)
def test_it_says_what_was_expected_and_what_came(expected, came):
    text = trying(expected)
    ((reason, line, message),) = faults(text)
    assert (reason, line) == ("test other", line_of(text, "expect:"))
    assert "expected: at " in message
    assert came in message


def test_something_that_never_comes_is_named_at_its_own_line():
    text = trying(f"{TOLD},\n      {{ at: 20 minutes, tell: update }}")
    assert [(reason, line) for reason, line, _ in faults(text)] == [("test nothing", line_of(text, "tell: update }"))]


def test_what_nobody_expected_is_a_fault_up_to_the_last_moment():
    assert faults(trying(TOLD, more="    until: 49 minutes\n")) == []
    ((reason, _, message),) = faults(trying(TOLD, more="    until: 50 minutes\n"))
    assert reason == "test more"
    assert "What came: at 50 minutes tell “again” to affected, next update by 110 minutes." in message


def test_a_test_that_expects_nothing_finds_that_something_came():
    text = trying("")
    assert [(reason, line) for reason, line, _ in faults(text)] == [("test more", line_of(text, "name: a test"))]


def test_an_event_at_the_same_moment_as_the_clock_comes_first():
    steps = "  - wait: 10 minutes\n" + FIRST + REPEAT
    assert faults(trying("{ at: 10 minutes, end: resolved }", RESOLVED, steps=steps)) == []


def test_an_event_that_means_nothing_to_the_run_changes_nothing():
    assert faults(trying(TOLD, "{ at: 5 minutes, event: incident.renamed }")) == []


def test_a_run_over_its_limit_asks_once_and_waits_for_a_person():
    text = trying(
        "{ at: start, ask: a person }, { at: 5 hours, tell: first }, { at: 6 hours, end: resolved }",
        "{ at: 5 hours, person: confirms }, { at: 6 hours, event: incident.resolved }",
        more="    incident: { affected: 30 }\n",
    ).replace("restart on", "limits: { confirm above: 20 }\nrestart on")
    assert [reason for reason, *_ in faults(text)] == ["test other"]
    told = text.replace("{ at: 6 hours, end", "{ at: 5 hours 50 minutes, tell: again }, { at: 6 hours, tell: all-clear }, { at: 6 hours, end")  # fmt: skip
    assert faults(told) == []


def test_a_person_may_confirm_beforehand():
    text = trying(
        "{ at: 1 minute, tell: first }",
        "{ at: start, person: confirms }",
        more="    incident: { affected: 30 }\n",
        steps="  - wait: 1 minute\n" + FIRST + REPEAT,
    ).replace("restart on", "limits: { confirm above: 20 }\nrestart on")
    assert faults(text) == []


def test_a_reopened_incident_starts_its_run_again():
    given = RESOLVED + ", { at: 20 minutes, event: incident.reopened }"
    again = "{ at: 20 minutes, tell: first, promise by: 80 minutes }"
    assert faults(trying(f"{TOLD}, {ENDED}, {again}", given)) == []


def test_a_run_does_not_start_for_an_incident_that_its_condition_leaves_out():
    head = 'audience: incident.affected\nif: incident.severity == "critical" && incident.affected > 50\n'
    text = trying("{ at: start, end: not started }").replace("audience: incident.affected\n", head)
    assert faults(text) == []
    bad = text.replace("    expect", "    incident: { severity: critical }\n    expect")
    assert [reason for reason, *_ in faults(bad)] == ["test other"]


def test_an_incident_may_grow_while_its_run_waits():
    text = trying(
        "{ at: 10 minutes, ask: a person }",
        "{ at: 5 minutes, incident: { affected: 30 } }",
        more="    incident: { affected: 10 }\n",
        steps="  - wait: 10 minutes\n" + FIRST + REPEAT,
    ).replace("restart on", "limits: { confirm above: 20 }\nrestart on")
    assert faults(text) == []


def test_a_run_that_asks_in_the_middle_waits_for_a_person_too():
    text = trying(
        f"{TOLD}, {{ at: 50 minutes, ask: a person }}",
        "{ at: 5 minutes, incident: { affected: 30 } }",
        more="    incident: { affected: 10 }\n    until: 5 hours\n",
    ).replace("restart on", "limits: { confirm above: 20 }\nrestart on")
    assert faults(text) == []


def test_an_incident_that_is_known_late_begins_its_run_then():
    steps = "  - wait: { from: incident.began, for: 3 minutes }\n" + FIRST + REPEAT
    late = "    incident: { known after: 2 minutes }\n"
    assert faults(trying("{ at: 3 minutes, tell: first }", more=late, steps=steps)) == []


def test_a_test_that_would_go_on_for_ever_is_stopped():
    steps = FIRST + REPEAT.replace("50 minutes", "1 second")
    assert [reason for reason, *_ in faults(trying("", more="    until: 1 day\n", steps=steps))] == ["test endless"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (trying("{ at: 3m, tell: first }"), "bad moment"),
        (trying("{ at: start, say: first }"), "no verb"),
        (trying("{ at: start, tell: first, end: done }"), "two verbs"),
        (trying("{ at: start, end: resolvd }"), "bad choice"),
        (trying("{ at: start, ask: everybody }"), "bad choice"),
        (trying("{ tell: first }"), "missing key"),
        (trying("tell"), "not a mapping"),
        (trying("", "{ at: start }"), "no verb"),
        (trying("", "{ at: start, event: resolved }"), "bad event"),
        (trying("", "{ at: start, person: sleeps }"), "bad choice"),
        (trying("", "{ at: start, incident: many }"), "not a mapping"),
        (trying("", "{ at: start, incident: { affected: many } }"), "bad number"),
        (trying("", "{ at: start, incident: { kind: 7 } }"), "bad name"),
        (trying("", RESOLVED, more="    incident: { known after: 1 hour }\n"), "test before known"),
        (trying("") + "  - name: a test\n    expect: []\n", "duplicate test"),
        (trying("") + "  - 7\n", "not a mapping"),
        (sample(FIRST + REPEAT) + "tests:\n" + "  - { name: a, expect: [] }\n" * 101, "too many tests"),
    ],
)
def test_a_test_that_cannot_be_understood_is_refused(text, reason):
    assert reason in reasons_of(text)


def test_a_time_that_cannot_be_read_is_explained():
    with pytest.raises(PlaybookErrors, match=r"“3m” is not a time in a test\. Write “start”.*Write “3 minutes”"):
        parse_playbook(trying("{ at: 3m, tell: first }"))


def test_a_text_that_the_playbook_does_not_have_is_found_when_it_is_checked():
    text = trying(TOLD.replace("tell: first", "tell: frist"))
    ((reason, line, message),) = [(one.reason.value, one.line, one.message) for one in checked(text)]
    assert (reason, line) == ("test unknown name", line_of(text, "expect:"))
    assert "Did you mean “first”?" in message


def told_by(customer, expect, given="", more=""):
    said = f"    customer: {customer}\n" if customer else ""
    return faults(trying(expect, given, said + more).replace("channels: [email]", "channels: [email, sms, inbox]"))


@pytest.mark.parametrize(
    ("customer", "by"),
    [
        ("", "email"),
        ("{ has: [inbox, sms] }", "sms"),
        ("{ has: [webhook, inbox] }", "inbox"),
        ("{ has: [webhook] }", "a person"),
        ("{ has: [] }", "a person"),
        ("{ over the failure: [email] }", "sms"),
        ("{ has: [email, inbox], over the failure: [email] }", "inbox"),
        ("{ has: [email], over the failure: [email, sms] }", "email"),
        ("{ has: [email, sms], over the failure: [sms] }", "email"),
    ],
)
def test_a_test_says_by_which_channel_its_customer_is_told(customer, by):
    assert told_by(customer, f"{{ at: start, tell: first, by: {by} }}") == []
    ((reason, _, message),) = told_by(customer, "{ at: start, tell: first, by: call }")
    assert (reason, f"What came: at start tell “first” by {by} to affected" in message) == ("test other", True)


def test_an_inbox_tells_who_opens_it_so_any_channel_that_works_goes_before_it():
    inbox_first = trying("{ at: start, tell: first, by: sms }", more="    customer: { has: [inbox, sms] }\n").replace(
        "channels: [email]", "channels: [inbox, email, sms]"
    )
    assert faults(inbox_first) == []
    assert faults(inbox_first.replace("[inbox, sms] }", "[inbox] }").replace("by: sms", "by: inbox")) == []


def test_a_channel_that_runs_over_the_failure_works_again_when_it_is_over_and_fails_again_with_it():
    given = RESOLVED + ", { at: 20 minutes, event: incident.reopened }"
    ends = "{ at: 10 minutes, tell: all-clear, by: email }, { at: 10 minutes, end: resolved }"
    expect = f"{{ at: start, tell: first, by: sms }}, {ends}, {{ at: 20 minutes, tell: first, by: sms }}"
    assert told_by("{ over the failure: [email] }", expect, given) == []


def test_planned_work_cuts_nobody_off_before_it_begins():
    given = "{ at: 5 minutes, event: incident.started }"
    expect = "{ at: start, tell: first, by: email }, { at: 50 minutes, tell: again, by: sms }"
    more = "    incident: { kind: planned }\n"
    assert told_by("{ over the failure: [email] }", expect, given, more) == []


def test_a_test_that_says_nothing_of_channels_is_not_bothered_with_them():
    ((_, _, message),) = faults(trying("{ at: start, tell: again }"))
    assert "“first” to affected" in message
    assert told_by("{ has: [sms] }", "{ at: start, tell: first }") == []


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("{ has: [emial] }", "bad choice"),
        ("{ has: [[email]] }", "not text"),
        ("{ has: email }", "not a list"),
        ("{ owns: [email] }", "unknown key"),
        ("[email]", "not a mapping"),
    ],
)
def test_a_customer_that_cannot_be_read_is_named_where_it_stands(written, reason):
    with pytest.raises(PlaybookErrors) as errors:
        told_by(written, "{ at: start, tell: first }")
    assert [problem.reason.value for problem in errors.value.problems] == [reason]


def test_a_way_that_does_not_exist_is_named_with_the_nearest():
    with pytest.raises(PlaybookErrors) as errors:
        told_by("", "{ at: start, tell: first, by: emial }")
    assert "Did you mean “email”?" in str(errors.value)
