"""Questions to the ledger: what is due next, and what was broken."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from beforehand.accounts.models import User
from beforehand.accounts.rosters import answering_rosters
from beforehand.engine.roster import DutySpan, duty_gaps, handover_gap
from beforehand.promises.models import AFTER_NIGHT, Promise


def next_promises(audiences: Iterable[str]) -> dict[str, Promise]:
    """The promised next word that is due first, by audience; who was promised none is not in it. One query."""
    found: dict[str, Promise] = {}
    open_words = Promise.objects.filter(
        audience__in=list(audiences), state=Promise.State.OPEN, kind=Promise.Kind.UPDATE
    )
    for promise in open_words.exclude(rhythm=AFTER_NIGHT).order_by("-due_at"):
        found[promise.audience] = promise
    return found


def standing(audience: str) -> tuple[Promise | None, list[Promise]]:
    """The next word that is promised to them, if one is, and what was promised to be done, the last first. One query."""
    found = Promise.objects.filter(
        Q(kind=Promise.Kind.OUTCOME) | Q(kind=Promise.Kind.UPDATE, state=Promise.State.OPEN), audience=audience
    ).exclude(rhythm=AFTER_NIGHT)
    promises = list(found.select_related("assignee", "moved_from").order_by("-pk")[:50])
    words = [one for one in promises if one.kind == Promise.Kind.UPDATE]
    return min(words, key=lambda one: one.due_at, default=None), [
        one for one in promises if one.kind == Promise.Kind.OUTCOME
    ]


def outcomes_to_tell(audience: str) -> list[Promise]:
    """What the next word says of outcomes: those that are open, and one whose time has passed unkept, the latest of each."""
    latest: dict[str, Promise] = {}
    states = [Promise.State.OPEN, Promise.State.BROKEN]
    for promise in (
        Promise.objects.filter(audience=audience, kind=Promise.Kind.OUTCOME)
        .exclude(state=Promise.State.MOVED)
        .select_related("moved_from")
        .order_by("pk")
    ):
        latest[promise.outcome] = promise
    return [promise for promise in latest.values() if promise.state in states]


def held_by(person: User) -> "QuerySet[Promise]":
    """Open promises that this person answers for now, the one due first at the top."""
    return Promise.objects.filter(state=Promise.State.OPEN, assignee=person).order_by("due_at", "pk")


@dataclass(frozen=True, slots=True)
class Unowned:
    """An open promise in whose time nobody of its team is on duty."""

    promise: Promise
    gap: DutySpan


def unowned_promises(promises: Iterable[Promise], *, now: datetime) -> list[Unowned]:
    """Of these open promises, those that lack their next owner: before they are due a shift ends, and nobody's begins.

    A team that keeps no roster is asked as a team; that is no gap. Whoever is asked last (the supervisor) does not close one.
    """
    promises = [promise for promise in promises if promise.owner_id is not None]
    if not promises:
        return []
    until = max(now, *(promise.due_at for promise in promises)) + timedelta(seconds=1)
    teams = {promise.owner_id for promise in promises if promise.owner_id is not None}
    gaps = {
        team_id: duty_gaps(roster.spans(since=now, until=until))
        for team_id, roster in answering_rosters(teams, since=now, until=until).items()
    }
    found = ((promise, gaps.get(promise.owner_id or 0, ())) for promise in promises)
    missing = ((promise, handover_gap(own, now=now, due_at=promise.due_at)) for promise, own in found)
    return [Unowned(promise, gap) for promise, gap in missing if gap is not None]


def due_held_broken(
    person: User, *, since: datetime, looked_at: int, shown: int = 20
) -> tuple[list[Promise], list[Promise], list[Promise]]:
    """The open promises due first; those that this person answers for; and those broken since then, the last first. One query."""
    soonest = Promise.objects.filter(state=Promise.State.OPEN).order_by("due_at", "pk").values("pk")[:looked_at]
    own = held_by(person).values("pk")[:shown]
    broken = Promise.objects.filter(state=Promise.State.BROKEN, ended_at__gte=since)
    lately = broken.order_by("-ended_at").values("pk")[:shown]
    # A union, and not three conditions: those are asked of every promise that was ever made.
    wanted = Promise.objects.filter(pk__in=soonest.union(own, lately))
    found = list(wanted.select_related("owner", "assignee").order_by("due_at", "pk"))
    still_open = [one for one in found if one.state == Promise.State.OPEN]
    return (
        still_open[:looked_at],
        [one for one in still_open if one.assignee_id == person.pk][:shown],
        sorted((one for one in found if one.state == Promise.State.BROKEN), key=_ended_at, reverse=True),
    )


def _ended_at(promise: Promise) -> datetime:
    return promise.ended_at or promise.due_at


LOOKED_AT = 200
"""Promises, the ones due first, that are looked at for a missing owner."""


def due_soonest(*, limit: int = 10) -> list[Promise]:
    """Open promises, the one that is due first at the top."""
    return list(
        Promise.objects.filter(state=Promise.State.OPEN).select_related("owner", "assignee").order_by("due_at")[:limit]
    )
