"""How far two records agree, field by field: the strictest level that their tokens show.

In tier `fields` a level is seen directly: its parts' tokens are equal. In tier `tokens` it is deduced from
the keys that both records have, and those that they share (`deduction`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from leadhub.foundation import cores
from leadhub.identity.linkage import deduction
from leadhub.identity.linkage.candidates import Candidates
from leadhub.identity.linkage.deduction import Rarest
from leadhub.identity.linkage.neighbours import Lists, Neighbours
from leadhub.identity.linkage.records import Records
from leadhub.identity.linkage.schema import DIFFER, UNKNOWN
from leadhub.identity.linkage.words import NULL

#: pairs whose two rows fit the processor's cache
_CHUNK = 1 << 13
#: columns of a table's row that are filled together
_LINE = 8
#: match keys that are compared together; a bit each
_WORD = 32


@dataclass(frozen=True)
class Compared:
    """Of each pair: `codes` (fields, pairs) uint8, see `levels`; of tier `tokens` alone: `excess`, log₂
    of how many times more records the smallest block that the pair shares holds than one person has;
    `beyond`, bits that a shared key tells more than its parts usually do, since common values have no
    token."""

    codes: np.ndarray
    excess: np.ndarray
    beyond: np.ndarray

    def only(self, at: np.ndarray) -> Compared:
        """Some of the pairs."""
        excess, beyond = (each[at] if len(each) else each for each in (self.excess, self.beyond))
        return Compared(self.codes[:, at], excess, beyond)


def compare(records: Records, pairs: Candidates) -> Compared:
    """Compare candidate pairs."""
    if 4 * len(pairs.left) < len(records):
        records, pairs = _narrowed(records, pairs)
    if records.tier == "fields":
        codes = field_codes(records, pairs.left, pairs.right)
        none = np.zeros(0, dtype=np.uint8)
        return Compared(codes, none, none)
    return _by_keys(records, pairs)


def _narrowed(records: Records, pairs: Candidates) -> tuple[Records, Candidates]:
    """The records that stand in a pair, and the pairs by their rows among them."""
    within = np.zeros(len(records), dtype=bool)
    within[pairs.left] = within[pairs.right] = True
    number, rows = np.cumsum(within) - 1, np.flatnonzero(within)
    common = pairs.commonness[:, rows]
    moved = replace(pairs, left=number[pairs.left], right=number[pairs.right], commonness=common)
    return records.only(rows), moved


def field_codes(
    records: Records, left: np.ndarray, right: np.ndarray, several: Collection[str] | None = None
) -> np.ndarray:
    """Codes of pairs in tier `fields`. Of parts with several values, which are the dearest to look at, all
    are, or `several` alone, as if no two records shared a value of the others."""
    fields = records.schema.fields
    out = np.empty((len(fields), len(left)), dtype=np.uint8)
    table = _Table(records, [n for n, p in records.schema.parts.items() if not p.many], "p_")
    many = [name for name, part in records.schema.parts.items() if part.many]
    looked_at = {name: records.several(name) for name in (many if several is None else several)}

    def fill(at: int) -> None:
        part = slice(at, at + _CHUNK)
        chunk = _Chunk(records, table, looked_at, left[part], right[part])
        for i, name in enumerate(fields):
            out[i, part] = chunk.field(name)

    cores.each(fill, range(0, len(left), _CHUNK))
    return out


class _Table:
    """Token columns as rows, so that a pair needs two places of memory and not two for each column. Half a
    word each is enough to compare: blocks were found by the other half."""

    def __init__(self, records: Records, names: list[str], prefix: str):
        self.names = names
        self._rows = np.empty((len(records), len(names)), dtype=np.uint32)

        def fill(at: int) -> None:
            some = slice(at, at + _LINE)
            columns = [_half(records.column(prefix + name)) for name in names[some]]
            # rows that stay in the cache until all of these columns are in them
            for begin in range(0, len(records), _CHUNK):
                rows = slice(begin, begin + _CHUNK)
                for i, column in enumerate(columns, at):
                    self._rows[rows, i] = column[rows]

        cores.each(fill, range(0, len(names), _LINE), much=len(records) > cores.FEW)

    def compare(
        self, left: np.ndarray, right: np.ndarray, *, by_pair: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Whether both have a value, and whether it is equal: (columns, pairs), or (pairs, columns)."""
        one, other = self._rows.take(left, axis=0), self._rows.take(right, axis=0)
        known = (one != 0) & (other != 0)
        equal = known & (one == other)
        return (known, equal) if by_pair else (known.T.copy(), equal.T.copy())


def _half(column: np.ndarray) -> np.ndarray:
    half = column.astype(np.uint32)
    # a token is no missing value, whatever its half
    return np.maximum(half, column != NULL, out=half)


class _Chunk:
    """Some pairs: which parts both records have, and which are equal."""

    def __init__(
        self,
        records: Records,
        table: _Table,
        several: dict[str, Neighbours | Lists],
        left: np.ndarray,
        right: np.ndarray,
    ):
        self._records, self._several, self._left, self._right = records, several, left, right
        self._fields: dict[str, np.ndarray] = {}
        known, equal = table.compare(left, right)
        self._parts = {name: (known[i], equal[i]) for i, name in enumerate(table.names)}

    def _known(self, name: str) -> np.ndarray:
        """Whether both records have a part."""
        if name in self._parts:
            return self._parts[name][0]
        return self._several[name].known(self._left, self._right)

    def _equal(self, name: str, among: np.ndarray) -> np.ndarray:
        """Whether the pairs at these places agree on a part."""
        if name in self._parts:
            return self._parts[name][1][among]
        if name not in self._several:
            return np.zeros(len(among), dtype=bool)
        return self._several[name].share(self._left[among], self._right[among])

    def field(self, name: str) -> np.ndarray:
        if name in self._fields:
            return self._fields[name]
        field = self._records.schema.fields[name]
        known = np.logical_or.reduce([self._known(p) for p in field.known_by])
        if field.unless_known:
            known &= self.field(field.unless_known) == UNKNOWN
        for other, level in field.void_where.items():
            known &= self.field(other) != self._records.schema.fields[other].code(level)
        codes = known.astype(np.uint8) * np.uint8(DIFFER)
        open_ = np.flatnonzero(known)
        for level, facts in field.levels.items():
            reached = np.zeros(len(open_), dtype=bool)
            for parts in facts.equal:
                reached |= np.logical_and.reduce([self._equal(p, open_) for p in parts])
            codes[open_[reached]] = field.code(level)
            open_ = open_[~reached]
        self._fields[name] = codes
        return codes


def _by_keys(records: Records, pairs: Candidates) -> Compared:
    schema, names = records.schema, list(records.schema.key_names)
    count = len(pairs.left)
    words = (len(names) + _WORD - 1) // _WORD
    shared, both = np.empty((2, words, count), dtype=np.uint32)
    rarest = Rarest(schema, pairs.limits, count)
    # a word of keys at a time: the rows of all keys would be the largest thing in memory
    for word, at in enumerate(range(0, len(names), _WORD)):
        table = _Table(records, names[at : at + _WORD], "k_")

        def fill(begin: int, word: int = word, at: int = at, table: _Table = table) -> None:
            part = slice(begin, begin + _CHUNK)
            left = pairs.left[part]
            known, same = table.compare(left, pairs.right[part], by_pair=True)
            both[word, part], shared[word, part] = _masks(known), _masks(same)
            # few keys are shared: they are gone through one by one
            pair, key = np.divmod(np.flatnonzero(same), same.shape[1])
            rarest.add(part, pair, key + at, pairs.commonness[key + at, left[pair]])

        cores.each(fill, range(0, count, _CHUNK))
        # and with it the table, before the next is made
        del fill, table
    return Compared(deduction.codes(schema, shared, both), rarest.excess(), rarest.beyond)


def _masks(flags: np.ndarray) -> np.ndarray:
    """(pairs, keys of a word) of bool as a word of bits a pair."""
    packed = np.zeros((len(flags), _WORD // 8), dtype=np.uint8)
    bits = np.packbits(flags, axis=1, bitorder="little")
    packed[:, : bits.shape[1]] = bits
    return packed.view(np.uint32)[:, 0]
