"""Open an incident by hand: with the count of whom it touches before it is opened."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from beforehand.accounts.installation import installation
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.asking import Question, ask, is_confirmed
from beforehand.console.incident_forms import OpenForm
from beforehand.console.incident_writing import GET_OR_POST, chosen_parts, room_of
from beforehand.incidents.actions import open_by_hand
from beforehand.incidents.queries import would_touch
from beforehand.kit import clock
from beforehand.kit.web.mixed import apart


@allowed("incident:open")
@GET_OR_POST
def opening(request: PageRequest) -> HttpResponse:
    """The form, then the count, then the room."""
    form = OpenForm(request.POST or None, languages=installation().brand.languages)
    if request.method != "POST" or not form.is_valid():
        context = {"nav": "incidents", "form": form, "chosen": chosen_parts(form)}
        return render(request, "console/incidents/open.html", context)
    now = clock.now()
    typed = form.cleaned_data
    touched = would_touch(component_ids=form.component_ids(), condition=typed["condition"], now=now)
    if not is_confirmed(request, touched):
        return ask(request, _question(form, touched))
    incident = open_by_hand(
        title=typed["title"],
        kind=typed["kind"],
        severity=typed["severity"],
        actor=actor_of(request),
        began_at=typed["began_at"] or now,
        known_at=now,
        component_ids=form.component_ids(),
        condition=typed["condition"],
        texts=form.texts(),
        owner=typed["owner"],
        is_public=typed["is_public"],
    )
    return redirect(room_of(incident))


def _question(form: OpenForm, touched: int) -> Question:
    return Question(
        title=_("Open “%(title)s”?") % apart(title=form.cleaned_data["title"]),
        press=_("Open the incident"),
        count=touched,
        count_label=_("customers would be touched by it"),
        lines=[
            _("The playbook that is agreed for such an incident starts at once; it tells them when its time comes.")
        ],
        back=reverse("console:incident-open"),
        back_label=_("Open an incident"),
        hidden=form.hidden(),
        is_grave=True,
    )
