"""Mails as they arrive: compiled, filled, and read back with the standard library."""

import email
import email.policy
import html
import re
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest
from django.utils import translation
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from beforehand.engine.languages import Direction
from beforehand.outbound.addresses import AddressRefusedError
from beforehand.outbound.mime import clean_value
from beforehand.outbound.templates import (
    Brand,
    MailSkeleton,
    MailValueError,
    TemplateReason,
    TemplateRefusedError,
    TemplateSource,
    Variant,
    compile_mail,
    complete_facts,
)

BRAND = Brand("Noorderlicht", "news@noorderlicht.example", phone="+31 20 123 4567")
SLOTS = ["customer.salutation", "holding", "code", "my_page_url", "preferences_url", "token"]
ENGLISH = """---
subject: {{ incident.title }} for {{ holding }}
---
{{ customer.salutation }},

There is an **outage**{% if incident.cause %} because of {{ incident.cause }}{% endif %}.

- Affected: {{ holding }}
- Code: `{{ code }}`

See [your page]({{ my_page_url }} "for {{ holding }}"), {{ my_page_url }} or https://a.example/?t={{ token }}&x=1.
"""
ARABIC = """---
subject: عطل في الشبكة
---
{{ customer.salutation }}،

طرأ عطل. الخدمة: {{ holding }}، بحلول 12:30. الرمز **{{ code }}**.

انظر [صفحتكم]({{ my_page_url }}).
"""
SENT = {
    "to": "bram@e.example",
    "to_name": "Bram",
    "message_id": "<b7.12345.abc@noorderlicht.example>",
    "reply_to": "reply+b7.12345.abc@noorderlicht.example",
    "date": "Tue, 01 Sep 2026 10:00:00 +0000",
}
VALUES = {
    "customer.salutation": "Dear Bram",
    "holding": "Fibre & modem",
    "code": "ABCD-EFGH",
    "my_page_url": "https://my.example/p/abc?x=1&y=2",
    "preferences_url": "https://my.example/v/abc",
    "token": "a b&c",
}


def compiled(text: str = ENGLISH, **changes: Any) -> MailSkeleton:
    settings: dict[str, Any] = {
        "language": "en",
        "direction": Direction.LTR,
        "facts": {"incident": {"title": "Outage", "cause": None}, "next_update_at": "12:30"},
        "slots": SLOTS,
        "brand": BRAND,
    }
    return compile_mail(TemplateSource("texts/news.md", text), **(settings | changes))


def arabic(**changes: Any) -> MailSkeleton:
    return compiled(ARABIC, **({"language": "ar", "direction": Direction.RTL} | changes))


def read(data: bytes) -> EmailMessage:
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    assert not body.defects
    return str(body.get_content()).replace("\r\n", "\n")


class Reading(HTMLParser):
    """What a browser sees: the words, and each link with its target."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.words, self.links, self.tags = "", [], []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_a_mail_has_the_headers_that_a_notice_should_have() -> None:
    message = read(compiled(headers={"Feedback-ID": "incident-42:notice:noorderlicht"}).fill(VALUES, **SENT))
    assert message["From"].addresses[0].display_name == "Noorderlicht"
    assert message["To"].addresses[0].addr_spec == "bram@e.example"
    assert {name: message[name] for name in message if name not in ("From", "To", "Content-Type")} == {
        "Subject": "Outage for Fibre & modem",
        "Date": "Tue, 01 Sep 2026 10:00:00 +0000",
        "Message-ID": SENT["message_id"],
        "Reply-To": SENT["reply_to"],
        "Feedback-ID": "incident-42:notice:noorderlicht",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "Content-Language": "en",
        "MIME-Version": "1.0",
    }
    assert message.get_content_type() == "multipart/alternative"
    assert [each.get_content_type() for each in message.iter_parts()] == ["text/plain", "text/html"]


def test_one_click_unsubscription_is_offered_only_where_asked() -> None:
    mail = compiled()
    assert "List-Unsubscribe" not in read(mail.fill(VALUES, **SENT))
    message = read(mail.fill(VALUES, **SENT, unsubscribe_url="https://my.example/u/1", headers={"X-Batch": "9"}))
    assert message["List-Unsubscribe"] == "<https://my.example/u/1>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["X-Batch"] == "9"


def test_each_value_stands_where_it_should_and_the_parts_say_the_same() -> None:
    message = read(compiled().fill(VALUES, **SENT))
    seen = Reading(part(message, "html"))
    text = part(message, "plain")
    for words in ("Dear Bram,", "Affected: Fibre & modem", "ABCD-EFGH", "outage"):
        assert words in seen.words
        assert words in text
    assert seen.links.count(VALUES["my_page_url"]) == 3  # in the words, bare, and the button
    assert "https://a.example/?t=a%20b%26c&x=1" in seen.links
    assert VALUES["preferences_url"] in seen.links
    assert "your page <https://my.example/p/abc?x=1&y=2>" in text
    assert "Next news by 12:30" in seen.words
    assert "+31 20 123 4567" in text


def test_the_frame_repeats_nothing_that_the_words_say() -> None:
    text = part(read(compiled(ENGLISH + "\nCall {{ brand.phone }}.\n").fill(VALUES, **SENT)), "plain")
    assert text.count("+31 20 123 4567") == 1
    assert text.count("ABCD-EFGH") == 1
    assert text.count("Noorderlicht") == 1
    signed = compiled(ENGLISH + "\n{{ brand.name }}\n").preview(VALUES)
    assert signed.text.count("Noorderlicht") == 1
    bare = ENGLISH.replace("- Code: `{{ code }}`\n", "")
    assert part(read(compiled(bare).fill(VALUES, **SENT)), "plain").count("ABCD-EFGH") == 1
    checked = compiled(bare, facts={"incident": {"title": "x", "cause": ""}, "verify_url": "https://a.example/check"})
    assert "Check the code ABCD-EFGH on\nhttps://a.example/check" in checked.preview(VALUES).text


def test_right_to_left_mail_arrives_right_to_left() -> None:
    message = read(arabic().fill(VALUES, **SENT))
    document, text = part(message, "html"), part(message, "plain")
    assert re.search(r'<html lang="ar" dir="rtl"', document)
    assert "direction:ltr" not in document
    assert "<bdi>Fibre &amp; modem</bdi>" in document
    assert '<bdi dir="ltr">12:30</bdi>' in document
    assert "\u2068Fibre & modem\u2069" in text
    assert "\u206812:30\u2069" in text
    assert "صفحتكم <https://my.example/p/abc?x=1&y=2>" in text
    assert message["Subject"] == "عطل في الشبكة"
    assert message["Content-Language"] == "ar"


def test_a_language_without_translations_gets_no_english_frame() -> None:
    document = compiled(language="eo").preview(VALUES).html
    assert "Next news" not in document
    assert "Open your page" not in document
    assert "+31 20 123 4567" in document


def test_large_print_is_larger() -> None:
    assert "font-size:23px" in compiled(variant=Variant.LARGE_PRINT).preview(VALUES).html
    assert "font-size:23px" not in compiled().preview(VALUES).html


def test_no_mail_asks_anything_of_another_server() -> None:
    document = compiled().preview(VALUES).html
    assert not re.search(r"(?:src=|@import|url\(|<link|<img|googleapis)", document)


def test_the_language_of_the_page_that_compiles_does_not_matter() -> None:
    with translation.override("nl"):
        assert "Next news by 12:30" in compiled().preview(VALUES).html


HOSTILE = st.one_of(
    st.text(max_size=120),
    st.text(alphabet="<>&\"'=?*_[]()`#\\{}%\r\n\t\0 .-é漢\u202e\u2068\u200d😀عا", max_size=60),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "Zeno\r\nBcc: everyone@e.example\r\n\r\nhello",
            "**bold** _x_ [x](javascript:alert(1)) <b>",
            "{{ code }}{% if 1 %}",
            "=?utf-8?b?PHNjcmlwdD4=?=",
            "\r\n.\r\nMAIL FROM:<zeno@e.example>",
            "--=_boundary",
            "qz0123456789abcdef01234567z0q",
            "%s %(x)s =20 =\r\n",
            "चित्रा शर्मा" * 5,
            "عائشة الحربي" * 9,
            "👩‍👩‍👧‍👦" * 20,
            "Ω" * 200,
            "",
            " ",
            ".",
        ]
    ),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=HOSTILE, salutation=HOSTILE, holding=HOSTILE, code=HOSTILE, url=HOSTILE, token=HOSTILE, is_arabic=st.booleans()
)
@example("=?", "a =", "x" * 76, "é" * 38, "https://a.example/" + "a" * 58, "/../", False)
def test_hostile_values_arrive_as_they_are_and_as_nothing_else(
    name: str, salutation: str, holding: str, code: str, url: str, token: str, is_arabic: bool
) -> None:
    mail = ARABIC_MAIL if is_arabic else ENGLISH_MAIL
    values = VALUES | {
        "customer.salutation": salutation,
        "holding": holding,
        "code": code,
        "my_page_url": url,
        "token": token,
    }
    data = mail.fill(values, **(SENT | {"to_name": name}))
    assert data.isascii()
    assert max(len(line) for line in data.split(b"\r\n")) <= 76
    assert data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n")
    message, shown = read(data), mail.preview(values)
    assert len(message["To"].addresses) == 1
    assert message.keys() == EXPECTED_HEADERS
    assert len(list(message.iter_parts())) == 2
    assert (message["Subject"], part(message, "plain"), part(message, "html")) == (
        shown.subject,
        shown.text,
        shown.html,
    )
    seen, plain = Reading(shown.html), Reading(mail.preview(VALUES).html)
    assert seen.tags == plain.tags  # no value has become markup
    for value in (salutation, holding, code):
        assert html.unescape(clean_value(value)) in html.unescape(seen.words)
        assert clean_value(value) in shown.text
    assert all(link == "#" or re.match(r"(?:https?://|mailto:|tel:)", link, re.IGNORECASE) for link in seen.links)


ENGLISH_MAIL = compiled()
ARABIC_MAIL = arabic()
EXPECTED_HEADERS = read(ENGLISH_MAIL.fill(VALUES, **SENT)).keys()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"to": "bram@e.example\r\nBcc: all@e.example"}, AddressRefusedError),
        ({"to": "bram"}, AddressRefusedError),
        ({"reply_to": "a@b.example>, <c@d.example"}, AddressRefusedError),
        ({"message_id": "<a@b>\r\nBcc: all@e.example"}, MailValueError),
        ({"date": "today\n"}, MailValueError),
        ({"unsubscribe_url": "https://a.example/\r\nX: y"}, MailValueError),
        ({"headers": {"X: y\r\nBcc": "z"}}, MailValueError),
    ],
)
def test_what_cannot_stand_in_a_header_is_refused_for_this_recipient(
    change: dict[str, Any], error: type[ValueError]
) -> None:
    with pytest.raises(error):
        compiled().fill(VALUES, **(SENT | change))


def test_an_internationalised_recipient_is_written_as_mail_servers_read_it() -> None:
    data = compiled().fill(VALUES, **(SENT | {"to": "bram@bücher.example"}))
    assert b"<bram@xn--bcher-kva.example>" in data
    assert "<عائشة@e.example>".encode() in compiled().fill(VALUES, **(SENT | {"to": "عائشة@e.example"}))


@pytest.mark.parametrize("values", [{}, VALUES | {"code": None}])
def test_a_slot_without_a_text_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(MailValueError, match="slot"):
        compiled().fill(values, **SENT)
    with pytest.raises(MailValueError, match="slot"):
        compiled().preview(values)


def test_a_skeleton_knows_which_values_it_needs() -> None:
    assert compiled().slots == set(SLOTS)
    assert arabic(slots=["customer.salutation", "holding", "code", "my_page_url", "unused"]).slots == {
        "customer.salutation",
        "holding",
        "code",
        "my_page_url",
    }


def test_a_template_that_fails_its_check_is_not_compiled() -> None:
    with pytest.raises(TemplateRefusedError, match=r"texts/news\.md:4: unknown name: nobody"):
        compiled("---\nsubject: x\n---\n{{ nobody }}\n")


def test_a_template_that_fails_while_it_is_rendered_says_where() -> None:
    with pytest.raises(TemplateRefusedError) as refused:
        compiled("---\nsubject: x\n---\nHello\n\n{{ incident.title | divided_by: 0 }}\n")
    assert [(each.line, each.reason) for each in refused.value.problems] == [(6, TemplateReason.RENDERING)]


@pytest.mark.parametrize("slots", [["incident.title"], ["incident.title.short"]])
def test_a_name_is_either_a_fact_or_a_slot(slots: list[str]) -> None:
    with pytest.raises(ValueError, match="cannot be a slot"):
        compiled("---\nsubject: x\n---\nHello\n", slots=slots)


def test_facts_that_are_declared_and_not_known_are_empty() -> None:
    facts = complete_facts(["incident.title", "incident.cause", "restored_at"], {"incident": {"title": "Outage"}})
    assert facts == {"incident": {"title": "Outage", "cause": None}, "restored_at": None}
    assert "because" not in compiled(facts=facts).preview(VALUES).text


def test_facts_are_cleaned_of_what_no_mail_may_hold() -> None:
    facts = {"incident": {"title": "Out\r\nBcc: x\0\ud800age", "cause": "<b>rain</b>\x1b"}}
    shown = compiled(facts=facts).preview(VALUES)
    assert shown.subject == "Out Bcc: xage for Fibre & modem"
    assert "because of <b>rain</b>." in shown.text
    assert "&lt;b&gt;rain&lt;/b&gt;" in shown.html


def test_two_mails_never_share_a_boundary_and_a_skeleton_keeps_no_value() -> None:
    first = compiled()
    before = first.fill(VALUES, **SENT)
    first.fill(VALUES | {"holding": "SECRET"}, **SENT)
    assert first.fill(VALUES, **SENT) == before
    assert read(before).get_boundary() != read(compiled().fill(VALUES, **SENT)).get_boundary()
