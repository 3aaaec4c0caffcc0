"""Many events become few: each name at most once in a while, and a place before which nothing was missed."""

from collections.abc import Collection

from beforehand.events.places import LogPlace

APART = 1.0
"""Seconds between two notices of one name."""


class Coalescer:
    """What one stream has still to say. Times are seconds of any clock that only goes forward.

    `safe` is the place that goes out with each name: everything up to it has been said. While a name waits for its turn,
    the place stays before it, so that a page that loses its connection then hears of it after all.
    """

    def __init__(self) -> None:
        self.safe = LogPlace(0, 0, 0)
        self._read = self.safe
        self._is_caught_up = False
        self._pending: dict[str, None] = {}
        self._said_at: dict[str, float] = {}

    def begin(self, place: LogPlace) -> None:
        """Where the page is."""
        self.safe = place

    def caught_up(self, place: LogPlace) -> None:
        """What happened before the stream began has been added."""
        self._read = max(self._read, place)
        self._is_caught_up = True
        self._settle()

    def add(self, names: Collection[str], *, until: LogPlace) -> bool:
        """These happened up to that place; whether there is anything to say."""
        self._pending.update(dict.fromkeys(sorted(names)))
        self._read = max(self._read, until)
        self._settle()
        return bool(names)

    def take(self, now: float) -> list[tuple[str, LogPlace]]:
        """The names whose turn it is, each with a safe place."""
        due = [name for name in self._pending if now >= self._turn(name)]
        for name in due:
            del self._pending[name]
            self._said_at[name] = now
        before = self.safe
        self._settle()
        # Only the last one of those may move the place: a connection can break between two of them.
        return [(name, self.safe if name == due[-1] else before) for name in due]

    def next_in(self, now: float) -> float | None:
        """Seconds until a name has its turn; None when nothing waits."""
        return min((max(0.0, self._turn(name) - now) for name in self._pending), default=None)

    def _turn(self, name: str) -> float:
        return self._said_at.get(name, float("-inf")) + APART

    def _settle(self) -> None:
        if not self._pending and self._is_caught_up:
            self.safe = max(self.safe, self._read)
