"""Blocks: what they are called, what is checked of them, and the update that they make."""

import pytest

from beforehand.engine.playbooks.blocks import Block, BlockKind, block_kind, blocks_of, compose, filled, slots_in
from beforehand.engine.playbooks.bundle import text_file, text_of_file

CUT = Block(
    "cause-cut", BlockKind.CAUSE, {"en": "A cable was cut.", "nl": "Een kabel is geraakt."}, {"en": "a cut", "nl": ""}
)
WHERE = Block("area-named", BlockKind.AREA, {"en": "It is in {area}.", "nl": "Het is in {area}."}, {"en": "{area}"})
CALL = Block("advice-call", BlockKind.ADVICE, {"en": "Use a mobile phone.", "nl": "Bel mobiel."}, {})
ENGLISH_ONLY = Block("next-on-site", BlockKind.NEXT, {"en": "An engineer comes by {time}."}, {})
NOTES = {"en": "Not translated, in Dutch:", "nl": "Niet vertaald, in het Engels:"}


def composed(*blocks: Block, own: dict[str, str] | None = None) -> dict[str, str]:
    values = {"en": {"area": "the north", "time": "10:30"}, "nl": {"area": "het noorden", "time": "10:30"}}
    return dict(compose(blocks, values=values, own=own or {}, notes=NOTES).texts)


def test_a_block_lies_in_its_own_folder_and_is_found_there_again() -> None:
    assert text_file("block-cause-cut", "pt-BR") == "blocks/cause-cut.pt-BR.md"
    assert text_of_file("blocks/cause-cut.pt-BR.md") == ("block-cause-cut", "pt-BR")
    assert text_of_file(text_file("first-notice", "nl")) == ("first-notice", "nl")


def test_its_kind_is_the_first_word_of_its_name() -> None:
    assert block_kind("block-next-repaired") is BlockKind.NEXT
    assert block_kind("block-reason-cut") is None


def test_blocks_are_read_from_a_bundle_in_the_order_in_which_they_are_said() -> None:
    texts = {
        "first-notice": {"en": "---\nsubject: x\n---\nHello"},
        "block-advice-call": {"en": "Call."},
        "block-cause-cut": {"en": "---\nfact: a cut\n---\nA cable was cut in {area}.\n"},
        "block-other-thing": {"en": "x"},
    }
    cause, advice = blocks_of(texts)
    assert (cause.name, cause.sentences, cause.facts) == (
        "cause-cut",
        {"en": "A cable was cut in {area}."},
        {"en": "a cut"},
    )
    assert cause.slots == ("area",)
    assert advice.kind is BlockKind.ADVICE


@pytest.mark.parametrize(
    ("text", "slots"),
    [("In {area} by { time }.", ["area", "time"]), ("Nothing.", []), ("{{ brand.name }}", ["brand.name"])],
)
def test_slots_stand_between_braces(text: str, slots: list[str]) -> None:
    assert slots_in(text) == slots


def test_a_slot_without_a_value_stays_as_it_is_written() -> None:
    assert filled("In {area} by {time}.", {"area": "the {north}", "time": ""}) == "In the {north} by {time}."


def test_sentences_stand_in_their_order_whatever_the_order_of_choosing() -> None:
    assert composed(WHERE, CUT)["nl"] == "Een kabel is geraakt.\n\nHet is in het noorden."


def test_what_is_stated_is_the_fact_and_else_the_sentence_itself() -> None:
    made = compose([CUT, WHERE, CALL], values={"en": {"area": "the north"}}, own={}, notes={})
    assert made.stated["en"] == {"cause": "a cut", "area": "the north", "advice": "Use a mobile phone."}
    assert made.stated["nl"]["cause"] == "Een kabel is geraakt."
    assert "mobile" not in made.texts["en"]


def test_half_a_translation_is_none() -> None:
    assert composed(CUT, ENGLISH_ONLY) == {"en": "A cable was cut.\n\nAn engineer comes by 10:30."}


def test_own_words_come_first_in_their_language_and_for_who_reads_no_other() -> None:
    made = compose([ENGLISH_ONLY], values={}, own={"nl": "Nieuws."}, notes=NOTES)
    assert list(made.texts) == ["nl", "en"]
    assert made.texts["nl"] == "Nieuws."
    assert made.texts["en"] == "An engineer comes by {time}.\n\nNot translated, in Dutch:\n\nNieuws."
    assert made.partly == {"en"}


def test_own_words_alone_are_the_update() -> None:
    assert composed(own={"en": "News.", "nl": "Nieuws."}) == {"en": "News.", "nl": "Nieuws."}
