"""A customer follows the link of a mail and presses an answer, as a browser would."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from beforehand.demo.own_page import NoSuchPlace, answer_from

PAGE = '<form method="post" action="/my/t&amp;1/answer/0189/"><button name="says" value="works">'


@pytest.fixture
def pressed() -> Iterator[list[tuple[str, str]]]:
    """What was posted, and where; the site's address stands first."""
    posted: list[tuple[str, str]] = []

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(PAGE if self.path.startswith("/my/") else "nothing is asked here")

        def do_POST(self) -> None:
            posted.append((self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.answer("thank you")

        def answer(self, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    posted.append(("site", f"http://127.0.0.1:{server.server_address[1]}"))
    yield posted
    server.shutdown()
    server.server_close()


def test_an_answer_is_posted_where_the_page_asks_for_it(pressed: list[tuple[str, str]]) -> None:
    site = pressed[0][1]
    answer_from(f'<a href="{site}/my/t&amp;1/">your page</a>', says="works")
    assert pressed[1:] == [("/my/t&1/answer/0189/", "says=works")]


def test_a_mail_without_a_link_and_a_page_that_does_not_ask_are_said(pressed: list[tuple[str, str]]) -> None:
    with pytest.raises(NoSuchPlace, match="no link"):
        answer_from("<p>nothing</p>", says="works")
    with pytest.raises(NoSuchPlace, match="does not ask"):
        answer_from(f'<a href="{pressed[0][1]}/x/my/t/">your page</a>', says="works")
    assert pressed[1:] == []
