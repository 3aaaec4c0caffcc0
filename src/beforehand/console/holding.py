"""Hold everything that an incident still has to say, and let it go again: for a text that is wrong, or a word too early."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.asking import ask, is_confirmed
from beforehand.console.incident_writing import asked, room_of
from beforehand.console.incidents import find_incident
from beforehand.incidents.affected import origin_of
from beforehand.outbound.actions import hold, release
from beforehand.outbound.queries import held_since, waiting_count

BY_HAND = "held_by_hand"


@allowed("run:confirm")
@require_http_methods(["GET", "HEAD", "POST"])
def hold_messages(request: PageRequest, public_id: UUID, how: str) -> HttpResponse:
    """Hold them back, or let them go: with the number of messages that wait."""
    incident = find_incident(public_id)
    origin = origin_of(incident.pk)
    if (held_since(origin) is not None) == (how == "hold"):
        messages.info(request, _("Somebody else was quicker: it stands so already."))
        return redirect(room_of(incident))
    waiting = waiting_count(origin)
    label = _("messages wait to be sent at this moment")
    if how == "hold":
        lines = [
            _("Nothing more is sent about this incident until somebody lets it go. What is on its way arrives."),
            _("What we have promised goes on: a time that passes meanwhile counts as broken."),
        ]
        question = asked(incident, _("Hold its messages?"), _("Hold them"), waiting, label, lines=lines, is_grave=True)
    else:
        lines = [_("What is due is judged again, and sent.")]
        question = asked(
            incident, _("Let its messages go?"), _("Let them go"), waiting, label, lines=lines, is_grave=True
        )
    if request.method != "POST" or not is_confirmed(request, waiting):
        return ask(request, question)
    if how == "hold":
        hold(origin, reason=BY_HAND, actor=actor_of(request))
    else:
        release(origin, actor=actor_of(request))
    return redirect(room_of(incident))
