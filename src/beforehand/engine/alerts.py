"""How alerts belong together, when a problem that comes and goes is over, what holds one back, and when a beat is missing."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b

KEPT_CHANGES = 50
"""So many of a problem's latest changes are kept: enough to count, and a row stays small."""


class FlapReason(StrEnum):
    """Whether a problem comes and goes."""

    NOT_WATCHED = "not watched"
    STEADY = "steady"
    FLAPPING = "flapping"


class ClearReason(StrEnum):
    """Why a problem whose last alert ended is over at a certain time."""

    AT_ONCE = "at once"
    HELD_DOWN = "held down"
    HELD_LONGER = "held down longer, because it comes and goes"
    NO_WORD = "no word for too long"


class MuteState(StrEnum):
    """Where a mute stands."""

    AHEAD = "ahead"
    ACTIVE = "active"
    OVER = "over"


class InhibitionReason(StrEnum):
    """Why an alert joins another problem, or does not."""

    NO_COMPONENT = "no component"
    NOTHING_UPSTREAM = "nothing upstream"
    ONLY_PARTLY = "only partly"
    UPSTREAM = "upstream"


@dataclass(frozen=True, slots=True)
class FlapPolicy:
    """What a rule says about problems that come and go."""

    changes: int
    """So many changes (fires, is quiet) within `window` are flapping; 0: it is not watched."""
    window: timedelta
    hold_down: timedelta
    """Quiet for so long before it counts as over."""
    flapping_hold_down: timedelta
    """The same for a problem that flaps."""


@dataclass(frozen=True, slots=True)
class Flapping:
    """Whether a problem flaps, and the changes that say so, oldest first."""

    reason: FlapReason
    changes: tuple[datetime, ...]
    until: datetime | None = None
    """When it no longer flaps if nothing changes; None if it does not."""


@dataclass(frozen=True, slots=True)
class Clearing:
    """When a problem counts as over unless an alert of it fires again, and why then."""

    reason: ClearReason
    at: datetime


@dataclass(frozen=True, slots=True)
class MuteSpan:
    """A mute that means an alert, and its time: from `starts_at` on, at `ends_at` no longer."""

    id: int
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class ExpectedBeat:
    """The next beat of something that beats at intervals."""

    expected_at: datetime
    missing_at: datetime
    """From then on it is missing."""


@dataclass(frozen=True, slots=True)
class Inhibition:
    """Which open incident an alert is evidence for, if it is, and why."""

    reason: InhibitionReason
    incident_id: int | None = None


def group_key(rule: str, group_by: Sequence[str], labels: Mapping[str, str]) -> str:
    """The identity of the problem that an alert belongs to: the rule, and the values of its `group_by` labels.

    Names and values are length-prefixed before hashing, so no value can imitate another grouping; 128 bits.
    """
    digest = blake2b(digest_size=16)
    for part in [rule, *(text for label in sorted(group_by) for text in (label, labels.get(label, "")))]:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return f"{rule}:{digest.hexdigest()}"


def flapping(changes: Iterable[datetime], *, now: datetime, policy: FlapPolicy) -> Flapping:
    """Whether a problem with these changes flaps now. Changes may come in any order; those before the window are let go."""
    recent = tuple(sorted(change for change in changes if change > now - policy.window))[-KEPT_CHANGES:]
    if policy.changes <= 0:
        return Flapping(FlapReason.NOT_WATCHED, recent)
    if len(recent) < policy.changes:
        return Flapping(FlapReason.STEADY, recent)
    return Flapping(FlapReason.FLAPPING, recent, until=recent[-policy.changes] + policy.window)


def clearing(state: Flapping, *, now: datetime, policy: FlapPolicy, has_timed_out: bool) -> Clearing:
    """When a problem whose last alert has just ended counts as over.

    An end without word has been waited for long enough already.
    """
    if has_timed_out:
        return Clearing(ClearReason.NO_WORD, now)
    if state.reason is FlapReason.FLAPPING:
        return Clearing(ClearReason.HELD_LONGER, now + max(policy.hold_down, policy.flapping_hold_down))
    if policy.hold_down > timedelta(0):
        return Clearing(ClearReason.HELD_DOWN, now + policy.hold_down)
    return Clearing(ClearReason.AT_ONCE, now)


def mute_state(*, starts_at: datetime, ends_at: datetime, now: datetime) -> MuteState:
    """Where a mute stands now."""
    if now >= ends_at:
        return MuteState.OVER
    return MuteState.ACTIVE if now >= starts_at else MuteState.AHEAD


def holding_mute(mutes: Iterable[MuteSpan], *, now: datetime) -> MuteSpan | None:
    """Of the mutes that mean an alert, the active one that ends last: until then nothing is to be judged anew."""
    active = [
        mute
        for mute in mutes
        if mute_state(starts_at=mute.starts_at, ends_at=mute.ends_at, now=now) is MuteState.ACTIVE
    ]
    return max(active, key=lambda mute: (mute.ends_at, -mute.id), default=None)


def expected_beat(*, heard_at: datetime, interval: timedelta, grace: timedelta) -> ExpectedBeat:
    """When the beat after the one heard is expected, and from when on it is missing."""
    return ExpectedBeat(expected_at=heard_at + interval, missing_at=heard_at + interval + grace)


def inhibition(components: Sequence[int], upstream: Mapping[int, Collection[int]]) -> Inhibition:
    """Whether an alert on these components is evidence for an open incident: one on which each of them depends.

    `upstream` gives for a component the open incidents on what it depends on. Of several that are upstream of all, the
    oldest is joined. An alert that only partly depends on one touches others too, and is a problem of its own.
    """
    if not components:
        return Inhibition(InhibitionReason.NO_COMPONENT)
    found = [set(upstream.get(component, ())) for component in components]
    common = set.intersection(*found)
    if common:
        return Inhibition(InhibitionReason.UPSTREAM, min(common))
    return Inhibition(InhibitionReason.ONLY_PARTLY if any(found) else InhibitionReason.NOTHING_UPSTREAM)
