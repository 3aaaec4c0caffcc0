"""The demo's mail server and its mailbox: what is said over SMTP can be read on a page, and is counted honestly."""

import asyncio
import json
import smtplib
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from beforehand.demo.mailbox import MailboxPages, list_page, subject_of
from beforehand.demo.mailserver import Conversation, MailStore, headers_of, undotted


@dataclass
class Running:
    store: MailStore
    smtp: int
    web: int

    def page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}{path}") as answer:
            text: str = answer.read().decode()
            return text

    def send(self, mail: EmailMessage) -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp) as client:
            client.send_message(mail)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    store = MailStore(tmp_path / "mails")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listening = asyncio.run_coroutine_threadsafe(
        loop.create_server(lambda: Conversation(store), "127.0.0.1", 0), loop
    ).result(10)
    pages = MailboxPages(store)
    pages.start()
    yield Running(store, listening.sockets[0].getsockname()[1], pages.port)
    pages.stop()
    loop.call_soon_threadsafe(listening.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
    store.close()


def mail(
    to: str = "bram@customers.example", *, language: str = "nl", batch: int = 1, subject: str = "Storing"
) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = "service@noorderlicht.example"
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = f"<{batch}.{to}>"
    message["Feedback-ID"] = f"{batch}:first-notice:service-critical:beforehand"
    message.set_content("Er is een storing.\r\n.\r\n..twee punten\r\n", cte="8bit")
    message.add_alternative("<html><head></head><body>Er is een <b>storing</b>.</body></html>", subtype="html")
    message["Content-Language"] = language
    return message


def test_a_mail_can_be_read_on_a_page_and_its_html_can_do_nothing(server: Running) -> None:
    server.send(mail())
    assert "bram@customers.example" in server.page("/")
    page = server.page("/mails/1")
    assert 'sandbox="allow-popups' in page
    assert "\n.\n..twee punten" in page.replace("\r\n", "\n")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.web}/mails/1/html") as answer:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "<b>storing</b>" in answer.read().decode()


def test_a_pipelined_flight_is_answered_in_order_and_kept(server: Running) -> None:
    body = b"Subject: x\r\nContent-Language: ar\r\n\r\ntext\r\n.\r\n"
    flight = b"EHLO me\r\n"
    for number in range(3):
        flight += b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c%d@d.example>\r\nDATA\r\n" % number + body
    with socket.create_connection(("127.0.0.1", server.smtp), timeout=10) as connection:
        connection.sendall(flight + b"QUIT\r\n")
        answers = b"".join(iter(lambda: connection.recv(65_536), b""))
    codes = [line[:3] for line in answers.splitlines() if line[3:4] == b" "]
    assert codes == [b"220", b"250", *[b"250", b"250", b"354", b"250"] * 3, b"221"]
    assert [one.recipient for one in server.store.mails] == ["c0@d.example", "c1@d.example", "c2@d.example"]


def test_a_message_that_arrives_byte_by_byte_is_the_same_message(tmp_path: Path) -> None:
    store = MailStore(tmp_path / "mails")
    talk = Conversation(store)
    said: list[bytes] = []
    talk._transport = type("T", (), {"write": lambda self, data: said.append(data), "close": lambda self: None})()
    whole = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\n"
    for at in range(len(whole)):
        talk.data_received(whole[at : at + 1])
    assert store.source(store.mails[0]) == b"Subject: x\r\n\r\n.dot\r\n"
    assert said[-1].startswith(b"250")
    store.close()


def test_an_address_that_was_given_up_is_refused_and_counted(server: Running) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        server.send(mail("kees@gone.example"))
    assert server.store.counts()["refused"] == 1
    assert server.store.mails == []
    assert "1 attempts at addresses that do not exist" in server.page("/")


def test_whoever_gets_one_batch_twice_is_counted(server: Running) -> None:
    server.send(mail(batch=1))
    server.send(mail(batch=2))
    assert server.store.twice == 0
    server.send(mail(batch=2))
    assert server.store.twice == 1


def test_mails_are_found_by_language_and_by_recipient(server: Running) -> None:
    server.send(mail("bram@customers.example", language="nl"))
    server.send(mail("aisha@customers.example", language="ar", subject="انقطاع الإنترنت"))
    page = server.page("/?language=ar")
    assert ("aisha@" in page, "bram@" in page, "انقطاع الإنترنت" in page) == (True, False, True)
    assert "aisha@" not in server.page("/?to=bram")
    assert json.loads(server.page("/counts.json"))["by_language"] == {"nl": 1, "ar": 1}
    assert [one["recipient"] for one in json.loads(server.page("/mails.json?after=1"))] == ["aisha@customers.example"]


def test_older_mails_are_one_link_away(tmp_path: Path) -> None:
    store = MailStore(tmp_path / "mails")
    for number in range(60):
        store.add([f"c{number}@d.example"], b"Subject: s\r\n\r\n")
    first = list_page(store, {})
    assert ("c59@" in first, "c5@" in first, "before=11" in first) == (True, False, True)
    assert "c5@" in list_page(store, {"before": "11"})
    store.close()


def test_a_page_that_is_not_there_is_404(server: Running) -> None:
    for path in ("/mails/1", "/mails/0", "/nothing", "/mails/1/etc/passwd"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            server.page(path)
        assert refused.value.code == 404
        refused.value.close()


def test_a_hostile_subject_stays_text(server: Running) -> None:
    server.send(mail(subject="<script>alert(1)</script>"))
    assert "<script>alert" not in server.page("/") + server.page("/mails/1")


def test_folded_headers_are_read_whole() -> None:
    found = headers_of(b"Subject: =?utf-8?q?een?=\r\n =?utf-8?q?_twee?=\r\nContent-Language: nl\r\n\r\nSubject: no\r\n")
    assert (found["subject"], found["content-language"]) == ("=?utf-8?q?een?= =?utf-8?q?_twee?=", "nl")


def test_dots_are_undoubled_only_where_a_line_begins() -> None:
    assert undotted(b"..a\r\n..b\r\nc..d\r\n") == b".a\r\n.b\r\nc..d\r\n"


def test_a_subject_in_an_unknown_charset_is_shown_as_it_came(tmp_path: Path) -> None:
    store = MailStore(tmp_path / "mails")
    store.add(["a@b.example"], b"Subject: =?klingon?q?x?=\r\n\r\n")
    assert subject_of(store.mails[0]) == "=?klingon?q?x?="
    store.close()
