"""Pairs worth comparing: records that share a match key, each pair once.

A block is all records with one token. A block that is large beyond reason (a shelter's telephone) says
little and would make pairs by the million, so each key has a budget of pairs: its largest blocks are
left out until the rest fits, and what was left out is reported, never silent. Under a frozen model the
blocks left out then are left out for good (`limits`).
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.foundation import cores
from leadhub.identity import keyed
from leadhub.identity.linkage import limits as frozen
from leadhub.identity.linkage import words
from leadhub.identity.linkage.limits import Limits
from leadhub.identity.linkage.records import Records
from leadhub.identity.linkage.sieve import ROW_BITS
from leadhub.identity.linkage.words import NULL

#: pairs that one match key may propose, a record; and at least, where there are few records
PAIRS_PER_RECORD = 0.5
PAIRS_AT_LEAST = 1_000_000
#: under a frozen model, a block that has grown beyond this waits for the next learning
MOST_RECORDS = 1_000
#: bits of a match key that no two people share by chance
_OWN_BITS = 30.0
#: share of pairs of one person whose records are counted as one person's
_MOST = 0.9
#: pairs of all keys, one pair several times, that wait to be sorted together
_MOST_WAITING = 1 << 23

LEFT_OUT_SCHEMA = {"key": pl.String, "blocks": pl.Int64, "records": pl.Int64, "pairs": pl.Int64}
_NONE = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.uint32)


@dataclass(frozen=True)
class Candidates:
    """`left` < `right`: row numbers of the pairs, sorted. `commonness` of tier `tokens`: (match keys,
    records) uint8, log₂ of how many records share the record's token, rounded up. `left_out`: key, blocks,
    records, pairs. `limits`: those that held, learnt here where none were given. `grown`: a block has grown
    too large since they were learnt."""

    left: np.ndarray
    right: np.ndarray
    commonness: np.ndarray
    left_out: pa.Table
    limits: Limits
    grown: bool = False


@dataclass(frozen=True)
class Blocks:
    """Rows in order of their token; block i is `rows[start[i] : start[i] + size[i]]`."""

    block: np.ndarray
    rows: np.ndarray
    start: np.ndarray
    size: np.ndarray


@dataclass(frozen=True)
class _OfKey:
    """What one key gives beside pairs: sizes of the blocks left out, and limits."""

    lost: np.ndarray
    grown: bool
    cap: int
    known: frozen.Sizes
    sizes: np.ndarray


class _Found:
    """Pairs as `left * records + right`. Keys propose the same pairs many times over: now and then each is
    kept once, so that they never all stand in memory."""

    def __init__(self, size: int, also: tuple[np.ndarray, np.ndarray] | None) -> None:
        self._lock = Lock()
        self._size = np.int64(max(1, size))
        self._distinct = np.empty(0, dtype=np.int64)
        self._waiting: list[np.ndarray] = [] if also is None else [self._packed(*also)]

    def _packed(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.minimum(one, other).astype(np.int64) * self._size + np.maximum(one, other)

    def add(self, records: Records, left: np.ndarray, right: np.ndarray) -> None:
        """Of the pairs those that may be one person."""
        apt = records.may_be_one(left, right)
        pairs = self._packed(left[apt], right[apt])
        with self._lock:
            self._waiting.append(pairs)
            if sum(map(len, self._waiting)) > max(_MOST_WAITING, len(self._distinct)):
                self._settle()

    def distinct(self) -> tuple[np.ndarray, np.ndarray]:
        with self._lock:
            self._settle()
        return self._distinct // self._size, self._distinct % self._size

    def _settle(self) -> None:
        self._waiting.append(self._distinct)
        self._distinct = words.distinct(np.concatenate(self._waiting))
        self._waiting = []


def find(
    records: Records,
    also: tuple[np.ndarray, np.ndarray] | None = None,
    limits: Limits | None = None,
) -> Candidates:
    """All pairs that share a key and may be one person, and the pairs `also` given by row numbers."""
    budget = max(PAIRS_AT_LEAST, int(PAIRS_PER_RECORD * len(records)))
    found = _Found(len(records), also)
    rows_of = _rows_of(records)
    commonness = np.zeros((len(rows_of), len(records)), dtype=np.uint8)
    own = own_keys(records)

    def by_key(name: str) -> _OfKey:
        blocks = blocks_of(*_all(records, name))
        if limits is None:
            sizes, known = blocks.size, _remembered(blocks)
            cap, lost = _cap(sizes, budget)
            cap = cap if len(lost) else max(cap, MOST_RECORDS)
        else:
            sizes, known = limits.block_sizes(name, blocks.block), _NONE
            cap = limits.caps.get(name, MOST_RECORDS)
        go, grown = _compared(blocks, sizes, cap)
        found.add(records, *_pairs(blocks, go))
        if name in rows_of:
            commonness[rows_of.index(name)][blocks.rows] = np.repeat(log_sizes(sizes), blocks.size)
        return _OfKey(
            lost=blocks.size[~go & (blocks.size >= 2)],
            grown=grown,
            cap=cap,
            known=known,
            sizes=blocks.size if name in own else _NONE[1],
        )

    made = dict(
        zip(records.key_names, cores.each(by_key, records.key_names, much=len(records) > cores.FEW))
    )
    left_out = [
        (name, len(m.lost), int(m.lost.sum()), int((m.lost * (m.lost - 1) // 2).sum()))
        for name, m in made.items()
        if len(m.lost)
    ]
    left, right = found.distinct()
    return Candidates(
        left=left,
        right=right,
        commonness=commonness,
        left_out=keyed.to_arrow(pl.DataFrame(left_out, schema=LEFT_OUT_SCHEMA, orient="row")),
        limits=limits or _learnt(records, made),
        grown=any(m.grown for m in made.values()),
    )


def _rows_of(records: Records) -> tuple[str, ...]:
    return records.schema.key_names if records.tier == "tokens" else ()


def _compared(blocks: Blocks, sizes: np.ndarray, cap: int) -> tuple[np.ndarray, bool]:
    """Which blocks are compared, where `sizes` are those of the night of learning, and whether one has
    grown too large since."""
    grown = (sizes <= cap) & (blocks.size > max(cap, MOST_RECORDS))
    return (sizes <= cap) & ~grown & (blocks.size >= 2), bool(grown.any())


def _learnt(records: Records, made: dict[str, _OfKey]) -> Limits:
    caps = {name: m.cap for name, m in made.items()}
    blocks = {name: m.known for name, m in made.items()}
    values, known, usual = {}, {}, {}
    for name in records.rare_parts:
        tokens = records.column(f"p_{name}")
        values[name] = frozen.counted(tokens, frozen.SINGLE)
        known[name], usual[name] = frozen.usual_bits(tokens)
    most = per_person(records, [m.sizes for m in made.values()])
    return Limits(len(records), most, caps, blocks, values, known, usual)


def own_keys(records: Records) -> tuple[str, ...]:
    """Match keys whose blocks are one person's; none where each feed holds a person once."""
    if records.alone.all() or records.tier == "fields":
        return ()
    schema = records.schema
    named = zip(schema.key_names, schema.match_keys)
    return tuple(name for name, key in named if schema.usual_bits(key) >= _OWN_BITS)


def per_person(records: Records, sizes: list[np.ndarray]) -> int:
    """How many records one person may have: one in each feed, or where a feed may hold more of them, as
    many as most blocks of `own_keys` (`sizes`: by key) in which two of one person meet."""
    most = [len(records.feed_names)]
    for each in sizes:
        pairs = np.bincount(each) * np.arange(each.max(initial=0) + 1.0) ** 2
        pairs[:2] = 0
        most.append(int(np.searchsorted(np.cumsum(pairs), _MOST * pairs.sum())) if pairs.sum() else 1)
    return max(most)


def _all(records: Records, name: str) -> tuple[np.ndarray, np.ndarray]:
    tokens = records.key(name)
    rows = np.flatnonzero(tokens != NULL)
    return tokens[rows] >> ROW_BITS, rows


def blocks_of(block: np.ndarray, rows: np.ndarray) -> Blocks:
    """Sorting words that hold the token's high bits and the row number is several times faster than
    sorting by token; two tokens that fall together propose a pair more, and no wrong link."""
    packed = words.in_order((block << ROW_BITS) | rows.astype(np.uint64))
    block = packed >> ROW_BITS
    start = np.flatnonzero(words.begins(block))
    size = np.diff(np.append(start, len(block)))
    row = (packed & ((np.uint64(1) << ROW_BITS) - np.uint64(1))).astype(np.int32)
    return Blocks(block[start], row, start, size)


def _remembered(blocks: Blocks) -> frozen.Sizes:
    large = blocks.size > frozen.UNREMEMBERED
    return blocks.block[large], blocks.size[large].astype(np.uint32)


def _cap(sizes: np.ndarray, budget: int) -> tuple[int, np.ndarray]:
    """The largest block size at which all blocks up to it fit the budget, and the sizes beyond it."""
    each = np.bincount(sizes, minlength=1).astype(np.int64)
    size = np.arange(len(each), dtype=np.int64)
    fits = np.cumsum(each * size * (size - 1) // 2) <= budget
    cap = int(fits.sum()) - 1
    return cap, np.sort(sizes[sizes > cap])


def _pairs(blocks: Blocks, go: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs within blocks that `go`, the smaller row number left."""
    lefts, rights = [np.empty(0, dtype=np.int32)], [np.empty(0, dtype=np.int32)]
    start, size = blocks.start[go], blocks.size[go]
    for n in np.flatnonzero(np.bincount(size)):
        # rows stand in order within a block
        block = blocks.rows[start[size == n, None] + np.arange(n)]
        one, other = np.triu_indices(int(n), 1)
        lefts.append(block[:, one].ravel())
        rights.append(block[:, other].ravel())
    return np.concatenate(lefts), np.concatenate(rights)


def log_sizes(sizes: np.ndarray) -> np.ndarray:
    # the exponent of n − 1 is log₂ n, rounded up
    return np.frexp(np.maximum(1, sizes) - 1)[1].astype(np.uint8)
