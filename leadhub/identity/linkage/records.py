"""Token tables of all feeds as arrays: row i is the i-th record id in order, a token is a word."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from leadhub.foundation.errors import TerminalError
from leadhub.identity.linkage import neighbours
from leadhub.identity.linkage.neighbours import NULL, Neighbours
from leadhub.identity.linkage.schema import LinkageSchema, Tier

_ODD = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1


@dataclass(frozen=True)
class Records:
    """`nysid`: uint64 a record; `alone` says whether the record's feed holds each person once. Tier
    `tokens`: columns are read from `table` when asked for (`column`): all at once would be its size again;
    `order` are its rows, None where they stand in order already. Tier `fields`: `parts`, few, and each is
    in many keys."""

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
    several: dict[str, Neighbours]
    nysid: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def may_be_one(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """False for two records of a feed that holds each person once."""
        one = self._once[left]
        return (one != self._once[right]) | (one == 0)

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
        """Some of the records, in their order (`rows` rises)."""
        several = {n: replace(v, value=v.value[rows]) for n, v in self.several.items()}
        parts = {n: v[rows] for n, v in self.parts.items()}
        return replace(
            self,
            ids=self.ids.gather(rows),
            feeds=self.feeds[rows],
            alone=self.alone[rows],
            order=rows if self.order is None else self.order[rows],
            apart=None if self.apart is None else self.apart[rows],
            parts=parts,
            several=several,
            nysid=self.nysid[rows],
        )

    def compared(self) -> Records:
        """The records without their tokens, which are most of what they take: once pairs are weighed,
        nothing asks for them."""
        return replace(self, table=self.table.select([]), parts={}, several={})

    @property
    def rare_parts(self) -> tuple[str, ...]:
        """Parts whose values' frequencies are weighed; in tier `tokens`, how common a token is says it."""
        weighed = (field.rare for field in self.schema.fields.values())
        return tuple(part for part in weighed if part) if self.tier == "fields" else ()

    @property
    def key_names(self) -> tuple[str, ...]:
        """What records may be brought together by."""
        keys = self.schema.candidate_keys if self.tier == "fields" else self.schema.match_keys
        return (*("+".join(k) for k in keys), "nysid")

    def key(self, name: str) -> np.ndarray:
        """A match key's token: stored, or in tier `fields` put together from the parts'."""
        if name == "nysid":
            return self.nysid
        return self.column(f"k_{name}") if self.tier == "tokens" else self._combined(tuple(name.split("+")))

    def column(self, name: str) -> np.ndarray:
        """A token column, uint64 a record."""
        if self.tier == "fields":
            return self.parts[name]
        return _words(self.table, name, self.order, self.apart)

    def chunks(self, key: str) -> tuple[list[pa.Array], np.ndarray | None]:
        """A match key's tokens as they lie in memory, and the record at each place (None: in order)."""
        name = f"k_{key}"
        whole = self.apart is None and len(self) == self.table.num_rows
        if whole and name in self.table.column_names:
            return self.table.column(name).chunks, self._record
        return [pa.array(self.key(key))], None

    @cached_property
    def _record(self) -> np.ndarray | None:
        if self.order is None:
            return None
        record = np.empty(len(self), dtype=np.int32)
        record[self.order] = np.arange(len(self), dtype=np.int32)
        return record

    def _combined(self, key: tuple[str, ...]) -> np.ndarray:
        mixed = np.zeros(len(self), dtype=np.uint64)
        known = np.ones(len(self), dtype=bool)
        for i, part in enumerate(key):
            column = self.column(f"p_{part}")
            # the parts' tokens are uniform already: odd multiples keep their sums apart
            mixed += column * np.uint64((_ODD * (2 * i + 1)) & _WORD)
            known &= column != NULL
        mixed[~known] = NULL
        return mixed


def encode(
    table: pa.Table, one_per_person: frozenset[str], schema: LinkageSchema, tier: Tier | None = None
) -> Records:
    """`table`: token tables of all feeds, concatenated (`tokens.columns`).

    Tokens under different markers (key versions, schemas) never meet.

    Raises: TerminalError `state_invalid` where a record id is missing or stands twice, or where the
    tables hold another tier than `tier`, or two.
    """
    frame = pl.DataFrame(pl.from_arrow(table.select(["record_id", "feed", "marker"])))
    order = frame.get_column("record_id").arg_sort().to_numpy()
    frame = frame[order]
    ids = frame.get_column("record_id").cast(pl.String)
    if ids.null_count() or ids.n_unique() != len(ids):
        raise TerminalError(
            "state_invalid", "the token tables hold a record id twice or none; rebuild them from landing"
        )
    markers = frame.get_column("marker").unique().sort().to_list()
    tiers = sorted({m.rpartition(".")[2] for m in markers})
    if len({*tiers, tier} - {None}) > 1:
        raise TerminalError(
            "state_invalid",
            f"the token tables hold tiers {tiers}, asked for is [{tier}]; keep to the tier that they have, "
            "or have all feeds sent whole again",
        )
    tier = tiers[0] if tiers else tier or "tokens"  # type: ignore[assignment]
    feed_names = frame.get_column("feed").unique().sort().to_list()
    place = pl.DataFrame(
        {"feed": feed_names, "at": range(len(feed_names))}, {"feed": pl.String, "at": pl.Int64}
    )
    feeds = frame.select("feed").join(place, on="feed", how="left", maintain_order="left")["at"].to_numpy()
    once = np.array([name in one_per_person for name in feed_names], dtype=bool)
    apart = _apart(frame.get_column("marker"), markers)
    schema = schema.seen_in(tier)  # type: ignore[arg-type]
    ordered = None if _rising(order) else order
    several, parts = {}, {}
    for name, part in schema.parts.items() if tier == "fields" else ():
        column = f"p_{name}"
        if part.many:
            lists = table.column(column) if column in table.column_names else None
            several[column] = neighbours.find(lists, order, apart)
        else:
            parts[column] = _words(table, column, ordered, apart)
    nysid = _words(table, "nysid_token", ordered, apart)
    return Records(
        schema,
        tier,  # type: ignore[arg-type]
        ids,
        feed_names,
        feeds,
        once[feeds],
        table.select([c for c in table.column_names if c.startswith("k_")]),
        parts,
        ordered,
        apart,
        several,
        nysid,
    )


def _rising(order: np.ndarray) -> bool:
    """Whether the rows stand in order already (`order` is a permutation)."""
    return not len(order) or bool((order[1:] > order[:-1]).all())


def _apart(column: pl.Series, markers: list[str]) -> np.ndarray | None:
    """A word for each record's marker, to be added to its tokens; None where there is one marker."""
    if len(markers) < 2:
        return None
    words = [zlib.crc32(m.encode()) * _ODD & _WORD for m in markers]
    return column.replace_strict(markers, words, return_dtype=pl.UInt64).to_numpy()


def _words(table: pa.Table, name: str, order: np.ndarray | None, apart: np.ndarray | None) -> np.ndarray:
    if name not in table.column_names:
        # tables tokenised before a key existed do not have its column
        return np.zeros(table.num_rows if order is None else len(order), dtype=np.uint64)
    column = table.column(name).cast(pa.uint64())
    if order is not None and 4 * len(order) < len(column):
        words = _some(column, order)
    else:
        words, at = np.empty(len(column), dtype=np.uint64), 0
        for chunk in column.chunks:
            words[at : at + len(chunk)] = pc.fill_null(chunk, 0).to_numpy()
            at += len(chunk)
        words = words if order is None else words[order]
    return words if apart is None else np.where(words == NULL, NULL, words ^ apart)


def _some(column: pa.ChunkedArray, rows: np.ndarray) -> np.ndarray:
    """A few words of a column, chunk by chunk: Arrow would put the chunks together first."""
    words, at = np.empty(len(rows), dtype=np.uint64), 0
    for chunk in column.chunks:
        here = np.flatnonzero((rows >= at) & (rows < at + len(chunk)))
        words[here] = pc.fill_null(chunk.take(pa.array(rows[here] - at)), 0).to_numpy()
        at += len(chunk)
    return words
