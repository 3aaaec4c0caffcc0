"""`beforehand token`: what other systems show when they use the API."""

import argparse
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from beforehand.config.commands import CommandError, add_json, print_json, ready_database, tell
from beforehand.config.environment import Environment

if TYPE_CHECKING:
    from beforehand.accounts.models import ApiToken


def arguments(parser: argparse.ArgumentParser) -> None:
    """`token create NAME --scope …`, `token list`, `token revoke ID`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a token; it is shown once", description="Make an API token.")
    create.add_argument("name", metavar="NAME", help="who will use it")
    create.add_argument(
        "--scope",
        action="append",
        default=[],
        metavar="SCOPE",
        help="what it may do, such as events:write; may be repeated, or given as a list with commas",
    )
    create.add_argument("--days", type=int, help="how long it is good; by default until it is revoked")
    add_json(create)
    add_json(actions.add_parser("list", help="the tokens, without their secrets", description="List API tokens."))
    revoke = actions.add_parser("revoke", help="let a token open nothing any more", description="Revoke a token.")
    revoke.add_argument("token", metavar="ID", help="its id, or its name if only one is called so")
    add_json(revoke)


def run(environment: Environment, given: argparse.Namespace) -> int:
    """Make, list or revoke tokens."""
    with ready_database(environment):
        if given.action == "create":
            return _create(given)
        return _list(given) if given.action == "list" else _revoke(given)


def _create(given: argparse.Namespace) -> int:
    from beforehand.accounts.actions import SCOPES, UnknownScope, create_token
    from beforehand.kit import clock

    scopes = [scope for part in given.scope for scope in part.replace(",", " ").split()]
    if not scopes:
        raise CommandError(f"say what it may do with --scope; scopes: {', '.join(SCOPES)}")
    if given.days is not None and given.days < 1:
        raise CommandError("--days should be 1 or more")
    expires_at = clock.now() + timedelta(days=given.days) if given.days is not None else None
    try:
        token, secret = create_token(name=given.name, scopes=scopes, actor="command", expires_at=expires_at)
    except UnknownScope as error:
        raise CommandError(str(error)) from None
    if given.json:
        print_json({**_as_json(token), "token": secret})
    else:
        tell(f"A token for {token.name}, shown this once; it may {', '.join(scopes)}:")
        print(secret)
    return 0


def _list(given: argparse.Namespace) -> int:
    from beforehand.accounts.models import ApiToken

    tokens = list(ApiToken.objects.order_by("pk"))
    if given.json:
        print_json([_as_json(token) for token in tokens])
        return 0
    if not tokens:
        tell("There is no token: `beforehand token create NAME --scope events:write` makes one.")
        return 0
    table = Table("id", "name", "scopes", "last used", "good until", box=None, pad_edge=False)
    for token in tokens:
        until = "revoked" if token.revoked_at else _day(token.expires_at) or "revoked by hand"
        used = _day(token.last_used_at) or "never"
        table.add_row(str(token.public_id), token.name, ", ".join(token.scopes), used, until)
    Console().print(table)
    return 0


def _revoke(given: argparse.Namespace) -> int:
    from beforehand.accounts.actions import revoke_token

    token = _named(given.token)
    if token.revoked_at is None:
        revoke_token(token, actor="command")
    if given.json:
        print_json(_as_json(token))
    else:
        tell(f"The token {token.name} opens nothing any more.")
    return 0


def _named(wanted: str) -> "ApiToken":
    """The token with this id or name; raises CommandError for none, or for several of one name."""
    from django.core.exceptions import ValidationError

    from beforehand.accounts.models import ApiToken

    try:
        return ApiToken.objects.get(public_id=wanted)
    except (ApiToken.DoesNotExist, ValidationError):
        found = list(ApiToken.objects.filter(name=wanted, revoked_at=None)[:2])
    if len(found) == 1:
        return found[0]
    why = "several tokens are" if found else "no token that can be used is"
    raise CommandError(f"{why} called {wanted!r}: `beforehand token list` shows the ids")


def _as_json(token: "ApiToken") -> dict[str, Any]:
    return {
        "id": str(token.public_id),
        "name": token.name,
        "scopes": token.scopes,
        "created_at": _iso(token.created_at),
        "expires_at": _iso(token.expires_at),
        "revoked_at": _iso(token.revoked_at),
        "last_used_at": _iso(token.last_used_at),
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""
