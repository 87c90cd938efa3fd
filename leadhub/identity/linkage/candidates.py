"""Pairs worth comparing: records that share a match key, each pair once.

A block is all records with one token. A block that is large beyond reason (a shelter's telephone) says
little and would make pairs by the million, so each key has a budget of pairs: its largest blocks are
left out until the rest fits, and what was left out is reported, never silent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.foundation.errors import TerminalError
from leadhub.identity import keyed
from leadhub.identity.linkage.schema import MATCH_KEYS

NYSID = "nysid_token"
NULL = -1

#: pairs that one match key may propose, a record
PAIRS_PER_RECORD = 5

LEFT_OUT_SCHEMA = {"key": pl.String, "blocks": pl.Int64, "records": pl.Int64}


@dataclass(frozen=True)
class Records:
    """Token table as numbers: row i is the i-th record id in order; equal tokens have equal codes.

    `codes` maps column → int32 codes (`NULL` where missing), `sizes` → records with the code;
    `alone` says whether the record's feed holds each person once.
    """

    ids: pl.Series
    feed_names: list[str]
    feeds: np.ndarray
    alone: np.ndarray
    codes: dict[str, np.ndarray]
    sizes: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.ids)

    def may_be_one(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """False for two records of a feed that holds each person once."""
        return ~((self.feeds[left] == self.feeds[right]) & self.alone[left])

    def possible_pairs(self) -> float:
        """Pairs of records that could be one person, before any token is looked at."""
        feeds = np.bincount(self.feeds[self.alone])
        within = int((feeds * (feeds - 1) // 2).sum())
        return float(max(1, len(self) * (len(self) - 1) // 2 - within))


def encode(tokens: pa.Table, one_per_person: frozenset[str]) -> Records:
    """Raises: TerminalError `state_invalid` where a record id is missing or stands twice."""
    frame = pl.DataFrame(pl.from_arrow(tokens)).sort("record_id")
    ids = frame.get_column("record_id").cast(pl.String)
    if ids.null_count() or ids.n_unique() != len(ids):
        raise TerminalError(
            "state_invalid", "the token tables hold a record id twice or none; rebuild them from landing"
        )
    feed_names = sorted(frame.get_column("feed").unique().to_list())
    place = {name: i for i, name in enumerate(feed_names)}
    feeds = np.array([place[name] for name in frame.get_column("feed").to_list()], dtype=np.int32)
    once = np.array([name in one_per_person for name in feed_names], dtype=bool)
    codes, sizes = {}, {}
    for column in (*(k.column for k in MATCH_KEYS), NYSID):
        # tables tokenised before a key existed do not have its column
        values = frame.get_column(column, default=pl.Series([None] * len(ids), dtype=pl.String))
        codes[column] = _codes(values)
        known = codes[column][codes[column] != NULL]
        sizes[column] = np.bincount(known, minlength=1)
    return Records(ids, feed_names, feeds, once[feeds], codes, sizes)


def _codes(values: pl.Series) -> np.ndarray:
    encoded = keyed.to_array(values).dictionary_encode()
    return encoded.indices.fill_null(NULL).to_numpy().astype(np.int32)


def find(records: Records) -> tuple[np.ndarray, np.ndarray, pa.Table]:
    """Row numbers `left` < `right` of all candidate pairs, sorted, and the table of what was left out.

    The table has columns key, blocks, records.
    """
    total = np.int64(len(records))
    found = np.empty(0, dtype=np.int64)
    left_out = []
    for column, codes in records.codes.items():
        cap, lost = _cap(records.sizes[column], PAIRS_PER_RECORD * len(records))
        if len(lost):
            left_out.append((column.removeprefix("k_"), len(lost), int(lost.sum())))
        left, right = _pairs(codes, records.sizes[column], cap)
        apt = records.may_be_one(left, right)
        packed = left[apt].astype(np.int64) * total + right[apt]
        found = np.unique(np.concatenate([found, packed]))
    table = pl.DataFrame(left_out, schema=LEFT_OUT_SCHEMA, orient="row")
    if not len(records):
        return found, found, keyed.to_arrow(table)
    return found // total, found % total, keyed.to_arrow(table)


def _cap(sizes: np.ndarray, budget: int) -> tuple[int, np.ndarray]:
    """The largest block size at which all blocks up to it fit the budget, and the sizes beyond it."""
    each = np.bincount(sizes).astype(np.int64)
    size = np.arange(len(each), dtype=np.int64)
    fits = np.cumsum(each * size * (size - 1) // 2) <= budget
    cap = int(fits.sum()) - 1
    return cap, np.sort(sizes[sizes > cap])


def _pairs(codes: np.ndarray, sizes: np.ndarray, cap: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs within blocks of 2 to `cap` records."""
    members = np.flatnonzero(codes != NULL)
    size = sizes[codes[members]]
    wanted = (size >= 2) & (size <= cap)
    members, size = members[wanted], size[wanted]
    lefts, rights = [], []
    for n in np.unique(size):
        rows = members[size == n]
        block = rows[np.argsort(codes[rows], kind="stable")].reshape(-1, n)
        one, other = np.triu_indices(int(n), 1)
        lefts.append(block[:, one].ravel())
        rights.append(block[:, other].ravel())
    if not lefts:
        none = np.empty(0, dtype=np.int64)
        return none, none
    return np.concatenate(lefts), np.concatenate(rights)
