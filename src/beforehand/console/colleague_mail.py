"""The mail to a colleague: what waits for them, by when, what happens if they do nothing, and the way straight to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from beforehand.accounts.adapter import password_link
from beforehand.accounts.installation import installation
from beforehand.accounts.models import Notice, User
from beforehand.accounts.notices import NoticeMail
from beforehand.console.promises import PromiseLine, if_nothing, promise_lines
from beforehand.console.runs import run_sentence
from beforehand.engine.languages import direction
from beforehand.kit import clock
from beforehand.kit.web import times
from beforehand.kit.web.mixed import apart
from beforehand.kit.web.templatetags.kit import number
from beforehand.outbound.colleagues import Written
from beforehand.playbooks.models import Run, RunTask
from beforehand.promises.models import Promise

SHOWN = 20
"""So many are told one by one; of more, how many."""
WHY = {
    "assigned": gettext_lazy("You are on duty: this promise is yours."),
    "passed": gettext_lazy("It has passed to you."),
    "due_soon": gettext_lazy("It is due soon, and your team owns it: whoever can, takes it."),
    "nobody_on_duty": gettext_lazy("Nobody of the team is on duty: whoever can, takes it."),
    "unanswered": gettext_lazy("Everyone on duty was asked, and nobody has taken it."),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that waits for the reader."""

    about: str
    """What it is about, such as an incident's title, in whatever language that is."""
    what: str
    why: str
    if_nothing: Sequence[str]
    url: str
    press: str


def written_mail(mail: NoticeMail) -> Written | None:
    """The mail in its reader's language and zone; None when none of it waits for them any more."""
    person = mail.person
    with translation.override(person.language), timezone.override(ZoneInfo(person.time_zone)):
        found = _items(mail)
        if not found:
            return None
        items = list(found.values())
        waiting = ngettext("%(count)s thing waits for you", "%(count)s things wait for you", len(items))
        context = {
            "name": person.name,
            "items": items[:SHOWN],
            "more": len(items) - SHOWN,
            "waiting": waiting % {"count": number(len(items))},
            "today": settings.BASE_URL + reverse("console:today"),
            "you": settings.BASE_URL + reverse("console:you"),
            "language": person.language,
            "direction": direction(person.language),
        }
        one = _("%(what)s: %(about)s") % apart(what=items[0].what, about=items[0].about)
        return Written(
            subject=one if len(items) == 1 else str(context["waiting"]),
            text=render_to_string("console/notices/mail.txt", context),
            html=render_to_string("console/notices/mail.html", context),
            language=person.language,
            told=tuple(notice for notice in mail.notices if notice.about in found),
        )


def _items(mail: NoticeMail) -> dict[str, Item]:
    """By what each is about, what still waits for this person: the newest word on each, at most five queries."""
    newest = {notice.about: notice for notice in mail.notices}
    found: dict[str, Item] = {}
    for kind, read in READERS.items():
        of_kind = {int(about.partition(":")[2]): one for about, one in newest.items() if about.startswith(f"{kind}:")}
        found |= {f"{kind}:{pk}": item for pk, item in (read(of_kind) if of_kind else {}).items()}
    return {about: found[about] for about in newest if about in found}


def _promises(notices: Mapping[int, Notice]) -> dict[int, Item]:
    open_ones = Promise.objects.filter(pk__in=notices, state=Promise.State.OPEN).select_related("owner").order_by("pk")
    lines = promise_lines(list(open_ones))
    return {
        line.promise.pk: _promise(line, notices[line.promise.pk].reason)
        for line in lines
        if _is_theirs(line.promise, notices[line.promise.pk])
    }


def _is_theirs(promise: Promise, notice: Notice) -> bool:
    """Whether it still waits for this person: it passed to nobody else, and nobody else has taken it."""
    if promise.assignee_id == notice.person_id:
        return promise.acknowledged_at is None or notice.reason == "due_soon"
    return notice.reason not in ("assigned", "passed") and promise.acknowledged_at is None


def _promise(line: PromiseLine, reason: str) -> Item:
    promise, now = line.promise, clock.now()
    due = times.clock(promise.due_at, now=now)
    why = str(WHY[reason]) if promise.acknowledged_at is None else _("You have it, and it is due soon.")
    return Item(
        about=line.about,
        what=_("%(what)s, promised for %(time)s") % apart(what=line.title, time=due),
        why=why if promise.owner_id is not None else _("No team owns it: whoever can, takes it."),
        if_nothing=if_nothing(promise),
        url=settings.BASE_URL + reverse("console:promise", args=[promise.public_id]),
        press=_("Look at it and take it"),
    )


def _runs(notices: Mapping[int, Notice]) -> dict[int, Item]:
    waiting = Run.objects.filter(pk__in=notices, state=Run.State.CONFIRMING).select_related("incident")
    return {run.pk: _confirmation(run) for run in waiting}


def _confirmation(run: Run) -> Item:
    count = run.incident.affected_count
    untold = ngettext(
        "If nobody confirms, nothing is said to the %(count)s customer whom it touches.",
        "If nobody confirms, nothing is said to the %(count)s customers whom it touches.",
        count,
    )
    return Item(
        about=run.incident.title,
        what=_("A playbook waits for you to confirm"),
        why=run_sentence(run),
        if_nothing=[untold % {"count": number(count)}],
        url=settings.BASE_URL + reverse("console:run-confirm", args=[run.public_id]),
        press=_("Review and confirm"),
    )


def _tasks(notices: Mapping[int, Notice]) -> dict[int, Item]:
    tasks = RunTask.objects.filter(pk__in=notices, done_at=None).select_related("run__incident", "team")
    return {task.pk: _task(task) for task in tasks}


def _task(task: RunTask) -> Item:
    due = times.clock(task.due_at, now=clock.now())
    team = task.team.name if task.team else task.team_slug
    return Item(
        about=task.run.incident.title,
        what=_("%(task)s, by %(time)s") % apart(task=task.title, time=due),
        why=_("The playbook asks this of the team %(team)s.") % apart(team=team),
        if_nothing=[_("If it is not done by then, it stands on Today as overdue until somebody has done it.")],
        url=settings.BASE_URL + reverse("console:run-task", args=[task.public_id]),
        press=_("Look at the task"),
    )


def _invitations(notices: Mapping[int, Notice]) -> dict[int, Item]:
    """Whoever has not signed in yet chooses a password; who has done so needs no invitation."""
    people = User.objects.filter(pk__in=notices, last_login=None)
    return {person.pk: _invitation(person) for person in people}


def _invitation(person: User) -> Item:
    days = settings.PASSWORD_RESET_TIMEOUT // 86400
    lasts = ngettext(
        "The link works once, for %(count)s day. Afterwards ask for a new one on the sign-in page.",
        "The link works once, for %(count)s days. Afterwards ask for a new one on the sign-in page.",
        days,
    )
    return Item(
        about=installation().brand.name,
        what=_("You may sign in to Beforehand"),
        why=_("With this e-mail address, once you have chosen a password."),
        if_nothing=[lasts % {"count": number(days)}],
        url=password_link(person),
        press=_("Choose a password"),
    )


READERS: dict[str, Callable[[Mapping[int, Notice]], dict[int, Item]]] = {
    "promise": _promises,
    "run": _runs,
    "task": _tasks,
    "person": _invitations,
}
