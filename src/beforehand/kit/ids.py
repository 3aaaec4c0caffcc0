"""Identifiers: the time-ordered UUIDs that the API shows, and the bucket that large tables are cut by."""

import os
import time
import uuid

BUCKETS = 64
"""Number of buckets of the large per-customer tables; fixed for ever, since it is part of their keys."""


def uuid7() -> uuid.UUID:
    """A version 7 UUID (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def bucket_of(customer_id: int) -> int:
    """The bucket (0 to 63) of everything that belongs to this customer."""
    return customer_id % BUCKETS
