"""What holds for every operation: pages, idempotency, unknown fields, sizes, methods, the schema."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.db import connection

from beforehand.accounts.actions import SCOPES, create_token, forget_answers
from beforehand.accounts.models import ApiToken, IdempotentAnswer, Team
from beforehand.api import idempotency
from beforehand.api.bodies import BodyLimit
from beforehand.api.operations import write_cursor
from beforehand.customers.actions import upsert_customers
from beforehand.customers.models import Customer
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from tests.api.callers import Caller, problem
from tests.cast import make_cast
from tests.driving import until_someone_waits

pytestmark = pytest.mark.django_db

V1 = "/api/v1"
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def add_customers(first: int, last: int) -> None:
    upsert_customers(
        [{"external_id": f"c-{n}", "name": f"C {n}"} for n in range(first, last)], actor="test", source="test"
    )


# --- pages -----------------------------------------------------------------------------------------------------------


def test_pages_neither_repeat_nor_skip_while_customers_are_added(caller: Caller) -> None:
    add_customers(0, 25)
    seen: list[str] = []
    cursor: str | None = ""
    number = 100
    while cursor is not None:
        page = caller.get(f"{V1}/customers?limit=10&cursor={cursor}").json()
        seen += [one["external_id"] for one in page["items"]]
        cursor = page["next"]
        add_customers(number, number + 5)
        number += 5
    assert len(seen) == len(set(seen)) == 25


def test_a_full_last_page_says_that_it_is_the_last(caller: Caller) -> None:
    add_customers(0, 10)
    assert caller.get(f"{V1}/customers?limit=10").json()["next"] is None
    assert caller.get(f"{V1}/customers?limit=9").json()["next"] is not None


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "AAAA",
        "W10",
        "=" * 50,
        write_cursor("incidents", 5),
        write_cursor("customers", "5"),
        write_cursor("customers", 1, 2),
        write_cursor("customers", 2**63),
        write_cursor("customers"),
    ],
)
def test_a_bad_cursor_is_refused(caller: Caller, cursor: str) -> None:
    found = problem(caller.get(f"{V1}/customers?cursor={cursor}"), 422)
    assert (found["code"], found["errors"][0]["parameter"]) == ("bad_cursor", "cursor")


@pytest.mark.parametrize("limit", ["0", "501", "-1", "ten", "1e3", ""])
def test_a_limit_is_between_one_and_five_hundred(caller: Caller, limit: str) -> None:
    assert problem(caller.get(f"{V1}/customers?limit={limit}"), 422)["errors"][0]["parameter"] == "limit"


def test_an_unknown_parameter_is_refused_by_name(caller: Caller) -> None:
    found = problem(caller.get(f"{V1}/incidents?stat=open"), 422)
    assert found["errors"] == [{"code": "unknown_field", "detail": "“stat” is not known here.", "parameter": "stat"}]


# --- idempotency -----------------------------------------------------------------------------------------------------


def incident() -> dict[str, Any]:
    return {"title": "Node 7 is down", "components": ["node-7"]}


def test_the_same_key_and_body_get_the_same_answer_and_do_nothing_again(caller: Caller) -> None:
    make_cast()
    first = caller.post(f"{V1}/incidents", incident(), Idempotency_Key="k-1")
    again = caller.post(f"{V1}/incidents", incident(), Idempotency_Key="k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Incident.objects.count() == 1


def test_the_same_key_with_another_body_or_address_is_refused(caller: Caller) -> None:
    make_cast()
    caller.post(f"{V1}/incidents", incident(), Idempotency_Key="k-1")
    for path, body in (("incidents", incident() | {"title": "Other"}), ("customers", {"rows": []})):
        assert problem(caller.post(f"{V1}/{path}", body, Idempotency_Key="k-1"), 422)["code"] == "key_used_before"
    assert Incident.objects.count() == 1


def test_keys_of_two_tokens_do_not_meet(caller: Caller) -> None:
    make_cast()
    other = Caller(create_token(name="other", scopes=SCOPES, actor="test")[1])
    for one in (caller, other):
        assert one.post(f"{V1}/incidents", incident(), Idempotency_Key="k-1").status_code == 201
    assert Incident.objects.count() == 2


def test_a_refused_request_may_be_put_right_under_the_same_key(caller: Caller) -> None:
    make_cast()
    problem(caller.post(f"{V1}/incidents", incident() | {"colour": 1}, Idempotency_Key="k-1"), 422)
    assert caller.post(f"{V1}/incidents", incident(), Idempotency_Key="k-1").status_code == 201


def test_a_key_is_kept_for_a_day(caller: Caller) -> None:
    make_cast()
    for hours, count in ((0, 1), (23, 1), (25, 2)):
        with travel(NOW + timedelta(hours=hours)):
            assert caller.post(f"{V1}/incidents", incident(), Idempotency_Key="k-1").status_code == 201
        assert Incident.objects.count() == count
    assert forget_answers(older_than=NOW + timedelta(days=9)) == 1
    assert not IdempotentAnswer.objects.exists()


def test_a_secret_is_not_kept_for_a_repeated_answer(caller: Caller) -> None:
    body = {"name": "shop", "scopes": ["events:write"]}
    first = caller.post(f"{V1}/tokens", body, Idempotency_Key="k-1").json()
    again = caller.post(f"{V1}/tokens", body, Idempotency_Key="k-1").json()
    assert first["secret"].startswith("bfh_")
    assert again == first | {"secret": None}
    assert first["secret"] not in str(IdempotentAnswer.objects.get().body)
    assert ApiToken.objects.filter(name="shop").count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb"])
def test_a_key_that_cannot_be_is_refused(caller: Caller, key: str) -> None:
    found = problem(caller.post(f"{V1}/customers", {"rows": []}, Idempotency_Key=key), 422)
    assert found["errors"][0]["header"] == "Idempotency-Key"


def test_a_stranger_learns_nothing_by_a_key(stranger: Caller, caller: Caller) -> None:
    caller.post(f"{V1}/customers", {"rows": []}, Idempotency_Key="k-1")
    problem(stranger.post(f"{V1}/customers", {"rows": []}, Idempotency_Key="k-1"), 401)


@pytest.mark.django_db(transaction=True)
def test_who_comes_second_with_a_key_waits_and_gets_the_first_answer(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cast()
    is_inside, may_go_on = threading.Event(), threading.Event()
    do = idempotency._done

    def slow(*args: Any) -> Any:
        is_inside.set()
        assert may_go_on.wait(10)
        return do(*args)

    monkeypatch.setattr(idempotency, "_done", slow)
    answers: list[Any] = []

    def post() -> None:
        answers.append(caller.post(f"{V1}/incidents", incident(), Idempotency_Key="k-1"))
        connection.close()

    first, second = threading.Thread(target=post), threading.Thread(target=post)
    first.start()
    assert is_inside.wait(10)
    second.start()
    until_someone_waits()
    may_go_on.set()
    first.join(10)
    second.join(10)
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert Incident.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_who_waits_too_long_for_a_key_is_told_to_come_back(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "WAITED_SECONDS", "0.05")
    make_cast()
    do = idempotency._done
    inner: list[Any] = []

    def second_meanwhile(*args: Any) -> Any:
        def post() -> None:
            inner.append(caller.post(f"{V1}/incidents", incident(), Idempotency_Key="k-1"))
            connection.close()

        meanwhile = threading.Thread(target=post)
        meanwhile.start()
        meanwhile.join(10)
        return do(*args)

    monkeypatch.setattr(idempotency, "_done", second_meanwhile)
    assert caller.post(f"{V1}/incidents", incident(), Idempotency_Key="k-1").status_code == 201
    assert problem(inner[0], 409)["code"] == "still_working"
    assert inner[0].headers["Retry-After"]


# --- bodies and addresses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "not_json"),
        (b'{"name": "\xff"}', "application/json", 400, "not_utf8"),
        (b'{"name": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "application/json", 400, "too_deep"),
        (b'{"name": "x"}', "text/plain", 415, "unsupported_media_type"),
        (b'{"name": NaN}', "application/json", 400, "not_json"),
        (b"[]", "application/json", 422, "invalid"),
        (b"null", "application/json", 422, "invalid"),
        (b"", "application/json", 422, "invalid"),
        (b'{"name": 5}', "application/json", 422, "invalid"),
        (b'{"nam": "x"}', "application/json", 422, "invalid"),
    ],
)
def test_a_body_that_cannot_be_is_refused(
    caller: Caller, body: bytes, content_type: str, status: int, code: str
) -> None:
    assert problem(caller.put(f"{V1}/teams/field", body, content_type=content_type), status)["code"] == code
    assert not Team.objects.exists()


def test_a_body_of_ten_megabytes_is_too_large_for_every_operation(caller: Caller) -> None:
    body = orjson.dumps({"rows": [], "region": "x" * (10 * 1024 * 1024)})
    assert problem(caller.post(f"{V1}/customers", body), 413)["code"] == "too_large"


def test_a_nul_becomes_a_replacement_character(caller: Caller) -> None:
    assert caller.put(f"{V1}/teams/field", {"name": "a\0b"}).json()["name"] == "a\ufffdb"


@pytest.mark.parametrize("path", ["customers/%00", "customers/a%00b/consents", "nothing", "customers/a/b/c", "../x"])
def test_an_address_that_is_not_ours_is_not_found(caller: Caller, path: str) -> None:
    problem(caller.get(f"{V1}/{path}"), 404)


def test_a_nul_in_a_parameter_is_refused(caller: Caller) -> None:
    assert problem(caller.get(f"{V1}/customers?search=%00"), 422)["errors"][0]["parameter"] == "search"


def test_a_wrong_method_names_the_right_ones(caller: Caller) -> None:
    answer = caller.delete(f"{V1}/customers")
    problem(answer, 405)
    assert set(answer.headers["Allow"].replace(" ", "").split(",")) == {"GET", "POST"}


def test_numbers_beyond_what_is_stored_are_refused(caller: Caller) -> None:
    make_cast()
    made = caller.post(f"{V1}/incidents", incident()).json()
    for number in (2**31, 2**63, 10**30):
        answer = caller.post(f"{V1}/incidents/{made['id']}/scope/{number}/remove", {"reason": "cured"})
        assert answer.status_code in (404, 422)


def test_an_erased_customer_is_not_found(caller: Caller) -> None:
    make_cast()
    Customer.objects.filter(external_id="bram").update(erased_at=NOW)
    problem(caller.get(f"{V1}/customers/bram"), 404)
    assert "bram" not in {one["external_id"] for one in caller.get(f"{V1}/customers").json()["items"]}


# --- the limit in front of Django ------------------------------------------------------------------------------------


async def _ask(parts: list[bytes], headers: list[tuple[bytes, bytes]], path: str = "/api/v1/events") -> list[Any]:
    """Send a body in parts through the limit to an application that reads it all; what was sent back."""
    sent: list[Any] = []

    async def reader(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] == "http.request" and message.get("more_body"):
            pass
        if message["type"] == "http.request":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    waiting = [{"type": "http.request", "body": part, "more_body": n < len(parts)} for n, part in enumerate(parts, 1)]

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await BodyLimit(reader)({"type": "http", "path": path, "headers": headers}, receive, send)
    return sent + waiting


def _status(*args: Any, **kwargs: Any) -> tuple[int, int]:
    """The status of the answer, and how many parts of the body were never read."""
    import asyncio

    messages = asyncio.run(_ask(*args, **kwargs))
    starts = [one["status"] for one in messages if one["type"] == "http.response.start"]
    assert len(starts) == 1
    return starts[0], sum(one["type"] == "http.request" for one in messages)


PART = b" " * (1024 * 1024)


def test_a_large_body_is_refused_by_its_length_before_any_of_it_is_read() -> None:
    assert _status([PART] * 20, [(b"content-length", b"20971520")]) == (413, 20)


def test_a_large_body_without_a_length_is_refused_as_it_streams_in() -> None:
    assert _status([PART] * 20, []) == (413, 9)


def test_what_is_not_the_apis_is_not_its_business() -> None:
    assert _status([PART] * 20, [], path="/console/import") == (200, 0)
    assert _status([PART] * 10, []) == (200, 0)
