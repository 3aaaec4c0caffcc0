"""Channels that leave no house of ours: a message is there as soon as it is written down that it is."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from beforehand.outbound.smtp_protocol import Outcome, SendResult

UNREAD = "unread"
"""The reason of a message that stands in an inbox: nobody is told by it until they open it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A message that has been made once, so that whoever opens it will not find a fault."""

    key: Hashable


class InHouseCourier:
    """Accepts every message at once: there is no provider that could be away."""

    connections = 1
    failures = 0
    wait_asked = 0.0

    def idle(self) -> int:
        """There is always room for one flight."""
        return 1

    def submit(self, flight: Sequence[Placed], landed: Callable[[list[Outcome]], object]) -> None:
        """Say at once of each that it is there."""
        landed([Outcome(one.key, SendResult.ACCEPTED, None, None, "") for one in flight])
