"""What a customer wrote, as one line of a timeline."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from beforehand.conversations.models import MessageIn

LONGEST = 280
TITLES = {
    ("written", "email"): gettext_lazy("The customer wrote a mail"),
    ("written", "sms"): gettext_lazy("The customer wrote a text message"),
    ("auto_reply", "email"): gettext_lazy("An automatic answer came back"),
    ("opt_out", "sms"): gettext_lazy("The customer wrote STOP: no more text messages"),
    ("opt_in", "sms"): gettext_lazy("The customer wrote START: text messages again"),
}


@dataclass(frozen=True, slots=True)
class SaidLine:
    """What the line says, in which language the customer wrote, and where all of it is."""

    title: str
    words: str = ""
    language: str = ""
    url: str = ""
    link: str = ""


def said_line(said: MessageIn | None, *, kind: str, channel: str) -> SaidLine:
    """The line of a message in, by what it is; with its words where they are still there."""
    title = str(TITLES.get((kind, channel), _("The customer wrote")))
    if said is None:
        return SaidLine(title)
    words = said.new_text if len(said.new_text) <= LONGEST else f"{said.new_text[:LONGEST]}…"
    url = reverse("console:reply", args=[said.public_id])
    return SaidLine(title, words, said.language, url, said.subject or _("Read it"))
