"""Say this: for whoever picks up the telephone. Find the caller, check who they are, read forty words aloud."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.reasons import why_affected
from beforehand.customers.models import ContactPoint, Customer
from beforehand.engine.thread_ids import read_code
from beforehand.events.actions import append_event
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.incidents.queries import AffectedLine, touching
from beforehand.incidents.spoken import nothing_known, words_on
from beforehand.kit import clock
from beforehand.outbound.models import Message
from beforehand.playbooks.contacts import note_call
from beforehand.promises.queries import next_promises

FOUND = 20
CHECKED_FOR = timedelta(minutes=30)
"""How long whoever checked a caller need not check them again."""
ENOUGH = 2
"""So many right answers say who it is; all there are, where we know fewer."""
SESSION = "callers"


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask a caller, and the answer that only they should know."""

    name: str
    label: str
    answer: str


@dataclass(frozen=True, slots=True)
class Said:
    """What to read aloud about one incident."""

    incident: Incident
    words: str
    why: str
    next_at: datetime | None


@allowed()
def say_this(request: PageRequest) -> HttpResponse:
    """Find the caller by name, number, postcode, e-mail address, telephone, or the code from their message."""
    text = request.GET.get("q", "").strip()[:200]
    found = callers(text) if text else []
    context = {"nav": "say-this", "text": text, "found": [(one, _place(one)) for one in found], "most": FOUND}
    is_part = request.htmx.target == "callers"
    return render(request, f"console/say_this/{'_callers' if is_part else 'find'}.html", context)


def callers(text: str) -> list[Customer]:
    """The customers whom this may mean, newest first: by the code that stands in their message, else by who they are."""
    served = Customer.objects.served().prefetch_related("holdings")
    code = read_code(text)
    if code is not None:
        ids = list(Message.objects.filter(code=code).order_by("-id").values_list("customer_id", flat=True)[:3])
        if ids:
            return list(served.filter(pk__in=ids))
    return list(served.search(text).before(None)[:FOUND])


def _place(customer: Customer) -> str:
    """Enough of a place to tell two of one name apart, and no address: its first word."""
    places = [holding.place for holding in customer.holdings.all() if holding.place]
    return f"{places[0].split()[0]} …" if places else ""


@allowed()
def caller(request: PageRequest, public_id: UUID) -> HttpResponse:
    """What to ask this caller; and once they are checked, what to say to them."""
    found = get_object_or_404(Customer.objects.served(), public_id=public_id)
    context: dict[str, Any] = {"nav": "say-this", "customer": found, "questions": questions(found)}
    if not _is_checked(request, found):
        context["enough"] = _enough(context["questions"])
        return render(request, "console/say_this/check.html", context)
    touched = touching(found.pk)
    context |= {
        "said": _said(found, touched),
        "nothing": "" if touched else nothing_known(found.language),
        "call": uuid4(),
    }
    return render(request, "console/say_this/words.html", context)


def questions(customer: Customer) -> list[Question]:
    """What we know that a stranger would not: number, place of what they have, addresses."""
    found = [Question("number", _("Customer number"), customer.external_id)]
    today = clock.now().date()
    for holding in customer.holdings.exclude(until__lte=today).order_by("-since", "-pk")[:1]:
        found.append(Question("holding", _("What they have from us"), holding.product))
        if holding.place:
            found.append(Question("place", _("Where they have it"), holding.place))
    labels = {ContactPoint.Channel.EMAIL: _("E-mail address"), ContactPoint.Channel.SMS: _("Telephone number")}
    for point in customer.contact_points.filter(channel__in=list(labels)).order_by("channel", "rank", "pk")[:2]:
        found.append(Question(point.channel, str(labels[ContactPoint.Channel(point.channel)]), point.address))
    return found


def _enough(known: Sequence[Question]) -> int:
    return min(ENOUGH, len(known))


def _is_checked(request: PageRequest, customer: Customer) -> bool:
    until = request.session.get(SESSION, {}).get(str(customer.pk), "")
    return bool(until) and datetime.fromisoformat(until) > clock.now()


def _said(customer: Customer, touched: Sequence[tuple[Incident, AffectedLine]]) -> list[Said]:
    promises = next_promises(origin_of(incident.pk) for incident, _line in touched)
    said = []
    for incident, line in touched:
        promise = promises.get(origin_of(incident.pk))
        words = words_on(
            incident,
            language=customer.language,
            zone=customer.time_zone,
            now=clock.now(),
            next_at=promise.due_at if promise else None,
            what=", ".join(part for part in (line.product, line.place) if part),
        )
        said.append(Said(incident, words, why_affected(line), promise.due_at if promise else None))
    return said


@allowed("customer:write")
@require_POST
def check(request: PageRequest, public_id: UUID) -> HttpResponse:
    """They answered: note which answers were right, and go on if these are enough."""
    found = get_object_or_404(Customer.objects.served(), public_id=public_id)
    known = questions(found)
    right = [question.name for question in known if question.name in request.POST.getlist("right")]
    needed = _enough(known)
    if len(right) < needed:
        text = ngettext(
            "Tick %(count)d right answer before you go on.", "Tick %(count)d right answers before you go on.", needed
        )
        messages.error(request, text % {"count": needed})
        return redirect("console:caller", public_id=found.public_id)
    append_event(type="customer.identified", actor=actor_of(request), customer_id=found.pk, data={"by": right})
    until = (clock.now() + CHECKED_FOR).isoformat()
    request.session[SESSION] = {**request.session.get(SESSION, {}), str(found.pk): until}
    return redirect("console:caller", public_id=found.public_id)


@allowed("customer:write")
@require_POST
def called(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Note that they called: about an incident that touches them, or about something else."""
    found = get_object_or_404(Customer.objects.served(), public_id=public_id)
    wanted = request.POST.get("incident", "")
    incident = next((one for one, _line in touching(found.pk) if str(one.public_id) == wanted), None)
    call = request.POST.get("call", "")[:36]
    noted = note_call(found, incident, call=call, actor=actor_of(request), now=clock.now())
    messages.success(request, _("The call is noted.") if noted else _("The call was noted already."))
    return redirect("console:say-this")
