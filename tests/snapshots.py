"""Rows taken from the tests' database and put back later: what a hundred tests begin with is brought about once.

What made them was the product itself; only the second and later tests find its rows in place of making them again.
Sequences are left as they are: they have gone on since, so whatever a test writes itself comes behind what was put back.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import connection
from psycopg import sql

from tests.emptying import KEPT

WRITTEN = """
SELECT c.relname, (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
FROM pg_class c
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = current_schema()::regnamespace
  AND c.relname <> ALL(%s)
  AND EXISTS (SELECT FROM pg_partition_tree(c.oid) part WHERE part.isleaf AND pg_relation_size(part.relid) > 0
              UNION ALL SELECT WHERE c.relkind = 'r' AND pg_relation_size(c.oid) > 0)
ORDER BY c.relname
"""
"""Tables with something in them. What is partitioned is one: which part a row belongs to changes as parts are prepared."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Lines of PostgreSQL's COPY by table and its columns; `emptied` are tables that hold these lines and no others."""

    lines: Mapping[tuple[str, tuple[str, ...]], list[bytes]]
    emptied: frozenset[str] = frozenset()

    def since(self, before: "Rows") -> "Rows":
        """What has come since: whole tables where there was nothing or where a row has changed, else the new rows."""
        added, emptied = {}, set()
        for table, lines in self.lines.items():
            known = set(before.lines.get(table, ()))
            if known <= set(lines):
                new = [line for line in lines if line not in known]
            else:
                new = lines
            if not known or new is lines:
                emptied.add(table[0])
            if new:
                added[table] = new
        return Rows(added, frozenset(emptied))

    def holds(self, others: "Rows", *, but: tuple[str, ...] = ()) -> bool:
        """Whether every one of those rows is here as it was, whatever has been added; but for what these tables hold."""
        return all(
            set(lines) <= set(self.lines.get(table, ())) for table, lines in others.lines.items() if table[0] not in but
        )


def take_rows() -> Rows:
    """Every row in the database, but for what migrations write."""
    lines = {}
    with connection.cursor() as cursor:
        cursor.execute(WRITTEN, [list(KEPT)])
        for table, columns in cursor.fetchall():
            with cursor.copy(_taken(table, columns)) as copy:
                if found := b"".join(copy).splitlines(keepends=True):
                    lines[table, tuple(columns)] = found
    return Rows(lines)


def put_rows(rows: Rows) -> None:
    """Write them as they were; no trigger and no foreign key is asked, as all was in order when they were taken."""
    with connection.cursor() as cursor:
        deletes = [sql.SQL("DELETE FROM {};").format(sql.Identifier(table)) for table in sorted(rows.emptied)]
        cursor.execute(sql.SQL("SET session_replication_role = replica; ") + sql.SQL("").join(deletes))
        for (table, columns), lines in rows.lines.items():
            with cursor.copy(_put(table, columns)) as copy:
                copy.write(b"".join(lines))
        cursor.execute("SET session_replication_role = origin")


def _taken(table: str, columns: tuple[str, ...] | list[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(names, sql.Identifier(table))


def _put(table: str, columns: tuple[str, ...] | list[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
