"""The list of erased customers beside the database: a backup that is put back does not know who was erased after it."""

import csv
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

Erased = dict[UUID, datetime]


class ListUnreadable(ValueError):
    """A list of erased customers that cannot be understood; the text says where."""


def erased_list(home: Path) -> Path:
    """Where this machine keeps the list."""
    return home / "erased.csv"


def read_erased(path: Path) -> Erased:
    """Who was erased, by public id, and when; raises ListUnreadable."""
    erased: Erased = {}
    with path.open(newline="") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            try:
                public_id, at = row
                erased[UUID(public_id)] = datetime.fromisoformat(at)
            except ValueError:
                raise ListUnreadable(f"{path}, line {number}: expected an id and a time") from None
    return erased


def keep_erased(home: Path, erased: Mapping[UUID, datetime]) -> int:
    """Add these to this machine's list; how many are new. Nobody ever leaves it."""
    path = erased_list(home)
    known = read_erased(path) if path.exists() else {}
    new = [(public_id, at) for public_id, at in erased.items() if public_id not in known]
    if new:
        _write(path, [*known.items(), *new])
    return len(new)


def _write(path: Path, rows: Iterable[tuple[UUID, datetime]]) -> None:
    """Whole or not at all. Of two workers that write at once one wins; the other's news comes a minute later."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    with draft.open("w", newline="") as file:
        csv.writer(file).writerows(
            (str(public_id), at.isoformat()) for public_id, at in sorted(rows, key=lambda r: r[1])
        )
    draft.replace(path)
