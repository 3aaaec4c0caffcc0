"""By which channel is a customer told? The playbook's order, less what cannot be used, with a reason for each passed over."""

from collections.abc import Sequence
from dataclasses import dataclass

from beforehand.engine.sending import SendingDecision, Verdict

RUNS_OVER_FAILURE = "runs_over_failure"
"""The channel itself runs over what has failed: internet down, so no mail is read."""


@dataclass(frozen=True, slots=True)
class Way:
    """One channel to a customer, already judged. `is_down`: it runs over what has failed for this customer."""

    channel: str
    decision: SendingDecision
    is_down: bool = False


@dataclass(frozen=True, slots=True)
class ChosenWay:
    """Which of the ways is taken, by its place in the list, and the channels passed over with the reason for each."""

    place: int
    passed_over: tuple[tuple[str, str], ...]


def chosen_way(ways: Sequence[Way]) -> ChosenWay:
    """The first way that may be used and is not down.

    Where only a way that is down is left, it is taken all the same: a mail read tomorrow is better than none. Where every
    way is refused, the first one's refusal stands for all. Raises ValueError without any way.
    """
    if not ways:
        raise ValueError("there is no way to choose from")
    usable = [place for place, way in enumerate(ways) if way.decision.verdict is not Verdict.REFUSE]
    best = next((place for place in usable if not ways[place].is_down), usable[0] if usable else 0)
    passed = [
        (way.channel, RUNS_OVER_FAILURE if place in usable else way.decision.reason.value)
        for place, way in enumerate(ways)
        if place != best and (place < best or place not in usable)
    ]
    return ChosenWay(best, tuple(passed))
