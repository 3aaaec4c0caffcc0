"""Conversations over real sockets: with a well-behaved server (plain, STARTTLS, TLS, signed in) and with bad ones."""

import asyncio
import datetime
import queue
import ssl
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.outbound.scripted_server import Act, ScriptedServer

from beforehand.outbound.smtp import Courier, Outcome, Outgoing, SendResult, SmtpConnection, SmtpPool, SmtpServer
from beforehand.outbound.smtp_handshake import SmtpUrlError, Tls
from beforehand.outbound.smtp_protocol import SmtpUnavailableError

A, D, R, U, N = SendResult.ACCEPTED, SendResult.DEFERRED, SendResult.REJECTED, SendResult.UNCERTAIN, SendResult.UNSENT
BODY = b"Subject: news\r\n\r\n.dots\r\n..and more\r\nhello\r\n"
T = TypeVar("T")


def run(steps: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(steps)


def mails(count: int, data: bytes = BODY) -> list[Outgoing]:
    return [Outgoing(number, "us@b.example", f"c{number}@e.example", data) for number in range(count)]


def at(port: int, **settings: Any) -> SmtpServer:
    return SmtpServer("127.0.0.1", port, **({"timeout": 5.0, "dot_timeout": 5.0} | settings))


def impatient(port: int) -> SmtpServer:
    return at(port, timeout=0.15, dot_timeout=0.2)


def send(server: SmtpServer, *flights: list[Outgoing], max_messages: int = 1_000) -> list[Outcome]:
    async def steps() -> list[Outcome]:
        connection = SmtpConnection(server, max_messages=max_messages)
        outcomes = [outcome for flight in flights for outcome in await connection.send_flight(flight)]
        await connection.close()
        return outcomes

    return run(steps())


def results(outcomes: list[Outcome]) -> list[SendResult]:
    return [outcome.result for outcome in outcomes]


# A server as it should be -------------------------------------------------------------------------------------------


class Mailbox:
    def __init__(self) -> None:
        self.taken: list[tuple[str | None, list[str], bytes, bool]] = []

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content
        assert content is not None
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, content, session.ssl is not None))
        return "250 2.0.0 taken"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and localhost with its key, in one file."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


class _Controller(Controller):
    """Binds port 0 and knows which it got."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def only_dana(server: Any, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword) -> AuthResult:
    return AuthResult(success=data == LoginPassword(b"dana", "wacht:woord@é".encode()), handled=False)


@pytest.fixture
def controllers() -> Iterator[list[_Controller]]:
    started: list[_Controller] = []
    yield started
    for controller in started:
        controller.stop()


def started(controllers: list[_Controller], **settings: Any) -> tuple[Mailbox, int]:
    mailbox = Mailbox()
    controller = _Controller(mailbox, hostname="127.0.0.1", port=0, **settings)
    controller.start()
    controllers.append(controller)
    return mailbox, controller.port


def test_a_flight_arrives_byte_for_byte(controllers: list[_Controller]) -> None:
    mailbox, port = started(controllers)
    assert results(send(at(port), mails(5), mails(2))) == [A] * 7
    assert mailbox.taken[0] == ("us@b.example", ["c0@e.example"], BODY, False)
    assert [each[1][0] for each in mailbox.taken] == [f"c{number}@e.example" for number in (0, 1, 2, 3, 4, 0, 1)]


def test_an_internationalised_recipient_is_served_where_the_server_can(controllers: list[_Controller]) -> None:
    mailbox, port = started(controllers, enable_SMTPUTF8=True)
    sent = send(at(port), [Outgoing(1, "us@b.example", "عائشة@e.example", BODY)])
    assert results(sent) == [A]
    assert mailbox.taken[0][1] == ["عائشة@e.example"]


def test_starttls_with_sign_in_and_a_certificate_that_is_checked(
    controllers: list[_Controller], server_tls: ssl.SSLContext, certificate: Path
) -> None:
    mailbox, port = started(
        controllers, tls_context=server_tls, require_starttls=True, authenticator=only_dana, auth_required=True
    )
    url = f"smtp+starttls://dana:wacht%3Awoord%40%C3%A9@localhost:{port}?ca_file={certificate}&timeout=5"
    assert results(send(SmtpServer.from_url(url), mails(60)[:50], mails(3))) == [A] * 53
    assert all(over_tls for *_, over_tls in mailbox.taken)


def test_a_certificate_that_nobody_vouches_for_is_not_trusted_unless_told(
    controllers: list[_Controller], server_tls: ssl.SSLContext
) -> None:
    mailbox, port = started(controllers, tls_context=server_tls, require_starttls=True)
    refused = send(at(port, tls=Tls.STARTTLS), mails(1))
    assert results(refused) == [N]
    assert "certificate" in refused[0].text.lower()
    assert mailbox.taken == []
    assert results(send(at(port, tls=Tls.STARTTLS, verify=False), mails(1))) == [A]


def test_tls_from_the_first_byte(controllers: list[_Controller], server_tls: ssl.SSLContext, certificate: Path) -> None:
    mailbox, port = started(controllers, ssl_context=server_tls)
    server = SmtpServer.from_url(f"smtps://127.0.0.1:{port}?ca_file={certificate}&timeout=5")
    assert results(send(server, mails(2, b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" * 70_000))) == [A, A]
    assert len(mailbox.taken) == 2


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("left_out", [[], ["PLAIN"]])
def test_sign_in_with_plain_or_login_over_loopback(controllers: list[_Controller], left_out: list[str]) -> None:
    _, port = started(
        controllers,
        authenticator=only_dana,
        auth_required=True,
        auth_require_tls=False,
        auth_exclude_mechanism=left_out,
    )
    assert results(send(at(port, user="dana", password="wacht:woord@é"), mails(1))) == [A]
    wrong = send(at(port, user="dana", password="zeno"), mails(2))
    assert results(wrong) == [N, N]
    assert (wrong[0].code, "sign-in" in wrong[0].text) == (535, True)


def test_sign_in_with_cram_md5() -> None:
    def script(command: str, nth: int) -> str | None:
        if command == "AUTH CRAM-MD5":
            return "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"
        if command == "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw":  # the example in RFC 2195
            return "235 2.7.0 welcome"
        return None

    with ScriptedServer(script, features=("PIPELINING", "AUTH CRAM-MD5")) as server:
        assert results(send(at(server.port, user="tim", password="tanstaaftanstaaf"), mails(1))) == [A]


@pytest.mark.parametrize(
    ("features", "answers", "words"),
    [
        (("PIPELINING",), {}, "no sign-in that we know"),
        (("AUTH GSSAPI",), {}, "GSSAPI"),
        (("AUTH CRAM-MD5",), {"AUTH": "334 ***"}, "challenge"),
        (("AUTH LOGIN",), {"AUTH": "504 5.5.4 no"}, "504"),
    ],
)
def test_a_sign_in_that_cannot_be_leaves_all_unsent(
    features: tuple[str, ...], answers: dict[str, str], words: str
) -> None:
    with ScriptedServer(lambda command, nth: answers.get(command.split()[0]), features=features) as server:
        outcomes = send(at(server.port, user="tim", password="x"), mails(1))
    assert results(outcomes) == [N]
    assert words in outcomes[0].text


def test_nothing_is_sent_in_the_open_when_tls_was_asked_for() -> None:
    with ScriptedServer() as server:
        outcomes = send(at(server.port, tls=Tls.STARTTLS), mails(1))
        assert "STARTTLS" in outcomes[0].text
        assert server.accepted == []
    with ScriptedServer(
        lambda command, _: "454 no" if command == "STARTTLS" else None, features=("STARTTLS",)
    ) as server:
        assert send(at(server.port, tls=Tls.STARTTLS), mails(1))[0].code == 454
        assert server.accepted == []


def test_words_slipped_in_before_tls_end_the_conversation() -> None:
    script = {"STARTTLS": "220 go\r\n250 evil"}
    with ScriptedServer(lambda command, _: script.get(command), features=("STARTTLS",)) as server:
        outcomes = send(at(server.port, tls=Tls.STARTTLS, verify=False), mails(1))
    assert results(outcomes) == [N]
    assert "before TLS began" in outcomes[0].text


# Servers as they also are -------------------------------------------------------------------------------------------


def test_a_pipelining_server_gets_body_and_next_envelope_in_one_go() -> None:
    with ScriptedServer() as server:
        assert results(send(at(server.port), mails(3))) == [A] * 3
        assert any(b"\r\n.\r\nMAIL FROM" in segment for segment in server.segments)
        assert [each.data for each in server.accepted] == [BODY] * 3


def test_a_server_of_the_old_kind_gets_helo_and_one_command_at_a_time() -> None:
    with ScriptedServer(lambda command, _: "502 5.5.1 no" if command.startswith("EHLO") else None) as server:
        assert results(send(at(server.port), mails(3))) == [A] * 3
        assert not any(b"RCPT" in segment and b"MAIL" in segment for segment in server.segments)


@pytest.mark.parametrize("features", [("PIPELINING",), ()])
def test_each_refusal_belongs_to_its_message_and_the_rest_get_through(features: tuple[str, ...]) -> None:
    def script(command: str, nth: int) -> str | None:
        if command.startswith("MAIL") and nth == 0:
            return "451 4.3.0 later"
        if command.startswith("RCPT TO:<c2@"):
            return "550-5.1.1 no\r\n550 5.1.1 such user"
        if command == "." and nth == 1:
            return "452 4.2.2 mailbox full"
        if command == "." and nth == 3:
            return "554 5.7.1 spam"
        return None

    with ScriptedServer(script, features=features) as server:
        outcomes = send(at(server.port), mails(7))
        assert server.recipients == ["c1@e.example", "c4@e.example", "c6@e.example"]
    assert results(outcomes) == [D, A, R, D, A, R, A]
    assert (outcomes[2].code, outcomes[2].enhanced, outcomes[2].text) == (550, "5.1.1", "no such user")


def test_a_greeting_of_554_leaves_all_unsent_with_the_servers_words() -> None:
    with ScriptedServer(greeting="554 5.7.1 go away") as server:
        outcomes = send(at(server.port), mails(2))
    assert results(outcomes) == [N, N]
    assert outcomes[0].code == 554
    assert "go away" in outcomes[0].text


@pytest.mark.parametrize("code", ["421 4.3.2 busy", "550 5.0.0 no"])
def test_an_introduction_that_is_refused_leaves_all_unsent(code: str) -> None:
    with ScriptedServer(lambda command, _: code if command[:4] in ("EHLO", "HELO") else None) as server:
        assert results(send(at(server.port), mails(1))) == [N]


@pytest.mark.parametrize("greeting", [Act.HANG, Act.CLOSE, "HTTP/1.1 400 Bad Request"])
def test_a_port_with_no_mail_server_behind_it_leaves_all_unsent(greeting: Act | str) -> None:
    with ScriptedServer(greeting=greeting) as server:
        assert results(send(impatient(server.port), mails(2))) == [N, N]


def test_nobody_listening_leaves_all_unsent_and_connect_says_so() -> None:
    with ScriptedServer() as server:
        port = server.port
    assert results(send(at(port), mails(2))) == [N, N]
    with pytest.raises(SmtpUnavailableError, match="no connection"):
        run(SmtpConnection(at(port)).connect())


@pytest.mark.parametrize(
    ("command", "nth", "act", "expected", "accepted"),
    [
        ("MAIL", 1, Act.CLOSE, [A, N, N], 1),
        ("MAIL", 1, Act.HANG, [A, N, N], 1),
        ("RCPT", 1, Act.HANG, [A, N, N], 1),
        ("DATA", 1, Act.CLOSE, [A, N, N], 1),
        ("DATA", 1, Act.HANG, [A, N, N], 1),
        (".", 1, Act.CLOSE, [A, U, N], 1),
        (".", 1, Act.HANG, [A, U, N], 1),
        (".", 1, Act.ACCEPT_AND_CLOSE, [A, U, N], 2),
        (".", 1, "250 2.0.0 ok\r\n250 2.0.0 ok", [A, A, N], 2),
        ("RCPT", 1, "250 ok\r\n250 ok\r\n250 ok", [A, N, N], 1),
        ("DATA", 1, "garbage", [A, N, N], 1),
        (".", 1, "garbage", [A, U, N], 1),
        (".", 1, "421 4.3.2 going down", [A, D, N], 1),
        ("MAIL", 1, "421 4.3.2 going down", [A, D, N], 1),
        ("RCPT", 2, "421 4.7.0 too many", [A, A, D], 2),
    ],
)
def test_a_connection_that_ends_badly_says_for_each_message_what_is_known(
    command: str, nth: int, act: Act | str, expected: list[SendResult], accepted: int
) -> None:
    def script(said: str, count: int) -> Act | str | None:
        return act if said.split(" ")[0] == command and count == nth else None

    with ScriptedServer(script) as server:
        assert results(send(impatient(server.port), mails(3))) == expected
        assert len(server.accepted) == accepted


@pytest.mark.parametrize("act", [Act.CLOSE_IN_DATA, Act.HANG_IN_DATA])
def test_a_server_that_stops_reading_in_the_middle_of_a_large_message_never_had_it(act: Act) -> None:
    large = b"Subject: large\r\n\r\n" + (b"x" * 998 + b"\r\n") * 20_000
    with ScriptedServer(
        lambda command, nth: act if command == "DATA" and nth == 0 else None, features=("PIPELINING",)
    ) as server:
        assert results(send(impatient(server.port), mails(2, large))) == [N, N]


def test_a_slow_server_is_waited_for_as_long_as_it_answers() -> None:
    with ScriptedServer(delay=0.06) as server:
        assert results(send(impatient(server.port), mails(2))) == [A, A]  # longer in all than any one wait allowed


def test_the_next_flight_goes_on_over_the_same_connection_and_over_a_new_one_after_a_loss() -> None:
    with ScriptedServer(lambda command, nth: Act.CLOSE if command == "." and nth == 3 else None) as server:
        assert results(send(at(server.port), mails(2), mails(2), mails(2))) == [A, A, A, U, A, A]
        assert server.connections == 2


def test_an_idle_connection_that_the_server_closed_costs_nothing() -> None:
    async def steps(server: ScriptedServer) -> list[SendResult]:
        connection = SmtpConnection(at(server.port))
        first = await connection.send_flight(mails(1))
        second = await connection.send_flight(mails(2))
        await connection.close()
        return results(first + second)

    # The 421 comes unasked, right behind the last answer.
    with ScriptedServer(
        lambda command, nth: "250 ok\r\n421 4.4.2 idle" if command == "." and nth == 0 else None
    ) as server:
        assert run(steps(server)) == [A, A, A]
        assert server.connections == 2
    with ScriptedServer(lambda command, nth: Act.CLOSE if command.startswith("MAIL") and nth == 1 else None) as server:
        assert run(steps(server)) == [A, A, A]
        assert server.connections == 2


def test_a_connection_is_left_politely_after_so_many_messages() -> None:
    with ScriptedServer() as server:
        assert results(send(at(server.port), mails(3), mails(3), mails(3), max_messages=6)) == [A] * 9
        assert server.connections == 2
        assert server.commands.count("QUIT") == 2


def test_an_empty_flight_and_one_that_is_refused_here_need_no_answer() -> None:
    with ScriptedServer() as server:
        assert send(at(server.port), []) == []
        assert results(send(at(server.port), [Outgoing(1, "a@b.example", "nobody", BODY)])) == [R]
        with pytest.raises(ValueError, match="at most 50"):
            send(at(server.port), mails(51))


# Many connections ---------------------------------------------------------------------------------------------------


def test_a_pool_keeps_its_connections_busy_and_makes_the_rest_wait_their_turn() -> None:
    async def steps(server: ScriptedServer) -> tuple[int, list[list[Outcome]], int]:
        pool = SmtpPool(at(server.port), connections=3)
        flights = [asyncio.ensure_future(pool.run_flight(mails(5))) for _ in range(8)]
        await asyncio.wait([flights[0]], timeout=0)
        busy = pool.idle()
        landed = await asyncio.gather(*flights)
        idle = pool.idle()
        await pool.close()
        return busy, landed, idle

    with ScriptedServer() as server:
        busy, landed, idle = run(steps(server))
        assert (busy, idle) == (0, 3)
        assert all(results(outcomes) == [A] * 5 for outcomes in landed)
        assert (server.connections, len(server.accepted)) == (3, 40)


def test_a_pool_counts_how_often_in_a_row_nobody_was_there() -> None:
    async def steps(port: int) -> tuple[int, str]:
        pool = SmtpPool(at(port), connections=1)
        await pool.run_flight(mails(1))
        await pool.run_flight(mails(1))
        failures = pool.failures, pool.last_trouble
        await pool.close()
        return failures

    with ScriptedServer(greeting="421 4.3.2 full") as server:
        assert run(steps(server.port)) == (2, "the mail server's greeting was 421 4.3.2 full")
    with ScriptedServer(lambda command, nth: Act.CLOSE if command == "." and nth == 0 else None) as server:
        assert run(steps(server.port))[0] == 0


def test_the_courier_lets_synchronous_code_collect_flights_as_they_land() -> None:
    landed: queue.SimpleQueue[list[Outcome]] = queue.SimpleQueue()
    with ScriptedServer() as server, Courier(at(server.port), connections=4) as courier:
        assert courier.idle() == 4
        for _ in range(6):
            courier.submit(mails(10), landed.put)
        outcomes = [outcome for _ in range(6) for outcome in landed.get(timeout=10)]
        assert results(outcomes) == [A] * 60
        assert results(courier.send_flight(mails(2)).result(10)) == [A, A]
        assert (courier.idle(), courier.failures, courier.last_trouble) == (4, 0, "")


def test_a_courier_hands_back_what_it_could_not_carry_to_its_end() -> None:
    landed: queue.SimpleQueue[list[Outcome]] = queue.SimpleQueue()
    with ScriptedServer() as server, Courier(at(server.port), connections=1) as courier:
        courier.submit(mails(51), landed.put)
        assert set(results(landed.get(timeout=10))) == {U}
        assert courier.idle() == 1


def test_closing_a_courier_says_goodbye_and_ends_at_once() -> None:
    with ScriptedServer() as server:
        courier = Courier(at(server.port), connections=2)
        courier.send_flight(mails(1)).result(10)
        began = time.monotonic()
        courier.close()
        courier.close()
        assert time.monotonic() - began < 2
        assert server.commands[-1] == "QUIT"


# The setting --------------------------------------------------------------------------------------------------------


def test_the_url_says_it_all_and_keeps_the_password_to_itself() -> None:
    server = SmtpServer.from_url(
        "smtps://dana:s%40cret@mail.example?verify=no&timeout=7&dot_timeout=9&name=out.b.example"
    )
    assert (server.host, server.port, server.tls, server.user, server.password) == (
        "mail.example",
        465,
        Tls.IMPLICIT,
        "dana",
        "s@cret",
    )
    assert (server.verify, server.timeout, server.dot_timeout, server.ehlo_name) == (False, 7.0, 9.0, "out.b.example")
    assert "s@cret" not in repr(server)
    assert SmtpServer.from_url("smtp://localhost:1025").port == 1025
    assert SmtpServer.from_url("smtp://mail.example").port == 25
    assert SmtpServer.from_url("smtp+starttls://mail.example").port == 587
    assert SmtpServer.from_url("smtp://mail.example?tls=implicit").port == 465
    assert SmtpServer.from_url("smtp://u:p@[::1]:25").is_loopback


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://mail.example", "begins with"),
        ("smtp://", "no host"),
        ("smtp://mail.example:port", "impossible port"),
        ("smtp://dana:secret@mail.example", "no TLS"),
        ("smtp://localhost?timeout=soon", "timeout"),
        ("smtp://localhost?timeout=0", "timeout"),
        ("smtp://localhost?dot_timeout=nan", "dot_timeout"),
        ("smtp://localhost?verify=perhaps", "verify"),
        ("smtp://localhost?tls=ssl", "tls"),
        ("smtp://localhost?colour=red", "colour"),
        ("smtp://localhost?name=a%0d%0aMAIL", "control"),
    ],
)
def test_a_wrong_url_is_refused_with_one_line_that_says_why(url: str, words: str) -> None:
    with pytest.raises(SmtpUrlError, match=words) as refused:
        SmtpServer.from_url(url)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_password_never_crosses_an_open_network() -> None:
    from beforehand.outbound.smtp_handshake import handshake

    steps = handshake(SmtpServer("mail.example", user="dana", password="x"), our_name="us.example")
    next(steps)
    steps.send((220, b"hello"))
    with pytest.raises(SmtpUnavailableError, match="without TLS"):
        steps.send((250, b"mail.example\nAUTH PLAIN"))
