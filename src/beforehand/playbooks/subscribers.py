"""What runs hear: a list that is ready starts them, events move them, a promise in danger makes them speak."""

from collections.abc import Sequence

import structlog

from beforehand.engine.conditions import ConditionError
from beforehand.engine.playbooks.incident_facts import is_met
from beforehand.engine.playbooks.moves import Reach
from beforehand.engine.playbooks.problems import PlaybookErrors
from beforehand.events.actions import append_event
from beforehand.events.subscriptions import StoredEvent, subscriber
from beforehand.incidents.affected import hold_list, origin_of
from beforehand.incidents.models import Incident, PlannedWork
from beforehand.kit import clock
from beforehand.kit.rows import DATABASE_TROUBLE
from beforehand.playbooks.audiences import stop_telling_leavers
from beforehand.playbooks.bundles import playbook_of
from beforehand.playbooks.calls import ask_for_calls
from beforehand.playbooks.models import PlaybookVersion, Run
from beforehand.playbooks.notices import notice_confirmations, notice_tasks
from beforehand.playbooks.personal import admit_lateness
from beforehand.playbooks.runs import attend_list, begin_run, hear_event, hold_the_line

log = structlog.get_logger()

ANNOUNCED = "incident.announced"
"""Planned work begins to be spoken of here; any other incident when its list is there."""


def _incident_id(event: StoredEvent) -> int:
    return int(event.subject.partition(":")[2])


@subscriber("playbooks.start", types=["incident.affected_listed"])
def start_or_attend(events: Sequence[StoredEvent]) -> None:
    """Start what is agreed for an incident whose list is there for the first time; afterwards, attend to the list."""
    for incident in Incident.objects.filter(pk__in={_incident_id(event) for event in events}):
        if Run.objects.filter(incident=incident).exists():
            attend_list(incident.pk, now=clock.now())
        elif incident.state == Incident.State.OPEN and not PlannedWork.objects.filter(incident=incident).exists():
            _start(incident, beginning="incident.opened")


def _start(incident: Incident, *, beginning: str) -> None:
    reach = Reach(incident.affected_count, kind=incident.kind, severity=incident.severity)
    for version in PlaybookVersion.objects.filter(is_current=True).order_by("slug"):
        try:
            playbook = playbook_of(version.pk)
            is_meant = playbook.when == beginning and (
                playbook.condition is None or is_met(playbook.condition.text, reach, now=clock.now())
            )
        except (ConditionError, PlaybookErrors):
            log.exception("playbook_condition", playbook=version.slug)
            continue
        if is_meant:
            _begin(version, incident)


def _begin(version: PlaybookVersion, incident: Incident) -> None:
    """Start one playbook; if it cannot be started that is said, and the others start all the same."""
    try:
        begin_run(version, incident, now=clock.now())
    except DATABASE_TROUBLE:
        raise
    except Exception:
        log.exception("run_not_started", playbook=version.slug, incident=incident.pk)
        append_event(
            type="run.failed", actor="playbooks", subject=origin_of(incident.pk), data={"playbook": version.slug}
        )


@subscriber(
    "playbooks.hear",
    types=[
        "incident.resolved",
        "incident.cancelled",
        "incident.reopened",
        "incident.update_posted",
        ANNOUNCED,
        "incident.moved",
        "incident.reminder_due",
        "incident.started",
        "incident.under_way",
        "incident.late",
    ],
)
def hear(events: Sequence[StoredEvent]) -> None:
    """Hand each event of an incident to its runs, in order."""
    for event in events:
        if event.type == ANNOUNCED:
            # Here, and not with the list: what follows it in the log is heard by the run that it starts.
            for incident in Incident.objects.filter(pk=_incident_id(event), state=Incident.State.OPEN):
                _start(incident, beginning=ANNOUNCED)
        else:
            hear_event(_incident_id(event), event.type, now=clock.now())


@subscriber("playbooks.left", types=["incident.customer_left"])
def stop_telling_who_left(events: Sequence[StoredEvent]) -> None:
    """Who left the list before their message went out is not told any more."""
    left: dict[str, list[int]] = {}
    for event in events:
        if event.customer_id is not None:
            left.setdefault(event.subject, []).append(event.customer_id)
    for origin, customer_ids in left.items():
        incident_id = int(origin.partition(":")[2])
        hold_list(incident_id)
        stop_telling_leavers(incident_id, origin=origin, customer_ids=customer_ids, actor="playbooks")


@subscriber("playbooks.calls", types=["message.batch_spread", "message.channel_changed"])
def calls(events: Sequence[StoredEvent]) -> None:
    """Put up the task of calling, when a batch leaves somebody whom only a call reaches."""
    ask_for_calls(events)


@subscriber("playbooks.hold", types=["promise.holding_asked"])
def hold(events: Sequence[StoredEvent]) -> None:
    """Say honestly that the update is late, with a new time."""
    for event in events:
        kind, _colon, number = event.subject.partition(":")
        if kind == "customer":
            admit_lateness(int(event.data["promise"]), customer_id=int(number))
        else:
            hold_the_line(int(event.data["promise"]), now=clock.now())


@subscriber("playbooks.notices", types=["run.confirmation_asked", "run.task_made"])
def notices(events: Sequence[StoredEvent]) -> None:
    """Whoever can confirm, and whoever a task is for, hears of it by mail."""
    notice_confirmations([event for event in events if event.type == "run.confirmation_asked"])
    notice_tasks([event for event in events if event.type == "run.task_made"])
