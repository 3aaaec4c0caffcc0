"""Where something stands in a playbook's file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A place in the playbook's file, counted from 1."""

    line: int
    column: int
