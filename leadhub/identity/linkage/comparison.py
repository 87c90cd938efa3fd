"""How far two records agree, field by field: the strictest level that their tokens show.

In tier `fields` a level is seen directly: its parts' tokens are equal. In tier `tokens` it is deduced: a
shared match key says that all its parts are equal; a key that both records have and do not share says that
some part differs, and where all its other parts are known to be equal, it is that one. So keys that overlap
are counted once. Often a span of levels stays possible: each span has a code of its own (`spans`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from leadhub.foundation import cores
from leadhub.identity.linkage.candidates import Candidates
from leadhub.identity.linkage.limits import Limits
from leadhub.identity.linkage.neighbours import Lists, Neighbours
from leadhub.identity.linkage.records import NULL, Records
from leadhub.identity.linkage.schema import DIFFER, UNKNOWN, Field, LinkageSchema, Tier

#: pairs whose two rows fit the processor's cache
_CHUNK = 1 << 13
#: records of which one core puts columns into rows sooner than two share them out
_FEW = 1 << 16
#: columns of a table's row that are filled together
_LINE = 8
_NONE = np.uint8(255)
#: match keys that are compared together; a bit each
_WORD = 32
#: a value that no other record has may be this much rarer than one in all records
_UNSEEN_BITS = 4.0


@dataclass(frozen=True)
class Compared:
    """Of each pair: `codes` (fields, pairs) uint8, see `code_names`; of tier `tokens` alone: `excess`, log₂
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


def spans(field: Field, tier: Tier) -> tuple[tuple[int, int], ...]:
    """By code: the loosest and the strictest level that are possible (0 is "differ")."""
    top = len(field.levels)
    exact = [(i, i) for i in range(top + 1)]
    if tier == "tokens":
        exact += [
            (lo, hi) for lo in range(top + 1) for hi in range(lo + 1, top + 1) if (lo, hi) != (0, top)
        ]
    return ((0, top), *exact)


def code_names(field: Field, tier: Tier) -> tuple[str, ...]:
    """Names of a field's codes; a span is named by its ends."""
    names = field.names[DIFFER:]
    said = [names[lo] if lo == hi else f"{names[lo]} to {names[hi]}" for lo, hi in spans(field, tier)]
    return (field.names[UNKNOWN], *said[1:])


def grades(field: Field, tier: Tier) -> np.ndarray:
    """By code: 0 unknown, 1 surely different, 2 something between, 3 surely at the strictest level."""
    top = len(field.levels)
    sure = [1 if hi == 0 else 3 if lo == top else 2 for lo, hi in spans(field, tier)]
    return np.array([0, *sure[1:]], dtype=np.uint8)


GRADES = 4


def may_be(schema: LinkageSchema, name: str, tier: Tier, several: Collection[str] = ()) -> np.ndarray:
    """Of a field's codes, while only some is known of a pair: those that each may turn out to be, bool
    (codes, codes). In tier `tokens` the keys that it shares are known, and not those that differ; in tier
    `fields` the parts with one value, and of the others `several` (`field_codes`)."""
    field = schema.fields[name]
    low = np.array([loosest for loosest, _ in spans(field, tier)])
    if tier == "tokens":
        reached = low[:, None] == low
        # a field that does not count beside another; nor may that one, which is not known yet
        reached[:, UNKNOWN] = True
        beside = [schema.fields[f] for f in (field.unless_known, *field.void_where) if f]
        if any(f.unless_known or f.void_where for f in beside):
            reached[UNKNOWN] = True
        return reached
    reached = np.eye(len(field.names), dtype=bool)
    for level in schema.with_several(name, several):
        reached[DIFFER : field.code(level), field.code(level)] = True
    return reached


def together(schema: LinkageSchema, tier: Tier, codes: np.ndarray) -> dict[str, np.ndarray]:
    """For the two fields of each of the schema's `together`: their grades as one code."""
    names = list(schema.fields)
    found = {}
    for one, other in schema.together:
        first, second = (grades(schema.fields[f], tier)[codes[names.index(f)]] for f in (one, other))
        found[f"{one}+{other}"] = first * np.uint8(GRADES) + second
    return found


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

        cores.each(fill, range(0, len(names), _LINE), much=len(records) > _FEW)

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
    first, place = patterns(*shared, *both)
    codes = deduce(schema, shared[:, first], both[:, first])
    return Compared(codes[:, place], rarest.excess(), rarest.beyond)


class Rarest:
    """How rare the rarest of the values is that a pair shares: `Compared.excess` and `beyond`."""

    def __init__(self, schema: LinkageSchema, limits: Limits, pairs: int):
        self.beyond = np.zeros(pairs, dtype=np.float32)
        self._least = np.full(pairs, _NONE, dtype=np.uint8)
        self._ordinary = np.uint8(np.ceil(np.log2(max(2, limits.per_person))))
        self._told = _told(schema, limits.records)

    def add(self, part: slice, pair: np.ndarray, key: np.ndarray, common: np.ndarray) -> None:
        """Of the pairs of a `part`: which share which key, and how common its value is."""
        np.minimum.at(self._least[part], pair, common)
        np.maximum.at(self.beyond[part], pair, self._told[key, common - np.minimum(common, self._ordinary)])

    def excess(self) -> np.ndarray:
        least = np.where(self._least == _NONE, np.uint8(0), self._least)
        return least - np.minimum(least, self._ordinary)


def _told(schema: LinkageSchema, records: int) -> np.ndarray:
    """Bits that sharing a key tells beyond its parts' usual ones, by key and how common the value is."""
    usual = np.array([schema.usual_bits(key) for key in schema.match_keys], dtype=np.float32)
    seen = np.float32(np.log2(max(2, records)) + _UNSEEN_BITS)
    common = np.arange(_NONE, dtype=np.uint8)
    told = np.minimum(np.float32(schema.rarest_bits), seen - common) - usual[:, None]
    told[usual >= schema.rarest_bits] = 0
    return told


def patterns(*masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of pairs' bit masks: where each distinct pattern stands first, and each pair's pattern."""
    pattern = np.zeros(len(masks[0]), dtype=np.uint64)
    for begin in range(0, len(pattern), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        for word in masks:
            pattern[part] = _mixed(pattern[part]) + word[part]
    coded = pa.array(pattern).dictionary_encode()
    place = coded.indices.to_numpy()
    first = np.full(len(coded.dictionary), len(place), dtype=np.int64)
    np.minimum.at(first, place, np.arange(len(place)))
    return first, place


def _masks(flags: np.ndarray) -> np.ndarray:
    """(pairs, keys of a word) of bool as a word of bits a pair."""
    packed = np.zeros((len(flags), _WORD // 8), dtype=np.uint8)
    bits = np.packbits(flags, axis=1, bitorder="little")
    packed[:, : bits.shape[1]] = bits
    return packed.view(np.uint32)[:, 0]


def _mixed(words: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): every bit reaches every other, so that sums
    of masks are one to one but for chance."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def deduce(schema: LinkageSchema, shared: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Codes (fields, patterns) of patterns of match keys, as bit masks of words (words, patterns): those
    shared, those both have."""
    size = shared.shape[1]
    equal = {p: np.zeros(size, dtype=bool) for p in schema.parts}
    for i, key in enumerate(schema.match_keys):
        has = _bit(shared, i)
        for part in schema.closure(set(key)):
            equal[part] |= has
    if "names" in equal:
        equal["names"] |= equal["last"] & equal["first"]
    different = {p: np.zeros(size, dtype=bool) for p in schema.parts}
    for i, key in enumerate(schema.match_keys):
        unshared = _bit(both, i) & ~_bit(shared, i)
        open_parts = np.sum([~equal[p] for p in key], axis=0)
        for part in key:
            different[part] |= unshared & (open_parts == 1) & ~equal[part]
    for part, facts in schema.parts.items():
        # where a looser part differs, the stricter ones that imply it differ too
        for looser in facts.implies:
            different[part] |= different[looser] & ~equal[part]
    codes: dict[str, np.ndarray] = {}
    for name, field in schema.fields.items():
        codes[name] = _deduced(schema, field, equal, different, codes)
    return np.stack(list(codes.values()))


def _bit(masks: np.ndarray, i: int) -> np.ndarray:
    word, bit = divmod(i, 8 * masks.itemsize)
    return (masks[word] >> masks.dtype.type(bit)) & masks.dtype.type(1) == 1


def _deduced(
    schema: LinkageSchema,
    field: Field,
    equal: dict[str, np.ndarray],
    different: dict[str, np.ndarray],
    before: dict[str, np.ndarray],
) -> np.ndarray:
    top, size = len(field.levels), len(next(iter(equal.values())))
    low = np.zeros(size, dtype=np.intp)
    high = np.full(size, top, dtype=np.intp)
    for at, level in enumerate(reversed(field.levels.values()), 1):
        reached = [np.logical_and.reduce([equal[p] for p in parts]) for parts in level.equal]
        low[np.logical_or.reduce(reached)] = at
    for at, level in zip(range(top, 0, -1), field.levels.values()):
        refuted = [np.logical_or.reduce([different[p] for p in parts]) for parts in level.equal]
        high[np.logical_and.reduce(refuted) & (high == at)] = at - 1
    code = np.zeros((top + 1, top + 1), dtype=np.uint8)
    for i, (lo, hi) in enumerate(spans(field, "tokens")):
        code[lo, hi] = i
    codes = code[np.minimum(low, high), np.maximum(low, high)]
    for other, level_name in field.void_where.items():
        codes[before[other] == schema.fields[other].code(level_name)] = UNKNOWN
    if field.unless_known:
        codes[before[field.unless_known] != UNKNOWN] = UNKNOWN
    return codes
