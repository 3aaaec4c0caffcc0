"""How many may be sent now: a token bucket that never reads the clock, and the wait before a server is tried again."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `rate_per_second` on average, at most `burst` at once. `now` is any clock in seconds that runs forward.

    A pace is a value: `allowed` asks it, `taken` gives the pace that remains. A new one holds a full burst. To
    reach the rate, `burst` must hold what comes in between two looks and one more (rate times the interval, plus 1);
    the fraction of a token that is left over is kept, so that the average does not drift.
    """

    rate_per_second: float
    burst: float
    tokens: float | None = None  # at `as_of`; None is a full burst
    as_of: float | None = None

    def __post_init__(self) -> None:
        if not self.rate_per_second > 0 or not self.burst >= 1:
            raise ValueError("a pace needs a rate above 0 and a burst of at least 1")

    def allowed(self, now: float) -> int:
        """How many may go at `now`."""
        return int(self._held(now) + 1e-9)  # ten times a tenth is not one

    def taken(self, count: int, now: float) -> "Pace":
        """The pace after `count` went at `now`. More than was allowed leaves a debt, which later tokens pay."""
        if count < 0:
            raise ValueError("nothing can be put back by taking less than none")
        return replace(self, tokens=self._held(now) - count, as_of=max(now, self.as_of or now))

    def wait(self, count: int, now: float) -> float:
        """Seconds from `now` until `count` (or a full burst, if that is less) may go."""
        return max(0.0, (min(count, self.burst) - self._held(now)) / self.rate_per_second)

    def _held(self, now: float) -> float:
        if self.tokens is None or self.as_of is None:
            return self.burst
        earned = max(0.0, now - self.as_of) * self.rate_per_second  # a clock set back earns nothing, and loses nothing
        return min(self.burst, self.tokens + earned)


def reconnect_delay(failures: int, *, first: float = 1.0, longest: float = 300.0) -> float:
    """Seconds to wait before a server is tried again that was gone `failures` times in a row: doubling, bounded."""
    if failures <= 0:
        return 0.0
    return min(longest, first * 2.0 ** min(failures - 1, 60))
