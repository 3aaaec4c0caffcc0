"""Incidents: the list, and the room of one: what is happening, whom it touches, what we said, what we promised."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from beforehand.accounts.installation import installation
from beforehand.console.access import PageRequest, allowed
from beforehand.console.incident_forms import language_name
from beforehand.console.live import live_url
from beforehand.console.paging import from_microseconds, in_microseconds, read_cursor, write_cursor
from beforehand.console.promises import outcome_rows
from beforehand.console.reasons import not_sent, outcome, why_affected
from beforehand.console.replies import replies_about
from beforehand.console.runs import run_sentence, spoken_length
from beforehand.console.story import entries
from beforehand.console.story_names import Entry
from beforehand.customers.models import ContactPoint, Customer
from beforehand.detection.queries import flapping_until
from beforehand.events.queries import story_of_subject
from beforehand.incidents.affected import origin_of
from beforehand.incidents.answered import answers_with, with_answers
from beforehand.incidents.models import Affected, Incident
from beforehand.incidents.queries import TOLD, AffectedLine, affected_page, affected_trend, incidents_page
from beforehand.kit import clock
from beforehand.outbound.by_hand import told_by_person
from beforehand.outbound.models import MessageBatch
from beforehand.outbound.queries import Counts, batch_counts, held_since, last_messages
from beforehand.playbooks.models import Run
from beforehand.playbooks.queries import incident_tasks
from beforehand.promises.queries import next_promises, standing

LISTED = 25
SAID = 50
SAID_AT_ONCE = 3
STORY = 12
ON_LIST = 10
"""The room shows the beginning of each list: what stands below it stays in reach, on a telephone too."""
TOLD_ALL = ("affected", "told")
TREND = timedelta(hours=1)
NEWEST_FIRST = "joined"


@allowed()
def incidents(request: PageRequest) -> HttpResponse:
    """The list: open ones first."""
    state = request.GET.get("state", "")
    state = state if state in Incident.State.values else ""
    cursor = read_cursor(request.GET.get("cursor", ""), 2)
    found = incidents_page(state=state, after=(cursor[0], cursor[1]) if cursor else None, limit=LISTED + 1)
    shown = found[:LISTED]
    promises = next_promises(origin_of(incident.pk) for incident in shown)
    context = {
        "nav": "incidents",
        "rows": [(incident, promises.get(origin_of(incident.pk))) for incident in shown],
        "state": state,
        "states": [("", _("All")), *((value, label) for value, label in Incident.State.choices)],
        "next": write_cursor(shown[-1].state != Incident.State.OPEN, shown[-1].pk) if len(found) > LISTED else "",
        "live_url": live_url("all"),
    }
    template = "console/incidents/_list.html" if request.htmx.target == "list" else "console/incidents/list.html"
    return render(request, template, context)


def find_incident(public_id: UUID) -> Incident:
    """The incident of this address, with its owner and what its customers answered."""
    return get_object_or_404(with_answers(Incident.objects.select_related("owner")), public_id=public_id)


@allowed()
def incident(request: PageRequest, public_id: UUID) -> HttpResponse:
    """The incident's room."""
    found = find_incident(public_id)
    context = {
        "nav": "incidents",
        "live_url": live_url(origin_of(found.pk)),
        **_now(found),
        **_timeline(found, ""),
        **_affected(found, request),
        **replies_about(found),
        "scopes": found.scopes.filter(removed_at=None).select_related("component").order_by("pk"),
    }
    return render(request, "console/incidents/room.html", context)


@allowed()
def incident_now(request: PageRequest, public_id: UUID) -> HttpResponse:
    """The head of the room, fetched anew when something happens."""
    return render(request, "console/incidents/_now.html", _now(find_incident(public_id)))


@allowed()
def incident_timeline(request: PageRequest, public_id: UUID) -> HttpResponse:
    """The timeline, fetched anew, or its next part."""
    found = find_incident(public_id)
    return render(request, "console/incidents/_timeline.html", _timeline(found, request.GET.get("before", "")))


@allowed()
def incident_affected(request: PageRequest, public_id: UUID) -> HttpResponse:
    """The affected customers: a part of the room, or a page of its own without a script."""
    found = find_incident(public_id)
    context = {"nav": "incidents", "incident": found, **_affected(found, request)}
    is_part = request.htmx.target == "affected"
    response = render(request, f"console/incidents/{'_affected' if is_part else 'affected'}.html", context)
    if is_part:
        # The room's own address then says what is shown, for whoever comes back to it or passes it on.
        wanted = {name: str(value) for name, value in request.GET.items() if value}
        response.headers["HX-Replace-Url"] = f"{reverse('console:incident', args=[public_id])}?{urlencode(wanted)}"
    return response


def _now(incident: Incident) -> dict[str, Any]:
    """What stands at the top of the room."""
    batches = list(
        MessageBatch.objects.filter(origin=origin_of(incident.pk)).defer("texts", "facts").order_by("-sequence")[:SAID]
    )
    counts = batch_counts(batches)
    said = [(batch, tally(counts.get(batch.pk, {}))) for batch in batches]
    promise, outcomes = standing(origin_of(incident.pk))
    last_to_all = next((batch for batch in batches if batch.audience in TOLD_ALL), None)
    word = tally(counts.get(last_to_all.pk, {})) if last_to_all else None
    by_person = told_by_person(last_to_all) if last_to_all and word and word["not_sent"] else 0
    runs = list(Run.objects.filter(incident=incident).select_related("version").order_by("pk"))
    for run in runs:
        run.incident = incident
    return {
        "incident": incident,
        "promise": promise,
        "outcomes": outcome_rows(outcomes, now=clock.now()),
        "runs": [(run, run_sentence(run)) for run in runs],
        "tasks": incident_tasks(incident.pk, limit=LISTED),
        "now": clock.now(),
        "held_since": held_since(origin_of(incident.pk)),
        "confirming": next((run for run in runs if run.state == Run.State.CONFIRMING), None),
        "said": said[:SAID_AT_ONCE],
        "said_before": said[SAID_AT_ONCE:],
        "word": word,
        "told": word["sent"] + word["uncertain"] + by_person if word else 0,
        "not_told": word["not_sent"] - by_person if word else 0,
        "word_batch": last_to_all,
        "answers": answers_with(incident),
        "lasts": spoken_length((incident.ended_at or clock.now()) - incident.began_at, units=2),
        "trend": _trend(incident),
        "flapping_until": flapping_until(incident.group_key, now=clock.now()),
    }


def _trend(incident: Incident) -> int | None:
    """How many more are affected than an hour ago; None where it stands still."""
    is_open = incident.state == Incident.State.OPEN
    return (affected_trend(incident.pk, since=clock.now() - TREND) or None) if is_open else None


def tally(counts: Counts) -> dict[str, Any]:
    """What became of a batch's messages, for people: sent, waiting, not sent and why."""
    by_state: dict[str, int] = {}
    for (state, _reason), count in counts.items():
        by_state[state] = by_state.get(state, 0) + count
    refused = sorted(
        ((count, not_sent(reason, state), reason) for (state, reason), count in counts.items() if state in NOT_SENT),
        reverse=True,
    )
    return {
        "all": sum(counts.values()),
        "sent": by_state.get("sent", 0),
        "uncertain": by_state.get("uncertain", 0),
        "waiting": by_state.get("queued", 0),
        "not_sent": sum(by_state.get(state, 0) for state in NOT_SENT),
        "reasons": refused,
    }


NOT_SENT = ("refused", "failed", "cancelled")


def _timeline(incident: Incident, before: str) -> dict[str, Any]:
    cursor = read_cursor(before, 2)
    at = from_microseconds(cursor[0]) if cursor else None
    story = story_of_subject(origin_of(incident.pk), limit=STORY + 1, before=(at, cursor[1]) if cursor and at else None)
    shown = story[:STORY]
    lines: list[Entry] = entries(shown)
    older = write_cursor(in_microseconds(shown[-1].recorded_at), shown[-1].id) if len(story) > STORY else ""
    return {"incident": incident, "entries": lines, "older": older, "is_first": cursor is None}


def _affected(incident: Incident, request: PageRequest) -> dict[str, Any]:
    state = request.GET.get("state", "")
    state = state if state in Affected.State.values else ""
    language, text = request.GET.get("language", "")[:35], request.GET.get("q", "").strip()[:200]
    told, channel = request.GET.get("told", ""), request.GET.get("channel", "")[:20]
    told = told if told in TOLD else ""
    reason = request.GET.get("reason", "")[:60]
    is_newest = request.GET.get("sort") == NEWEST_FIRST and not text
    cursor = read_cursor(request.GET.get("cursor", ""), 2)
    joined = (from_microseconds(cursor[0]), cursor[1]) if cursor else (None, 0)
    ids = list(Customer.objects.search(text).values_list("pk", flat=True)[:2000]) if text else None
    found = affected_page(
        incident.pk,
        state=state,
        language=language,
        told=told,
        reason=reason,
        channel=channel,
        customer_ids=ids,
        after=(cursor[0], cursor[1]) if cursor else None,
        newest_after=joined if is_newest else None,
        limit=ON_LIST + 1,
    )
    shown = found[:ON_LIST]
    place = (
        (in_microseconds(shown[-1].joined_at) if is_newest else shown[-1].bucket, shown[-1].customer_id)
        if shown
        else ()
    )
    return {
        "affected": _with_messages(incident, shown),
        "affected_state": state,
        "affected_states": [("", _("All")), *Affected.State.choices],
        "affected_language": language,
        "affected_languages": [
            ("", _("Every language")),
            *((code, language_name(code)) for code in installation().brand.languages),
        ],
        "affected_told": told,
        "affected_tolds": [
            ("", _("Told or not")),
            ("told", _("told")),
            ("waiting", _("not yet")),
            ("not_told", _("could not tell")),
        ],
        "affected_reason": reason,
        "affected_reason_text": not_sent(reason, "failed") if reason else "",
        "affected_channel": channel,
        "affected_channels": [("", _("Every channel")), *ContactPoint.Channel.choices],
        "affected_text": text,
        "affected_narrowed": bool(state or language or told or channel or reason or is_newest),
        "affected_sort": NEWEST_FIRST if is_newest else "",
        "affected_sorts": [("", _("as it is kept")), (NEWEST_FIRST, _("joined last first"))],
        "affected_next": write_cursor(*place) if len(found) > ON_LIST else "",
    }


def _with_messages(incident: Incident, lines: list[AffectedLine]) -> list[dict[str, Any]]:
    """Each customer with why they are on the list, and what became of our last word to them."""
    said = last_messages([line.customer_id for line in lines], origin=origin_of(incident.pk))
    rows = []
    for line in lines:
        message = said.get(line.customer_id)
        rows.append(
            {
                "line": line,
                "why": why_affected(line),
                "state": Affected.State(line.state).label,
                "message": message,
                "outcome": outcome(message) if message else not_sent("nothing_said"),
            }
        )
    return rows
