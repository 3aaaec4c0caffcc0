"""The shipped outage texts: complete, honest about the next word, and safe to fill in."""

import re

import pytest
from liquid import Environment, StrictUndefined
from tests.engine.playbooks.playbook_samples import OUTAGE, shipped_texts

from beforehand.engine.playbooks.bundle import text_parts
from beforehand.engine.playbooks.check import named_texts
from beforehand.engine.playbooks.parse import parse_playbook

LANGUAGES = ("en", "nl", "ar", "hi")
GOING_ON = ("first-notice", "still-working", "update", "holding")
SLOTS = ("customer.salutation", "customer.name", "holding", "code", "my_page_url", "verify_url")
TEXTS = shipped_texts()
FACTS = {
    "brand": {"name": "Noorderlicht", "phone": "+31 20 000 0000"},
    "incident": {
        "title": "TITLE", "cause": "CAUSE", "area": "AREA", "advice": "ADVICE", "began_at": "10:02", "lasted": "LASTED",
    },
    "next_update_at": "11:05",
    "restored_at": "12:34",
    "update": {"text": "NEWS", "untranslated": True},
    "formal": True,
    "only_changes": False,
    "now": "10:05",
    "customer": {"salutation": "SALUTATION", "name": "NAME"},
    "holding": "HOLDING",
    "code": "CODE-1",
    "my_page_url": "https://my.example/",
    "verify_url": "https://verify.example/",
}  # fmt: skip
NOTHING_KNOWN = FACTS | {
    "brand": {"name": "Noorderlicht", "phone": None},
    "incident": dict.fromkeys(FACTS["incident"]) | {"began_at": "10:02"},
    "restored_at": None,
    "update": {"text": None, "untranslated": False},
    "formal": False,
    "only_changes": True,
}


def rendered(name, language, facts):
    parts = text_parts(TEXTS[name, language])
    environment = Environment(undefined=StrictUndefined)
    return tuple(environment.from_string(part).render(**facts) for part in (parts.subject, parts.body))


@pytest.fixture(params=sorted(TEXTS), ids=".".join)
def text(request):
    return request.param


def test_every_named_text_is_there_in_all_four_languages():
    assert set(TEXTS) == {(name, language) for name in named_texts(parse_playbook(OUTAGE)) for language in LANGUAGES}


def test_it_says_what_is_affected_where_to_look_how_to_check_and_whom_to_call(text):
    subject, body = rendered(*text, FACTS)
    assert subject
    assert "\n" not in subject
    assert body.startswith("SALUTATION")
    for part in ("HOLDING", "https://my.example/", "CODE-1", "https://verify.example/", "+31 20 000 0000"):
        assert part in body
    assert body.endswith("Noorderlicht")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", GOING_ON)
def test_while_it_lasts_every_message_says_when_the_next_one_comes(name, language):
    _, body = rendered(name, language, FACTS)
    for part in ("11:05", "10:02", "AREA", "CAUSE", "ADVICE"):
        assert part in body


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["first-notice", "still-working", "update"])
def test_news_that_is_not_translated_says_so(name, language):
    _, told = rendered(name, language, FACTS | {"update": {"text": "NEWS", "untranslated": False}})
    _, admitted = rendered(name, language, FACTS)
    assert "NEWS" in told
    assert "NEWS" in admitted
    assert len(admitted) > len(told) + 20


def test_unknown_facts_leave_no_holes(text):
    facts = (
        NOTHING_KNOWN if text[0] != "update" else NOTHING_KNOWN | {"update": {"text": "NEWS", "untranslated": False}}
    )
    subject, body = rendered(*text, facts)
    assert not subject.startswith(":")
    for line in body.splitlines():
        assert not line.rstrip().endswith((":", "：")), line
    assert ": ." not in body
    assert "None" not in body
    assert not re.search(r"\n{3,}", body)


def test_slots_are_only_printed(text):
    parts = text_parts(TEXTS[text])
    for tag in re.findall(r"\{%(.*?)%\}|\{\{(.*?)\}\}", f"{parts.subject} {parts.body}"):
        inside = (tag[0] or tag[1]).strip(" -")
        if any(re.search(rf"(?<![\w.]){re.escape(slot)}(?![\w.])", inside) for slot in SLOTS):
            assert inside in SLOTS


def test_the_subject_holds_no_slot_and_the_text_no_link_but_ours(text):
    parts = text_parts(TEXTS[text])
    assert not any(f"{{{{ {slot} }}}}" in parts.subject for slot in SLOTS)
    assert "http" not in parts.body


def test_english_dutch_and_hindi_sentences_are_short():
    long = []
    for (name, language), content in TEXTS.items():
        plain = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "x", text_parts(content).body)
        for sentence in re.split(r"[.?!।]\**\s|\n", plain):
            if len(sentence.split()) > 24:
                long.append((name, language, sentence))
    assert long == []


@pytest.mark.parametrize("name", sorted({name for name, _ in TEXTS}))
def test_dutch_speaks_formally_or_not_but_never_both(name):
    formal = " ".join(rendered(name, "nl", FACTS | {"formal": True})).lower()
    informal = " ".join(rendered(name, "nl", FACTS | {"formal": False})).lower()
    assert re.search(r"\b(u|uw)\b", formal)
    assert not re.search(r"\b(je|jou|jouw|jij)\b", formal)
    assert re.search(r"\b(je|jou|jouw|jij)\b", informal)
    assert not re.search(r"\b(u|uw)\b", informal)


@pytest.mark.parametrize(("language", "script"), [("ar", r"[\u0600-\u06ff]"), ("hi", r"[\u0900-\u097f]")])
def test_arabic_and_hindi_are_written_in_their_own_script(language, script):
    for (name, own), content in TEXTS.items():
        if own == language:
            plain = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|[\n\[\]()*\-]", " ", text_parts(content).body)
            assert not re.search(r"[A-Za-z]", plain), name
            assert re.search(script, plain)
