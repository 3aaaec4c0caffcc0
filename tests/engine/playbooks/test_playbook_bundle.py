"""The bundle: its hash, its texts' parts, and the playbook as lines for a page."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.playbooks.playbook_samples import OUTAGE, sample

from beforehand.engine.playbooks.bundle import bundle_hash, language_chain, text_file, text_parts
from beforehand.engine.playbooks.describe import LineKind, describe
from beforehand.engine.playbooks.parse import parse_playbook

BUNDLES = st.tuples(
    st.text(max_size=8),
    st.dictionaries(st.tuples(st.text(max_size=3), st.text(max_size=3)), st.text(max_size=5), max_size=3),
)


def canonical_form(bundle):
    yaml, texts = bundle
    return tidy(yaml), {key: tidy(content) for key, content in texts.items()}


def tidy(content):
    return content.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


@given(BUNDLES, BUNDLES)
def test_two_bundles_share_a_hash_only_when_they_say_the_same(one, other):
    assert (bundle_hash(*one) == bundle_hash(*other)) == (canonical_form(one) == canonical_form(other))


def test_what_editors_and_git_change_leaves_the_hash_alone():
    plain = bundle_hash("a: 1\nb: 2\n", {("x", "en"): "Hi\n", ("y", "nl"): "Hoi"})
    assert plain == bundle_hash("\ufeffa: 1\r\nb: 2", {("y", "nl"): "Hoi\n\n", ("x", "en"): "Hi"})
    assert len(plain) == 64
    assert plain != bundle_hash("a: 1\nb: 2\n", {("x", "en"): "Hi\n", ("y", "de"): "Hoi"})


@pytest.mark.parametrize(
    ("content", "subject", "body"),
    [
        ("---\nsubject: A: {{ b }}\n---\n\nHello\n", "A: {{ b }}", "Hello"),
        ('---\r\nsubject: "Quoted"\r\nnote: x\r\n---\r\nHello', "Quoted", "Hello"),
        ("---\nsubject: '\n---\nHello", "'", "Hello"),
        ("---\nnot a key\nsubject: S\n---", "S", ""),
        ("Hello --- there", "", "Hello --- there"),
        ("---\nsubject: no end\n", "", "---\nsubject: no end"),
    ],
)
def test_a_text_is_split_into_subject_and_body(content, subject, body):
    parts = text_parts(content)
    assert (parts.subject, parts.body) == (subject, body)


def test_a_text_is_looked_for_from_the_narrowest_language_to_the_fallback():
    assert language_chain("zh-Hant-TW", "en") == ("zh-Hant-TW", "zh-Hant", "zh", "en")
    assert language_chain("en-GB", "en") == ("en-GB", "en")
    assert text_file("update", "hi") == "texts/update.hi.md"


def test_the_shipped_playbook_reads_as_lines():
    lines = describe(parse_playbook(OUTAGE))
    assert [line.kind for line in lines] == [
        LineKind.WHEN,
        LineKind.CONFIRM_ABOVE,
        LineKind.CALL_FIRST,
        LineKind.RESTART,
        LineKind.WAIT_FROM_BEGINNING,
        LineKind.TELL,
        LineKind.PROMISE,
        LineKind.REPEAT,
        LineKind.PROMISE,
        LineKind.ON_EVENT,
        LineKind.PROMISE,
        LineKind.SECTION,
        LineKind.TELL,
        LineKind.END,
        LineKind.SECTION,
        LineKind.TELL,
        LineKind.END,
    ]
    assert lines[1].values == {"count": 25_000}
    assert lines[2].values == {"whom": "care alarms"}
    assert lines[4].values == {"duration": timedelta(minutes=3)}
    assert (lines[7].values["text"], lines[7].values["audience"]) == ("still-working", "affected")
    assert [str(stage) for stage in lines[7].values["every"].stages] == [
        "for 4 hours every 60 minutes",
        "for 20 hours every 3 hours, quiet 22:00 to 07:00",
        "every day at 09:00",
    ]
    assert lines[8].values == {"within": ""}
    assert lines[9].step == "still-working.update"
    assert lines[11].values == {"label": "all-clear", "events": "incident.resolved"}
    assert lines[13].values == {"reason": "resolved"}
    written = OUTAGE.splitlines()
    assert "false-alarm" in written[lines[14].line - 1]


def test_the_other_waits_and_a_bare_playbook_read_as_lines_too():
    text = sample("  - wait: 5 minutes\n  - wait: { until: a.b, at most: 1 hour }\n  - tell: x\n  - end: done\n")
    lines = describe(parse_playbook(text.replace("restart on: incident.reopened\n", "")))
    assert [line.kind for line in lines[:4]] == [LineKind.WHEN, LineKind.WAIT, LineKind.WAIT_UNTIL, LineKind.TELL]
    assert lines[0].values == {"event": "incident.opened", "condition": ""}
    assert lines[2].values == {"event": "a.b", "duration": timedelta(hours=1)}
