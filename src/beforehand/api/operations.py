"""What every operation shares: who asks, how bodies are read, what is refused, how a list is cut into pages."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse
from ninja.parser import Parser
from ninja.renderers import BaseRenderer
from ninja.security.http import HttpAuthBase
from pydantic import BaseModel, ConfigDict, Field

from beforehand.api.access import Bearer, authorise
from beforehand.api.bodies import MAX_BODY_BYTES, read_body
from beforehand.api.problems import ApiProblem, Fault, invalid
from beforehand.events.intake.body import read_json

MAX_LIMIT = 500
USUAL_LIMIT = 100
MAX_ROWS = 5_000
"""Rows of one batch: what one transaction writes well within a second or two."""

Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]
SLUG = r"^[a-z0-9][a-z0-9-]{0,49}$"


class May(HttpAuthBase):
    """A bearer token that has this scope."""

    openapi_scheme = "bearer"
    openapi_description = "A token made with `beforehand token` or `POST /tokens`; each operation names its scope."

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope
        self.parameters: frozenset[str] | None = None

    def __call__(self, request: HttpRequest) -> Bearer:
        bearer = authorise(request, self.scope)
        unknown = [] if self.parameters is None else sorted(set(request.GET) - self.parameters)
        if unknown:
            faults = [Fault("unknown_field", f"“{name[:100]}” is not known here.", parameter=name) for name in unknown]
            raise ApiProblem(422, "invalid", faults[0].detail, faults=faults)
        return bearer


def actor_of(request: HttpRequest) -> str:
    """How the log names who asked."""
    bearer: Bearer = request.auth  # type: ignore[attr-defined]
    return bearer.actor


class Given(BaseModel):
    """A body: what it does not know, it refuses by name."""

    model_config = ConfigDict(extra="forbid")


Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """A part of a list; `next` is the cursor of the part after it, null at the end."""

    items: list[Item]
    next: str | None = None


class ProblemDetails(BaseModel):
    """A refusal, RFC 9457."""

    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, Any]] | None = None


REFUSALS: dict[Any, Any] = {frozenset({400, 401, 403, 404, 409, 413, 415, 422, 429, 503}): ProblemDetails}
"""What any operation may answer instead."""


def write_cursor(name: str, *place: int | str) -> str:
    """The place after which the next page of the list `name` begins, as a text without meaning to others."""
    return base64.urlsafe_b64encode(orjson.dumps([name, *place])).rstrip(b"=").decode()


def read_cursor(name: str, cursor: str, *kinds: type) -> tuple[Any, ...] | None:
    """The place in a cursor of this list; None for the beginning. Raises `ApiProblem` 422 for what is none."""
    if not cursor:
        return None
    try:
        found = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        found = None
    if (
        not isinstance(found, list)
        or len(found) != len(kinds) + 1
        or found[0] != name
        or any(type(value) is not kind for value, kind in zip(found[1:], kinds, strict=True))
        or any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in found[1:])
        or any(isinstance(value, str) and "\0" in value for value in found[1:])
    ):
        raise invalid("This cursor is not one of this list.", code="bad_cursor", parameter="cursor")
    return tuple(found[1:])


def paged(
    name: str, found: Sequence[Any], *, limit: int, shown: Callable[[Any], Any], place: Callable[[Any], tuple[Any, ...]]
) -> dict[str, Any]:
    """A page of what was found with one row more than `limit`; `place` gives a row's sort key."""
    rows = found[:limit]
    is_more = len(found) > limit
    return {"items": [shown(row) for row in rows], "next": write_cursor(name, *place(rows[-1])) if is_more else None}


def uuid_of(text: str) -> UUID | None:
    """The UUID that a text is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


class JsonParser(Parser):
    """Reads bodies as the doors for events do: JSON in UTF-8, no deeper than anyone needs."""

    def parse_body(self, request: HttpRequest) -> Any:
        media_type = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise ApiProblem(415, "unsupported_media_type", "Send application/json.")
        return read_json(read_body(request), max_bytes=MAX_BODY_BYTES)


class JsonRenderer(BaseRenderer):
    """Writes answers."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return orjson.dumps(data)


def refuse_unusable(request: HttpRequest) -> None:
    """Raise `ApiProblem` for what no operation can use: NUL in the address, a body above the limit."""
    if "\0" in request.path:
        raise ApiProblem(404, "not_found", "There is no such address.")
    for name, values in request.GET.lists():
        if "\0" in name or any("\0" in value or not _is_storable(value) for value in values):
            raise ApiProblem(
                422,
                "invalid",
                "A parameter holds a character that cannot be stored.",
                faults=[Fault("invalid", "NUL and half characters cannot be stored.", parameter=name[:100])],
            )
    if request.method in ("POST", "PUT", "PATCH", "DELETE"):
        read_body(request)


def _is_storable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def no_content(status: int = 204) -> HttpResponse:
    """Done, and nothing to say."""
    return HttpResponse(status=status)
