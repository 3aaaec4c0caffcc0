"""Reading bodies: every hostile one ends in a named refusal, every storable one in a value PostgreSQL can keep."""

import itertools
import json
from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.events.intake.body import MAX_BODY_BYTES, is_deeper_than, read_json
from beforehand.events.intake.errors import MAX_PROBLEMS, IntakeCode, IntakeError, Problem


def refused(body: bytes, **limits: int) -> IntakeError:
    with pytest.raises(IntakeError) as caught:
        read_json(body, **limits)
    return caught.value


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"", IntakeCode.NOT_JSON, "line 1, column 1"),
        (b"{", IntakeCode.NOT_JSON, "line 1"),
        (b'{"a":1,}', IntakeCode.NOT_JSON, "trailing comma"),
        (b'{\n"a": nope}', IntakeCode.NOT_JSON, "line 2"),
        (b"NaN", IntakeCode.NOT_JSON, "line 1"),
        (b"[Infinity]", IntakeCode.NOT_JSON, "line 1"),
        (b"[1e400]", IntakeCode.NOT_JSON, "infinity"),
        (b'{"a":"\x00"}', IntakeCode.NOT_JSON, "control character"),
        (b'{"a":"caf\xe9"}', IntakeCode.NOT_UTF8, "Byte 9 "),
        (b'\xef\xbb\xbf{"a":"\xff"}', IntakeCode.NOT_UTF8, "Byte 9 "),
        (b'"\xed\xa0\x80"', IntakeCode.NOT_UTF8, "Byte 1 "),
        (b'"\xc0\xa0"', IntakeCode.NOT_UTF8, "Byte 1 "),
        (b"[" * 41 + b"]" * 41, IntakeCode.TOO_DEEP, "40"),
        (b'{"a":' * 41 + b"1" + b"}" * 41, IntakeCode.TOO_DEEP, "40"),
        (b"[" * 100_000, IntakeCode.TOO_DEEP, "40"),
        (b"[" * 100_000 + b"]" * 100_000, IntakeCode.TOO_DEEP, "40"),
        (b'"\\ud800" nonsense', IntakeCode.NOT_JSON, "line 1"),
    ],
)
def test_it_says_why_a_body_cannot_be_read(body: bytes, code: IntakeCode, words: str) -> None:
    error = refused(body)
    assert (error.code, error.status) == (code, 400)
    assert words in error.message


def test_it_refuses_ten_megabytes_before_parsing_them() -> None:
    error = refused(b"[" * 10_000_000)
    assert (error.code, error.status) == (IntakeCode.TOO_LARGE, 413)
    assert "10,000,000" in error.message
    assert f"{MAX_BODY_BYTES:,}" in error.message


def test_it_names_the_line_of_a_fault() -> None:
    assert refused(b'{\n\n"a": x}').line == 3


def test_it_takes_a_body_that_is_exactly_as_large_and_as_deep_as_allowed() -> None:
    assert read_json(b"[[1]]", max_bytes=5, max_depth=2) == [[1]]
    assert refused(b"[[1]]", max_bytes=4).code == IntakeCode.TOO_LARGE
    assert refused(b"[[1]]", max_depth=1).code == IntakeCode.TOO_DEEP


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (rb'"a\u0000b"', "a\ufffdb"),
        (rb'{"k\u0000": 1}', {"k\ufffd": 1}),
        (rb'"a\\u0000b"', "a\\u0000b"),
        (rb'"\\\u0000"', "\\\ufffd"),
        (rb'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (rb'"cut off \ud83d"', "cut off \ufffd"),
        (rb'"\ude00 cut off"', "\ufffd cut off"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd\N{GRINNING FACE}"),
        (rb'"\uD83Dx\u0000"', "\ufffdx\ufffd"),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b"18446744073709551615", 2**64 - 1),
        (b"1234567890123456789012", 1.234567890123456789e21),
    ],
)
def test_it_makes_a_value_that_postgres_can_store(body: bytes, value: object) -> None:
    assert read_json(body) == value


@given(st.text(st.characters(), max_size=40))
def test_any_text_that_json_can_carry_comes_out_without_nul_or_surrogates(text: str) -> None:
    expected = "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in text)
    high_then_low = any("\ud800" <= a <= "\udbff" and "\udc00" <= b <= "\udfff" for a, b in itertools.pairwise(text))
    read = read_json(json.dumps(text).encode())
    read.encode()
    assert "\0" not in read
    assert high_then_low or read == expected


@given(st.binary(max_size=200))
def test_random_bytes_are_read_or_refused_but_never_break(body: bytes) -> None:
    with suppress(IntakeError):
        orjson.dumps(read_json(body))


@given(
    st.recursive(
        st.integers(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=1), inner, max_size=2),
    )
)
def test_depth_is_counted_as_a_recursive_definition_counts_it(value: object) -> None:
    def depth(v: object) -> int:
        if isinstance(v, dict | list):
            return 1 + max((depth(c) for c in (v.values() if isinstance(v, dict) else v)), default=0)
        return 0

    assert not is_deeper_than(value, depth(value))
    assert depth(value) == 0 or is_deeper_than(value, depth(value) - 1)


def test_an_error_lists_at_most_twenty_problems() -> None:
    error = IntakeError(Problem(IntakeCode.INVALID, f"/{n}", "Wrong.") for n in range(50))
    assert len(error.problems) == MAX_PROBLEMS
    assert str(error) == "/0: Wrong."
