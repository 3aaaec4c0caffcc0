"""The demo's mailbox as pages: every mail that the demo's mail server took, by language and recipient."""

import html
import json
import threading
import time
from dataclasses import asdict
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

if TYPE_CHECKING:
    from beforehand.demo.mailserver import Mail, MailStore

PAGE = 50
MOST_LISTED = 20_000
LANGUAGES = {"nl": "Nederlands", "en": "English", "ar": "العربية", "hi": "हिन्दी"}
RIGHT_TO_LEFT = ("ar", "fa", "he", "ur")
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; frame-src 'self'; connect-src 'self'"
# A mail runs no script and fetches nothing; its links may open beside it.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups allow-popups-to-escape-sandbox"
)

_ROW = Template(
    '<tr><td><a class="subject" dir="auto" href="/mails/$number">$subject</a></td>'
    '<td class="to">$recipient</td><td><span class="tag">$language</span></td><td class="when">$when</td></tr>'
)
_CHIP = Template('<a class="chip$chosen" href="/?$query"><bdi>$name</bdi> <b>$count</b></a>')


class MailboxPages:
    """An HTTP server on a free port of this machine, on a thread of its own."""

    def __init__(self, store: "MailStore") -> None:
        handler = type("Handler", (_Handler,), {"store": store})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.port: int = self._server.server_address[1]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    store: "MailStore"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        parts = url.path.strip("/").split("/")
        match parts:
            case [""]:
                self._answer(list_page(self.store, query))
            case ["counts.json"]:
                self._answer(json.dumps(self.store.counts()), "application/json")
            case ["mails.json"]:
                self._answer(_as_json(self.store, query), "application/json")
            case ["mailbox.js"]:
                self._answer(_file("static/mailbox.js"), "text/javascript")
            case ["mails", number, *rest] if (mail := self._mail(number)) is not None and len(rest) <= 1:
                self._mail_page(mail, rest[0] if rest else "")
            case _:
                self._answer("There is no such page.\n", "text/plain", HTTPStatus.NOT_FOUND)

    def _mail(self, number: str) -> "Mail | None":
        mails = self.store.mails
        return mails[int(number) - 1] if number.isdecimal() and 0 < int(number) <= len(mails) else None

    def _mail_page(self, mail: "Mail", part: str) -> None:
        source = self.store.source(mail)
        if part == "":
            self._answer(mail_page(mail, parsed(source)))
        elif part == "html":
            shown = body_of(parsed(source), "html").replace("<head>", '<head><base target="_blank">', 1)
            self._answer(shown, policy=_MAIL_POLICY)
        elif part == "source":
            self._answer(source.decode("utf-8", "replace"), "text/plain")
        else:
            self._answer("There is no such page.\n", "text/plain", HTTPStatus.NOT_FOUND)

    def _answer(
        self,
        text: str,
        media_type: str = "text/html",
        status: HTTPStatus = HTTPStatus.OK,
        policy: str = _PAGE_POLICY,
    ) -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", f"{media_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the demo's own story is what is to be read."""


def parsed(source: bytes) -> EmailMessage:
    """A mail as the standard library reads it."""
    mail = message_from_bytes(source, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def body_of(mail: EmailMessage, kind: str) -> str:
    """Its "html" or "plain" part; empty when it has none."""
    part = mail.get_body((kind,))
    return str(part.get_content()) if part is not None else ""


def subject_of(mail: "Mail") -> str:
    """The subject as people read it."""
    try:
        return str(make_header(decode_header(mail.subject)))
    except (ValueError, LookupError):
        return mail.subject


def list_page(store: "MailStore", query: dict[str, str]) -> str:
    """The newest mails first; `language` and `to` narrow them, `before` goes on."""
    language, wanted = query.get("language", ""), query.get("to", "").strip().lower()
    before = int(query["before"]) if query.get("before", "").isdecimal() else 0
    mails = store.mails[:]
    found = [
        mail
        for mail in reversed(mails[: before - 1] if before else mails)
        if (not language or mail.language == language) and wanted in mail.recipient.lower()
    ]
    shown = found[:PAGE]
    rows = "".join(
        _ROW.substitute(
            number=mail.number,
            subject=html.escape(subject_of(mail)) or "(no subject)",
            recipient=html.escape(mail.recipient),
            language=html.escape(mail.language) or "?",
            when=_clock(mail.received_at),
        )
        for mail in shown
    )
    older = ""
    if len(found) > PAGE:
        link = urlencode({"language": language, "to": wanted, "before": shown[-1].number})
        older = f'<p class="older"><a href="/?{html.escape(link)}">Older mails ({len(found) - PAGE:,})</a></p>'
    empty = "<p class='empty'>No mail yet. As soon as customers are told something, it lies here.</p>"
    return _page(
        "list",
        title="Mailbox",
        total=f"{len(mails):,}",
        newest=str(len(mails)),
        chips=_chips(mails, language, wanted),
        language=html.escape(language),
        wanted=html.escape(wanted),
        table=f"<table><tbody>{rows}</tbody></table>{older}" if shown else empty,
        refused=f"{store.refused.total():,} attempts at addresses that do not exist were refused."
        if store.refused
        else "",
    )


def mail_page(mail: "Mail", message: EmailMessage) -> str:
    """One mail: its HTML in a frame that can do nothing, and its plain text."""
    return _page(
        "mail",
        title=html.escape(subject_of(mail)),
        number=str(mail.number),
        sender=html.escape(str(message.get("From", ""))),
        recipient=html.escape(str(message.get("To", mail.recipient))),
        reply_to=html.escape(str(message.get("Reply-To", ""))),
        language=html.escape(LANGUAGES.get(mail.language, mail.language)),
        code=html.escape(mail.language),
        direction="rtl" if mail.language.partition("-")[0] in RIGHT_TO_LEFT else "ltr",
        when=_clock(mail.received_at),
        text=html.escape(body_of(message, "plain")),
    )


def _chips(mails: "list[Mail]", chosen: str, wanted: str) -> str:
    counted: dict[str, int] = {}
    for mail in mails:
        counted[mail.language] = counted.get(mail.language, 0) + 1
    choices = [("", "All", len(mails))]
    choices += [(code, LANGUAGES.get(code, code), count) for code, count in sorted(counted.items(), key=_most_first)]
    return "".join(
        _CHIP.substitute(
            chosen=" chosen" if code == chosen else "",
            query=html.escape(urlencode({"language": code, "to": wanted})),
            name=html.escape(name),
            count=f"{count:,}",
        )
        for code, name, count in choices
    )


def _most_first(item: tuple[str, int]) -> int:
    return -item[1]


def _clock(at: float) -> str:
    local = time.localtime(at)
    return f'<time datetime="{time.strftime("%Y-%m-%dT%H:%M:%S%z", local)}">{time.strftime("%H:%M:%S", local)}</time>'


def _as_json(store: "MailStore", query: dict[str, str]) -> str:
    """The index from the mail after number `after` on."""
    after = int(query["after"]) if query.get("after", "").isdecimal() else 0
    return json.dumps([asdict(mail) for mail in store.mails[after : after + MOST_LISTED]])


def _page(name: str, **values: str) -> str:
    styles = _file("static/mailbox.css")
    return Template(_file(f"{name}.html")).substitute(styles=styles, **values)


def _file(name: str) -> str:
    return files("beforehand.demo").joinpath("pages", name).read_text("utf-8")
