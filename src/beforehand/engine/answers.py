"""What a customer's “it works again” or “still broken” means, and by when a person is in touch."""

from datetime import datetime, time, timedelta
from enum import StrEnum

from beforehand.engine.promises import spoken_time
from beforehand.engine.quiet_hours import quiet_until

AFTER_QUIET = timedelta(hours=1)
"""A time that falls into the customer's quiet hours is promised for an hour after they end: somebody must do it by then."""
LONGEST = 3
"""So often the time is doubled."""
PATTERN_FROM = 3
"""So many customers on one network part who say that it is still broken are more than their own equipment."""


class AnswerMeaning(StrEnum):
    """What follows from an answer."""

    EVIDENCE = "evidence"
    """It works again, while we think that it does not: shown, and it ends nothing by itself."""
    KNOWN = "known"
    """Still broken, while we are at it: they are kept told as everybody is."""
    CONFIRMED = "confirmed"
    """It works again, as we said."""
    REOPENED = "reopened"
    """Still broken, though we said that it is over: a person looks into it."""


def answer_meaning(*, works: bool, is_over: bool) -> AnswerMeaning:
    """What an answer means; `is_over`: we have said, or would say, to this customer that it is over."""
    if works:
        return AnswerMeaning.CONFIRMED if is_over else AnswerMeaning.EVIDENCE
    return AnswerMeaning.REOPENED if is_over else AnswerMeaning.KNOWN


def contact_due(
    now: datetime, *, within: timedelta, before: int, zone: str, quiet_from: time, quiet_to: time
) -> datetime:
    """By when a person is in touch with this customer: within the time that we allow ourselves, but not at night.

    `before`: how often that was promised already; each time we take twice as long, up to eight times, so that nobody is
    sent an apology every two hours. Rounded up to a time that people can remember. Raises `ZoneInfoNotFoundError`.
    """
    within *= 2 ** min(before, LONGEST)
    due_at = now + within
    morning = quiet_until(due_at, zone=zone, start=quiet_from, end=quiet_to)
    return spoken_time(due_at if morning is None else morning + AFTER_QUIET, within)
