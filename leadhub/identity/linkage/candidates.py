"""Pairs worth comparing: records that share a match key, each pair once.

A block is all records with one token. A block that is large beyond reason (a shelter's telephone) says
little and would make pairs by the million, so each key has a budget of pairs: its largest blocks are
left out until the rest fits, and what was left out is reported, never silent. Under a frozen model the
blocks left out then are left out for good (`limits`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.identity import keyed
from leadhub.identity.linkage import limits as frozen
from leadhub.identity.linkage import sieve
from leadhub.identity.linkage.limits import Limits
from leadhub.identity.linkage.records import NULL, Records
from leadhub.identity.linkage.sieve import ROW_BITS

#: pairs that one match key may propose, a record; and at least, where there are few records
PAIRS_PER_RECORD = 0.5
PAIRS_AT_LEAST = 1_000_000
#: under a frozen model, a block that has grown beyond this waits for the next learning
MOST_RECORDS = 1_000
#: bits of a match key that no two people share by chance
_OWN_BITS = 30.0
#: share of pairs of one person whose records are counted as one person's
_MOST = 0.9
_THREADS = 2
#: pairs of all keys, one pair several times, that wait to be sorted together
_MOST_WAITING = 1 << 23
#: words that one core sorts sooner than two share them out
_FEW = 1 << 16

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
class _Blocks:
    """Rows in order of their token; block i is `rows[start[i] : start[i] + size[i]]`."""

    block: np.ndarray
    rows: np.ndarray
    start: np.ndarray
    size: np.ndarray

    def shared(self) -> _Blocks:
        """Those of two records and more."""
        at = self.size >= 2
        size = self.size[at]
        rows = self.rows[np.repeat(at, self.size)]
        return _Blocks(self.block[at], rows, np.cumsum(size) - size, size)


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
        self._distinct = _distinct(np.concatenate(self._waiting))
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
        blocks = _blocks(*_all(records, name))
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
            commonness[rows_of.index(name)][blocks.rows] = np.repeat(_bits(sizes), blocks.size)
        return _OfKey(
            lost=blocks.size[~go & (blocks.size >= 2)],
            grown=grown,
            cap=cap,
            known=known,
            sizes=blocks.size if name in own else _NONE[1],
        )

    with ThreadPoolExecutor(_THREADS) as pool:
        made = dict(zip(records.key_names, pool.map(by_key, records.key_names)))
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


def find_of(
    records: Records, of: np.ndarray, also: tuple[np.ndarray, np.ndarray] | None, limits: Limits
) -> tuple[Candidates, np.ndarray]:
    """The same of pairs with one of the rows `of` (records are `as_they_lie`), and the rows that stand in
    pairs: the numbers of `left` and `right` are those among them."""
    found = _Found(len(records), also)
    wanted, some = np.zeros(len(records), dtype=bool), records.only(of)
    wanted[of] = True
    rows_of = _rows_of(records)

    def by_key(name: str) -> tuple[_Blocks, np.ndarray, bool]:
        cap = limits.caps.get(name, MOST_RECORDS)
        tokens = some.key(name)
        asked = sieve.distinct(tokens[tokens != NULL] >> ROW_BITS)
        if name not in rows_of:
            # what is left out says nothing, and most records may stand in it
            asked = asked[limits.block_sizes(name, asked) <= cap]
        blocks = _blocks(*sieve.meeting(records, asked, name)).shared()
        sizes = limits.block_sizes(name, blocks.block)
        go, grown = _compared(blocks, sizes, cap)
        found.add(records, *_pairs_of(blocks, go, wanted))
        return blocks, sizes, grown

    with ThreadPoolExecutor(_THREADS) as pool:
        made = dict(zip(records.key_names, pool.map(by_key, records.key_names)))
    left, right = found.distinct()
    rows, number = _numbered(len(records), left, right)
    commonness = np.zeros((len(rows_of), len(rows)), dtype=np.uint8)
    for common, name in zip(commonness, rows_of):
        blocks, sizes, _ = made[name]
        place = number[blocks.rows]
        common[place[place >= 0]] = np.repeat(_bits(sizes), blocks.size)[place >= 0]
    pairs = Candidates(
        left=number[left],
        right=number[right],
        commonness=commonness,
        left_out=keyed.to_arrow(pl.DataFrame(schema=LEFT_OUT_SCHEMA)),
        limits=limits,
        grown=any(grown for _, _, grown in made.values()),
    )
    return pairs, rows


def _rows_of(records: Records) -> tuple[str, ...]:
    return records.schema.key_names if records.tier == "tokens" else ()


def _numbered(size: int, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows that stand in pairs, and of each row its number among them, −1 for others."""
    within = np.zeros(size, dtype=bool)
    within[left] = within[right] = True
    rows = np.flatnonzero(within)
    number = np.full(size, -1, dtype=np.int64)
    number[rows] = np.arange(len(rows))
    return rows, number


def _compared(blocks: _Blocks, sizes: np.ndarray, cap: int) -> tuple[np.ndarray, bool]:
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


def _distinct(values: np.ndarray) -> np.ndarray:
    """Sorted, each once: sorting is several times faster than hashing here."""
    values = _sorted(values)
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values


def _sorted(values: np.ndarray) -> np.ndarray:
    """Many by polars, which sorts words on all cores."""
    return np.sort(values) if len(values) < _FEW else pl.Series(values).sort().to_numpy()


def _all(records: Records, name: str) -> tuple[np.ndarray, np.ndarray]:
    tokens = records.key(name)
    rows = np.flatnonzero(tokens != NULL)
    return tokens[rows] >> ROW_BITS, rows


def _blocks(block: np.ndarray, rows: np.ndarray) -> _Blocks:
    """Sorting words that hold the token's high bits and the row number is several times faster than
    sorting by token; two tokens that fall together propose a pair more, and no wrong link."""
    packed = _sorted((block << ROW_BITS) | rows.astype(np.uint64))
    block = packed >> ROW_BITS
    new = np.concatenate([[True], block[1:] != block[:-1]]) if len(block) else np.zeros(0, dtype=bool)
    start = np.flatnonzero(new)
    size = np.diff(np.append(start, len(block)))
    row = (packed & ((np.uint64(1) << ROW_BITS) - np.uint64(1))).astype(np.int32)
    return _Blocks(block[start], row, start, size)


def _remembered(blocks: _Blocks) -> frozen.Sizes:
    large = blocks.size > frozen.UNREMEMBERED
    return blocks.block[large], blocks.size[large].astype(np.uint32)


def _cap(sizes: np.ndarray, budget: int) -> tuple[int, np.ndarray]:
    """The largest block size at which all blocks up to it fit the budget, and the sizes beyond it."""
    each = np.bincount(sizes, minlength=1).astype(np.int64)
    size = np.arange(len(each), dtype=np.int64)
    fits = np.cumsum(each * size * (size - 1) // 2) <= budget
    cap = int(fits.sum()) - 1
    return cap, np.sort(sizes[sizes > cap])


def _pairs(blocks: _Blocks, go: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def _pairs_of(blocks: _Blocks, go: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a wanted row with each other row of its block, of blocks that `go`; two wanted
    ones twice."""
    block = np.repeat(np.arange(len(blocks.size)), blocks.size)
    at = np.flatnonzero(wanted[blocks.rows] & go[block])
    size = blocks.size[block[at]]
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    one = np.repeat(blocks.rows[at], size)
    other = blocks.rows[np.repeat(blocks.start[block[at]], size) + within]
    return one[one != other], other[one != other]


def _bits(sizes: np.ndarray) -> np.ndarray:
    # the exponent of n − 1 is log₂ n, rounded up
    return np.frexp(np.maximum(1, sizes) - 1)[1].astype(np.uint8)
