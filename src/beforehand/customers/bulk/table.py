"""Rows as columns, and their checking column by column: a value that was seen before costs one look-up."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import compress
from typing import Any

import orjson

from beforehand.customers.bulk.checks import Check
from beforehand.customers.bulk.problems import Refused, RowProblem, RowReason

_TEXT_OR_NOTHING = {str, type(None)}


@dataclass(slots=True)
class Table:
    """Named columns of equal length; None is “not stated”. `lines` says where each row came from."""

    columns: dict[str, list[Any]]
    lines: list[int]
    problems: list[RowProblem] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.lines)

    def column(self, name: str) -> list[Any]:
        """The column, or as many times “not stated”."""
        return self.columns.get(name) or [None] * len(self.lines)

    def refuse(self, index: int, column: str, reason: RowReason, detail: str = "") -> None:
        """Note what is wrong with the row at `index`; `without_refused` leaves it out."""
        self.problems.append(RowProblem(self.lines[index], column, reason, detail))

    def select(self, mask: Sequence[Any]) -> "Table":
        """The rows where `mask` is true."""
        if all(mask):
            return Table(dict(self.columns), self.lines)
        return Table(
            {name: list(compress(values, mask)) for name, values in self.columns.items()},
            list(compress(self.lines, mask)),
        )

    def without_refused(self) -> "Table":
        """The rows with no problem; the problems stay with the answer."""
        if not self.problems:
            return self
        refused = {problem.line for problem in self.problems}
        rest = self.select([line not in refused for line in self.lines])
        rest.problems = self.problems
        return rest


def from_rows(rows: Iterable[Mapping[str, Any]], *, nested: Sequence[str]) -> Table:
    """A batch of mappings as columns; a mapping under a `nested` name becomes columns `name.key`."""
    flat = [_flattened(row, nested) for row in rows]
    names = dict.fromkeys(name for row in flat for name in row)
    return Table({name: [row.get(name) for row in flat] for name in names}, list(range(1, len(flat) + 1)))


def _flattened(row: Mapping[str, Any], nested: Sequence[str]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name in nested and isinstance(value, Mapping):
            flat.update({f"{name}.{key}": inner for key, inner in value.items()})
        else:
            flat[str(name)] = value
    return flat


def check_column(table: Table, name: str, check: Check) -> None:
    """Put what `check` answers in the place of what was sent, and note what it refuses. Blank text is “not stated”.

    Texts are checked once for each different one, since most columns hold few.
    """
    values = table.columns[name]
    if set(map(type, values)) <= _TEXT_OR_NOTHING:
        answers: dict[Any, Any] = {}
        refusals: dict[Any, Refused] = {}
        for value in set(values):
            try:
                answers[value] = _answer(check, value)
            except Refused as refused:
                answers[value], refusals[value] = None, refused
        table.columns[name] = list(map(answers.__getitem__, values))
        if refusals:
            for index, value in enumerate(values):
                if value in refusals:
                    table.refuse(index, name, refusals[value].reason, refusals[value].detail)
        return
    for index, value in enumerate(values):
        try:
            values[index] = _answer(check, value)
        except Refused as refused:
            values[index] = None
            table.refuse(index, name, refused.reason, refused.detail)


def _answer(check: Check, value: Any) -> Any:
    if type(value) is str:
        value = value.strip()
        return check(value) if value else None
    return None if value is None else check(value)


def require(table: Table, *names: str) -> None:
    """Note every row that does not state one of `names`, unless what it stated was already refused."""
    already = {(problem.line, problem.column) for problem in table.problems}
    for name in names:
        column = table.column(name)
        if None not in column:
            continue
        for index, value in enumerate(column):
            if value is None and (table.lines[index], name) not in already:
                table.refuse(index, name, RowReason.MISSING, "This must be stated.")


def refuse_unknown(table: Table, known: Iterable[str]) -> None:
    """Note every value under a name that nobody declared; unknown columns are dropped."""
    names = set(known)
    for name in [name for name in table.columns if name not in names]:
        reason = RowReason.UNDECLARED if "attributes." in name else RowReason.UNKNOWN_FIELD
        detail = unknown_name(name, names)
        for index, value in enumerate(table.columns.pop(name)):
            if value is not None and value != "":
                table.refuse(index, name[:100], reason, detail)


def unknown_name(name: str, known: Iterable[str]) -> str:
    """What to say of a name that is not known: with the nearest one that is."""
    near = get_close_matches(name, list(known), n=1)
    hint = f" Did you mean “{near[0]}”?" if near else ""
    if "attributes." in name:
        return f"An attribute must be declared before it is written.{hint}"
    return f"There is no such field.{hint}"


def as_json(table: Table, prefix: str, target: str) -> None:
    """Gather the columns `prefix.…` into one column of JSON objects, as text; a row that states none gets None."""
    names = [name for name in table.columns if name.startswith(f"{prefix}.")]
    if not names:
        return
    keys = [name[len(prefix) + 1 :] for name in names]
    rows = zip(*(table.columns.pop(name) for name in names), strict=True)
    gathered: list[str | None] = []
    for row in rows:
        stated = {key: value for key, value in zip(keys, row, strict=True) if value is not None}
        gathered.append(orjson.dumps(stated).decode() if stated else None)
    table.columns[target] = gathered
