"""Playbooks: versions of what we agreed to do; a push names the hash that it builds on, approval binds to a hash."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.api.incident_texts import Language
from beforehand.api.operations import (
    REFUSALS,
    SLUG,
    USUAL_LIMIT,
    Given,
    Limit,
    May,
    Page,
    actor_of,
    paged,
    read_cursor,
)
from beforehand.api.problems import ApiProblem, from_playbook, invalid, not_found
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.problems import PlaybookErrors
from beforehand.playbooks.actions import NotTheirsToApprove, PlaybookRefused, approve_version, push_version
from beforehand.playbooks.bundles import flat
from beforehand.playbooks.models import PlaybookVersion

router = Router(tags=["playbooks"])
Slug = Annotated[str, Field(pattern=SLUG)]
Hash = Annotated[str, Field(max_length=200)]


class VersionOut(BaseModel):
    """One version; new runs use the current one, and ask a person first until it is approved."""

    slug: str
    number: int
    hash: str
    note: str
    created_by: str
    created_at: datetime
    approved_at: datetime | None
    is_current: bool


class BundleOut(VersionOut):
    """A version with its YAML and its texts, by name and language."""

    source: str
    texts: dict[str, dict[str, str]]


class BundleIn(Given):
    source: str = Field(max_length=200_000, description="The playbook's YAML.")
    texts: dict[Annotated[str, Field(max_length=100)], dict[Language, Annotated[str, Field(max_length=100_000)]]] = (
        Field(max_length=200, description="Name to language to text.")
    )
    builds_on: Hash | None = Field(None, description="The hash of the version that this one changes; stale is refused.")
    note: str = Field("", max_length=1_000)


class ApproveIn(Given):
    hash: Hash


def _line(version: PlaybookVersion) -> dict[str, Any]:
    return {name: getattr(version, name) for name in VersionOut.model_fields}


def _whole(version: PlaybookVersion) -> dict[str, Any]:
    return _line(version) | {"source": version.source, "texts": version.texts}


def _current(slug: str) -> PlaybookVersion | None:
    return PlaybookVersion.objects.filter(slug=slug, is_current=True).first()


@router.get("", auth=May("playbooks:read"), response={200: Page[VersionOut], **REFUSALS})
def list_playbooks(request: HttpRequest, limit: Limit = USUAL_LIMIT, cursor: str = "") -> Any:
    """The current version of each playbook, by name."""
    place = read_cursor("playbooks", cursor, str)
    found = PlaybookVersion.objects.defer("source", "texts").filter(is_current=True).order_by("slug")
    if place:
        found = found.filter(slug__gt=place[0])
    return paged("playbooks", list(found[: limit + 1]), limit=limit, shown=_line, place=lambda one: (one.slug,))


@router.get("/{slug}", auth=May("playbooks:read"), response={200: BundleOut, **REFUSALS})
def read_playbook(request: HttpRequest, slug: Slug) -> Any:
    """The current version, whole."""
    version = _current(slug)
    if version is None:
        raise not_found("such playbook")
    return _whole(version)


@router.get("/{slug}/versions", auth=May("playbooks:read"), response={200: Page[VersionOut], **REFUSALS})
def list_versions(request: HttpRequest, slug: Slug, limit: Limit = USUAL_LIMIT, cursor: str = "") -> Any:
    """Every version of a playbook, newest first."""
    place = read_cursor("versions", cursor, int)
    found = PlaybookVersion.objects.defer("source", "texts").filter(slug=slug).order_by("-number")
    if place:
        found = found.filter(number__lt=place[0])
    rows = list(found[: limit + 1])
    if not rows and not place:
        raise not_found("such playbook")
    return paged("versions", rows, limit=limit, shown=_line, place=lambda one: (one.number,))


@router.get("/{slug}/versions/{number}", auth=May("playbooks:read"), response={200: BundleOut, **REFUSALS})
def read_version(request: HttpRequest, slug: Slug, number: int) -> Any:
    """One version, whole."""
    version = PlaybookVersion.objects.filter(slug=slug, number=number).first()
    if version is None:
        raise not_found("such version")
    return _whole(version)


@router.put("/{slug}", auth=May("playbooks:write"), response={200: BundleOut, **REFUSALS})
def put_playbook(request: HttpRequest, slug: Slug, bundle: BundleIn) -> Any:
    """Push a bundle: checked whole, stored as a new version unless it is known, current at once but not approved."""
    current = _current(slug)
    if bundle.builds_on is not None and bundle.builds_on != (current.hash if current else ""):
        now = f"{current.number}, {current.hash}" if current else "none"
        raise ApiProblem(409, "stale", f"The current version is another one now ({now}); pull it and push again.")
    try:
        playbook = parse_playbook(bundle.source)
        if playbook.name != slug:
            raise invalid(f"This playbook calls itself “{playbook.name}”, not “{slug}”.", pointer="/source")
        version = push_version(
            source=bundle.source, texts=flat(bundle.texts), actor=actor_of(request), note=bundle.note
        )
    except (PlaybookErrors, PlaybookRefused) as error:
        raise from_playbook(error.problems) from None
    return _whole(version)


@router.post("/{slug}/approve", auth=May("playbooks:write"), response={200: VersionOut, **REFUSALS})
def approve(request: HttpRequest, slug: Slug, approval: ApproveIn) -> Any:
    """Approve the version with this hash: from now on it tells without asking first, up to its limits.

    Refused where the playbook names the teams that approve it: there people do, on its page.
    """
    version = PlaybookVersion.objects.filter(slug=slug, hash=approval.hash).first()
    if version is None:
        raise not_found("version of this playbook with this hash")
    if version.approved_at is None:
        try:
            approve_version(version, user=None, actor=actor_of(request))
        except PlaybookRefused as error:
            raise from_playbook(error.problems) from None
        except NotTheirsToApprove as error:
            detail = f"People approve this playbook, on its page: {error}."
            raise ApiProblem(409, "people_approve", detail) from None
        version.refresh_from_db()
    return _line(version)
