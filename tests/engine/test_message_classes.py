"""Classes differ only in what their rules say; the table is whole."""

import pytest

from beforehand.engine.message_classes import RULES, ConsentNeed, MessageClass


def test_every_class_has_a_rule() -> None:
    assert set(RULES) == set(MessageClass)


@pytest.mark.parametrize("message_class", [MessageClass.SERVICE_CRITICAL, MessageClass.SERVICE])
def test_what_the_contract_needs_asks_no_consent_and_is_rather_said_twice_than_never(
    message_class: MessageClass,
) -> None:
    rule = RULES[message_class]
    assert (rule.consent, rule.twice_rather_than_never, rule.offers_unsubscribe) == (ConsentNeed.NONE, True, False)


@pytest.mark.parametrize("message_class", [MessageClass.CARE, MessageClass.SURVEY, MessageClass.MARKETING])
def test_what_can_be_refused_offers_the_way_out_and_is_never_said_twice(message_class: MessageClass) -> None:
    rule = RULES[message_class]
    assert rule.offers_unsubscribe
    assert not rule.twice_rather_than_never
    assert rule.consent is not ConsentNeed.NONE


def test_only_what_is_critical_breaks_quiet_hours_and_only_promotion_needs_an_opt_in() -> None:
    assert [one for one in MessageClass if RULES[one].breaks_quiet_hours] == [MessageClass.SERVICE_CRITICAL]
    assert [one for one in MessageClass if RULES[one].consent is ConsentNeed.OPT_IN] == [MessageClass.MARKETING]


def test_what_is_more_urgent_goes_first_and_care_alarms_before_all() -> None:
    order = sorted(MessageClass, key=lambda one: RULES[one].priority)
    assert order == list(MessageClass)
    assert min(rule.priority for rule in RULES.values()) > 1


def test_only_what_we_need_not_say_is_capped() -> None:
    assert [one for one in MessageClass if RULES[one].is_capped] == [
        MessageClass.CARE,
        MessageClass.SURVEY,
        MessageClass.MARKETING,
    ]
