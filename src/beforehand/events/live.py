"""The log, live: one LISTEN connection a process reads what is new once, and hands it to every page that watches.

A page hears names ("incident", "message"), not events: it fetches its parts anew. Names come at most once a second each,
however many events there are. With each goes a place in the log's order before which the page has missed nothing, so that
it resumes there after a lost connection. Async only here; nothing else waits.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
import structlog
from asgiref.sync import sync_to_async
from django.db import connections
from psycopg.rows import TupleRow

from beforehand.events.actions import CHANNEL
from beforehand.events.coalescing import Coalescer
from beforehand.events.places import PLACE_NOW, LogPlace

log = structlog.get_logger()

POLL = 1.0
"""Seconds: an event may become readable only when an older transaction ends, and that one gives no notice."""
PAUSE = 0.15
"""Seconds between two readings: a fan-out commits hundreds of times a second."""
TICK = 20.0
"""Seconds without a word after which a stream says where it is."""
WINDOW = 20_000
MOST_WINDOWS = 10
"""Who was away for longer than so many windows is told to fetch everything anew."""
RECONNECT = 1.0

NAMES = ("incident", "run", "promise", "message", "customer", "contact", "playbook", "conversation")
"""What pages listen for: the first part of an event's type."""

READ = """
WITH seen AS MATERIALIZED (
    SELECT epoch, xid, id, type, subject, customer_id FROM events_event
    WHERE (epoch, xid, id) > ((SELECT %(epoch)s::int), (SELECT %(xid)s::text::xid8), (SELECT %(id)s::bigint))
      AND (epoch, xid) < ((SELECT epoch FROM events_event ORDER BY epoch DESC, xid DESC, id DESC LIMIT 1),
                          pg_snapshot_xmin(pg_current_snapshot()))
    ORDER BY epoch, xid, id LIMIT %(window)s::int
)
(SELECT epoch, xid::text::bigint, id, (SELECT count(*) FROM seen), '', '', NULL::bigint, false FROM seen
 ORDER BY seen.epoch DESC, seen.xid DESC, seen.id DESC LIMIT 1)
UNION ALL
SELECT DISTINCT 0, 0::bigint, 0::bigint, 0::bigint, split_part(type, '.', 1),
       CASE WHEN subject = ANY(%(subjects)s::text[]) THEN subject ELSE '' END,
       CASE WHEN customer_id = ANY(%(customers)s::bigint[]) THEN customer_id END,
       customer_id IS NULL OR type LIKE 'conversation.%%'
FROM seen
"""
"""The last place of this window first, then each name once for each subject and customer that somebody watches."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What a page wants to hear of. `everything` means all but the events of single customers, of which
    only what they write to us is for everybody.
    """

    subjects: frozenset[str] = frozenset()
    customer_ids: frozenset[int] = frozenset()
    everything: bool = False

    def hears(self, notice: "Notice") -> bool:
        return (
            notice.subject in self.subjects
            or notice.customer_id in self.customer_ids
            or (self.everything and notice.is_common)
        )


@dataclass(frozen=True, slots=True)
class Notice:
    """Something of this name happened."""

    name: str
    subject: str
    customer_id: int | None
    is_common: bool


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """What goes down a stream."""

    name: str
    place: LogPlace


Connection = psycopg.AsyncConnection[TupleRow]


async def connect() -> Connection:
    """A connection of its own to Django's database."""
    parameters: dict[str, Any] = connections["default"].get_connection_params()
    for name in ("cursor_factory", "context", "prepare_threshold", "pool"):
        parameters.pop(name, None)
    return await psycopg.AsyncConnection.connect(**parameters, autocommit=True)


async def read(
    connection: Connection, place: LogPlace, *, subjects: Collection[str], customer_ids: Collection[int]
) -> tuple[LogPlace, list[Notice], bool]:
    """The next window after `place`: where it ends, what happened in it, and whether there is more."""
    cursor = await connection.execute(
        READ,
        {
            "epoch": place.epoch,
            "xid": str(place.xid),
            "id": place.event_id,
            "window": WINDOW,
            "subjects": list(subjects),
            "customers": list(customer_ids),
        },
    )
    rows = await cursor.fetchall()
    if not rows:
        return place, [], False
    end = next(row for row in rows if row[0])
    notices = [Notice(*row[4:]) for row in rows if not row[0]]
    return LogPlace(end[0], end[1], end[2]), notices, end[3] >= WINDOW


class Listener:
    """One open stream."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.waiting = Coalescer()
        self.wake = asyncio.Event()

    def hear(self, notices: Collection[Notice], *, until: LogPlace) -> None:
        """What happened up to `until`."""
        names = {notice.name for notice in notices if self.watch.hears(notice)}
        if self.waiting.add(names, until=until):
            self.wake.set()


class Hub:
    """The one reader of this process's event loop, alive while somebody listens."""

    def __init__(self) -> None:
        self.place: LogPlace | None = None
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._reading = asyncio.Lock()
        self._open = 0

    @asynccontextmanager
    async def listening(self, watch: Watch) -> AsyncIterator[tuple[Listener, LogPlace]]:
        """A listener, and the place after which it hears everything."""
        listener = Listener(watch)
        self._open += 1
        try:
            if self._task is None:
                self.place = None
                self._ready.clear()
                self._task = asyncio.create_task(self._run())
            await self._ready.wait()
            # Not in the middle of a reading: its question and its answer are for those who listened when it began.
            async with self._reading:
                self._listeners.add(listener)
                here = self.place or LogPlace(1, 0, 0)
            yield listener, here
        finally:
            self._listeners.discard(listener)
            self._open -= 1
            if not self._open and self._task is not None:
                task, self._task = self._task, None
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _run(self) -> None:
        while True:
            try:
                async with await connect() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    if self.place is None:
                        self.place = await _now(connection)
                    self._ready.set()
                    while True:
                        await self._pass_on(connection)
                        # Rest first: what happens after a quiet moment is then read at once.
                        await asyncio.sleep(PAUSE)
                        async for _notice in connection.notifies(timeout=POLL, stop_after=1):
                            pass
            except psycopg.Error as error:
                # The place is kept: what happens meanwhile is read when the server is back.
                log.warning("live_connection_lost", error=str(error))
                await asyncio.sleep(RECONNECT)

    async def _pass_on(self, connection: Connection) -> None:
        more = True
        while more and self.place is not None:
            async with self._reading:
                place, notices, more = await read(
                    connection,
                    self.place,
                    subjects=frozenset().union(*(one.watch.subjects for one in self._listeners)),
                    customer_ids=frozenset().union(*(one.watch.customer_ids for one in self._listeners)),
                )
                self.place = place
                for listener in self._listeners:
                    listener.hear(notices, until=place)


async def _now(connection: Connection) -> LogPlace:
    row = await (await connection.execute(PLACE_NOW)).fetchone()
    return LogPlace(row[0], row[1], 0) if row else LogPlace(1, 0, 0)


_hubs: "WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]" = WeakKeyDictionary()


def _hub() -> Hub:
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())


async def stream(watch: Watch, *, after: LogPlace | None, seconds: float) -> AsyncGenerator[LiveEvent, None]:
    """Names of what happens, from `after` on without a gap (None: from now on), for so many seconds."""
    hub = _hub()
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    async with hub.listening(watch) as (listener, here):
        listener.waiting.begin(after if after is not None and after < here else here)
        if after is not None and after < here:
            await _catch_up(listener, after, here)
        listener.waiting.caught_up(here)
        yield LiveEvent("tick", listener.waiting.safe)
        while loop.time() < end:
            for name, place in listener.waiting.take(loop.time()):
                yield LiveEvent(name, place)
            wait = listener.waiting.next_in(loop.time())
            listener.wake.clear()
            patience = min(TICK if wait is None else wait, max(end - loop.time(), 0))
            try:
                await asyncio.wait_for(listener.wake.wait(), timeout=patience)
            except TimeoutError:
                if wait is None and loop.time() < end:
                    yield LiveEvent("tick", listener.waiting.safe)


async def lines(watch: Watch, *, after: LogPlace | None, seconds: float) -> AsyncIterator[str]:
    """The stream as a page's EventSource reads it."""
    # The database connection by which the view looked up who asks must not stay open as long as the page does.
    await sync_to_async(connections.close_all)()
    async with aclosing(stream(watch, after=after, seconds=seconds)) as events:
        async for event in events:
            yield f"event: {event.name}\nid: {event.place}\ndata: 1\n\n"
    yield "retry: 100\n\n"


async def _catch_up(listener: Listener, after: LogPlace, here: LogPlace) -> None:
    """Everything between `after` and `here`, by a connection of its own: the hub goes on meanwhile."""
    async with await connect() as connection:
        place, more = after, True
        for _window in range(MOST_WINDOWS):
            watch = listener.watch
            place, notices, more = await read(
                connection, place, subjects=watch.subjects, customer_ids=watch.customer_ids
            )
            listener.hear(notices, until=place)
            if not more or place >= here:
                return
    listener.waiting.add(set(NAMES), until=here)
