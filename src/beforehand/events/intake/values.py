"""What every intake format is turned into: events, and alerts, which become events of their own."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from beforehand.events.intake.errors import IntakeCode, refusal

Json = Any
"""A value as a JSON parser returns it. Never holds NUL characters or lone surrogates (see `body.read_json`)."""

MAX_IDENTITY_BYTES = 1024
"""Longest source and longest id, in UTF-8 bytes: both together must fit PostgreSQL's index entry (2,704 bytes)."""

MAX_FINGERPRINT_BYTES = 255


class AlertStatus(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class IncomingEvent:
    """One thing that happened, as a sender told it; (source, source_id) is its identity."""

    source: str
    source_id: str
    type: str
    occurred_at: datetime | None
    """Aware, UTC, to the microsecond; None when the sender did not say."""
    subject: str | None = None
    customer_ref: str | None = None
    """The sender's own id of the customer; who that is, is found out later."""
    data: dict[str, Json] = field(default_factory=dict)
    """A payload that is no JSON object is kept as {"value": …}, a binary one as {"base64": "…"}."""
    attributes: dict[str, str | int | bool] = field(default_factory=dict)
    """Whatever else the envelope carried: content type, schema, extensions."""


@dataclass(frozen=True, slots=True)
class IncomingAlert:
    """One alert's state, as a monitoring system told it; (source, fingerprint, starts_at, status) is its identity."""

    source: str
    fingerprint: str
    status: AlertStatus
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    starts_at_given: bool
    """Whether the sender keeps `starts_at` the same in every repeat. If not, `starts_at` is only the best guess, and
    belongs to the alert that is already open under the same source and fingerprint: see `with_known_start`."""
    ends_at: datetime | None = None
    """When it was over; only for resolved alerts."""
    expires_at: datetime | None = None
    """When to take it as over if no repeat comes; only for firing alerts whose sender says so."""
    generator_url: str = ""
    values: dict[str, Json] = field(default_factory=dict)
    """Measured values, where the sender gives them."""
    extra: dict[str, Json] = field(default_factory=dict)
    """Members that we do not know, kept as they came."""


def with_known_start(alert: IncomingAlert, *, known_start: datetime | None) -> IncomingAlert:
    """The alert under the start of the one already open with its source and fingerprint (None: there is none).

    Without this, an alert whose sender gives no lasting start would be a new one at each repeat, because its identity
    holds the start. An alert with a start of its own is returned as it is.
    """
    if alert.starts_at_given or known_start is None or known_start >= alert.starts_at:
        return alert
    return replace(alert, starts_at=known_start)


def alert_event(alert: IncomingAlert) -> IncomingEvent:
    """The event that an alert's state is: `alert.fired` at its start, `alert.resolved` at its end."""
    is_resolved = alert.status is AlertStatus.RESOLVED
    return IncomingEvent(
        source=alert.source,
        source_id=f"{alert.fingerprint}:{alert.starts_at.isoformat()}:{alert.status}",
        type="alert.resolved" if is_resolved else "alert.fired",
        occurred_at=(alert.ends_at or alert.starts_at) if is_resolved else alert.starts_at,
        subject=alert.labels.get("alertname") or alert.fingerprint,
        data={
            "fingerprint": alert.fingerprint,
            "status": alert.status.value,
            "labels": alert.labels,
            "annotations": alert.annotations,
            "starts_at": alert.starts_at.isoformat(),
            "starts_at_given": alert.starts_at_given,
            "ends_at": alert.ends_at.isoformat() if alert.ends_at else None,
            "expires_at": alert.expires_at.isoformat() if alert.expires_at else None,
            "generator_url": alert.generator_url,
            "values": alert.values,
            "extra": alert.extra,
        },
    )


def short_identity(text: str, *, max_bytes: int) -> str:
    """The text itself, or, where it is longer than an identity may be, its SHA-256: stable, and fits an index."""
    raw = text.encode()
    return text if len(raw) <= max_bytes else f"sha256:{sha256(raw).hexdigest()}"


def text_of(value: Json, *, pointer: str) -> str | None:
    """A scalar as text: 7 is "7", true is "true", null is None.

    Raises IntakeError for an object or an array.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise refusal(IntakeCode.WRONG_TYPE, pointer, "This must be text, not an object or an array.")
