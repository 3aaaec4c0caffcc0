"""What a failure says about the address it was sent to: nothing, a doubt, its end, or that its owner wants no more."""

from enum import StrEnum


class ContactStatus(StrEnum):
    """Whether a contact point can be used."""

    WORKING = "working"
    FAILING = "failing"
    """Somebody said that it does not exist, and nobody has confirmed it yet: it is used once more."""
    DEAD = "dead"
    BLOCKED = "blocked"
    """Its owner told the provider: no more messages here."""


CAME_BACK = frozenset(
    {
        "came_back_no_such_mailbox",
        "came_back_no_such_domain",
        "came_back_moved",
        "came_back_takes_no_mail",
    }
)
"""Reasons that a mail server gave after it, or one before it, had accepted the mail: accepting another is no proof then."""

USABLE = (ContactStatus.WORKING, ContactStatus.FAILING)


class ContactFault(StrEnum):
    """What a refusal holds against the address itself."""

    NONE = "none"
    UNKNOWN = "unknown"
    """The other side knows of no such address; servers say so in error too, so it takes two messages."""
    INVALID = "invalid"
    """It cannot be an address of this channel at all."""
    OPTED_OUT = "opted out"


def status_after(fault: ContactFault, *, status: ContactStatus) -> ContactStatus:
    """The contact point's status after this fault. A second word that nobody knows it confirms the first."""
    if fault is ContactFault.NONE:
        return status
    if fault is ContactFault.OPTED_OUT:
        return ContactStatus.BLOCKED
    if fault is ContactFault.INVALID or status in (ContactStatus.FAILING, ContactStatus.DEAD):
        return ContactStatus.DEAD
    return ContactStatus.FAILING if status is ContactStatus.WORKING else status
