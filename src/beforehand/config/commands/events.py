"""`beforehand events tail`: the log as it grows, in a terminal."""

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from beforehand.config.commands import add_json, print_json, ready_database
from beforehand.config.environment import Environment

if TYPE_CHECKING:
    from beforehand.events.subscriptions import StoredEvent

_PAUSE = 0.5  # seconds between two looks


def arguments(parser: argparse.ArgumentParser) -> None:
    """`events tail [--lines N] [--follow] [--type T]`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    tail = actions.add_parser("tail", help="the log's newest events", description="Show the log's newest events.")
    tail.add_argument("-n", "--lines", type=int, default=20, metavar="N", help="how many (20)")
    tail.add_argument("-f", "--follow", action="store_true", help="go on with what happens, until Ctrl-C")
    tail.add_argument(
        "--type", action="append", default=[], metavar="TYPE", help="only these: message.sent, or all of message."
    )
    tail.add_argument("--subject", default="", metavar="SUBJECT", help="only of this, such as incident:42")
    add_json(tail)


def run(environment: Environment, given: argparse.Namespace) -> int:
    """Print the newest events, oldest first, and with `--follow` those that come."""
    with ready_database(environment):
        from beforehand.events.browsing import LogFilter, events_after, newest_events
        from beforehand.events.places import place_now

        wanted = LogFilter(types=tuple(given.type), subject=given.subject)
        place = place_now()  # before the first look: what comes in between is seen twice, and shown once
        newest = newest_events(wanted, limit=max(1, given.lines)).events
        _print(reversed(newest), is_json=given.json)
        shown = {event.id for event in newest}
        while given.follow:
            events, place = events_after(place)
            _print((event for event in events if wanted.fits(event) and event.id not in shown), is_json=given.json)
            if not events:
                time.sleep(_PAUSE)
    return 0


def _print(events: "Iterable[StoredEvent]", *, is_json: bool) -> None:
    for event in events:
        if is_json:
            print_json(asdict(event))
            continue
        about = " ".join(filter(None, [event.subject, f"customer:{event.customer_id}" if event.customer_id else ""]))
        data = " ".join(f"{key}={value}" for key, value in event.data.items())
        print(f"{event.recorded_at:%Y-%m-%d %H:%M:%S}Z  {event.type:<28} {about:<24} {event.actor:<12} {data}".rstrip())
    sys.stdout.flush()
