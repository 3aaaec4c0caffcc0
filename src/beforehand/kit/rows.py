"""Rows in bulk: COPY in, plain tuples out, and the transaction-id column of the event log."""

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from django.db import InterfaceError, OperationalError, connection, models
from psycopg.types.json import JsonbLoader

DATABASE_TROUBLE = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)
"""The database is away, or two transactions stood in each other's way: nothing is wrong with the work, try it again.

Both trees are named, because what goes through `bulk` and `copy_rows` is not wrapped by Django.
"""


class Xid8Field(models.BigIntegerField):  # type: ignore[type-arg]
    """PostgreSQL's 64-bit transaction id; filled by the database, never by us."""

    def db_type(self, connection: Any) -> str:
        return "xid8"


def fetch(sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a query written as SQL."""
    with connection.cursor() as cursor:
        _read_json(cursor.cursor)
        cursor.execute(sql, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _read_json(cursor: Any) -> None:
    """Django leaves JSON as text for its own fields to read; a query written as SQL wants the values."""
    cursor.adapters.register_loader("jsonb", JsonbLoader)


def execute(sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> int:
    """Run one statement; the number of rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)


def copy_rows(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """COPY rows into a table or temporary table; the fastest way in that PostgreSQL has.

    `table` and `columns` are our own names, never input. Values are adapted by psycopg; wrap JSON in `Json`.
    """
    names = ", ".join(f'"{column}"' for column in columns)
    with (
        connection.cursor() as cursor,
        cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy,
    ):
        for row in rows:
            copy.write_row(row)


def bound_cursor() -> psycopg.Cursor[tuple[Any, ...]]:
    """A cursor that binds parameters in the server, on Django's connection and inside its transaction.

    The engine room's statements carry arrays of thousands of values: bound in binary they cost a third of what they cost
    written out as text, and psycopg prepares what it meets again. Every parameter needs a cast in the SQL.
    """
    connection.ensure_connection()
    cursor = psycopg.Cursor(connection.connection)
    _read_json(cursor)
    return cursor


def bulk(sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> int:
    """Run one statement of the engine room; the number of rows it touched."""
    with bound_cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.rowcount


def bulk_fetch(sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of one statement of the engine room."""
    with bound_cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def number_array_literal(values: Iterable[int | None]) -> str:
    """These numbers as one array parameter, `%(name)s::bigint[]`: an eighth of the time that psycopg takes for a list."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def array_literal(values: Iterable[str | None]) -> str:
    """These texts as one array parameter, `%(name)s::text[]`: a tenth of the time that psycopg takes for a list."""
    quoted = [
        "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values
    ]
    return "{" + ",".join(quoted) + "}"
