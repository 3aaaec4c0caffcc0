"""Which alerts are one problem, when one that comes and goes is over, what holds one back, and when a beat is missing."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.engine.alerts import (
    KEPT_CHANGES,
    ClearReason,
    FlapPolicy,
    FlapReason,
    InhibitionReason,
    MuteSpan,
    MuteState,
    clearing,
    expected_beat,
    flapping,
    group_key,
    holding_mute,
    inhibition,
    mute_state,
)

LABELS = {"alertname": "NodeDown", "node": "node-7", "severity": "critical"}
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_equal_labels_of_the_grouping_are_one_problem_whatever_the_others_say() -> None:
    assert group_key("rule", ["node"], LABELS) == group_key("rule", ["node"], {**LABELS, "severity": "warning"})


def test_another_value_or_another_rule_is_another_problem() -> None:
    mine = group_key("rule", ["node"], LABELS)
    assert mine != group_key("rule", ["node"], {**LABELS, "node": "node-8"})
    assert mine != group_key("other", ["node"], LABELS)


def test_the_order_in_which_a_rule_names_its_labels_does_not_matter() -> None:
    assert group_key("rule", ["node", "alertname"], LABELS) == group_key("rule", ["alertname", "node"], LABELS)


def test_a_missing_label_groups_with_an_empty_one() -> None:
    assert group_key("rule", ["site"], LABELS) == group_key("rule", ["site"], {**LABELS, "site": ""})


def test_without_a_grouping_all_alerts_of_a_rule_are_one_problem() -> None:
    assert group_key("rule", [], LABELS) == group_key("rule", [], {})


@given(st.text(), st.text(), st.text(), st.text())
def test_no_value_imitates_another_grouping(a: str, b: str, c: str, d: str) -> None:
    if (a, b) != (c, d):
        assert group_key("rule", ["x", "y"], {"x": a, "y": b}) != group_key("rule", ["x", "y"], {"x": c, "y": d})


def policy(changes: int = 3, *, hold: int = 2, flapping_hold: int = 15) -> FlapPolicy:
    return FlapPolicy(changes, window=30 * MINUTE, hold_down=hold * MINUTE, flapping_hold_down=flapping_hold * MINUTE)


def ago(*minutes: float) -> list[datetime]:
    return [NOW - one * MINUTE for one in minutes]


@pytest.mark.parametrize(
    ("changes", "threshold", "reason", "until"),
    [
        ((), 3, FlapReason.STEADY, None),
        ((0,), 3, FlapReason.STEADY, None),
        ((9, 4), 3, FlapReason.STEADY, None),
        ((9, 4, 0), 3, FlapReason.FLAPPING, 21),
        ((4, 0, 9), 3, FlapReason.FLAPPING, 21),  # told out of order
        ((20, 9, 4, 0), 3, FlapReason.FLAPPING, 21),
        ((30, 4, 0), 3, FlapReason.STEADY, None),  # the first is out of the window
        ((29.9, 4, 0), 3, FlapReason.FLAPPING, 0.1),
        ((9, 4, 0), 0, FlapReason.NOT_WATCHED, None),
        ((0,), 1, FlapReason.FLAPPING, 30),
    ],
)
def test_so_many_changes_within_the_window_are_flapping_until_the_oldest_of_them_leaves_it(
    changes: tuple[float, ...], threshold: int, reason: FlapReason, until: float | None
) -> None:
    state = flapping(ago(*changes), now=NOW, policy=policy(threshold))
    assert state.reason is reason
    assert state.until == (None if until is None else NOW + until * MINUTE)


@given(st.lists(st.floats(0, 60), max_size=2 * KEPT_CHANGES), st.integers(1, KEPT_CHANGES))
def test_a_problem_flaps_until_the_time_that_was_named_and_no_longer(minutes: list[float], threshold: int) -> None:
    state = flapping(ago(*minutes), now=NOW, policy=policy(threshold))
    assert len(state.changes) <= KEPT_CHANGES
    assert list(state.changes) == sorted(state.changes)
    assert (state.until is None) == (state.reason is FlapReason.STEADY)
    if state.until is not None:
        just_before = flapping(state.changes, now=state.until - timedelta.resolution, policy=policy(threshold))
        assert just_before.reason is FlapReason.FLAPPING
        assert flapping(state.changes, now=state.until, policy=policy(threshold)).reason is FlapReason.STEADY


@pytest.mark.parametrize(
    ("changes", "rule", "has_timed_out", "reason", "minutes"),
    [
        ((4, 0), policy(), False, ClearReason.HELD_DOWN, 2),
        ((4, 0), policy(hold=0), False, ClearReason.AT_ONCE, 0),
        ((9, 4, 0), policy(), False, ClearReason.HELD_LONGER, 15),
        ((9, 4, 0), policy(hold=0), False, ClearReason.HELD_LONGER, 15),
        ((9, 4, 0), policy(hold=20), False, ClearReason.HELD_LONGER, 20),
        ((9, 4, 0), policy(0), False, ClearReason.HELD_DOWN, 2),
        ((9, 4, 0), policy(), True, ClearReason.NO_WORD, 0),
    ],
)
def test_a_problem_is_over_once_it_stayed_quiet_and_later_if_it_comes_and_goes(
    changes: tuple[int, ...], rule: FlapPolicy, has_timed_out: bool, reason: ClearReason, minutes: int
) -> None:
    state = flapping(ago(*changes), now=NOW, policy=rule)
    end = clearing(state, now=NOW, policy=rule, has_timed_out=has_timed_out)
    assert (end.reason, end.at) == (reason, NOW + minutes * MINUTE)


@pytest.mark.parametrize(
    ("begins", "ends", "state"),
    [
        (-2, -1, MuteState.OVER),
        (-2, 0, MuteState.OVER),
        (-2, 1, MuteState.ACTIVE),
        (0, 1, MuteState.ACTIVE),
        (1, 2, MuteState.AHEAD),
        (0, 0, MuteState.OVER),
    ],
)
def test_a_mute_counts_from_its_beginning_until_its_end(begins: int, ends: int, state: MuteState) -> None:
    assert mute_state(starts_at=NOW + begins * MINUTE, ends_at=NOW + ends * MINUTE, now=NOW) is state


def span(number: int, begins: int, ends: int) -> MuteSpan:
    return MuteSpan(number, NOW + begins * MINUTE, NOW + ends * MINUTE)


def test_of_several_mutes_the_active_one_that_ends_last_holds() -> None:
    mutes = [span(1, -9, -1), span(2, -5, 4), span(3, 2, 60), span(4, -1, 7), span(5, -2, 7)]
    held_by = holding_mute(mutes, now=NOW)
    assert held_by is not None
    assert held_by.id == 4
    assert holding_mute([span(1, -9, 0), span(3, 2, 60)], now=NOW) is None
    assert holding_mute([], now=NOW) is None


def test_a_beat_is_expected_after_the_interval_and_missing_after_the_grace() -> None:
    beat = expected_beat(heard_at=NOW, interval=60 * MINUTE, grace=5 * MINUTE)
    assert (beat.expected_at, beat.missing_at) == (NOW + 60 * MINUTE, NOW + 65 * MINUTE)


@pytest.mark.parametrize(
    ("components", "upstream", "reason", "incident"),
    [
        ([], {7: [1]}, InhibitionReason.NO_COMPONENT, None),
        ([7], {}, InhibitionReason.NOTHING_UPSTREAM, None),
        ([7, 8], {9: [1]}, InhibitionReason.NOTHING_UPSTREAM, None),
        ([7], {7: [1]}, InhibitionReason.UPSTREAM, 1),
        ([7], {7: [5, 2]}, InhibitionReason.UPSTREAM, 2),
        ([7, 8], {7: [1, 2], 8: [3, 2]}, InhibitionReason.UPSTREAM, 2),
        ([7, 8], {7: [1]}, InhibitionReason.ONLY_PARTLY, None),
        ([7, 8], {7: [1], 8: [2]}, InhibitionReason.ONLY_PARTLY, None),
    ],
)
def test_an_alert_is_evidence_for_an_open_incident_on_which_all_its_components_depend(
    components: list[int], upstream: dict[int, list[int]], reason: InhibitionReason, incident: int | None
) -> None:
    decided = inhibition(components, upstream)
    assert (decided.reason, decided.incident_id) == (reason, incident)
