"""Could we tell this customer, if we had to now? What is missing for a playbook: a link, an address, a text, a consent."""

from dataclasses import dataclass
from enum import StrEnum

from beforehand.engine.languages import fallback_chain
from beforehand.engine.message_classes import RULES, ConsentNeed, MessageClass


class Lack(StrEnum):
    """What is missing."""

    LINK = "link"
    """Something of theirs depends on no part that we know of: a fault there would not find them."""
    ADDRESS = "address"
    """No working address in a channel of the playbook that is set up."""
    LANGUAGE = "language"
    """The playbook has no text in their language; they would get the fallback."""
    CONSENT = "consent"
    """The class needs a leave that they did not give, or they objected."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What readiness asks of a customer; many customers share one."""

    language: str
    channels: frozenset[str]
    """Channels in which they have a working address."""
    is_linked: bool
    """Whether they have something, and all of it depends on a known part."""
    answers: frozenset[tuple[str, str, bool]]
    """(message class, channel, given): the answers in force."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a playbook needs of each customer."""

    channels: frozenset[str]
    """The kinds of address that do: of the playbook's channels, those that are set up."""
    message_class: MessageClass
    languages: frozenset[str]
    """Languages in which every text of it exists."""


def lacks(profile: Profile, need: Need) -> frozenset[Lack]:
    """Everything that is missing; empty: ready."""
    usable = need.channels & profile.channels
    found = set()
    if not profile.is_linked:
        found.add(Lack.LINK)
    if not usable:
        found.add(Lack.ADDRESS)
    if not fallback_chain(profile.language, need.languages, profile.language):
        found.add(Lack.LANGUAGE)
    # Who has no address in any of its channels may still have said no to all of them: both are to be mended.
    asked = usable or need.channels
    if asked and not any(_may(profile, need.message_class, channel) for channel in asked):
        found.add(Lack.CONSENT)
    return frozenset(found)


def _may(profile: Profile, message_class: MessageClass, channel: str) -> bool:
    rule = RULES[message_class].consent
    if rule is ConsentNeed.NONE:
        return True
    if rule is ConsentNeed.OPT_IN:
        return (message_class.value, channel, True) in profile.answers
    return (message_class.value, channel, False) not in profile.answers
