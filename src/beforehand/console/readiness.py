"""Readiness: could we tell them, if it broke now? Network parts by the worst, one part whole, and who is to be mended."""

import csv
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.paging import PAGE, read_cursor, write_cursor
from beforehand.customers.models import Component
from beforehand.engine.readiness import Lack
from beforehand.insights.models import Readiness
from beforehand.insights.readiness import ask_readiness
from beforehand.insights.readiness_queries import (
    Lacking,
    all_lacking,
    is_being_worked_out,
    lacking,
    last_round,
    worst_first,
)
from beforehand.kit import clock
from beforehand.playbooks.bundles import playbook_of
from beforehand.playbooks.models import PlaybookVersion

LACKS = {
    Lack.LINK: gettext_lazy("not linked to a network part"),
    Lack.ADDRESS: gettext_lazy("no working address"),
    Lack.LANGUAGE: gettext_lazy("no text in their language"),
    Lack.CONSENT: gettext_lazy("no consent"),
}


def _playbooks() -> dict[str, str]:
    """Name to title of the playbooks in force."""
    current = PlaybookVersion.objects.filter(is_current=True).order_by("slug")
    return {version.slug: playbook_of(version.pk).title for version in current}


def _chosen(request: PageRequest, playbooks: dict[str, str]) -> str:
    wanted = request.GET.get("playbook", "")
    return wanted if wanted in playbooks else next(iter(playbooks), "")


def _share(part: int, whole: int) -> int:
    """Percent, rounded down: 99.9 % is not everybody."""
    return part * 100 // whole if whole else 100


def _figures(row: Readiness) -> dict[str, Any]:
    return {
        "row": row,
        "ready": _share(row.ready, row.customers),
        "parts": [
            (lack, LACKS[lack], row.customers - having, _share(having, row.customers))
            for lack, having in (
                (Lack.LINK, row.linked),
                (Lack.ADDRESS, row.reachable),
                (Lack.LANGUAGE, row.spoken),
                (Lack.CONSENT, row.allowed),
            )
        ],
    }


@allowed()
def readiness(request: PageRequest) -> HttpResponse:
    """Network parts, the one whose customers are least ready first."""
    playbooks = _playbooks()
    playbook = _chosen(request, playbooks)
    cursor = read_cursor(request.GET.get("cursor", ""), 1)
    start = cursor[0] if cursor else 0
    found = list(worst_first(playbook)[start : start + PAGE + 1])
    everyone = Readiness.objects.filter(component=None, playbook=playbook).first()
    context = {
        "nav": "readiness",
        "playbooks": playbooks.items(),
        "playbook": playbook,
        "rows": [_figures(row) for row in found[:PAGE]],
        "everyone": _figures(everyone) if everyone else None,
        "next": write_cursor(start + PAGE) if len(found) > PAGE else "",
        "round": last_round(),
        "is_under_way": is_being_worked_out(),
    }
    return render(request, "console/readiness/list.html", context)


def _row(public_id: UUID | None, playbook: str) -> Readiness:
    component = get_object_or_404(Component, public_id=public_id) if public_id else None
    row = Readiness.objects.select_related("component").filter(component=component, playbook=playbook).first()
    if row is None:
        raise Http404
    return row


def _lack(request: PageRequest) -> Lack | None:
    wanted = request.GET.get("lack", "")
    return Lack(wanted) if wanted in set(Lack) else None


def _shown(found: Lacking) -> dict[str, Any]:
    return {"customer": found, "missing": [LACKS[lack] for lack in found.missing]}


@allowed()
def part(request: PageRequest, public_id: UUID | None = None) -> HttpResponse:
    """One network part, or all customers: what is missing, and for whom."""
    playbooks = _playbooks()
    row = _row(public_id, _chosen(request, playbooks))
    lack = _lack(request)
    cursor = read_cursor(request.GET.get("cursor", ""), 1)
    found = lacking(row, lack=lack, after=cursor[0] if cursor else 0, limit=PAGE + 1, now=clock.now())
    others = Readiness.objects.filter(component=row.component).exclude(playbook=row.playbook).order_by("playbook")
    context = {
        "nav": "readiness",
        **_figures(row),
        "playbooks": playbooks.items(),
        "playbook": row.playbook,
        "lack": lack.value if lack else "",
        "rows": [_shown(one) for one in found[:PAGE]],
        "others": [(playbooks.get(one.playbook, one.playbook), _figures(one)) for one in others],
        "next": write_cursor(found[PAGE - 1].customer_id) if len(found) > PAGE else "",
    }
    return render(request, "console/readiness/part.html", context)


class _Echo:
    """What csv writes into: it gives the line back."""

    def write(self, line: str) -> str:
        return line


@allowed()
def to_mend(request: PageRequest, public_id: UUID | None = None) -> StreamingHttpResponse:
    """Everybody who lacks something, as CSV: whoever mends the source has the numbers."""
    row = _row(public_id, _chosen(request, _playbooks()))
    lack = _lack(request)
    writer = csv.writer(_Echo())

    def lines() -> Iterator[str]:
        yield "\ufeff" + writer.writerow(["external_id", "language", "missing"])
        for one in all_lacking(row, lack=lack, now=clock.now()):
            yield writer.writerow([_plain(one.external_id), one.language, " ".join(m.value for m in one.missing)])

    name = row.component.external_id if row.component else "all"
    safe = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)
    return StreamingHttpResponse(
        lines(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="readiness-{safe}.csv"', "Cache-Control": "no-store"},
    )


def _plain(text: str) -> str:
    """A number that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


@allowed("incident:write")
@require_POST
def work_out(request: PageRequest) -> HttpResponse:
    """Have it worked out anew; a worker does it."""
    ask_readiness(actor=actor_of(request))
    messages.success(request, _("It is being worked out; look again in a moment."))
    return redirect("console:readiness")
