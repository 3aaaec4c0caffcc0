"""The state of our services for programs: the JSON that status widgets and aggregators read, and an Atom feed a language.

The shape is that of Atlassian Statuspage's public read API (v2), so that whatever reads that reads us. Ids are those of
our own incidents and components, and stay. Texts are in one language: `?lang=`, else the reader's, else the brand's.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.feedgenerator import Atom1Feed
from django.utils.http import quote_etag
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from beforehand.customers.impact import MAX_DEPTH
from beforehand.incidents.models import Incident, PlannedWork
from beforehand.kit import clock
from beforehand.kit.rows import fetch
from beforehand.portal.problems import Problem, newest_public
from beforehand.portal.reader import Reader, reading
from beforehand.portal.wording import wording

FRESH = "public, max-age=15, stale-while-revalidate=30"
DOCUMENTS = ("summary", "status", "components", "incidents", "incidents/unresolved", "scheduled-maintenances")
MAX_COMPONENTS = 500
SINCE = datetime(2020, 1, 1, tzinfo=UTC)
"""When a page on which nothing ever happened was last changed."""
OPERATIONAL = "operational"
Body = dict[str, Any]

PARTS = f"""
WITH RECURSIVE below (incident_id, component_id, depth) AS (
    SELECT s.incident_id, s.component_id, 0 FROM incidents_incidentscope s
    WHERE s.incident_id = ANY(%(incidents)s) AND s.component_id IS NOT NULL AND s.removed_at IS NULL
    UNION
    SELECT b.incident_id, d.component_id, b.depth + 1
    FROM below b JOIN customers_componentdependency d ON d.depends_on_id = b.component_id
    WHERE b.depth < {MAX_DEPTH}
)
SELECT c.public_id, c.texts, c.created_at,
       coalesce(array_agg(DISTINCT b.incident_id) FILTER (WHERE b.incident_id IS NOT NULL), '{{}}')
FROM customers_component c LEFT JOIN below b ON b.component_id = c.id
WHERE c.texts <> '{{}}'::jsonb GROUP BY c.id ORDER BY c.id LIMIT {MAX_COMPONENTS}
"""
"""The parts that have a name for customers, and which of these incidents each is touched by, also by what it depends on."""


@dataclass(frozen=True, slots=True)
class State:
    """All that the feeds say, read once."""

    problems: tuple[Problem, ...]
    page: Body
    windows: Mapping[int, PlannedWork] = field(default_factory=dict)
    parts: Sequence[tuple[UUID, Mapping[str, str], datetime, list[int]]] = ()

    @property
    def unresolved(self) -> list[Problem]:
        return [one for one in self.problems if one.is_open and one.kind != Incident.Kind.PLANNED]

    @property
    def planned(self) -> list[Problem]:
        return [one for one in self.problems if one.kind == Incident.Kind.PLANNED]


def _state(reader: Reader) -> State:
    """The problems alone: all that the Atom feed says."""
    found = newest_public(language=reader.language, fallback=reader.brand.language)
    changed = [one.began_at for one in found] + [one.ended_at for one in found if one.ended_at]
    changed += [update.posted_at for one in found for update in one.updates]
    return State(
        problems=tuple(found),
        page={
            "id": str(uuid5(NAMESPACE_URL, settings.BASE_URL)),
            "name": reader.brand.name,
            "url": f"{settings.BASE_URL}{reverse('portal:status')}",
            "time_zone": reader.brand.time_zone,
            "updated_at": max((at for at in changed if at <= clock.now()), default=SINCE).isoformat(),
        },
    )


def _whole_state(reader: Reader) -> State:
    """And the windows of planned work, and the parts that each problem touches."""
    state = _state(reader)
    planned = [one.incident_id for one in state.planned]
    open_ids = [one.incident_id for one in state.problems if one.is_open and not one.is_coming]
    return replace(
        state,
        windows=PlannedWork.objects.in_bulk(planned) if planned else {},
        parts=[(row[0], row[1], row[2], row[3]) for row in fetch(PARTS, {"incidents": open_ids})],
    )


def _components(state: State, reader: Reader) -> list[Body]:
    by_id = {one.incident_id: one for one in state.problems}
    rows = []
    for place, (public_id, texts, created_at, touching) in enumerate(state.parts, start=1):
        name = wording(texts, language=reader.language, fallback=reader.brand.language)
        statuses = [_part_status(by_id[number]) for number in touching if number in by_id]
        rows.append(
            {
                "id": str(public_id),
                "name": name.text if name else "",
                "status": max(statuses, key=SEVERITY.index, default=OPERATIONAL),
                "created_at": created_at.isoformat(),
                "updated_at": max(
                    [created_at, *(by_id[number].began_at for number in touching if number in by_id)]
                ).isoformat(),
                "position": place,
                "description": None,
                "showcase": False,
                "start_date": None,
                "group_id": None,
                "page_id": state.page["id"],
                "group": False,
                "only_show_if_degraded": False,
            }
        )
    return rows


SEVERITY = (OPERATIONAL, "under_maintenance", "degraded_performance", "partial_outage", "major_outage")


def _part_status(problem: Problem) -> str:
    if problem.kind == Incident.Kind.PLANNED:
        return "under_maintenance"
    if problem.kind != Incident.Kind.OUTAGE or problem.severity == Incident.Severity.MINOR:
        return "degraded_performance"
    return "major_outage" if problem.severity == Incident.Severity.CRITICAL else "partial_outage"


def _status(state: State) -> Body:
    """One word on all of it: `none`, `minor`, `major`, `critical`, or `maintenance` where nothing else is."""
    grades = [one.severity for one in state.unresolved]
    under_way = any(one.is_open and not one.is_coming for one in state.planned)
    for grade, words in (
        (Incident.Severity.CRITICAL, _("Something important does not work")),
        (Incident.Severity.MAJOR, _("Something does not work")),
        (Incident.Severity.MINOR, _("Something works badly")),
    ):
        if grade in grades:
            return {"indicator": grade.value, "description": words}
    if under_way:
        return {"indicator": "maintenance", "description": _("Planned work is under way")}
    return {"indicator": "none", "description": _("Everything works")}


def _incident(problem: Problem, state: State, components: Sequence[Body]) -> Body:
    window = state.windows.get(problem.incident_id)
    by_id = {one["id"]: one for one in components}
    updates = _updates(problem, state)
    body = {
        "id": problem.key,
        "name": problem.title,
        "status": _incident_status(problem),
        "created_at": problem.began_at.isoformat(),
        "updated_at": updates[0]["updated_at"],
        "monitoring_at": None,
        "resolved_at": problem.ended_at.isoformat() if problem.ended_at else None,
        "impact": "maintenance" if problem.kind == Incident.Kind.PLANNED else problem.severity,
        "shortlink": f"{state.page['url']}#p-{problem.key}",
        "started_at": problem.began_at.isoformat(),
        "page_id": state.page["id"],
        "incident_updates": updates,
        "components": [by_id[str(part[0])] for part in state.parts if problem.incident_id in part[3]],
        "reminder_intervals": None,
    }
    if window is not None:
        body |= {"scheduled_for": window.starts_at.isoformat(), "scheduled_until": window.ends_at.isoformat()}
    return body


def _incident_status(problem: Problem) -> str:
    if problem.kind == Incident.Kind.PLANNED:
        return "completed" if not problem.is_open else "scheduled" if problem.is_coming else "in_progress"
    if not problem.is_open:
        return "resolved"
    return "identified" if problem.cause else "investigating"


def _updates(problem: Problem, state: State) -> list[Body]:
    """What was said of it, newest first: its end, what people wrote, and that it began."""
    said = [(update.posted_at, _running(problem), update.wording.text) for update in problem.updates]
    first = "scheduled" if problem.kind == Incident.Kind.PLANNED else "investigating"
    said.append((problem.began_at, first, problem.doing))
    if problem.ended_at is not None:
        words = _("It was a false alarm.") if problem.state == Incident.State.CANCELLED else _("It is over.")
        said.insert(0, (problem.ended_at, _incident_status(problem), words))
    return [
        {
            "id": str(uuid5(UUID(problem.key), f"{at.isoformat()} {status}")),
            "status": status,
            "body": body,
            "incident_id": problem.key,
            "created_at": at.isoformat(),
            "updated_at": at.isoformat(),
            "display_at": at.isoformat(),
            "affected_components": None,
            "deliver_notifications": True,
            "custom_tweet": None,
            "tweet_id": None,
        }
        for at, status, body in said
    ]


def _running(problem: Problem) -> str:
    if problem.kind == Incident.Kind.PLANNED:
        return "in_progress"
    return "identified" if problem.cause else "investigating"


def _document(name: str, state: State, reader: Reader) -> Body:
    components = _components(state, reader)

    def told(problems: Sequence[Problem]) -> list[Body]:
        return [_incident(one, state, components) for one in problems]

    parts: dict[str, Body] = {
        "status": {"status": _status(state)},
        "components": {"components": components},
        "incidents": {"incidents": told([one for one in state.problems if one.kind != Incident.Kind.PLANNED])},
        "unresolved": {"incidents": told(state.unresolved)},
        "scheduled-maintenances": {"scheduled_maintenances": told(state.planned)},
        "summary": {
            "status": _status(state),
            "components": components,
            "incidents": told(state.unresolved),
            "scheduled_maintenances": told([one for one in state.planned if one.is_open]),
        },
    }
    return {"page": state.page, **parts[name]}


@require_safe
def document(request: HttpRequest, name: str) -> HttpResponse:
    """One of Statuspage's documents. At most eight queries; a cache in front of us asks once in 15 seconds."""
    with reading(request) as reader:
        body = orjson.dumps(_document(name, _whole_state(reader), reader))
    response = _cached(request, body, "application/json; charset=utf-8", language=reader.language)
    response.headers["Access-Control-Allow-Origin"] = "*"  # a widget on any site may read what is public anyway
    return response


@require_safe
def feed(request: HttpRequest, language: str) -> HttpResponse:
    """The problems as an Atom feed in one language: an entry each, changed by each piece of news."""
    if language not in dict(settings.LANGUAGES):
        raise Http404
    with reading(request, language=language) as reader, translation.override(language):
        spoken = Reader(request, reader.standard, language)
        state = _state(spoken)
        atom = Atom1Feed(
            title=f"{reader.brand.name}: {_('State of our services')}",
            link=state.page["url"],
            description="",
            language=language,
            feed_url=f"{settings.BASE_URL}{request.path}",
            feed_guid=f"urn:uuid:{state.page['id']}",
        )
        for problem in state.problems:
            updates = _updates(problem, state)
            atom.add_item(
                title=problem.title,
                link=f"{state.page['url']}#p-{problem.key}",
                description="\n\n".join(update["body"] for update in updates),
                unique_id=f"urn:uuid:{problem.key}",
                pubdate=problem.began_at,
                updateddate=datetime.fromisoformat(updates[0]["updated_at"]),
                categories=[problem.kind_name],
            )
        if not state.problems:
            atom.latest_post_date = lambda: datetime.fromisoformat(state.page["updated_at"])  # type: ignore[method-assign]
        body = atom.writeString("utf-8").encode()
    return _cached(request, body, "application/atom+xml; charset=utf-8", language=language, varies=False)


def _cached(
    request: HttpRequest, body: bytes, content_type: str, *, language: str, varies: bool = True
) -> HttpResponse:
    """The answer, or that it has not changed since the reader last asked."""
    etag = quote_etag(hashlib.sha256(body).hexdigest()[:32])
    response = get_conditional_response(request, etag=etag) or HttpResponse(body, content_type=content_type)
    for name, value in (("ETag", etag), ("Cache-Control", FRESH), ("Content-Language", language)):
        response.headers[name] = value
    if varies:
        patch_vary_headers(response, ["Accept-Language", "Cookie"])
    return response
