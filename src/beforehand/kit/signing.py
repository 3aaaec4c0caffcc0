"""Signed tokens for links in messages: one purpose, one subject, until a time.

A token is `payload.signature`, both base64url: the payload is “expiry:subject”, the signature HMAC-SHA256 over the purpose and
the payload with a key derived from the installation's secret. Older secrets (`SECRET_KEY_FALLBACKS`) still verify, so a
secret can be rotated without breaking the links already sent.
"""

import base64
import hashlib
import hmac
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from django.conf import settings

from beforehand.kit import clock


class TokenReason(StrEnum):
    """Why a token is refused."""

    MALFORMED = "malformed"
    FORGED = "forged"
    EXPIRED = "expired"


class TokenRefused(Exception):
    """A token that opens nothing; `reason` says why."""

    def __init__(self, reason: TokenReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@lru_cache(maxsize=64)
def _keyed(secret: str, purpose: str) -> "hmac.HMAC":
    """The signature's beginning, the same for all tokens of one purpose: copied, it costs half."""
    key = hashlib.blake2b(secret.encode(), digest_size=32, person=b"bfh-link").digest()
    return hmac.new(key, f"{purpose}:".encode(), hashlib.sha256)


def _signature(secret: str, purpose: str, payload: str) -> bytes:
    keyed = _keyed(secret, purpose).copy()
    keyed.update(payload.encode())
    return keyed.digest()[:20]


def sign(purpose: str, subject: str, *, until: datetime) -> str:
    """A token that `verify` accepts for this purpose only, until `until`; 160-bit signature."""
    payload = _encode(f"{int(until.timestamp())}:{subject}".encode())
    return f"{payload}.{_encode(_signature(settings.SECRET_KEY, purpose, payload))}"


def verify(purpose: str, token: str) -> str:
    """The subject that the token was signed for; raises `TokenRefused`."""
    try:
        payload, given = token.split(".")
        signature = _decode(given)
        until, subject = _decode(payload).decode().split(":", 1)
        expires = int(until)
    except ValueError:
        raise TokenRefused(TokenReason.MALFORMED) from None
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    if not any(hmac.compare_digest(signature, _signature(secret, purpose, payload)) for secret in secrets):
        raise TokenRefused(TokenReason.FORGED)
    if clock.now().timestamp() > expires:
        raise TokenRefused(TokenReason.EXPIRED)
    return subject
