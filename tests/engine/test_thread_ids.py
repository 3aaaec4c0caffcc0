import base64
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.engine.thread_ids import (
    CODE_ALPHABET,
    MessagePlace,
    check_character,
    message_id,
    message_places,
    read_code,
    reply_address,
    reply_place,
    verify_code,
)

SECRET, OLD = "the secret of today", b"the secret of last year"
buckets, numbers = st.integers(0, 63), st.integers(1, 2**63 - 1)


def test_a_message_has_the_same_names_each_time_and_they_look_as_promised() -> None:
    first = message_id(7, 12345, "mail.example", SECRET)
    assert first == message_id(7, 12345, "mail.example", SECRET.encode())
    assert re.fullmatch(r"<b7\.12345\.[a-z2-7]{26}@mail\.example>", first)
    address = reply_address(7, 12345, "reply@mail.example", SECRET)
    assert re.fullmatch(r"reply\+b7\.12345\.[a-z2-7]{26}@mail\.example", address)
    assert first[1:].split("@")[0] not in address  # one cannot be made from the other


@given(buckets, numbers)
def test_an_answer_finds_its_message_under_either_name_and_either_secret(bucket: int, number: int) -> None:
    place = MessagePlace(bucket, number)
    for secret in (SECRET, OLD):
        reference = message_id(bucket, number, "mail.example", secret)
        assert message_places(f"<a@b.example> {reference}\r\n {reference.upper()}", [SECRET, OLD]) == (place,)
        address = reply_address(bucket, number, "reply@mail.example", secret)
        assert reply_place(f"<{address.upper()}>", [SECRET, OLD]) == place
    assert message_places(message_id(bucket, number, "mail.example", OLD), [SECRET]) == ()
    assert reply_place(reply_address(bucket, number, "reply@mail.example", OLD), [SECRET]) is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "<b7.12346.{signature}@mail.example>",
        "<b8.12345.{signature}@mail.example>",
        "<b07.12345.{signature}@mail.example>",
        "<b7.12345.aaaaaaaaaaaaaaaaaaaaaaaaaa@mail.example>",
        "b7.12345.{signature}@mail.example",
        "<b7.12345.{signature}>",
    ],
)
def test_a_forged_or_mangled_reference_names_nothing(header: str) -> None:
    signature = message_id(7, 12345, "mail.example", SECRET).split(".")[2].split("@")[0]
    assert message_places(header.format(signature=signature), [SECRET]) == ()


@pytest.mark.parametrize(
    "address", ["", "reply@mail.example", "reply+b7.1.x@mail.example", "reply+news@mail.example", "@"]
)
def test_any_other_address_names_nothing(address: str) -> None:
    assert reply_place(address, [SECRET]) is None


def test_a_reference_is_no_reply_address_and_a_reply_address_no_reference() -> None:
    reference = message_id(7, 12345, "mail.example", SECRET)
    assert reply_place("reply+" + reference[1:-1], [SECRET]) is None
    assert message_places(f"<{reply_address(7, 12345, 'r@mail.example', SECRET)[2:]}>", [SECRET]) == ()


@pytest.mark.parametrize("mailbox", ["no-at-sign", "@mail.example", "x" * 40 + "@mail.example"])
def test_a_mailbox_that_cannot_bear_a_plus_part_is_refused(mailbox: str) -> None:
    with pytest.raises(ValueError, match="mailbox"):
        reply_address(7, 12345, mailbox, SECRET)


def test_the_signature_is_hmac_sha256_by_the_book() -> None:
    key = hmac.digest(SECRET.encode(), b"beforehand/message-id", "sha256")
    expected = base64.b32encode(hmac.digest(key, b"b7.12345", "sha256")[:16]).decode().rstrip("=").lower()
    assert message_id(7, 12345, "mail.example", SECRET) == f"<b7.12345.{expected}@mail.example>"


def test_an_empty_secret_signs_nothing() -> None:
    with pytest.raises(ValueError, match="empty"):
        verify_code(1, "")


@given(numbers)
def test_a_code_is_read_however_a_person_types_it(number: int) -> None:
    code = verify_code(number, SECRET)
    assert re.fullmatch(rf"[{CODE_ALPHABET}]{{4}}-[{CODE_ALPHABET}]{{4}}", code)
    assert read_code(code) == code
    assert read_code(f"  {code.lower().replace('-', ' ')}\n") == code
    assert read_code(code.replace("0", "o").replace("1", "l")) == code
    assert read_code(f"\u2068{code}\u2069") == code


@given(numbers, st.integers(0, 7), st.sampled_from(CODE_ALPHABET))
def test_one_wrong_character_is_always_noticed(number: int, place: int, other: str) -> None:
    characters = verify_code(number, SECRET).replace("-", "")
    wrong = characters[:place] + other + characters[place + 1 :]
    assert (read_code(wrong) is None) == (wrong != characters)


@given(numbers, st.integers(0, 6))
def test_swapped_neighbours_are_noticed(number: int, place: int) -> None:
    characters = verify_code(number, SECRET).replace("-", "")
    pair = characters[place : place + 2]
    wrong = characters[:place] + pair[::-1] + characters[place + 2 :]
    assert (read_code(wrong) is None) == (len(set(pair)) == 2 and set(pair) != {"0", "Z"})


@pytest.mark.parametrize("typed", ["", "ABCD", "ABCD-EFGHJ", "ABCD-EFG!", "UUUU-UUUU", "ٱٱٱٱ-ٱٱٱٱ"])
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert read_code(typed) is None


def test_codes_of_neighbouring_messages_have_nothing_in_common() -> None:
    codes = {verify_code(number, SECRET) for number in range(10_000)}
    assert len(codes) == 10_000
    assert verify_code(1, SECRET) != verify_code(1, OLD)
    assert check_character("0000000") == "0"
