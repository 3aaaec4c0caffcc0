"""Markdown as mail shows it: an HTML fragment with its styles on it, and plain text that reads well on its own.

Raw HTML and pictures in the Markdown stay text: a mail asks nothing of any other server. In right-to-left text, what
runs the other way (numbers, telephone numbers, Latin names) and every slot is isolated (UAX #9), so that its parts
keep their order.
"""

import re
from collections.abc import Sequence

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from beforehand.engine.languages import Direction

_WIDTH = 72
_SLOT_WIDTH = 12  # a guess: what a name or a code takes on a line of plain text
FSI, PDI = "\u2068", "\u2069"
SLOT = re.compile(r"qz[0-9a-f]{24}(u?)z\d+q")  # how a slot passes through Markdown and HTML; "u" marks a URL
_URL = r"https?://[^\s<>\"]*[^\s<>\".,:;!?)\]}']"
_SPAN = re.compile(rf"(?P<url>{_URL})|(?P<slot>{SLOT.pattern})")
_LTR_RUN = re.compile(
    r"\(\d+\)[\d ./–-]*\d"
    r"|\+?[A-Za-z0-9À-ɏ]+(?:[ .,:/@+#&'_–-]+[A-Za-z0-9À-ɏ]+)*%?"
)
_STYLES = {
    "paragraph_open": "margin:0 0 16px",
    "bullet_list_open": "margin:0 0 16px;padding-inline-start:22px",
    "ordered_list_open": "margin:0 0 16px;padding-inline-start:26px",
    "list_item_open": "margin:0 0 6px",
    "heading_open": "margin:0 0 12px;line-height:1.3",
    "blockquote_open": "margin:0 0 16px;padding-inline-start:14px;border-inline-start:3px solid #9fb3c8",
    "hr": "border:0;border-top:1px solid #c9d3de;margin:20px 0",
    "link_open": "color:#0b57d0",
}
_TAGS = {"p", "br", "strong", "em", "a", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6"} | {
    *("blockquote", "hr", "code", "pre", "bdi")
}
_ATTRIBUTES = {"*": {"style"}, "a": {"href", "title"}, "bdi": {"dir"}, "ol": {"start"}}

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable(["image", "html_block", "html_inline"])


def parsed(markdown: str) -> list[Token]:
    return _MARKDOWN.parse(markdown)


def as_html(tokens: Sequence[Token], direction: Direction) -> str:
    """The HTML fragment; only tags, attributes and URL schemes that a mail may have."""
    dressed = []
    for token in tokens:
        styled = _styled(token.copy())
        if token.type == "inline":
            styled.children = _dressed_inline(token.children or [], direction)
        dressed.append(styled)
    fragment = _MARKDOWN.renderer.render(dressed, _MARKDOWN.options, {})
    return nh3.clean(
        fragment,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel=None,
    )


def _styled(token: Token) -> Token:
    style = _STYLES.get(token.type)
    if style is not None and not token.hidden:
        token.attrs = {**token.attrs, "style": style}
    return token


def _dressed_inline(children: Sequence[Token], direction: Direction) -> list[Token]:
    """Bare URLs become links; slots, and in right-to-left text what runs the other way, are isolated."""
    dressed: list[Token] = []
    links = 0
    for child in children:
        links += child.nesting if child.type in ("link_open", "link_close") else 0
        if child.type == "text":
            dressed += _dressed_text(child.content, direction, may_link=links == 0)
        else:
            dressed.append(_styled(child.copy()))
    return dressed


def _dressed_text(text: str, direction: Direction, *, may_link: bool) -> list[Token]:
    dressed: list[Token] = []
    at = 0
    for match in _SPAN.finditer(text):
        dressed += _isolated(text[at : match.start()], direction)
        at = match.end()
        is_url = match["url"] is not None or SLOT.fullmatch(match[0], 0)[1] == "u"  # type: ignore[index]
        inner = [_raw("<bdi>" if match["url"] is None else '<bdi dir="ltr">'), _text(match[0]), _raw("</bdi>")]
        if is_url and may_link:
            opened = _styled(Token("link_open", "a", 1, attrs={"href": match[0]}))
            inner = [opened, *inner, Token("link_close", "a", -1)]
        dressed += inner
    return dressed + _isolated(text[at:], direction)


def _isolated(text: str, direction: Direction) -> list[Token]:
    if direction is Direction.LTR:
        return [_text(text)]
    tokens: list[Token] = []
    at = 0
    for match in _LTR_RUN.finditer(text):
        tokens += [_text(text[at : match.start()]), _raw('<bdi dir="ltr">'), _text(match[0]), _raw("</bdi>")]
        at = match.end()
    return [*tokens, _text(text[at:])]


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _raw(content: str) -> Token:
    return Token("html_inline", "", 0, content=content)


def as_text(tokens: Sequence[Token], direction: Direction) -> str:
    """The plain text: paragraphs a blank line apart, lists with hanging indents, lines of at most 72 characters."""
    blocks: list[tuple[str, bool]] = []  # text, and whether it follows the one before it closely
    margins: list[str] = []  # what each open block puts before its lines
    marker, counters = "", []
    is_tight_next = False
    for token in tokens:
        if token.type in ("bullet_list_open", "ordered_list_open"):
            start = token.attrs.get("start", 1)
            counters.append(int(start) if token.type == "ordered_list_open" else None)
            is_tight_next = False
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            counters.pop()
        elif token.type == "list_item_open":
            number = counters[-1]
            marker = "- " if number is None else f"{number}. "
            counters[-1] = None if number is None else number + 1
            margins.append(" " * len(marker))
        elif token.type == "list_item_close":
            margins.pop()
            is_tight_next = True
        elif token.type == "blockquote_open":
            margins.append("> ")
        elif token.type == "blockquote_close":
            margins.pop()
        elif token.type in ("inline", "fence", "code_block", "hr"):
            margin = "".join(margins)
            first = margin[: len(margin) - len(marker)] + marker if marker else margin
            if token.type == "inline":
                text = _wrapped(_inline_text(token.children or [], direction), first, margin)
            else:
                rows = token.content.rstrip("\n").split("\n") if token.type != "hr" else ["-" * 24]
                text = "\n".join(margin + row for row in rows)
            blocks.append((text, is_tight_next and bool(marker)))
            marker, is_tight_next = "", False
    joined = ""
    for text, is_tight in blocks:
        joined += ("" if not joined else "\n" if is_tight else "\n\n") + text
    return joined + "\n"


def _inline_text(children: Sequence[Token], direction: Direction) -> str:
    parts: list[str] = []
    opened: list[tuple[str, int]] = []  # each link's URL, and where its words begin
    for child in children:
        if child.type == "text":
            parts.append(isolated_text(child.content, direction))
        elif child.type == "code_inline":
            parts.append(child.content)
        elif child.type == "softbreak":
            parts.append(" ")
        elif child.type == "hardbreak":
            parts.append("\n")
        elif child.type == "link_open":
            opened.append((str(child.attrs.get("href", "")), len(parts)))
        elif child.type == "link_close":
            url, begin = opened.pop()
            words = "".join(parts[begin:])
            shown = url.removeprefix("mailto:").removeprefix("tel:")
            if words.strip(FSI + PDI) not in (url, shown):
                parts.append(f" <{shown}>")
    return "".join(parts)


def isolated_text(text: str, direction: Direction) -> str:
    """Plain text in which, among right-to-left words, what runs the other way is isolated.

    URLs stay bare: a program that makes links of them would take an isolate's mark for a part of them.
    """
    if direction is Direction.LTR:
        return text
    parts: list[str] = []
    at = 0
    for match in _SPAN.finditer(text):
        parts.append(_LTR_RUN.sub(lambda run: f"{FSI}{run[0]}{PDI}", text[at : match.start()]))
        is_bare = match["url"] is not None or SLOT.fullmatch(match[0])[1] == "u"  # type: ignore[index]
        parts.append(match[0] if is_bare else f"{FSI}{match[0]}{PDI}")
        at = match.end()
    parts.append(_LTR_RUN.sub(lambda run: f"{FSI}{run[0]}{PDI}", text[at:]))
    return "".join(parts)


def _wrapped(text: str, first: str, margin: str) -> str:
    rows: list[str] = []
    for row in text.split("\n"):
        line, length = "", 0
        for word in row.split():
            size = len(SLOT.sub("x" * _SLOT_WIDTH, word).replace(FSI, "").replace(PDI, ""))
            if line and len(margin) + length + 1 + size > _WIDTH:
                rows.append(line)
                line, length = word, size
            else:
                line, length = (f"{line} {word}", length + 1 + size) if line else (word, size)
        rows.append(line)
    return "\n".join((margin if number else first) + row for number, row in enumerate(rows))
