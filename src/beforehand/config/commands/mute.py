"""`beforehand mute`: let alerts open nothing for a time."""

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from beforehand.config.commands import CommandError, add_json, print_json, ready_database, tell
from beforehand.config.environment import Environment

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """`mute list`, `mute add --component ID --for 2h --why TEXT`, `mute end ID`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = actions.add_parser("list", help="the mutes that count now or will", description="List mutes.")
    listed.add_argument("--all", action="store_true", help="also those that are over")
    add_json(listed)
    add = actions.add_parser("add", help="mute alerts", description="Mute alerts; open incidents stay open.")
    add.add_argument("--condition", default="", metavar="CEL", help="which alerts, such as 'labels.team == \"lab\"'")
    add.add_argument("--component", metavar="ID", help="those on this component, and on all that depends on it")
    add.add_argument("--from", dest="begin", metavar="TIME", help="such as 2026-11-24T22:00+01:00; by default now")
    until = add.add_mutually_exclusive_group(required=True)
    until.add_argument("--until", metavar="TIME", help="such as 2026-11-25T02:00+01:00")
    until.add_argument("--for", dest="length", metavar="TIME", help="such as 30m, 4h or 2d")
    add.add_argument("--why", required=True, metavar="TEXT", help="the reason, for who asks later")
    add_json(add)
    end = actions.add_parser("end", help="end a mute now", description="End a mute.")
    end.add_argument("mute", metavar="ID")
    add_json(end)


def run(environment: Environment, given: argparse.Namespace) -> int:
    """List, add or end mutes."""
    with ready_database(environment):
        if given.action == "list":
            return _list(given)
        return _add(given) if given.action == "add" else _end(given)


def _list(given: argparse.Namespace) -> int:
    from beforehand.api.mutes import shown_mutes
    from beforehand.detection.models import Mute
    from beforehand.kit import clock

    found = Mute.objects.select_related("component").order_by("-pk")
    mutes = shown_mutes(list(found if given.all else found.filter(ends_at__gt=clock.now())))
    if given.json:
        print_json(mutes)
        return 0
    if not mutes:
        tell("Nothing is muted.")
        return 0
    table = Table("id", "what", "from", "until", "state", "held back", "why", box=None, pad_edge=False)
    for mute in mutes:
        what = " and ".join(filter(None, [mute["component"], mute["condition"]]))
        spans = (f"{mute[name]:%Y-%m-%d %H:%M} UTC" for name in ("starts_at", "ends_at"))
        table.add_row(str(mute["id"]), what, *spans, mute["state"], str(mute["muted"]), mute["reason"])
    Console().print(table)
    return 0


def _add(given: argparse.Namespace) -> int:
    from beforehand.api.mutes import REFUSED
    from beforehand.customers.models import Component
    from beforehand.detection.mutes import MuteError, create_mute
    from beforehand.engine.conditions import ConditionError
    from beforehand.kit import clock

    starts_at = _instant(given.begin, "--from") if given.begin else clock.now()
    ends_at = _instant(given.until, "--until") if given.until else starts_at + _length(given.length)
    component = None
    if given.component is not None:
        component = Component.objects.filter(external_id=given.component).first()
        if component is None:
            raise CommandError(f"there is no component {given.component!r}")
    try:
        mute = create_mute(
            condition=given.condition,
            component=component,
            starts_at=starts_at,
            ends_at=ends_at,
            reason=given.why,
            actor="command",
        )
    except ConditionError as error:
        raise CommandError(f"the condition cannot be: {error}") from None
    except MuteError as error:
        raise CommandError(REFUSED[error.code][1]) from None
    return _tell(mute, given, f"Muted until {mute.ends_at:%Y-%m-%d %H:%M} UTC, as {mute.public_id}.")


def _end(given: argparse.Namespace) -> int:
    from django.core.exceptions import ValidationError

    from beforehand.detection.models import Mute
    from beforehand.detection.mutes import end_mute

    try:
        mute = Mute.objects.get(public_id=given.mute)
    except (Mute.DoesNotExist, ValidationError):
        raise CommandError(f"there is no mute {given.mute!r}: `beforehand mute list` shows the ids") from None
    ended = end_mute(mute, actor="command")
    mute.refresh_from_db()
    return _tell(mute, given, "It mutes no longer." if ended else "It was over already.")


def _tell(mute: Any, given: argparse.Namespace, sentence: str) -> int:
    from beforehand.api.mutes import shown_mutes

    if given.json:
        print_json(shown_mutes([mute])[0])
    else:
        tell(sentence)
    return 0


def _instant(text: str, option: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{option} {text!r} is not a time: write it like 2026-11-24T22:00+01:00") from None
    if instant.tzinfo is None:
        raise CommandError(f"{option} {text!r} lacks its offset: write it like {text}+01:00, or {text}Z for UTC")
    return instant.astimezone(UTC)


def _length(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([mhd])", text)
    if found is None or int(found[1]) < 1:
        raise CommandError(f"--for {text!r} is no length of time: write it like 30m, 4h or 2d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
