"""Heartbeats: which are late, when each last came, and the address where it says that it lives."""

from datetime import datetime

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from beforehand.accounts.access import may
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.alert_forms import HeartbeatForm, heartbeat_initial
from beforehand.detection.heartbeats import save_heartbeat
from beforehand.detection.models import Heartbeat
from beforehand.kit import clock

GET_OR_POST = require_http_methods(["GET", "HEAD", "POST"])


@allowed()
def heartbeats(request: PageRequest) -> HttpResponse:
    """Every heartbeat, the missing ones first."""
    now = clock.now()
    found = sorted(Heartbeat.objects.select_related("component"), key=lambda one: _urgency(one, now))
    context = {
        "nav": "alerts",
        "tab": "heartbeats",
        "rows": [(one, state_of(one, now=now)) for one in found],
        "missing": sum(state_of(one, now=now) == "missing" for one in found),
    }
    return render(request, "console/alerts/heartbeats.html", context)


def state_of(heartbeat: Heartbeat, *, now: datetime) -> str:
    """`off`, `missing`, `never` (it has yet to come for the first time) or `alive`."""
    if not heartbeat.is_enabled:
        return "off"
    if heartbeat.missed_since is not None or heartbeat.missing_at <= now:
        return "missing"
    return "never" if heartbeat.heard_at is None else "alive"


def _urgency(heartbeat: Heartbeat, now: datetime) -> tuple[int, datetime, str]:
    order = ("missing", "never", "alive", "off")
    return order.index(state_of(heartbeat, now=now)), heartbeat.missing_at, heartbeat.slug


@allowed("detection:write")
@GET_OR_POST
def make(request: PageRequest) -> HttpResponse:
    """Expect a heartbeat from now on."""
    return _saved(request, HeartbeatForm(request.POST or None), None)


@allowed()
@GET_OR_POST
def heartbeat(request: PageRequest, slug: str) -> HttpResponse:
    """One heartbeat: where it says that it lives, and what is expected of it."""
    found = get_object_or_404(Heartbeat.objects.select_related("component", "rule"), slug=slug)
    if request.method == "POST" and not may(request.user, "detection:write"):
        raise PermissionDenied
    return _saved(
        request, HeartbeatForm(request.POST or None, heartbeat=found, initial=heartbeat_initial(found)), found
    )


def _saved(request: PageRequest, form: HeartbeatForm, heartbeat: Heartbeat | None) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        stated = {"slug": heartbeat.slug if heartbeat else "", **form.cleaned_data}
        saved = save_heartbeat(**stated, actor=actor_of(request))
        messages.success(request, _("Saved. It is expected from now on."))
        return redirect("console:heartbeat", slug=saved.slug)
    now = clock.now()
    context = {
        "nav": "alerts",
        "form": form,
        "heartbeat": heartbeat,
        "state": state_of(heartbeat, now=now) if heartbeat else "",
        "address": f"{settings.BASE_URL}/api/v1/heartbeats/{heartbeat.slug}" if heartbeat else "",
        "can_change": may(request.user, "detection:write"),
    }
    return render(request, "console/alerts/heartbeat.html", context)
