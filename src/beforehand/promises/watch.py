"""The watch over the ledger: it warns who answers, asks for holding messages, and records what was kept and what broke."""

from datetime import datetime

from beforehand.promises.actions import settle_words
from beforehand.promises.duty import tend_duties
from beforehand.promises.nights import watch_nights
from beforehand.promises.outcomes import break_outcomes


def watch_promises(*, now: datetime) -> int:
    """One pass over all that is due soon or past; how many promises moved.

    Each part is a transaction of its own; two workers cannot take the same row. Who slept is looked at first: where they
    had their word, nobody is warned.
    """
    return watch_nights(now=now) + tend_duties(now=now) + break_outcomes(now=now) + settle_words(now=now)
