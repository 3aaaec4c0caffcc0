"""Settings: what the company decides about its installation, what each means, who decided it when; and API tokens."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings as deployed
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from beforehand.accounts.actions import create_token, revoke_token, set_setting
from beforehand.accounts.installation import KEYS, Installation, SettingRefused, installation
from beforehand.accounts.models import ApiToken, SettingVersion, User
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.setting_words import MEANINGS, TokenForm, setting_form, value_words
from beforehand.console.story_names import actor_name
from beforehand.kit import clock
from beforehand.kit.web.mixed import apart

GET_OR_POST = require_http_methods(["GET", "HEAD", "POST"])
HISTORY = 50


@dataclass(frozen=True, slots=True)
class SettingLine:
    """A setting as it stands; `set_at` is None while the default holds."""

    key: str
    label: str
    meaning: str
    value: str
    set_at: datetime | None
    who: str


@allowed("settings:write")
def settings(request: PageRequest) -> HttpResponse:
    """Every setting with its value, its meaning, and who set it."""
    now = installation()
    newest = SettingVersion.objects.filter(key__in=KEYS).order_by("key", "-id").distinct("key")
    versions = {version.key: version for version in newest}
    names = _names(list(versions.values()))
    lines = [_line(key, now, versions.get(key), names) for key in MEANINGS]
    return render(request, "console/settings/list.html", {"nav": "settings", "tab": "settings", "lines": lines})


def _line(key: str, now: Installation, version: SettingVersion | None, names: dict[int, str]) -> SettingLine:
    words = MEANINGS[key]
    return SettingLine(
        key=key,
        label=str(words.label),
        meaning=str(words.meaning),
        value=value_words(key, getattr(now, KEYS[key])),
        set_at=version.set_at if version else None,
        who=actor_name(version.set_by, names) if version else "",
    )


def _names(versions: list[SettingVersion]) -> dict[int, str]:
    people = {int(one.set_by[5:]) for one in versions if one.set_by[:5] == "user:" and one.set_by[5:].isdigit()}
    return dict(User.objects.filter(pk__in=people).values_list("pk", "name"))


@allowed("settings:write")
@GET_OR_POST
def setting(request: PageRequest, key: str) -> HttpResponse:
    """One setting: change it, and see what it was."""
    if key not in MEANINGS:
        raise Http404
    in_force = getattr(installation(), KEYS[key])
    form = setting_form(key, in_force, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        value = form.cleaned_data if key == "brand" else form.cleaned_data["value"]
        try:
            set_setting(key=key, value=value, actor=actor_of(request))
        except SettingRefused as refused:
            form.add_error(None, str(refused))
        else:
            messages.success(request, _("Saved. It holds from now on."))
            return redirect("console:settings")
    versions = list(SettingVersion.objects.filter(key=key).order_by("-id")[:HISTORY])
    names = _names(versions)
    context = {
        "nav": "settings",
        "key": key,
        "words": MEANINGS[key],
        "form": form,
        "history": [(one.set_at, value_words(key, one.value), actor_name(one.set_by, names)) for one in versions],
    }
    return render(request, "console/settings/setting.html", context)


@allowed("settings:write")
def tokens(request: PageRequest) -> HttpResponse:
    """What lets other systems in, and when it was last used."""
    found = ApiToken.objects.select_related("created_by").order_by("revoked_at", "-pk")[:500]
    context = {"nav": "settings", "tab": "tokens", "tokens": found, "now": clock.now()}
    return render(request, "console/settings/tokens.html", context)


@allowed("settings:write")
@never_cache
@GET_OR_POST
def token_new(request: PageRequest) -> HttpResponse:
    """Make a token; its secret is on the answer to this one press, and nowhere afterwards."""
    form = TokenForm(request.POST if request.method == "POST" else None)
    made, secret = None, ""
    if request.method == "POST" and form.is_valid():
        typed: dict[str, Any] = form.cleaned_data
        expires_at = clock.now() + timedelta(days=typed["days"]) if typed["days"] else None
        made, secret = create_token(
            name=typed["name"],
            scopes=typed["scopes"],
            actor=actor_of(request),
            expires_at=expires_at,
            created_by=request.user,
        )
    context = {"nav": "settings", "form": form, "made": made, "secret": secret, "base_url": deployed.BASE_URL}
    return render(request, "console/settings/token_new.html", context)


@allowed("settings:write")
@require_POST
def token_revoke(request: PageRequest, public_id: Any) -> HttpResponse:
    """From now on the token opens nothing."""
    found = get_object_or_404(ApiToken, public_id=public_id)
    if request.POST.get("confirmed") == "yes" and found.revoked_at is None:
        revoke_token(found, actor=actor_of(request))
        messages.success(request, _("The token “%(name)s” opens nothing any more.") % apart(name=found.name))
    return redirect("console:tokens")
