"""Calendars in iCalendar (RFC 5545): what is written for other programs, and shifts read from a planner's file."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from icalendar import Calendar, Event

from beforehand.accounts.shifts import ShiftGiven, ShiftProblem, ShiftReason

MAX_ENTRIES = 5_000
DEPUTY = "deputy"


class NotACalendar(ValueError):
    """A file that is no iCalendar file, or one with too much in it."""


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """One thing in a calendar that we write. `uid` stays the same when the entry changes."""

    uid: str
    title: str
    starts_at: datetime
    ends_at: datetime
    url: str = ""
    text: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class ShiftsFile:
    """What a planner's file says: shifts, those that it calls off, and entries that are no shifts."""

    given: tuple[ShiftGiven, ...]
    rows: tuple[int, ...]
    """The place of each shift in the file, from 1."""
    cancelled: tuple[str, ...]
    problems: tuple[ShiftProblem, ...]


def write_calendar(entries: Iterable[CalendarEntry], *, name: str, written_at: datetime) -> bytes:
    """An iCalendar file; times in UTC, so that every program shows them in its reader's zone."""
    calendar = Calendar()
    calendar.add("prodid", "-//Beforehand//Calendar//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("name", name)
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", "PT15M", parameters={"VALUE": "DURATION"}, encode=False)
    for one in entries:
        event = Event()
        event.add("uid", one.uid)
        event.add("dtstamp", written_at)
        event.add("dtstart", one.starts_at)
        event.add("dtend", one.ends_at)
        event.add("summary", one.title)
        if one.text:
            event.add("description", one.text)
        if one.url:
            event.add("url", one.url)
        if one.category:
            event.add("categories", [one.category])
        calendar.add_component(event)
    written: bytes = calendar.to_ical()
    return written


def read_shifts(body: bytes) -> ShiftsFile:
    """The shifts of a planner's file: UID names the shift, ATTENDEE the person, CATEGORIES the role (and “deputy”).

    A whole day lasts from midnight to midnight. Raises `NotACalendar`; an entry that is no shift is a problem by itself.
    """
    try:
        calendars = Calendar.from_ical(body, multiple=True)
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise NotACalendar(str(error)[:200]) from None
    events = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    if not calendars or len(events) > MAX_ENTRIES:
        raise NotACalendar(f"{len(events)} entries")
    given, rows, cancelled, problems = [], [], [], []
    for row, event in enumerate(events, start=1):
        name = str(event.get("uid", "")) or f"entry-{row}"
        if event.get("recurrence-id") is not None:
            name += f"@{_moment(event, 'recurrence-id')}"
        if str(event.get("status", "")).upper() == "CANCELLED":
            cancelled.append(name)
            continue
        found = _shift(event, name)
        if isinstance(found, ShiftReason):
            problems.append(ShiftProblem(row, str(event.get("summary", "")) or name, found))
        else:
            given.append(found)
            rows.append(row)
    return ShiftsFile(tuple(given), tuple(rows), tuple(cancelled), tuple(problems))


def _shift(event: Any, name: str) -> ShiftGiven | ShiftReason:
    if event.get("rrule") is not None or event.get("rdate") is not None:
        return ShiftReason.REPEATS
    starts, ends = _moment(event, "dtstart"), _moment(event, "dtend")
    if starts is not None and ends is None and event.get("duration") is not None:
        ends = starts + event.decoded("duration")
    if starts is None or ends is None:
        return ShiftReason.NO_TIME
    person = _person(event)
    if not person:
        return ShiftReason.NO_PERSON
    words = [word.strip().lower() for word in _categories(event)]
    role = next((word for word in words if word != DEPUTY), "")
    return ShiftGiven(
        external_id=name, person=person, starts=starts, ends=ends, role=role, place=2 if DEPUTY in words else 1
    )


def _moment(event: Any, key: str) -> datetime | None:
    """The time under this key, without an offset where the file gives none; None where there is no readable one."""
    if event.get(key) is None:
        return None
    try:
        value = event.decoded(key)
    except (ValueError, TypeError, AttributeError):
        return None
    if isinstance(value, datetime):
        return value
    return datetime.combine(value, time()) if isinstance(value, date) else None


def _person(event: Any) -> str:
    attendees = event.get("attendee") or event.get("organizer") or []
    first = attendees[0] if isinstance(attendees, list) and attendees else attendees
    address = str(first) if first else ""
    return address[7:].strip().lower() if address[:7].lower() == "mailto:" else address.strip().lower()


def _categories(event: Any) -> list[str]:
    found = event.get("categories")
    if found is None:
        return []
    parts = found if isinstance(found, list) else [found]
    return [str(word) for part in parts for word in getattr(part, "cats", [part])]
