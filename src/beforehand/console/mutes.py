"""Mutes: made, ended early; who muted what and why, and what each held back."""

from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from beforehand.accounts.models import User
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.alert_forms import MuteForm
from beforehand.console.story_names import actor_name
from beforehand.detection.models import Mute
from beforehand.detection.mutes import create_mute, end_mute
from beforehand.detection.queries import muted_counts
from beforehand.engine.alerts import mute_state
from beforehand.kit import clock

SHOWN = 100
LOOKED_BACK = timedelta(days=30)


@allowed()
def mutes(request: PageRequest) -> HttpResponse:
    """What is muted now, what will be, and what was in the last month."""
    now = clock.now()
    found = list(
        Mute.objects.filter(ends_at__gt=now - LOOKED_BACK).select_related("component").order_by("-ends_at")[:SHOWN]
    )
    counts = muted_counts(found)
    actors = {actor for mute in found for actor in (mute.made_by, mute.ended_by)}
    ids = [int(actor[5:]) for actor in actors if actor[:5] == "user:" and actor[5:].isdecimal()]
    users = dict(User.objects.filter(pk__in=ids).values_list("pk", "name"))
    rows = [
        {
            "mute": mute,
            "state": mute_state(starts_at=mute.starts_at, ends_at=mute.ends_at, now=now).value,
            "held": counts.get(mute.pk, 0),
            "made_by": actor_name(mute.made_by, users),
            "ended_by": actor_name(mute.ended_by, users) if mute.ended_by else "",
        }
        for mute in found
    ]
    under_way = rows[: sum(mute.ends_at > now for mute in found)]  # they stand first
    context = {"nav": "alerts", "tab": "mutes", "under_way": under_way, "over": rows[len(under_way) :]}
    return render(request, "console/alerts/mutes.html", context)


@allowed("detection:write")
@require_http_methods(["GET", "HEAD", "POST"])
def make(request: PageRequest) -> HttpResponse:
    """Mute alerts for a time."""
    form = MuteForm(request.POST or None, initial={"component": request.GET.get("component", "")[:200]})
    if request.method == "POST" and form.is_valid():
        create_mute(**form.cleaned_data, actor=actor_of(request))
        messages.success(request, _("Muted. What still fires afterwards opens its incident then."))
        return redirect("console:mutes")
    return render(request, "console/alerts/mute.html", {"nav": "alerts", "form": form})


@allowed("detection:write")
@require_POST
def end(request: PageRequest, public_id: UUID) -> HttpResponse:
    """It mutes no longer."""
    mute = get_object_or_404(Mute, public_id=public_id)
    if end_mute(mute, actor=actor_of(request)):
        messages.success(request, _("Ended. What still fires opens its incident now."))
    else:
        messages.info(request, _("It was over already."))
    return redirect("console:mutes")
