"""Reads a request's body as JSON, whatever was sent: too large, too deep, not UTF-8, with what no database keeps.

One rule for what PostgreSQL's jsonb cannot hold: the escapes of NUL (\\u0000) and of lone surrogates (half an emoji
that some program cut off) become U+FFFD, the replacement character. No alert is refused because its log line was cut
badly; the raw copy keeps what was sent. Numbers beyond 64 bits become floating point; NaN and infinity are no JSON.
"""

import re

import orjson

from beforehand.events.intake.errors import IntakeCode, refusal
from beforehand.events.intake.values import Json

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 40

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a surrogate pair: one whole character
    rb"|(u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2}))"  # NUL, or half a pair
    rb"|.)",
    re.DOTALL,
)


def read_json(body: bytes, *, max_bytes: int = MAX_BODY_BYTES, max_depth: int = MAX_DEPTH) -> Json:
    """The body's JSON value.

    Raises IntakeError: too_large, not_utf8 (names the byte), not_json (names the line), too_deep.
    """
    if len(body) > max_bytes:
        raise refusal(
            IntakeCode.TOO_LARGE, "", f"The body has {len(body):,} bytes; at most {max_bytes:,} are taken at once."
        )
    plain = body.removeprefix(b"\xef\xbb\xbf")
    if b"\\u0000" in plain:
        plain = _storable(plain)
    try:
        value = orjson.loads(plain)
    except orjson.JSONDecodeError as error:
        value = _read_again(plain, error, skipped=len(body) - len(plain))
    if is_deeper_than(value, max_depth):
        raise refusal(IntakeCode.TOO_DEEP, "", f"Objects and arrays are nested more than {max_depth} deep.")
    return value


def is_deeper_than(value: Json, max_depth: int) -> bool:
    """Whether objects and arrays are nested deeper than so many levels. Goes level by level: no recursion."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(max_depth):
        if not level:
            return False
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
    return bool(level)


def _storable(body: bytes) -> bytes:
    """The same JSON text with the escapes of NUL and of lone surrogates replaced; \\\\u0000 (a backslash) stays."""
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], body)


def _read_again(body: bytes, error: orjson.JSONDecodeError, *, skipped: int) -> Json:
    """The value after mending lone surrogates, or the reason why there is none."""
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        offset = wrong.start + skipped
        raise refusal(
            IntakeCode.NOT_UTF8, "", f"Byte {offset} of the body (counted from 0) is not valid UTF-8."
        ) from None
    if (mended := _storable(body)) != body:
        try:
            return orjson.loads(mended)
        except orjson.JSONDecodeError as second:
            error = second
    if "depth limit" in error.msg:
        raise refusal(IntakeCode.TOO_DEEP, "", f"Objects and arrays are nested more than {MAX_DEPTH} deep.") from None
    where = f"line {error.lineno}, column {error.colno}"
    raise refusal(IntakeCode.NOT_JSON, "", f"The body is not JSON: {error.msg} ({where}).", line=error.lineno) from None
