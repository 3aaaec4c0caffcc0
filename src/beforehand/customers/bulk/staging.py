"""Columns into PostgreSQL: COPY straight into a table, or into a temporary one for UPDATE … FROM.

What is new is copied straight into its place (nothing is read back, no row is compared); what exists is staged, and
one UPDATE changes the rows that differ. Refused was INSERT … ON CONFLICT for both: a cell that states nothing would
have to overwrite what is stored, and every row of a first import would pay for the comparison.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from itertools import islice
from os import urandom
from time import time_ns
from typing import Any

from django.db import connection

from beforehand.kit.rows import bulk_fetch, execute

PIECE = 1_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NEEDS_ESCAPE = ("\\", "\t", "\n", "\r")


def copy_columns(table: str, columns: Mapping[str, Sequence[Any]]) -> None:
    """COPY columns of equal length into a table. `table` and the names are our own, never input.

    Values: None, str, bool, int, float, date, time, datetime, or anything whose `str` PostgreSQL reads. Text format,
    joined a column at a time: five times as fast as adapting each value.
    """
    if not any(map(len, columns.values())):
        return
    names = ", ".join(f'"{name}"' for name in columns)
    rows = zip(*map(_as_copy_text, columns.values()), strict=True)
    with connection.cursor() as cursor, cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
        # In pieces, so that PostgreSQL writes one while the next is joined.
        while piece := list(islice(rows, PIECE)):
            copy.write("".join(["\t".join(row) + "\n" for row in piece]))


def _as_copy_text(values: Sequence[Any]) -> Sequence[str]:
    distinct_types = set(map(type, values))
    if distinct_types == {str}:
        texts: list[str] = list(values)
    elif distinct_types <= {str, type(None)}:
        return [r"\N" if value is None else _escaped(value) for value in values]
    elif distinct_types == {int}:
        return list(map(str, values))
    elif list in distinct_types:
        return [_one(value) for value in values]
    else:  # dates, times, booleans: few different ones
        as_text = {value: _one(value) for value in set(values)}
        return list(map(as_text.__getitem__, values))
    joined = "".join(texts)
    if any(character in joined for character in _NEEDS_ESCAPE):
        return [text.translate(_ESCAPES) for text in texts]
    return texts


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES) if any(character in text for character in _NEEDS_ESCAPE) else text


def _one(value: Any) -> str:
    if value is None:
        return r"\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, date | time | datetime):
        return value.isoformat()
    if isinstance(value, list):  # of ids
        return "{" + ",".join(map(str, map(int, value))) + "}"
    return _escaped(str(value))


def stage(name: str, types: Mapping[str, str], columns: Mapping[str, Sequence[Any]]) -> str:
    """Fill the temporary table `name` with columns; the rest are NULL. It is empty again after the transaction."""
    definition = ", ".join(f'"{column}" {type_}' for column, type_ in types.items())
    execute(f'CREATE TEMPORARY TABLE IF NOT EXISTS "{name}" ({definition}) ON COMMIT DELETE ROWS')
    execute(f'DELETE FROM "{name}"')  # a second batch in one transaction
    copy_columns(name, columns)
    return name


def ids_of(table: str, external_ids: Sequence[str]) -> dict[str, int]:
    """External id to id, for those that exist. `table` is ours: a customer, holding or component table.

    The ids have been checked, so none holds a control character; one text is bound ten times as fast as a list.
    """
    if not external_ids:
        return {}
    return dict(
        bulk_fetch(
            f"SELECT external_id, id FROM {table} WHERE external_id = ANY(string_to_array(%s::text, E'\\x1f'))",
            ["\x1f".join(external_ids)],
        )
    )


def new_ids(table: str, count: int) -> list[int]:
    """Ids for `count` rows that will be copied in."""
    if count == 0:
        return []
    # Named in the text: looked up from a parameter, the sequence would be sought anew for every row.
    rows = bulk_fetch(f"SELECT nextval('{table}_id_seq') FROM generate_series(1, %s::int)", [count])
    return [row[0] for row in rows]


def new_public_ids(count: int) -> list[str]:
    """As many version 7 UUIDs (RFC 9562 §5.7), as hexadecimal digits; drawn at once, since one at a time costs 2 µs."""
    start = f"{time_ns() // 1_000_000:012x}7"
    drawn = urandom(10 * count).hex()
    return [
        f"{start}{drawn[i : i + 3]}{_VARIANTS[drawn[i + 3]]}{drawn[i + 4 : i + 19]}" for i in range(0, 20 * count, 20)
    ]


_VARIANTS = {digit: "89ab"[index % 4] for index, digit in enumerate("0123456789abcdef")}


def one_writer_at_a_time() -> None:
    """Let no two batches write customers, components or holdings at once; held until the transaction ends.

    So that what was not there a moment ago is still not there when it is copied in. A batch takes under a second.
    """
    execute("SELECT pg_advisory_xact_lock(hashtext('beforehand'), hashtext('customers.bulk'))")
