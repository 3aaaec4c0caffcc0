"""What customers answer by mail comes back to where it belongs: once, to the right one, whatever else lies in the mailbox."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import EmailMessage
from html import escape
from typing import Any

import pytest
from django.test import Client

from beforehand.conversations import actions, polling
from beforehand.conversations.actions import forget_raw, read_waiting, take_in
from beforehand.conversations.models import Incoming, Mailbox, MessageIn
from beforehand.conversations.polling import poll_mailbox
from beforehand.customers.actions import add_contact_point
from beforehand.customers.erasure import erase_customer, export_customer
from beforehand.engine.incoming.mime import MOST_PARTS
from beforehand.events.models import Event
from beforehand.incidents.models import Incident
from beforehand.insights.queries import incident_report
from beforehand.kit.clock import travel
from tests.cast import Cast
from tests.console.conftest import at, room
from tests.conversations.conftest import Post
from tests.conversations.imap_server import ImapMailServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def test_an_answer_comes_back_to_the_room_of_its_incident(
    cast: Cast, outage: Incident, post: Post, agent: Client
) -> None:
    with travel(at(6)):
        post.comes_in(
            post.answer(
                "bram",
                "Bij ons werkt het weer.\n\nOp ma 23 nov 2026 om 11:03 schreef Beforehand <r@b.example>:\n> Storing\n",
            )
        )
        page = agent.get(room(outage)).content.decode()
    said = MessageIn.objects.get()
    assert (said.customer_id, said.origin, said.new_text) == (
        cast.bram.pk,
        f"incident:{outage.pk}",
        "Bij ons werkt het weer.",
    )
    assert said.text.endswith("> Storing\n")
    assert (said.language, said.is_known_sender, said.matched_by) == ("nl", True, "reply_address")
    assert "Bij ons werkt het weer." in page
    assert "Bram de Vries" in page
    assert "Storing" not in page.partition('id="replies"')[2].partition("</section>")[0]
    event = Event.objects.get(type="conversation.message_received")
    assert (event.customer_id, event.subject, event.data["message_in"]) == (cast.bram.pk, said.origin, said.pk)


def test_the_same_mail_again_and_the_same_answer_by_another_way_change_nothing(outage: Incident, post: Post) -> None:
    with travel(at(6)):
        mail = post.answer("bram", "Het werkt.")
        assert post.comes_in(mail) == 1
        assert post.comes_in() == 0
        again = post.answer("bram", "Het werkt.", X_Copy="by another server")
        assert post.comes_in(mail, again) == 1
    assert MessageIn.objects.count() == 1
    assert Event.objects.filter(type="conversation.message_received").count() == 1


def test_a_mailbox_that_was_made_anew_is_read_again_and_nothing_is_taken_twice(outage: Incident, post: Post) -> None:
    with travel(at(6)):
        post.comes_in(post.answer("bram", "Het werkt."))
        assert Mailbox.objects.get().last_uid == 1
        Mailbox.objects.update(uid_validity=1, last_uid=700)
        assert post.comes_in(post.answer("dana", "Works.")) == 1
    assert sorted(MessageIn.objects.values_list("new_text", flat=True)) == ["Het werkt.", "Works."]


def test_without_its_reply_address_an_answer_is_found_by_what_it_refers_to(
    cast: Cast, outage: Incident, post: Post
) -> None:
    to = "service@company.example"
    with travel(at(6)):
        post.comes_in(
            post.answer("bram", "Een", To=to, References=None),
            post.answer("dana", "Two", To=to, In_Reply_To=None),
        )
    assert set(MessageIn.objects.values_list("customer_id", "matched_by", "origin")) == {
        (one.pk, "reference", f"incident:{outage.pk}") for one in (cast.bram, cast.dana)
    }


def test_a_header_with_nothing_in_it_matches_nobody(cast: Cast, outage: Incident, post: Post) -> None:
    with travel(at(6)):
        for empty in ("", "<>", "<@>", "< >"):
            headers = f"From: zeno@elsewhere.example\nIn-Reply-To: {empty}\nReferences: {empty}\nMessage-ID: {empty}\n"
            post.comes_in(f"{headers}\nHi {empty}\n".encode())
    assert not MessageIn.objects.exists()
    assert set(Incoming.objects.values_list("state", "reason")) == {("aside", "stranger")}


def stranger(text: str, **headers: str) -> EmailMessage:
    """A mail of Zeno, whom nobody knows."""
    mail = EmailMessage()
    for name, value in {"From": "zeno@elsewhere.example", "To": "service@company.example", **headers}.items():
        if value:
            mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail


def test_a_forged_reply_address_is_refused_whoever_writes(
    cast: Cast, outage: Incident, post: Post, agent: Client
) -> None:
    with travel(at(6)):
        real = post.told("bram")["Reply-To"]
        signature = real.partition("@")[0].rpartition(".")[2]
        forged = real.replace(signature, signature[::-1])
        post.comes_in(post.answer("dana", "Let me in", To=forged, In_Reply_To=None, References=None))
        page = agent.get("/console/replies/aside/").content.decode()
    assert not MessageIn.objects.exists()
    assert Incoming.objects.get().reason == "forged"
    assert "looks like one of ours and is not" in page


def test_who_answers_from_another_address_is_heard_and_marked(
    cast: Cast, outage: Incident, post: Post, agent: Client
) -> None:
    with travel(at(6)):
        post.comes_in(post.answer("bram", "Ik ben zijn zoon.", From="zoon@elsewhere.example"))
        page = agent.get(room(outage)).content.decode()
    said = MessageIn.objects.get()
    assert (said.customer_id, said.is_known_sender, said.sender) == (cast.bram.pk, False, "zoon@elsewhere.example")
    assert "unknown sender" in page


def test_an_automatic_answer_is_kept_on_the_customers_page_and_waits_for_nobody(
    cast: Cast, outage: Incident, post: Post, agent: Client
) -> None:
    with travel(at(6)):
        post.comes_in(post.answer("bram", "Ik ben tot maandag weg.", Auto_Submitted="auto-replied"))
        today, customer = (
            agent.get(place).content.decode() for place in ("/console/", f"/console/customers/{cast.bram.public_id}/")
        )
    assert MessageIn.objects.get().kind == "auto_reply"
    assert "Unanswered replies" not in today
    assert "An automatic answer came back" in customer
    assert "Ik ben tot maandag weg." in customer


def test_a_mail_that_nobody_can_read_is_put_aside_and_holds_up_nothing(
    outage: Incident, post: Post, agent: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\na\r\n" * (MOST_PARTS + 1) + b"--x--\r\n"
    with travel(at(6)):
        monkeypatch.setattr(polling, "LARGEST", 100_000)
        large = post.answer("aisha", "x" * 120_000)
        assert post.comes_in(parts, large, post.answer("bram", "Het werkt.")) == 2  # the large one is put aside at once
        page = agent.get("/console/replies/aside/").content.decode()
    assert MessageIn.objects.get().new_text == "Het werkt."
    assert set(Incoming.objects.filter(state="aside").values_list("reason", flat=True)) == {"unreadable", "too_large"}
    assert "could not be taken apart" in page
    assert "larger than we take in" in page


def test_what_kills_its_reader_is_put_aside_in_the_end(
    outage: Incident, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """As if the process had died."""

    def dies(*_: object, **__: object) -> None:
        raise Killed

    with travel(at(6)):
        take_in(channel="email", raw=b"Subject: death\r\n\r\n", now=at(6))
    with monkeypatch.context() as patched:
        patched.setitem(actions.READERS, "email", dies)
        for attempt in range(3):
            with pytest.raises(Killed):
                read_waiting(now=at(6 + 10 * attempt))
            assert read_waiting(now=at(7 + 10 * attempt)) == 0  # nobody else takes it while it may still be read
    with travel(at(60)):
        assert post.comes_in(post.answer("bram", "Het werkt.")) == 2
    assert Incoming.objects.get(state="aside").reason == "stops_the_reader"
    assert MessageIn.objects.get().new_text == "Het werkt."


def test_a_mail_server_that_is_away_is_a_trouble_after_a_while_and_nothing_is_lost(
    outage: Incident, post: Post, imap: ImapMailServer, agent: Client
) -> None:
    with travel(at(6)):
        post.comes_in(post.answer("bram", "Een"))
        imap.stop()
        poll_mailbox(imap.server, now=at(6))
        assert "cannot be read" not in agent.get("/console/").content.decode()
    with travel(at(20)):
        poll_mailbox(imap.server, now=at(20))
        assert "The mailbox for replies cannot be read" in agent.get("/console/").content.decode()
        with imap:
            post.comes_in(post.answer("dana", "Two"))
        assert "cannot be read" not in agent.get("/console/").content.decode()
    assert MessageIn.objects.count() == 2


@contextmanager
def a_server_that_says_nothing() -> Iterator[int]:
    """Takes a connection, and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize(
    ("changes", "reason", "sentence", "said"),
    [
        ({"password": "wrong"}, "sign_in_refused", "refuses the user name or the password", "nvalid"),
        ({"port": 1}, "unreachable", "cannot be reached", "refused"),
        ({"is_implicit": True}, "no_tls", "does not speak TLS as we do", "SSL"),
        ({"folder": "Nowhere"}, "no_folder", "no such folder", "NO"),
        ({"port": 0, "timeout": 0.2}, "timeout", "does not answer in time", "timed out"),
    ],
)
def test_why_a_mailbox_cannot_be_read_is_said_by_kind_with_the_servers_own_words(
    outage: Incident,
    imap: ImapMailServer,
    agent: Client,
    changes: dict[str, Any],
    reason: str,
    sentence: str,
    said: str,
) -> None:
    with imap, a_server_that_says_nothing() as silent:
        server = replace(imap.server, **({**changes, "port": silent} if changes.get("port") == 0 else changes))
        with travel(at(6)):
            poll_mailbox(server, now=at(6))
    row = Mailbox.objects.get(name=server.name)
    assert row.reason == reason
    assert said in row.error
    with travel(at(20)):
        html = agent.get("/console/").content.decode()
    assert sentence in html
    assert f"The server says: “{escape(row.error)}”" in html


def test_a_mailbox_is_read_by_one_worker_at_a_time(outage: Incident, post: Post, imap: ImapMailServer) -> None:
    with travel(at(6)):
        post.comes_in()
        Mailbox.objects.update(claimed_until=at(8))
        imap.deliver(post.answer("bram", "Het werkt.").as_bytes())
        assert poll_mailbox(imap.server, now=at(7)) == 0
        assert poll_mailbox(imap.server, now=at(9)) == 1


def test_somebody_sees_to_it_once_and_it_waits_no_longer(
    cast: Cast, outage: Incident, post: Post, agent: Client, viewer: Client
) -> None:
    with travel(at(6)):
        post.comes_in(post.answer("bram", "Bel mij."))
        said = MessageIn.objects.get()
        place = f"/console/replies/{said.public_id}/"
        assert "Unanswered replies" in agent.get("/console/").content.decode()
        assert viewer.post(f"{place}handled/").status_code == 403
        assert agent.post(f"{place}handled/", {"back": "https://elsewhere.example/"})["Location"] == "/console/replies/"
        assert agent.post(f"{place}handled/", {"back": room(outage)})["Location"] == room(outage)
        pages = [agent.get(where).content.decode() for where in ("/console/", room(outage), place)]
    said.refresh_from_db()
    assert (said.handled_by, said.handled_at) == (cast.ester, at(6))
    assert Event.objects.filter(type="conversation.message_handled").count() == 1
    assert "Unanswered replies" not in pages[0]
    assert "seen to by" in pages[1]
    assert "Mark as seen to" not in pages[2]


def test_a_hostile_mail_shows_its_words_and_runs_nothing(outage: Incident, post: Post, agent: Client) -> None:
    mail = post.answer("bram", "<script>alert(1)</script> & <img src=x onerror=alert(2)>")
    mail.add_alternative(
        '<p onclick="alert(3)">Hi<script>alert(4)</script><img src="http://spy.example/x.png">'
        '<a href="javascript:alert(5)">x</a><iframe src="//spy.example"></iframe><form action="//spy.example"></p>',
        subtype="html",
    )
    with travel(at(6)):
        post.comes_in(mail)
        said = MessageIn.objects.get()
        shown = [
            agent.get(where) for where in (room(outage), "/console/replies/", f"/console/replies/{said.public_id}/")
        ]
        html = agent.get(f"/console/replies/{said.public_id}/html/")
        raw = agent.get(f"/console/replies/aside/{said.incoming.public_id}/") if said.incoming else None
    for page in shown:
        assert "&lt;script&gt;alert(1)" in page.content.decode()
        assert "<script>alert(1)" not in page.content.decode()
    for danger in ("script", "onclick", "javascript:", "iframe", "spy.example", "form"):
        assert danger not in html.content.decode()
    assert "sandbox" in html["Content-Security-Policy"]
    assert raw is not None
    assert raw["Content-Disposition"].startswith("attachment")


def test_a_mail_that_answers_nothing_lies_with_the_one_customer_who_has_its_address(
    cast: Cast, outage: Incident, post: Post
) -> None:
    with travel(at(6)):
        post.comes_in(
            stranger("Hello", From="Dana <DANA@customers.example>"),
            stranger("Who am I?"),
        )
        add_contact_point(cast.bram.pk, channel="email", address="dana@customers.example", actor="test")
        post.comes_in(stranger("Which of us?", From="dana@customers.example"))
    said = MessageIn.objects.get()
    assert (said.customer_id, said.origin, said.matched_by) == (cast.dana.pk, "", "sender")
    assert set(Incoming.objects.filter(state="aside").values_list("reason", flat=True)) == {
        "stranger",
        "several_customers",
    }


def test_what_a_customer_wrote_is_given_out_and_erased(cast: Cast, outage: Incident, post: Post) -> None:
    with travel(at(6)):
        post.comes_in(post.answer("bram", "Mijn geheim is 4711."))
        assert "Mijn geheim is 4711." in str(export_customer(cast.bram.pk, actor="test"))
        erase_customer(cast.bram.pk, reason="asked us to", actor="test", is_forced=True)
    said = MessageIn.objects.get()
    assert (said.text, said.sender, said.customer_id) == ("", "", cast.bram.pk)
    assert bytes(Incoming.objects.get().raw) == b""


def test_the_raw_copy_is_dropped_in_time_and_what_was_read_stays(outage: Incident, post: Post) -> None:
    with travel(at(6)):
        post.comes_in(post.answer("bram", "Het werkt."))
        assert forget_raw(older_than=at(5)) == 0
        assert forget_raw(older_than=at(7)) == 1
    assert MessageIn.objects.get().text.strip() == "Het werkt."


def test_who_wrote_first_counts_in_the_report_and_a_machine_does_not(cast: Cast, outage: Incident, post: Post) -> None:
    with travel(at(6)):
        post.comes_in(post.answer("dana", "On holiday.", Auto_Submitted="auto-replied"))
        assert incident_report(outage, now=at(7)).contacts == 0
    with travel(at(9)):
        post.comes_in(post.answer("bram", "Het werkt."))
        report = incident_report(outage, now=at(10))
    assert (report.contacts, report.first_contact_at, report.told_before_contact) == (1, at(9), 1)
