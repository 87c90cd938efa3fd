"""Rows as files: Parquet and CSV whose bytes depend on the rows alone.

CSV is RFC 4180 with LF line ends, UTF-8 without a mark; a missing value is an empty field, an empty
text is `""`. Text columns are guarded against formula injection (CWE-1236; OWASP, "CSV Injection"): a
spreadsheet runs a cell that begins with one of `FORMULA_STARTS`, quoted or not. The guard also takes
the apostrophe itself, so that taking one apostrophe off gives every original back.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import ColumnFacts, Sensitivity

ARROW_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
}
FORMULA_PREFIX = "'"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "'")
#: how sealed ids, tokens, record ids and person ids of the hub begin; none of them may leave it
_INTERNAL = r"^[strp]\d+(\.[0-9a-f]+)?:"
_ROW_GROUP = 1 << 17


def check_columns(columns: Sequence[ColumnFacts]) -> None:
    """Raises: TerminalError `identifier_in_release`, or `column_not_allowed` for a withheld column."""
    for column in columns:
        if column.sensitivity == Sensitivity.IDENTIFIER:
            raise TerminalError(
                "identifier_in_release",
                f"column [{column.name}] names a person; take it out of the dataset",
            )
        if column.sensitivity == Sensitivity.WITHHELD:
            raise TerminalError(
                "column_not_allowed", f"column [{column.name}] is withheld; take it out of the dataset"
            )


def conform(table: pa.Table, columns: Sequence[ColumnFacts], *, whole_rows: bool = True) -> pa.Table:
    """The table with exactly `columns`, in their order and types, rows sorted by them.

    `whole_rows` is false for change files, where a withdrawn row has its key alone.
    Raises: TerminalError `column_not_allowed` for any other column, a missing one, or one that still
    holds the hub's own ids; `schema_drift` where type, nullability or codes are not those stated.
    """
    check_columns(columns)
    names = [c.name for c in columns]
    if sorted(table.column_names) != sorted(names):
        extra, lacking = set(table.column_names) - set(names), set(names) - set(table.column_names)
        raise TerminalError(
            "column_not_allowed",
            f"the dataset has columns {sorted(extra)} that it may not have, and lacks {sorted(lacking)}",
        )
    drifted = [c.name for c in columns if not _fits(table.schema.field(c.name).type, ARROW_TYPES[c.type])]
    if drifted:
        raise TerminalError("schema_drift", f"columns {drifted} are not of the type that the dataset says")
    schema = pa.schema([pa.field(c.name, ARROW_TYPES[c.type]) for c in columns])
    typed = table.select(names).replace_schema_metadata(None).cast(schema)
    for column in columns:
        _check_values(typed.column(column.name), column, whole_rows)
    return in_order(typed)


def in_order(table: pa.Table) -> pa.Table:
    """Rows sorted by all columns, so that no order is left that could tell anything.

    A change file's `op` goes backwards: withdrawals before the inserts that may follow for their keys.
    """
    order = [(name, "descending" if name == "op" else "ascending") for name in table.column_names]
    return table.take(pc.sort_indices(table, order)).combine_chunks()


def _fits(given: pa.DataType, stated: pa.DataType) -> bool:
    """The same values in another layout; nothing is converted."""
    text = (pa.string(), pa.large_string(), pa.string_view())
    return given == stated or pa.types.is_null(given) or (stated == pa.string() and given in text)


def _check_values(values: pa.ChunkedArray, column: ColumnFacts, whole_rows: bool) -> None:
    if whole_rows and not column.nullable and values.null_count:
        raise TerminalError("schema_drift", f"column [{column.name}] lacks values that it must have")
    if column.type != "string":
        return
    if pc.any(pc.match_substring_regex(values, _INTERNAL)).as_py():
        raise TerminalError(
            "column_not_allowed", f"column [{column.name}] holds the hub's own ids; open or drop them"
        )
    if column.codes is not None:
        known = pc.is_in(values.drop_null(), value_set=pa.array(column.codes, pa.string()))
        if not pc.all(known, min_count=0).as_py():
            raise TerminalError("schema_drift", f"column [{column.name}] holds a code not in its list")


def parquet(table: pa.Table) -> bytes:
    """Fixed writer settings, no metadata but the schema: same rows, same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(None).combine_chunks(),
        sink,
        version="2.6",
        compression="snappy",
        row_group_size=_ROW_GROUP,
        store_schema=False,
        write_statistics=True,
    )
    return sink.getvalue().to_pybytes()


def read_parquet(data: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(data))


def csv(table: pa.Table) -> bytes:
    """Dates as 2026-11-20, timestamps in UTC as 2026-11-20T01:02:03.000000Z, booleans true/false."""
    frame = pl.DataFrame(pl.from_arrow(table))
    # text columns alone: a minus sign begins a number
    guarded = {
        name: pl.when(_starts_a_formula(name)).then(pl.lit(FORMULA_PREFIX) + pl.col(name)).otherwise(name)
        for name, dtype in frame.schema.items()
        if dtype == pl.String
    }
    sink = io.BytesIO()
    frame.with_columns(**guarded).write_csv(
        sink,
        line_terminator="\n",
        quote_style="necessary",
        date_format="%Y-%m-%d",
        datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ",
    )
    return sink.getvalue()


def _starts_a_formula(name: str) -> pl.Expr:
    return pl.col(name).str.slice(0, 1).is_in(list(FORMULA_STARTS))
