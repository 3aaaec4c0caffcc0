"""What each setting means, how its value is said and typed; and what a token is asked."""

from dataclasses import asdict, dataclass
from datetime import time
from typing import Any

from django import forms
from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from beforehand.accounts.actions import SCOPES
from beforehand.accounts.installation import BrandSetting
from beforehand.kit.web.forms import LongSelect
from beforehand.kit.web.templatetags.kit import number
from beforehand.kit.zones import time_zones


@dataclass(frozen=True)
class Meaning:
    """A setting's name and what it does, as people say it; `most` is the largest number that makes sense."""

    label: Promise | str
    meaning: Promise | str
    most: int = 1_000_000


MEANINGS = {
    "sending.paused": Meaning(
        gettext_lazy("Sending is paused"),
        gettext_lazy(
            "Nothing goes out to customers. What is due waits, and is judged again when sending goes on. After a restore"
            " this is on until somebody has looked."
        ),
    ),
    "brand": Meaning(
        gettext_lazy("Brand"),
        gettext_lazy("Who speaks: the name in every message and on every page, its languages and its time zone."),
    ),
    "quiet_hours.from": Meaning(
        gettext_lazy("Quiet hours begin"),
        gettext_lazy("In the customer's own time zone. What is urgent for their service is told anyway."),
    ),
    "quiet_hours.until": Meaning(
        gettext_lazy("Quiet hours end"), gettext_lazy("What waited is told then, if it is still true.")
    ),
    "limits.confirm_above": Meaning(
        gettext_lazy("Ask a person above"),
        gettext_lazy("A playbook that would tell more customers than this waits for somebody to confirm."),
        100_000_000,
    ),
    "promises.acknowledge_minutes": Meaning(
        gettext_lazy("Minutes to take a promise"),
        gettext_lazy("How long a warned promise may wait for the person on duty before it passes to the next."),
        1440,
    ),
    "promises.contact_minutes": Meaning(
        gettext_lazy("Minutes to be in touch"),
        gettext_lazy("With a customer who says, after the end, that it still does not work."),
        10_080,
    ),
    "calls.within_minutes": Meaning(
        gettext_lazy("Minutes to call"),
        gettext_lazy("Within which whoever only a call reaches is called, unless the next word is due sooner."),
        10_080,
    ),
    "calls.care_alarm_minutes": Meaning(
        gettext_lazy("Minutes to call about a care alarm"),
        gettext_lazy("The same, for customers whose care alarm hangs on it."),
        1440,
    ),
    "calls.open_at_once": Meaning(
        gettext_lazy("Calls at once"),
        gettext_lazy(
            "How many calls a team is asked for at a time; the others wait for their turn. Care alarms never wait. "
            "0: as many as there are."
        ),
        10_000,
    ),
    "caps.care": Meaning(
        gettext_lazy("Care messages a week"), gettext_lazy("How many a customer gets in seven days at the most."), 100
    ),
    "caps.survey": Meaning(
        gettext_lazy("Questionnaires a week"), gettext_lazy("How many a customer gets in seven days at the most."), 100
    ),
    "caps.marketing": Meaning(
        gettext_lazy("Offers a week"), gettext_lazy("How many a customer gets in seven days at the most."), 100
    ),
    "mail.rate": Meaning(
        gettext_lazy("Mails a second"),
        gettext_lazy("What your mail server may get from all machines together. 0: as fast as it takes them."),
    ),
    "mail.connections": Meaning(
        gettext_lazy("Connections to the mail server"),
        gettext_lazy("Of each worker. A change holds when workers start anew."),
        100,
    ),
    "sms.rate": Meaning(
        gettext_lazy("Text messages a second"),
        gettext_lazy("What the gateway may get from all machines together. 0: as fast as it takes them."),
    ),
    "sms.connections": Meaning(
        gettext_lazy("Connections to the SMS gateway"),
        gettext_lazy("Of each worker. A change holds when workers start anew."),
        100,
    ),
    "webhook.rate": Meaning(
        gettext_lazy("Posts to organisations a second"),
        gettext_lazy("What their systems may get from all machines together. 0: as fast as they take them."),
    ),
    "webhook.connections": Meaning(
        gettext_lazy("Connections to organisations' systems"),
        gettext_lazy("Of each worker. A change holds when workers start anew."),
        100,
    ),
    "push.rate": Meaning(
        gettext_lazy("Notifications a second"),
        gettext_lazy("What browsers' push services may get from all machines together. 0: as fast as they take them."),
    ),
    "push.connections": Meaning(
        gettext_lazy("Connections to push services"),
        gettext_lazy("Of each worker. A change holds when workers start anew."),
        100,
    ),
    "sign_in.second_step": Meaning(
        gettext_lazy("A second step at sign-in"),
        gettext_lazy(
            "Whoever signs in with a password also gives a code from their telephone, and sets it up at the next sign-in."
            " Your company's own sign-in asks for what it asks."
        ),
    ),
    "intake.keep_raw_days": Meaning(
        gettext_lazy("Days to keep raw copies"),
        gettext_lazy("How long what other systems sent is kept as it came; its events stay."),
        3650,
    ),
}


def value_words(key: str, value: Any) -> str:
    """A value as a person reads it, in force or from the history."""
    if isinstance(value, BrandSetting):
        value = asdict(value)
    if isinstance(value, dict):
        return ", ".join([str(value.get("name", "")), *value.get("languages", ())]).strip(", ")
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, time):
        return f"{value:%H:%M}"
    return str(number(value)) if isinstance(value, int | float) else str(value)


class BrandForm(forms.Form):
    """Who speaks."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    phone = forms.CharField(
        label=gettext_lazy("Telephone number"),
        required=False,
        max_length=40,
        help_text=gettext_lazy("Shown where customers may want to call."),
        widget=forms.TextInput(attrs={"dir": "ltr", "type": "tel"}),
    )
    sender_name = forms.CharField(
        label=gettext_lazy("Sender of mails"),
        required=False,
        max_length=100,
        help_text=gettext_lazy("Empty: the name."),
    )
    languages = forms.MultipleChoiceField(
        label=gettext_lazy("Languages"), choices=settings.LANGUAGES, widget=forms.CheckboxSelectMultiple
    )
    language = forms.ChoiceField(label=gettext_lazy("Language where none is known"), choices=settings.LANGUAGES)
    time_zone = forms.ChoiceField(label=gettext_lazy("Time zone"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = [(zone, zone) for zone in sorted(time_zones())]
        self.fields["time_zone"] = forms.ChoiceField(
            label=self.fields["time_zone"].label, choices=zones, widget=LongSelect
        )

    def clean(self) -> dict[str, Any]:
        typed: dict[str, Any] = super().clean() or self.cleaned_data
        if typed.get("language") and typed["language"] not in typed.get("languages", ()):
            self.add_error("language", _("Choose one of the languages above."))
        return typed


def setting_form(key: str, in_force: Any, posted: Any) -> forms.Form:
    """A form with this setting's value in it."""
    if key == "brand":
        return BrandForm(posted, initial=asdict(in_force))
    words = MEANINGS[key]
    field: forms.Field
    if isinstance(in_force, bool):
        field = forms.BooleanField(label=str(words.label), required=False)
    elif isinstance(in_force, time):
        field = forms.TimeField(label=str(words.label), widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"))
        field.clean = _as_text(field.clean)  # type: ignore[method-assign]
    elif key.endswith(".rate"):
        field = forms.FloatField(label=str(words.label), min_value=0, max_value=words.most)
    else:
        least = 1 if key.endswith(".connections") else 0
        field = forms.IntegerField(label=str(words.label), min_value=least, max_value=words.most)
    form = forms.Form(posted, initial={"value": in_force})
    form.fields["value"] = field
    return form


def _as_text(clean: Any) -> Any:
    """Times are kept as they are written."""
    return lambda value: f"{clean(value):%H:%M}"


class TokenForm(forms.Form):
    """Who will use the token, for what, and how long."""

    name = forms.CharField(
        label=gettext_lazy("Who will use it"), max_length=200, help_text=gettext_lazy("Such as: Prometheus in Utrecht.")
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("What it may do"),
        choices=[(scope, scope) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("As little as it needs: a monitoring system needs events:write and nothing else."),
    )
    days = forms.IntegerField(
        label=gettext_lazy("Good for how many days"),
        required=False,
        min_value=1,
        max_value=3650,
        help_text=gettext_lazy("Empty: until it is revoked."),
    )
