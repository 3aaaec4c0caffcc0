"""One customer's data: given out as a file or a page, and erased after the question who and why."""

import json
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.incident_writing import GET_OR_POST
from beforehand.customers.erasure import ErasureHindered, erase_customer, export_customer, hindrances_of
from beforehand.customers.models import Customer

PARTS = {
    "customer": gettext_lazy("Who they are"),
    "helps": gettext_lazy("Whom they help"),
    "contact_points": gettext_lazy("How to reach them"),
    "consents": gettext_lazy("What they allowed"),
    "holdings": gettext_lazy("Products & services"),
    "depends_on": gettext_lazy("What those depend on"),
    "events": gettext_lazy("What happened"),
    "messages": gettext_lazy("What we said to them"),
    "deliveries": gettext_lazy("Send attempts"),
    "promises": gettext_lazy("What we promised"),
    "incidents": gettext_lazy("Problems that touched them"),
}
"""What a part of an export is called on its page; a part without a name here shows its own."""


class ErasureForm(forms.Form):
    """Why, and the customer's number typed once more."""

    reason = forms.CharField(label=gettext_lazy("Why"), max_length=500, widget=forms.Textarea)
    number = forms.CharField(
        label=gettext_lazy("The customer’s number, typed once more"),
        max_length=200,
        widget=forms.TextInput(attrs={"dir": "ltr", "autocomplete": "off"}),
    )
    is_forced = forms.BooleanField(label=gettext_lazy("Erase all the same"), required=False)

    def __init__(self, data: Any, *, number: str, is_hindered: bool) -> None:
        super().__init__(data)
        self._number = number
        if not is_hindered:
            del self.fields["is_forced"]

    def clean_number(self) -> str:
        """The number must be this customer's."""
        if self.cleaned_data["number"].strip() != self._number:
            raise forms.ValidationError(_("This is not the number of this customer."))
        return self._number


def export_page(data: dict[str, Any], *, title: str) -> str:
    """The export as a page that a person can read; it stands alone and loads nothing."""
    parts = [
        (PARTS.get(name, name), [[(key, _shown(value)) for key, value in row.items()] for row in rows])
        for name, rows in data.items()
        if isinstance(rows, list)
    ]
    return render_to_string(
        "console/customers/export.html", {"title": title, "parts": parts, "exported_at": data["exported_at"]}
    )


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, indent=1) if value else "–"
    return "–" if value in (None, "") else str(value)


@allowed("customer:erase")
@require_safe
def export(request: PageRequest, public_id: UUID, form: str) -> HttpResponse:
    """Everything that is held on the customer, as JSON or as a page."""
    customer = get_object_or_404(Customer.objects.served(), public_id=public_id)
    data = export_customer(customer.pk, actor=actor_of(request))
    if form == "html":
        body, kind = export_page(data, title=customer.name), "text/html"
    else:
        body, kind = json.dumps(data, ensure_ascii=False, indent=2, default=str), "application/json"
    return HttpResponse(
        body,
        content_type=f"{kind}; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="customer-{customer.public_id}.{form}"',
            "Cache-Control": "no-store",
        },
    )


@allowed("customer:erase")
@GET_OR_POST
def erase(request: PageRequest, public_id: UUID) -> HttpResponse:
    """What is still going on with them, what stays and what goes; and the press that erases."""
    customer = get_object_or_404(Customer.objects.served(), public_id=public_id)
    hindrances = hindrances_of(customer.pk)
    form = ErasureForm(request.POST or None, number=customer.external_id, is_hindered=bool(hindrances))
    if request.method == "POST" and form.is_valid():
        try:
            erase_customer(
                customer.pk,
                reason=form.cleaned_data["reason"],
                actor=actor_of(request),
                is_forced=bool(form.cleaned_data.get("is_forced")),
            )
        except ErasureHindered as hindered:
            hindrances = hindered.hindrances
            form.add_error(None, _("Something is still going on with this customer; see above."))
        else:
            messages.success(request, _("Erased. What stays names nobody."))
            return redirect("console:customer", public_id=customer.public_id)
    context = {"nav": "customers", "customer": customer, "hindrances": hindrances, "form": form}
    return render(request, "console/customers/erase.html", context)
