"""The trial's worker: spreads one announcement over its audience, claims flights, sends them, records what became of each.

Started by trial_fanout.py as a process of its own, so that it can be killed. It keeps the product's promises in their
barest form: *sending* is committed before the first byte leaves; what was *sending* when a worker died is *uncertain*, and
is sent again under the same Message-ID; everything else is said once.
"""

import argparse
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from email.header import Header
from html import escape
from typing import Any

import psycopg

from pipelining import Flight, Mail, Sender

FLIGHT = 50
BUCKETS = 64
IDLE_S = 0.005
LIVE_WORKER = 77  # advisory lock: held for life by each session of a worker

Connection = psycopg.Connection[tuple[Any, ...]]

SPREAD = """
    WITH mine AS (
        INSERT INTO spread (batch_id, bucket) VALUES (1, %(bucket)s) ON CONFLICT DO NOTHING RETURNING bucket
    )
    INSERT INTO message (bucket, id, batch_id, customer_id, language, state)
    SELECT c.bucket, nextval('message_id'), 1, c.id, c.language, 'queued'
    FROM customer c
    WHERE c.bucket = %(bucket)s AND c.node_id = 1 AND EXISTS (SELECT FROM mine)
    ON CONFLICT (bucket, batch_id, customer_id) DO NOTHING
"""

# The message row moves to `sending` and its delivery row is written in the same statement; commit comes before any byte.
CLAIM = """
    WITH picked AS (
        SELECT bucket, id FROM message
        WHERE bucket = %(bucket)s AND state = 'queued'
        LIMIT %(count)s FOR UPDATE SKIP LOCKED
    ), marked AS (
        UPDATE message m SET state = 'sending', attempts = m.attempts + 1
        FROM picked p WHERE m.bucket = %(bucket)s AND m.id = p.id
        RETURNING m.id, m.attempts, m.customer_id
    ), noted AS (
        INSERT INTO delivery (bucket, message_id, attempt, state)
        SELECT %(bucket)s, id, attempts, 'sending' FROM marked
    )
    SELECT marked.id, marked.attempts, c.id, c.name, c.language, c.email
    FROM marked JOIN customer c ON c.bucket = %(bucket)s AND c.id = marked.customer_id
"""

RECORD = """
    WITH landed AS (
        SELECT * FROM unnest(%(buckets)s::smallint[], %(ids)s::bigint[], %(attempts)s::smallint[]) AS l (bucket, id, attempt)
    ), delivered AS (
        UPDATE delivery d SET state = 'accepted', code = 250, ended_at = now()
        FROM landed l WHERE d.bucket = l.bucket AND d.message_id = l.id AND d.attempt = l.attempt
    ), sent AS (
        UPDATE message m SET state = 'sent', ended_at = now()
        FROM landed l WHERE m.bucket = l.bucket AND m.id = l.id AND m.state = 'sending'
        RETURNING m.id, m.customer_id
    )
    INSERT INTO events_event (type, source, actor, subject, customer_id, data)
    SELECT 'message.accepted', 'outbound', 'worker', 'message/' || id, customer_id, '{"channel": "email", "code": 250}'
    FROM sent
"""

RECOVER = """
    WITH lost AS (
        UPDATE delivery SET state = 'uncertain', ended_at = now() WHERE state = 'sending' RETURNING bucket, message_id
    )
    UPDATE message m SET state = 'queued' FROM lost l WHERE m.bucket = l.bucket AND m.id = l.message_id
"""


# --- Texts: one skeleton a language, compiled once, filled per recipient ----------------------------------------------


def skeleton(language: str, *, size: int) -> list[bytes]:
    """The pieces between which a recipient's own values go; CRLF throughout, no line starts with a dot."""
    words = {"nl": "Storing in uw buurt", "en": "A fault near you", "ar": "عطل بالقرب منك", "hi": "आपके पास एक ख़राबी"}
    head = (
        "From: Noorderlicht <trial@beforehand.example>\r\nTo: {to}\r\n"
        f"Subject: {Header(words[language], 'utf-8').encode()}\r\nMessage-ID: <{{id}}@beforehand.example>\r\n"
        "X-Trial-Id: {id}\r\nDate: Sun, 22 Nov 2026 20:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nContent-Language: {language}\r\n\r\n"
        f"<!doctype html><html lang={language}><body><p>{{name}},</p>\r\n"
    )
    line = f"<p>{words[language]}: {'x' * 40}</p>\r\n"
    body = line * ((size - len(head.encode())) // len(line.encode()))
    whole = (head + body + "<p>Code {id}</p></body></html>\r\n").encode()
    pieces = [whole]
    for slot in (b"{to}", b"{id}", b"{id}", b"{name}", b"{id}"):
        pieces[-1:] = pieces[-1].split(slot, 1)
    return pieces


def fill(pieces: Sequence[bytes], *, mark: str, name: str, email: str) -> bytes:
    """One recipient's message. A name is data: control characters go, what is not ASCII is encoded, HTML is escaped."""
    safe = "".join(character for character in name if character.isprintable())
    shown = safe if safe.isascii() else Header(safe, "utf-8").encode()
    quoted = shown.replace("\\", "\\\\").replace('"', '\\"') if safe.isascii() else shown
    to = f'"{quoted}" <{email}>' if safe.isascii() else f"{quoted} <{email}>"
    own = mark.encode()
    a, b, c, d, e, f = pieces
    return b"".join((a, to.encode(), b, own, c, own, d, escape(safe).encode(), e, own, f))


# --- Work --------------------------------------------------------------------------------------------------------------


class Worker:
    """One process: a thread that spreads, a thread that claims and records, and the poll loop that sends."""

    def __init__(self, *, dsn: str, port: int, connections: int, claimers: int, size: int) -> None:
        self.dsn, self.connections, self.claimers = dsn, connections, claimers
        self.texts = {language: skeleton(language, size=size) for language in ("nl", "en", "ar", "hi")}
        self.landed: queue.SimpleQueue[Flight] = queue.SimpleQueue()
        self.sender = Sender(port=port, connections=connections, on_landed=self._note)
        self.first_accepted_at: float | None = None
        self.error: BaseException | None = None
        self.is_spread = threading.Event()

    def _note(self, flight: Flight) -> None:
        if self.first_accepted_at is None:
            self.first_accepted_at = time.time()
        self.landed.put(flight)

    def _connect(self) -> Connection:
        connection = psycopg.connect(self.dsn)
        connection.execute("SELECT pg_advisory_lock_shared(%s)", [LIVE_WORKER])
        connection.commit()
        return connection

    def recover(self) -> int:
        """Mark what a dead worker was sending as uncertain and queue it again; how many.

        A killed client's session may still commit its last statement: the lock waits until every such session is gone.
        """
        with psycopg.connect(self.dsn) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [LIVE_WORKER])
            return connection.execute(RECOVER).rowcount

    def spread(self) -> None:
        with self._connect() as connection:
            for bucket in range(BUCKETS):
                connection.execute(SPREAD, {"bucket": bucket})
                connection.commit()
        self.is_spread.set()

    def deliver(self) -> None:
        """Record what landed and claim as many flights as connections came free, in one transaction, until all is done."""
        free, cursor = self.connections // self.claimers, 0
        with self._connect() as connection:
            flying = 0
            while True:
                was_spread = self.is_spread.is_set()
                landed = self._collect(wait=flying > 0 and free == 0, limit=flying)
                free, flying = free + len(landed), flying - len(landed)
                self._record(connection, landed)
                cursor, flights = self._claim(connection, cursor=cursor, flights=free)
                connection.commit()
                for flight in flights:
                    self.sender.submit(flight)
                free, flying = free - len(flights), flying + len(flights)
                if not flights and not landed:
                    if flying == 0 and was_spread:
                        return
                    time.sleep(IDLE_S)

    def _collect(self, *, wait: bool, limit: int) -> list[Flight]:
        """Flights that have landed; at least one if told to wait. Claimers share them: any of them may record any."""
        found: list[Flight] = []
        try:
            while len(found) < limit:
                found.append(self.landed.get(block=wait and not found))
        except queue.Empty:
            return found
        return found

    def _record(self, connection: Connection, landed: list[Flight]) -> None:
        mails = [mail for flight in landed for mail in flight]
        if mails:
            connection.execute(
                RECORD,
                {
                    "buckets": [mail.bucket for mail in mails],
                    "ids": [mail.message_id for mail in mails],
                    "attempts": [mail.attempt for mail in mails],
                },
            )

    def _claim(self, connection: Connection, *, cursor: int, flights: int) -> tuple[int, list[Flight]]:
        """Flights of at most 50, each of one bucket, starting at bucket `cursor`; and the bucket where to go on."""
        found: list[Flight] = []
        for step in range(BUCKETS):
            bucket = (cursor + step) % BUCKETS
            wanted = (flights - len(found)) * FLIGHT
            if wanted <= 0:
                return bucket, found
            mails = [self._mail(bucket, row) for row in connection.execute(CLAIM, {"bucket": bucket, "count": wanted})]
            found.extend(mails[at : at + FLIGHT] for at in range(0, len(mails), FLIGHT))
            if len(mails) == wanted:
                return bucket, found
        return cursor, found

    def _mail(self, bucket: int, row: tuple[Any, ...]) -> Mail:
        message_id, attempt, customer_id, name, language, email = row
        data = fill(self.texts[language], mark=f"{message_id}.{customer_id}", name=name, email=email)
        return Mail(bucket=bucket, message_id=message_id, attempt=attempt, recipient=email.encode(), data=data)

    def run(self) -> None:
        def guarded(work: Callable[[], None]) -> threading.Thread:
            def body() -> None:
                try:
                    work()
                except BaseException as error:
                    self.error = self.error or error
                    self.sender.stop()

            thread = threading.Thread(target=body, daemon=True)
            thread.start()
            return thread

        threads = [guarded(self.spread)] + [guarded(self.deliver) for _ in range(self.claimers)]

        def wait() -> None:
            for thread in threads:
                thread.join()
            self.sender.stop()

        guarded(wait)
        self.sender.run()
        if self.error is not None:
            raise self.error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind in (("dsn", str), ("port", int), ("connections", int), ("claimers", int), ("size", int)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    worker = Worker(**vars(parser.parse_args()))
    worker.recover()
    print("ready", flush=True)
    sys.stdin.readline()  # the decision: the clock runs from before this line is written
    worker.run()
    ended_at = time.time()
    print(json.dumps({"first_accepted_at": worker.first_accepted_at, "ended_at": ended_at}), flush=True)
    os._exit(0)  # no clean-up that a killed worker would not do either


if __name__ == "__main__":
    main()
