"""HTML as text: paragraphs, line breaks, and quotations marked as people mark them in plain mail."""

import re
from html.parser import HTMLParser

_BLOCKS = frozenset(
    {"p", "div", "tr", "li", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "pre", "section", "article"}
)
_UNSEEN = frozenset({"script", "style", "title", "template"})
_TAG = re.compile(r"<[^>]*>?")


def text_of_html(markup: str) -> str:
    """What a reader sees of it, line by line; quotations begin with `> `. Markup too broken to show anything is stripped."""
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return reader.text() or _TAG.sub(" ", markup).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line: list[str] = []
        self._depth = 0
        self._hidden = 0
        self._is_kept = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            self._hidden = 0
        elif tag in _UNSEEN:
            self._hidden += 1
        elif tag == "br":
            self._break()
        elif tag == "blockquote":
            self._end()
            self._depth += 1
        elif tag in _BLOCKS:
            self._end()
            self._is_kept += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag == "blockquote":
            self._end()
            self._depth = max(0, self._depth - 1)
        elif tag in _BLOCKS:
            self._end()
            self._is_kept = max(0, self._is_kept - (tag == "pre"))
            if tag == "p":
                self._break()

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._is_kept:
            first, *rest = data.split("\n")
            self._line.append(first)
            for one in rest:
                self._break()
                self._line.append(one)
            return
        words = " ".join(data.replace("\xa0", " ").split())
        if data[:1].isspace() and self._line and words:
            words = f" {words}"
        self._line.append(f"{words} " if words and data[-1:].isspace() else words)

    def _break(self) -> None:
        words = "".join(self._line).replace("  ", " ").strip()
        self._lines.append("> " * min(self._depth, 9) + words if self._depth else words)
        self._line = []

    def _end(self) -> None:
        if "".join(self._line).strip():
            self._break()

    def text(self) -> str:
        """The lines; never two empty ones after each other."""
        self._end()
        kept = [one for at, one in enumerate(self._lines) if one or (at and self._lines[at - 1])]
        return "\n".join(kept).strip("\n")
