"""`beforehand user`: the people who may sign in."""

import argparse
import getpass
import re
import secrets
import sys
from typing import TYPE_CHECKING

from beforehand.config.commands import CommandError, add_json, print_json, ready_database, tell
from beforehand.config.environment import Environment

if TYPE_CHECKING:
    from beforehand.accounts.models import User

_SLUG = re.compile(r"[a-z][a-z0-9-]*")
_GENERATED_BYTES = 12  # 16 characters


def arguments(parser: argparse.ArgumentParser) -> None:
    """`user create EMAIL --name … --role … --team …`, `user join EMAIL --team …`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="let somebody sign in", description="Let somebody sign in.")
    create.add_argument("email", metavar="EMAIL")
    create.add_argument("--name", required=True, help="as colleagues and customers read it")
    create.add_argument("--role", default="agent", help="viewer, agent (the default), supervisor or admin")
    create.add_argument(
        "--team",
        action="append",
        default=[],
        metavar="SLUG",
        help="a team they belong to, made if there is none; may be repeated",
    )
    create.add_argument("--language", default="en", help="of the pages; by default en")
    create.add_argument("--time-zone", default="Europe/Amsterdam", help="by default Europe/Amsterdam")
    create.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input, its first line"
    )
    add_json(create)
    join = actions.add_parser("join", help="put somebody into teams", description="Put somebody into teams.")
    join.add_argument("email", metavar="EMAIL")
    join.add_argument(
        "--team", action="append", required=True, metavar="SLUG", help="made if there is none; may be repeated"
    )
    add_json(join)
    lost = actions.add_parser(
        "forget-second-step",
        help="for somebody whose telephone is lost",
        description="Take the second step away from somebody, who can then set up another.",
    )
    lost.add_argument("email", metavar="EMAIL")
    add_json(lost)


def run(environment: Environment, given: argparse.Namespace) -> int:
    """Make a user, put one into teams, or take a second step away."""
    deeds = {"create": _create, "join": _join, "forget-second-step": _forget_second_step}
    return deeds[given.action](environment, given)


def _join(environment: Environment, given: argparse.Namespace) -> int:
    _check_teams(given.team)
    with ready_database(environment):
        from beforehand.accounts.models import User

        user = User.objects.filter(email__iexact=given.email).first()
        if user is None:
            raise CommandError(f"nobody signs in as {given.email}")
        _put_into(user, given.team)
        teams = sorted(user.teams.values_list("slug", flat=True))
    if given.json:
        print_json({"email": user.email, "teams": teams})
    else:
        tell(f"{user.name} is in: {', '.join(teams)}.")
    return 0


def _put_into(user: "User", slugs: list[str]) -> None:
    from beforehand.accounts.actions import ensure_team, join_team

    for slug in slugs:
        team = ensure_team(slug=slug, name=slug.replace("-", " ").capitalize(), actor="command")
        join_team(user=user, team=team, actor="command")


def _forget_second_step(environment: Environment, given: argparse.Namespace) -> int:
    with ready_database(environment):
        from beforehand.accounts.actions import forget_second_step
        from beforehand.accounts.models import User

        user = User.objects.filter(email=given.email.lower()).first()
        if user is None:
            raise CommandError(f"there is nobody with the address {given.email}")
        had_one = forget_second_step(user, actor="command")
    if given.json:
        print_json({"id": str(user.public_id), "had_one": had_one})
    else:
        tell(f"{user.name} signs in with the password alone now." if had_one else f"{user.name} had no second step.")
    return 0


def _create(environment: Environment, given: argparse.Namespace) -> int:
    """Make a user. Without `--password-stdin` the password is asked for; with no terminal it is made and shown once."""
    password, is_made = _password(given)
    with ready_database(environment):
        from beforehand.accounts.actions import create_user

        _check(given, password)
        user = create_user(
            email=given.email,
            name=given.name.strip(),
            role=given.role,
            password=password,
            actor="command",
            language=given.language,
            time_zone=given.time_zone,
        )
        _put_into(user, given.team)
    shown = {"password": password} if is_made else {}
    if given.json:
        print_json({"id": str(user.public_id), "email": user.email, "role": user.role, **shown})
    else:
        tell(f"{user.name} may sign in as {user.email} ({user.role}).")
        if is_made:
            tell("The password, shown this once:")
            print(password)
    return 0


def _password(given: argparse.Namespace) -> tuple[str, bool]:
    """The password, and whether we made it."""
    if given.password_stdin:
        return sys.stdin.readline().rstrip("\r\n"), False
    if given.json or not sys.stdin.isatty():
        return secrets.token_urlsafe(_GENERATED_BYTES), True
    password = getpass.getpass(f"Password for {given.email}: ")
    if getpass.getpass("Once more: ") != password:
        raise CommandError("the two passwords differ: nobody was made")
    return password, False


def _check(given: argparse.Namespace, password: str) -> None:
    """Raise CommandError with the first thing that is wrong."""
    from django.conf import settings
    from django.contrib.auth.password_validation import validate_password
    from django.core.exceptions import ValidationError
    from django.core.validators import validate_email

    from beforehand.accounts.models import Role, User
    from beforehand.kit.zones import time_zones

    if given.role not in Role.values:
        raise CommandError(f"there is no role {given.role!r}: choose one of {', '.join(Role.values)}")
    _check_teams(given.team)
    languages = [code for code, _ in settings.LANGUAGES]
    if given.language not in languages:
        raise CommandError(f"the pages do not speak {given.language!r}: choose one of {', '.join(languages)}")
    if given.time_zone not in time_zones():
        raise CommandError(f"there is no time zone {given.time_zone!r}: write it like Europe/Amsterdam")
    try:
        validate_email(given.email)
        if not given.name.strip():
            raise CommandError("the name is empty")
        validate_password(password, User(email=given.email, name=given.name))
    except ValidationError as error:
        raise CommandError(" ".join(error.messages).rstrip(".")) from None
    if User.objects.filter(email__iexact=given.email).exists():
        raise CommandError(f"{given.email} may sign in already")


def _check_teams(slugs: list[str]) -> None:
    for slug in slugs:
        if not _SLUG.fullmatch(slug):
            raise CommandError(
                f"{slug!r} is no team: write small letters, digits and hyphens, such as network-operations"
            )
