"""Pairs worth comparing: records that share a match key, each pair once.

A block is all records with one token. A block that is large beyond reason (a shelter's telephone) says
little and would make pairs by the million, so each key has a budget of pairs: its largest blocks are
left out until the rest fits, and what was left out is reported, never silent.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.identity import keyed
from leadhub.identity.linkage.records import NULL, Records

#: pairs that one match key may propose, a record; and at least, where there are few records
PAIRS_PER_RECORD = 0.5
PAIRS_AT_LEAST = 1_000_000
_THREADS = 2

LEFT_OUT_SCHEMA = {"key": pl.String, "blocks": pl.Int64, "records": pl.Int64, "pairs": pl.Int64}


@dataclass(frozen=True)
class Candidates:
    """`left` < `right`: row numbers of the pairs, sorted. `commonness`: key → uint8 a record, log₂ of how
    many records share its token, rounded up. `left_out`: key, blocks, records, pairs."""

    left: np.ndarray
    right: np.ndarray
    commonness: dict[str, np.ndarray]
    left_out: pa.Table


@dataclass(frozen=True)
class _Blocks:
    """Rows in order of their token; block i is `rows[start[i] : start[i] + size[i]]`."""

    rows: np.ndarray
    start: np.ndarray
    size: np.ndarray


def find(records: Records, also: tuple[np.ndarray, np.ndarray] | None = None) -> Candidates:
    """All pairs that share a key and may be one person, and the pairs `also` given by row numbers."""
    total = np.int64(max(1, len(records)))
    budget = max(PAIRS_AT_LEAST, int(PAIRS_PER_RECORD * len(records)))
    found, left_out, commonness = [], [], {}

    def by_key(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        blocks = _blocks(records.key(name))
        cap, lost = _cap(blocks.size, budget)
        left, right = _pairs(blocks, cap)
        apt = records.may_be_one(left, right)
        common = _commonness(blocks, len(records)) if records.tier == "tokens" else None
        return left[apt] * total + right[apt], lost, common

    with ThreadPoolExecutor(_THREADS) as pool:
        for name, (packed, lost, common) in zip(records.key_names, pool.map(by_key, records.key_names)):
            found.append(packed)
            if len(lost):
                left_out.append((name, len(lost), int(lost.sum()), int((lost * (lost - 1) // 2).sum())))
            if common is not None:
                commonness[name] = common
    if also is not None:
        found.append(np.minimum(*also).astype(np.int64) * total + np.maximum(*also))
    packed = _distinct(np.concatenate(found))
    table = pl.DataFrame(left_out, schema=LEFT_OUT_SCHEMA, orient="row")
    return Candidates(packed // total, packed % total, commonness, keyed.to_arrow(table))


def _distinct(values: np.ndarray) -> np.ndarray:
    """Sorted, each once: sorting is several times faster than hashing here."""
    values = _sorted(values)
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values


def _sorted(values: np.ndarray) -> np.ndarray:
    """By polars, which sorts words on all cores."""
    return pl.Series(values).sort().to_numpy()


def _blocks(tokens: np.ndarray) -> _Blocks:
    """Sorting words that hold the token's high bits and the row number is several times faster than
    sorting by token; two tokens that fall together propose a pair more, and no wrong link."""
    bits = np.uint64(max(1, len(tokens).bit_length()))
    rows = np.flatnonzero(tokens != NULL).astype(np.uint64)
    packed = _sorted(((tokens[rows] >> bits) << bits) | rows)
    token = packed >> bits
    first = np.flatnonzero(np.concatenate([[True], token[1:] != token[:-1]])) if len(token) else rows[:0]
    start = first.astype(np.int64)
    size = np.diff(np.append(start, len(token)))
    return _Blocks((packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64), start, size)


def _cap(sizes: np.ndarray, budget: int) -> tuple[int, np.ndarray]:
    """The largest block size at which all blocks up to it fit the budget, and the sizes beyond it."""
    each = np.bincount(sizes, minlength=1).astype(np.int64)
    size = np.arange(len(each), dtype=np.int64)
    fits = np.cumsum(each * size * (size - 1) // 2) <= budget
    cap = int(fits.sum()) - 1
    return cap, np.sort(sizes[sizes > cap])


def _pairs(blocks: _Blocks, cap: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs within blocks of 2 to `cap` records, the smaller row number left."""
    lefts, rights = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    wanted = (blocks.size >= 2) & (blocks.size <= cap)
    start, size = blocks.start[wanted], blocks.size[wanted]
    for n in np.flatnonzero(np.bincount(size)):
        # rows stand in order within a block
        block = blocks.rows[start[size == n, None] + np.arange(n)]
        one, other = np.triu_indices(int(n), 1)
        lefts.append(block[:, one].ravel())
        rights.append(block[:, other].ravel())
    return np.concatenate(lefts), np.concatenate(rights)


def _commonness(blocks: _Blocks, count: int) -> np.ndarray:
    out = np.zeros(count, dtype=np.uint8)
    out[blocks.rows] = np.repeat(np.ceil(np.log2(np.maximum(1, blocks.size))).astype(np.uint8), blocks.size)
    return out
