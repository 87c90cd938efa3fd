"""Token columns as machine words, of which 0 is missing; and many words in order."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from leadhub.foundation import cores

#: the word of a token that is missing
NULL = np.uint64(0)
#: keys of which a word of masks has a bit each
BITS = 64


def combined(columns: list[np.ndarray]) -> np.ndarray:
    """One word of two columns' words or more, NULL where one of them is."""
    mixed = mix(columns, np.empty(len(columns[0]), dtype=np.uint64))
    for column in columns:
        mixed[column == NULL] = NULL
    return mixed


def mix(columns: list[np.ndarray], out: np.ndarray) -> np.ndarray:
    """The same, in `out`, whatever is missing. Tokens are uniform, and each part's are made with a key of
    its own: sums of them meet no sooner than they do."""
    np.add(columns[0], columns[1], out=out)
    for column in columns[2:]:
        out += column
    return out


def in_order(values: np.ndarray) -> np.ndarray:
    """Many by polars, which sorts words on all cores."""
    return np.sort(values) if len(values) < cores.FEW else pl.Series(values).sort().to_numpy()


def begins(values: np.ndarray) -> np.ndarray:
    """Of values in order, the first of each."""
    return np.append(True, values[1:] != values[:-1])[: len(values)]


def distinct(values: np.ndarray) -> np.ndarray:
    """Sorted, each once: sorting is several times faster than hashing here."""
    values = in_order(values)
    return values[begins(values)]


def no_masks(keys: int, size: int) -> np.ndarray:
    """Bit masks of keys (words, size), none of which is set."""
    return np.zeros((keys // BITS + 1, size), dtype=np.uint64)


def as_words(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of a key that no record has may be of another type."""
    return column if column.type == pa.uint64() else column.cast(pa.uint64())


def whole(column: pa.ChunkedArray) -> np.ndarray:
    words, at = np.empty(len(column), dtype=np.uint64), 0
    for chunk in column.chunks:
        words[at : at + len(chunk)] = pc.fill_null(chunk, 0).to_numpy()
        at += len(chunk)
    return words


def raw(chunk: pa.Array) -> np.ndarray:
    """The words of a uint64 array; what lies beneath a null may be any."""
    return np.frombuffer(chunk.buffers()[1], dtype=np.uint64)[chunk.offset : chunk.offset + len(chunk)]


def there(chunk: pa.Array, at: np.ndarray) -> np.ndarray:
    """1 at those of some places where there is a word, 0 where it is missing."""
    if not chunk.null_count:
        return np.ones(len(at), dtype=np.uint8)
    bit = at + chunk.offset
    byte = np.frombuffer(chunk.buffers()[0], dtype=np.uint8)[bit >> 3]
    return (byte >> (bit & 7).astype(np.uint8)) & np.uint8(1)


def known(chunk: pa.Array, at: np.ndarray) -> np.ndarray:
    """The words at some places, NULL where there is none; several times quicker than Arrow's `take`."""
    return raw(chunk)[at] * there(chunk, at)
