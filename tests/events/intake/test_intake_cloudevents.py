"""CloudEvents 1.0: three modes, one meaning; and each fault named where it stands."""

import base64
from contextlib import suppress
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.events.intake.cloudevents import (
    ContentMode,
    content_mode,
    decode_batch,
    decode_binary,
    decode_request,
    decode_structured,
    header_text,
)
from beforehand.events.intake.errors import IntakeCode, IntakeError
from beforehand.events.intake.values import IncomingEvent

SHIPPED = {
    "specversion": "1.0",
    "id": "A-17",
    "source": "https://shop.example/orders",
    "type": "order.shipped",
    "time": "2026-03-01T14:05:00.123456789+01:00",
    "subject": "order/17",
    "customer": "C-000017",
    "datacontenttype": "application/json",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
    "sequence": 3,
    "replay": False,
    "data": {"parcel": "P17", "items": 2},
}
EXPECTED = IncomingEvent(
    source="https://shop.example/orders",
    source_id="A-17",
    type="order.shipped",
    occurred_at=datetime(2026, 3, 1, 13, 5, 0, 123_456, tzinfo=UTC),
    subject="order/17",
    customer_ref="C-000017",
    data={"parcel": "P17", "items": 2},
    attributes={
        "datacontenttype": "application/json",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
        "sequence": 3,
        "replay": False,
    },
)
LEAST = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


def structured(**changes: object) -> IncomingEvent:
    event = {name: value for name, value in (LEAST | changes).items() if value is not ...}
    return decode_structured(orjson.dumps(event))


def problems_of(**changes: object) -> list[tuple[IntakeCode, str]]:
    with pytest.raises(IntakeError) as caught:
        structured(**changes)
    return [(problem.code, problem.pointer) for problem in caught.value.problems]


def test_structured_mode_keeps_every_attribute() -> None:
    assert decode_structured(orjson.dumps(SHIPPED)) == EXPECTED


def test_binary_mode_means_the_same_as_structured_mode() -> None:
    headers = {f"CE-{name}": str(value) for name, value in SHIPPED.items() if name not in {"data", "datacontenttype"}}
    event = decode_binary(b'{"parcel": "P17", "items": 2}', content_type="application/json", headers=headers)
    assert event.attributes.pop("sequence") == "3"
    assert event.attributes.pop("replay") == "False"
    for name in ("source", "source_id", "type", "occurred_at", "subject", "customer_ref", "data"):
        assert getattr(event, name) == getattr(EXPECTED, name)


def test_a_batch_keeps_order_and_duplicates_and_may_be_empty() -> None:
    assert decode_batch(orjson.dumps([SHIPPED, LEAST, SHIPPED])) == [EXPECTED, structured(), EXPECTED]
    assert decode_batch(b"[]") == []


@pytest.mark.parametrize(
    ("content_type", "mode"),
    [
        ("application/cloudevents+json", ContentMode.STRUCTURED),
        ("Application/CloudEvents+JSON; charset=UTF-8", ContentMode.STRUCTURED),
        ('application/cloudevents-batch+json;charset="utf-8"', ContentMode.BATCHED),
        ("APPLICATION/CLOUDEVENTS-BATCH+JSON", ContentMode.BATCHED),
        ("application/json", ContentMode.BINARY),
        ("", ContentMode.BINARY),
    ],
)
def test_the_mode_is_seen_by_the_media_type_in_any_case(content_type: str, mode: ContentMode) -> None:
    assert content_mode(content_type, {"Ce-Id": "1"}) is mode


@pytest.mark.parametrize(
    ("content_type", "headers"),
    [
        ("application/cloudevents+avro", {}),
        ("application/cloudevents-batch+xml", {"ce-id": "1"}),
        ("application/cloudevents", {}),
        ("application/cloudevents+json; charset=utf-16", {}),
        ("application/json", {}),
        ("", {"Cepheid": "1"}),
    ],
)
def test_a_request_that_carries_no_event_we_read_is_unsupported(content_type: str, headers: dict[str, str]) -> None:
    with pytest.raises(IntakeError) as caught:
        decode_request(b"{}", content_type=content_type, headers=headers)
    assert (caught.value.status, caught.value.pointer) == (415, "content-type")


def test_a_request_of_each_mode_goes_to_its_decoder() -> None:
    one = orjson.dumps(SHIPPED)
    assert decode_request(one, content_type="application/cloudevents+json", headers={}) == [EXPECTED]
    assert decode_request(b"[" + one + b"]", content_type="application/cloudevents-batch+json", headers={}) == [
        EXPECTED
    ]
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
    assert decode_request(b"", content_type="", headers=headers) == [structured()]


@pytest.mark.parametrize("name", ["id", "source", "type", "specversion"])
@pytest.mark.parametrize("value", [..., None, ""])
def test_each_required_attribute_must_be_there(name: str, value: object) -> None:
    code = IntakeCode.INVALID if (name, value) == ("specversion", "") else IntakeCode.MISSING
    assert problems_of(**{name: value}) == [(code, f"/{name}")]


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"specversion": "0.3"}, IntakeCode.INVALID, "/specversion"),
        ({"specversion": 1.0}, IntakeCode.INVALID, "/specversion"),
        ({"id": 7}, IntakeCode.WRONG_TYPE, "/id"),
        ({"id": "a\nb"}, IntakeCode.INVALID, "/id"),
        ({"id": "a\x85b"}, IntakeCode.INVALID, "/id"),
        ({"id": "x" * 1025}, IntakeCode.TOO_LONG, "/id"),
        ({"id": "न" * 342}, IntakeCode.TOO_LONG, "/id"),
        ({"source": "two words"}, IntakeCode.INVALID, "/source"),
        ({"type": ["t"]}, IntakeCode.WRONG_TYPE, "/type"),
        ({"subject": 5}, IntakeCode.WRONG_TYPE, "/subject"),
        ({"customer": True}, IntakeCode.WRONG_TYPE, "/customer"),
        ({"customer": {"id": 1}}, IntakeCode.WRONG_TYPE, "/customer"),
        ({"time": "yesterday"}, IntakeCode.INVALID, "/time"),
        ({"time": 1_767_225_600}, IntakeCode.WRONG_TYPE, "/time"),
        ({"traceParent": "x"}, IntakeCode.INVALID, "/traceParent"),
        ({"a/b~c": "x"}, IntakeCode.INVALID, "/a~1b~0c"),
        ({"": "x"}, IntakeCode.INVALID, "/"),
        ({"seen": 1.5}, IntakeCode.WRONG_TYPE, "/seen"),
        ({"seen": {"a": 1}}, IntakeCode.WRONG_TYPE, "/seen"),
        ({"data": {}, "data_base64": "AA=="}, IntakeCode.CONFLICT, "/data_base64"),
        ({"data": "x", "data_base64": "AA=="}, IntakeCode.CONFLICT, "/data_base64"),
        ({"data_base64": "not base64!"}, IntakeCode.INVALID, "/data_base64"),
        ({"data_base64": 5}, IntakeCode.INVALID, "/data_base64"),
        ({"data_base64": "é"}, IntakeCode.INVALID, "/data_base64"),
    ],
)
def test_a_fault_is_named_with_its_place(changes: dict[str, object], code: IntakeCode, pointer: str) -> None:
    expected = "" if pointer == "/" else pointer
    assert problems_of(**changes) == [(code, expected)]


@pytest.mark.parametrize(
    ("changes", "data"),
    [
        ({}, {}),
        ({"data": None}, {}),
        ({"data": {"a": 1}, "data_base64": None}, {"a": 1}),
        ({"data": [1, 2]}, {"value": [1, 2]}),
        ({"data": False}, {"value": False}),
        ({"data": "<a/>", "datacontenttype": "text/xml"}, {"value": "<a/>"}),
        ({"data_base64": "AAEC"}, {"base64": "AAEC"}),
    ],
)
def test_data_becomes_one_json_object(changes: dict[str, object], data: dict[str, object]) -> None:
    assert structured(**changes).data == data


def test_a_customer_may_be_a_number_and_null_is_the_same_as_absent() -> None:
    assert structured(customer=17).customer_ref == "17"
    assert structured(customer=None, subject=None, time=None, dataschema=None, traceparent=None) == structured()


def test_an_id_may_be_in_any_script_up_to_its_length_in_bytes() -> None:
    assert structured(id="न" * 341).source_id == "न" * 341
    assert structured(id="x" * 1024).source_id == "x" * 1024
    assert structured(id="عيشة\u3000\N{GRINNING FACE}").source_id == "عيشة\u3000\N{GRINNING FACE}"


def test_all_problems_of_a_batch_are_listed_and_nothing_of_it_is_taken() -> None:
    with pytest.raises(IntakeError) as caught:
        decode_batch(orjson.dumps([LEAST, LEAST | {"id": "", "time": "?"}, 5, LEAST, LEAST | {"Bad": 1}]))
    assert [problem.pointer for problem in caught.value.problems] == ["/1/id", "/1/time", "/2", "/4/Bad"]


def test_a_batch_of_faults_lists_twenty() -> None:
    with pytest.raises(IntakeError) as caught:
        decode_batch(b"[" + b"5," * 4000 + b"5]")
    assert len(caught.value.problems) == 20


def test_a_batch_is_an_array_of_limited_length() -> None:
    with pytest.raises(IntakeError, match="array"):
        decode_batch(b"{}")
    with pytest.raises(IntakeError) as caught:
        decode_batch(orjson.dumps([LEAST] * 3), max_events=2)
    assert caught.value.status == 413


def test_data_may_be_nested_forty_deep_in_every_mode() -> None:
    def nested(depth: int) -> bytes:
        return b"[" * depth + b"]" * depth

    event = orjson.dumps(LEAST).removesuffix(b"}") + b',"data":'
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
    for content_type, wrap in [
        ("application/cloudevents+json", lambda data: event + data + b"}"),
        ("application/cloudevents-batch+json", lambda data: b"[" + event + data + b"}]"),
        ("application/json", lambda data: data),
    ]:
        decode_request(wrap(nested(40)), content_type=content_type, headers=headers)
        with pytest.raises(IntakeError) as caught:
            decode_request(wrap(nested(41)), content_type=content_type, headers=headers)
        assert caught.value.code is IntakeCode.TOO_DEEP


HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}


@pytest.mark.parametrize(
    ("content_type", "body", "data"),
    [
        ("application/json", b"[1]", {"value": [1]}),
        ("application/vnd.shop+json; charset=utf-8", b'{"a":1}', {"a": 1}),
        ("", b'{"a":1}', {"a": 1}),
        ("text/plain", "Aïsha".encode(), {"value": "Aïsha"}),
        ("text/plain; charset=ISO-8859-1", b"A\xefsha", {"value": "Aïsha"}),
        ("text/plain", b"a\x00b", {"value": "a\ufffdb"}),
        ("application/xml", b"<a/>", {"value": "<a/>"}),
        ("image/png", b"\x89PNG", {"base64": base64.b64encode(b"\x89PNG").decode()}),
        ("text/plain; charset=zlib_codec", b"abc", {"base64": "YWJj"}),
    ],
)
def test_a_binary_body_is_read_by_its_content_type(content_type: str, body: bytes, data: dict[str, object]) -> None:
    event = decode_binary(body, content_type=content_type, headers=HEADERS)
    assert event.data == data
    assert event.attributes.get("datacontenttype", "") == content_type


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("application/json", b"{", IntakeCode.NOT_JSON),
        ("application/json; charset=utf-16", b"{}", IntakeCode.UNSUPPORTED_MEDIA_TYPE),
        ("text/plain", b"\xff", IntakeCode.NOT_UTF8),
        ("image/png", b"x" * 11, IntakeCode.TOO_LARGE),
    ],
)
def test_a_binary_body_that_cannot_be_read_is_refused(content_type: str, body: bytes, code: IntakeCode) -> None:
    with pytest.raises(IntakeError) as caught:
        decode_binary(body, content_type=content_type, headers=HEADERS, max_bytes=10)
    assert caught.value.code is code


def test_a_binary_request_that_is_too_large_is_refused_by_its_size() -> None:
    with pytest.raises(IntakeError) as caught:
        decode_request(b"x" * 11, content_type="image/png", headers=HEADERS, max_bytes=10)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("plain", "plain"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € \N{GRINNING FACE}"),
        ("100%25", "100%"),
        ("100% sure", "100% sure"),
        ("%zz%4", "%zz%4"),
        ("%2541", "%41"),
        (r'"quoted \"and\" escaped"', 'quoted "and" escaped'),
        ('"%41"', "A"),
        ("Aïsha".encode().decode("latin-1"), "Aïsha"),
        ("عيشة", "عيشة"),
        ("", ""),
        ('"', '"'),
    ],
)
def test_header_values_are_unquoted_and_percent_decoded_once(header: str, text: str) -> None:
    assert header_text(header) == text


@pytest.mark.parametrize("value", ["%C0%A0", "%FF", "%ED%A0%80", "%E2%82", "caf\xe9", "\ud800"])
def test_header_values_that_are_not_utf8_are_refused_by_name(value: str) -> None:
    with pytest.raises(IntakeError) as caught:
        decode_binary(b"", content_type="", headers=HEADERS | {"Ce-Subject": value})
    assert [(p.code, p.pointer) for p in caught.value.problems] == [(IntakeCode.NOT_UTF8, "ce-subject")]


def test_a_fault_in_a_header_is_named_by_its_header() -> None:
    with pytest.raises(IntakeError) as caught:
        decode_binary(b"", content_type="", headers={"ce-id": "%00", "ce-source": "/s", "ce-type": "t", "ce-a_b": "x"})
    assert [problem.pointer for problem in caught.value.problems] == ["ce-specversion", "ce-id", "ce-a_b"]


def test_headers_cannot_smuggle_data_past_the_body() -> None:
    headers = HEADERS | {"ce-data": "x", "ce-data_base64": "AA==", "ce-datacontenttype": "text/evil"}
    event = decode_binary(b'{"a":1}', content_type="application/json", headers=headers)
    assert (event.data, event.attributes) == ({"a": 1}, {"datacontenttype": "application/json"})


attribute_text = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "specversion": st.just("1.0"),
                "id": attribute_text,
                "source": attribute_text.filter(lambda s: " " not in s),
                "type": attribute_text,
            },
            optional={"subject": attribute_text, "customer": attribute_text, "data": json_values},
        ),
        max_size=4,
    )
)
def test_what_a_batch_says_is_what_comes_out(batch: list[dict[str, object]]) -> None:
    for sent, event in zip(batch, decode_batch(orjson.dumps(batch)), strict=True):
        assert (event.source, event.source_id, event.type) == (sent["source"], sent["id"], sent["type"])
        assert (event.subject, event.customer_ref) == (sent.get("subject"), sent.get("customer"))
        data = sent.get("data")
        assert event.data == (data if isinstance(data, dict) else {} if data is None else {"value": data})


names = st.sampled_from(
    ["specversion", "id", "source", "type", "time", "subject", "customer", "data", "data_base64", "x", "Bad"]
)


@given(
    st.lists(st.dictionaries(names, json_values | st.just("1.0"), max_size=9) | json_values, max_size=4) | json_values
)
def test_random_json_is_read_or_refused_but_never_breaks(body: object) -> None:
    raw = orjson.dumps(body)
    for content_type in ("application/cloudevents-batch+json", "application/cloudevents+json", "application/json"):
        with suppress(IntakeError):
            for event in decode_request(raw, content_type=content_type, headers={"ce-id": "1"}):
                assert event.source
                assert event.source_id


@given(
    st.dictionaries(st.text(max_size=5).map(lambda n: f"ce-{n}"), st.text(max_size=20), max_size=5),
    st.text(max_size=20),
    st.binary(max_size=30),
)
def test_random_headers_are_read_or_refused_but_never_break(
    headers: dict[str, str], content_type: str, body: bytes
) -> None:
    with suppress(IntakeError):
        assert len(decode_request(body, content_type=content_type, headers=HEADERS | headers)) == 1
