"""Who may do what: bearer tokens with scopes, looked up at most every few seconds, and paced."""

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.http import HttpRequest

from beforehand.accounts.actions import token_hash
from beforehand.accounts.models import ApiToken
from beforehand.api.problems import ApiProblem
from beforehand.engine.pace import Pace
from beforehand.kit import clock

REMEMBERED_SECONDS = 5.0
"""So long a process goes on believing what it read of a token: a revoked one opens nothing after that."""

REMEMBERED_TOKENS = 4096
USED_EVERY = timedelta(minutes=1)
REQUESTS_PER_SECOND = 50.0
BURST = 200.0
"""Per token and process. A batch is one request, so a sender of thousands of events is far below it."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who asks: a token that is known."""

    token_id: int
    name: str
    scopes: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None

    @property
    def actor(self) -> str:
        """How the log names who did it."""
        return f"token:{self.token_id}"


_remembered: dict[str, tuple[float, Bearer | None]] = {}
_paces: dict[int, Pace] = {}
_lock = threading.Lock()


def forget_tokens() -> None:
    """Look every token up anew, and start every pace anew."""
    with _lock:
        _remembered.clear()
        _paces.clear()


def authorise(request: HttpRequest, scope: str) -> Bearer:
    """The bearer of the request, who has this scope and keeps to the pace; raises `ApiProblem` 401, 403 or 429."""
    bearer = bearer_of(request)
    if scope not in bearer.scopes:
        raise ApiProblem(
            403,
            "scope_missing",
            f"The token “{bearer.name}” does not have the scope {scope}.",
            headers={"WWW-Authenticate": f'Bearer realm="beforehand", error="insufficient_scope", scope="{scope}"'},
        )
    _keep_pace(bearer)
    return bearer


def bearer_of(request: HttpRequest) -> Bearer:
    """Whose token the request carries, whatever it may do; raises `ApiProblem` 401."""
    scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        raise _unauthorised("token_missing", "Send the header “Authorization: Bearer <token>”.", error="")
    try:
        bearer = _known(token_hash(secret))
    except UnicodeEncodeError:
        bearer = None
    if bearer is None:
        raise _unauthorised("token_unknown", "This token is not known here.")
    if bearer.revoked_at is not None:
        raise _unauthorised("token_revoked", "This token was revoked.")
    if bearer.expires_at is not None and bearer.expires_at <= clock.now():
        raise _unauthorised("token_expired", f"This token expired at {bearer.expires_at.isoformat()}.")
    return bearer


def _unauthorised(code: str, detail: str, *, error: str = "invalid_token") -> ApiProblem:
    challenge = 'Bearer realm="beforehand"' + (f', error="{error}"' if error else "")
    return ApiProblem(401, code, detail, headers={"WWW-Authenticate": challenge})


def _known(hashed: str) -> Bearer | None:
    now = time.monotonic()
    found = _remembered.get(hashed)
    if found is not None and now - found[0] < REMEMBERED_SECONDS:
        return found[1]
    token = ApiToken.objects.filter(hash=hashed).first()
    bearer = None
    if token is not None:
        bearer = Bearer(token.pk, token.name, frozenset(token.scopes), token.expires_at, token.revoked_at)
        _note_use(token)
    with _lock:
        if len(_remembered) >= REMEMBERED_TOKENS:  # guesses are remembered too, but do not fill the memory
            _remembered.clear()
        _remembered[hashed] = (now, bearer)
    return bearer


def _note_use(token: ApiToken) -> None:
    """Write when the token was last used, at most once a minute; the condition keeps processes from repeating it."""
    now = clock.now()
    stale = now - USED_EVERY
    if token.last_used_at is None or token.last_used_at < stale:
        ApiToken.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=stale), pk=token.pk).update(last_used_at=now)


def _keep_pace(bearer: Bearer) -> None:
    now = time.monotonic()
    with _lock:
        pace = _paces.get(bearer.token_id) or Pace(REQUESTS_PER_SECOND, BURST)
        wait = 0.0 if pace.allowed(now) else pace.wait(1, now)
        if not wait:
            _paces[bearer.token_id] = pace.taken(1, now)
    if wait:
        raise ApiProblem(
            429,
            "too_many_requests",
            f"At most {REQUESTS_PER_SECOND:.0f} requests a second; send more in each, or wait.",
            headers={"Retry-After": str(max(1, round(wait + 0.5)))},
        )
