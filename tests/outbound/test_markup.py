"""Markdown as HTML and as plain text, in both directions."""

import pytest

from beforehand.engine.languages import Direction
from beforehand.outbound.markup import FSI, PDI, as_html, as_text, parsed

LTR, RTL = Direction.LTR, Direction.RTL


def html_of(markdown: str, direction: Direction = LTR) -> str:
    return as_html(parsed(markdown), direction)


def text_of(markdown: str, direction: Direction = LTR) -> str:
    return as_text(parsed(markdown), direction)


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>)",
        "[x](vbscript:x)",
        "<javascript:alert(1)>",
        "![tracker](https://evil.example/pixel.png)",
        "<div style='position:fixed'>x</div>",
        "<!-- x --><style>body{}</style>",
    ],
)
def test_markdown_brings_no_markup_of_its_own(attack: str) -> None:
    found = html_of(f"Hello\n\n{attack}\n\nx {attack} y").lower()
    for forbidden in ("<script", "<img", "<style", "<div", 'href="javascript', 'href="data', 'href="vbscript', "<!--"):
        assert forbidden not in found


def test_html_keeps_the_shape_of_the_words() -> None:
    found = html_of("# Title\n\nA **bold** *word*\\\nnext\n\n1. one\n2. two\n\n> said\n\n---\n\n`a<b`\n\n    raw <b>")
    for expected in (
        "<h1",
        "<strong>bold</strong>",
        "<em>word</em>",
        "<br>",
        "<ol",
        "<li",
        "<blockquote",
        "<hr",
        "a&lt;b",
        "raw &lt;b&gt;",
    ):
        assert expected in found


def test_bare_urls_become_links_once() -> None:
    found = html_of("See https://a.example/x?y=1&z=2. And [https://b.example](https://b.example) (https://c.example/)")
    assert 'href="https://a.example/x?y=1&amp;z=2"' in found
    assert found.count("<a ") == 3
    assert '<bdi dir="ltr">https://c.example/</bdi></a>)' in found


def test_in_right_to_left_text_numbers_and_latin_words_are_isolated() -> None:
    found = html_of("اتصلوا بنا: +31 20 123 4567، بحلول 12:30", RTL)
    assert '<bdi dir="ltr">+31 20 123 4567</bdi>' in found
    assert '<bdi dir="ltr">12:30</bdi>' in found
    assert f"{FSI}+31 20 123 4567{PDI}" in text_of("اتصلوا بنا: +31 20 123 4567", RTL)
    assert text_of("الرقم (020) 123 4567 هنا", RTL) == f"الرقم {FSI}(020) 123 4567{PDI} هنا\n"
    assert "<bdi" not in html_of("Call +31 20 123 4567")
    assert FSI not in text_of("Call +31 20 123 4567")


def test_a_url_in_right_to_left_plain_text_stays_bare() -> None:
    assert text_of("الصفحة: https://a.example/x", RTL) == "الصفحة: https://a.example/x\n"


def test_plain_text_reads_well_on_its_own() -> None:
    markdown = """# Outage

We are **sorry**. See [your page](https://a.example/p), or <https://a.example>, or [mail us](mailto:us@a.example).

- one
- two with many words that go on and on until the line is longer than any line in a mail should ever be
  - nested

    second paragraph
3. three
4. four

> quoted words

---

```
raw  text
```

last\\
line with `code`
"""
    assert (
        text_of(markdown)
        == """Outage

We are sorry. See your page <https://a.example/p>, or https://a.example,
or mail us <us@a.example>.

- one
- two with many words that go on and on until the line is longer than
  any line in a mail should ever be

  - nested

    second paragraph

3. three
4. four

> quoted words

------------------------

raw  text

last
line with code
"""
    )
