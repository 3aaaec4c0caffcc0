"""A playbook that speaks by text message is warned of texts that take many parts."""

import pytest

from beforehand.playbooks.bundles import SHIPPED, bundle_problems, read_bundle

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def long_texts(channels: str, **changed: str) -> list[str]:
    source, texts = read_bundle(SHIPPED / "outage")
    texts |= {("first-notice", language): text for language, text in changed.items()}
    problems = bundle_problems(
        source.replace("channels: [email]", f"channels: {channels}"), texts, audience_languages={}
    )
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
