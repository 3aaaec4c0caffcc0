"""Before many are reached: the count first, then an explicit press; and again if the count has changed meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render

from beforehand.console.access import PageRequest


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something that reaches customers."""

    title: str
    press: str
    count: int
    count_label: str
    back: str
    back_label: str
    lines: Sequence[str] = ()
    is_grave: bool = False
    hidden: Sequence[tuple[str, str]] = ()
    """What was typed on the page before, carried along."""
    nav: str = "incidents"


def is_confirmed(request: PageRequest, count: int) -> bool:
    """Whether somebody pressed, having seen this very count."""
    return request.POST.get("confirmed") == "yes" and request.POST.get("count_seen") == str(count)


def ask(request: PageRequest, question: Question) -> HttpResponse:
    """The question. 409 if it was answered for another count than there is now."""
    has_changed = request.POST.get("confirmed") == "yes"
    context = {"question": question, "nav": question.nav, "has_changed": has_changed}
    return render(request, "console/ask.html", context, status=409 if has_changed else 200)
