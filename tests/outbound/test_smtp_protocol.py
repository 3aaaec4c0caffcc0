"""The conversation without a network: what is written when, and what became of each message."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.outbound.smtp_protocol import (
    Features,
    Flight,
    Outgoing,
    ProtocolError,
    ReplyReader,
    SendResult,
    SmtpError,
    clean,
    heard,
    stuffed,
)

PIPELINED = Features(pipelining=True)
ONE_BY_ONE = Features()


def mail(
    number: int = 1, *, to: str = "", data: bytes = b"Subject: x\r\n\r\nhello\r\n", sender: str = "us@b.example"
) -> Outgoing:
    return Outgoing(number, sender, to or f"c{number}@e.example", data)


def results(flight: Flight) -> list[SendResult]:
    return [outcome.result for outcome in flight.outcomes]


def test_it_gives_a_body_together_with_the_next_envelope_when_the_server_pipelines() -> None:
    flight = Flight([mail(1), mail(2)], PIPELINED)
    assert flight.next_chunk() == b"MAIL FROM:<us@b.example>\r\nRCPT TO:<c1@e.example>\r\nDATA\r\n"
    assert flight.next_chunk() == b""
    for code in (250, 250, 354):
        flight.reply(code, b"ok")
    assert flight.next_chunk() == (
        b"Subject: x\r\n\r\nhello\r\n.\r\nMAIL FROM:<us@b.example>\r\nRCPT TO:<c2@e.example>\r\nDATA\r\n"
    )
    for code in (250, 250, 250, 354):
        flight.reply(code, b"2.0.0 ok")
    assert flight.next_chunk().endswith(b"\r\n.\r\n")
    flight.reply(250, b"2.0.0 queued as 17")
    assert flight.is_done
    assert [(each.key, each.result, each.enhanced, each.text) for each in flight.outcomes] == [
        (1, SendResult.ACCEPTED, "2.0.0", "ok"),
        (2, SendResult.ACCEPTED, "2.0.0", "queued as 17"),
    ]


def test_it_says_one_command_at_a_time_when_the_server_does_not_pipeline() -> None:
    flight = Flight([mail(1)], ONE_BY_ONE)
    said = []
    for code in (250, 250, 354, 250):
        said.append(flight.next_chunk())
        assert flight.next_chunk() == b""
        flight.reply(code, b"ok")
    assert said[:3] == [b"MAIL FROM:<us@b.example>\r\n", b"RCPT TO:<c1@e.example>\r\n", b"DATA\r\n"]
    assert said[3].endswith(b"\r\n.\r\n")
    assert results(flight) == [SendResult.ACCEPTED]


@pytest.mark.parametrize("features", [PIPELINED, ONE_BY_ONE])
@pytest.mark.parametrize(("code", "expected"), [(450, SendResult.DEFERRED), (550, SendResult.REJECTED)])
def test_a_refused_recipient_is_told_apart_and_the_next_begins_after_a_reset(
    features: Features, code: int, expected: SendResult
) -> None:
    flight = Flight([mail(1), mail(2)], features)
    flight.next_chunk()
    flight.reply(250, b"ok")
    flight.next_chunk()
    flight.reply(code, b"5.1.1 no such user")
    if features.pipelining:
        flight.reply(503, b"5.5.1 no recipients")
    assert flight.next_chunk().startswith(b"RSET\r\n")
    assert flight.outcomes[0].result is expected
    assert (flight.outcomes[0].code, flight.outcomes[0].enhanced, flight.outcomes[0].text) == (
        code,
        "5.1.1",
        "no such user",
    )
    flight.reply(250, b"reset")
    assert not flight.is_done


def test_a_server_that_wants_data_without_a_recipient_gets_a_lone_dot() -> None:
    flight = Flight([mail(1), mail(2)], PIPELINED)
    flight.next_chunk()
    for code in (250, 550, 354):
        flight.reply(code, b"x")
    assert flight.next_chunk().startswith(b".\r\nMAIL FROM")
    flight.reply(554, b"no valid recipients")
    assert results(flight) == [SendResult.REJECTED]
    flight.lost("gone")
    assert results(flight) == [SendResult.REJECTED, SendResult.UNSENT]


def test_what_had_its_dot_is_uncertain_and_what_had_not_is_unsent_when_the_connection_goes() -> None:
    flight = Flight([mail(1), mail(2), mail(3)], PIPELINED)
    flight.next_chunk()
    for code in (250, 250, 354):
        flight.reply(code, b"ok")
    flight.next_chunk()
    assert flight.awaits_dot
    flight.lost("gone")
    assert results(flight) == [SendResult.UNCERTAIN, SendResult.UNSENT, SendResult.UNSENT]
    assert flight.is_done


def test_a_body_that_was_to_be_written_but_was_not_leaves_its_message_unsent() -> None:
    flight = Flight([mail(1)], PIPELINED)
    flight.next_chunk()
    for code in (250, 250, 354):
        flight.reply(code, b"ok")
    flight.lost("gone")
    assert results(flight) == [SendResult.UNSENT]


def test_a_large_body_is_written_before_its_dot_so_that_a_loss_in_between_is_safe_to_repeat() -> None:
    flight = Flight([mail(1, data=b"x" * 70_000), mail(2)], PIPELINED)
    flight.next_chunk()
    for code in (250, 250, 354):
        flight.reply(code, b"ok")
    assert not flight.next_chunk().endswith(b".\r\n")
    flight.lost("gone")
    assert results(flight) == [SendResult.UNSENT, SendResult.UNSENT]


def test_a_refusal_in_the_middle_of_a_large_body_is_that_messages_answer() -> None:
    flight = Flight([mail(1, data=b"x" * 70_000), mail(2)], PIPELINED)
    flight.next_chunk()
    for code in (250, 250, 354):
        flight.reply(code, b"ok")
    flight.next_chunk()
    with pytest.raises(SmtpError, match="552"):
        flight.reply(552, b"5.3.4 too big")
    flight.lost("gone")
    assert results(flight) == [SendResult.REJECTED, SendResult.UNSENT]


def test_a_421_defers_the_message_it_answers_and_leaves_the_others_unsent() -> None:
    flight = Flight([mail(1), mail(2)], PIPELINED)
    flight.next_chunk()
    for code in (250, 250, 354):
        flight.reply(code, b"ok")
    flight.next_chunk()
    with pytest.raises(SmtpError):
        flight.reply(421, b"4.3.2 shutting down")
    flight.lost("421")
    assert results(flight) == [SendResult.DEFERRED, SendResult.UNSENT]


@pytest.mark.parametrize(
    "codes",
    [
        [250, 250, 250],  # 250 for DATA
        [354],  # 354 for MAIL
        [250, 250, 354, 354],  # 354 for the end of a message
        [250, 250, 354, 250, 250, 250, 354, 250, 250],  # one more than was asked for
    ],
)
def test_replies_that_cannot_be_are_a_protocol_error(codes: list[int]) -> None:
    flight = Flight([mail(1), mail(2)], PIPELINED)

    def hear_all() -> None:
        for code in codes:
            flight.next_chunk()
            flight.reply(code, b"ok")

    with pytest.raises(ProtocolError):
        hear_all()


def test_a_reply_before_anything_was_asked_is_a_protocol_error() -> None:
    flight = Flight([mail(1)], PIPELINED)
    with pytest.raises(ProtocolError):
        flight.reply(250, b"ok")
    flight.lost("x")
    assert results(flight) == [SendResult.UNSENT]


def test_a_reset_that_is_refused_ends_the_conversation() -> None:
    flight = Flight([mail(1)], PIPELINED)
    flight.next_chunk()
    for code in (250, 250, 451):
        flight.reply(code, b"x")
    assert flight.next_chunk() == b"RSET\r\n"
    with pytest.raises(SmtpError):
        flight.reply(502, b"no")
    assert results(flight) == [SendResult.DEFERRED]


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example>\r\nRCPT TO:<zeno@e.example",
        "a\r@b.example",
        "a\n@b.example",
        "a\0@b.example",
        "a b@c.example",
        "a@b.example> NOTIFY=NEVER",
        "no-at-sign",
        "@b.example",
        "",
        "a@",
        "عائشة\r\nDATA@e.example",
        "a@ex\u2028ample.org",
        "a" * 300 + "@b.example",
    ],
)
def test_an_address_that_could_say_more_than_an_address_is_refused_here(address: str) -> None:
    features = Features(pipelining=True, utf8=True, eight_bit=True)
    flight = Flight([Outgoing(1, "us@b.example", address, b"x\r\n")], features)
    assert flight.is_done
    assert flight.next_chunk() == b""
    assert (flight.outcomes[0].result, flight.outcomes[0].enhanced) == (SendResult.REJECTED, "5.1.3")


def test_a_sender_is_checked_as_a_recipient_is_and_may_be_empty() -> None:
    assert results(Flight([mail(sender="a@b>\r\nDATA")], PIPELINED)) == [SendResult.REJECTED]
    assert Flight([mail(sender="")], PIPELINED).next_chunk().startswith(b"MAIL FROM:<>\r\n")


def test_internationalised_addresses_go_only_where_they_can() -> None:
    utf8 = Features(pipelining=True, utf8=True, eight_bit=True)
    assert (
        b"MAIL FROM:<us@b.example> SMTPUTF8\r\nRCPT TO:<\xd8" in Flight([mail(to="عائشة@e.example")], utf8).next_chunk()
    )
    refused = Flight([mail(to="عائشة@e.example")], PIPELINED).outcomes[0]
    assert (refused.result, refused.enhanced) == (SendResult.REJECTED, "5.6.7")
    in_dns = Flight([mail(to="bram@bücher.example")], PIPELINED).next_chunk()
    assert b"RCPT TO:<bram@xn--bcher-kva.example>\r\n" in in_dns
    assert b"SMTPUTF8" not in in_dns
    assert results(Flight([mail(to="a@" + "ü" * 200 + ".example")], PIPELINED)) == [SendResult.REJECTED]


def test_size_and_8bitmime_are_said_only_where_announced_and_needed() -> None:
    announced = Features(pipelining=True, size_announced=True, max_size=100, eight_bit=True)
    assert b"> SIZE=3\r\n" in Flight([mail(data=b"x\r\n")], announced).next_chunk()
    assert b"> SIZE=4 BODY=8BITMIME\r\n" in Flight([mail(data="é\r\n".encode())], announced).next_chunk()
    assert Flight([mail(data=b"x" * 101)], announced).outcomes[0].enhanced == "5.3.4"
    assert Flight([mail(data="é\r\n".encode())], PIPELINED).outcomes[0].enhanced == "5.6.3"


def test_a_flight_has_at_most_fifty_messages() -> None:
    with pytest.raises(ValueError, match="at most 50"):
        Flight([mail(number) for number in range(51)], PIPELINED)


@pytest.mark.parametrize(
    ("data", "wire"),
    [
        (b".a\r\n..b\r\n", b"..a\r\n...b\r\n"),
        (b"a", b"a\r\n"),
        (b"a\n.\nMAIL FROM:<x>\n", b"a\r\n..\r\nMAIL FROM:<x>\r\n"),
        (b"a\r.\rb", b"a\r\n..\r\nb\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n"),
        (b"a\n\rb\r\n", b"a\r\n\r\nb\r\n"),
    ],
)
def test_no_message_can_end_itself(data: bytes, wire: bytes) -> None:
    assert stuffed(data) == wire


@given(st.text(alphabet="a.\r\n").map(str.encode))
def test_a_stuffed_body_never_holds_a_final_dot_or_a_bare_line_end(data: bytes) -> None:
    wire = stuffed(data)
    assert wire.endswith(b"\r\n")
    assert b"\r\n.\r\n" not in b"\r\n" + wire
    assert b"\r" not in wire.replace(b"\r\n", b"")
    assert b"\n" not in wire.replace(b"\r\n", b"")


def test_replies_are_cut_wherever_the_network_cut_them() -> None:
    stream = b"250-one\r\n250-two\r\n250 three\r\n354 go\r\n421\r\n550 5.1.1 no\n"
    expected = [(250, b"one\ntwo\nthree"), (354, b"go"), (421, b""), (550, b"5.1.1 no")]
    for step in (1, 2, 3, 7, len(stream)):
        reader = ReplyReader()
        found = [reply for at in range(0, len(stream), step) for reply in reader.feed(stream[at : at + step])]
        assert found == expected
        assert reader.is_empty


@pytest.mark.parametrize(
    "junk",
    [
        b"HTTP/1.1 400\r\n",
        b"25\r\n",
        b"999 x\r\n",
        b"150 x\r\n",
        b"250_x\r\n",
        b"250-a\r\n251 b\r\n",
        b"\r\n",
        b"x" * 70_000,
        b"250-" + b"x" * 999 + b"\r\n",
    ],
)
def test_what_is_no_reply_is_a_protocol_error(junk: bytes) -> None:
    reader = ReplyReader()
    with pytest.raises(ProtocolError):
        list(itertools.chain.from_iterable(reader.feed(junk) for _ in range(100)))


def test_the_servers_words_are_one_clean_line() -> None:
    assert clean(b"a\x1b[31m\tb\nc  \xff") == "a [31m b c \ufffd"
    assert len(clean(b"x" * 1_000)) == 500
    assert heard(1, SendResult.REJECTED, 550, b"5.1.1 no such\n5.1.1 user here").text == "no such user here"
    assert heard(1, SendResult.ACCEPTED, 250, b"fine").enhanced is None


class ToyServer:
    """Takes what is written and answers by drawn codes; knows which messages it has accepted and which dots it saw."""

    def __init__(self, codes: st.DataObject, *, extra_354: bool) -> None:
        self._draw, self._extra_354 = codes, extra_354
        self.buffer, self.in_data = b"", False
        self.mail = self.rcpt = False
        self.recipient = ""
        self.accepted: list[str] = []
        self.dotted: list[str] = []

    def take(self, chunk: bytes) -> list[int]:
        self.buffer += chunk
        codes = []
        while b"\r\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            if self.in_data:
                if line == b".":
                    codes.append(self._end_of_message())
                continue
            codes.append(self._command(line))
        return codes

    def _pick(self, usual: int) -> int:
        return self._draw.draw(st.sampled_from([usual, usual, usual, usual, 451, 550, 421]))

    def _command(self, line: bytes) -> int:
        if line == b"RSET":
            self.mail = self.rcpt = False
            return 250
        if line.startswith(b"MAIL"):
            assert not self.mail, "a nested MAIL"
            code = self._pick(250)
            self.mail = code == 250
            return code
        if line.startswith(b"RCPT"):
            code = self._pick(250) if self.mail else 503
            self.rcpt = code == 250
            self.recipient = line[9:-1].decode()
            return code
        assert line == b"DATA", line
        code = self._pick(354) if self.rcpt else 354 if self._extra_354 else 503
        self.in_data = code == 354
        return code

    def _end_of_message(self) -> int:
        self.in_data = False
        code = self._pick(250) if self.rcpt else 554
        if self.rcpt:
            self.dotted.append(self.recipient)
        if code == 250:
            self.accepted.append(self.recipient)
        self.mail = self.rcpt = False
        return code


@given(st.data(), st.integers(1, 6), st.booleans(), st.booleans(), st.integers(0, 40))
def test_whatever_the_server_answers_each_message_gets_the_one_true_outcome(
    data: st.DataObject, count: int, pipelining: bool, extra_354: bool, replies_before_loss: int
) -> None:
    server = ToyServer(data, extra_354=extra_354)
    flight = Flight([mail(number) for number in range(count)], Features(pipelining=pipelining))
    waiting: list[int] = []
    for _ in range(replies_before_loss):
        waiting += server.take(flight.next_chunk())
        if not waiting:
            break
        try:
            flight.reply(waiting.pop(0), b"x")
        except SmtpError:
            break
    if not flight.is_done or len(flight.outcomes) < count:
        flight.lost("lost")
    outcomes = {f"c{each.key}@e.example": each.result for each in flight.outcomes}
    assert len(outcomes) == count
    for recipient, result in outcomes.items():
        if result is SendResult.ACCEPTED:
            assert recipient in server.accepted
        elif result is SendResult.UNSENT:
            assert recipient not in server.dotted
        elif result in (SendResult.REJECTED, SendResult.DEFERRED):
            assert recipient not in server.accepted
    assert list(outcomes.values()).count(SendResult.UNCERTAIN) <= 1
    assert len(server.accepted) == len(set(server.accepted))
