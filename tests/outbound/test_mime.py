"""The bytes of headers and parts, read back by the standard library."""

import email
import email.policy
import quopri
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beforehand.outbound.addresses import AddressRefusedError, wire_address
from beforehand.outbound.mime import (
    MailValueError,
    Place,
    Slot,
    clean_url,
    clean_value,
    encoded_part,
    encoded_value,
    header_line,
    header_text,
    mailbox,
)

NAME = Slot("name", Place.TEXT)
any_text = st.text(max_size=300)
fixed = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=200)


def header(value: bytes, name: str = "Subject") -> EmailMessage:
    message = email.message_from_bytes(b"%b: %b\r\n\r\n" % (name.encode(), value), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert message.keys() == [name]
    return message


@given(any_text)
@example("\u200d👩\u200d👩\u200d👧 क्\u200dष")
@example("a\r\nBcc: zeno@e.example")
def test_a_clean_value_is_one_visible_line(value: str) -> None:
    cleaned = clean_value(value)
    cleaned.encode()
    assert len(cleaned.splitlines()) <= 1
    assert clean_value(cleaned) == cleaned
    assert not set(cleaned) & {"\0", "\x1b", "\u202e", "\u2068", "\ufeff"}
    for joiner in "\u200d\u200c":
        assert cleaned.count(joiner) == value.count(joiner)


@pytest.mark.parametrize(
    "url",
    ["https://a.example/x?y=1&z=é", "http://a.example", "HTTPS://a.example", "mailto:us@a.example", "tel:+31201234567"],
)
def test_a_link_may_lead_to_the_web_a_mailbox_or_a_telephone(url: str) -> None:
    assert clean_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        " https://a.example",
        "https://a.example/ x",
        'https://a.example/"x',
        "https:///x",
        "//a.example",
        "data:text/html,x",
        "https://a.example\n/x",
        "java\tscript:x",
        "https://a.example/<b>",
    ],
)
def test_any_other_link_leads_nowhere(url: str) -> None:
    assert clean_url(url) == "#"


@given(st.lists(fixed | any_text.map(clean_value).map(lambda value: (value,)), max_size=8))
@example([("x" * 75,), ("x" * 76,), ("é" * 25 + "x",), ("x" * 73 + "é",), ("x" * 72 + "é",), ("x" * 71 + "é",)])
@example(["a \n", ("",), "\n", ("=",), " \t", (" ",), "\n.\n", (".",), ""])
def test_a_part_comes_back_as_it_was_in_lines_of_at_most_76(pieces: list[str | tuple[str]]) -> None:
    slotted = [piece if isinstance(piece, str) else NAME for piece in pieces]
    values = iter([piece[0] for piece in pieces if isinstance(piece, tuple)])
    parts = encoded_part(slotted)
    wire = b"".join(part if isinstance(part, bytes) else encoded_value(next(values)) for part in parts)
    assert max(len(line) for line in wire.split(b"\r\n")) <= 76
    assert wire.isascii()
    assert wire.replace(b"\r\n", b"").find(b"\n") == wire.replace(b"\r\n", b"").find(b"\r") == -1
    assert not any(line.endswith((b" ", b"\t")) for line in wire.split(b"\r\n"))
    expected = "".join(piece if isinstance(piece, str) else piece[0] for piece in pieces).replace("\n", "\r\n")
    assert quopri.decodestring(wire).decode() == expected


@given(any_text, st.integers(30, 71))
def test_a_subject_comes_back_as_it_was(text: str, room: int) -> None:
    wire = header_text(text, room=room, limit=200)
    assert wire.isascii()
    assert all(len(line) <= 76 for line in wire.split(b"\r\n"))
    assert header(wire)["Subject"] == clean_value(text).strip()[:200].strip()


@given(any_text)
@example('"Zeno" <zeno@e.example>')
@example("=?utf-8?q?x?=")
@example("a" * 90)
@example("Zeno\r\nBcc: all@e.example")
def test_a_name_comes_back_as_it_was_beside_its_address(name: str) -> None:
    wire = mailbox(name, "bram@e.example", room=71)
    assert wire.isascii()
    assert all(len(line) <= 76 for line in wire.split(b"\r\n"))
    assert [each.addr_spec for each in header(wire, "To")["To"].addresses] == ["bram@e.example"]
    # The newer parser puts spaces between the encoded words of a name (RFC 2047 §6.2 says not to), so ask the older.
    shown, address = parseaddr(wire.decode().replace("\r\n", ""))
    assert (str(make_header(decode_header(shown))), address) == (
        clean_value(name).strip()[:100].strip(),
        "bram@e.example",
    )


@given(any_text)
def test_an_address_is_one_address_or_refused(text: str) -> None:
    try:
        wire = wire_address(text)
    except AddressRefusedError:
        return
    assert not set(wire) & set(b' \r\n\0<>,;:()"\\\t') - set(b":")
    assert wire.count(b"@") >= 1


@pytest.mark.parametrize("address", ["a@b.example", "a.b+c-d_e'f@b.example", "عائشة@مثال.example", "a@[127.0.0.1]"])
def test_addresses_that_people_have_are_taken(address: str) -> None:
    assert b"@" in wire_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a",
        "a@",
        "@b.example",
        "a b@c.example",
        "a,b@c.example",
        '"a"@b.example',
        "a@b.example\r\nBcc: x@y.example",
        "<a@b.example>",
        "a@b@c.example",
        "a@b.example,c@d.example",
        "é\u2028@b.example",
        "a@\u200b.example",
        "a@" + "é" * 90 + ".example",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(AddressRefusedError):
        wire_address(address)


@pytest.mark.parametrize(
    ("name", "value"),
    [("X", "a\r\nb"), ("X", "é"), ("X", "x" * 1_000), ("X\r\nY", "a"), ("", "a"), ("X Y", "a"), ("X", "a\0")],
)
def test_a_header_of_our_own_making_cannot_be_anything_else(name: str, value: str) -> None:
    with pytest.raises(MailValueError):
        header_line(name, value)
