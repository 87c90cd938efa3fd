"""Pairs of a few records with any other that are worth comparing: `candidates`, for those few alone.

A record shares some key with a dozen others or two, and with most of them one weak key and nothing more.
So before a pair is compared it is asked what it can weigh at most (`Model.at_most`): by the keys that it
shares, or in tier `fields` by the parts that hold one value. What cannot reach `least` bits goes no
further.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from leadhub.foundation import cores
from leadhub.identity import keyed
from leadhub.identity.linkage import candidates, deduction, sieve, training, words
from leadhub.identity.linkage.candidates import Candidates
from leadhub.identity.linkage.comparison import Compared, field_codes
from leadhub.identity.linkage.deduction import Rarest
from leadhub.identity.linkage.limits import Limits
from leadhub.identity.linkage.model import Model
from leadhub.identity.linkage.records import Records
from leadhub.identity.linkage.schema import DIFFER
from leadhub.identity.linkage.sieve import ROW_BITS
from leadhub.identity.linkage.words import NULL

#: low bits of a word that hold a key's number (`schema.MOST_CANDIDATES`); of a pair that was given, none
_KEY_BITS = np.uint64(8)
_GIVEN = 255
#: fields whose parts with several values are looked at before pairs are compared by all
_ROUNDS = 2
_NOTHING = np.zeros(0, dtype=np.uint8)
#: bits by which two sums of the same weights may differ
ROUNDING = 0.01


@dataclass(frozen=True)
class Near:
    """`among`: the records that stand in pairs, in order of rows, by whose numbers `pairs` are told;
    `compared` where finding them has told it already (tier `tokens`)."""

    among: Records
    pairs: Candidates
    compared: Compared | None


def find(
    records: Records,
    of: np.ndarray,
    also: tuple[np.ndarray, np.ndarray] | None,
    model: Model,
    limits: Limits,
    least: float,
) -> Near | None:
    """`records` are `as_they_lie`, `of`: rows of the few, rising. The pairs with one of them that share a
    key, may be one person and may weigh `least` bits, and all pairs `also`, given by rows. None where a
    block has grown too large."""
    few = _Few(records, of, limits)
    made = cores.each(few.meet, range(len(records.key_names)))
    if any(grown for _, grown in made):
        return None
    found = _distinct(few, [packed for packed, _ in made], also)
    likely = _by_keys if records.tier == "tokens" else _by_parts
    return likely(few, found, model, least)


def _by_keys(few: _Few, found: _Pairs, model: Model, least: float) -> Near:
    schema = few.records.schema
    among, left, right = few.among(found)
    found = few.sharing(found, among, left, right)
    shared, rarest = few.shared(found)
    seen = deduction.codes(schema, shared, shared)
    compared = Compared(seen, rarest.excess(), rarest.beyond)
    kept = few.kept(found, model.at_most(schema), compared, among, left, right, least)
    at = np.flatnonzero(kept)
    among, left, right = few.among(found.only(kept), among)
    # which keys differ takes no token: both records have them, and do not share them
    held = among.holding(schema.key_names)
    known = deduction.codes(schema, shared[:, at], held[:, left] & held[:, right])
    return _in_order(few, among, left, right, replace(compared.only(at), codes=known))


def _by_parts(few: _Few, found: _Pairs, model: Model, least: float) -> Near:
    schema, among = few.records.schema, None
    for several in _in_turn(few.records, model):
        among, left, right = few.among(found, among)
        seen = Compared(field_codes(among, left, right, several), _NOTHING, _NOTHING)
        kept = few.kept(found, model.at_most(schema, several), seen, among, left, right, least)
        found = found.only(kept)
    among, left, right = few.among(found, among)
    return _in_order(few, among, left, right, None)


def _in_order(
    few: _Few, among: Records, own: np.ndarray, other: np.ndarray, compared: Compared | None
) -> Near:
    left, right = np.minimum(own, other), np.maximum(own, other)
    order = np.lexsort((right, left))
    pairs = Candidates(
        left=left[order],
        right=right[order],
        commonness=np.zeros((0, len(among)), dtype=np.uint8),
        left_out=keyed.to_arrow(pl.DataFrame(schema=candidates.LEFT_OUT_SCHEMA)),
        limits=few.limits,
    )
    return Near(among, pairs, compared and compared.only(order))


def _in_turn(records: Records, model: Model) -> list[set[str]]:
    """The parts with several values that are looked at in each round: none, then those of the field that
    they may change most, and of the next."""
    schema, most, turns = records.schema, model.at_most(records.schema), [set[str]()]
    changed = {name: most.chance[name][DIFFER] - bits[DIFFER] for name, bits in model.chance.items()}
    for name in sorted(changed, key=lambda name: -changed[name])[:_ROUNDS]:
        turns.append(
            turns[-1].union(*(schema.several(name, level) for level in schema.fields[name].levels))
        )
    return turns


@dataclass(frozen=True)
class _Pairs:
    """Pairs of one of the few (`one`: its place among them) with another row; and what they share: which
    pair, which key."""

    one: np.ndarray
    row: np.ndarray
    pair: np.ndarray
    key: np.ndarray

    def only(self, kept: np.ndarray) -> _Pairs:
        shared = kept[self.pair]
        number = np.cumsum(kept) - 1
        return _Pairs(self.one[kept], self.row[kept], number[self.pair[shared]], self.key[shared])


class _Few:
    """A few records (`some`), by their rows (`of`), and what they ask for."""

    def __init__(self, records: Records, of: np.ndarray, limits: Limits):
        self.records, self.of, self.some, self.limits = records, of, records.only(of), limits
        shape = len(records.key_names), len(of)
        #: by key: log₂ of how many records share the token of each (`Candidates.commonness`)
        self.common = np.zeros(shape, dtype=np.uint8)
        #: by key: which of them stand in a block that is left out
        self.left_out = np.zeros(shape, dtype=bool)
        #: of each row, whether it is one of them
        self.wanted = np.zeros(len(records), dtype=bool)
        self.wanted[of] = True
        self._room = sieve.Room()

    def meet(self, key: int) -> tuple[np.ndarray, bool]:
        """Pairs that share a key and may be one person, packed; and whether a block has grown too large."""
        name = self.records.key_names[key]
        cap = self.limits.caps.get(name, candidates.MOST_RECORDS)
        tokens = self.some.key(name)
        there = np.flatnonzero(tokens != NULL)
        blocks = candidates.blocks_of(tokens[there] >> ROW_BITS, there)
        sizes = self.limits.block_sizes(name, blocks.block)
        self.common[key][blocks.rows] = np.repeat(candidates.log_sizes(sizes), blocks.size)
        self.left_out[key][blocks.rows] = np.repeat(sizes > cap, blocks.size)
        asked = np.flatnonzero(sizes <= cap)
        rows, which, met = sieve.meeting(self.records, blocks.block[asked], name, self._room)
        if np.bincount(which, minlength=1).max() > max(cap, candidates.MOST_RECORDS):
            # its pairs are too many to be written down, and nobody will look at them
            return np.zeros(0, dtype=np.uint64), True
        size, start = blocks.size[asked[which]], blocks.start[asked[which]]
        within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        one, row = blocks.rows[np.repeat(start, size) + within], np.repeat(rows, size)
        own = self.of[one]
        # of two of the few, the later one has the pair
        apt = self.records.may_be_one(own, row) & ~(self.wanted[row] & (row >= own))
        if self.records.tier == "tokens":
            # two tokens may fall into one block, and here nobody looks at them again
            apt &= tokens[one] == np.repeat(met, size)
        return self._packed(one[apt], row[apt], key), False

    def given(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Pairs by rows, left < right, packed."""
        own = np.where(self.wanted[right], right, left)
        return self._packed(np.searchsorted(self.of, own), left + right - own, _GIVEN)

    def _packed(self, one: np.ndarray, row: np.ndarray, key: int) -> np.ndarray:
        pair = one.astype(np.uint64) * np.uint64(len(self.records)) + row.astype(np.uint64)
        return (pair << _KEY_BITS) | np.uint64(key)

    def sharing(self, found: _Pairs, among: Records, left: np.ndarray, right: np.ndarray) -> _Pairs:
        """The pairs with the keys besides by which they were not brought together, since the blocks are
        left out, or they were given."""
        given = np.zeros(len(found.one), dtype=bool)
        given[found.pair[found.key == _GIVEN]] = True
        pair, key = [found.pair], [found.key]
        for at, name in enumerate(self.records.schema.key_names):
            asked = np.flatnonzero(self.left_out[at][found.one] | given)
            if len(asked):
                tokens = among.key(name)
                same = (tokens[left[asked]] == tokens[right[asked]]) & (tokens[left[asked]] != NULL)
                pair.append(asked[same])
                key.append(np.full(len(pair[-1]), at))
        return _Pairs(found.one, found.row, np.concatenate(pair), np.concatenate(key))

    def shared(self, found: _Pairs) -> tuple[np.ndarray, Rarest]:
        """Which keys each pair shares, as bit masks of words (words, pairs); how rare their values are."""
        schema, count = self.records.schema, len(found.one)
        by_key = found.key < len(schema.match_keys)
        pair, key = found.pair[by_key], found.key[by_key]
        shared = words.no_masks(len(schema.match_keys), count)
        bit = np.uint64(1) << (key % words.BITS).astype(np.uint64)
        np.bitwise_or.at(shared.reshape(-1), key // words.BITS * count + pair, bit)
        rarest = Rarest(schema, self.limits, count)
        rarest.add(slice(None), pair, key, self.common[key, found.one[pair]])
        return shared, rarest

    def kept(
        self,
        found: _Pairs,
        most: Model,
        seen: Compared,
        among: Records,
        left: np.ndarray,
        right: np.ndarray,
        least: float,
    ) -> np.ndarray:
        """Which pairs go on, of which `seen` is known."""
        rarity = training.rarity(among, left, right, seen, self.limits)
        bits = most.weigh(self.records.schema, seen.codes, rarity)
        kept = (bits >= least - ROUNDING) | among.same_nysid(left, right)
        kept[found.pair[found.key == _GIVEN]] = True
        return kept

    def among(self, found: _Pairs, held: Records | None = None) -> tuple[Records, np.ndarray, np.ndarray]:
        """The records that stand in pairs, in order of rows, and both sides by their number among these;
        `held`: some that hold them all and have read their parts."""
        within, own = np.zeros(len(self.records), dtype=bool), self.of[found.one]
        within[own] = within[found.row] = True
        number = np.cumsum(within, dtype=np.int32) - 1
        rows = np.flatnonzero(within)
        some = self.records.only(rows) if held is None else held.only(np.searchsorted(held.rows, rows))
        return some, number[own], number[found.row]


def _distinct(few: _Few, made: list[np.ndarray], also: tuple[np.ndarray, np.ndarray] | None) -> _Pairs:
    packed = words.in_order(np.concatenate([*made, *([few.given(*also)] if also else [])]))
    pair, key = packed >> _KEY_BITS, (packed & np.uint64(_GIVEN)).astype(np.int64)
    new = words.begins(pair)
    one, row = np.divmod(pair[new].astype(np.int64), max(1, len(few.records)))
    return _Pairs(one, row, np.cumsum(new) - 1, key)
