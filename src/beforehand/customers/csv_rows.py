"""CSV files read so that one can stop after any row and go on there: rows with their lines and their place in bytes.

RFC 4180 with `,`, `;` or tab, quoted line breaks, and UTF-8 with or without its mark. A row that cannot be read is
reported and the reading goes on with the line after the one on which it began, so a quote that is never closed costs
one row and not the rest of the file.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO

from beforehand.customers.bulk.problems import RowProblem, RowReason

DELIMITERS = (",", ";", "\t")
MAX_LINE = 1 << 20
_BOM = b"\xef\xbb\xbf"


class FileReason(StrEnum):
    """Why a file was refused as a whole."""

    EMPTY = "empty"
    NOT_UTF8 = "not_utf8"
    BAD_HEADER = "bad_header"
    UNKNOWN_COLUMN = "unknown_column"
    MISSING_COLUMN = "missing_column"
    COLUMN_TWICE = "column_twice"
    RUNNING_ELSEWHERE = "running_elsewhere"


class ImportRefused(ValueError):
    """A file was refused as a whole: nothing of it was read."""

    def __init__(self, reason: FileReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two rows: bytes and lines before it."""

    bytes: int
    lines: int


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: the names of the columns, what stands between them, and where the rows begin."""

    names: tuple[str, ...]
    delimiter: str
    end: Place


@dataclass(slots=True)
class CsvBatch:
    """Some rows in a row: each as wide as the header. `lines`: where each begins, from 1."""

    rows: list[list[str]]
    lines: list[int]
    end: Place
    problems: list[RowProblem] = field(default_factory=list)
    is_last: bool = False


def read_header(file: BinaryIO) -> Header:
    """The header of a file that stands at its beginning. Raises `ImportRefused`."""
    raw = file.readline(MAX_LINE)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ImportRefused(FileReason.NOT_UTF8, "The file is UTF-16; save it as UTF-8.")
    try:
        line = raw.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        byte = error.start + (len(_BOM) if raw.startswith(_BOM) else 0)
        raise ImportRefused(
            FileReason.NOT_UTF8, f"Line 1, byte {byte + 1} (0x{raw[byte]:02X}) is not UTF-8; save the file as UTF-8."
        ) from None
    if not line.strip():
        raise ImportRefused(FileReason.EMPTY, "The first line must name the columns.")
    try:
        readings = {d: next(csv.reader([line], delimiter=d, strict=True)) for d in DELIMITERS}
    except csv.Error as error:
        raise ImportRefused(FileReason.BAD_HEADER, f"The first line cannot be read: {error}.") from None
    delimiter = max(DELIMITERS, key=lambda d: len(readings[d]))
    names = tuple(name.strip().lower() for name in readings[delimiter])
    for index, name in enumerate(names):
        if not name:
            raise ImportRefused(FileReason.BAD_HEADER, f"Column {index + 1} has no name.")
        if name in names[:index]:
            raise ImportRefused(FileReason.COLUMN_TWICE, f"“{name}” stands there twice.")
    return Header(names, delimiter, Place(len(raw), 1))


class CsvRows:
    """Reads batches of rows from a place on."""

    def __init__(self, file: BinaryIO, header: Header, *, start: Place) -> None:
        self._file = file
        self._header = header
        self._bytes = start.bytes
        self._lines = start.lines
        file.seek(start.bytes)
        self._reader = self._new_reader()

    def batch(self, size: int) -> CsvBatch:
        """The next `size` rows, or what is left. What cannot be read is among the problems."""
        rows: list[list[str]] = []
        lines: list[int] = []
        batch = CsvBatch(rows, lines, Place(self._bytes, self._lines))
        width = len(self._header.names)
        while len(rows) + len(batch.problems) < size:
            before, line = self._bytes, self._lines + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                batch.is_last = True
                break
            except csv.Error as error:
                detail = f"The quotes of this row cannot be understood: {error}."
                batch.problems.append(RowProblem(line, "", RowReason.BAD_QUOTING, detail))
                self._go_on_after_line_at(before, line)
                continue
            if len(cells) == width:
                rows.append(cells)
                lines.append(line)
            elif cells:  # a blank line is no row
                detail = f"{len(cells)} columns, and the first line names {width}."
                batch.problems.append(RowProblem(line, "", RowReason.WRONG_COLUMN_COUNT, detail))
        batch.end = Place(self._bytes, self._lines)
        return batch

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self._decoded_lines(), delimiter=self._header.delimiter, strict=True)

    def _decoded_lines(self) -> Iterator[str]:
        # What is not UTF-8 becomes lone surrogates, which the check of its column reports; the row's shape survives.
        while raw := self._file.readline(MAX_LINE):
            self._bytes += len(raw)
            self._lines += 1
            yield raw.decode("utf-8", "surrogateescape")

    def _go_on_after_line_at(self, before: int, line: int) -> None:
        self._file.seek(before)
        self._bytes = before + len(self._file.readline(MAX_LINE))
        self._lines = line
        self._reader = self._new_reader()
