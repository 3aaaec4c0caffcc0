"""What tests read off a page, and the story that the pages tell."""

from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser

from django.db import connection
from django.test.utils import CaptureQueriesContext

WRITES = ("INSERT", "UPDATE", "DELETE", "COPY", "TRUNCATE")
VOID = {"meta", "link", "input", "img", "use", "circle", "path", "br", "hr"}


class Page(HTMLParser):
    """A page as its elements, with each one's attributes, and the words that a person reads."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def first(self, tag: str) -> dict[str, str | None]:
        return next(attributes for name, attributes in self.elements if name == tag)

    def has(self, **wanted: str) -> bool:
        return any(all(attributes.get(k) == v for k, v in wanted.items()) for _tag, attributes in self.elements)


@contextmanager
def reads_only(*, at_most: int = 20) -> Iterator[None]:
    """Whatever happens inside writes nothing, and asks the database at most so often."""
    with CaptureQueriesContext(connection) as queries:
        yield
    statements = [query["sql"] for query in queries]
    assert [one for one in statements if one.lstrip().upper().startswith(WRITES)] == []
    assert len(statements) <= at_most, statements
