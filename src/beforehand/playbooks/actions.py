"""Install and approve playbook versions; mark done what a run asked of people."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Max

from beforehand.accounts.actions import ensure_team
from beforehand.accounts.models import Team, User
from beforehand.customers.queries import language_shares
from beforehand.engine.playbooks.bundle import bundle_hash
from beforehand.engine.playbooks.language import Playbook
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.problems import PlaybookProblem, Severity
from beforehand.events.actions import append_event
from beforehand.incidents.affected import origin_of
from beforehand.kit import clock
from beforehand.playbooks.bundles import SHIPPED, bundle_problems, flat, nested, own_test_problems, read_bundle
from beforehand.playbooks.models import Approval, PlaybookVersion, Run, RunTask
from beforehand.playbooks.queries import missing_approvals, named_teams
from beforehand.playbooks.runs import go_on_after_task


class PlaybookRefused(Exception):
    """A bundle with faults; `problems` names each with its line."""

    def __init__(self, problems: list[PlaybookProblem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


@transaction.atomic
def push_version(
    *,
    source: str,
    texts: Mapping[tuple[str, str], str],
    actor: str,
    note: str = "",
    audience_languages: Mapping[str, float] | None = None,
) -> PlaybookVersion:
    """Store a bundle as a new version, unless this very bundle is known.

    Raises `PlaybookRefused` for one with errors, and for one that does something else than its own tests say.

    The new version is current at once but not approved: until somebody approves it, each run asks a person first.
    """
    problems = bundle_problems(source, dict(texts), audience_languages=audience_languages or {})
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    errors = errors or own_test_problems(source)
    if errors:
        raise PlaybookRefused(errors)
    playbook = parse_playbook(source)
    digest = bundle_hash(source, texts)
    known = PlaybookVersion.objects.filter(slug=playbook.name, hash=digest).first()
    if known is not None:
        return known
    last = PlaybookVersion.objects.filter(slug=playbook.name).aggregate(Max("number"))["number__max"] or 0
    PlaybookVersion.objects.filter(slug=playbook.name, is_current=True).update(is_current=False)
    version = PlaybookVersion.objects.create(
        slug=playbook.name,
        number=last + 1,
        hash=digest,
        source=source,
        texts=nested(texts),
        note=note,
        created_by=actor,
        is_current=True,
    )
    append_event(
        type="playbook.version_pushed",
        actor=actor,
        subject=f"playbook:{playbook.name}",
        data={"version": version.pk, "number": version.number},
    )
    return version


class NotTheirsToApprove(Exception):
    """The playbook names the teams that approve it, and this is nobody of a team that still has to; the text says who is."""


@transaction.atomic
def approve_version(version: PlaybookVersion, *, user: User | None, actor: str, team: str = "") -> bool:
    """Approve: from then on this version tells without asking first, up to its limits. True when it is approved.

    Where the playbook names teams, this is one team's word, given by somebody of that team (`team`, or the one team of
    theirs that has not spoken); the version is approved with the last of them. Raises `NotTheirsToApprove`, and
    `PlaybookRefused` while a language that one in a hundred of our customers reads lacks a text.
    """
    problems = bundle_problems(version.source, flat(version.texts), audience_languages=language_shares())
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        raise PlaybookRefused(errors)
    PlaybookVersion.objects.select_for_update().get(pk=version.pk)  # the last two teams may speak at once
    named = parse_playbook(version.source).approve_by
    about = {"version": version.pk, "number": version.number}
    subject = f"playbook:{version.slug}"
    if named:
        slug = _speaking_team(version, named, user=user, team=team)
        Approval.objects.create(version=version, team_slug=slug, approved_by=user, approved_at=clock.now())
        append_event(type="playbook.team_approved", actor=actor, subject=subject, data={**about, "team": slug})
        if missing_approvals(version, named):
            return False
    PlaybookVersion.objects.filter(pk=version.pk).update(approved_by=user, approved_at=clock.now())
    append_event(type="playbook.version_approved", actor=actor, subject=subject, data=about)
    return True


def _speaking_team(version: PlaybookVersion, named: Sequence[str], *, user: User | None, team: str) -> str:
    """The team for which this person speaks; raises `NotTheirsToApprove`."""
    missing = missing_approvals(version, named)
    own = [slug for slug in missing if user is not None and user.teams.filter(slug=slug).exists()]
    if team:
        own = [slug for slug in own if slug == team]
    if not own:
        raise NotTheirsToApprove(f"somebody of these teams must still approve it: {', '.join(missing) or 'none'}")
    return own[0]


@transaction.atomic
def make_named_teams(playbook: Playbook, *, actor: str) -> list[Team]:
    """Make the teams that a playbook names and that are not there, with nobody in them; answers those."""
    return [
        ensure_team(slug=team.slug, name=team.slug.replace("-", " ").capitalize(), actor=actor)
        for team in named_teams(playbook)
        if not team.is_known
    ]


def install_shipped(*, actor: str = "install") -> list[PlaybookVersion]:
    """Store the shipped bundles that this installation has not; a playbook that the company has changed stays as it is.

    The teams that a new one names are made with it, so that only people have to be put into them.
    """
    installed = []
    for folder in sorted(path.parent for path in SHIPPED.glob("*/playbook.yaml")):
        source, texts = read_bundle(folder)
        slug = parse_playbook(source).name
        if not PlaybookVersion.objects.filter(slug=slug).exists():
            installed.append(push_version(source=source, texts=texts, actor=actor, note="shipped"))
            make_named_teams(parse_playbook(source), actor=actor)
    return installed


@transaction.atomic
def finish_task(task_id: int, *, user: User | None, note: str, actor: str, now: datetime) -> bool:
    """A person has done what a run asked; a run that waits for it goes on. False if somebody else was quicker."""
    run_id = RunTask.objects.values_list("run_id", flat=True).get(pk=task_id)
    run = Run.objects.select_for_update().prefetch_related("incident", "version").get(pk=run_id)
    task = RunTask.objects.select_for_update().get(pk=task_id)
    if task.done_at is not None:
        return False
    task.done_at, task.done_by, task.note = now, user, note
    task.save(update_fields=["done_at", "done_by", "note"])
    append_event(
        type="run.task_done",
        actor=actor,
        subject=origin_of(run.incident_id),
        data={"task": task.pk, "run": run.pk, "step": task.step, "due_at": task.due_at.isoformat()},
    )
    go_on_after_task(run, step=task.step, turn=task.turn, now=now)
    return True
