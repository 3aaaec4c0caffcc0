"""Is anyone left hanging? The guarantee, asked of every incident at once; and what a run that waits would say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import Count, F, Q, QuerySet

from beforehand.accounts.models import Team, User
from beforehand.engine.languages import canonical_tag, fallback_chain
from beforehand.engine.playbooks.language import Playbook, RepeatStep, TellStep
from beforehand.incidents.models import Incident
from beforehand.incidents.queries import LanguageShare, language_shares
from beforehand.kit.ids import BUCKETS
from beforehand.kit.rows import bulk_fetch, fetch
from beforehand.outbound.media import addresses_for
from beforehand.playbooks.bundles import playbook_of
from beforehand.playbooks.models import Approval, PlaybookVersion, Run, RunTask
from beforehand.playbooks.promising import owed_if_told

GRACE = timedelta(seconds=60)
"""What has just happened is being worked on: nobody is left hanging by it yet."""
LOOKED_BACK = timedelta(days=30)


class HangingReason(StrEnum):
    """Why somebody may be left hanging."""

    NO_PROMISE = "no_promise"
    RUN_OVERDUE = "run_overdue"
    LIST_NOT_MADE = "list_not_made"
    JOINED_UNTOLD = "joined_untold"
    LEFT_UNTOLD = "left_untold"
    END_UNTOLD = "end_untold"
    WAITS_FOR_CONFIRMATION = "waits_for_confirmation"
    RUN_FAILED = "run_failed"
    NO_PLAYBOOK = "no_playbook"
    STILL_BROKEN = "still_broken"


ASKS_A_PERSON = frozenset({HangingReason.WAITS_FOR_CONFIRMATION, HangingReason.RUN_FAILED, HangingReason.NO_PLAYBOOK})


@dataclass(frozen=True, slots=True)
class Hanging:
    """Customers of one incident who have no next word from us, and why. `owner` is the team that is to act, "" if none."""

    incident_id: int
    public_id: Any
    title: str
    reason: HangingReason
    customers: int
    owner: str
    since: datetime

    @property
    def is_owned(self) -> bool:
        """An alarm that someone owns: the guarantee allows it. Everything else breaks the guarantee."""
        return self.reason in ASKS_A_PERSON and self.owner != ""


OPEN_INCIDENTS = """
SELECT i.id, i.public_id, i.title, i.affected_count, i.opened_at, i.affected_at, coalesce(t.name, ''),
       EXISTS (SELECT FROM promises_promise p
               WHERE p.audience = 'incident:' || i.id AND p.kind = 'update' AND p.rhythm = 'every_step'
                 AND p.state = 'open' AND p.due_at > %(now)s),
       (SELECT max(p.due_at) FROM promises_promise p
        WHERE p.audience = 'incident:' || i.id AND p.kind = 'update' AND p.rhythm <> 'after_night'),
       (SELECT max(p.due_at) FROM promises_promise p
        WHERE p.audience = 'incident:' || i.id AND p.kind = 'update' AND p.rhythm = 'only_changes'
        HAVING NOT bool_or(p.state = 'open' AND p.due_at > %(now)s)),
       r.state, r.wake_at, r.position->>'told_step' IS NULL, r.started_at, r.version_id
FROM incidents_incident i LEFT JOIN accounts_team t ON t.id = i.owner_id
LEFT JOIN playbooks_run r ON r.incident_id = i.id
WHERE i.state = 'open'
  AND NOT EXISTS (SELECT FROM incidents_plannedwork w WHERE w.incident_id = i.id AND w.announced_at IS NULL)
ORDER BY i.id, r.id
"""
"""Every open incident, once for each of its runs; the last time of its own says when the words to those who want only what
changes ran out, where they did."""

WANTS_ONLY_CHANGES = """
SELECT a.incident_id, count(*) FROM incidents_affected a JOIN customers_customer c ON c.id = a.customer_id
WHERE a.bucket BETWEEN 0 AND %(last_bucket)s::smallint AND a.incident_id = ANY(%(incidents)s::bigint[])
  AND a.state = 'affected' AND c.rhythm = 'only_changes'
GROUP BY a.incident_id
"""
WAITING_ON_LIST = """
SELECT a.incident_id, a.state <> 'affected', count(*), min(coalesce(a.left_at, a.joined_at))
FROM incidents_affected a
WHERE a.bucket BETWEEN 0 AND %(last_bucket)s::smallint AND a.incident_id = ANY(%(incidents)s::bigint[])
  AND (a.state = 'affected' AND a.told_sequence = 0 AND a.joined_at < %(before)s::timestamptz
       OR a.state <> 'affected' AND a.told_sequence > 0 AND a.left_at < %(before)s::timestamptz)
GROUP BY a.incident_id, a.state <> 'affected'
"""
"""The condition repeats that of the partial index `incidents_affected_unsettled`, which holds the few rows that wait."""

ENDED = """
(SELECT 'end_untold', i.id, i.public_id, i.title, coalesce(t.name, ''), over.at,
       (SELECT count(DISTINCT m.customer_id) FROM outbound_message m
        WHERE m.bucket = ANY(%(buckets)s) AND m.batch_id = ANY(told.batches)
          AND (m.state IN ('sent', 'uncertain') OR m.reason = 'unread'))
FROM incidents_incident i
LEFT JOIN accounts_team t ON t.id = i.owner_id
CROSS JOIN LATERAL (
    SELECT max(e.occurred_at) AS at FROM events_event e
    WHERE e.subject = 'incident:' || i.id AND e.subject <> '' AND e.customer_id IS NULL
      AND e.type IN ('incident.resolved', 'incident.cancelled')
) over
CROSS JOIN LATERAL (
    SELECT array_agg(b.id) AS batches FROM outbound_messagebatch b
    WHERE b.origin = 'incident:' || i.id AND b.audience IN ('affected', 'told', 'joined') AND b.decided_at < over.at
) told
WHERE i.state <> 'open' AND i.ended_at > %(since)s AND over.at < %(before)s AND told.batches IS NOT NULL
  AND NOT EXISTS (SELECT FROM outbound_messagebatch b
                  WHERE b.origin = 'incident:' || i.id AND b.audience = 'told' AND b.decided_at >= over.at)
ORDER BY i.id)
UNION ALL
(SELECT 'still_broken', i.id, i.public_id, i.title, coalesce(t.name, ''), min(coalesce(p.due_at, n.asked_at)), count(*)
FROM incidents_answer n JOIN incidents_incident i ON i.id = n.incident_id
LEFT JOIN promises_promise p ON p.id = n.promise_id
LEFT JOIN accounts_team t ON t.id = p.owner_id
WHERE n.bucket = ANY(%(buckets)s) AND n.asked_at IS NOT NULL AND n.settled_at IS NULL
  AND (p.id IS NULL OR p.owner_id IS NULL OR p.due_at < %(before)s)
GROUP BY i.id, i.public_id, i.title, t.name ORDER BY i.id)
"""
"""Who was told and not told the end; and who says after the end that it is still broken, without an owned time to come."""


@dataclass(frozen=True, slots=True)
class _Open:
    """An open incident as the guarantee sees it."""

    id: int
    public_id: Any
    title: str
    affected: int
    opened_at: datetime
    affected_at: datetime | None
    owner: str
    has_promise: bool
    promised_until: datetime | None
    rare_ran_out: datetime | None

    def hanging(self, reason: HangingReason, since: datetime, owner: str = "", customers: int = -1) -> Hanging:
        count = self.affected if customers < 0 else customers
        return Hanging(self.id, self.public_id, self.title, reason, count, self.owner or owner, since)


@dataclass(frozen=True, slots=True)
class _RunPlace:
    state: str
    wake_at: datetime | None
    is_before_first_tell: bool
    started_at: datetime
    version_id: int


def left_hanging(*, now: datetime) -> list[Hanging]:
    """Whoever has no next word from us: rows that break the guarantee, and alarms that a team owns.

    Every open incident that touches somebody needs a promise in the future, or a run that wakes before its first word;
    every joiner and leaver has been heeded; everyone who was told of an incident that ended has been told its end.
    """
    opened: dict[int, _Open] = {}
    runs: dict[int, list[_RunPlace]] = {}
    for row in fetch(OPEN_INCIDENTS, {"now": now}):
        incident, run = row[:10], row[10:]
        opened.setdefault(row[0], _Open(*incident))
        if run[0] is not None:
            runs.setdefault(row[0], []).append(_RunPlace(*run))
    incidents = list(opened.values())
    found = [hanging for one in incidents for hanging in _of_open(one, runs.get(one.id, []), now=now)]
    rare = _of_rare_words(incidents, now=now)
    return [*found, *rare, *_on_lists(incidents, runs, now=now), *_of_ended(now=now)]


def _of_open(one: _Open, runs: Sequence[_RunPlace], *, now: datetime) -> Iterable[Hanging]:
    late = now - GRACE
    if one.affected_at is None:
        if one.opened_at < late:
            yield one.hanging(HangingReason.LIST_NOT_MADE, one.opened_at)
        return
    if not one.affected or one.has_promise:
        return
    if not runs:
        if one.affected_at < late:
            yield one.hanging(HangingReason.NO_PLAYBOOK, one.affected_at)
        return
    if any(run.is_before_first_tell and run.wake_at and run.wake_at > now for run in runs):
        return
    for state, reason in (
        (Run.State.CONFIRMING, HangingReason.WAITS_FOR_CONFIRMATION),
        (Run.State.FAILED, HangingReason.RUN_FAILED),
    ):
        asking = next((run for run in runs if run.state == state), None)
        if asking is not None:
            yield one.hanging(reason, asking.started_at, _owner_of(asking.version_id))
            return
    overdue = [run.wake_at for run in runs if run.is_before_first_tell and run.wake_at]
    if overdue:
        if min(overdue) < late:
            yield one.hanging(HangingReason.RUN_OVERDUE, min(overdue))
    elif one.promised_until is None or one.promised_until < late:
        yield one.hanging(HangingReason.NO_PROMISE, one.promised_until or runs[0].started_at)


def _of_rare_words(incidents: Sequence[_Open], *, now: datetime) -> Iterable[Hanging]:
    """Who wants only what changes is promised a word too; they are counted only where that promise ran out."""
    ran_out = {one.id: one.rare_ran_out for one in incidents if one.rare_ran_out and one.rare_ran_out < now - GRACE}
    if not ran_out:
        return
    counts = dict(bulk_fetch(WANTS_ONLY_CHANGES, {"last_bucket": BUCKETS - 1, "incidents": list(ran_out)}))
    for one in incidents:
        if one.id in counts:
            yield one.hanging(HangingReason.NO_PROMISE, ran_out[one.id], customers=counts[one.id])


def _owner_of(version_id: int) -> str:
    """The team that the playbook names, if there is one."""
    rows = fetch("SELECT name FROM accounts_team WHERE slug = %s", [playbook_of(version_id).owner])
    return str(rows[0][0]) if rows else ""


def _on_lists(incidents: Sequence[_Open], runs: dict[int, list[_RunPlace]], *, now: datetime) -> Iterable[Hanging]:
    """Who joined or left a list whose run has spoken, and heard nothing of it."""
    spoken = {
        one.id: one
        for one in incidents
        if any(not run.is_before_first_tell and run.state != Run.State.TELLING for run in runs.get(one.id, ()))
    }
    if not spoken:
        return
    waiting = bulk_fetch(
        WAITING_ON_LIST, {"last_bucket": BUCKETS - 1, "incidents": list(spoken), "before": now - GRACE}
    )
    for incident_id, is_leaver, count, since in waiting:
        reason = HangingReason.LEFT_UNTOLD if is_leaver else HangingReason.JOINED_UNTOLD
        yield spoken[incident_id].hanging(reason, since, customers=count)


def _of_ended(*, now: datetime) -> Iterable[Hanging]:
    """Who was told of an incident that ended and has not been told so, or says that for them it has not."""
    rows = fetch(ENDED, {"since": now - LOOKED_BACK, "before": now - GRACE, "buckets": list(range(BUCKETS))})
    for reason, incident_id, public_id, title, owner, since, customers in rows:
        if customers:
            yield Hanging(incident_id, public_id, title, HangingReason(reason), customers, owner, since)


@dataclass(frozen=True, slots=True)
class PlannedTell:
    """What a run that waits for a person would say, and to whom."""

    step: str
    customers: int
    channels: tuple[str, ...]
    shares: tuple[LanguageShare, ...]
    untranslated: tuple[LanguageShare, ...]
    """Languages without a text of their own: their readers get the fallback."""
    fallback_language: str
    languages: tuple[str, ...]
    unreachable: int
    promise: timedelta | None


def asked_step(run: Run, playbook: Playbook) -> TellStep | RepeatStep | None:
    """The step that waits for a person's confirmation; None if this run asks nothing."""
    step_id = (run.pending or {}).get("step") or run.position.get("step")
    try:
        step = playbook.step(str(step_id))
    except KeyError:
        return None
    return step if isinstance(step, TellStep | RepeatStep) else None


def planned_tell(run: Run, *, now: datetime) -> PlannedTell | None:
    """What this run asks a person to confirm; None if it asks nothing. `run.incident` and `run.version` are used."""
    playbook = playbook_of(run.version_id)
    step = asked_step(run, playbook)
    if step is None:
        return None
    owed = owed_if_told(playbook, step, run=run, now=now)
    texts = run.version.texts.get(step.text, {})
    channels = tuple(channel.value for channel in playbook.channels)
    shares = tuple(language_shares(run.incident, channels=addresses_for(channels)))
    return PlannedTell(
        step=step.id,
        customers=sum(share.customers for share in shares),
        channels=channels,
        shares=shares,
        untranslated=tuple(
            share for share in shares if not _is_translated(share.language, texts, playbook.fallback_language)
        ),
        fallback_language=playbook.fallback_language,
        languages=tuple(sorted(texts)),
        unreachable=sum(share.unreachable for share in shares),
        promise=owed.next_at - now if owed else None,
    )


def incident_addresses(incident: Incident) -> frozenset[str]:
    """The kinds of address by which this incident's playbook reaches somebody here; by mail where it has none."""
    run = Run.objects.filter(incident=incident).order_by("pk").first()
    return addresses_for(playbook_of(run.version_id).channels if run else ["email"])


def _is_translated(language: str, texts: Iterable[str], fallback: str) -> bool:
    chain = fallback_chain(language, texts, fallback)
    base = (canonical_tag(language) or language).split("-")[0]
    return bool(chain) and (canonical_tag(chain[0]) or chain[0]).split("-")[0] == base


@dataclass(frozen=True, slots=True)
class TeamApproval:
    """One team that a playbook names: its word, or that it is missing. `is_known`: there is such a team."""

    slug: str
    name: str
    is_known: bool
    approved_by: User | None
    approved_at: datetime | None


@dataclass(frozen=True, slots=True)
class NamedTeam:
    """A team that a playbook names: whether there is one, and how many people are in it who may still sign in."""

    slug: str
    name: str
    is_known: bool
    members: int


def named_teams(playbook: Playbook) -> list[NamedTeam]:
    """The teams that a playbook names: its owner, who approves it, who does its tasks."""
    slugs = list(dict.fromkeys([playbook.owner, *playbook.approve_by, *(task.team for task in playbook.tasks())]))
    active = Count("members", filter=Q(members__is_active=True))
    known = {team.slug: team for team in Team.objects.filter(slug__in=slugs).annotate(size=active)}
    return [
        NamedTeam(slug, known[slug].name, True, known[slug].size) if slug in known else NamedTeam(slug, slug, False, 0)
        for slug in slugs
    ]


def missing_approvals(version: PlaybookVersion, named: Iterable[str]) -> list[str]:
    """The named teams that have not approved this version, in the playbook's order."""
    given = set(Approval.objects.filter(version=version).values_list("team_slug", flat=True))
    return [slug for slug in named if slug not in given]


def team_approvals(version: PlaybookVersion, named: Sequence[str]) -> list[TeamApproval]:
    """How each named team stands to this version, in the playbook's order."""
    names = dict(Team.objects.filter(slug__in=named).values_list("slug", "name"))
    given = {one.team_slug: one for one in Approval.objects.filter(version=version).select_related("approved_by")}
    return [
        TeamApproval(
            slug,
            names.get(slug, slug),
            slug in names,
            given[slug].approved_by if slug in given else None,
            given[slug].approved_at if slug in given else None,
        )
        for slug in named
    ]


def open_tasks(*, limit: int) -> list[RunTask]:
    """What runs ask of people and is not done, the most urgent first."""
    return list(_with_incident(RunTask.objects.filter(done_at=None)).order_by("due_at", "pk")[:limit])


def incident_tasks(incident_id: int, *, limit: int) -> list[RunTask]:
    """What this incident's runs ask of people: open ones first, by when they are due."""
    found = _with_incident(RunTask.objects.filter(run__incident_id=incident_id))
    return list(found.order_by(F("done_at").asc(nulls_first=True), "due_at", "pk")[:limit])


def _with_incident(tasks: "QuerySet[RunTask]") -> "QuerySet[RunTask]":
    return tasks.select_related("run__incident", "team", "done_by")
