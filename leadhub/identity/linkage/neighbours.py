"""Parts with several values: which records share one of them.

What a record shares depends on its value alone, so the question is answered once for each pair of distinct
values that share anything, and looked up for pairs of records.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

#: stands for a missing token
NULL = np.uint64(0)
_NOTHING = -1
#: values that share what more than this many others have are not alike for that
_MOST_ALIKE = 200
_SIEVE_BITS = 24
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Neighbours:
    """`value`: number of each record's value, −1 where missing; `alike`: sorted, `low << 32 | high` for the
    pairs of values that share something; `sieve`: says of most other pairs that they do not."""

    value: np.ndarray
    alike: np.ndarray
    sieve: np.ndarray

    def share(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of pairs of records: whether both have values, and whether they share one."""
        one, other = self.value[left], self.value[right]
        known = (one != _NOTHING) & (other != _NOTHING)
        same = known & (one == other)
        open_ = np.flatnonzero(known & ~same)
        pairs = _packed(one[open_], other[open_])
        likely = self.sieve[_place(pairs)]
        open_, pairs = open_[likely], pairs[likely]
        if len(self.alike):
            at = np.minimum(np.searchsorted(self.alike, pairs), len(self.alike) - 1)
            same[open_[self.alike[at] == pairs]] = True
        return known, same


def _packed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    low, high = np.minimum(one, other).astype(np.uint64), np.maximum(one, other).astype(np.uint64)
    return (low << np.uint64(32)) | high


def _place(pairs: np.ndarray) -> np.ndarray:
    return ((pairs * _ODD) >> np.uint64(64 - _SIEVE_BITS)).astype(np.int64)


def find(lists: pl.Series | None, length: int, apart: np.ndarray | None) -> Neighbours:
    """`lists`: tokens of each record, its own value's first; `apart`: see `records`."""
    value = np.full(length, _NOTHING, dtype=np.int32)
    if lists is None or lists.dtype == pl.Null:
        return Neighbours(value, np.zeros(0, np.uint64), np.zeros(1 << _SIEVE_BITS, dtype=bool))
    marker = pl.Series(np.zeros(length, dtype=np.uint64) if apart is None else apart)
    frame = pl.DataFrame({"list": lists, "marker": marker, "at": np.arange(length)})
    frame = frame.with_columns(own=pl.col("list").list.first() ^ pl.col("marker"))
    frame = frame.filter(pl.col("own").is_not_null())
    once = frame.group_by("own").agg(pl.all().first())
    once = once.with_columns(number=pl.int_range(pl.len(), dtype=pl.Int32))
    found = frame.select("own", "at").join(once.select("own", "number"), on="own")
    value[found.get_column("at").to_numpy()] = found.get_column("number").to_numpy()
    shared = once.select("number", "marker", "list").explode("list")
    alike = _alike(shared.select("number", word=pl.col("list") ^ pl.col("marker")))
    sieve = np.zeros(1 << _SIEVE_BITS, dtype=bool)
    sieve[_place(alike)] = True
    return Neighbours(value, alike, sieve)


def _alike(shared: pl.DataFrame) -> np.ndarray:
    """All pairs of values with an equal word."""
    ordered = shared.unique().sort("word", "number")
    word = ordered.get_column("word").to_numpy()
    number = ordered.get_column("number").to_numpy()
    found = [np.zeros(0, dtype=np.uint64)]
    for step in range(1, min(_MOST_ALIKE, len(word))):
        at = np.flatnonzero(word[step:] == word[:-step])
        if not len(at):
            break
        found.append(_packed(number[at], number[at + step]))
    return np.unique(np.concatenate(found))
