"""Open an incident, change what it is on, tell its story, end it. One verb, one transaction, one event."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest

from beforehand.accounts.models import Team, User
from beforehand.events.actions import append_event
from beforehand.incidents.affected import origin_of, refresh_affected
from beforehand.incidents.models import Incident, IncidentScope, IncidentUpdate, PlannedWork
from beforehand.kit import clock
from beforehand.kit.rows import DATABASE_TROUBLE, fetch

log = structlog.get_logger()


TIMED_OUT = "timed_out"
"""The end of an incident whose alerts were heard of no more, without a word that they are over."""


PRESSED_TWICE = timedelta(minutes=1)
"""The same thing by the same person within so long is one press that came twice: customers hear of it once."""


class IncidentError(Exception):
    """Something that cannot be done to this incident; `code` names it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@transaction.atomic
def open_incident(
    *,
    title: str,
    kind: str,
    severity: str,
    actor: str,
    began_at: datetime,
    known_at: datetime,
    component_ids: Sequence[int] = (),
    condition: str = "",
    texts: Mapping[str, Mapping[str, str]] | None = None,
    group_key: str = "",
    flapping_since: datetime | None = None,
    owner: Team | None = None,
    is_public: bool = True,
) -> Incident:
    """Open an incident on components and/or on a condition. A group of alerts that has an open one gets that one.

    A group that comes and goes since a certain time gets the one that ended after it: it was not over.
    """
    if group_key:
        known = Incident.objects.select_for_update().filter(group_key=group_key, state=Incident.State.OPEN).first()
        if known is not None:
            widen_scope(known, component_ids=component_ids, actor=actor)
            return known
        given_up = Incident.objects.filter(group_key=group_key).order_by("-pk").first()
        if given_up is not None and _goes_on(given_up, began_at=began_at, flapping_since=flapping_since):
            reopen_incident(given_up, actor=actor)
            given_up.refresh_from_db()
            widen_scope(given_up, component_ids=component_ids, actor=actor)
            return given_up
    incident = Incident.objects.create(
        title=title,
        kind=kind,
        severity=severity,
        texts={language: dict(text) for language, text in (texts or {}).items()},
        group_key=group_key,
        owner=owner,
        is_public=is_public,
        began_at=min(began_at, known_at),
        known_at=known_at,
        affected_wanted_at=clock.now(),
    )
    for component_id in dict.fromkeys(component_ids):
        IncidentScope.objects.create(incident=incident, component_id=component_id, added_by=actor)
    if condition:
        IncidentScope.objects.create(incident=incident, condition=condition, added_by=actor)
    append_event(
        type="incident.opened",
        actor=actor,
        subject=origin_of(incident.pk),
        data={"incident": incident.pk, "kind": kind, "severity": severity},
        occurred_at=clock.now(),
    )
    return incident


@transaction.atomic
def open_by_hand(
    *, title: str, kind: str, severity: str, actor: str, component_ids: Sequence[int], condition: str, **given: Any
) -> Incident:
    """Open what a person asks for, as `open_incident` does; who presses twice gets the one that the first press opened."""
    part: dict[str, Any] = {"component_ids": component_ids, "condition": condition}
    known = pressed_just_now(title=title, kind=kind, severity=severity, actor=actor, **part)
    return known or open_incident(title=title, kind=kind, severity=severity, actor=actor, **part, **given)


def pressed_just_now(
    *, title: str, kind: str, severity: str, actor: str, component_ids: Sequence[int], condition: str
) -> Incident | None:
    """What this person has opened just so a moment ago. Until the transaction ends another press of theirs waits."""
    fetch("SELECT pg_advisory_xact_lock(hashtext('incidents.pressed'), hashtext(%s))", [actor])
    parts = {(pk, "") for pk in component_ids} | ({(None, condition)} if condition else set())
    found = Incident.objects.filter(group_key="", title=title, kind=kind, severity=severity, state=Incident.State.OPEN)
    for one in found.filter(known_at__gt=clock.now() - PRESSED_TWICE).order_by("-pk")[:5]:
        if parts == set(one.scopes.filter(added_by=actor).values_list("component_id", "condition")):
            return one
    return None


def _goes_on(ended: Incident, *, began_at: datetime, flapping_since: datetime | None) -> bool:
    """Whether what ended was not over: nobody said so and now we hear that it never was, or it comes and goes."""
    ended_at = ended.ended_at or began_at
    if ended.end_reason == TIMED_OUT and began_at <= ended_at:
        return True
    return flapping_since is not None and ended.state == Incident.State.RESOLVED and ended_at >= flapping_since


@transaction.atomic
def widen_scope(incident: Incident, *, actor: str, component_ids: Sequence[int] = (), condition: str = "") -> int:
    """Add to what the incident is on; how many parts are new. The affected list follows."""
    _must_be_open(incident)
    present = set(
        incident.scopes.filter(removed_at=None, component_id__isnull=False).values_list("component_id", flat=True)
    )
    new = [component_id for component_id in dict.fromkeys(component_ids) if component_id not in present]
    for component_id in new:
        IncidentScope.objects.create(incident=incident, component_id=component_id, added_by=actor)
    added = len(new)
    if condition and not incident.scopes.filter(removed_at=None, condition=condition).exists():
        IncidentScope.objects.create(incident=incident, condition=condition, added_by=actor)
        added += 1
    if added:
        want_refresh(incident.pk)
        append_event(
            type="incident.scope_widened", actor=actor, subject=origin_of(incident.pk), data={"components": new}
        )
    return added


@transaction.atomic
def narrow_scope(scope: IncidentScope, *, reason: str, actor: str) -> None:
    """Take a part of the scope away because it is “cured” or was “mistaken”; whom only it reached leaves the list."""
    if reason not in ("cured", "mistaken"):
        raise IncidentError("unknown_reason")
    _must_be_open(scope.incident)
    if scope.removed_at is not None:
        return
    scope.removed_at = clock.now()
    scope.removed_reason = reason
    scope.save(update_fields=["removed_at", "removed_reason"])
    want_refresh(scope.incident_id)
    append_event(
        type="incident.scope_narrowed",
        actor=actor,
        subject=origin_of(scope.incident_id),
        data={"scope": scope.pk, "reason": reason},
    )


@transaction.atomic
def post_update(
    incident: Incident,
    *,
    texts: Mapping[str, str],
    author: User | None,
    actor: str,
    stated: Mapping[str, Mapping[str, str]] | None = None,
) -> IncidentUpdate:
    """Something a person tells the affected now; the playbook says it to everyone at once.

    `stated` is what it settles about the incident, by language: cause, area, advice; every later message says it too.
    The same words by the same person a moment later are the same update.
    """
    _must_be_open(incident)
    lately = incident.updates.filter(author=author, posted_at__gt=clock.now() - PRESSED_TWICE)
    last = lately.order_by("-pk").first()
    if last is not None and last.texts == dict(texts):
        return last
    if stated:
        change_texts(incident, texts=stated, actor=actor)
    update = IncidentUpdate.objects.create(incident=incident, texts=dict(texts), author=author, posted_at=clock.now())
    append_event(
        type="incident.update_posted",
        actor=actor,
        subject=origin_of(incident.pk),
        data={"update": update.pk, "languages": sorted(texts)},
    )
    return update


@transaction.atomic
def change_texts(incident: Incident, *, texts: Mapping[str, Mapping[str, str]], actor: str) -> None:
    """Correct what customers read of it: title, cause, area, advice, by language."""
    locked = Incident.objects.select_for_update().get(pk=incident.pk)
    locked.texts = {
        language: {**locked.texts.get(language, {}), **texts.get(language, {})} for language in {*locked.texts, *texts}
    }
    locked.save(update_fields=["texts"])
    append_event(type="incident.texts_changed", actor=actor, subject=origin_of(incident.pk))


@transaction.atomic
def resolve_incident(incident: Incident, *, reason: str, actor: str, ended_at: datetime | None = None) -> bool:
    """It is over; False if it was already."""
    return _end(incident, Incident.State.RESOLVED, reason=reason, actor=actor, ended_at=ended_at)


@transaction.atomic
def cancel_incident(incident: Incident, *, reason: str, actor: str) -> bool:
    """It was a false alarm; who was told is told so. False if it had already ended."""
    return _end(incident, Incident.State.CANCELLED, reason=reason, actor=actor, ended_at=None)


@transaction.atomic
def reopen_incident(incident: Incident, *, actor: str) -> bool:
    """It is not over after all. Planned work that ended is planned anew instead."""
    if PlannedWork.objects.filter(incident=incident).exists():
        raise IncidentError("planned_is_over")
    others = Incident.objects.filter(group_key=incident.group_key, state=Incident.State.OPEN).exclude(pk=incident.pk)
    if incident.group_key and others.exists():
        raise IncidentError("same_problem_is_open")
    changed = (
        Incident.objects.filter(pk=incident.pk)
        .exclude(state=Incident.State.OPEN)
        .update(state=Incident.State.OPEN, ended_at=None, end_reason="", affected_wanted_at=clock.now())
    )
    if changed:
        append_event(type="incident.reopened", actor=actor, subject=origin_of(incident.pk))
    return bool(changed)


def _end(incident: Incident, state: Incident.State, *, reason: str, actor: str, ended_at: datetime | None) -> bool:
    now = clock.now()
    changed = Incident.objects.filter(pk=incident.pk, state=Incident.State.OPEN).update(
        state=state, ended_at=min(ended_at or now, now), end_reason=reason
    )
    if changed:
        append_event(
            type=f"incident.{state.value}", actor=actor, subject=origin_of(incident.pk), data={"reason": reason}
        )
    incident.refresh_from_db()
    return bool(changed)


def _must_be_open(incident: Incident) -> None:
    """Take the incident's lock; raises `IncidentError` if it has ended."""
    state = Incident.objects.select_for_update().values_list("state", flat=True).get(pk=incident.pk)
    if state != Incident.State.OPEN:
        raise IncidentError("not_open")


def want_refresh(incident_id: int) -> None:
    """Ask for the affected list to be worked out anew; a worker does it."""
    Incident.objects.filter(pk=incident_id, state=Incident.State.OPEN).update(affected_wanted_at=clock.now())


REST = timedelta(seconds=10)
"""A list that has just been worked out rests so long before a change of some customer has it worked out again."""


SKEW = timedelta(seconds=2)
"""How far the clocks of two machines may be apart."""


def want_refreshes() -> None:
    """Ask for the lists of all open incidents to be worked out anew, each at once or as soon as it has rested.

    So a stream of small changes costs one look in `REST` for each incident, and a change counts `REST` late at the most.
    The time that is asked for is another one than before, so that a list which is being worked out now is looked at again;
    one that rests will be looked at anyway.
    """
    now = clock.now()
    Incident.objects.filter(state=Incident.State.OPEN).exclude(affected_wanted_at__gt=now + SKEW).update(
        affected_wanted_at=Greatest(Value(now), F("affected_at") + REST)
    )


def refresh_wanted(*, actor: str = "incidents") -> int:
    """Work out the affected list of every incident that asks for it; how many. Each is done by one worker only."""
    done = 0
    wanted = Incident.objects.filter(state=Incident.State.OPEN, affected_wanted_at__lte=clock.now()).values_list(
        "pk", flat=True
    )
    for incident_id in list(wanted):
        try:
            done += _refresh_one(incident_id, actor=actor)
        except DATABASE_TROUBLE:
            raise
        except Exception:
            log.exception("list_failed", incident=incident_id)
            _give_up_list(incident_id, actor=actor)
    return done


@transaction.atomic
def _refresh_one(incident_id: int, *, actor: str) -> bool:
    if not fetch("SELECT pg_try_advisory_xact_lock(%s, %s)", [7, incident_id % 2**31])[0][0]:
        return False
    wanted_at = (
        Incident.objects.filter(pk=incident_id, state=Incident.State.OPEN)
        .values_list("affected_wanted_at", flat=True)
        .first()
    )
    if wanted_at is None:
        return False
    refresh_affected(incident_id, now=clock.now(), actor=actor)
    # What was asked for meanwhile stays asked for.
    Incident.objects.filter(pk=incident_id, affected_wanted_at=wanted_at).update(affected_wanted_at=None)
    return True


@transaction.atomic
def _give_up_list(incident_id: int, *, actor: str) -> None:
    """A list that cannot be worked out (a condition on an attribute that is gone, say) is said so once, not tried for ever."""
    Incident.objects.filter(pk=incident_id).update(affected_wanted_at=None)
    append_event(type="incident.list_failed", actor=actor, subject=origin_of(incident_id))
