"""Token tables of all feeds as arrays: row i is the i-th record id in order, a token is a word."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from leadhub.foundation import cores
from leadhub.foundation.errors import TerminalError
from leadhub.identity.linkage import neighbours, words
from leadhub.identity.linkage.neighbours import Lists, Neighbours
from leadhub.identity.linkage.schema import LinkageSchema, Tier
from leadhub.identity.linkage.words import NULL

#: column of the tokens of state identification numbers
NYSID = "nysid_token"
_ODD = 0x9E3779B97F4A7C15
#: so many records that their tokens are nothing beside the table
_FEW = 1 << 12
_WORD = (1 << 64) - 1


@dataclass(frozen=True)
class Records:
    """`alone` says whether the record's feed holds each person once. Columns are read from `table` when
    asked for (`column`): all at once would be its size again; `order` are its rows, None where they stand
    in order already. `parts` are columns that were read already: in tier `fields` each is in many keys."""

    schema: LinkageSchema
    tier: Tier
    ids: pl.Series
    feed_names: list[str]
    feeds: np.ndarray
    alone: np.ndarray
    table: pa.Table
    parts: dict[str, np.ndarray]
    order: np.ndarray | None
    apart: np.ndarray | None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def rows(self) -> np.ndarray:
        """Of each record, its row in the table."""
        return np.arange(len(self)) if self.order is None else self.order

    def may_be_one(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """False for two records of a feed that holds each person once."""
        one = self._once[left]
        return (one != self._once[right]) | (one == 0)

    def same_nysid(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Pairs of one number, where both have one."""
        one = self.nysid[left]
        return (one == self.nysid[right]) & (one != NULL)

    def other_nysid(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Pairs of two numbers."""
        one, other = self.nysid[left], self.nysid[right]
        return (one != other) & (one != NULL) & (other != NULL)

    @cached_property
    def _once(self) -> np.ndarray:
        """The feed's number from 1 on where it holds each person once, else 0; narrow, to stay in cache."""
        return np.where(self.alone, self.feeds + 1, 0).astype(np.uint16)

    def possible_pairs(self) -> float:
        """Pairs of records that could be one person, before any token is looked at."""
        feeds = np.bincount(self.feeds[self.alone])
        within = int((feeds * (feeds - 1) // 2).sum())
        return float(max(1, len(self) * (len(self) - 1) // 2 - within))

    def most_pairs(self) -> float:
        """How many pairs of one person there can be: all, where a feed may hold a person twice."""
        if not self.alone.all():
            return self.possible_pairs()
        sizes = np.sort(np.bincount(self.feeds, minlength=1))
        # a person in every feed: the i-th smallest feed meets all larger ones
        return float(max(1, (sizes * np.arange(len(sizes))[::-1]).sum()))

    def only(self, rows: np.ndarray) -> Records:
        """Some of the records, in the order of `rows`."""
        some = replace(
            self,
            ids=self.ids.gather(rows),
            feeds=self.feeds[rows],
            alone=self.alone[rows],
            order=rows if self.order is None else self.order[rows],
            apart=None if self.apart is None else self.apart[rows],
            parts=_read(self.parts, lambda name: self.parts[name][rows], len(rows)),
        )
        return some.read()

    def read(self) -> Records:
        """The same, with `parts` read; in tier `tokens` the keys of a few records, which are looked at
        twice."""
        if self.tier == "tokens":
            names = [*self.columns] if len(self) <= _FEW else []
        else:
            names = [f"p_{name}" for name, part in self.schema.parts.items() if not part.many]
        return replace(self, parts=_read(names, self.column, len(self)))

    @cached_property
    def nysid(self) -> np.ndarray:
        """uint64 a record."""
        return self.column(NYSID)

    def several(self, part: str) -> Neighbours | Lists:
        """Tier `fields`: what records share of a part with several values."""
        if part not in self._several:
            find = neighbours.find if len(self) == self.table.num_rows else neighbours.lists
            self._several[part] = find(self.columns.get(f"p_{part}"), self.rows, self.apart)
        return self._several[part]

    @cached_property
    def _several(self) -> dict[str, Neighbours | Lists]:
        return {}

    @cached_property
    def columns(self) -> dict[str, pa.ChunkedArray]:
        """The table's, by name: to look one up there takes longer than to read a few of its words. Tables
        tokenised before a key existed do not have its column."""
        return dict(zip(self.table.column_names, self.table.columns))

    def compared(self) -> Records:
        """The records without their tokens, which are most of what they take: once pairs are weighed,
        nothing asks for them."""
        kept = [NYSID] if NYSID in self.columns else []
        return replace(self, table=self.table.select(kept), parts={})

    @property
    def rare_parts(self) -> tuple[str, ...]:
        """Parts whose values' frequencies are weighed; in tier `tokens`, how common a token is says it."""
        weighed = (field.rare for field in self.schema.fields.values())
        return tuple(part for part in weighed if part) if self.tier == "fields" else ()

    @cached_property
    def key_names(self) -> tuple[str, ...]:
        """What records may be brought together by."""
        keys = self.schema.candidate_keys if self.tier == "fields" else self.schema.match_keys
        return (*("+".join(k) for k in keys), "nysid")

    def holding(self, names: tuple[str, ...]) -> np.ndarray:
        """Which of some keys that are stored each record has, as bit masks of words (words, records)."""
        held = words.no_masks(len(names), len(self))

        def fill(word: int) -> None:
            for bit, name in enumerate(names[word * words.BITS : (word + 1) * words.BITS]):
                column = self.columns.get(f"k_{name}")
                for chunk, (here, at) in () if column is None else self._pieces(words.as_words(column)):
                    held[word][here] |= words.there(chunk, at).astype(np.uint64) << np.uint64(bit)

        cores.each(fill, range(len(held)))
        return held

    def key(self, name: str) -> np.ndarray:
        """A match key's token: stored, or in tier `fields` put together from the parts'."""
        columns = [self.column(c) for c in self.columns_of(name)]
        return columns[0] if len(columns) == 1 else words.combined(columns)

    def columns_of(self, key: str) -> list[str]:
        """The token columns that a match key is made of."""
        if key == "nysid":
            return [NYSID]
        return [f"k_{key}"] if self.tier == "tokens" else [f"p_{part}" for part in key.split("+")]

    def column(self, name: str) -> np.ndarray:
        """A token column, uint64 a record."""
        if name in self.parts:
            return self.parts[name]
        if name not in self.columns:
            return np.zeros(len(self), dtype=np.uint64)
        column = words.as_words(self.columns[name])
        found = words.whole(column) if self.order is None else self._ordered(column)
        return found if self.apart is None else np.where(found == NULL, NULL, found ^ self.apart)

    def _ordered(self, column: pa.ChunkedArray) -> np.ndarray:
        if 4 * len(self) >= len(column):
            return words.whole(column)[np.asarray(self.order)]
        # a few, chunk by chunk: Arrow would put the chunks together first
        found = np.empty(len(self), dtype=np.uint64)
        for chunk, (here, at) in self._pieces(column):
            found[here] = words.known(chunk, at)
        return found

    def _pieces(self, column: pa.ChunkedArray) -> Iterator[tuple[pa.Array, tuple[np.ndarray, np.ndarray]]]:
        """Each chunk of a column, which records stand in it, and where. Columns are mostly of one kind."""
        lengths = tuple(map(len, column.chunks))
        if lengths not in self._split:
            ends = np.cumsum(lengths)
            chunk = np.searchsorted(ends, self.rows, side="right")
            of = [np.flatnonzero(chunk == i) for i in range(len(lengths))]
            self._split[lengths] = [(at, self.rows[at] - end + n) for at, end, n in zip(of, ends, lengths)]
        return zip(column.chunks, self._split[lengths])

    @cached_property
    def _split(self) -> dict[tuple[int, ...], list[tuple[np.ndarray, np.ndarray]]]:
        return {}


def _read(names: Iterable[str], column: Callable[[str], np.ndarray], records: int) -> dict[str, np.ndarray]:
    return dict(zip(names, cores.each(column, names, much=records > cores.FEW)))


def encode(
    table: pa.Table, one_per_person: frozenset[str], schema: LinkageSchema, tier: Tier | None = None
) -> Records:
    """`table`: token tables of all feeds, concatenated (`tokens.columns`).

    Tokens under different markers (key versions, schemas) never meet.

    Raises: TerminalError `state_invalid` where a record id is missing or stands twice, or where the
    tables hold another tier than `tier`, or two.
    """
    found = as_they_lie(table, one_per_person, schema, tier)
    if found.ids.null_count() or found.ids.n_unique() != len(found):
        raise twice()
    order = found.ids.arg_sort().to_numpy()
    return found.read() if _rising(order) else found.only(order)


def twice() -> TerminalError:
    return TerminalError(
        "state_invalid", "the token tables hold a record id twice or none; rebuild them from landing"
    )


def as_they_lie(
    table: pa.Table, one_per_person: frozenset[str], schema: LinkageSchema, tier: Tier | None = None
) -> Records:
    """The same as `encode`, but records stand in the order of the table, nothing is asked of their ids, and
    no token is read before it is asked for. So it costs little where few records are looked at.

    Raises: TerminalError `state_invalid` where the tables hold another tier than `tier`, or two.
    """
    markers, marker = _coded(table.column("marker"))
    tiers = sorted({m.rpartition(".")[2] for m in markers})
    if len({*tiers, tier} - {None}) > 1:
        raise TerminalError(
            "state_invalid",
            f"the token tables hold tiers {tiers}, asked for is [{tier}]; keep to the tier that they have, "
            "or have all feeds sent whole again",
        )
    tier = tiers[0] if tiers else tier or "tokens"  # type: ignore[assignment]
    feed_names, feeds = _coded(table.column("feed"))
    once = np.array([name in one_per_person for name in feed_names], dtype=bool)
    by_marker = apart(markers)
    return Records(
        schema=schema.seen_in(tier),  # type: ignore[arg-type]
        tier=tier,  # type: ignore[arg-type]
        ids=pl.Series("record_id", pl.from_arrow(table.column("record_id")), dtype=pl.String),
        feed_names=feed_names,
        feeds=feeds,
        alone=once[feeds],
        table=table.select([c for c in table.column_names if c == NYSID or c.startswith(("k_", "p_"))]),
        parts={},
        order=None,
        apart=None if by_marker is None else by_marker[marker],
    )


def _coded(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """A column's values, sorted, and each row's place among them. What stands in a file is the same in
    long runs."""
    runs = [pc.run_end_encode(chunk) for chunk in column.cast(pa.string()).chunks]
    values = [value for run in runs for value in run.values.to_pylist()]
    lengths = [np.diff(run.run_ends.to_numpy(), prepend=0) for run in runs]
    names = sorted(set(values), key=lambda name: (name is not None, name))
    place = dict(zip(names, range(len(names))))
    codes = np.array([place[v] for v in values], dtype=np.int64)
    return names, np.repeat(codes, np.concatenate([*lengths, np.zeros(0, dtype=np.int64)]))


def apart(markers: list[str]) -> np.ndarray | None:
    """A word for each marker, to be added to its records' tokens; None where there is one marker."""
    if len(markers) < 2:
        return None
    return np.array([zlib.crc32(m.encode()) * _ODD & _WORD for m in markers], dtype=np.uint64)


def _rising(order: np.ndarray) -> bool:
    """Whether the rows stand in order already (`order` is a permutation)."""
    return not len(order) or bool((order[1:] > order[:-1]).all())
