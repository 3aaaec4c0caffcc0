"""Live pages: names come at once, few however many events there are, and after a lost connection without a gap."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections, transaction
from django.test import Client

from beforehand.config.asgi import application
from beforehand.console.live import watch_of
from beforehand.events.actions import append_event
from beforehand.events.coalescing import APART, Coalescer
from beforehand.events.live import NAMES, Watch, stream
from beforehand.events.places import LogPlace, place_now
from beforehand.kit.rows import execute
from tests.cast import Cast

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

PATIENCE = 60


class Stream:
    """One open page: the bytes of its stream, event by event, spoken to by ASGI alone."""

    def __init__(self, address: str, cookies: str = "", last_event_id: str = "") -> None:
        path, _, query = address.partition("?")
        headers = [(b"host", b"testserver.example"), (b"cookie", cookies.encode())]
        headers += [(b"last-event-id", last_event_id.encode())] if last_event_id else []
        self.scope: dict[str, Any] = {
            "type": "http", "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode(),
            "query_string": query.encode(), "headers": headers, "scheme": "http", "server": ("testserver.example", 80),
            "client": ("127.0.0.1", 1), "asgi": {"version": "3.0"}, "root_path": "",
        }  # fmt: skip
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self._is_asked = False

    async def receive(self) -> dict[str, Any]:
        if not self._is_asked:
            self._is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def start(self) -> None:
        message = await asyncio.wait_for(self.sent.get(), PATIENCE)
        self.status, self.headers = message["status"], dict(message["headers"])

    async def next(self) -> tuple[str, str]:
        """The next event's name and id."""
        while True:
            message = await asyncio.wait_for(self.sent.get(), PATIENCE)
            lines = dict(line.split(": ", 1) for line in message["body"].decode().splitlines() if ": " in line)
            if "event" in lines:
                assert lines["data"]  # without data a browser drops the event
                return lines["event"], lines["id"]

    async def next_named(self, name: str) -> str:
        """The id of the next event of that name."""
        while True:
            event, place = await self.next()
            if event == name:
                return place


@asynccontextmanager
async def opened(address: str, cookies: str = "", last_event_id: str = "") -> AsyncIterator[Stream]:
    page = Stream(address, cookies, last_event_id)
    task = asyncio.create_task(application(page.scope, page.receive, page.sent.put))
    try:
        await page.start()
        yield page
    finally:
        page.gone.set()
        await asyncio.wait_for(task, PATIENCE)


def happens(type: str, subject: str = "", customer_id: int | None = None) -> None:
    with transaction.atomic():
        append_event(type=type, subject=subject, customer_id=customer_id)


later = sync_to_async(happens)


@pytest.fixture
def cookies(agent: Client) -> str:
    return f"sessionid={agent.cookies['sessionid'].value}"


def run(scenario: Any) -> None:
    async def whole() -> None:
        await scenario()
        await sync_to_async(connections.close_all)()

    async_to_sync(whole)()


def test_an_event_reaches_the_page_that_watches_and_no_other(cookies: str) -> None:
    async def scenario() -> None:
        async with opened("/console/live/?watch=incident:1", cookies) as page:
            assert page.headers[b"Content-Type"] == b"text/event-stream"
            assert (await page.next())[0] == "tick"
            await later("incident.update_posted", "incident:2")
            await later("run.started", "incident:1")
            assert (await page.next())[0] == "run"

    run(scenario)


def test_a_page_hears_of_its_customer_and_today_of_all_that_is_not_one_customers(cookies: str) -> None:
    async def scenario() -> None:
        async with (
            opened("/console/live/?watch=customer:7", cookies) as customer,
            opened("/console/live/?watch=all", cookies) as today,
        ):
            assert (await customer.next())[0] == (await today.next())[0] == "tick"
            await later("message.sent", "incident:1", 7)
            assert (await customer.next())[0] == "message"
            await later("promise.broken", "incident:1")
            assert (await today.next())[0] == "promise"

    run(scenario)


def test_a_page_that_was_away_resumes_without_a_gap(cookies: str) -> None:
    async def scenario() -> None:
        address = "/console/live/?watch=incident:1"
        async with opened(address, cookies) as page:
            await page.next()
            await later("incident.opened", "incident:1")
            place = await page.next_named("incident")
        await later("promise.made", "incident:1")  # while nobody listens
        await later("run.started", "incident:2")
        for how in (
            {"address": address, "last_event_id": place},
            {"address": f"{address}&last_event_id={place}"},
            {"address": f"{address}&after={place}"},
        ):
            async with opened(cookies=cookies, **how) as page:
                heard = [(await page.next())[0] for _ in range(2)]
                assert sorted(heard) == ["promise", "tick"]

    run(scenario)


def test_what_commits_between_the_page_and_its_stream_is_heard(cookies: str) -> None:
    place = place_now()
    happens("incident.resolved", "incident:1")

    async def scenario() -> None:
        async with opened(f"/console/live/?watch=incident:1&after={place}", cookies) as page:
            await page.next_named("incident")

    run(scenario)


def test_an_event_that_commits_late_behind_a_later_one_is_not_lost(cookies: str) -> None:
    async def scenario() -> None:
        begun, may_commit = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def slow() -> None:
            try:
                with transaction.atomic():
                    append_event(type="run.finished", subject="incident:1")
                    loop.call_soon_threadsafe(begun.set)
                    asyncio.run_coroutine_threadsafe(may_commit.wait(), loop).result(PATIENCE)
            finally:
                connections.close_all()

        async with opened("/console/live/?watch=incident:1", cookies) as page:
            await page.next()
            task = asyncio.create_task(asyncio.to_thread(slow))
            await asyncio.wait_for(begun.wait(), PATIENCE)
            await later("incident.opened", "incident:1")  # commits first, with a higher id
            may_commit.set()
            await task
            assert {(await page.next())[0] for _ in range(2)} == {"incident", "run"}

    run(scenario)


def test_a_fan_out_of_many_events_is_a_few_words(cookies: str) -> None:
    def many() -> None:
        execute(
            """INSERT INTO events_event (type, subject, customer_id)
               SELECT 'message.sent', 'incident:1', n FROM generate_series(1, 50000) n"""
        )
        happens("incident.resolved", "incident:1")

    async def scenario() -> None:
        async with opened("/console/live/?watch=incident:1", cookies) as page:
            await page.next()
            await sync_to_async(many)()
            heard = []
            while "incident" not in heard:
                heard.append((await page.next())[0])
            assert heard.count("message") <= 3

    run(scenario)


def test_a_page_that_was_away_too_long_is_told_to_fetch_everything(
    cookies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beforehand.events.live.WINDOW", 1)
    monkeypatch.setattr("beforehand.events.live.MOST_WINDOWS", 2)
    place = place_now()
    for _ in range(4):
        happens("user.created", "user:1")

    async def scenario() -> None:
        async with opened(f"/console/live/?watch=incident:1&after={place}", cookies) as page:
            heard = {(await page.next())[0] for _ in range(len(NAMES) + 1)}
            assert heard == {*NAMES, "tick"}

    run(scenario)


def test_who_is_not_signed_in_hears_nothing(client: Client, cast: Cast) -> None:
    assert client.get("/console/live/?watch=all").status_code == 302


def test_a_stream_ends_after_a_while_so_that_the_page_asks_again(cookies: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        heard = [event.name async for event in stream(Watch(everything=True), after=None, seconds=0.2)]
        assert heard == ["tick"]

    run(scenario)


@pytest.mark.parametrize(
    "text", ["", "incident:", "customer:x", "customer:99999999999999999999", "x' OR 1=1", "user:1"]
)
def test_a_watch_on_nothing_hears_nothing(text: str) -> None:
    assert watch_of(text) == Watch()


@pytest.mark.parametrize("text", ["", "1-2", "a-b-c", "1-2-3-4", "-1-2-3", "1-2-" + "9" * 30])
def test_what_is_no_place_is_no_place(text: str) -> None:
    assert LogPlace.read(text) is None
    assert LogPlace.read("1-22-333") == LogPlace(1, 22, 333)


def place(number: int) -> LogPlace:
    return LogPlace(1, number, 0)


def test_a_name_is_said_at_most_once_in_a_while() -> None:
    waiting = Coalescer()
    waiting.begin(place(1))
    waiting.caught_up(place(1))
    said = 0
    for tenth in range(100):
        waiting.add({"message"}, until=place(2 + tenth))
        said += len(waiting.take(tenth / 10))
    assert said == 10 / APART


def test_the_place_stays_before_what_has_not_been_said() -> None:
    waiting = Coalescer()
    waiting.begin(place(1))
    waiting.caught_up(place(1))
    waiting.add({"message"}, until=place(2))
    assert waiting.take(0.0) == [("message", place(2))]
    waiting.add({"message"}, until=place(3))
    waiting.add({"run"}, until=place(4))
    assert waiting.take(0.5) == [("run", place(2))]  # "message" still waits: a page lost here must hear of it
    assert waiting.next_in(0.5) == pytest.approx(0.5)
    assert waiting.take(1.0) == [("message", place(4))]
    assert waiting.next_in(1.0) is None


def test_until_the_past_has_been_read_the_place_does_not_move() -> None:
    waiting = Coalescer()
    waiting.begin(place(1))
    waiting.add(set(), until=place(9))
    assert waiting.safe == place(1)
    waiting.caught_up(place(5))
    assert waiting.safe == place(9)


def test_a_page_that_opens_while_the_last_one_closes_still_hears(cookies: str) -> None:
    async def scenario() -> None:
        address = "/console/live/?watch=incident:1"
        async with opened(address, cookies) as first:
            await first.next()
            second = Stream(address, cookies)
            task = asyncio.create_task(application(second.scope, second.receive, second.sent.put))
        await second.start()
        await second.next()
        await later("incident.opened", "incident:1")
        assert (await second.next())[0] == "incident"
        second.gone.set()
        await asyncio.wait_for(task, PATIENCE)

    run(scenario)


def test_a_hub_whose_connection_was_cut_goes_on_where_it_was(cookies: str) -> None:
    async def scenario() -> None:
        async with opened("/console/live/?watch=incident:1", cookies) as page:
            await page.next()
            cut = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE pid <> pg_backend_pid() AND (query LIKE 'LISTEN%%' OR query LIKE '%%AS MATERIALIZED%%')"""
            await sync_to_async(execute)(cut)
            await later("incident.opened", "incident:1")
            assert (await page.next())[0] == "incident"

    run(scenario)
