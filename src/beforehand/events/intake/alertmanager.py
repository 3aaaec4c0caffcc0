"""Prometheus' two ways of sending alerts: Alertmanager's webhook (version 4, and Grafana's dialect of it, which calls
itself version 1), and the API v2 to which Prometheus itself posts, as if we were its Alertmanager.

What a webhook says is never the full picture: Alertmanager re-sends groups, at times only a part of one, and sends no
`resolved` when an alert recovers and fires again within one group interval. So no alert is taken as over because a
message lacks it; who stores alerts closes them by `resolved`, by `expires_at`, or by a time-out of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from beforehand.events.intake.body import MAX_BODY_BYTES, read_json
from beforehand.events.intake.errors import IntakeCode, IntakeError, Problems, escaped, refusal
from beforehand.events.intake.instants import ZERO, instant
from beforehand.events.intake.values import (
    MAX_FINGERPRINT_BYTES,
    AlertStatus,
    IncomingAlert,
    Json,
    short_identity,
    text_of,
)

RESOLVE_TIMEOUT = timedelta(minutes=5)
"""Alertmanager's own default for alerts that Prometheus posts without an end."""

MAX_ALERTS = 10_000

_ALERT_MEMBERS = frozenset(
    {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint", "values"}
)
_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_FNV_MASK = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """One webhook message: some alerts of a group, not necessarily all that fire."""

    alerts: list[IncomingAlert]
    truncated: int
    """So many alerts of the group were left out by the sender's `max_alerts`."""
    group_key: str
    receiver: str
    external_url: str


def decode_webhook(
    body: bytes, *, received_at: datetime, source: str = "alertmanager", max_bytes: int = MAX_BODY_BYTES
) -> AlertGroup:
    """The alerts of one webhook message of Alertmanager or Grafana, in the order given.

    An alert without `startsAt` begins when it was received, without `fingerprint` it gets the one Prometheus would
    give it. Raises IntakeError with pointers such as /alerts/3/startsAt; unknown members are never an error.
    """
    message = read_json(body, max_bytes=max_bytes)
    if not isinstance(message, dict):
        raise refusal(IntakeCode.WRONG_TYPE, "", "The message must be a JSON object.")
    if "alerts" not in message:
        raise refusal(IntakeCode.MISSING, "/alerts", "The message has no list of alerts.")
    alerts = _read_all(message["alerts"], "/alerts", received_at=received_at, source=source, message=message)
    truncated = message.get("truncatedAlerts")
    return AlertGroup(
        alerts=alerts,
        truncated=truncated if type(truncated) is int and truncated > 0 else 0,
        group_key=_text_or_empty(message.get("groupKey")),
        receiver=_text_or_empty(message.get("receiver")),
        external_url=_text_or_empty(message.get("externalURL")),
    )


def decode_alerts(
    body: bytes,
    *,
    received_at: datetime,
    resolve_timeout: timedelta = RESOLVE_TIMEOUT,
    source: str = "alertmanager",
    max_bytes: int = MAX_BODY_BYTES,
) -> list[IncomingAlert]:
    """The alerts that a Prometheus server posts to /api/v2/alerts, in the order given.

    An alert whose `endsAt` is not in the future is resolved. A firing one expires at its `endsAt`, or, if it has none,
    `resolve_timeout` after it was received. An alert without `startsAt` is marked so (`starts_at_given`), because each
    repeat would otherwise be a new alert. Raises IntakeError with pointers such as /3/labels.
    """
    alerts = read_json(body, max_bytes=max_bytes)
    return _read_all(alerts, "", received_at=received_at, source=source, resolve_timeout=resolve_timeout)


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """The fingerprint that Prometheus and Alertmanager give a set of labels: 16 hexadecimal digits.

    It is FNV-1a, 64 bits, over name, 0xFF, value, 0xFF of each pair in the order of the names' bytes (Go's
    `model.LabelSet.Fingerprint`), so one alert has one fingerprint by whichever way it comes.
    """
    digest = _FNV_OFFSET
    pairs = sorted((name.encode(), value.encode()) for name, value in labels.items())
    for byte in b"".join(name + b"\xff" + value + b"\xff" for name, value in pairs):
        digest = ((digest ^ byte) * _FNV_PRIME) & _FNV_MASK
    return f"{digest:016x}"


def _read_all(
    alerts: Json,
    at: str,
    *,
    received_at: datetime,
    source: str,
    message: dict[str, Json] | None = None,
    resolve_timeout: timedelta | None = None,
) -> list[IncomingAlert]:
    """Every alert of a list; `message` is the webhook that they came in, if they did."""
    if alerts is None:  # an empty list, as Go writes it
        return []
    if not isinstance(alerts, list):
        raise refusal(IntakeCode.WRONG_TYPE, at, "The alerts must be a JSON array.")
    if len(alerts) > MAX_ALERTS:
        raise refusal(IntakeCode.TOO_MANY_EVENTS, at, f"At most {MAX_ALERTS:,} alerts are taken at once.")
    problems = Problems()
    read: list[IncomingAlert] = []
    for index, alert in enumerate(alerts):
        reader = _AlertReader(alert, f"{at}/{index}", problems)
        before = len(problems.found)
        result = reader.read(
            received_at=received_at, source=source, message=message or {}, resolve_timeout=resolve_timeout
        )
        if len(problems.found) == before and result is not None:
            read.append(result)
        if problems.is_full():
            break
    problems.refuse_if_any()
    return read


class _AlertReader:
    """Reads one alert, noting its problems instead of stopping at the first."""

    def __init__(self, alert: Json, at: str, problems: Problems) -> None:
        self.alert = alert
        self.at = at
        self.problems = problems

    def read(
        self,
        *,
        received_at: datetime,
        source: str,
        message: dict[str, Json],
        resolve_timeout: timedelta | None,
    ) -> IncomingAlert | None:
        self.problems.at = self.at + "/"
        if not isinstance(self.alert, dict):
            self.problems.add(IntakeCode.WRONG_TYPE, "", "An alert is a JSON object.")
            return None
        labels = self.pairs("labels", is_required=True)
        annotations = self.pairs("annotations", is_required=False)
        given_start, end = self.time("startsAt"), self.time("endsAt")
        status = self.status(message, end, received_at=received_at, decides_by_end=resolve_timeout is not None)
        is_resolved = status is AlertStatus.RESOLVED
        if given_start is not None:
            start = given_start
        else:  # as Alertmanager does: what ended without a start started then
            start = min(end, received_at) if end is not None else received_at
        expires_at = end if end is not None or resolve_timeout is None else received_at + resolve_timeout
        fingerprint = self.text("fingerprint") or fingerprint_of(labels)
        return IncomingAlert(
            source=source,
            fingerprint=short_identity(fingerprint, max_bytes=MAX_FINGERPRINT_BYTES),
            status=status,
            labels=labels,
            annotations=annotations,
            starts_at=start,
            starts_at_given=given_start is not None,
            # Clocks differ between machines: nothing ends before it began.
            ends_at=max(start, end or received_at) if is_resolved else None,
            expires_at=None if is_resolved else expires_at,
            generator_url=self.text("generatorURL"),
            values=self.values(),
            extra={name: value for name, value in self.alert.items() if name not in _ALERT_MEMBERS},
        )

    def status(
        self, message: dict[str, Json], end: datetime | None, *, received_at: datetime, decides_by_end: bool
    ) -> AlertStatus:
        """Firing or resolved: as the alert says, else by its end, else as the message says, else firing."""
        by_end = AlertStatus.RESOLVED if end is not None and end <= received_at else None
        said = None if decides_by_end else self.alert.get("status")
        if said is None:
            group = message.get("status") if end is None else None
            return by_end or (AlertStatus.RESOLVED if group == AlertStatus.RESOLVED else AlertStatus.FIRING)
        try:
            return AlertStatus(said.lower() if isinstance(said, str) else said)
        except ValueError:
            self.problems.add(IntakeCode.INVALID, "status", "An alert's status is firing or resolved.")
            return AlertStatus.FIRING

    def pairs(self, member: str, *, is_required: bool) -> dict[str, str]:
        """Labels or annotations. As in Prometheus, an empty value is the same as no label."""
        pairs = self.alert.get(member)
        if pairs is None:
            if is_required:
                self.problems.add(IntakeCode.MISSING, member, f"An alert needs its {member}.")
            return {}
        if not isinstance(pairs, dict):
            self.problems.add(IntakeCode.WRONG_TYPE, member, f"The {member} must be a JSON object.")
            return {}
        kept: dict[str, str] = {}
        for name, value in pairs.items():
            if text := self.scalar(f"{member}/{escaped(name)}", value):
                kept[name] = text
        return kept

    def time(self, member: str) -> datetime | None:
        """A time, or None where it is absent, null, empty, or Go's zero time."""
        value = self.alert.get(member)
        if value is None or value == "":
            return None
        try:
            if not isinstance(value, str):
                raise ValueError("A time must be text.")
            moment = instant(value)
        except ValueError as reason:
            self.problems.add(IntakeCode.INVALID, member, str(reason))
            return None
        return None if moment == ZERO else moment

    def text(self, member: str) -> str:
        return self.scalar(member, self.alert.get(member))

    def scalar(self, field: str, value: Json) -> str:
        try:
            return text_of(value, pointer=field) or ""
        except IntakeError as error:
            self.problems.add(error.code, field, error.message)
            return ""

    def values(self) -> dict[str, Json]:
        """Grafana's measured values, {"B": 22.7}; anything else that stands there is kept under "value"."""
        values = self.alert.get("values")
        if values is None or isinstance(values, dict):
            return values or {}
        return {"value": values}


def _text_or_empty(value: Json) -> str:
    return value if isinstance(value, str) else ""
