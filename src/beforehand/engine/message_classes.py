"""Message classes: what each may do, and what it needs to be allowed.

Sources of the rules: GDPR art. 6 and 7, ePrivacy directive art. 13(2), 16 CFR 316.3 (transactional or relationship
messages); what is necessary for a contract needs no consent, what promotes needs an opt-in.
"""

from dataclasses import dataclass
from enum import StrEnum


class MessageClass(StrEnum):
    """What a message is for."""

    SERVICE_CRITICAL = "service-critical"
    SERVICE = "service"
    CARE = "care"
    SURVEY = "survey"
    MARKETING = "marketing"


class ConsentNeed(StrEnum):
    """What a class needs from the customer."""

    NONE = "none"
    NO_OBJECTION = "no objection"
    OPT_IN = "opt-in"


@dataclass(frozen=True, slots=True)
class ClassRule:
    """How a class is treated."""

    consent: ConsentNeed
    breaks_quiet_hours: bool
    twice_rather_than_never: bool
    """After a crash in mid-delivery, say it again (marked) rather than perhaps not at all."""
    offers_unsubscribe: bool
    priority: int
    """1 is sent first."""
    is_capped: bool
    """Whether a customer may be sent only so many in a week; what keeps a promise or warns of harm is never capped."""


RULES: dict[MessageClass, ClassRule] = {
    MessageClass.SERVICE_CRITICAL: ClassRule(
        consent=ConsentNeed.NONE,
        breaks_quiet_hours=True,
        twice_rather_than_never=True,
        offers_unsubscribe=False,
        priority=2,
        is_capped=False,
    ),
    MessageClass.SERVICE: ClassRule(
        consent=ConsentNeed.NONE,
        breaks_quiet_hours=False,
        twice_rather_than_never=True,
        offers_unsubscribe=False,
        priority=4,
        is_capped=False,
    ),
    MessageClass.CARE: ClassRule(
        consent=ConsentNeed.NO_OBJECTION,
        breaks_quiet_hours=False,
        twice_rather_than_never=False,
        offers_unsubscribe=True,
        priority=6,
        is_capped=True,
    ),
    MessageClass.SURVEY: ClassRule(
        consent=ConsentNeed.NO_OBJECTION,
        breaks_quiet_hours=False,
        twice_rather_than_never=False,
        offers_unsubscribe=True,
        priority=7,
        is_capped=True,
    ),
    MessageClass.MARKETING: ClassRule(
        consent=ConsentNeed.OPT_IN,
        breaks_quiet_hours=False,
        twice_rather_than_never=False,
        offers_unsubscribe=True,
        priority=8,
        is_capped=True,
    ),
}
