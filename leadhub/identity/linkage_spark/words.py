"""Tokens as signed words, and back: Spark has no unsigned 64-bit integers.

The same 64 bits are read as two's complement. Equality, the only thing ever asked of tokens, is unchanged;
order is not, so nothing may sort by token on both sides and compare places.
"""

from __future__ import annotations

import pyarrow as pa


def signed(table: pa.Table) -> pa.Table:
    """uint64 columns, and lists of them, as int64; what is large or coded by a dictionary, plain."""
    return _read_as(table, pa.uint64(), pa.int64())


def unsigned(table: pa.Table) -> pa.Table:
    """int64 columns, and lists of them, as uint64: what `tokens.tokenise` gives."""
    return _read_as(table, pa.int64(), pa.uint64())


def _read_as(table: pa.Table, before: pa.DataType, after: pa.DataType) -> pa.Table:
    columns = [_column(column, before, after) for column in table.columns]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _column(column: pa.ChunkedArray, before: pa.DataType, after: pa.DataType) -> pa.ChunkedArray:
    kind = _plain(column.type)
    target = pa.list_(after) if kind == pa.list_(before) else after if kind == before else kind
    # Spark takes no column of no chunks
    chunks = [_decoded(chunk).cast(kind).view(target) for chunk in column.chunks or [pa.array([], kind)]]
    return pa.chunked_array(chunks, target)


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_plain(kind.value_type))
    return kind


def _decoded(chunk: pa.Array) -> pa.Array:
    return chunk.dictionary.take(chunk.indices) if pa.types.is_dictionary(chunk.type) else chunk
