"""What a mail that comes in is: written by a person or not, why it came back, what is new in it; and that none stops us."""

from email.message import EmailMessage, MIMEPart

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.engine.contacts import CAME_BACK, ContactFault
from beforehand.engine.incoming.bounces import HARD, BounceReason, bounce_of
from beforehand.engine.incoming.kinds import MailKind, kind_of
from beforehand.engine.incoming.markup import text_of_html
from beforehand.engine.incoming.mime import MOST_PARTS, Mail, UnreadableMailError, header_words, read_mail
from beforehand.engine.incoming.replies import newly_written
from beforehand.engine.incoming.words import OptWord, language_written, opt_word
from beforehand.engine.retries import RetryReason, retry_after_bounce


def a_mail(text: str = "Hello", **headers: str) -> Mail:
    mail = EmailMessage()
    for name, value in {"From": "bram@customers.example", "Subject": "Re: Outage", **headers}.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return read_mail(mail.as_bytes())


def a_report(
    *,
    status: str = "5.1.1",
    action: str = "failed",
    diagnostic: str = "smtp; 550 5.1.1 <x@y.example>: user unknown",
    text: str = "I could not deliver it.",
) -> Mail:
    """An RFC 3464 report, as Postfix writes one."""
    fields = (
        f"Final-Recipient: rfc822; x@y.example\nAction: {action}\nStatus: {status}\nDiagnostic-Code: {diagnostic}\n"
    )
    raw = (
        "From: MAILER-DAEMON@mx.example\nSubject: Undelivered Mail Returned to Sender\nReturn-Path: <>\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        f"--b\nContent-Type: text/plain\n\n{text}\n"
        f"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n{fields}\n"
        "--b\nContent-Type: message/rfc822\n\nMessage-ID: <1@ours.example>\nSubject: Outage\n\nBody\n--b--\n"
    )
    return read_mail(raw.encode())


@pytest.mark.parametrize(
    ("mail", "kind"),
    [
        (a_mail(), MailKind.WRITTEN),
        (a_mail(Subject="Re: Undelivered parcel"), MailKind.WRITTEN),
        (a_mail(Auto_Submitted="no"), MailKind.WRITTEN),
        (a_mail(Auto_Submitted="auto-replied"), MailKind.AUTO_REPLY),
        (a_mail(Auto_Submitted="auto-generated; x=y"), MailKind.AUTO_REPLY),
        (a_mail(Subject="Automatisch antwoord: Storing"), MailKind.AUTO_REPLY),
        (a_mail(Subject="رد تلقائي: انقطاع"), MailKind.AUTO_REPLY),
        (a_mail(Precedence="auto_reply"), MailKind.AUTO_REPLY),
        (a_mail(X_Autoreply="yes"), MailKind.AUTO_REPLY),
        (a_mail(Precedence="bulk"), MailKind.MACHINE),
        (a_mail(List_Id="<news.example>"), MailKind.MACHINE),
        (a_report(), MailKind.BOUNCE),
        (a_report(action="delayed", status="4.4.1"), MailKind.DELAYED),
        (a_report(action="delivered", status="2.0.0"), MailKind.ARRIVED),
        (a_report(action="", status="2.1.5"), MailKind.ARRIVED),
        (a_mail("Hi. This is the qmail-send program at mx.example.", From="MAILER-DAEMON@mx.example"), MailKind.BOUNCE),
        (a_mail(X_Failed_Recipients="x@y.example", From="Mailer-Daemon@mx.example"), MailKind.BOUNCE),
        (
            a_mail("You do not need to resend it.", From="MAILER-DAEMON@x.example", Subject="Warning: could not send"),
            MailKind.DELAYED,
        ),
        (a_mail('{"notificationType":"Bounce","bounce":{"bounceType":"Permanent"}}'), MailKind.BOUNCE),
        (a_mail(From="staff@hotmail.com", Subject="complaint about message from 192.0.2.1"), MailKind.COMPLAINT),
    ],
)  # fmt: skip
def test_it_knows_who_speaks(mail: Mail, kind: MailKind) -> None:
    assert kind_of(mail) is kind


@pytest.mark.parametrize(
    ("about", "kind"), [("abuse", "complaint"), ("auth-failure", "machine"), ("not-spam", "machine")]
)
def test_a_feedback_report_is_a_complaint_if_somebody_complains(about: str, kind: str) -> None:
    raw = (
        'From: fbl@provider.example\nContent-Type: multipart/report; report-type=feedback-report; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nAn abuse report.\n"
        f"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: {about}\nUser-Agent: x\n\n--b--\n"
    )
    assert kind_of(read_mail(raw.encode())) == kind


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [
        ("550 5.1.1 user unknown", "5.1.1", BounceReason.NO_SUCH_MAILBOX),
        ("550 5.1.1 The mailbox is full", "5.1.1", BounceReason.MAILBOX_FULL),
        ("552 over quota", "5.2.2", BounceReason.MAILBOX_FULL),
        ("550 5.7.1 Message rejected as spam", "5.7.1", BounceReason.SPAM),
        ("554 5.7.1 rejected: sender's domain does not exist", "5.7.1", BounceReason.POLICY),
        ("550 5.7.26 unauthenticated sender, DMARC", "5.7.26", BounceReason.POLICY),
        ("554 your IP is on a blacklist, see spamhaus", "5.7.1", BounceReason.BLOCKED),
        ("550 Account disabled", "5.2.1", BounceReason.MAILBOX_OFF),
        ("Host or domain name not found", "5.4.4", BounceReason.NO_SUCH_DOMAIN),
        ("Host or domain name not found", "4.4.3", BounceReason.NOT_REACHED),
        ("551 the user has moved, please try the new address", "5.1.6", BounceReason.MOVED),
        ("returned Null MX", "5.7.27", BounceReason.TAKES_NO_MAIL),
        ("552 message size exceeds the limit", "5.3.4", BounceReason.TOO_LARGE),
        ("421 too many connections", "4.7.0", BounceReason.TOO_MUCH),
        ("connection timed out", "4.4.1", BounceReason.NOT_REACHED),
        ("451 local error in processing", "4.3.0", BounceReason.FAULT),
        ("550 no", "5.1.1", BounceReason.NO_SUCH_MAILBOX),
        ("550 no", "5.5.0", BounceReason.NOT_SAID),
        ("550 user unknown (in reply to end of DATA command)", "5.0.0", BounceReason.POLICY),
    ],
)
def test_the_words_say_why_it_came_back_and_the_code_where_they_do_not(
    said: str, status: str, reason: BounceReason
) -> None:
    assert bounce_of(a_report(status=status, diagnostic=f"smtp; {said}")).reason is reason


def test_a_report_without_form_is_read_by_its_words_and_not_by_those_of_the_mail_that_it_copies() -> None:
    report = a_mail(
        "I'm afraid I wasn't able to deliver your message.\n<x@y.example>: host mx said: 550 5.1.1 Unknown user\n"
        "--- Below this line is a copy of the message.\nYour mailbox is full of spam policy\n",
        From="MAILER-DAEMON@mx.example",
        Subject="failure notice",
    )
    bounce = bounce_of(report)
    assert (bounce.reason, bounce.status, bounce.is_hard) == (BounceReason.NO_SUCH_MAILBOX, "5.1.1", True)


def test_an_address_that_is_called_spam_or_unknown_is_no_reason() -> None:
    report = a_report(diagnostic="smtp; 552 <unknown.user.spam@policy.example>: over quota", status="5.0.0")
    assert bounce_of(report).reason is BounceReason.MAILBOX_FULL


def test_only_what_speaks_of_the_address_is_held_against_it() -> None:
    assert {reason.value for reason in HARD} == CAME_BACK
    for reason in BounceReason:
        retry = retry_after_bounce(bounce_of(a_report()).__class__(reason))
        assert retry.reason is RetryReason(reason.value)
        assert (retry.fault is ContactFault.UNKNOWN) == (reason in HARD)


@pytest.mark.parametrize(
    ("quoted", "new"),
    [
        ("It works.\n\nOn Mon, 23 Nov 2026 at 11:00, Us <r@ours.example> wrote:\n> Outage\n", "It works."),
        (
            "Werkt weer.\n\nOp ma 23 nov 2026 om 11:00 schreef Wij <\nr@ours.example>:\n\n> Storing\n> nu\n",
            "Werkt weer.",
        ),
        ("يعمل الآن.\n\nفي الاثنين، 23 نوفمبر 2026 كتب نحن <r@ours.example>:\n> انقطاع\n", "يعمل الآن."),
        ("अब चल रहा है।\n\nसोम, 23 नव॰ 2026 को Us <r@ours.example> ने लिखा:\n> आउटेज\n", "अब चल रहा है।"),
        ("Fine.\n\n-----Original Message-----\nFrom: Us\nSubject: Outage\n", "Fine."),
        ("Prima.\n\n________________________________\nVan: Wij\nVerzonden: maandag\nAan: mij\n", "Prima."),
        ("शुक्रिया\n\nप्रेषक: Us\nविषय: आउटेज\n", "शुक्रिया"),
        ("Ok.\n-- \nBram de Vries\n+31612345678", "Ok."),
        ("Ok.\n\nVerzonden vanaf mijn iPhone", "Ok."),
        ("> Does it work?\nYes.\n> Since when?\nToday.\n", "Yes.\nToday."),
        ("From: the window I see a van: yours.", "From: the window I see a van: yours."),
        ("At 10:30 he wrote:\nnothing", "At 10:30 he wrote:\nnothing"),
        ("> only quoted", "> only quoted"),
        ("", ""),
    ],
)
def test_what_is_newly_written_is_shown_without_what_it_quotes(quoted: str, new: str) -> None:
    assert newly_written(quoted) == new


@given(st.text(max_size=400))
def test_an_answer_is_never_empty_if_there_is_something_in_it(text: str) -> None:
    assert bool(newly_written(text)) == bool(text.strip())


@given(st.binary(max_size=600))
def test_whatever_bytes_come_in_something_is_read(raw: bytes) -> None:
    mail = read_mail(raw)
    assert "\0" not in mail.text
    kind_of(mail)
    bounce_of(mail)


@pytest.mark.parametrize(
    "broken",
    [
        b"Content-Type: text/plain; charset=klingon\r\n\r\ncaf\xe9",
        b"Content-Type: text/plain; charset*=\r\nSubject: =?utf-8?b?!!!?=\r\n\r\ncaf\xc3\xa9",
        b"Content-Type: multipart/mixed\r\n\r\ncaf\xc3\xa9",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\n***caf\xc3\xa9***\r\n",
        b"Content-Type: text/html\r\n\r\n<head><p>caf&eacute;",
        b"Content-Type: text/html\r\n\r\n<title>caf\xc3\xa9",
        b"\r\nSubject: x\r\n\r\ncaf\xc3\xa9",
    ],
)
def test_a_broken_mail_keeps_its_text(broken: bytes) -> None:
    assert "caf" in read_mail(broken).text


def test_parts_without_end_are_refused_and_not_read_for_ever() -> None:
    many = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\na\r\n" * (MOST_PARTS + 1) + b"--x--\r\n"
    with pytest.raises(UnreadableMailError):
        read_mail(many)
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth) for depth in range(5_000)
    )
    with pytest.raises(UnreadableMailError):
        read_mail(nested)


def test_attachments_are_named_and_not_read_as_text() -> None:
    mail = EmailMessage()
    mail.set_content("See the picture.")
    mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="rekening.pdf")
    mail.add_attachment("a,b", subtype="csv", filename="list.csv")
    assert isinstance(mail, MIMEPart)
    read = read_mail(mail.as_bytes())
    assert (read.text.strip(), read.attachments) == ("See the picture.", ("rekening.pdf", "list.csv"))


def test_html_becomes_text_with_its_lines_and_quotations() -> None:
    markup = "<style>p{}</style><p>One<br>two</p><script>alert(1)</script><blockquote>Old</blockquote><div>New&nbsp;here</div>"
    assert text_of_html(markup) == "One\ntwo\n\n> Old\nNew here"


def test_a_header_is_read_as_people_read_it() -> None:
    assert header_words("=?utf-8?q?St=C3=B6rung?= =?utf-8?q?_jetzt?=") == "Störung jetzt"
    assert header_words("=?nonsense?x?y?=") == "=?nonsense?x?y?="


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("STOP", OptWord.STOP), (" Stop. ", OptWord.STOP), ("stop all", OptWord.STOP), ("afmelden", OptWord.STOP),
        ("توقف", OptWord.STOP), ("बंद करें", OptWord.STOP), ("START", OptWord.START), ("unstop", OptWord.START),
        ("Please stop the noise", None), ("", None), ("It works again", None),
    ],
)  # fmt: skip
def test_only_the_word_alone_stops_and_starts(text: str, word: OptWord | None) -> None:
    assert opt_word(text) is word


@pytest.mark.parametrize(
    ("text", "expected", "language"),
    [
        ("شكرا", "nl", "ar"), ("धन्यवाद", "en", "hi"), ("Dank je", "nl", "nl"), ("Thanks", "ar", ""), ("123", "nl", ""),
    ],
)  # fmt: skip
def test_the_script_says_the_language_as_far_as_it_can(text: str, expected: str, language: str) -> None:
    assert language_written(text, expected=expected) == language
