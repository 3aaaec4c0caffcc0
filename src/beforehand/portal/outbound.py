"""“Is this message really from us?”: a customer types the code that stands in a message."""

import math
from dataclasses import dataclass
from datetime import datetime

from django import forms
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from beforehand.customers.models import ContactPoint
from beforehand.engine.message_classes import MessageClass
from beforehand.engine.thread_ids import read_code
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.kit import clock
from beforehand.outbound.inbox import PLACED
from beforehand.outbound.models import Channel, Message, MessageBatch
from beforehand.portal.pace import Guard
from beforehand.portal.reader import Reader, reading
from beforehand.portal.wording import masked

guard = Guard()

# Those that were refused or called back never left the house: nobody can hold their code.
LEFT_THE_HOUSE = [Message.State.QUEUED, Message.State.SENT, Message.State.UNCERTAIN, Message.State.FAILED]

CLASS_NAMES = {
    MessageClass.SERVICE_CRITICAL: _("an urgent message about your service"),
    MessageClass.SERVICE: _("a message about your service"),
    MessageClass.CARE: _("advice and care for what you have from us"),
    MessageClass.SURVEY: _("a question about how we did"),
    MessageClass.MARKETING: _("an offer"),
}


class CodeForm(forms.Form):
    """The code as someone reads it off a message."""

    code = forms.CharField(
        label=_("Code from the message"),
        max_length=40,
        strip=True,
        help_text=_("Eight letters and digits, such as ABCD-2345. Capitals and the hyphen do not matter."),
        error_messages={
            "required": _("Type the code that stands in the message."),
            "max_length": _("That is longer than our codes. Type only the code."),
        },
        widget=forms.TextInput(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "characters",
                "spellcheck": "false",
                "dir": "ltr",
                "class": "code-input",
            }
        ),
    )


@dataclass(frozen=True, slots=True)
class OurMessage:
    """What may be told of a message to whoever holds its code."""

    kind: str
    about: str
    sent_at: datetime
    channel: str
    recipient: str


@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def check(request: HttpRequest) -> HttpResponse:
    """Ask for a code; say whether a message of ours bears it. One answer for every code that is not one."""
    form = CodeForm(request.POST or None)
    with reading(request) as reader:
        if request.method != "POST" or not form.is_valid():
            return _page(reader, form, {})
        seconds = guard.wait(request.META.get("REMOTE_ADDR", ""), now=clock.now().timestamp())
        if seconds:
            response = _page(reader, form, {"answer": "wait"}, status=429)
            response.headers["Retry-After"] = str(math.ceil(seconds))
            return response
        found = messages_with_code(form.cleaned_data["code"])
        return _page(reader, form, {"answer": "ours" if found else "unknown", "found": found})


def _page(reader: Reader, form: CodeForm, context: dict[str, object], *, status: int = 200) -> HttpResponse:
    page = {"form": form, "csrf_token": get_token(reader.request), **context}
    response = reader.page("portal/outbound/check.html", page, status=status)
    response.headers["Cache-Control"] = "no-store, private"
    return response


def messages_with_code(typed: str) -> list[OurMessage]:
    """The messages that bear this code, newest first: nearly always one, for two in a million may share theirs."""
    code = read_code(typed)
    if code is None:
        return []
    messages = list(Message.objects.filter(Q(state__in=LEFT_THE_HOUSE) | Q(PLACED), code=code).order_by("-id")[:3])
    batches = MessageBatch.objects.in_bulk([message.batch_id for message in messages]) if messages else {}
    points = ContactPoint.objects.in_bulk([one.contact_point_id for one in messages if one.contact_point_id])
    kinds = {
        origin_of(pk): str(Incident.Kind(kind).label)
        for pk, kind in Incident.objects.filter(
            pk__in=[int(batch.origin.partition(":")[2]) for batch in batches.values() if _is_incident(batch)]
        ).values_list("pk", "kind")
    }
    return [
        OurMessage(
            kind=str(CLASS_NAMES[MessageClass(batch.message_class)]),
            about=kinds.get(batch.origin, ""),
            sent_at=message.ended_at or message.created_at,
            channel=str(Channel(message.channel).label),
            recipient=masked(point) if (point := points.get(message.contact_point_id or 0)) else "",
        )
        for message in messages
        if (batch := batches.get(message.batch_id)) is not None
    ]


def _is_incident(batch: MessageBatch) -> bool:
    kind, _, number = batch.origin.partition(":")
    return kind == "incident" and number.isdecimal()
