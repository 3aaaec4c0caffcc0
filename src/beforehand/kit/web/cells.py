"""Gives each cell of a table its column's name, which a telephone shows where a row has become a card."""

import re

from django.utils.html import strip_tags
from django.utils.safestring import SafeString, mark_safe

_HEAD = re.compile(r"<thead\b.*?</thead>", re.DOTALL)
_HEADING = re.compile(r"<th\b([^>]*)>(.*?)</th>", re.DOTALL)
_SPAN = re.compile(r'colspan="(\d+)"')
_ROW_OR_CELL = re.compile(r"<(tr|td|th)\b([^>]*)>")


def columns(table: str) -> list[str]:
    """The columns' names, by a table's own head; empty for one that is named for screen readers alone."""
    head = _HEAD.search(table)
    return ["" if 'class="sr-only"' in one[1] else _plain(one[1]) for one in _HEADING.findall(head[0] if head else "")]


def is_of_figures(table: str) -> bool:
    """Whether every column after the first is of numbers, and few: on a telephone it fits as it is."""
    head = _HEAD.search(table)
    figures = ["is-number" in attributes for attributes, _ in _HEADING.findall(head[0] if head else "")][1:]
    return len(figures) <= 3 and all(figures)


def labelled(table: str) -> SafeString:
    """This table, drawn and escaped already, with `data-label` on each of its body's cells but the row's name."""
    names = columns(table)
    head = _HEAD.search(table)
    begins = head.end() if head else 0
    at = 0

    def label(found: re.Match[str]) -> str:
        nonlocal at
        if found[1] == "tr":
            at = 0
            return found[0]
        name = names[at] if at < len(names) else ""
        span = _SPAN.search(found[2])
        at += int(span[1]) if span else 1
        if found[1] == "th" or not name or span:
            return found[0]
        return f'<td data-label="{name}"{found[2]}>'

    return mark_safe(table[:begins] + _ROW_OR_CELL.sub(label, table[begins:]))  # noqa: S308 -- as the engine drew it


def _plain(heading: str) -> str:
    """A heading's words without its tags, escaped as they were."""
    return " ".join(strip_tags(heading.replace("<br>", " ")).split()).replace('"', "&quot;")
