"""What people type about an incident."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from beforehand.accounts.models import Team
from beforehand.customers.facts import customer_schema
from beforehand.customers.models import Component
from beforehand.engine.conditions import ConditionError, parse
from beforehand.engine.languages import direction
from beforehand.incidents.models import Incident
from beforehand.kit import clock
from beforehand.kit.web.times import babel_locale

LONGEST = 4000
PARTS = ("title", "cause", "area", "advice")


def language_name(code: str) -> str:
    """A language by its own name."""
    locale = babel_locale(code)
    return locale.get_display_name(locale) or code


class ScopeForm(forms.Form):
    """What an incident is on: network parts, and/or a condition on customers and what they own."""

    component = forms.ModelMultipleChoiceField(
        Component.objects.all(), required=False, label=gettext_lazy("Network parts")
    )
    condition = forms.CharField(
        label=gettext_lazy("Condition"),
        required=False,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 2, "dir": "ltr", "class": "mono"}),
        help_text=gettext_lazy('Who has something for which this holds: holdings.exists(h, h.product == "Fibre 500")'),
    )

    def clean_condition(self) -> str:
        text = str(self.cleaned_data["condition"]).strip()
        if text:
            try:
                parse(text, customer_schema())
            except ConditionError as error:
                raise forms.ValidationError(str(error)) from None
        return text

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and not self.component_ids() and not cleaned.get("condition"):
            raise forms.ValidationError(_("Choose at least one network part, or write a condition."))
        return cleaned

    def component_ids(self) -> list[int]:
        return [part.pk for part in self.cleaned_data.get("component") or ()]

    def hidden(self) -> list[tuple[str, str]]:
        """What was chosen, to be carried along."""
        chosen = [("component", str(pk)) for pk in self.component_ids()]
        return [*chosen, ("condition", self.cleaned_data["condition"])]


class TextsForm(forms.Form):
    """What customers read of a problem, per language."""

    def __init__(self, *args: Any, languages: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.languages = list(languages)
        labels = {"title": _("Title"), "cause": _("Cause"), "area": _("Area"), "advice": _("What customers can do")}
        for code in self.languages:
            for part in PARTS:
                self.fields[f"{part}_{code}"] = forms.CharField(
                    label=labels[part],
                    required=False,
                    max_length=LONGEST,
                    widget=forms.TextInput(attrs={"lang": code, "dir": direction(code).value}),
                )

    def texts(self) -> dict[str, dict[str, str]]:
        """Language to part to text, of what was written."""
        texts = {
            code: {part: text for part in PARTS if (text := self.cleaned_data.get(f"{part}_{code}") or "")}
            for code in self.languages
        }
        return {code: parts for code, parts in texts.items() if parts}

    def text_groups(self) -> list[tuple[str, str, list[Any]]]:
        """Per language: code, name, fields."""
        return [(code, language_name(code), [self[f"{part}_{code}"] for part in PARTS]) for code in self.languages]


class OpenForm(TextsForm, ScopeForm):
    """An incident opened by hand."""

    field_order = ["title", "kind", "severity", "began_at", "owner", "is_public", "component", "condition"]

    title = forms.CharField(
        label=gettext_lazy("Title"),
        max_length=200,
        help_text=gettext_lazy("For colleagues. Customers read the texts below."),
    )
    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=Incident.Kind.choices)
    severity = forms.ChoiceField(
        label=gettext_lazy("Severity"), choices=Incident.Severity.choices, initial=Incident.Severity.MAJOR
    )
    began_at = forms.DateTimeField(
        label=gettext_lazy("Began"),
        required=False,
        help_text=gettext_lazy("Empty: now. In your own time zone."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    owner = forms.ModelChoiceField(
        Team.objects.order_by("name"),
        required=False,
        label=gettext_lazy("Owner"),
        empty_label=gettext_lazy("as the playbook says"),
    )
    is_public = forms.BooleanField(label=gettext_lazy("Show on the public status page"), required=False, initial=True)

    def clean_began_at(self) -> Any:
        began_at = self.cleaned_data["began_at"]
        if began_at is not None and began_at > clock.now():
            raise forms.ValidationError(_("This is in the future."))
        return began_at

    def hidden(self) -> list[tuple[str, str]]:
        names = ["title", "kind", "severity", "began_at", "owner", "is_public"]
        names += [f"{part}_{code}" for code in self.languages for part in PARTS]
        typed = [(name, str(self.data.get(name, ""))) for name in names]
        return [*((name, value) for name, value in typed if value), *super().hidden()]
