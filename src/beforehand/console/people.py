"""People: who may sign in and as what; invited, changed and let go by administrators."""

from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from beforehand.accounts.access import may
from beforehand.accounts.actions import change_user, create_user, invite
from beforehand.accounts.installation import installation
from beforehand.accounts.models import Notice, Role, Team, User
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.kit import clock

GET_OR_POST = require_http_methods(["GET", "HEAD", "POST"])


class PersonForm(forms.Form):
    """What an administrator decides about a person."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    role = forms.ChoiceField(
        label=gettext_lazy("Role"),
        choices=Role.choices,
        help_text=gettext_lazy(
            "Viewers read; agents write; supervisors also confirm and plan; administrators also decide about people and settings."
        ),
    )
    teams = forms.ModelMultipleChoiceField(
        Team.objects.order_by("name"),
        required=False,
        label=gettext_lazy("Teams"),
        widget=forms.CheckboxSelectMultiple,
    )


class ChangeForm(PersonForm):
    """A person who is here."""

    is_active = forms.BooleanField(label=gettext_lazy("May sign in"), required=False)

    def __init__(self, *args: Any, person: User, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_own = person.pk == by.pk

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.is_own and (cleaned.get("role") != Role.ADMIN or not cleaned.get("is_active")):
            raise forms.ValidationError(
                _("You cannot take this from yourself: another administrator can, so that there is always one.")
            )
        return cleaned


class InviteForm(PersonForm):
    """A person who is to come."""

    field_order = ["email", "name", "role", "teams", "language"]
    email = forms.EmailField(label=gettext_lazy("E-mail address"))
    language = forms.ChoiceField(label=gettext_lazy("Language of the mails"), choices=settings.LANGUAGES)

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        if User.objects.filter(email__iexact=email).exists():
            raise forms.ValidationError(_("Somebody signs in with this address already."))
        return email


@allowed()
def people(request: PageRequest) -> HttpResponse:
    """Everybody who may sign in, and who once could."""
    found = User.objects.prefetch_related("teams").order_by("-is_active", "name", "pk")
    return render(request, "console/people/list.html", {"nav": "teams", "tab": "people", "people": found})


@allowed("people:write")
@GET_OR_POST
def make(request: PageRequest) -> HttpResponse:
    """Invite somebody: they get a mail with a link to choose a password."""
    brand = installation().brand
    form = InviteForm(request.POST or None, initial={"role": Role.AGENT, "language": brand.language})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        with transaction.atomic():
            person = create_user(
                email=given["email"], name=given["name"], role=given["role"], language=given["language"],
                time_zone=brand.time_zone, password=None, actor=actor_of(request),
            )  # fmt: skip
            person.teams.set(given["teams"])
            invite(person, actor=actor_of(request), now=clock.now())
        messages.success(request, _("Invited. A mail with a link to choose a password is on its way."))
        return redirect("console:people")
    return render(request, "console/people/person.html", {"nav": "teams", "form": form, "person": None})


@allowed()
@GET_OR_POST
def person(request: PageRequest, public_id: UUID) -> HttpResponse:
    """One person."""
    found = get_object_or_404(User, public_id=public_id)
    can_change = may(request.user, "people:write")
    if request.method == "POST" and not can_change:
        raise PermissionDenied
    initial = {"name": found.name, "role": found.role, "is_active": found.is_active, "teams": found.teams.all()}
    form = ChangeForm(request.POST or None, initial=initial, person=found, by=request.user)
    if request.method == "POST" and form.is_valid():
        change_user(found, **form.cleaned_data, actor=actor_of(request))
        messages.success(request, _("Saved."))
        return redirect("console:person", public_id=found.public_id)
    mailed = Notice.objects.filter(person=found, about=f"person:{found.pk}").order_by("-pk").first()
    context = {"nav": "teams", "form": form, "person": found, "can_change": can_change, "invitation": mailed}
    return render(request, "console/people/person.html", context)


@allowed("people:write")
@require_POST
def invite_again(request: PageRequest, public_id: UUID) -> HttpResponse:
    """A new link for somebody who has not signed in yet."""
    found = get_object_or_404(User, public_id=public_id)
    if found.last_login is None and found.is_active:
        invite(found, actor=actor_of(request), now=clock.now())
        messages.success(request, _("Invited. A mail with a link to choose a password is on its way."))
    else:
        messages.info(
            request, _("They have signed in already: “Forgot your password?” on the sign-in page helps them.")
        )
    return redirect("console:person", public_id=found.public_id)
