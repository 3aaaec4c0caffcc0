"""“It works again”, “still broken”, “how did we do?”: asked on a customer's page, and taken by POST only.

A mail scanner opens links and presses nothing, so a GET records nothing. The signed link in the address is the right to
answer; the browser sends no CSRF cookie to these pages (`keep_private` says why).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from beforehand.customers.models import Customer
from beforehand.incidents.answers import AnswerRefused, counts_now, give_answer, give_score
from beforehand.incidents.models import Affected, Answer, Incident
from beforehand.kit import clock
from beforehand.playbooks.personal import responsible_team
from beforehand.portal.problems import Problem
from beforehand.portal.reader import behind_page_link, keep_private, refused_link

ASKED_ABOUT = timedelta(days=7)
"""So long after the end the page asks by itself; who waits for a person is shown until they have been helped."""
WORKS_OR_NOT = (Incident.Kind.OUTAGE, Incident.Kind.DEGRADED, Incident.Kind.PLANNED)
"""Of these one says that it works; of the others that it is solved."""


@dataclass(frozen=True, slots=True)
class Question:
    """“Is it solved for you?”, about one problem that is over for the customer, and how far they have answered."""

    key: str
    title: str
    is_about_working: bool
    over_at: datetime
    says: str
    """`works`, `broken`, or empty where they have not answered since it was over."""
    is_open: bool
    """A person is to be in touch with them."""
    due_at: datetime | None
    score: int | None
    comment: str


def questions(
    problems: Sequence[Problem],
    rows: Mapping[int, Affected],
    answers: Mapping[int, Answer],
    promised: Mapping[int, datetime],
    *,
    now: datetime,
) -> list[Question]:
    """What the page asks; `promised` maps promises to their times. Who is being helped comes first."""
    found = []
    for problem in problems:
        row, answer = rows[problem.incident_id], answers.get(problem.incident_id)
        over_at = over_for(problem, row)
        is_open = answer is not None and answer.asked_at is not None and answer.settled_at is None
        if over_at is None or not (is_open or _is_asked(problem, row, over_at, now=now)):
            continue
        given = answer if counts_now(answer, over_at=over_at) else None
        found.append(
            Question(
                key=problem.key,
                title=problem.title,
                is_about_working=problem.kind in WORKS_OR_NOT,
                over_at=over_at,
                says=given.says if given else "",
                is_open=is_open,
                due_at=promised.get(answer.promise_id or 0) if answer and is_open else None,
                score=given.score if given else None,
                comment=given.comment if given else "",
            )
        )
    return sorted(found, key=lambda one: not one.is_open)


def _is_asked(problem: Problem, row: Affected, over_at: datetime, *, now: datetime) -> bool:
    """Whether there was something for this customer that may be solved, and it is over since lately."""
    never_was = row.state == Affected.State.MISTAKEN or problem.state == Incident.State.CANCELLED
    return not never_was and problem.began_at < over_at and over_at >= now - ASKED_ABOUT


def over_for(problem: Problem, row: Affected) -> datetime | None:
    """Since when this problem is over for this customer."""
    return row.left_at if row.state != Affected.State.AFFECTED else problem.ended_at


@csrf_exempt
@require_http_methods(["POST"])
@behind_page_link
def answer(request: HttpRequest, token: str, customer: Customer, key: UUID) -> HttpResponse:
    """One tap: it works again, or it is still broken."""
    says = request.POST.get("says", "")
    if says not in Answer.Says.values:
        return refused_link(request)
    try:
        incident = _incident(key)
        give_answer(
            incident,
            customer,
            says=Answer.Says(says),
            owner=responsible_team(incident),
            now=clock.now(),
            actor="portal",
        )
    except (AnswerRefused, Incident.DoesNotExist):
        return refused_link(request)
    return _back(token, key)


@csrf_exempt
@require_http_methods(["POST"])
@behind_page_link
def score(request: HttpRequest, token: str, customer: Customer, key: UUID) -> HttpResponse:
    """How did we do: a figure, a sentence, or both."""
    given = request.POST.get("score", "")
    try:
        give_score(
            _incident(key),
            customer,
            score=int(given) if given.isdecimal() and len(given) == 1 else None,
            comment=request.POST.get("comment", ""),
            now=clock.now(),
            actor="portal",
        )
    except (AnswerRefused, Incident.DoesNotExist):
        return refused_link(request)
    return _back(token, key)


def _incident(key: UUID) -> Incident:
    return Incident.objects.select_related("owner").get(public_id=key)


def _back(token: str, key: UUID) -> HttpResponse:
    """To the page, at what was asked: a page that is fetched anew posts nothing twice."""
    return keep_private(redirect(f"{reverse('portal:my-page', args=[token])}#q-{key}"))
