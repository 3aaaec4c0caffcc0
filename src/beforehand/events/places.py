"""A place in the log's order, as pages and streams write it: "epoch-xid-id"."""

from dataclasses import dataclass

from beforehand.kit.rows import fetch

PLACE_NOW = """
SELECT coalesce((SELECT epoch FROM events_event ORDER BY epoch DESC, xid DESC, id DESC LIMIT 1), 1),
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint
"""


@dataclass(frozen=True, slots=True, order=True)
class LogPlace:
    """Everything up to here is past."""

    epoch: int
    xid: int
    event_id: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.xid}-{self.event_id}"

    @classmethod
    def read(cls, text: str) -> "LogPlace | None":
        """The place that this text writes; None if it writes none."""
        parts = text.split("-")
        if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
            return None
        return cls(*(int(part) for part in parts))


def place_now() -> LogPlace:
    """A place before everything that is not committed yet: who reads the database after this call misses nothing."""
    ((epoch, xid),) = fetch(PLACE_NOW)
    # Before the first event of the oldest transaction that may still be running.
    return LogPlace(epoch, xid, 0)
