"""Words that promise nothing, and sentences that are too long, in four languages."""

import pytest
from tests.engine.playbooks.playbook_samples import OUTAGE, SHIPPED, shipped_texts

from beforehand.engine.playbooks.bundle import text_file
from beforehand.engine.playbooks.check import check_playbook
from beforehand.engine.playbooks.empty_words import PHRASES
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.plain_words import MOST_WORDS, empty_words, long_sentences, says_a_time

HEAD = "---\nsubject: An outage\n---\n"
LONG = " ".join(["word"] * (MOST_WORDS + 1))


def phrases(text, language="en"):
    return [(one.line, one.phrase) for one in empty_words(text, language)]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "We are looking into it."),
        ("en", "We’re looking into it!"),
        ("en", "You hear from us AS SOON AS POSSIBLE."),
        ("nl", "We lossen het zo snel mogelijk op."),
        ("nl", "We zijn ermee bezig."),
        ("nl-BE", "Nog even geduld."),
        ("ar", "سنعود إليكم في أقرب وقت ممكن."),
        ("ar", "وسنوافيكم بالمستجدّات."),
        ("ar", "نعمل على ذلك."),
        ("hi", "हम इस पर काम कर रहे हैं।"),
        ("hi", "सेवा जल्द से जल्द ठीक होगी।"),
    ],
)
def test_words_that_promise_nothing_are_found_in_each_language(language, text):
    assert len(phrases(text, language)) == 1


def test_every_phrase_of_every_language_is_found_in_a_sentence_of_its_own():
    for language, known in PHRASES.items():
        assert known
        for phrase in known:
            assert phrases(f"({phrase}).", language), (language, phrase)


@pytest.mark.parametrize(
    "text",
    [
        "We are looking into it, and write again by {{ next_update_at }}.",
        "As soon as possible, and by 14:30 at the latest.",
        "Soon: within 2 hours.",
        "Soon, on 24 November.",
        "Soon, on November 24.",
        "As soon as possible,\nat the latest tomorrow.",
    ],
)
def test_a_time_in_the_same_paragraph_makes_a_promise_of_them(text):
    assert phrases(text) == []


@pytest.mark.parametrize(
    "text", ["خلال ٣٠ دقيقة", "30 मिनट में", "binnen 2 uur", "uiterlijk morgen", "१४:३० तक", "२४ नवंबर"]
)
def test_a_time_is_understood_in_each_language_and_its_digits(text):
    assert says_a_time(text)


@pytest.mark.parametrize(
    "text", ["Node 7 is down", "24 customers", "{{ brand.phone }}", "{{ incident.title }}", "जल्दी"]
)
def test_a_number_alone_is_no_time(text):
    assert not says_a_time(text)


def test_a_time_in_another_paragraph_does_not_help():
    text = HEAD + "Hello,\n\nWe are\nlooking into it.\n\nBy {{ next_update_at }} you hear more.\n"
    assert phrases(text) == [(6, "we are looking into it")]


def test_the_subject_is_judged_by_itself():
    assert phrases(HEAD.replace("An outage", "Fixed soon") + "By {{ next_update_at }}.\n") == [(2, "soon")]


def test_parts_of_longer_words_are_left_alone():
    assert phrases("The sooner, the better. A monsoon.") == []
    assert phrases("जल्दी", "hi") == []


def test_both_ways_of_an_if_are_read():
    text = "{% if formal %}We houden u{% else %}We houden je{% endif %} op de hoogte."
    assert phrases(text, "nl") == [(1, "houden je op de hoogte"), (1, "houden u op de hoogte")]
    nested = "{% if a %}\n{% if b %}Later.{% else %}We are on it.{% endif %}\n{% endif %}\nBye"
    assert phrases(nested) == [(2, "we are on it")]
    assert phrases("One\n\n{% if a %}We are on it{% elsif b %}x{% endif %} today") == [(3, "we are on it")]


def test_a_language_without_known_phrases_has_none():
    assert phrases("We are looking into it", "uk") == []


def test_a_sentence_with_more_than_twenty_five_words_is_long():
    text = HEAD + f"Short one. {LONG}. Short.\n"
    (found,) = long_sentences(text)
    assert (found.line, found.words, found.start) == (4, MOST_WORDS + 1, "word word word word word")
    assert long_sentences(text.replace("word word", "word", 1)) == ()


@pytest.mark.parametrize("end", [".", "?", "!", "؟", "।", ".”", "!**"])
def test_a_sentence_ends_at_the_marks_of_each_language(end):
    half = " ".join(["word"] * 15)
    assert long_sentences(f"{half}{end} {half}") == ()
    assert len(long_sentences(f"{half}, {half}")) == 1


def test_items_of_a_list_are_sentences_of_their_own():
    half = " ".join(["word"] * 15)
    assert long_sentences(f"- {half}\n- {half}\n") == ()
    assert [one.line for one in long_sentences(f"Intro:\n- {half}\n  {half}\n")] == [2]


def test_a_link_and_a_placeholder_count_as_what_a_reader_sees():
    most = " ".join(["word"] * (MOST_WORDS - 2))
    assert long_sentences(most + " [your page]({{ my_page_url }}).") == ()
    assert len(long_sentences(most + " [your own page]({{ my_page_url }}).")) == 1


def test_the_longest_way_through_an_if_counts_once():
    text = "{% if formal %}" + LONG + "{% else %}" + LONG + " more{% endif %}."
    (found,) = long_sentences(text)
    assert found.words == MOST_WORDS + 2


def test_the_checker_warns_at_file_and_line():
    texts = shipped_texts()
    texts["update", "nl"] += f"\nWe zijn ermee bezig.\n\n{LONG}.\n"
    line = texts["update", "nl"].count("\n")
    found = check_playbook(parse_playbook(OUTAGE), texts, {})
    assert [(one.reason.value, one.severity.value, one.file, one.line) for one in found] == [
        ("empty words", "warning", text_file("update", "nl"), line - 2),
        ("long sentence", "warning", text_file("update", "nl"), line),
    ]
    assert "“we zijn ermee bezig” promises nothing" in found[0].message
    assert "like {{ next_update_at }}." in found[0].message
    assert f"has {MOST_WORDS + 1} words" in found[1].message


@pytest.mark.parametrize(
    "path", sorted(SHIPPED.parent.glob("*/texts/*.md")), ids=lambda path: f"{path.parts[-3]}-{path.stem}"
)
def test_the_shipped_texts_promise_and_are_short(path):
    language = path.name.split(".")[-2]
    text = path.read_text("utf-8")
    assert (empty_words(text, language), long_sentences(text)) == ((), ())
