"""The one place that reads the clock, so that tests can travel."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_frozen: datetime | None = None


def now() -> datetime:
    """The present instant, aware, in UTC."""
    if _frozen is not None:
        return _frozen
    return datetime.now(UTC)


@contextmanager
def travel(to: datetime) -> Iterator[None]:
    """Inside the block, `now()` stands still at `to` (aware). For tests only."""
    global _frozen
    before, _frozen = _frozen, to
    try:
        yield
    finally:
        _frozen = before
