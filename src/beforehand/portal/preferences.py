"""What customers choose on their own page: language, quiet hours, rhythm, addresses, and what else we may write to them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import get_language_info, gettext, gettext_lazy

from beforehand.customers.actions import prefer_contact_point, record_consents, set_contact_point_status
from beforehand.customers.models import ContactPoint, Customer
from beforehand.customers.queries import consents_in_force
from beforehand.engine.message_classes import RULES, ConsentNeed, MessageClass
from beforehand.kit import clock
from beforehand.kit.web.times import babel_locale
from beforehand.outbound.inbox import IN_THE_INBOX

NOT_WANTED = "not_wanted"
"""Why a contact point is blocked whose owner said so on their page: the owner alone undoes that, and nothing else."""


class RhythmForm(forms.Form):
    """What a customer wants to hear of a problem that lasts."""

    rhythm = forms.ChoiceField(
        label=gettext_lazy("What do you want to hear while it lasts?"),
        choices=[
            (Customer.Rhythm.EVERY_STEP, gettext_lazy("Every step: again and again, also when there is nothing new")),
            (Customer.Rhythm.ONLY_CHANGES, gettext_lazy("Only what changes: and once a day that it still lasts")),
        ],
        widget=forms.RadioSelect,
        help_text=gettext_lazy("We always tell you when it begins and when it is over."),
    )


class LanguageForm(forms.Form):
    """The language that a customer is written to in: one of ours, or the one that they have already."""

    language = forms.ChoiceField(
        label=gettext_lazy("Your language"), help_text=gettext_lazy("For this page and for all that we write to you.")
    )

    def __init__(self, customer: Customer, data: Any = None) -> None:
        super().__init__(data, initial={"language": customer.language})
        codes = dict.fromkeys([*(code for code, _name in settings.LANGUAGES), customer.language])
        self.fields["language"] = forms.ChoiceField(
            label=self.fields["language"].label,
            help_text=self.fields["language"].help_text,
            choices=[(code, _own_name(code)) for code in codes],
        )


def _own_name(code: str) -> str:
    try:
        return str(get_language_info(code)["name_local"])
    except KeyError:
        locale = babel_locale(code)
        is_known = locale.language == code.split("-")[0].lower()
        return (locale.get_display_name(locale) or code) if is_known else code


class QuietHoursForm(forms.Form):
    """The hours in which a customer is left in peace: both times, or none for the hours that hold for everybody."""

    quiet_from = forms.TimeField(
        label=gettext_lazy("Quiet from"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    quiet_until = forms.TimeField(
        label=gettext_lazy("Quiet until"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        for given, other in (("quiet_from", "quiet_until"), ("quiet_until", "quiet_from")):
            if typed.get(given) and not typed.get(other) and other not in self.errors:
                self.add_error(other, gettext("Give both times, or none."))
        return typed

    def changes(self) -> dict[str, str | None]:
        """The fields as the action takes them."""
        return {name: value.strftime("%H:%M") if value else None for name, value in self.cleaned_data.items()}


CONSENT_WORDS = {
    MessageClass.CARE: gettext_lazy("I want advice about what I have from you, by:"),
    MessageClass.SURVEY: gettext_lazy("I want to be asked how you did, by:"),
    MessageClass.MARKETING: gettext_lazy("I want offers, by:"),
}
"""What may be refused, in the customer's words: the text that is shown, and stored with its channel."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Whether we may write messages of a class on a channel."""

    message_class: MessageClass
    channel: str
    label: str
    is_given: bool

    @property
    def name(self) -> str:
        return f"{self.message_class}:{self.channel}"


@dataclass(frozen=True, slots=True)
class Question:
    """One class of messages, and the channels on which it may be allowed."""

    words: str
    leaves: tuple[Leave, ...]


def consent_questions(customer: Customer, channels: Collection[str]) -> list[Question]:
    """What the customer is asked: every class that they may refuse, on each of the channels that we have an address for."""
    known = set(channels)
    if not known:
        return []
    if ContactPoint.Channel.SMS in known:
        known.add(ContactPoint.Channel.PHONE)  # who has a mobile number can be called on it
    said = consents_in_force([customer.pk]).get(customer.pk, {})
    return [
        Question(
            str(words),
            tuple(
                Leave(
                    message_class,
                    channel,
                    str(label),
                    said.get((message_class.value, channel), RULES[message_class].consent is not ConsentNeed.OPT_IN),
                )
                for channel, label in ContactPoint.Channel.choices
                if channel in known
            ),
        )
        for message_class, words in CONSENT_WORDS.items()
    ]


def answer_consents(customer: Customer, *, shown: Iterable[str], ticked: Iterable[str]) -> None:
    """Record the answers that differ from what holds, with the words that stood there.

    What the page did not show was not answered; what was left as it was says nothing new.
    """
    asked, given = set(shown), set(ticked)
    channels = set(customer.contact_points.values_list("channel", flat=True))
    rows = [
        {
            "customer": customer.external_id,
            "message_class": leave.message_class.value,
            "channel": leave.channel,
            "given": leave.name in given,
            "wording": f"{question.words} {leave.label}",
            "how": "portal",
            "asked_by": "customer",
            "answered_at": clock.now().isoformat(),
        }
        for question in consent_questions(customer, channels)
        for leave in question.leaves
        if leave.name in asked and (leave.name in given) != leave.is_given
    ]
    if rows:
        record_consents(rows, actor="portal", source="my page")


def use_address(point: ContactPoint, *, how: str) -> None:
    """Use it `first` of its channel, use it no more (`stop`), or `again` after its owner stopped it."""
    is_stopped = point.status == ContactPoint.Status.BLOCKED and point.status_reason == NOT_WANTED
    match how:
        case "first":
            prefer_contact_point(point.pk, actor="portal")
        case "stop" if point.status != ContactPoint.Status.BLOCKED:
            set_contact_point_status([point.pk], status=ContactPoint.Status.BLOCKED, reason=NOT_WANTED, actor="portal")
        case "again" if is_stopped:
            set_contact_point_status([point.pk], status=ContactPoint.Status.WORKING, reason="", actor="portal")


def chosen_point(customer: Customer, number: str) -> ContactPoint | None:
    """The address of this customer, and of nobody else, that a form names."""
    if not (number.isdecimal() and len(number) < 19):
        return None
    return customer.contact_points.exclude(channel__in=IN_THE_INBOX).filter(pk=int(number)).first()
