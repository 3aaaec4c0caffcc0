"""CloudEvents 1.0 over HTTP, in its three modes: binary, structured and batched.

Source of the rules: the CloudEvents specification 1.0, its JSON format and its HTTP protocol binding. Where it leaves
us a choice: the customer whom an event is about stands in the extension attribute `customer` (the sender's own id);
unknown attributes are kept; a request with any invalid event is refused whole, with all its problems listed, because
a batch has no way to answer for one event alone.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import cast

from beforehand.events.intake.body import MAX_BODY_BYTES, MAX_DEPTH, read_json
from beforehand.events.intake.errors import IntakeCode, Problems, escaped, refusal
from beforehand.events.intake.instants import instant
from beforehand.events.intake.values import MAX_IDENTITY_BYTES, IncomingEvent, Json

MAX_EVENTS = 10_000
"""Events in one batch: what one transaction writes well within its five seconds."""

_KNOWN = frozenset({"specversion", "id", "source", "type", "subject", "time", "customer", "data"})
_NAME = re.compile(r"[a-z0-9]{1,64}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_JSON_TYPE = re.compile(r"[^/]+/(?:json|[^/]+\+json)")
_ESCAPED_BYTE = re.compile(rb"%([0-9A-Fa-f]{2})")
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
_TEXT_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "iso-8859-1", "windows-1252", "utf-16"})
_MAX_TYPE_BYTES = 255
_MAX_REF_BYTES = 255
_MAX_EXTENSION_BYTES = 8192


class ContentMode(StrEnum):
    BINARY = "binary"
    STRUCTURED = "structured"
    BATCHED = "batched"


def content_mode(content_type: str, headers: Mapping[str, str]) -> ContentMode:
    """How a request carries its events: by its media type, and, for any other type, by having ce-* headers.

    Raises IntakeError (unsupported_media_type) for another event format than JSON, for another charset than UTF-8, and
    for a request that carries no event.
    """
    media_type = _media_type(content_type)
    if media_type.startswith("application/cloudevents"):
        _require_utf8(content_type)
        if media_type == "application/cloudevents-batch+json":
            return ContentMode.BATCHED
        if media_type == "application/cloudevents+json":
            return ContentMode.STRUCTURED
        raise refusal(
            IntakeCode.UNSUPPORTED_MEDIA_TYPE, "content-type", f"Of event formats, JSON is read, not {media_type}."
        )
    if any(name.lower().startswith("ce-") for name in headers):
        return ContentMode.BINARY
    raise refusal(
        IntakeCode.UNSUPPORTED_MEDIA_TYPE,
        "content-type",
        "Send application/cloudevents+json, application/cloudevents-batch+json, or any type with ce- headers.",
    )


def decode_request(
    body: bytes,
    *,
    content_type: str,
    headers: Mapping[str, str],
    max_bytes: int = MAX_BODY_BYTES,
    max_events: int = MAX_EVENTS,
) -> list[IncomingEvent]:
    """The events of one HTTP request, in the order given; a batch may be empty.

    `headers` is any mapping of header names, in whichever case, to values. Duplicates are kept as given. Raises
    IntakeError with every problem found (at most 20); then nothing of the request may be stored.
    """
    mode = content_mode(content_type, headers)
    if mode is ContentMode.BATCHED:
        return decode_batch(body, max_bytes=max_bytes, max_events=max_events)
    if mode is ContentMode.STRUCTURED:
        return [decode_structured(body, max_bytes=max_bytes)]
    return [decode_binary(body, content_type=content_type, headers=headers, max_bytes=max_bytes)]


def decode_batch(body: bytes, *, max_bytes: int = MAX_BODY_BYTES, max_events: int = MAX_EVENTS) -> list[IncomingEvent]:
    """The events of a batch (a JSON array). Raises IntakeError with pointers such as /3/source."""
    # The array and each event's own object lie around the data; the data alone is held to the limit.
    batch = read_json(body, max_bytes=max_bytes, max_depth=MAX_DEPTH + 2)
    if not isinstance(batch, list):
        raise refusal(IntakeCode.WRONG_TYPE, "", "A batch is a JSON array of events.")
    if len(batch) > max_events:
        raise refusal(
            IntakeCode.TOO_MANY_EVENTS, "", f"The batch has {len(batch):,} events; at most {max_events:,} are taken."
        )
    problems = Problems()
    events: list[IncomingEvent] = []
    for index, item in enumerate(batch):
        problems.at = f"/{index}/"
        event = _read(item, problems)
        if event is not None:
            events.append(event)
        elif problems.is_full():
            break
    problems.refuse_if_any()
    return events


def decode_structured(body: bytes, *, max_bytes: int = MAX_BODY_BYTES) -> IncomingEvent:
    """The one event of a structured-mode body. Raises IntakeError with pointers such as /source."""
    problems = Problems()
    event = _read(read_json(body, max_bytes=max_bytes, max_depth=MAX_DEPTH + 1), problems)
    problems.refuse_if_any()
    return cast(IncomingEvent, event)


def decode_binary(
    body: bytes, *, content_type: str, headers: Mapping[str, str], max_bytes: int = MAX_BODY_BYTES
) -> IncomingEvent:
    """The event whose attributes are ce-* headers and whose data is the body.

    JSON is read, text is decoded, anything else is kept as base64. A body without Content-Type is read as JSON.
    Raises IntakeError with the header's name as its pointer, or a pointer into the body.
    """
    if len(body) > max_bytes:
        raise refusal(
            IntakeCode.TOO_LARGE, "", f"The body has {len(body):,} bytes; at most {max_bytes:,} are taken at once."
        )
    problems = Problems("ce-")
    event: dict[str, Json] = {}
    for header, value in headers.items():
        name = header.lower()
        if not name.startswith("ce-"):
            continue
        try:
            event[name[3:]] = header_text(value)
        except UnicodeError:
            problems.add(IntakeCode.NOT_UTF8, name[3:], "The header's value is not UTF-8 after percent-decoding.")
    problems.refuse_if_any()
    for member in ("data", "data_base64", "datacontenttype"):  # these three are the body and its Content-Type here
        event.pop(member, None)
    if content_type:
        event["datacontenttype"] = content_type
    if body:
        event |= _body_members(body, content_type=content_type, max_bytes=max_bytes)
    read = _read(event, problems)
    problems.refuse_if_any()
    return cast(IncomingEvent, read)


def header_text(value: str) -> str:
    """A ce-* header's value as text: old quoted strings are unquoted, then percent-escapes are decoded once.

    Raises UnicodeError if the bytes are not UTF-8. A % that starts no escape stays; raw UTF-8 bytes, which HTTP
    libraries hand over as Latin-1, are read as the UTF-8 that they are.
    """
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    if value.isascii() and "%" not in value:
        return value
    raw = value.encode("latin-1" if max(value) <= "\xff" else "utf-8")
    return _ESCAPED_BYTE.sub(lambda escape: bytes([int(escape[1], 16)]), raw).decode()


def _read(event: Json, problems: Problems) -> IncomingEvent | None:
    """The event, or None after noting every problem it has. The hot path, so the checks are written out."""
    if type(event) is not dict:
        problems.add(IntakeCode.WRONG_TYPE, "", "An event is a JSON object.")
        return None
    before = len(problems.found)
    if (version := event.get("specversion")) != "1.0":
        code = IntakeCode.MISSING if version is None else IntakeCode.INVALID
        problems.add(code, "specversion", 'The attribute specversion must be "1.0".')
    source = _required(event, "source", MAX_IDENTITY_BYTES, problems)
    source_id = _required(event, "id", MAX_IDENTITY_BYTES, problems)
    kind = _required(event, "type", _MAX_TYPE_BYTES, problems)
    if " " in source:
        problems.add(IntakeCode.INVALID, "source", "The attribute source is a URI reference: it holds no spaces.")
    subject = _optional(event, "subject", MAX_IDENTITY_BYTES, problems)
    customer = event.get("customer")
    if type(customer) is int:
        customer = str(customer)
    elif customer is not None:
        customer = _optional(event, "customer", _MAX_REF_BYTES, problems)
    time = event.get("time")
    attributes = {} if event.keys() <= _KNOWN else _other_attributes(event, problems)
    occurred_at = None if time is None else _time(time, problems)
    data = event.get("data")
    if type(data) is not dict:
        data = _wrapped(event, data, problems)
    elif event.get("data_base64") is not None:
        problems.add(IntakeCode.CONFLICT, "data_base64", "An event has data or data_base64, not both.")
    if len(problems.found) > before:
        return None
    return IncomingEvent(source, source_id, kind, occurred_at, subject, customer, data, attributes)


def _required(event: dict[str, Json], name: str, max_bytes: int, problems: Problems) -> str:
    """The text of a required attribute; "" after noting what is wrong with it."""
    value = event.get(name)
    if type(value) is str and value and len(value) <= max_bytes and value.isascii() and value.isprintable():
        return value
    if value is None or value == "":
        problems.add(IntakeCode.MISSING, name, f"The attribute {name} is required and must not be empty.")
        return ""
    return _checked(value, name, max_bytes, problems)


def _optional(event: dict[str, Json], name: str, max_bytes: int, problems: Problems) -> str | None:
    value = event.get(name)
    if value is None or value == "":
        return None
    return _checked(value, name, max_bytes, problems)


def _checked(value: Json, name: str, max_bytes: int, problems: Problems) -> str:
    """The value if it is text of allowed length and characters; "" after noting what is wrong with it."""
    if type(value) is not str:
        problems.add(IntakeCode.WRONG_TYPE, name, f"The attribute {name} must be text.")
    elif len(value) > max_bytes or len(value.encode()) > max_bytes:
        problems.add(IntakeCode.TOO_LONG, name, f"The attribute {name} is longer than {max_bytes} bytes.")
    elif not value.isprintable() and _CONTROL.search(value):
        problems.add(IntakeCode.INVALID, name, f"The attribute {name} holds a control character.")
    else:
        return value
    return ""


def _time(value: Json, problems: Problems) -> datetime | None:
    if type(value) is not str:
        problems.add(IntakeCode.WRONG_TYPE, "time", "The attribute time must be text.")
        return None
    try:
        return instant(value)
    except ValueError as reason:
        problems.add(IntakeCode.INVALID, "time", str(reason))
        return None


def _other_attributes(event: dict[str, Json], problems: Problems) -> dict[str, str | int | bool]:
    """Content type, schema and extensions, as they came; null is the same as absent."""
    kept: dict[str, str | int | bool] = {}
    for name, value in event.items():
        if name in _KNOWN or name == "data_base64" or value is None:
            continue
        if _NAME.fullmatch(name) is None:
            problems.add(
                IntakeCode.INVALID,
                escaped(name),
                "An attribute's name has only the letters a to z and digits, at most 64 of them.",
            )
        elif type(value) is str:
            kept[name] = _checked(value, name, _MAX_EXTENSION_BYTES, problems)
        elif type(value) is int or type(value) is bool:
            kept[name] = value
        else:
            problems.add(
                IntakeCode.WRONG_TYPE, name, f"The attribute {name} must be text, a whole number, true or false."
            )
    return kept


def _wrapped(event: dict[str, Json], data: Json, problems: Problems) -> dict[str, Json]:
    """Data that is no JSON object, as one: {"value": …} or {"base64": "…"}."""
    binary = event.get("data_base64")
    if binary is None:
        return {} if data is None else {"value": data}
    if data is not None:
        problems.add(IntakeCode.CONFLICT, "data_base64", "An event has data or data_base64, not both.")
        return {}
    try:
        if type(binary) is not str:
            raise ValueError
        b64decode(binary, validate=True)
    except ValueError:
        problems.add(IntakeCode.INVALID, "data_base64", "The member data_base64 is not base64 text.")
    return {"base64": binary}


def _body_members(body: bytes, *, content_type: str, max_bytes: int) -> dict[str, Json]:
    """The body of a binary-mode request as the member that structured mode would have."""
    media_type = _media_type(content_type)
    if not media_type or _JSON_TYPE.fullmatch(media_type):
        _require_utf8(content_type)
        return {"data": read_json(body, max_bytes=max_bytes)}
    charset = _charset(content_type)
    if (media_type.startswith("text/") or media_type.endswith("xml")) and charset in _TEXT_CHARSETS:
        try:
            return {"data": body.decode(charset).replace("\0", "\ufffd")}
        except UnicodeDecodeError as wrong:
            raise refusal(
                IntakeCode.NOT_UTF8, "", f"Byte {wrong.start} of the body (counted from 0) is not valid {charset}."
            ) from None
    return {"data_base64": b64encode(body).decode()}


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _charset(content_type: str) -> str:
    match = _CHARSET.search(content_type)
    return match[1].lower() if match else "utf-8"


def _require_utf8(content_type: str) -> None:
    """JSON between systems is UTF-8 (RFC 8259 §8.1); another charset is refused rather than guessed at."""
    charset = _charset(content_type)
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        raise refusal(
            IntakeCode.UNSUPPORTED_MEDIA_TYPE, "content-type", f"JSON is read in UTF-8 only, not in {charset}."
        )
