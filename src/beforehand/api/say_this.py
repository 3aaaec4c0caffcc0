"""Say this: what a telephone's menu reads out before anybody picks it up."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import BaseModel, Field

from beforehand.accounts.installation import installation
from beforehand.api.incident_texts import Language
from beforehand.api.operations import REFUSALS, May
from beforehand.api.problems import not_found
from beforehand.customers.models import Component
from beforehand.incidents.spoken import announcements, nothing_known
from beforehand.kit import clock

router = Router(tags=["say-this"])
FRESH = "private, max-age=15"


class AnnouncementOut(BaseModel):
    """One incident: at most forty words, and until when the next news comes."""

    incident: UUID
    words: str
    next_update_due_at: datetime | None


class SayThisOut(BaseModel):
    """`text` is all of it, to be read out; it says so too where nothing is known."""

    language: str
    component: str | None
    is_wrong: bool
    text: str
    items: list[AnnouncementOut]


@router.get("", auth=May("incidents:read"), response={200: SayThisOut, **REFUSALS})
def say_this(
    request: HttpRequest,
    response: HttpResponse,
    language: Annotated[Language | None, Query(description="The caller's; the installation's, if not stated.")] = None,
    component: Annotated[str, Field(max_length=200)] = "",
) -> Any:
    """What is publicly wrong with a component (also in what it is made of, and in what it depends on), or anywhere."""
    brand = installation().brand
    part = Component.objects.filter(external_id=component).first() if component else None
    if component and part is None:
        raise not_found("such component")
    spoken = language or brand.language
    found = announcements(part, language=spoken, brand=brand, now=clock.now())
    response.headers["Cache-Control"] = FRESH
    return {
        "language": spoken,
        "component": component or None,
        "is_wrong": bool(found),
        "text": " ".join(one.words for one in found) or nothing_known(spoken),
        "items": [
            {"incident": one.incident.public_id, "words": one.words, "next_update_due_at": one.next_at} for one in found
        ],
    }
