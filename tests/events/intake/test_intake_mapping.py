"""The mapping language: what it makes of any JSON, and how it says what is wrong with a mapping."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from textwrap import dedent, indent

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.events.intake.alertmanager import fingerprint_of
from beforehand.events.intake.errors import IntakeCode, IntakeError, MappingError
from beforehand.events.intake.expressions import expand, pointer_from
from beforehand.events.intake.mapping import apply_mapping
from beforehand.events.intake.mapping_file import load_mapping, shipped_mapping, shipped_mapping_names
from beforehand.events.intake.values import AlertStatus, IncomingAlert, IncomingEvent

NOW = datetime(2026, 3, 1, 14, 10, tzinfo=UTC)


def rules(text: str) -> str:
    return "version: 1\nsource: shop\nevents:\n" + indent(dedent(text).strip("\n"), "  ")


def applied(text: str, body: object) -> list[IncomingEvent | IncomingAlert]:
    return apply_mapping(load_mapping(rules(text)), body, received_at=NOW)


def event(fields: str, body: object) -> IncomingEvent:
    text = "- name: r\n  event:\n    type: it.happened\n" + indent(dedent(fields).strip("\n"), "    ")
    made = applied(text, body)[0]
    assert isinstance(made, IncomingEvent)
    return made


def alert(fields: str, body: object) -> IncomingAlert:
    text = "- name: r\n  alert:\n    status: /status\n    labels: /labels\n" + indent(
        dedent(fields).strip("\n"), "    "
    )
    made = applied(text, {"status": "firing", "labels": {"a": "b"}} | (body if isinstance(body, dict) else {}))[0]
    assert isinstance(made, IncomingAlert)
    return made


def value_of(expression: str, body: object) -> object:
    return event(f"data:\n  x: {expression}", body).data.get("x")


@pytest.mark.parametrize(
    ("expression", "body", "value"),
    [
        ("/a/b", {"a": {"b": 7}}, 7),
        ("/a/b", {"a": None}, None),
        ("/a/b", {"a": [1]}, None),
        ("/a/1", {"a": [5, 6]}, 6),
        ("/a/2", {"a": [5, 6]}, None),
        ("/a/-", {"a": [5]}, None),
        ("/a/01", {"a": [5, 6]}, None),
        ("/a/" + "9" * 5000, {"a": [5]}, None),
        ("/a/²", {"a": [5, 6, 7]}, None),
        ("/a~1b/~0", {"a/b": {"~": 1}}, 1),
        ("/", {"": 3}, 3),
        ("./a", {"a": 1}, 1),
        (".", 5, 5),
        ("/a", "text", None),
        ("word", {}, "word"),
        ("7", {}, 7),
        ("true", {}, True),
        ("2026-03-01", {}, "2026-03-01"),
        ('{literal: "/a"}', {"a": 1}, "/a"),
        ("{first of: [/a, /b, /c]}", {"a": None, "b": "", "c": 0}, 0),
        ("{first of: [/a, none]}", {}, "none"),
        ("{first of: [/a]}", {}, None),
        ("{lookup: /a, table: {1: one, up: 2}}", {"a": 1}, "one"),
        ("{lookup: /a, table: {1: one, up: 2}}", {"a": "up"}, 2),
        ("{lookup: /a, table: {true: yes}}", {"a": True}, "yes"),
        ("{lookup: /a, table: {1: one}}", {"a": 2}, None),
        ("{lookup: /a, table: {1: one}, otherwise: /b}", {"b": 9}, 9),
        ("{lookup: /a, table: {1: one}, otherwise: x}", {"a": {}}, "x"),
        ('{template: "{/a}/{./b}!"}', {"a": 1, "b": True}, "1/true!"),
        ('{template: "{/a}/{/b}"}', {"a": 1}, None),
        ('{template: "{/a}/{/b}"}', {"a": 1, "b": ""}, None),
        ('{template: "no {word} but {/a}"}', {"a": "{/b}", "b": 2}, "no {word} but {/b}"),
        ("{time: /a}", {"a": "2026-03-01T15:05:00+01:00"}, "2026-03-01T14:05:00+00:00"),
        ("{time: /a}", {}, None),
        ("{time: /a}", {"a": "0001-01-01T00:00:00Z"}, None),
        ("{time: /a, as: utc text}", {"a": "2026-03-01 14:05:00.25"}, "2026-03-01T14:05:00.250000+00:00"),
        ("{time: /a, as: epoch seconds}", {"a": 1_767_225_600}, "2026-01-01T00:00:00+00:00"),
        ("{time: /a, as: epoch milliseconds}", {"a": "1767225600250"}, "2026-01-01T00:00:00.250000+00:00"),
        ("{time: {first of: [{time: /a}, /b]}, as: epoch seconds}", {"a": "2026-01-01T00:00:00Z"}, "2026-01-01T00:00:00+00:00"),
    ],
)  # fmt: skip
def test_an_expression_finds_its_value(expression: str, body: object, value: object) -> None:
    found = value_of(expression, body)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("expression", "body", "code", "pointer"),
    [
        ("{time: /a}", {"a": "soon"}, IntakeCode.INVALID, "/a"),
        ("{time: /a}", {"a": 5}, IntakeCode.INVALID, "/a"),
        ("{time: {first of: [./b, /c]}}", {"b": "soon"}, IntakeCode.INVALID, "/b"),
        ("{time: {literal: soon}}", {}, IntakeCode.INVALID, ""),
        ('{time: {template: "{/a}T25"}}', {"a": 1}, IntakeCode.INVALID, "/a"),
        ("{time: {lookup: /a, table: {1: x}}}", {"a": 1}, IntakeCode.INVALID, "/a"),
        ("{time: /a, as: epoch seconds}", {"a": True}, IntakeCode.INVALID, "/a"),
        ("{time: /a, as: epoch seconds}", {"a": 1e99}, IntakeCode.INVALID, "/a"),
        ("{time: /a, as: utc text}", {"a": "2026-03-01T14:05:00Z"}, IntakeCode.INVALID, "/a"),
        ('{template: "x{/a}"}', {"a": {}}, IntakeCode.WRONG_TYPE, "/a"),
    ],
)
def test_a_value_of_the_wrong_form_is_named_by_its_place(
    expression: str, body: object, code: IntakeCode, pointer: str
) -> None:
    with pytest.raises(IntakeError) as caught:
        value_of(expression, body)
    assert (caught.value.code, caught.value.pointer) == (code, pointer)


def test_for_each_goes_through_arrays_and_objects_and_names_the_place() -> None:
    body = {"a": [{"b": {"x": 1, "y/z": 2}}, {"b": None}, {"b": {"x": 3}}, 5]}
    assert list(expand(body, pointer_from("/a/*/b/*"))) == [(1, "/a/0/b/x"), (2, "/a/0/b/y~1z"), (3, "/a/2/b/x")]


def test_an_event_has_every_field_the_mapping_gives() -> None:
    text = """
        - name: orders
          for each: /orders/*
          event:
            type: {template: "order.{./state}"}
            id: {template: "{./id}:{./state}"}
            occurred at: ./at
            subject: {template: "order/{./id}"}
            customer: ./buyer
            data: {all of: ./detail, shop: /shop, state: ./state}
    """
    order = {"id": 17, "state": "shipped", "at": "2026-03-01T14:05:00Z", "buyer": 9, "detail": {"parcel": "P17"}}
    assert applied(text, {"shop": "nl", "orders": [order]}) == [
        IncomingEvent(
            source="shop",
            source_id="17:shipped",
            type="order.shipped",
            occurred_at=datetime(2026, 3, 1, 14, 5, tzinfo=UTC),
            subject="order/17",
            customer_ref="9",
            data={"parcel": "P17", "shop": "nl", "state": "shipped"},
        )
    ]


def test_an_event_without_an_id_is_known_again_by_its_content() -> None:
    first, again = event("", {"a": 1, "b": 2}), event("", {"b": 2, "a": 1})
    assert first.source_id == again.source_id
    assert first.source_id != event("", {"a": 1, "b": 3}).source_id


def test_an_endless_id_is_shortened_to_one_that_an_index_holds() -> None:
    assert event("id: /i", {"i": "न" * 400}).source_id.startswith("sha256:")


def test_an_id_that_is_a_time_is_written_as_one() -> None:
    made = event("id: {time: /t, as: epoch seconds}", {"t": 1_767_225_600})
    assert made.source_id == "2026-01-01T00:00:00+00:00"


def test_data_that_is_no_object_is_kept_as_a_value() -> None:
    assert event("data: /d", {"d": [1]}).data == {"value": [1]}
    assert event("data: /d", {}).data == {}


@pytest.mark.parametrize(
    ("fields", "body", "code", "pointer"),
    [
        ("id: /i", {}, IntakeCode.MISSING, "/i"),
        ("id: /i", {"i": {"x": 1}}, IntakeCode.WRONG_TYPE, "/i"),
        ("subject: /s", {"s": []}, IntakeCode.WRONG_TYPE, "/s"),
        ("occurred at: /t", {"t": "soon"}, IntakeCode.INVALID, "/t"),
    ],
)
def test_an_event_that_cannot_be_made_says_which_field(
    fields: str, body: object, code: IntakeCode, pointer: str
) -> None:
    with pytest.raises(IntakeError) as caught:
        event(fields, body)
    assert (caught.value.code, caught.value.pointer) == (code, pointer)


def test_an_event_needs_its_type() -> None:
    with pytest.raises(IntakeError, match="type"):
        applied("- {name: r, event: {type: /t}}", {})


def test_every_problem_of_a_body_is_listed_up_to_twenty() -> None:
    text = "- {name: r, for each: /e/*, event: {type: t, id: ./i}}"
    with pytest.raises(IntakeError) as caught:
        applied(text, {"e": [{"i": 1}, {}, {"i": 2}, {}]})
    assert [problem.pointer for problem in caught.value.problems] == ["/e/1/i", "/e/3/i"]
    with pytest.raises(IntakeError) as caught:
        applied(text, {"e": [{}] * 500})
    assert len(caught.value.problems) == 20


def test_more_than_one_transaction_holds_is_refused() -> None:
    with pytest.raises(IntakeError) as caught:
        applied("- {name: r, for each: /*, event: {type: t}}", list(range(10_001)))
    assert caught.value.status == 413


def test_an_alert_without_a_fingerprint_rule_gets_that_of_its_labels() -> None:
    made = alert("annotations: {text: /list, none: /none}", {"labels": {"n": 1, "o": {"k": 1}}, "list": [1, "x"]})
    assert made.labels == {"n": "1", "o": '{"k":1}'}
    assert made.annotations == {"text": '[1,"x"]'}
    assert made.fingerprint == fingerprint_of(made.labels)


def test_an_alert_starts_when_the_sender_says_or_when_it_was_received() -> None:
    given_start = alert("starts at: /t", {"t": "2026-03-01T14:05:00Z"})
    assert (given_start.starts_at, given_start.starts_at_given) == (datetime(2026, 3, 1, 14, 5, tzinfo=UTC), True)
    unknown = alert("starts at: /t", {})
    assert (unknown.starts_at, unknown.starts_at_given) == (NOW, False)
    of_message = alert("starts at: /t\none until resolved: true", {"t": "2026-03-01T14:05:00Z"})
    assert (of_message.starts_at, of_message.starts_at_given) == (given_start.starts_at, False)


def test_an_alert_ends_when_the_sender_says_and_never_before_it_began() -> None:
    end = datetime(2026, 3, 1, 14, 8, tzinfo=UTC)
    resolved = alert("ends at: /t", {"status": "RESOLVED", "t": "2026-03-01T14:08:00Z"})
    assert (resolved.status, resolved.starts_at, resolved.ends_at, resolved.expires_at) == ("resolved", end, end, None)
    firing = alert("ends at: /t", {"t": "2026-03-01T14:20:00Z"})
    assert (firing.starts_at, firing.ends_at, firing.expires_at) == (
        NOW,
        None,
        datetime(2026, 3, 1, 14, 20, tzinfo=UTC),
    )
    assert alert("", {"status": "resolved"}).ends_at == NOW
    both = alert(
        "starts at: /s\nends at: /t", {"status": "resolved", "s": "2026-03-01T14:09:00Z", "t": "2026-03-01T14:08:00Z"}
    )
    assert both.ends_at == both.starts_at


@pytest.mark.parametrize("status", [None, "", "ok", 5])
def test_an_alert_is_firing_or_resolved_and_nothing_else(status: object) -> None:
    with pytest.raises(IntakeError) as caught:
        alert("", {"status": status})
    assert (caught.value.code, caught.value.pointer) == (IntakeCode.INVALID, "/status")


def test_an_alert_whose_fingerprint_is_absent_is_refused() -> None:
    with pytest.raises(IntakeError) as caught:
        alert("fingerprint: /f", {})
    assert (caught.value.code, caught.value.pointer) == (IntakeCode.MISSING, "/f")


@pytest.mark.parametrize(
    ("condition", "body", "holds"),
    [
        ("/a: 1", {"a": 1}, True),
        ("/a: 1", {"a": True}, False),
        ("/a: 1", {"a": "1"}, False),
        ('/a: "1"', {"a": "1"}, True),
        ("/a: null", {}, True),
        ("/a: null", {"a": 0}, False),
        ("/a: [x, null]", {}, True),
        ("/a: [x, 2]", {"a": 2}, True),
        ("/a: {not: x}", {}, True),
        ("/a: {not: [x, y]}", {"a": "y"}, False),
        ("/a: {exists: true}", {"a": False}, True),
        ("/a: {exists: true}", {"a": None}, False),
        ("/a: {exists: false}", {}, True),
        ("/a: {contains: CERT}", {"a": "the certificate"}, True),
        ("/a: {contains: x}", {"a": ["x"]}, False),
    ],
)
def test_a_condition_compares_as_json_does(condition: str, body: object, holds: bool) -> None:
    text = f"- name: r\n  when:\n    {condition}\n  event: {{type: t}}\n- {{name: rest, otherwise: true, event: {{type: rest}}}}"
    assert [made.type for made in applied(text, body) if isinstance(made, IncomingEvent)] == ["t" if holds else "rest"]


def test_every_rule_that_fits_is_used_and_the_last_resort_only_if_none_did() -> None:
    text = """
        - {name: one, when: {/a: 1}, event: {type: one}}
        - {name: two, for each: /list/*, when: {/a: 1, .: {not: 0}}, event: {type: {template: "two.{.}"}}}
        - {name: quiet, when: {/a: 2}, ignore: true}
        - {name: rest, otherwise: true, event: {type: rest}}
    """
    kinds = [made.type for made in applied(text, {"a": 1, "list": [0, 5, 6]}) if isinstance(made, IncomingEvent)]
    assert kinds == ["one", "two.5", "two.6"]
    assert applied(text, {"a": 2}) == []
    assert [made.source_id[:7] for made in applied(text, {}) if isinstance(made, IncomingEvent)] == ["sha256:"]


def test_an_empty_list_is_known_and_makes_nothing_but_an_absent_one_is_unknown() -> None:
    text = "- {name: r, for each: /a/*/b, event: {type: t}}"
    assert applied(text, {"a": []}) == []
    for body in ({}, {"a": 5}, {"a": [{}]}, [], "x", None):
        with pytest.raises(IntakeError) as caught:
            applied(text, body)
        assert (caught.value.code, caught.value.status) == (IntakeCode.NO_RULE_MATCHED, 422)


E_RULE = "- name: r\n  event:\n    type: t\n"
A_RULE = "- name: r\n  alert:\n    status: firing\n    labels: /l\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "empty"),
        ("- 1", 1, "object"),
        ("version: 1\nsource: x", 1, 'needs "events"'),
        ("version: 2\nsource: x\nevents: []", 1, "version"),
        ("version: 1\nsource: 5\nevents: []", 2, "text"),
        ("version: 1\nsource: x\nevents: []", 3, "at least one"),
        ("version: 1\nsource: x\nevents: {}", 3, "list"),
        ("version: 1\nsource: x\nsource: y", 3, "twice"),
        ("version: 1\nwrong: x", 2, 'no "wrong"'),
        ("version: 1\n[a, b]: x", 2, "name"),
        ("version: 1\nsource: !!binary aGk=", 2, "texts"),
        ("version: 1\nsource: &a x\nevents: *a", 3, "Anchors"),
        ("a: [", 1, "not YAML"),
        ("a: b\n\tc: d", 2, "not YAML"),
        ("a: 1\n---\nb: 2", 2, "not YAML"),
        ("a: \x07", 1, "not YAML"),
        ("[" * 5000, 1, "levels"),
        ("#" * 70_000, 1, "bytes"),
        (rules("- {name: r}"), 4, "exactly one"),
        (rules("- {name: r, ignore: true, event: {type: t}}"), 4, "exactly one"),
        (rules("- {name: r, ignore: false}"), 4, "ignore: true"),
        (rules("- {name: r, ignore: 1}"), 4, "true or false"),
        (rules("- {ignore: true}"), 4, 'needs "name"'),
        (rules("- name: r\n  for each: ./a\n  ignore: true"), 5, "begins with /"),
        (rules("- name: r\n  for each: a\n  ignore: true"), 5, "no pointer"),
        (rules("- name: r\n  for each: /a~2\n  ignore: true"), 5, "~0"),
        (rules("- name: r\n  when: []\n  ignore: true"), 5, "pointers"),
        (rules("- name: r\n  when:\n    a: 1\n  ignore: true"), 6, "no pointer"),
        (rules("- name: r\n  when:\n    /a: {near: 1}\n  ignore: true"), 6, "not, exists"),
        (rules("- name: r\n  when:\n    /a: {exists: 1}\n  ignore: true"), 6, "true or false"),
        (rules("- name: r\n  when:\n    /a: {contains: 1}\n  ignore: true"), 6, "text"),
        (rules("- name: r\n  when:\n    /a: [[1]]\n  ignore: true"), 6, "single"),
        (rules("- name: r\n  event: t"), 5, "object"),
        (rules("- name: r\n  event: {id: /a}"), 5, 'needs "type"'),
        (rules(E_RULE + "    id:"), 7, "stands a value"),
        (rules(E_RULE + "    id: [/a]"), 7, "stands a value"),
        (rules(E_RULE + "    id: /a/*"), 7, "for each"),
        (rules(E_RULE + '    id: "x {/a}"'), 7, "template"),
        (rules(E_RULE + "    id: {sum: [/a]}"), 7, "Known are"),
        (rules(E_RULE + "    id: {}"), 7, "Known are"),
        (rules(E_RULE + "    id: {literal: [1]}"), 7, "literal"),
        (rules(E_RULE + "    id: {first of: /a}"), 7, "list"),
        (rules(E_RULE + "    id: {first of: []}"), 7, "list"),
        (rules(E_RULE + "    id: {template: plain}"), 7, "pointer in braces"),
        (rules(E_RULE + '    id: {template: "{/a~}"}'), 7, "~0"),
        (rules(E_RULE + "    id: {lookup: /a, table: {}}"), 7, "table"),
        (rules(E_RULE + "    id: {lookup: /a, table: [1]}"), 7, "table"),
        (rules(E_RULE + "    id:\n      lookup: /a\n      table:\n        1: x\n        2:"), 11, "table"),
        (rules(E_RULE + "    occurred at: {time: /a, as: stardate}"), 7, "epoch seconds"),
        (rules(E_RULE + "    data: 5"), 7, "names"),
        (rules(E_RULE + "    data: {all of: x}"), 7, "no pointer"),
        (rules(A_RULE + "    one until resolved: maybe"), 8, "true or false"),
        (rules(A_RULE + "    started: /a"), 8, 'no "started"'),
    ],
)  # fmt: skip
def test_a_wrong_mapping_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(MappingError) as caught:
        load_mapping(text)
    assert caught.value.line == line
    assert caught.value.message.startswith(f"Line {line}: ")
    assert words in caught.value.message


def test_numbers_that_are_none_are_texts() -> None:
    assert value_of("0o17", {}) == "0o17"
    assert value_of("1.5", {}) == 1.5


@given(st.text(max_size=120))
def test_any_text_is_a_mapping_or_refused_with_a_line(text: str) -> None:
    for attempt in (text, rules(E_RULE + "    data: " + text), rules(E_RULE + '    id: {template: "' + text + '"}')):
        try:
            load_mapping(attempt)
        except MappingError as error:
            line = error.line
        else:
            continue
        assert line is not None
        assert line >= 1


names = st.sampled_from(
    ["alerts", "status", "fingerprint", "labels", "annotations", "values", "startsAt", "endsAt", "ruleId", "state", "tags", "alert_uid",
     "event_action", "dedup_key", "payload", "timestamp", "source", "summary", "heartbeat", "monitor", "id", "msg", "time", "links"]
)  # fmt: skip
leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
words = st.sampled_from(
    ["firing", "resolved", "ok", "alerting", "trigger", "resolve", "acknowledge", "2026-03-01 14:05:00", ""]
)
bodies = st.recursive(
    leaves | words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6), max_leaves=25
)


@pytest.mark.parametrize("name", shipped_mapping_names())
@given(body=bodies)
def test_random_json_through_a_shipped_mapping_never_breaks(name: str, body: object) -> None:
    with suppress(IntakeError):
        for made in apply_mapping(shipped_mapping(name), body, received_at=NOW):
            assert made.source
            if isinstance(made, IncomingAlert):
                assert (made.ends_at is None) == (made.status is AlertStatus.FIRING)
                orjson.dumps([made.labels, made.values])
            else:
                json.dumps(made.data)
