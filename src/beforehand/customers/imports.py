"""Import of CSV files: in batches, each with its progress in one transaction, so that any stop leaves no gap and no
double; while PostgreSQL writes one batch, the next is read and checked.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from django.db import DatabaseError, transaction

from beforehand.customers import actions
from beforehand.customers.bulk.components import check_components
from beforehand.customers.bulk.consents import check_consents
from beforehand.customers.bulk.customers import check_customers, refuse_unknown_helpers
from beforehand.customers.bulk.holdings import check_holdings, refuse_unknown_components, refuse_wrong_spans
from beforehand.customers.bulk.problems import RowProblem
from beforehand.customers.bulk.staging import copy_columns
from beforehand.customers.bulk.table import Table
from beforehand.customers.csv_rows import CsvBatch, CsvRows, FileReason, Header, ImportRefused, Place, read_header
from beforehand.customers.facts import declared_attributes
from beforehand.customers.import_columns import HOLDING, ImportKind, check_header
from beforehand.customers.models import Import, ImportProblem
from beforehand.events.actions import append_event
from beforehand.kit import clock
from beforehand.kit.rows import execute, fetch

BATCH_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is."""

    done_bytes: int
    total_bytes: int
    loaded: int  # rows, with those of earlier runs of the same import
    refused: int


@dataclass(frozen=True, slots=True)
class _Declared:
    customer: dict[str, str]
    holding: dict[str, str]


@dataclass(slots=True)
class _Checked:
    """A batch that was read and checked, and has not met the database."""

    batch: CsvBatch
    table: Table
    holdings: Table | None


def import_file(
    path: Path | str,
    *,
    kind: ImportKind | str,
    actor: str,
    name: str = "",
    region: str = "",
    progress: Callable[[Progress], None] | None = None,
    batch_rows: int = BATCH_ROWS,
) -> Import:
    """Load a CSV file; answers the finished import, whose `problems` say which rows were refused and why.

    A file whose import was stopped goes on where it stopped; one that was finished is gone through again, and what is
    unchanged stays untouched. `region` (ISO 3166) reads national telephone numbers. `progress` is called after each
    batch. Raises `ImportRefused` for a file that cannot be read at all, or that another process is importing now.
    """
    path, kind = Path(path), ImportKind(kind)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        header = read_header(file)
        declared = _Declared(declared_attributes("customer"), declared_attributes("holding"))
        check_header(header.names, kind, customer_attributes=declared.customer, holding_attributes=declared.holding)
        with _alone(kind, digest):
            running = _begin(kind, digest, name=name or path.name, total_bytes=path.stat().st_size, header=header)
            report = progress or (lambda _: None)
            for checked in _checked_ahead(file, header, running, kind, declared, region=region, batch_rows=batch_rows):
                _load(running, kind, checked, actor=actor)
                report(Progress(running.done_bytes, running.total_bytes, running.loaded, running.refused))
            return _finish(running, actor=actor)


@contextmanager
def _alone(kind: ImportKind, digest: str) -> Iterator[None]:
    """Hold this file for this process; PostgreSQL lets go of it when the process is gone, however it went."""
    key = [f"import.{kind}", digest]
    if not fetch("SELECT pg_try_advisory_lock(hashtext(%s), hashtext(%s))", key)[0][0]:
        raise ImportRefused(FileReason.RUNNING_ELSEWHERE, "Another process is importing this file now.")
    try:
        yield
    finally:
        with suppress(DatabaseError):  # a lost connection has let go already
            execute("SELECT pg_advisory_unlock(hashtext(%s), hashtext(%s))", key)


def _begin(kind: ImportKind, digest: str, *, name: str, total_bytes: int, header: Header) -> Import:
    running, _ = Import.objects.get_or_create(
        kind=kind,
        digest=digest,
        state=Import.State.RUNNING,
        defaults={
            "name": name,
            "total_bytes": total_bytes,
            "done_bytes": header.end.bytes,
            "done_lines": header.end.lines,
        },
    )
    return running


def _checked_ahead(
    file: BinaryIO,
    header: Header,
    running: Import,
    kind: ImportKind,
    declared: _Declared,
    *,
    region: str,
    batch_rows: int,
) -> Iterator[_Checked]:
    """Checked batches from where the import stands, the next one always in the making."""
    rows = CsvRows(file, header, start=Place(running.done_bytes, running.done_lines))

    def next_batch() -> _Checked:
        batch = rows.batch(batch_rows)
        return _check(batch, header, kind, declared, region=region)

    with ThreadPoolExecutor(1, thread_name_prefix="import-check") as reading:
        coming = reading.submit(next_batch)
        while True:
            checked = coming.result()
            if not checked.batch.is_last:
                coming = reading.submit(next_batch)
            if checked.batch.rows or checked.batch.problems:
                yield checked
            if checked.batch.is_last:
                return


def _check(batch: CsvBatch, header: Header, kind: ImportKind, declared: _Declared, *, region: str) -> _Checked:
    values = list(map(list, zip(*batch.rows, strict=True))) or [[] for _ in header.names]
    columns = dict(zip(header.names, values, strict=True))
    holdings = None
    if kind is ImportKind.CUSTOMERS:
        of_holdings = {n.removeprefix(HOLDING): columns.pop(n) for n in header.names if n.startswith(HOLDING)}
        if of_holdings:
            holdings = _holdings_part(of_holdings, columns["external_id"], batch.lines)
            check_holdings(holdings, declared.holding)
            refuse_wrong_spans(holdings)
    table = Table(columns, batch.lines)
    match kind:
        case ImportKind.CUSTOMERS:
            check_customers(table, declared.customer, region=region)
        case ImportKind.COMPONENTS:
            check_components(table)
        case ImportKind.HOLDINGS:
            check_holdings(table, declared.holding)
        case ImportKind.CONSENTS:
            check_consents(table)
    return _Checked(batch, table, holdings)


def _holdings_part(columns: dict[str, list[str]], customers: list[str], lines: list[int]) -> Table:
    """The rows that state anything about a holding, with the customer of their line."""
    stated = list(map(any, zip(*columns.values(), strict=True)))
    return Table({**columns, "customer": list(customers)}, lines).select(stated)


@transaction.atomic
def _load(running: Import, kind: ImportKind, checked: _Checked, *, actor: str) -> None:
    """Write one batch, its problems and the progress, or nothing."""
    batch = checked.batch
    # What a crash of the server may take back is taken back with its progress; `_finish` waits for the disk.
    execute("SET LOCAL synchronous_commit = off")
    moved = execute(
        "UPDATE customers_import SET done_bytes = %s, done_lines = %s WHERE id = %s AND state = 'running'"
        " AND done_bytes = %s",
        [batch.end.bytes, batch.end.lines, running.pk, running.done_bytes],
    )
    if not moved:
        raise ImportRefused(FileReason.RUNNING_ELSEWHERE, "Another process went on with this import.")
    source = f"import:{running.public_id}"
    match kind:
        case ImportKind.CUSTOMERS:
            problems = _load_customers(checked, actor=actor, source=source)
        case ImportKind.COMPONENTS:
            problems = actions.load_components(checked.table, actor=actor, source=source).problems
        case ImportKind.HOLDINGS:
            problems = actions.load_holdings(checked.table, actor=actor, source=source).problems
        case ImportKind.CONSENTS:
            problems = actions.load_consents(checked.table, actor=actor, source=source).problems
    problems = [*batch.problems, *problems]
    refused = len({problem.line for problem in problems})
    loaded = len(batch.rows) + len(batch.problems) - refused
    execute(
        "UPDATE customers_import SET loaded = loaded + %s, refused = refused + %s WHERE id = %s",
        [loaded, refused, running.pk],
    )
    _keep_problems(running, problems)
    running.done_bytes, running.done_lines = batch.end.bytes, batch.end.lines
    running.loaded += loaded
    running.refused += refused


def _load_customers(checked: _Checked, *, actor: str, source: str) -> list[RowProblem]:
    """Customers, and the holdings on the same lines: a line with any problem is left out of both."""
    table, holdings = checked.table, checked.holdings
    if holdings is None:
        return actions.load_customers(table, actor=actor, source=source)[0].problems
    usable = table.without_refused()
    refuse_unknown_helpers(usable)
    refuse_unknown_components(holdings)
    problems = [*usable.problems, *_of_holdings(holdings.problems)]
    refused = {problem.line for problem in problems}
    usable = usable.select([line not in refused for line in usable.lines])
    holdings = holdings.select([line not in refused for line in holdings.lines])
    result, ids = actions.load_customers(usable, actor=actor, source=source)
    owned = actions.load_holdings(holdings, actor=actor, source=source, customers=ids)
    return [*problems, *result.problems, *_of_holdings(owned.problems)]


def _of_holdings(problems: list[RowProblem]) -> list[RowProblem]:
    return [replace(problem, column=f"{HOLDING}{problem.column}") for problem in problems]


def _keep_problems(running: Import, problems: list[RowProblem]) -> None:
    ordered = sorted(problems, key=lambda problem: (problem.line, problem.column))
    copy_columns(
        ImportProblem._meta.db_table,
        {
            "imported_id": [running.pk] * len(ordered),
            "line": [problem.line for problem in ordered],
            "column": [problem.column for problem in ordered],
            "reason": [problem.reason.value for problem in ordered],
            "detail": [problem.detail for problem in ordered],
        },
    )


_TABLES = ("customer", "contactpoint", "consent", "component", "holding", "holdingcomponent")


@transaction.atomic
def _finish(running: Import, *, actor: str) -> Import:
    running.state = Import.State.DONE
    running.ended_at = clock.now()
    running.save(update_fields=["state", "ended_at"])
    append_event(
        type="import.finished",
        actor=actor,
        subject=f"import:{running.public_id}",
        data={"kind": running.kind, "loaded": running.loaded, "refused": running.refused},
    )
    measure_tables()
    return running


def measure_tables() -> None:
    """Let the planner know what the customers' tables hold now, not when autovacuum comes round."""
    execute(f"ANALYZE {', '.join(f'customers_{table}' for table in _TABLES)}")
