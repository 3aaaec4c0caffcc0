"""Reading CSV so that every row has its line, its place in bytes, and bad rows cost only themselves."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beforehand.customers.bulk.problems import RowReason
from beforehand.customers.csv_rows import CsvBatch, CsvRows, FileReason, ImportRefused, read_header


def read(data: bytes, *, size: int = 1000) -> list[CsvBatch]:
    """All batches, each read by a reader of its own from where the last one ended."""
    header = read_header(BytesIO(data))
    batches, place = [], header.end
    while True:
        batch = CsvRows(BytesIO(data), header, start=place).batch(size)
        batches.append(batch)
        place = batch.end
        if batch.is_last:
            return batches


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_it_understands_what_stands_between_columns_and_the_utf8_mark(delimiter: str, mark: bytes) -> None:
    data = mark + f"External_ID {delimiter}name\r\n1{delimiter}Zoë\r\n".encode()
    assert read_header(BytesIO(data)).names == ("external_id", "name")
    assert read(data)[0].rows == [["1", "Zoë"]]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", FileReason.EMPTY),
        (b"\n1,2\n", FileReason.EMPTY),
        ("external_id,name".encode("utf-16"), FileReason.NOT_UTF8),
        (b"external_id,na\xefve\n", FileReason.NOT_UTF8),
        (b"external_id,,name\n", FileReason.BAD_HEADER),
        (b'external_id,"name"x\n', FileReason.BAD_HEADER),
        (b"name,Name\n", FileReason.COLUMN_TWICE),
    ],
)
def test_a_file_without_a_readable_header_is_refused(data: bytes, reason: FileReason) -> None:
    with pytest.raises(ImportRefused) as refused:
        read_header(BytesIO(data))
    assert refused.value.reason is reason


def test_the_byte_that_is_not_utf8_is_named() -> None:
    with pytest.raises(ImportRefused, match=r"Line 1, byte 15 \(0xEF\)"):
        read_header(BytesIO(b"external_id,na\xefve\n"))


def test_a_quoted_line_break_keeps_the_lines_after_it_right() -> None:
    (batch,) = read(b'id,name\n1,"two\nlines"\n\n2,plain\n3,too,many\n')
    assert batch.rows == [["1", "two\nlines"], ["2", "plain"]]
    assert batch.lines == [2, 5]
    assert [(p.line, p.reason) for p in batch.problems] == [(6, RowReason.WRONG_COLUMN_COUNT)]


def test_a_quote_that_is_never_closed_costs_one_row() -> None:
    rows = "".join(f"{n},name\n" for n in range(3, 20_000))
    (batch,) = read(f'id,name\n1,"never closed\n2,next\n{rows}'.encode(), size=100_000)
    assert [(p.line, p.reason) for p in batch.problems] == [(2, RowReason.BAD_QUOTING)]
    assert len(batch.rows) == 19_998
    assert batch.rows[0] == ["2", "next"]
    assert batch.lines[0] == 3


def test_bytes_that_are_not_utf8_stay_in_their_own_cell() -> None:
    (batch,) = read(b"id,name\n1,caf\xe9\n2,fine\n")
    assert batch.rows[0][1] == "caf\udce9"
    assert batch.rows[1] == ["2", "fine"]


CELLS = st.lists(st.text(alphabet='a,;"\n\r é', max_size=6), min_size=2, max_size=2)


@given(st.lists(CELLS, max_size=12), st.integers(1, 5))
def test_stopping_after_any_batch_neither_loses_nor_repeats_a_row(rows: list[list[str]], size: int) -> None:
    quoted = "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows)
    data = f"id,name\n{quoted}".encode()
    assert [row for batch in read(data, size=size) for row in batch.rows] == rows
    assert not [problem for batch in read(data, size=size) for problem in batch.problems]
