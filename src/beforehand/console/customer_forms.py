"""What people change about a customer."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from beforehand.customers.models import Customer
from beforehand.kit.web.forms import LongSelect
from beforehand.kit.zones import time_zones


class CustomerForm(forms.Form):
    """How we speak to a customer. The action checks the values: here is only what is typed."""

    salutation = forms.CharField(
        label=gettext_lazy("Salutation"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("How a message greets, without a comma: “Dear Ms De Vries”. Empty: by the full name."),
    )
    form_of_address = forms.ChoiceField(label=gettext_lazy("Form of address"), choices=Customer.FormOfAddress.choices)
    language = forms.CharField(
        label=gettext_lazy("Language"), max_length=35, help_text=gettext_lazy("Its code: en, nl, ar, hi, pt-BR.")
    )
    time_zone = forms.ChoiceField(label=gettext_lazy("Time zone"))
    quiet_from = forms.TimeField(
        label=gettext_lazy("Quiet from"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text=gettext_lazy("In the customer's zone. Empty: as for everybody."),
    )
    quiet_until = forms.TimeField(
        label=gettext_lazy("Quiet until"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    rhythm = forms.ChoiceField(
        label=gettext_lazy("News while a problem lasts"),
        choices=Customer.Rhythm.choices,
        help_text=gettext_lazy("Only what changes: no word that it goes on, but for one a day."),
    )
    priority = forms.ChoiceField(label=gettext_lazy("Priority"), choices=Customer.Priority.choices)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = forms.ChoiceField(
            label=self.fields["time_zone"].label,
            choices=[(zone, zone) for zone in sorted(time_zones())],
            widget=LongSelect,
        )
        self.fields["time_zone"] = zones

    @staticmethod
    def initial_of(customer: Customer) -> dict[str, Any]:
        """What stands there now."""
        return {name: getattr(customer, name) for name in CustomerForm.base_fields}

    def changes(self) -> dict[str, Any]:
        """The fields as the action takes them: texts, and None for what is empty."""
        typed = self.cleaned_data
        times = {name: typed[name].strftime("%H:%M") if typed[name] else None for name in ("quiet_from", "quiet_until")}
        return {**typed, **times, "salutation": typed["salutation"] or None}
