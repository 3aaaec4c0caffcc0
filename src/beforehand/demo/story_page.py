"""The demo's story as a page: ten chapters, what was seen in each, and the button that cuts the fibre."""

import html
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from string import Template
from urllib.parse import urlsplit

from beforehand.demo.chapters import CHAPTERS, Chapter
from beforehand.demo.telling import Line, Step, Story, Tone

_POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'"
_FILES = {"story.css": "text/css", "story.js": "text/javascript"}


class StoryPage:
    """An HTTP server on a free port of this machine, on a thread of its own."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.is_ready, self.is_cut = threading.Event(), threading.Event()
        self.is_read = False
        """Whether somebody has looked at the page."""
        handler = type("Handler", (_Handler,), {"page": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def chapters(self) -> str:
        """The chapters as they stand, as HTML."""
        return "".join(self._chapter(number, chapter) for number, chapter in enumerate(CHAPTERS, start=1))

    def _chapter(self, number: int, chapter: Chapter) -> str:
        steps = [step for step in self.story.steps if step.name in chapter.steps]
        state = _state(chapter, steps, story_is_over=self.story.is_over)
        lines = "".join(_step(step) for step in steps)
        return _CHAPTER.substitute(
            number=number,
            state=state,
            word=_WORDS[state],
            title=html.escape(chapter.title),
            about=html.escape(chapter.about),
            lines=lines + (self._button() if chapter is _FAULT else ""),
        )

    def _button(self) -> str:
        if self.is_cut.is_set():
            return ""
        is_off = "" if self.is_ready.is_set() else " disabled"
        return f'<form method="post" action="/cut"><button{is_off}>Cut the fibre</button></form>'


_FAULT = next(chapter for chapter in CHAPTERS if "alert" in chapter.steps)
_WORDS = {"ahead": "", "now": "happening now", "held": "as promised", "broken": "not as promised", "left": "left out"}
_CHAPTER = Template(
    '<li class="chapter $state"><span class="number" aria-hidden="true">$number</span><div><h2>$title'
    ' <span class="state">$word</span></h2><p class="about">$about</p>$lines</div></li>'
)


def _state(chapter: Chapter, steps: list[Step], *, story_is_over: bool) -> str:
    if not steps:
        return "left" if story_is_over else "ahead"
    if any(step.broken for step in steps):
        return "broken"
    is_whole = len(steps) == len(chapter.steps) and all(step.is_over for step in steps)
    return "held" if is_whole or story_is_over else "now"


def _step(step: Step) -> str:
    rows = "".join(_line(line) for line in list(step.lines))
    return f'<section><h3>{html.escape(step.told)}</h3><ul class="lines">{rows}</ul></section>'


def _line(line: Line) -> str:
    text = html.escape(line.text)
    if line.tone is Tone.LOOK:
        return f'<li class="look"><a href="{html.escape(line.url)}" target="_blank" rel="noreferrer">{text}</a></li>'
    return f'<li class="{line.tone.value}"><span dir="auto">{text}</span></li>'


class _Handler(BaseHTTPRequestHandler):
    page: StoryPage
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.strip("/")
        if path == "":
            self.page.is_read = True
            whole = Template(_file("story.html")).substitute(chapters=self.page.chapters())
            self._answer(whole, "text/html")
        elif path == "chapters":
            self._answer(self.page.chapters(), "text/html")
        elif path in _FILES:
            self._answer(_file(f"static/{path}"), _FILES[path])
        else:
            self._answer("There is no such page.\n", "text/plain", HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Cut the fibre; only from this page itself."""
        origin = self.headers.get("Origin", "")
        if urlsplit(self.path).path != "/cut" or origin.rstrip("/") != self.page.url.rstrip("/"):
            self.close_connection = True
            self._answer("That is not for this page.\n", "text/plain", HTTPStatus.FORBIDDEN)
            return
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.page.is_ready.is_set():
            self.page.is_cut.set()
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, text: str, media_type: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{media_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the story itself is what is to be read."""


def _file(name: str) -> str:
    return files("beforehand.demo").joinpath("pages", name).read_text("utf-8")
