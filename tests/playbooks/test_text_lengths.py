"""A playbook that speaks by text message is warned of texts that take many parts."""

import re
from pathlib import Path

import pytest

from beforehand.engine.languages import direction
from beforehand.engine.playbooks.bundle import BLOCK, text_file
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.outbound.frame import Brand
from beforehand.outbound.short_texts import compile_short
from beforehand.outbound.template_check import TemplateSource
from beforehand.playbooks.bundles import SHIPPED, bundle_problems, read_bundle
from beforehand.playbooks.text_lengths import long_text_messages
from tests.desk import spoken_over

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def long_texts(channels: str, **changed: str) -> list[str]:
    source, texts = read_bundle(SHIPPED / "outage")
    texts |= {("first-notice", language): text for language, text in changed.items()}
    problems = bundle_problems(spoken_over(source, channels), texts, audience_languages={})
    return [f"{one.severity}: {one.file}: {one}" for one in problems if one.reason == "text message long"]


LONG = (
    "---\nsubject: Outage\nsms: "
    + "All of the network is out. " * 20
    + "\n---\nWe are out until {{ next_update_at }}.\n"
)


def test_the_shipped_outage_texts_are_short_in_every_language() -> None:
    assert long_texts("[email, sms]") == []


def test_a_long_text_message_is_a_warning_that_says_how_many_parts_it_takes() -> None:
    (said,) = long_texts("[sms]", en=LONG)
    assert said.startswith("warning: texts/first-notice.en.md")
    assert "takes 5 parts in GSM-7" in said


def test_a_playbook_that_sends_none_is_not_bothered() -> None:
    assert long_texts("[email]", en=LONG) == []


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in SHIPPED.glob("*/playbook.yaml")), ids=lambda one: one.name
)
def test_every_text_that_ships_is_measured_and_short(folder: Path) -> None:
    source, texts = read_bundle(folder)
    said = {key: text for key, text in texts.items() if not key[0].startswith(BLOCK)}
    playbook = parse_playbook(source)
    assert list(long_text_messages(playbook, texts)) == []
    endless = {
        key: re.sub(r"\n(?:sms: .*\n)?---\n", f"\nsms: {'On and on. ' * 60}\n---\n", text, count=1)
        for key, text in said.items()
    }
    found = {problem.file for problem in long_text_messages(playbook, endless)}
    assert found == {text_file(name, language) for name, language in said}


def test_the_time_of_the_next_word_is_said_once_also_where_its_parts_are_held_together() -> None:
    text = TemplateSource("x", "---\nsubject: Late, news by {{ next_update_at }}\n---\nWe are late.\n")
    facts = {"next_update_at": "11:45\u202fPM"}
    brand = Brand(name="Noorderlicht", sender="")
    short = compile_short(text, language="en", direction=direction("en"), facts=facts, slots=(), brand=brand)
    assert short.fill({}) == "Noorderlicht: Late, news by 11:45 PM"
