"""The demo's story, told on a console and on a page, and its summary."""

import sys
import time
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from os import environ
from select import select
from typing import Any

from rich.console import Console
from rich.table import Table

from beforehand.demo.company import make_company
from beforehand.demo.inbox import Inbox
from beforehand.demo.outage import Outage
from beforehand.demo.own_page import NoSuchPlace
from beforehand.demo.public_api import ApiRefused, PublicApi
from beforehand.demo.story_page import StoryPage
from beforehand.demo.telling import NotInTime, Story
from beforehand.demo.watching import Places

ALONE = 60.0
"""Seconds after which the fibre is cut by itself when nobody reads along."""
READING = 900.0
"""Seconds that whoever has the page open is waited for."""


def tell_story(
    places: Places, *, console: Console, customers: int, invites: bool, kill_worker: Callable[[], int | None]
) -> dict[str, Any]:
    """Set up the company, live through the outage, and answer the summary; `held` says whether every step held.

    `invites`: the story stands on a page too, and somebody may cut the fibre there.
    """
    story = Story(console)
    with ExitStack() as open_parts:
        api = open_parts.enter_context(PublicApi(places.base_url, places.token))
        inbox = Inbox(places.mailbox_url)
        open_parts.callback(inbox.close)
        outage = Outage(story, api, inbox, make_company(customers=customers), places=places, kill_worker=kill_worker)
        page = _open_page(story, console) if invites else None
        try:
            outage.prepare()
            if page is not None:
                _wait_for_the_cut(page, console)
            outage.live_through()
        except (NotInTime, ApiRefused, NoSuchPlace) as error:
            console.print(f"\n[red]The story cannot go on:[/] {error}", markup=True)
        finally:
            story.is_over = True
    summary = outage.summary()
    _show(console, summary)
    return summary


def _open_page(story: Story, console: Console) -> StoryPage:
    """The story's page, served as long as the demo runs, and opened where there is a screen."""
    page = StoryPage(story)
    page.start()
    console.print(f"  [bold]The story    [link]{page.url}[/][/]\n")
    if sys.platform == "darwin" or environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(page.url)
    return page


def _wait_for_the_cut(page: StoryPage, console: Console) -> None:
    """Until somebody cuts the fibre, on the page or by Enter; nobody there: it fails by itself, as cables do."""
    page.is_ready.set()
    can_type = sys.stdin.isatty()
    console.print(f"\n  [bold]Cut the fibre[/] on the story’s page{' or with Enter' if can_type else ''}.", end=" ")
    console.print(f"It happens by itself in {ALONE:.0f} s if nobody has that page open.")
    began = time.monotonic()
    while not page.is_cut.wait(0.2):
        waited = time.monotonic() - began
        if waited > (READING if page.is_read else ALONE) or (can_type and select([sys.stdin], [], [], 0)[0]):
            page.is_cut.set()


def _show(console: Console, summary: dict[str, Any]) -> None:
    """The figures, for people."""
    console.print("\n[bold]Who was affected, and who was told[/]")
    table = Table("language", "affected", "told", box=None, pad_edge=False)
    for code, counts in summary["languages"].items():
        table.add_row(code, f"{counts['affected']:,}", f"{counts['told']:,}" if counts["told"] is not None else "?")
    console.print(table)
    verdict = "[green]Every step held.[/]" if summary["held"] else "[red]Not every step held.[/]"
    console.print(f"\n{verdict}")
