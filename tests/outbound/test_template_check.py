"""What a template may say, and the line on which it is told what it may not."""

import pytest

from beforehand.outbound.template_check import (
    TemplateProblem,
    TemplateReason,
    TemplateRefusedError,
    TemplateSource,
    check_template,
    sections,
)

FACTS = ["incident.title", "incident.cause", "areas", "formal", "next_update_at"]
SLOTS = ["customer.name", "code", "my_page_url"]


def problems(body: str, subject: str = "News") -> list[tuple[int, TemplateReason, str]]:
    source = TemplateSource("texts/news.en.md", f"---\nsubject: {subject}\n---\n{body}")
    return [(each.line, each.reason, each.detail) for each in check_template(source, FACTS, SLOTS)]


def test_a_sound_template_has_no_problems() -> None:
    body = """Hello {{ customer.name }},
{% if formal %}You{% else %}you{% endif %} {{ incident.title | upcase | default: "x" }} {{ incident["cause"] }}
{% for area in areas %}{{ forloop.index }} {{ area.name }} {{ code }}{% endfor %} {{ areas[0].name }} {{ areas.size }}
{% assign loud = incident.title | upcase %}{{ loud }}{% capture both %}{{ incident.cause }}{% endcapture %}{{ both }}
{% case formal %}{% when true %}{{ my_page_url }}{% endcase %}{% comment %}{{ anything }}{% endcomment %}
{% raw %}{{ not.liquid }}{% endraw %}{% unless formal %}x{% endunless %}
"""
    assert problems(body, subject="{{ incident.title }}: {{ customer.name }}") == []


@pytest.mark.parametrize(
    ("liquid", "reason"),
    [
        ("{{ customer.name | upcase }}", TemplateReason.SLOT_IN_FILTER),
        ("{{ 'x' | append: code }}", TemplateReason.SLOT_IN_FILTER),
        ("{% if customer.name %}x{% endif %}", TemplateReason.SLOT_IN_CONDITION),
        ("{% if formal %}x{% elsif code == 'x' %}y{% endif %}", TemplateReason.SLOT_IN_CONDITION),
        ("{% unless code == 'x' %}x{% endunless %}", TemplateReason.SLOT_IN_CONDITION),
        ("{% case code %}{% when 'x' %}x{% endcase %}", TemplateReason.SLOT_IN_CONDITION),
        ("{{ 'x' if code else 'y' }}", TemplateReason.SYNTAX),
        ("{% for part in code %}x{% endfor %}", TemplateReason.SLOT_IN_LOOP),
        ("{% for area in areas limit: code %}x{% endfor %}", TemplateReason.SLOT_IN_LOOP),
        ("{% assign copy = code %}x", TemplateReason.SLOT_NOT_PRINTED),
        ("{% assign copy = code | upcase %}x", TemplateReason.SLOT_IN_FILTER),
        ("{% capture copy %}{{ code }}{% endcapture %}x", TemplateReason.SLOT_NOT_PRINTED),
        ("{{ code.size }}", TemplateReason.SLOT_NOT_PRINTED),
        ("{{ areas[code] }}", TemplateReason.SLOT_NOT_PRINTED),
    ],
)
def test_a_slot_may_only_be_printed(liquid: str, reason: TemplateReason) -> None:
    found = problems(f"one\n\n{liquid}")
    assert [(line, each) for line, each, _ in found] == [(6, reason)]


@pytest.mark.parametrize(
    ("liquid", "name"),
    [
        ("{{ incident.titel }}", "incident.titel"),
        ("{{ customer }}", "customer"),
        ("{{ incident }}", "incident"),
        ("{% if forml %}x{% endif %}", "forml"),
        ("{{ formal | append: nobody }}", "nobody"),
        ("{% for area in areas %}x{% endfor %}{{ area }}", "area"),
        ("{{ incident[formal] }}", "incident"),
    ],
)
def test_a_name_that_nobody_declared_is_shown_with_its_line(liquid: str, name: str) -> None:
    assert problems(f"{liquid}") == [(4, TemplateReason.UNKNOWN_NAME, name)]
    assert problems("x", subject=liquid) == [(2, TemplateReason.UNKNOWN_NAME, name)]


@pytest.mark.parametrize(
    ("liquid", "reason"),
    [
        ("{{ formal", TemplateReason.SYNTAX),
        ("{% if formal %}", TemplateReason.SYNTAX),
        ("{% frobnicate %}", TemplateReason.SYNTAX),
        ("{{ formal | frobnicate }}", TemplateReason.UNKNOWN_FILTER),
        ("{% include 'other' %}", TemplateReason.TAG_REFUSED),
        ("{% render 'other' %}", TemplateReason.TAG_REFUSED),
        ("{% echo code %}", TemplateReason.TAG_REFUSED),
        ("{% increment n %}", TemplateReason.TAG_REFUSED),
    ],
)
def test_what_is_no_liquid_of_ours_is_shown_with_its_line(liquid: str, reason: TemplateReason) -> None:
    assert (5, reason) in [(line, each) for line, each, _ in problems(f"one\n{liquid}")]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, TemplateReason.FRONT_MATTER),
        ("Hello", 1, TemplateReason.FRONT_MATTER),
        ("---\nsubject: x\nHello", 1, TemplateReason.FRONT_MATTER),
        ("---\n---\nHello", 2, TemplateReason.NO_SUBJECT),
        ("---\nsubject:\n---\nHello", 2, TemplateReason.NO_SUBJECT),
        ("---\nsubject: x\ncolour: red\n---\nHello", 3, TemplateReason.FRONT_MATTER),
        ("---\nsubject: x\nsubject: y\n---\nHello", 3, TemplateReason.FRONT_MATTER),
        ("---\nsubject: x\n---\n \n", 4, TemplateReason.EMPTY),
    ],
)
def test_a_file_without_subject_or_text_is_refused(text: str, line: int, reason: TemplateReason) -> None:
    assert (line, reason) in [(each.line, each.reason) for each in check_template(TemplateSource("x", text), [], [])]


def test_line_ends_of_any_kind_and_remarks_in_the_front_matter_are_fine() -> None:
    source = TemplateSource(
        "x", "\ufeff---\r\n# said when it breaks\r\nsubject: a: b\r\n---\r\nHello\r\n{{ nobody }}\r\n"
    )
    subject, body = sections(source)
    assert (subject.text, subject.line, body.line) == ("a: b", 3, 5)
    assert check_template(source, [], []) == [TemplateProblem(6, TemplateReason.UNKNOWN_NAME, "nobody")]


def test_a_refusal_reads_as_file_line_and_reason() -> None:
    with pytest.raises(TemplateRefusedError, match=r"texts/x\.nl\.md:1: front matter: "):
        sections(TemplateSource("texts/x.nl.md", "Hallo"))
