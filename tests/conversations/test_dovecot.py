"""Replies from a real mail server over TLS: what is wrong is said so that it can be mended, and no mail is lost or twice."""

import imaplib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError

from beforehand.config import doctor
from beforehand.config.doctor import State
from beforehand.conversations import polling
from beforehand.conversations.imap import ImapServer, MailboxReason
from beforehand.conversations.models import Incoming, Mailbox
from beforehand.conversations.polling import poll_mailbox
from beforehand.kit import clock
from tests.conversations.dovecot import FOLDER, PASSWORD, USER, Dovecot, needs_dovecot, signed_in_times

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database, needs_dovecot]


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    with Dovecot() as server:
        yield server


def mail(number: int) -> bytes:
    return f"From: bram@customers.example\r\nSubject: Mail {number}\r\n\r\nHet werkt.\r\n".encode()


def polled(server: ImapServer) -> int:
    return poll_mailbox(server, now=clock.now())


def error_of(server: ImapServer) -> str:
    return Mailbox.objects.get(name=server.name).error


def subjects() -> list[int]:
    """The numbers of the mails that are here, in the order in which they came in."""
    raws = (bytes(raw) for raw in Incoming.objects.order_by("id").values_list("raw", flat=True))
    return [int(raw.partition(b"Subject: Mail ")[2].split()[0]) for raw in raws]


def test_mail_is_fetched_once_and_nothing_in_the_mailbox_changes(dovecot: Dovecot) -> None:
    for number in (1, 2):
        dovecot.deliver(mail(number))
    assert polled(dovecot.server) == 2
    assert subjects() == [1, 2]
    assert polled(dovecot.server) == 0
    dovecot.deliver(mail(3))
    assert polled(dovecot.server) == 1
    assert subjects() == [1, 2, 3]
    noted = [name.partition(":2,")[2] for name in dovecot.flags()]
    assert noted == ["", "", ""], "neither seen nor deleted: others read it beside us"
    assert signed_in_times(dovecot.log()) == 3
    with imaplib.IMAP4_SSL("127.0.0.1", dovecot.port, ssl_context=dovecot.server.tls()) as other:
        other.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASSWORD}".encode())
        other.select("INBOX")
        assert other.search(None, "UNSEEN")[1] == [b"1 2 3"]


def test_over_starttls_it_is_the_same(dovecot: Dovecot) -> None:
    dovecot.deliver(mail(1))
    begins_plain = dovecot.url().replace("imaps://", "imap://").replace(str(dovecot.port), str(dovecot.starttls_port))
    assert polled(ImapServer.from_url(begins_plain)) == 1


def test_a_folder_is_found_by_its_name_in_any_script(dovecot: Dovecot) -> None:
    with imaplib.IMAP4_SSL("127.0.0.1", dovecot.port, ssl_context=dovecot.server.tls()) as other:
        other.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASSWORD}".encode())
        other.create('"Antwoorden &APw-ber"')
        other.append('"Antwoorden &APw-ber"', "", "", mail(7))
    assert polled(ImapServer.from_url(dovecot.url(folder=FOLDER))) == 1
    assert subjects() == [7]


def without_times(error: str) -> str:
    """Dovecot ends some answers with how long they took."""
    return re.sub(r"\([\d. +]+secs\)", "", error)


WRONG = {
    "a certificate that is not trusted": (
        lambda dovecot: dovecot.url(ca_file=""),
        ["certificate of 127.0.0.1:", "is not trusted", "?ca_file=… in BEFOREHAND_IMAP_URL"],
    ),
    "an authority's file that is not there": (
        lambda dovecot: dovecot.url(ca_file="/nowhere/ca.pem"),
        ["/nowhere/ca.pem cannot be read", "ca_file in BEFOREHAND_IMAP_URL"],
    ),
    "a host that the certificate does not name": (
        lambda dovecot: dovecot.url().replace("127.0.0.1", "localhost"),
        ["certificate of localhost:", "is not trusted", "the name in its certificate"],
    ),
    "a password that is wrong": (
        lambda dovecot: dovecot.url(password="another"),
        ["refuses the user replies", "correct user and password in BEFOREHAND_IMAP_URL"],
    ),
    "a folder that is not there": (
        lambda dovecot: dovecot.url(folder="Antwoorden"),
        ["has no folder Antwoorden", "folder at the end of BEFOREHAND_IMAP_URL"],
    ),
    "a port that speaks no TLS at once": (
        lambda dovecot: dovecot.url().replace(str(dovecot.port), str(dovecot.starttls_port)),
        ["does not speak TLS as we do", "imap:// instead of imaps:// in BEFOREHAND_IMAP_URL"],
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said_with_the_part_of_the_setting_that_mends_it(dovecot: Dovecot, wrong: str) -> None:
    dovecot.deliver(mail(1))
    make_url, words = WRONG[wrong]
    server = ImapServer.from_url(make_url(dovecot))
    assert polled(server) == 0
    found = doctor.check_replies(server)
    assert (found.check, found.state) == ("replies", State.FAILED)
    said = without_times(f"{found.found}; {found.remedy}")
    assert [one for one in words if one not in said] == [], said
    why = Mailbox.objects.get(name=server.name)
    assert why.reason in set(MailboxReason) - {MailboxReason.INTERRUPTED}, (
        "Today names the kind in its reader's language"
    )
    assert without_times(why.error) in said, "the server's own words"
    assert not [one for one in (PASSWORD, "another") if one in said + why.error]
    assert not Incoming.objects.exists()
    assert polled(dovecot.server) == 1, "and what waits there is not lost"


def test_doctor_says_that_the_mailbox_can_be_read_or_what_to_look_at_when_nobody_answers(dovecot: Dovecot) -> None:
    found = doctor.check_replies(dovecot.server)
    assert (found.state, found.found) == (State.OK, f"127.0.0.1:{dovecot.port} lets us read INBOX")
    assert not Mailbox.objects.exists(), "it only looks"
    dovecot.stop()
    found = doctor.check_replies(dovecot.server)
    assert found.state is State.FAILED
    assert "cannot be reached" in found.found
    assert "host and port in BEFOREHAND_IMAP_URL" in found.remedy


TakeIn = Callable[..., bool]


def with_second_mail(monkeypatch: pytest.MonkeyPatch, happens: Callable[[TakeIn, dict[str, Any]], bool]) -> None:
    """The second mail that is taken in meets with this."""
    real, seen = polling.take_in, []

    def take_in(**given: Any) -> bool:
        seen.append(given)
        return happens(real, given) if len(seen) == 2 else real(**given)

    monkeypatch.setattr(polling, "take_in", take_in)


class Killed(BaseException):
    """As if the process had died."""


def test_a_connection_that_is_lost_between_fetch_and_commit_loses_nothing_and_takes_nothing_twice(
    dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        dovecot.deliver(mail(number))

    def server_goes(real: TakeIn, given: dict[str, Any]) -> bool:
        dovecot.stop()
        return real(**given)

    with monkeypatch.context() as patched:
        with_second_mail(patched, server_goes)
        polled(dovecot.server)
    assert subjects() == [1, 2], "what was fetched is kept"
    assert error_of(dovecot.server) != ""
    dovecot.start()
    assert polled(dovecot.server) == 1
    assert subjects() == [1, 2, 3]
    assert error_of(dovecot.server) == ""


@pytest.mark.parametrize("moment", ["before the commit", "after the commit and before the place is noted"])
@pytest.mark.parametrize("trouble", [OperationalError, Killed], ids=["the database goes", "the reader dies"])
def test_whatever_ends_the_reader_between_fetch_and_noting_how_far_it_is_each_mail_comes_in_once(
    dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch, moment: str, trouble: type[BaseException]
) -> None:
    for number in (1, 2, 3):
        dovecot.deliver(mail(number))

    def ends(real: TakeIn, given: dict[str, Any]) -> bool:
        if moment.startswith("after"):
            real(**given)
        raise trouble("gone")

    with monkeypatch.context() as patched:
        with_second_mail(patched, ends)
        with pytest.raises(trouble):
            polled(dovecot.server)
    assert subjects() == ([1, 2] if moment.startswith("after") else [1])
    assert polled(dovecot.server) == (1 if moment.startswith("after") else 2)
    assert subjects() == [1, 2, 3]
    assert polled(dovecot.server) == 0
