"""The door of every page: who is not signed in is sent to sign in, who may not do this is told so."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from zoneinfo import ZoneInfo

from allauth.mfa.utils import is_mfa_enabled
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.utils import timezone
from django_htmx.middleware import HtmxDetails

from beforehand.accounts.access import may
from beforehand.accounts.adapter import NEEDS_SECOND_STEP
from beforehand.accounts.models import User


class PageRequest(HttpRequest):
    """A request of somebody who is signed in."""

    user: User
    htmx: HtmxDetails


View = Callable[..., HttpResponseBase]


def allowed(action: str = "console:read") -> Callable[[View], View]:
    """Opens a view to those whose role has this action."""

    def around(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_sign_in(request)
            if request.session.get(NEEDS_SECOND_STEP) and not _has_second_step(request):
                return redirect("mfa_activate_totp")
            if not may(request.user, action):
                raise PermissionDenied
            if request.COOKIES.get("zone"):
                return view(cast(PageRequest, request), *args, **kwargs)
            # The browser has not said yet where it is.
            with timezone.override(ZoneInfo(request.user.time_zone)):
                return view(cast(PageRequest, request), *args, **kwargs)

        return guarded

    return around


def _has_second_step(request: HttpRequest) -> bool:
    """Whether who had to set one up has done it; then it is not asked again."""
    if not is_mfa_enabled(request.user):
        return False
    del request.session[NEEDS_SECOND_STEP]
    return True


def _to_sign_in(request: HttpRequest) -> HttpResponseBase:
    """A part of a page that htmx asks for must not show the sign-in page inside itself: the whole page goes there."""
    if cast(PageRequest, request).htmx:
        return HttpResponse(status=401, headers={"HX-Redirect": resolve_url("account_login")})
    return redirect_to_login(request.get_full_path())


def actor_of(request: PageRequest) -> str:
    """How the log names who did it."""
    return f"user:{request.user.pk}"
