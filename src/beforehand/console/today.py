"""Today: what needs me now?"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from beforehand.console.access import PageRequest, allowed
from beforehand.console.live import live_url
from beforehand.console.promises import PromiseLine, incidents_of, promise_lines
from beforehand.console.reasons import mailbox_sentence
from beforehand.console.runs import spoken_length
from beforehand.conversations.queries import Inbox, inbox_now
from beforehand.events.actions import LEFT_OUT_SUBJECT, LEFT_OUT_TYPE
from beforehand.events.models import SubscriptionFailure, WorkerBeat
from beforehand.events.queries import recent_of_subjects
from beforehand.events.subscriptions import retry_failure
from beforehand.events.workers import BEHIND_AFTER, GONE_AFTER
from beforehand.incidents.affected import origin_of
from beforehand.incidents.answered import open_questions, patterns
from beforehand.incidents.models import Incident
from beforehand.kit import clock
from beforehand.kit.rows import DATABASE_TROUBLE
from beforehand.kit.web.mixed import apart, isolated
from beforehand.kit.web.templatetags.kit import number
from beforehand.playbooks.learning import changes_due
from beforehand.playbooks.models import Run
from beforehand.playbooks.queries import Hanging, HangingReason, left_hanging, open_tasks
from beforehand.promises.models import Promise
from beforehand.promises.queries import (
    LOOKED_AT,
    Unowned,
    due_held_broken,
    unowned_promises,
)

SHOWN = 12
A_DAY = timedelta(days=1)
TEXT_FAILED = "message.template_failed"
SILENT_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that does not work and that somebody must look at."""

    title: str
    text: str
    at: datetime
    url: str = ""
    retry_url: str = ""  # where pressing "Try again" posts to


@allowed()
def today(request: PageRequest) -> HttpResponse:
    """The page."""
    context = {**_context(request), "nav": "today", "live_url": live_url("all")}
    return render(request, "console/today/today.html", context)


@allowed()
def today_now(request: PageRequest) -> HttpResponse:
    """The part that is fetched anew when something happens."""
    return render(request, "console/today/_now.html", _context(request))


@allowed()
def hanging(request: PageRequest) -> HttpResponse:
    """Whoever has no next word from us."""
    rows = left_hanging(now=clock.now())
    context = {
        "nav": "today",
        "rows": [(row, hanging_sentence(row)) for row in rows],
        "violations": [row for row in rows if not row.is_owned],
        "live_url": live_url("all"),
    }
    return render(request, "console/today/hanging.html", context)


@allowed("run:confirm")
@require_POST
def retry(request: PageRequest, failure_id: int) -> HttpResponse:
    """Hand an event that was set aside to its subscriber again."""
    try:
        if retry_failure(failure_id):
            messages.success(request, _("It worked this time."))
    except SubscriptionFailure.DoesNotExist as error:
        raise Http404 from error
    except DATABASE_TROUBLE:
        raise
    except Exception as error:  # whatever the handler raises: the person who pressed is told, and it stays set aside
        messages.error(request, _("It failed again: %(error)s") % apart(error=str(error) or type(error).__name__))
    return redirect("console:today")


def _context(request: PageRequest) -> dict[str, Any]:
    now = clock.now()
    due, yours, broken = due_held_broken(request.user, since=now - A_DAY, looked_at=LOOKED_AT)
    broken = broken[:SHOWN]
    unowned = unowned_promises(due, now=now)
    ownerless = [promise for promise in due if promise.owner_id is None][:SHOWN]
    due = due[:SHOWN]
    promises = [*due, *broken, *yours, *ownerless, *(one.promise for one in unowned)]
    known = _newest_open_and_promised(promises)
    incidents = [one for one in known if one.state == Incident.State.OPEN][: SHOWN + 1]
    lines = {line.promise.pk: line for line in promise_lines(promises, known)}
    rows = left_hanging(now=now)
    stopped = Run.objects.filter(
        state__in=(Run.State.CONFIRMING, Run.State.FAILED), incident__state=Incident.State.OPEN
    )
    runs = list(stopped.select_related("incident", "version").order_by("started_at")[:LOOKED_AT])
    inbox = inbox_now(since=now - SILENT_AFTER)
    waiting = open_questions(limit=LOOKED_AT)
    return {
        "now": now,
        "yours": [lines[promise.pk] for promise in yours],
        "due": [lines[promise.pk] for promise in due],
        "broken": [lines[promise.pk] for promise in broken],
        "confirming": [run for run in runs if run.state == Run.State.CONFIRMING][:SHOWN],
        "incidents": incidents[:SHOWN],
        "more_incidents": len(incidents) > SHOWN,
        "tasks": open_tasks(limit=SHOWN),
        "troubles": [
            *_ownerless([lines[one.pk] for one in ownerless]),
            *_handovers(unowned, lines),
            *_troubles(incidents, runs, now=now),
            *_silent(inbox),
        ],
        "replies": inbox.unhandled,
        "changes": changes_due(request.user),
        "today": now.date(),
        "questions": waiting[:SHOWN],
        "patterns": patterns(waiting),
        "violations": sum(not row.is_owned for row in rows),
        "alarms": [(row, hanging_sentence(row)) for row in rows if row.is_owned],
    }


def _newest_open_and_promised(promises: list[Promise]) -> list[Incident]:
    """The newest open incidents, and those that these promises are about; the newest first. One query."""
    newest = Incident.objects.filter(state=Incident.State.OPEN).order_by("-pk").values("pk")[: SHOWN + 1]
    promised = Incident.objects.filter(pk__in=incidents_of(promises)).values("pk")
    return list(Incident.objects.filter(pk__in=newest.union(promised)).select_related("owner").order_by("-pk"))


def _ownerless(lines: list[PromiseLine]) -> list[Trouble]:
    """Open promises that belong to no team, because there is none of the name that the playbook gives."""
    return [
        Trouble(
            _("No team owns a promise"),
            _("%(about)s: give the incident an owner, or make the team that its playbook names.")
            % apart(about=line.about),
            line.promise.made_at,
            reverse("console:promise", args=[line.promise.public_id]),
        )
        for line in lines
    ]


def _handovers(unowned: list[Unowned], lines: dict[int, PromiseLine]) -> list[Trouble]:
    """Promises that nobody on duty will answer for: a shift ends before they are due, and nobody's begins."""
    return [
        Trouble(
            _("A promise lacks its next owner"),
            isolated(lines[one.promise.pk].about),
            one.gap.starts_at,
            reverse("console:calendar"),
        )
        for one in unowned[:SHOWN]
    ]


def _troubles(incidents: list[Incident], runs: list[Run], *, now: datetime) -> list[Trouble]:
    """Runs that stopped, texts with errors, events that a subscriber could not handle, workers that are gone."""
    failed = [run for run in reversed(runs) if run.state == Run.State.FAILED]
    found = [
        Trouble(_("A playbook was stopped by an error"), isolated(run.error), run.started_at, _room(run.incident))
        for run in failed[:SHOWN]
    ]
    by_origin = {origin_of(incident.pk): incident for incident in incidents}
    logged = recent_of_subjects(
        [*by_origin, LEFT_OUT_SUBJECT], types=[TEXT_FAILED, LEFT_OUT_TYPE], since=now - A_DAY, limit=2 * SHOWN
    )
    for event in [event for event in logged if event.type == TEXT_FAILED][:SHOWN]:
        text = _("Language: %(language)s") % {"language": event.data.get("language", "")}
        found.append(Trouble(_("A text has an error"), text, event.occurred_at, _room(by_origin[event.subject])))
    found += [
        Trouble(
            _("An event could not be handled by “%(name)s”") % apart(name=failure.subscriber),
            isolated(failure.error.strip().splitlines()[-1]) if failure.error.strip() else "",
            failure.failed_at,
            retry_url=reverse("console:failure-retry", args=[failure.pk]),
        )
        for failure in SubscriptionFailure.objects.filter(solved_at=None).order_by("-failed_at")[:SHOWN]
    ]
    found += [
        Trouble(
            _("Alertmanager left alerts out"),
            _(
                "%(count)s alerts of one group were not sent to us: raise max_alerts in its webhook receiver, or set it to 0."
            )
            % {"count": number(event.data.get("left_out", 0))},
            event.occurred_at,
        )
        for event in [event for event in logged if event.type == LEFT_OUT_TYPE][:1]
    ]
    return found + _workers(now=now)


def _silent(inbox: Inbox) -> list[Trouble]:
    return [
        Trouble(_("The mailbox for replies cannot be read"), mailbox_sentence(reason, said), failed_since)
        for reason, said, failed_since in inbox.silent
    ]


def _workers(*, now: datetime) -> list[Trouble]:
    beats = list(WorkerBeat.objects.order_by("-beat_at")[:50])
    if not any(beat.beat_at >= now - GONE_AFTER for beat in beats):
        text = _("Nothing is sent and no promise is watched until a worker runs: “beforehand worker”.")
        return [Trouble(_("No worker is running"), text, beats[0].beat_at if beats else now)]
    gone = {(beat.host, beat.pid): beat for beat in reversed(beats) if beat.beat_at < now - GONE_AFTER}
    behind = max(beat.lag_seconds for beat in beats if beat.beat_at >= now - GONE_AFTER)
    late = [_behind(timedelta(seconds=round(behind)), now=now)] if behind > BEHIND_AFTER else []
    return late + [
        Trouble(
            _("A worker is gone"),
            _("%(host)s, process %(pid)s: the others have taken over its work.")
            % apart(host=beat.host.partition("/")[0], pid=str(beat.pid)),
            beat.beat_at,
        )
        for beat in gone.values()
    ]


def _behind(lag: timedelta, *, now: datetime) -> Trouble:
    text = _("What should take a second or two has waited for %(length)s: start another worker, or look into its log.")
    return Trouble(_("The work is behind"), text % {"length": spoken_length(lag)}, now - lag)


def _room(incident: Incident) -> str:
    return reverse("console:incident", args=[incident.public_id])


def hanging_sentence(row: Hanging) -> str:
    """Why somebody is, or may be, left hanging, in one sentence."""
    return {
        HangingReason.NO_PROMISE: _("No next update is promised, or its time has passed."),
        HangingReason.RUN_OVERDUE: _("The playbook should have moved by now: is a worker running?"),
        HangingReason.LIST_NOT_MADE: _("Whom it touches has not been worked out: is a worker running?"),
        HangingReason.JOINED_UNTOLD: _("They joined the list and nothing has been decided for them."),
        HangingReason.LEFT_UNTOLD: _("They left the list and have not been told that it is over for them."),
        HangingReason.END_UNTOLD: _("It has ended, and who was told of it has not been told of its end."),
        HangingReason.WAITS_FOR_CONFIRMATION: _("The playbook waits for a person to confirm."),
        HangingReason.RUN_FAILED: _("The playbook was stopped by an error."),
        HangingReason.NO_PLAYBOOK: _("No playbook is agreed for an incident like this."),
        HangingReason.STILL_BROKEN: _(
            "They say that it is still broken, and nobody owns a time by which they hear from us."
        ),
    }[row.reason]
