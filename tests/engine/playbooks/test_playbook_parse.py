"""Reading a playbook: what is understood, and what is refused with its place."""

from datetime import timedelta

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from tests.engine.playbooks.playbook_samples import HEAD, OUTAGE, REPEAT, SHIPPED, TAIL, reasons_of, sample

from beforehand.engine.message_classes import MessageClass
from beforehand.engine.playbooks.language import (
    Audience,
    AudienceSource,
    Channel,
    EndReason,
    EndStep,
    LabelStep,
    RepeatStep,
    TellStep,
    WaitStep,
)
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.problems import SENTENCES, WARNINGS, PlaybookErrors, ProblemReason, Severity
from beforehand.engine.playbooks.schema import playbook_json_schema
from beforehand.engine.playbooks.yaml_tree import MAX_BYTES

ONE_TELL = "  - tell: first\n    promise: next update within 60 minutes\n"


def the_problem(text):
    """The only problem with the text."""
    with pytest.raises(PlaybookErrors) as caught:
        parse_playbook(text)
    assert len(caught.value.problems) == 1, caught.value
    return caught.value.problems[0]


def test_the_shipped_outage_playbook_is_read_as_written():
    playbook = parse_playbook(OUTAGE)
    assert (playbook.name, playbook.title, playbook.owner) == ("outage", "Network outage", "network-operations")
    assert playbook.message_class is MessageClass.SERVICE_CRITICAL
    assert playbook.audience is AudienceSource.INCIDENT_AFFECTED
    assert playbook.channels == (Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.INBOX)
    assert playbook.condition is not None
    assert playbook.condition.text == 'incident.kind == "outage" && incident.severity in ["major", "critical"]'
    assert OUTAGE.splitlines()[playbook.condition.place.line - 1].startswith("if:")
    assert playbook.confirm_above == 25_000
    assert playbook.restart_on == "incident.reopened"
    assert {exit_.on: exit_.go_to for exit_ in playbook.exits} == {
        "incident.resolved": "all-clear",
        "incident.cancelled": "false-alarm",
    }
    wait, first, repeat = playbook.steps[:3]
    assert isinstance(wait, WaitStep)
    assert (wait.id, wait.duration, wait.from_began) == ("lasting", timedelta(minutes=3), True)
    assert isinstance(first, TellStep)
    assert first.promise is not None
    assert first.promise.within is None
    assert isinstance(repeat, RepeatStep)
    assert repeat.promise.within is None
    assert playbook.rhythm_of(first.id) == playbook.rhythm_of("still-working.update") == repeat.every
    assert playbook.rhythm_of("all-clear") is None
    assert [(h.event, h.tell.id, h.tell.text) for h in repeat.on] == [
        ("incident.update_posted", "still-working.update", "update")
    ]
    assert [step.name for step in playbook.steps if isinstance(step, LabelStep)] == ["all-clear", "false-alarm"]
    assert [step.reason for step in playbook.steps if isinstance(step, EndStep)] == [
        EndReason.RESOLVED,
        EndReason.CANCELLED,
    ]


def test_steps_are_found_by_id_with_their_section():
    playbook = parse_playbook(OUTAGE)
    assert playbook.step("still-working.update").text == "update"
    assert playbook.index("still-working.update") == playbook.index("still-working") == 2
    assert playbook.section("still-working.update") is None
    assert playbook.section("end-2") == "false-alarm"
    assert [step.id for step in playbook.section_steps("all-clear")] == ["all-clear", "end-1"]
    assert playbook.step("all-clear").to is Audience.TOLD
    with pytest.raises(KeyError):
        playbook.step("elsewhere")


def test_waits_for_events_and_own_ids_are_read():
    playbook = parse_playbook(
        sample(
            "  - wait: { until: incident.confirmed, at most: 2 hours }\n  - tell: hello\n    id: greeting\n  - end: done\n"
        )
    )
    wait, tell, end = playbook.steps[:3]
    assert (wait.id, wait.until, wait.duration) == ("wait-1", "incident.confirmed", timedelta(hours=2))
    assert (tell.id, tell.text, tell.promise) == ("greeting", "hello", None)
    assert (end.id, end.reason) == ("end-1", EndReason.DONE)


def test_what_may_be_left_out_may_be_left_out():
    text = """
        playbook: birthday
        title: Birthday
        owner: care
        class: care
        when: customer.birthday_came
        audience: customer
        channels: [email, email]
        limits:
        fallback language: pt-BR
        steps:
          - tell: wishes
          - end: done
    """
    playbook = parse_playbook(text)
    assert playbook.exits == ()
    assert playbook.channels == (Channel.EMAIL,)
    assert (playbook.confirm_above, playbook.condition, playbook.texts.holding) == (None, None, None)
    assert not playbook.is_about_incident


@pytest.mark.parametrize(
    ("text", "reason", "line", "column"),
    [
        ("a: 1\n" * 50_000, "too large", 1, 1),
        ("a: " + "[" * 40, "too deep", 1, 15),
        ("a: [" + "b, " * 20_100 + "]", "too many parts", 1, 59_996),
        ("a: b: c", "not yaml", 1, 5),
        ("\ta: 3", "not yaml", 1, 1),
        ("a: 'x", "not yaml", 1, 6),
        ("a: 1\nb: \x07", "unreadable character", 2, 4),
        ("a: \ud800", "unreadable character", 1, 4),
        ("a: 1\nb: x\u202ey", "hidden character", 2, 5),
        ("a: &x 1", "anchor", 1, 4),
        ("a: *x", "anchor", 1, 4),
        ("a: !!python/object:os.system 1", "tag", 1, 4),
        ("a: 1\nb: 2\na: 3", "duplicate key", 3, 1),
        ("? [a]\n: 1", "key not text", 1, 3),
        ("a: 1\n---\nb: 1", "more than one document", 2, 1),
        ("", "empty", 1, 1),
        ("# nothing\n", "empty", 1, 1),
        ("- a", "not a mapping", 1, 1),
        ("just words", "not a mapping", 1, 1),
    ],
)
def test_files_that_are_no_playbooks_are_refused_with_their_place(text, reason, line, column):
    problem = the_problem(text)
    assert (problem.reason.value, problem.line, problem.column) == (reason, line, column)


def test_the_size_that_is_allowed_is_read():
    padding = "#" * (MAX_BYTES - len(OUTAGE.encode()) - 1)
    assert parse_playbook(OUTAGE + padding + "\n").name == "outage"


def test_a_byte_order_mark_at_the_start_does_no_harm():
    assert parse_playbook("\ufeff" + OUTAGE).name == "outage"


def changed(old, new):
    text = sample(ONE_TELL + REPEAT)
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "reason", "part"),
    [
        ("title: Sample\n", "titel: Sample\ntitle: Sample\n", "unknown key", "Did you mean “title”?"),
        ("title: Sample\n", "xyzzy: 1\ntitle: Sample\n", "unknown key", "Use one of: playbook"),
        ("title: Sample\n", "", "missing key", "“title”"),
        ("title: Sample\n", "title:\n", "missing key", "“title”"),
        ("title: Sample", "title: [a]", "not text", "“title”"),
        ("title: Sample", f"title: {'x' * 201}", "too long", "200"),
        ("playbook: sample", "playbook: My Sample", "bad name", "My Sample"),
        ("when: incident.opened", "when: opened", "bad event", "incident.opened"),
        ("fallback language: en", "fallback language: English", "bad language", "pt-BR"),
        ("class: service-critical", "class: service-critcal", "bad choice", "Did you mean “service-critical”?"),
        ("audience: incident.affected", "audience: everyone", "bad choice", "Use one of"),
        ("channels: [email]", "channels: [emial]", "bad choice", "Did you mean “email”?"),
        ("channels: [email]", "channels: [[email]]", "not text", "channels"),
        ("channels: [email]", "channels: email", "not a list", "channels"),
        ("channels: [email]", "channels: []", "empty list", "channels"),
        ("channels: [email]", "channels: [call, email]", "call not last", "Put it last"),
        ("title: Sample\n", "title: Sample\nlimits: 4\n", "not a mapping", "limits"),
        ("title: Sample\n", "title: Sample\nlimits: { confirm above: many }\n", "bad number", "many"),
        ("title: Sample\n", "title: Sample\nlimits: { confirm above: 0 }\n", "bad number", "25000"),
        ("{ holding: holding, ", "{ holding: No Name, ", "bad name", "No Name"),
        ("  - { on: incident.resolved, go to: over }\n", "  - incident.resolved\n", "not a mapping", "exits"),
        ("go to: over", "go to: ovr", "unknown label", "Did you mean “over”?"),
        ("on: incident.cancelled", "on: incident.resolved", "duplicate exit", "line 11"),
        ("promise: next", "promise: news", "bad promise", "next update within 60 minutes"),
        ("within 60 minutes", "within 0 minutes", "bad duration", "longer than nothing"),
        ("every: 50 minutes", "every: 50m", "bad duration", "Write “50 minutes”."),
        ("every: 50 minutes", "every: { for: 1 hour }", "not text", "every"),
        ("    every: 50 minutes\n", "", "missing key", "every"),
        ("to: told", "to: left cured", "bad choice", "Use one of: affected, told."),
        ("  - label: over\n", "  - label: over\n  - label: over\n", "duplicate label", "line 23"),
        ("  - tell: first\n", "  - tell: first\n    wait: 3 minutes\n", "two verbs", "“tell” and “wait”"),
        ("  - tell: first\n", "  - repeat: first\n    wait: 3 minutes\n", "two verbs", "“repeat” and “wait”"),
        (
            "  - tell: first\n",
            "  - say: first\n  - tell: first\n",
            "no verb",
            "wait, tell, repeat, if, task, label, end",
        ),
        ("  - tell: first\n", "  - hello\n  - tell: first\n", "not a mapping", "steps"),
        ("  - tell: first\n", "  - tell: again\n", "duplicate id", "the first is on line 15"),
        ("  - tell: first\n", "  - tell: holding\n", "reserved id", "holding"),
        ("  - tell: first\n", "  - tell: first\n    id: No\n", "bad name", "No"),
        ("{ tell: update, promise: next update within 60 minutes }", "update", "not a mapping", "update_posted"),
        ("incident.update_posted:", "posted:", "bad event", "posted"),
        ("  - end: resolved", "  - end: solved", "bad choice", "Did you mean “resolved”?"),
        ("steps:\n", "steps:\n  - wait: { untl: a.b, at most: 1 hour, until: a.b }\n", "unknown key", "until"),
        ("steps:\n", "steps:\n  - wait: { from: incident.start, for: 1 hour }\n", "bad choice", "incident.began"),
        ("steps:\n", "steps:\n  - wait: [1 hour]\n", "not text", "wait"),
        (
            "  - label: over",
            "  - wait: { from: incident.began, for: 1 hour }\n  - label: over",
            "from not first",
            "Write “wait: 60 minutes”.",
        ),
        (
            "  - label: over",
            "  - wait: { from: incident.began, for: an hour }\n  - label: over",
            "bad duration",
            "an hour",
        ),
    ],
)
def test_each_mistake_is_named_with_what_to_do(old, new, reason, part):
    with pytest.raises(PlaybookErrors) as caught:
        parse_playbook(changed(old, new))
    found = [problem for problem in caught.value.problems if problem.reason.value == reason]
    assert found, caught.value
    assert part in found[0].message
    assert found[0].severity is Severity.ERROR
    assert str(found[0]).startswith(f"playbook.yaml:{found[0].line}:{found[0].column}: ")


def test_a_mistake_is_placed_on_its_line_and_column():
    problem = the_problem(changed("every: 50 minutes", "every: 50m"))
    assert (problem.line, problem.column) == (18, 12)


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file():
    text = changed("every: 50 minutes", "every: 50m").replace(
        "owner: network-operations\n", "owner: No One\nlimit: 3\n"
    )
    assert reasons_of(text) == ["bad name", "unknown key", "bad duration"]


def test_no_steps_at_all_is_said_once():
    assert reasons_of(HEAD.replace("over", "x").replace("steps:\n", "steps: []\n")) == [
        "unknown label",
        "unknown label",
        "no steps",
    ]
    assert "Remove it." in the_problem_with_first_exit()


def the_problem_with_first_exit():
    with pytest.raises(PlaybookErrors) as caught:
        parse_playbook(HEAD.replace("steps:\n", "steps: []\n"))
    return caught.value.problems[0].message


def test_more_steps_than_anyone_can_review_are_refused():
    text = sample("".join(f"  - wait: {count} minutes\n" for count in range(1, 202)))
    assert "too many steps" in reasons_of(text)


def test_a_missing_promise_or_tell_in_a_repeat_is_left_to_the_check():
    text = sample("  - repeat: again\n    every: 3 hours\n    tell: news\n")
    repeat = parse_playbook(text).steps[0]
    assert (repeat.id, repeat.text, repeat.promise, repeat.on) == ("again", "news", None, ())


def test_every_reason_has_a_sentence_that_its_values_fill():
    assert set(SENTENCES) == set(ProblemReason)
    assert set(ProblemReason) > WARNINGS


EVERY_WORD = """\
playbook: sample
title: Sample
owner: network-operations
approve by: [care, legal]
class: service-critical
when: incident.opened
if: incident.kind == "outage"
audience: incident.affected
channels: [email]
call first: care alarms
limits: { confirm above: 10 }
fallback language: en
texts: { holding: holding, joined: joined, left cured: cured, told by mistake: mistaken }
exits:
  - { on: incident.resolved, go to: over }
restart on: incident.reopened
steps:
  - wait: { from: incident.began, for: 3 minutes }
    id: lasting
  - wait: { until: incident.confirmed, at most: 5 minutes }
  - if: incident.severity == "critical" && incident.affected > 1000
    id: is-bad
    then:
      - if: incident.kind == "outage"
        then:
          - wait: 1 minute
      - task: call-mayor
        title: Call the mayor
        team: care
        within: 20 minutes
        wait for it: yes
    else:
      - tell: first
        id: first-notice
        to: affected
        promise: next update within 60 minutes
  - repeat: again
    every: [{ for: 2 hours, every: 60 minutes, quiet: 22:00 to 07:00 }, { every: day at 09:00 }]
    tell: again
    to: affected
    promise: next update in rhythm
    on: { incident.update_posted: { tell: update, promise: next update within 60 minutes } }
  - label: over
  - end: resolved
tests:
  - name: everything
    incident: { kind: outage, severity: critical, affected: 2000, began: 22:00, known after: 1 minute }
    customer: { has: [email, sms], over the failure: [email] }
    given:
      - { at: 1 minute, event: incident.confirmed }
      - { at: 2 minutes, person: confirms }
      - { at: 3 minutes, done: call-mayor }
      - { at: 4 minutes, incident: { severity: major } }
    expect:
      - { at: start, tell: first, to: affected, promise by: 60 minutes, by: sms }
      - { at: 3 minutes, task: call-mayor, due: 23 minutes }
      - { at: 4 minutes, ask: a person }
      - { at: 5 minutes, end: resolved }
    until: 1 day
"""


def words_of(schema):
    """Every key that the schema knows, wherever it stands."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        schema = list(schema.values())
    for part in schema if isinstance(schema, list) else ():
        yield from words_of(part)


def keys_of(tree):
    if isinstance(tree, dict):
        yield from tree
        tree = list(tree.values())
    for part in tree if isinstance(tree, list) else ():
        yield from keys_of(part)


def test_every_word_of_the_language_is_in_the_json_schema_and_can_be_read():
    """The sample below uses every word; what the parser reads and the schema lists is exactly that."""
    written = set(keys_of(YAML(typ="safe", pure=True).load(EVERY_WORD))) - {"incident.update_posted"}
    assert written == set(words_of(playbook_json_schema()))


@pytest.mark.parametrize(
    "text",
    [
        *(path.read_text("utf-8") for path in sorted(SHIPPED.parent.glob("*/playbook.yaml"))),
        EVERY_WORD,
        sample(ONE_TELL + REPEAT),
        sample("  - wait: 3 minutes\n  - end: done\n"),
    ],
)
def test_the_json_schema_accepts_what_the_parser_reads(text):
    schema = playbook_json_schema()
    jsonschema_rs.meta.validate(schema)
    parse_playbook(text)
    jsonschema_rs.validate(schema, YAML(typ="safe", pure=True).load(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Sample\n", ""),
        ("title: Sample\n", "titel: Sample\ntitle: Sample\n"),
        ("class: service-critical", "class: loud"),
        ("every: 50 minutes", "every: 50m"),
        ("within 60 minutes", "within an hour"),
        ("to: told", "to: left cured"),
        ("  - tell: first\n", "  - say: first\n"),
        ("steps:\n", "steps:\n  - if: true\n    then: [{ label: inside }]\n"),
        ("steps:\n", "steps:\n  - { task: call, title: Call, team: care, within: 1 hour, wait for it: maybe }\n"),
        ("steps:\n", "approve by: [Care Team]\nsteps:\n"),
        ("steps:\n", "tests: [{ name: a, expect: [{ at: noon, tell: first }] }]\nsteps:\n"),
        ("incident.update_posted:", "posted:"),
    ],
)
def test_the_json_schema_refuses_what_the_parser_refuses(old, new):
    text = changed(old, new)
    assert reasons_of(text)
    assert not jsonschema_rs.is_valid(playbook_json_schema(), YAML(typ="safe", pure=True).load(text))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_playbooks_are_refused_in_an_orderly_way(data):
    text = sample(ONE_TELL + REPEAT, tail=TAIL)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        junk = data.draw(
            st.sampled_from(["", ":", "- ", "\n", "{", "]", "&a ", "null", '"', "  ", "٣", "? ", "on:", "#", "|"])
        )
        text = text[:at] + junk + text[at + data.draw(st.integers(0, 12)) :]
    try:
        parse_playbook(text)
    except PlaybookErrors as errors:
        for problem in errors.problems:
            assert problem.message
            assert problem.line >= 1
            assert problem.column >= 1
