"""You: how the console and its mails speak to the one who is signed in, and what is mailed to them."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from beforehand.accounts.actions import change_own_ways
from beforehand.accounts.models import MailAbout
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.kit.zones import time_zones


class YouForm(forms.Form):
    """What a person decides for themselves."""

    mail_about = forms.ChoiceField(
        label=gettext_lazy("Mail me about"), choices=MailAbout.choices, widget=forms.RadioSelect
    )
    language = forms.ChoiceField(label=gettext_lazy("Language of the mails"), choices=settings.LANGUAGES)
    time_zone = forms.CharField(
        label=gettext_lazy("Your time zone"), help_text=gettext_lazy("Such as Europe/Amsterdam or Asia/Kolkata.")
    )

    def clean_time_zone(self) -> str:
        zone = str(self.cleaned_data["time_zone"]).strip()
        if zone not in time_zones():
            raise forms.ValidationError(_("There is no time zone of this name. Write it like Europe/Amsterdam."))
        return zone


@allowed()
@require_http_methods(["GET", "HEAD", "POST"])
def you(request: PageRequest) -> HttpResponse:
    """The page, and what is chosen on it."""
    person = request.user
    initial = {"mail_about": person.mail_about, "language": person.language, "time_zone": person.time_zone}
    form = YouForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        change_own_ways(person, **form.cleaned_data, actor=actor_of(request))
        messages.success(request, _("Saved."))
        return redirect("console:you")
    return render(request, "console/people/you.html", {"nav": "", "form": form, "teams": person.teams.order_by("name")})
