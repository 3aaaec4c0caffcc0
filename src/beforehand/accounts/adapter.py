"""Sign-in rules for allauth: who comes in, with what, and that the log says so.

Nobody makes an account for themselves: an administrator does, with `beforehand user`; or the company's own sign-in (OpenID
Connect) vouches for somebody, under the conditions of the deployment.
"""

import base64
import hashlib
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.utils import is_mfa_enabled
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from beforehand.accounts.actions import create_user
from beforehand.accounts.installation import installation
from beforehand.accounts.models import Role, User
from beforehand.events.actions import append_event

NEEDS_SECOND_STEP = "needs_second_step"
"""In the session of somebody who has to set one up before anything else."""


class ClosedSignUp(DefaultAccountAdapter):  # type: ignore[misc]
    """No public sign-up; a new password by a link under our own address; every sign-in is logged."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Under our own address: the Host that a request names goes into no mail."""
        path: str = urlsplit(super().get_reset_password_from_key_url(key)).path
        return f"{settings.BASE_URL}{path}"

    def post_login(self, request: HttpRequest, user: User, **given: Any) -> HttpResponse:
        """Somebody is in. Who has to have a second step and has none is sent to set one up."""
        by_oidc = "sociallogin" in (given.get("signal_kwargs") or {})
        has_second = is_mfa_enabled(user)
        how = "oidc" if by_oidc else "password"
        append_event(
            type="user.signed_in",
            actor=f"user:{user.pk}",
            subject=f"user:{user.pk}",
            data={"how": how, "second_step": has_second},
        )
        response: HttpResponse = super().post_login(request, user, **given)
        # Whoever comes by the company's own sign-in has done there what the company asks.
        if installation().second_step_required and not has_second and not by_oidc:
            request.session[NEEDS_SECOND_STEP] = True
            return redirect("mfa_activate_totp")
        return response

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """A wrong password for somebody whom we know is logged; for nobody whom we know, it is not: it may be a password."""
        known = User.objects.filter(email=str(credentials.get("email", "")).lower()).first()
        if known is not None:
            append_event(type="user.sign_in_refused", subject=f"user:{known.pk}", data={"reason": "wrong_password"})

    def logout(self, request: HttpRequest) -> None:
        if request.user.is_authenticated:
            who = f"user:{request.user.pk}"
            append_event(type="user.signed_out", actor=who, subject=who)
        super().logout(request)

    def set_password(self, user: User, password: str) -> None:
        super().set_password(user, password)
        append_event(type="user.password_changed", actor=f"user:{user.pk}", subject=f"user:{user.pk}")

    def send_notification_mail(self, template_prefix: str, user: User, *given: Any, **named: Any) -> None:
        """allauth tells of every change to a second step by calling for a mail: this is where we hear it, and log it."""
        if "totp" in template_prefix:
            who = f"user:{user.pk}"
            append_event(
                type="user.mfa_changed", actor=who, subject=who, data={"on": template_prefix.endswith("_activated")}
            )
        super().send_notification_mail(template_prefix, user, *given, **named)


class SealedSecrets(DefaultMFAAdapter):  # type: ignore[misc]
    """What makes the codes is kept encrypted: a backup alone opens no account."""

    def get_totp_issuer(self) -> str:
        return f"Beforehand ({urlsplit(settings.BASE_URL).hostname})"

    def encrypt(self, text: str) -> str:
        return _box().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _box().decrypt(encrypted_text.encode()).decode()


def _box() -> MultiFernet:
    """Sealed with the present key; what former keys sealed still opens."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    keys = [hashlib.blake2b(secret.encode(), digest_size=32, person=b"bfh-mfa").digest() for secret in secrets]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])


class CompanySignIn(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Whom the company's own sign-in lets in: people who were invited, and those of its domains."""

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Connect them to their account, made if their domain is among those let in; everybody else is told that they may not."""
        claims = sociallogin.account.extra_data
        claims = claims.get("userinfo") or claims.get("id_token") or claims
        if not _has_claim(claims):
            raise self._refused(request, "claim")
        if sociallogin.is_existing:
            return
        email = str(claims.get("email") or "").strip().lower()
        if not email or claims.get("email_verified") not in (True, "true"):
            raise self._refused(request, "unverified")
        user = User.objects.filter(email=email).first()
        if user is None:
            if email.rpartition("@")[2] not in settings.OIDC_DOMAINS:
                raise self._refused(request, "not_invited")
            name = str(claims.get("name") or email.partition("@")[0])
            user = create_user(email=email, name=name, role=Role.VIEWER, password=None, actor="oidc")
        sociallogin.connect(request, user)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def on_authentication_error(self, request: HttpRequest, provider: Any, **_: Any) -> None:
        raise self._refused(request, "provider")

    def _refused(self, request: HttpRequest, reason: str) -> ImmediateHttpResponse:
        append_event(type="user.sign_in_refused", data={"reason": reason, "how": "oidc"})
        return ImmediateHttpResponse(render(request, "account/oidc_refused.html", {"reason": reason}, status=403))


def _has_claim(claims: dict[str, Any]) -> bool:
    """Whether the claim that the deployment asks for is there: `groups=service` wants service among the groups."""
    name, _, wanted = settings.OIDC_CLAIM.partition("=")
    if not name:
        return True
    found = claims.get(name)
    return wanted in [str(one) for one in found] if isinstance(found, list) else str(found) == wanted


def password_link(person: User) -> str:
    """Where this person chooses a password; it works once, and as long as a forgotten password's link does."""
    key = default_token_generator.make_token(person)
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": user_pk_to_url_str(person), "key": key})
    return f"{settings.BASE_URL}{path}"
