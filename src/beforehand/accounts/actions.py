"""Make users and tokens, and set what the installation decides about itself."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models import QuerySet

from beforehand.accounts.installation import parse_setting
from beforehand.accounts.models import ApiToken, IdempotentAnswer, MailAbout, Role, SettingVersion, Team, User
from beforehand.accounts.notices import Asked, give_notice
from beforehand.events.actions import append_event
from beforehand.kit import clock
from beforehand.kit.rows import bulk

SCOPES = (
    "events:write",
    "customers:read",
    "customers:write",
    "customers:erase",
    "incidents:read",
    "incidents:write",
    "messages:read",
    "conversations:read",
    "promises:read",
    "promises:write",
    "roster:read",
    "roster:write",
    "playbooks:read",
    "playbooks:write",
    "settings:write",
    "tokens:write",
)
"""What an API token may be allowed."""


class UnknownScope(ValueError):
    """A scope that does not exist; the text names it."""


@transaction.atomic
def create_user(
    *,
    email: str,
    name: str,
    role: str,
    password: str | None,
    actor: str,
    language: str = "en",
    time_zone: str = "Europe/Amsterdam",
) -> User:
    """Make a person who may sign in; without a password, once they chose one by a link, or by the company's own sign-in."""
    user = User.objects.create_user(
        email,
        password,
        name=name,
        role=Role(role),
        language=language,
        time_zone=time_zone,
        is_superuser=role == Role.ADMIN,
    )
    append_event(type="user.created", actor=actor, subject=f"user:{user.pk}", data={"role": role})
    return user


@transaction.atomic
def invite(person: User, *, actor: str, now: datetime) -> None:
    """Have a mail sent to this person with a link to choose a password."""
    event = append_event(type="user.invited", actor=actor, subject=f"user:{person.pk}")
    give_notice(
        Asked((person.pk,), is_team=False), about=f"person:{person.pk}", reason="invited", once=str(event), now=now
    )


@transaction.atomic
def change_user(
    person: User, *, name: str, role: str, is_active: bool, teams: Sequence[Team] | QuerySet[Team], actor: str
) -> None:
    """What a person is called, what they may do, whether they may still sign in, and to which teams they belong."""
    person.name, person.role, person.is_active = name, Role(role), is_active
    person.is_superuser = role == Role.ADMIN
    person.save(update_fields=["name", "role", "is_active", "is_superuser"])
    person.teams.set(teams)
    append_event(
        type="user.changed",
        actor=actor,
        subject=f"user:{person.pk}",
        data={"role": role, "is_active": is_active, "teams": sorted(team.pk for team in teams)},
    )


@transaction.atomic
def change_own_ways(person: User, *, mail_about: str, language: str, time_zone: str, actor: str) -> None:
    """How mails speak to this person, and what they want to be mailed about."""
    person.mail_about, person.language, person.time_zone = MailAbout(mail_about), language, time_zone
    person.save(update_fields=["mail_about", "language", "time_zone"])
    append_event(type="user.changed", actor=actor, subject=f"user:{person.pk}", data={"mail_about": mail_about})


@transaction.atomic
def forget_second_step(user: User, *, actor: str) -> bool:
    """Take away what this person shows besides the password, such as a telephone that is lost; whether there was any."""
    removed, _ = Authenticator.objects.filter(user_id=user.pk).delete()
    if removed:
        append_event(type="user.mfa_changed", actor=actor, subject=f"user:{user.pk}", data={"on": False})
    return bool(removed)


@transaction.atomic
def create_token(
    *, name: str, scopes: Sequence[str], actor: str, expires_at: datetime | None = None, created_by: User | None = None
) -> tuple[ApiToken, str]:
    """Make an API token; answers the row and the secret, which is shown once and kept nowhere."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        raise UnknownScope(f"There is no scope {', '.join(unknown)}. Scopes: {', '.join(SCOPES)}.")
    secret = "bfh_" + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        name=name, scopes=list(scopes), hash=token_hash(secret), expires_at=expires_at, created_by=created_by
    )
    append_event(type="token.created", actor=actor, subject=f"token:{token.pk}")
    return token, secret


@transaction.atomic
def revoke_token(token: ApiToken, *, actor: str) -> None:
    """From now on the token opens nothing."""
    token.revoked_at = clock.now()
    token.save(update_fields=["revoked_at"])
    append_event(type="token.revoked", actor=actor, subject=f"token:{token.pk}")


def token_hash(secret: str) -> str:
    """What is kept of a token: SHA-256, enough for 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def set_setting(*, key: str, value: Any, actor: str) -> SettingVersion:
    """Put a new version of a setting in force; raises `SettingRefused`."""
    parse_setting(key, value)
    version = SettingVersion.objects.create(key=key, value=value, set_by=actor)
    append_event(type="setting.changed", actor=actor, subject=f"setting:{key}", data={"version": version.pk})
    return version


@transaction.atomic
def ensure_team(*, slug: str, name: str, actor: str) -> Team:
    """The team with this slug, made if there is none."""
    team, made = Team.objects.get_or_create(slug=slug, defaults={"name": name})
    if made:
        append_event(type="team.created", actor=actor, subject=f"team:{team.pk}")
    return team


@transaction.atomic
def save_team(*, slug: str, name: str, actor: str) -> Team:
    """Make the team with this slug, or give it this name."""
    team = ensure_team(slug=slug, name=name, actor=actor)
    if team.name != name:
        team.name = name
        team.save(update_fields=["name"])
        append_event(type="team.renamed", actor=actor, subject=f"team:{team.pk}")
    return team


@transaction.atomic
def join_team(*, user: User, team: Team, actor: str) -> None:
    """Make this person a member; nothing happens if they are one."""
    if not team.members.filter(pk=user.pk).exists():
        team.members.add(user)
        append_event(type="team.member_added", actor=actor, subject=f"team:{team.pk}", data={"user": user.pk})


def forget_answers(*, older_than: datetime, token_id: int | None = None, key: str | None = None) -> int:
    """Delete what the API answered to idempotency keys before then: all of it, or one token's one key; how many."""
    answers = IdempotentAnswer.objects.filter(created_at__lt=older_than)
    if token_id is not None and key is not None:
        answers = answers.filter(token_id=token_id, key=key)
    return answers.delete()[0]


def forget_answers_naming(needles: Sequence[str]) -> int:
    """Delete what the API answered to idempotency keys wherever it names one of these; how many. They are a day's."""
    patterns = ["%" + needle.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%" for needle in needles]
    return bulk(
        "DELETE FROM accounts_idempotentanswer WHERE body::text ILIKE ANY(%(patterns)s::text[])",
        {"patterns": patterns},
    )
