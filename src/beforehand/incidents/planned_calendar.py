"""Planned work out of and into calendars (iCalendar, RFC 5545): a planner's file plans, moves and calls off."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q
from icalendar import Calendar

from beforehand.accounts.ics import MAX_ENTRIES, CalendarEntry, NotACalendar
from beforehand.customers.models import Component
from beforehand.incidents.actions import IncidentError
from beforehand.incidents.models import Incident, PlannedWork
from beforehand.incidents.planned import cancel_work, move_work, plan_work


class EntryResult(StrEnum):
    """What became of an entry, or why nothing did."""

    PLANNED = "planned"
    MOVED = "moved"
    UNCHANGED = "unchanged"
    CALLED_OFF = "called_off"
    NO_NAME = "no_name"
    NO_TIME = "no_time"
    REPEATS = "repeats"
    UNKNOWN_COMPONENT = "unknown_component"
    ENDS_BEFORE = "ends_before"
    TOO_LONG = "too_long"
    IS_PAST = "is_past"
    HAS_STARTED = "has_started"
    NOT_OPEN = "not_open"


OURS = re.compile(r"planned-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@beforehand")
"""The name under which our own calendar knows planned work."""
DONE = frozenset({EntryResult.PLANNED, EntryResult.MOVED, EntryResult.UNCHANGED, EntryResult.CALLED_OFF})


@dataclass(frozen=True, slots=True)
class EntryRead:
    """One entry of a file by its place, from 1, with what became of it."""

    row: int
    title: str
    result: EntryResult


def planned_entries(*, since: datetime, base_url: str = "") -> list[CalendarEntry]:
    """Planned work that is not over, or was not yet at `since`; the soonest first."""
    works = (
        PlannedWork.objects.filter(ends_at__gt=since)
        .exclude(phase=PlannedWork.Phase.CANCELLED)
        .select_related("incident")
        .order_by("starts_at")[:MAX_ENTRIES]
    )
    return [
        CalendarEntry(
            uid=work.external_id or f"planned-{work.incident.public_id}@beforehand",
            title=work.incident.title,
            starts_at=work.starts_at,
            ends_at=work.ends_at,
            url=f"{base_url}{work.incident.public_id}/" if base_url else "",
            category=str(Incident.Kind.PLANNED.label),
        )
        for work in works
    ]


def read_planned(body: bytes, *, zone: str, actor: str) -> list[EntryRead]:
    """Plan, move and call off what a planner's file says; each entry by itself, so that one fault stops no other.

    UID names the work, CATEGORIES or LOCATION the components by their external ids; times without a zone are in `zone`.
    Raises `NotACalendar`.
    """
    try:
        calendars = Calendar.from_ical(body, multiple=True)
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise NotACalendar(str(error)[:200]) from None
    events = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    if not calendars or len(events) > MAX_ENTRIES:
        raise NotACalendar(f"{len(events)} entries")
    return [
        EntryRead(row, str(event.get("summary", ""))[:200], _take(event, zone=ZoneInfo(zone), actor=actor))
        for row, event in enumerate(events, start=1)
    ]


def _take(event: Any, *, zone: ZoneInfo, actor: str) -> EntryResult:
    name = str(event.get("uid", "")).strip()[:300]
    if not name:
        return EntryResult.NO_NAME
    if event.get("rrule") is not None or event.get("rdate") is not None or event.get("recurrence-id") is not None:
        return EntryResult.REPEATS
    work = PlannedWork.objects.select_related("incident").filter(_known_as(name)).first()
    try:
        if str(event.get("status", "")).upper() == "CANCELLED":
            if work is None or work.phase == PlannedWork.Phase.CANCELLED:
                return EntryResult.UNCHANGED
            cancel_work(work, actor=actor)
            return EntryResult.CALLED_OFF
        return _put(event, name, work, zone=zone, actor=actor)
    except IncidentError as refused:
        return EntryResult(refused.code)


def _known_as(name: str) -> Q:
    """Also by the name that we gave it, in a file that came from us."""
    own = OURS.fullmatch(name)
    known = Q(external_id=name)
    return known | Q(incident__public_id=own[1]) if own else known


def _put(event: Any, name: str, work: PlannedWork | None, *, zone: ZoneInfo, actor: str) -> EntryResult:
    starts_at, ends_at = _instant(event, "dtstart", zone), _instant(event, "dtend", zone)
    if starts_at is not None and ends_at is None and event.get("duration") is not None:
        ends_at = starts_at + event.decoded("duration")
    if starts_at is None or ends_at is None:
        return EntryResult.NO_TIME
    if work is not None:
        is_moved = move_work(work, starts_at=starts_at, ends_at=ends_at, actor=actor)
        return EntryResult.MOVED if is_moved else EntryResult.UNCHANGED
    component_ids = _components(event)
    if not component_ids:
        return EntryResult.UNKNOWN_COMPONENT
    plan_work(
        title=str(event.get("summary", "")).strip()[:200] or name,
        starts_at=starts_at,
        ends_at=ends_at,
        component_ids=component_ids,
        actor=actor,
        external_id=name,
    )
    return EntryResult.PLANNED


def _components(event: Any) -> Sequence[int]:
    """The components that the entry names; none if it names one that there is not."""
    found = event.get("categories")
    parts = found if isinstance(found, list) else [found] if found is not None else []
    words = [str(word).strip() for part in parts for word in getattr(part, "cats", [part])]
    words = words or [word.strip() for word in str(event.get("location", "")).split(",")]
    wanted = {word for word in words if word}
    known = dict(Component.objects.filter(external_id__in=wanted).values_list("external_id", "pk"))
    return sorted(known.values()) if wanted and len(known) == len(wanted) else []


def _instant(event: Any, key: str, zone: ZoneInfo) -> datetime | None:
    if event.get(key) is None:
        return None
    try:
        value = event.decoded(key)
    except (ValueError, TypeError, AttributeError):
        return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)
    return datetime.combine(value, time(), zone).astimezone(UTC) if isinstance(value, date) else None
