"""Keyed hashes of whole columns: HMAC-SHA-256 (FIPS 198-1), values that repeat hashed once.

The MAC key is the 64 ASCII hex digits of `Keys.hmac_text_key`, since polars-hash takes text keys
alone; the standard library gives the same digest with `hmac.new(text.encode(), …)`.

Digests are cut to 128 bits: among 10⁹ distinct values a collision has probability 2⁻⁷⁰, and a guess
without the key is no easier (NIST SP 800-107 5.3.3); the text, repeated in every key of every record,
takes half the room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import polars_hash  # noqa: F401  registers the expression namespace `chash`
import pyarrow as pa

HEX_DIGITS = 32

#: between the parts of a composite value; normalised values hold letters, digits, spaces and hyphens
SEPARATOR = "\x1f"


def by_distinct(values: pl.Series, function: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """`function` (a map of values, null to null) over each distinct value once; the same result."""
    codes, once = distinct(values)
    return function(once).gather(codes).alias(values.name)


def distinct(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Codes of a column's values (uint32, null for null), and the value of each code."""
    array = values.to_arrow(compat_level=pl.CompatLevel.newest())
    coded = array.dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    codes = pl.Series(values.name, pl.from_arrow(coded.indices)).cast(pl.UInt32)
    return codes, pl.Series(values.name, pl.from_arrow(coded.dictionary))


def hmac_column(values: pl.Series, key: str, marker: str) -> pl.Series:
    """`<marker><32 hex digits>` for each string; null for null. `key` is an HMAC text key."""

    def digest(distinct: pl.Series) -> pl.Series:
        mac = hmac_hex(distinct, key).str.slice(0, HEX_DIGITS)
        return mac.alias("v").to_frame().select(pl.lit(marker) + pl.col("v")).to_series()

    return by_distinct(values.cast(pl.String), digest)


def hmac_hex(texts: pl.Series, key: str) -> pl.Series:
    """64 hex digits for each text, null for null."""
    text: Any = pl.col("v")
    # eager: a lazy plan would hold the key, and plans can be serialised
    return texts.cast(pl.String).alias("v").to_frame().select(text.chash.hmac_sha256(key=key)).to_series()


def to_arrow(frame: pl.DataFrame) -> pa.Table:
    """Plain Arrow types: strings as `string`, lists as `list`, so that tables of all rooms have equal
    schemas."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return table.cast(pa.schema([f.with_type(_plain(f.type)) for f in table.schema])).combine_chunks()


def to_frame(table: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table))


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind):
        return pa.string()
    return pa.list_(_plain(kind.value_type)) if pa.types.is_large_list(kind) else kind


def row_words(frame: pl.DataFrame) -> pl.Series:
    """A word for each row, equal for equal rows whatever the order of columns; within this process alone.
    Of 10⁶ rows compared with their earlier selves one is missed with probability 2⁻⁴⁴."""
    return frame.select(sorted(frame.columns)).hash_rows()


def to_array(values: pl.Series) -> pa.Array:
    """A column as one Arrow array of plain strings."""
    return values.cast(pl.String).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string())


def to_series(values: pa.Array | pa.ChunkedArray, name: str = "value") -> pl.Series:
    return pl.Series(name, pl.from_arrow(values))
