"""What a playbook asks of a person: what, until when, and the word that it is done."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from beforehand.accounts.access import may
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.kit import clock
from beforehand.playbooks.actions import finish_task
from beforehand.playbooks.models import RunTask

NOTE_LIMIT = 2_000


@allowed()
@require_http_methods(["GET", "HEAD", "POST"])
def task(request: PageRequest, public_id: UUID) -> HttpResponse:
    """The task; pressing the button says that it is done."""
    tasks = RunTask.objects.select_related("run__incident", "run__version", "team", "done_by")
    found = get_object_or_404(tasks, public_id=public_id)
    can_finish = may(request.user, "incident:write")
    if request.method == "POST" and not can_finish:
        raise PermissionDenied
    if request.method != "POST":
        context = {"nav": "today", "task": found, "can_finish": can_finish, "now": clock.now(), "limit": NOTE_LIMIT}
        return render(request, "console/playbooks/task.html", context)
    note = request.POST.get("note", "").replace("\0", "").strip()[:NOTE_LIMIT]
    if finish_task(found.pk, user=request.user, note=note, actor=actor_of(request), now=clock.now()):
        messages.success(request, _("Done. Thank you."))
    else:
        messages.info(request, _("Somebody else was quicker: it is done already."))
    return redirect("console:incident", public_id=found.run.incident.public_id)
