"""API tokens: make one, revoke one. A token can hand on only what it may do itself."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import AwareDatetime, BaseModel, Field

from beforehand.accounts.actions import SCOPES, UnknownScope, create_token, revoke_token
from beforehand.accounts.models import ApiToken
from beforehand.api.access import Bearer, forget_tokens
from beforehand.api.idempotency import creates
from beforehand.api.operations import (
    REFUSALS,
    USUAL_LIMIT,
    Given,
    Limit,
    May,
    Page,
    actor_of,
    no_content,
    paged,
    read_cursor,
)
from beforehand.api.problems import ApiProblem, invalid, not_found

router = Router(tags=["tokens"])


class TokenIn(Given):
    name: str = Field(min_length=1, max_length=200)
    scopes: list[str] = Field(min_length=1, max_length=50)
    expires_at: AwareDatetime | None = None


class TokenOut(BaseModel):
    id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewTokenOut(TokenOut):
    """`secret` is shown this once and kept nowhere; it is null when the answer is repeated for an Idempotency-Key."""

    secret: str | None


def _shown(token: ApiToken) -> dict[str, Any]:
    return {name: getattr(token, name) for name in TokenOut.model_fields if name != "id"} | {"id": str(token.public_id)}


@router.get("", auth=May("tokens:write"), response={200: Page[TokenOut], **REFUSALS})
def list_tokens(request: HttpRequest, limit: Limit = USUAL_LIMIT, cursor: str = "") -> Any:
    """Tokens, newest first, also those that are revoked."""
    place = read_cursor("tokens", cursor, int)
    found = ApiToken.objects.order_by("-pk")
    if place:
        found = found.filter(pk__lt=place[0])
    return paged("tokens", list(found[: limit + 1]), limit=limit, shown=_shown, place=lambda token: (token.pk,))


@router.post("", auth=May("tokens:write"), response={201: NewTokenOut, **REFUSALS})
@creates
def post_token(request: HttpRequest, token: TokenIn) -> Any:
    """Make a token."""
    bearer: Bearer = request.auth  # type: ignore[attr-defined]
    beyond = sorted(set(token.scopes) & set(SCOPES) - bearer.scopes)
    if beyond:
        raise ApiProblem(403, "scope_not_yours", f"You cannot hand on what you do not have: {', '.join(beyond)}.")
    try:
        made, secret = create_token(
            name=token.name, scopes=token.scopes, actor=actor_of(request), expires_at=token.expires_at
        )
    except UnknownScope as error:
        raise invalid(str(error), code="unknown_scope", pointer="/scopes") from None
    return Status(201, _shown(made) | {"secret": secret})


@router.delete("/{token_id}", auth=May("tokens:write"), response={204: None, **REFUSALS})
def delete_token(request: HttpRequest, token_id: UUID) -> Any:
    """Revoke a token: from now on it opens nothing; other processes learn of it within seconds."""
    token = ApiToken.objects.filter(public_id=token_id).first()
    if token is None:
        raise not_found("such token")
    if token.revoked_at is None:
        revoke_token(token, actor=actor_of(request))
    forget_tokens()
    return no_content()
