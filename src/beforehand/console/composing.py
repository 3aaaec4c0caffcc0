"""Write an update: from approved sentences and in words of one's own, seen at once in every language, then sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from beforehand.accounts.installation import installation
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.asking import ask, is_confirmed
from beforehand.console.incident_forms import LONGEST, language_name
from beforehand.console.incident_writing import GET_OR_POST, asked, has_ended, room_of
from beforehand.console.incidents import find_incident
from beforehand.engine.languages import direction, fallback_chain
from beforehand.engine.playbooks.blocks import Block, BlockKind, Composed, Slot, filled
from beforehand.engine.playbooks.plain_words import MOST_WORDS, empty_words, long_sentences
from beforehand.incidents.actions import IncidentError, post_update
from beforehand.incidents.models import Incident
from beforehand.incidents.queries import language_counts
from beforehand.kit import clock
from beforehand.kit.web.mixed import apart
from beforehand.kit.web.templatetags.kit import number
from beforehand.playbooks.updates import Filling, Offer, UpdateRefused, offered_blocks, put_together

KINDS = {
    BlockKind.CAUSE: gettext_lazy("Cause"),
    BlockKind.AREA: gettext_lazy("Where"),
    BlockKind.NEXT: gettext_lazy("What comes next"),
    BlockKind.ADVICE: gettext_lazy("What customers can do"),
}
BLANKS = {
    Slot.AREA: gettext_lazy("[where]"),
    Slot.TIME: gettext_lazy("[when]"),
    Slot.WHAT: gettext_lazy("[what]"),
    Slot.NUMBER: gettext_lazy("[how many]"),
}
"""What stands in a slot while a sentence is chosen."""
WORDS = (Slot.AREA, Slot.WHAT, Slot.NUMBER)


class UpdateForm(forms.Form):
    """Which sentences were chosen, what stands in their slots, and words of one's own in one language or more."""

    area = forms.CharField(
        label=gettext_lazy("Where, in the sentence"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("Empty: the public names of the network parts, in each language."),
    )
    what = forms.CharField(label=gettext_lazy("What, in the sentence"), required=False, max_length=200)
    number = forms.CharField(label=gettext_lazy("How many, in the sentence"), required=False, max_length=50)
    time = forms.DateTimeField(
        label=gettext_lazy("When, in the sentence"),
        required=False,
        help_text=gettext_lazy("In your own time zone. Each language writes it in its own way."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def __init__(self, *args: Any, offer: Offer, languages: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer, self.languages = offer, list(languages)
        for kind in BlockKind:
            names = [(block.name, block.name) for block in offer.blocks if block.kind is kind]
            self.fields[f"block_{kind}"] = forms.ChoiceField(choices=[("", ""), *names], required=False)
        for code in self.languages:
            self.fields[f"text_{code}"] = forms.CharField(
                label=language_name(code),
                required=False,
                max_length=LONGEST,
                widget=forms.Textarea(attrs={"lang": code, "dir": direction(code).value, "rows": 3}),
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and not self.own() and not self.blocks():
            raise forms.ValidationError(_("Choose a sentence, or write the update in at least one language."))
        return cleaned

    def own(self) -> dict[str, str]:
        """Language to words of one's own, of those that were written."""
        written = {code: str(self.cleaned_data.get(f"text_{code}") or "").strip() for code in self.languages}
        return {code: text for code, text in written.items() if text}

    def blocks(self) -> list[Block]:
        """The blocks that were chosen."""
        names = [str(self.cleaned_data.get(f"block_{kind}") or "") for kind in BlockKind]
        return self.offer.named(name for name in names if name)

    def filling(self, *, blank: str = "") -> Filling:
        """What was typed, as an update is put together from it."""
        words = {slot.value: str(self.cleaned_data.get(slot) or "").strip() for slot in WORDS}
        return Filling(words=words, time=self.cleaned_data.get("time"), own=self.own(), blank=blank)

    def slot_fields(self) -> list[tuple[str, forms.BoundField]]:
        """The slots that any of the offered sentences has."""
        wanted = {slot for block in self.offer.blocks for slot in block.slots}
        return [(slot.value, self[slot.value]) for slot in Slot if slot in wanted]

    @property
    def has_own_words(self) -> bool:
        """Whether somebody typed words of their own."""
        return any(self.data.get(f"text_{code}") for code in self.languages)

    def own_fields(self) -> list[forms.BoundField]:
        """A field a language."""
        return [self[f"text_{code}"] for code in self.languages]

    def hidden(self) -> list[tuple[str, str]]:
        """What was typed, to be carried along."""
        return [(name, str(self.data[name])) for name in self.fields if self.data.get(name)]


@dataclass(frozen=True, slots=True)
class Choice:
    """A sentence to choose: as whoever writes reads it, and which slots it asks for."""

    name: str
    sentence: str
    slots: str
    is_chosen: bool
    missing: tuple[str, ...]
    """The languages of customers in which it does not exist."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What readers of one language get."""

    language: str
    readers: int
    text: str
    text_language: str
    stated: tuple[tuple[str, str], ...]
    is_foreign: bool
    is_partly: bool
    warnings: tuple[str, ...]


@allowed("incident:write")
@GET_OR_POST
def update(request: PageRequest, public_id: UUID) -> HttpResponse:
    """Put an update together; see whom it reaches and what stays untranslated; then say it."""
    incident = find_incident(public_id)
    form = _form(request, incident)
    composed = _composed(incident, form)
    if composed is None:
        return render(request, "console/incidents/update.html", _page(incident, form, None))
    if not is_confirmed(request, incident.affected_count):
        warnings = [line for code, text in composed.texts.items() for line in word_warnings({code: text})]
        if warnings and request.POST.get("as_it_is") != "yes":
            context = {**_page(incident, form, composed), "warnings": warnings}
            return render(request, "console/incidents/update.html", context)
        question = asked(
            incident, _("Tell everyone who is affected?"), _("Tell them now"), incident.affected_count,
            _("customers hear this at once"), lines=_left_out(incident, composed), hidden=form.hidden(),
        )  # fmt: skip
        return ask(request, question)
    try:
        post_update(
            incident, texts=composed.texts, stated=composed.stated, author=request.user, actor=actor_of(request)
        )
    except IncidentError:
        return has_ended(request, incident)
    messages.success(request, _("The update is on its way."))
    return redirect(room_of(incident))


@allowed("incident:write")
@GET_OR_POST
def preview(request: PageRequest, public_id: UUID) -> HttpResponse:
    """The update as it stands, in each language, while it is being written."""
    incident = find_incident(public_id)
    form = _form(request, incident)
    composed = _composed(incident, form, blank="…")
    return render(request, "console/incidents/_readings.html", _page(incident, form, composed))


def _form(request: PageRequest, incident: Incident) -> UpdateForm:
    languages = installation().brand.languages
    return UpdateForm(request.POST or None, offer=offered_blocks(incident), languages=languages)


def _composed(incident: Incident, form: UpdateForm, *, blank: str = "") -> Composed | None:
    """The update that the form says; None, with the form's errors, where it says none."""
    if not form.is_valid():
        return None
    try:
        filling = form.filling(blank=blank)
        return put_together(incident, form.blocks(), filling, brand=installation().brand, now=clock.now())
    except UpdateRefused as refused:
        form.add_error(refused.where, _("The sentence that you chose needs this."))
        return None


def _page(incident: Incident, form: UpdateForm, composed: Composed | None) -> dict[str, Any]:
    return {
        "nav": "incidents",
        "incident": incident,
        "form": form,
        "kinds": _kinds(form),
        "readings": _readings(incident, form.languages, composed) if composed else [],
        "composed": composed,
    }


def _kinds(form: UpdateForm) -> list[tuple[str, str, list[Choice], bool]]:
    """Each kind with its sentences, as the one who writes reads them."""
    own = get_language() or "en"
    found = []
    for kind, label in KINDS.items():
        choices = [
            Choice(
                name=block.name,
                sentence=_to_read(block, own),
                slots=" ".join(block.slots),
                is_chosen=form.data.get(f"block_{kind}") == block.name,
                missing=tuple(code for code in form.languages if code not in block.sentences),
            )
            for block in form.offer.blocks
            if block.kind is kind
        ]
        if choices:
            is_silent = not any(choice.is_chosen for choice in choices)
            found.append((f"block_{kind}", str(label), choices, is_silent))
    return found


def _to_read(block: Block, language: str) -> str:
    code = next(iter(fallback_chain(language, block.sentences, "en")), next(iter(block.sentences)))
    return filled(block.sentences[code], {slot.value: str(blank) for slot, blank in BLANKS.items()})


def _readings(incident: Incident, languages: Sequence[str], composed: Composed) -> list[Reading]:
    """A reading for each language that customers are served in or that any of the affected reads, most readers first."""
    readers = language_counts(incident)
    codes = sorted({*languages, *readers}, key=lambda code: (-readers.get(code, 0), code))
    found = []
    for code in codes:
        own = code if code in composed.texts else code.partition("-")[0]
        is_foreign = own not in composed.texts
        text_language = next(iter(composed.texts)) if is_foreign else own
        stated = composed.stated.get(own, {})
        found.append(
            Reading(
                language=code,
                readers=readers.get(code, 0),
                text=composed.texts[text_language],
                text_language=text_language,
                stated=tuple((str(KINDS[BlockKind(kind)]), text) for kind, text in stated.items()),
                is_foreign=is_foreign,
                is_partly=own in composed.partly,
                warnings=() if is_foreign else tuple(word_warnings({own: composed.texts[own]})),
            )
        )
    return found


def _left_out(incident: Incident, composed: Composed) -> list[str]:
    """Who gets words in a language that is not theirs, for the one who sends."""
    lines = []
    for code, count in language_counts(incident).items():
        shown = apart(language=language_name(code), count=number(count))
        own = code.split("-")[0]
        if own not in composed.texts and code not in composed.texts:
            lines.append(
                _("%(language)s: not translated. %(count)s customers get it as it was written, and are told so.")
                % shown
            )
        elif own in composed.partly:
            lines.append(
                _("%(language)s: your own words are not translated. %(count)s customers get them as they were written.")
                % shown
            )  # fmt: skip
    return lines


def word_warnings(texts: Mapping[str, str]) -> list[str]:
    """What customers could not use in these texts, by language: words that promise nothing, sentences too long to read."""
    return [
        *(
            _("%(language)s: “%(phrase)s” promises nothing. Say in the same paragraph when they hear more.")
            % apart(language=language_name(code), phrase=empty.phrase)
            for code, text in texts.items()
            for empty in empty_words(text, code)
        ),
        *(
            _("%(language)s: the sentence “%(start)s …” has %(words)s words. Make two of it: %(limit)s are enough.")
            % apart(language=language_name(code), start=long.start, words=long.words, limit=MOST_WORDS)
            for code, text in texts.items()
            for long in long_sentences(text)
        ),
    ]
