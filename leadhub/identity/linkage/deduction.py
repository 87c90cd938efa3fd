"""What match keys tell of fields, in tier `tokens`.

A shared key says that all its parts are equal; a key that both records have and do not share says that some
part differs, and where all its other parts are known to be equal, it is that one. So keys that overlap are
counted once. Often a span of levels stays possible.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from leadhub.identity.linkage.levels import spans
from leadhub.identity.linkage.limits import Limits
from leadhub.identity.linkage.schema import UNKNOWN, Field, LinkageSchema

#: pairs whose masks fit the processor's cache
_CHUNK = 1 << 13
_NONE = np.uint8(255)
#: a value that no other record has may be this much rarer than one in all records
UNSEEN_BITS = 4.0


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
    seen = np.float32(np.log2(max(2, records)) + UNSEEN_BITS)
    common = np.arange(_NONE, dtype=np.uint8)
    told = np.minimum(np.float32(schema.rarest_bits), seen - common) - usual[:, None]
    told[usual >= schema.rarest_bits] = 0
    return told


def codes(schema: LinkageSchema, shared: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Codes (fields, pairs) of pairs, from bit masks of words (words, pairs): of the match keys that they
    share, and of those that both have. Each pattern of masks is deduced from once."""
    first, place = _patterns(*shared, *both)
    return deduce(schema, shared[:, first], both[:, first])[:, place]


def _patterns(*masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    found: dict[str, np.ndarray] = {}
    for name, field in schema.fields.items():
        found[name] = _deduced(schema, field, equal, different, found)
    return np.stack(list(found.values()))


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
