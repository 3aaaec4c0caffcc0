"""What is missing before a customer could be told."""

import pytest

from beforehand.engine.message_classes import MessageClass
from beforehand.engine.readiness import Lack, Need, Profile, lacks

OUTAGE = Need(frozenset({"email"}), MessageClass.SERVICE_CRITICAL, frozenset({"en", "nl"}))
CARE = Need(frozenset({"email", "sms"}), MessageClass.CARE, frozenset({"en"}))
UNHEARD = Need(frozenset(), MessageClass.SERVICE, frozenset({"en"}))
NEWS = Need(frozenset({"email", "sms"}), MessageClass.MARKETING, frozenset({"en"}))


def profile(
    *answers: tuple[str, str, bool], language: str = "en", channels: str = "email", is_linked: bool = True
) -> Profile:
    return Profile(language, frozenset(channels.split()), is_linked, frozenset(answers))


@pytest.mark.parametrize(
    ("who", "need", "missing"),
    [
        (profile(), OUTAGE, set()),
        (profile(language="nl-BE"), OUTAGE, set()),
        (profile(language="ar"), OUTAGE, {Lack.LANGUAGE}),
        (profile(channels="sms post"), OUTAGE, {Lack.ADDRESS}),
        (profile(channels=""), OUTAGE, {Lack.ADDRESS}),
        (profile(is_linked=False), OUTAGE, {Lack.LINK}),
        (profile(("service-critical", "email", False)), OUTAGE, set()),
        (profile(), UNHEARD, {Lack.ADDRESS}),
        (profile(), CARE, set()),
        (profile(("care", "email", False)), CARE, {Lack.CONSENT}),
        (profile(("care", "email", False), channels="email sms"), CARE, set()),
        (profile(("care", "email", False), ("care", "sms", False), channels=""), CARE, {Lack.ADDRESS, Lack.CONSENT}),
        (profile(), NEWS, {Lack.CONSENT}),
        (profile(("marketing", "email", True)), NEWS, set()),
        (profile(("marketing", "email", False)), NEWS, {Lack.CONSENT}),
        (profile(("marketing", "sms", True)), NEWS, {Lack.CONSENT}),
        (profile(channels="", language="hi", is_linked=False), NEWS, set(Lack)),
    ],
)  # fmt: skip
def test_what_is_missing(who: Profile, need: Need, missing: set[Lack]) -> None:
    assert lacks(who, need) == missing
