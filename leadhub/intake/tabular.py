"""Strict parsing: bytes to text columns. No type is inferred, no charset guessed, nothing repaired.

What every format has in common: spaces around a value are taken off; an empty value, and nothing
else, is null (`NA`, `NULL` and `None` are text: somebody's surname is Null). A control character
(line breaks excepted), a bidirectional override or more than 64 KiB in a cell refuses the row.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

from leadhub.foundation.errors import TerminalError
from leadhub.intake import json_pages

ROW = "_row"
MAX_CELL = 64 * 1024
BATCH_ROWS = 20_000
#: what a fault is: the row, its column (null: the row as a whole), the reason code
FAULTS = {"row": pl.Int32(), "column": pl.String(), "reason": pl.String()}

_LF, _CR, _QUOTE = b'\n\r"'
_BOM = b"\xef\xbb\xbf"
_CONTROL = r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x{9f}\x{202a}-\x{202e}\x{2066}-\x{2069}]|\r(?:[^\n]|$)"
#: first bytes of what is not CSV, whatever its name says. An OpenPGP packet begins with a byte that
#: UTF-8 never begins with.
_MAGIC = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"PAR1", "a Parquet file"),
    (b"-----BEGIN PGP", "an OpenPGP message that was not decrypted"),
    (b"\x84", "an OpenPGP message that was not decrypted"),
    (b"\x85", "an OpenPGP message that was not decrypted"),
    (b"\x8c", "an OpenPGP message that was not decrypted"),
    (b"\xc1", "an OpenPGP message that was not decrypted"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
)
_MARKUP = (b"<!doctype", b"<html", b"<?xml")


@dataclass(frozen=True)
class Parsed:
    """`table`: text columns under their source names, and `_row`. `faults`: see `FAULTS`.

    `_row` is the row that a clerk sees in a spreadsheet (header = 1; a line break inside a cell makes
    no new row) for CSV, and the ordinal from 1 for pages and Arrow. A faulty cell is null in `table`;
    a row whose cells cannot be told apart is in `faults` alone. `read` counts both.
    """

    table: pa.Table = field(repr=False)
    faults: pl.DataFrame
    read: int


def parse(data: bytes, format: str, *, name: str, delimiter: str = ",", encoding: str = "utf-8") -> Parsed:
    """One landed member as text. `format` is `csv`, `jsonl` or `arrow` (already decrypted).

    Raises: TerminalError `unreadable_file` (the file as a whole cannot be trusted) or `schema_drift`
    (its columns cannot be told); messages name `name` and a line, never content.
    """
    # no page at all is an answer: the source says that nothing changed (connectors/rest.py)
    if not data and format != "jsonl":
        raise _unreadable(name, "it is empty")
    if format == "csv":
        frame, rows, faults, read = _read_csv(data, name, delimiter, encoding)
    elif format == "jsonl":
        table, bad = json_pages.read(data, name)
        _check_names(table.column_names, name)
        frame, read = pl.DataFrame(table), table.num_rows
        rows, faults = np.arange(1, read + 1), [(row, column, "bad_format") for row, column in bad]
    elif format == "arrow":
        frame = _read_arrow(data, name)
        read = frame.height
        rows, faults = np.arange(1, read + 1), []
    else:
        raise ValueError(f"unknown format [{format}]")
    if ROW in frame.columns:
        raise TerminalError("schema_drift", f"[{name}]: a column may not be called [{ROW}]")
    frame, cell_faults = _clean(frame, pl.Series(ROW, rows, pl.Int32))
    text = [(column, pa.string()) for column in frame.columns[:-1]]
    return Parsed(
        table=frame.to_arrow().cast(pa.schema([*text, (ROW, pa.int32())])),
        faults=pl.concat([pl.DataFrame(faults, FAULTS, orient="row"), cell_faults]),
        read=read,
    )


def _unreadable(name: str, why: str, advice: str = "export the file again") -> TerminalError:
    return TerminalError("unreadable_file", f"[{name}]: {why}; {advice}")


def _clean(frame: pl.DataFrame, rows: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    stripped = frame.lazy().select(pl.all().str.strip_chars())
    frame = stripped.select(pl.when(pl.all() != "").then(pl.all())).collect()
    faults = [pl.DataFrame(schema=FAULTS)]
    cleaned = []
    for cells in frame.iter_columns():
        for reason, fault in (
            ("too_long", cells.str.len_bytes() > MAX_CELL),
            ("control_character", cells.str.contains(_CONTROL)),
        ):
            if not fault.any():
                continue
            found = pl.DataFrame({"row": rows.filter(fault)}).select(
                "row", pl.lit(cells.name).alias("column"), pl.lit(reason).alias("reason")
            )
            faults.append(found)
            cells = cells.scatter(fault.arg_true(), None)
        cleaned.append(cells)
    return pl.DataFrame([*cleaned, rows]), pl.concat(faults)


def _check_names(names: list[str], name: str) -> None:
    """By position: where a header is missing, these "names" are somebody's data."""
    for position, column in enumerate(names):
        if not column.strip():
            raise TerminalError("schema_drift", f"[{name}]: column {position + 1} has no name")
        if any(ord(c) < 32 for c in column):
            raise TerminalError(
                "schema_drift", f"[{name}]: the name of column {position + 1} holds a control character"
            )
        if column in names[:position]:
            first = names.index(column) + 1
            raise TerminalError(
                "schema_drift", f"[{name}]: columns {first} and {position + 1} have the same name"
            )


def _read_arrow(data: bytes, name: str) -> pl.DataFrame:
    try:
        table = pa.ipc.open_stream(pa.py_buffer(data)).read_all()
        table.validate(full=True)
    except (pa.ArrowException, ValueError, OSError, MemoryError, KeyError):
        raise _unreadable(name, "it is not a whole Arrow stream", "read the source again") from None
    _check_names(table.column_names, name)
    for position, column in enumerate(table.schema.types):
        if not (pa.types.is_string(column) or pa.types.is_large_string(column)):
            raise TerminalError("schema_drift", f"[{name}]: column {position + 1} is not text")
    return pl.DataFrame(table)


Fault = tuple[int, str | None, str]
Csv = tuple[pl.DataFrame, np.ndarray, list[Fault], int]


def _read_csv(data: bytes, name: str, delimiter: str, encoding: str) -> Csv:
    data = _to_utf8(data, name, encoding)
    first_line = data.split(b"\n", 1)[0].decode()
    header = next(_records(first_line + "\n", delimiter, name))[0]
    if not header:
        raise _unreadable(name, "its first line is blank", "begin with the header")
    if len(header) == 1 and (other := next((d for d in ",;\t|" if d in header[0]), None)):
        raise _unreadable(name, f"its delimiter looks like {other!r}, agreed is {delimiter!r}")
    _check_names(header, name)
    faults: list[Fault] = []
    table = _read_plain(data, delimiter, header) if _is_plain(data, delimiter, len(header)) else None
    if table is not None:
        read = table.num_rows
        rows = np.arange(2, read + 2)
    else:
        table, rows, faults, read = _read_row_by_row(data.decode(), delimiter, header, name)
    frame = pl.DataFrame(table)
    again = frame.select(pl.all_horizontal(pl.nth(i) == h for i, h in enumerate(header)).arg_true())
    if not again.is_empty():
        raise _unreadable(name, f"row {rows[again.item(0, 0)]} repeats the header: two files were joined")
    return frame, rows, faults, read


def _to_utf8(data: bytes, name: str, encoding: str) -> bytes:
    """The text as UTF-8 without its byte order mark, proven whole and of the declared encoding."""
    if encoding == "utf-8":
        data = data.removeprefix(_BOM)
    for magic, what in _MAGIC:
        if data.startswith(magic):
            raise _unreadable(name, f"it is {what}", "send plain CSV")
    if data[:1024].lstrip().lower().startswith(_MARKUP):
        raise _unreadable(name, "it is a web page or XML", "send plain CSV")
    if b"\x00" in data:
        line = data.count(b"\n", 0, data.index(b"\x00")) + 1
        raise _unreadable(name, f"line {line} holds a NUL byte: it is damaged, or UTF-16")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unreadable(
            name, f"line {line} is not {encoding}", f"export it again as {encoding}"
        ) from None
    if "\n" not in text and "\r" in text:
        raise _unreadable(name, "its lines end in CR alone", "export it with LF or CRLF")
    if not text.endswith("\n"):
        raise _unreadable(name, "its last line has no end: it was cut off", "send the whole file")
    return data if encoding == "utf-8" else text.encode()


def _records(text: str, delimiter: str, name: str) -> Iterator[list[list[str]]]:
    """Records in batches, as the standard library's strict reader understands them.

    A line ends at LF only, so that the reader itself finds a bare CR.
    """
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True)
    while True:
        try:
            batch = list(itertools.islice(reader, BATCH_ROWS))
        except csv.Error:
            raise _unreadable(
                name,
                f"around line {reader.line_num} a quote is not closed, text follows a closing quote, "
                "a cell is larger than 128 KiB, or CR stands alone",
                "quote cells with doubled quotes (RFC 4180)",
            ) from None
        if not batch:
            return
        yield batch


def _read_row_by_row(
    text: str, delimiter: str, header: list[str], name: str
) -> tuple[pa.Table, np.ndarray, list[Fault], int]:
    width, names = len(header), [str(i) for i in range(len(header))]
    faults: list[Fault] = []
    batches: list[pa.RecordBatch] = []
    numbers = [np.empty(0, np.int64)]
    last = 0
    for batch in _records(text, delimiter, name):
        widths = np.fromiter(map(len, batch), np.int64, len(batch))
        rows = np.arange(last + 1, last + 1 + len(batch))
        last += len(batch)
        good = (widths == width) & (rows > 1)
        faults += [(row, None, "blank_line") for row in rows[widths == 0].tolist()]
        faults += [
            (row, None, "wrong_field_count") for row in rows[(widths != width) & (widths > 0)].tolist()
        ]
        numbers.append(rows[good])
        if good.any():
            columns = [pa.array(cells, pa.string()) for cells in zip(*itertools.compress(batch, good))]
            batches.append(pa.record_batch(columns, names=names))
    if not batches and len(faults) > 1:
        raise TerminalError(
            "schema_drift",
            f"[{name}]: the header has {width} fields and no row has as many; "
            "send the columns that were agreed",
        )
    schema = pa.schema([(n, pa.string()) for n in names])
    table = pa.Table.from_batches(batches, schema).rename_columns(header)
    return table, np.concatenate(numbers), faults, last - 1


def _is_plain(data: bytes, delimiter: str, width: int) -> bool:
    """Proof, byte by byte, that no two CSV readers could understand this text differently.

    Quotes come in pairs around whole cells, or doubled within one; no line breaks in a cell; every line
    has the same number of cells; CR stands before LF only. What this refuses is not bad, only not plain.
    """
    if width < 2:
        return False
    cells = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(cells == _LF)
    if np.diff(ends, prepend=-1).max() > MAX_CELL:
        return False
    returns = np.flatnonzero(cells == _CR)
    if (cells[returns + 1] != _LF).any():
        return False
    delimiters = np.flatnonzero(cells == ord(delimiter))
    quotes = np.flatnonzero(cells == _QUOTE)
    # the text ends in LF: an odd number of quotes is found at its end, and a quote that is the very first
    # byte finds that LF "before" it
    if (np.searchsorted(quotes, ends) % 2).any():
        return False
    if quotes.size:
        opening, closing = quotes[0::2], quotes[1::2]
        starts = np.isin(cells[opening - 1], (ord(delimiter), _LF))
        stops = np.isin(cells[closing + 1], (ord(delimiter), _LF, _CR))
        doubled = closing[:-1] + 1 == opening[1:]
        starts[1:] |= doubled
        stops[:-1] |= doubled
        if not (starts.all() and stops.all()):
            return False
        delimiters = delimiters[np.searchsorted(quotes, delimiters) % 2 == 0]
    per_line = np.diff(np.searchsorted(delimiters, ends), prepend=0)
    return bool((per_line == width - 1).all())


def _read_plain(data: bytes, delimiter: str, header: list[str]) -> pa.Table | None:
    """Many times faster than row by row; None where Arrow's reader objects to anything at all."""
    names = [str(i) for i in range(len(header))]
    try:
        table = pyarrow.csv.read_csv(
            pa.py_buffer(data),
            read_options=pyarrow.csv.ReadOptions(column_names=names, skip_rows=1),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, double_quote=True, ignore_empty_lines=False
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None
    return table.rename_columns(header)
