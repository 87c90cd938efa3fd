"""How likely two records are one person: evidence in bits, from which match keys they share.

1. **Levels.** Shared keys say which parts are equal. A key that both records have and do not share
   says that some part differs; where all its other parts are known to be equal, it is that one. So the
   level of each field follows by logic alone, and keys that overlap are counted once.
2. **Evidence** (Fellegi and Sunter 1969) against two rival explanations: the records agree by *chance*,
   or they are *family*, who share surname, address and telephone anyway. Without the second, twins and
   a father and son of one name pass for one person.
3. **Posterior.** With M pairs of one person among all possible pairs T, and R·M pairs of relatives,
   odds = M / (T·2^−chance + R·M·2^−family). M is estimated by expectation maximisation from the night's
   own pairs; no labels are used. `weight_bits` is log₂ of these odds.

A token shared by more records than one person has is common (a shelter's address, a popular name):
the pair loses log₂ of the excess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leadhub.identity.linkage.candidates import NULL, NYSID, Records
from leadhub.identity.linkage.schema import DIFFERENT, MATCH_KEYS, PARTS

#: log₂ odds from which a pair is linked: at the edge 1 in 9 is wrong, over all links far fewer
LINK_BITS = 3.0
#: log₂ odds from which a pair that is not linked is shown to a steward
REVIEW_BITS = -2.0
#: log₂ odds down to which two records may still be brought together by a third
APART_BITS = -6.0
#: the same fingerprint-based number: beyond doubt, whatever else differs
NYSID_BITS = 64.0

#: pairs of relatives for each pair of records of one person: a household of three in the same feeds
RELATIVES = 4.0

_ROUNDS = 20
_KEYS = tuple(tuple(k.parts) for k in MATCH_KEYS)
_STRICTEST = {part.field: part.name for part in reversed(PARTS.values())}


@dataclass(frozen=True)
class Evidence:
    """Of one pattern of shared keys: bits against chance and against family."""

    chance: float
    family: float


@dataclass(frozen=True)
class Weighed:
    """Per pair: log₂ odds, bit mask of shared match keys, whether the NYSID is the same or another."""

    bits: np.ndarray
    shared: np.ndarray
    same_nysid: np.ndarray
    other_nysid: np.ndarray


def evidence(shared: int, both: int) -> Evidence:
    """Evidence of a pair that has the keys `both` (bit mask over `MATCH_KEYS`) and shares `shared`."""
    equal = _equal_parts(shared)
    different = _different_parts(both & ~shared, equal)
    chance = family = 0.0
    for field, strictest in _STRICTEST.items():
        level = next((p for p in PARTS.values() if p.field == field and p.name in equal), None)
        if level:
            chance, family = chance + level.chance, family + level.family
        if strictest in different:
            rare = level.rare if level else DIFFERENT[field]
            chance, family = chance - rare, family - rare
    return Evidence(chance, family)


def _equal_parts(shared: int) -> set[str]:
    equal: set[str] = set()
    for i, names in enumerate(_KEYS):
        if shared >> i & 1:
            for name in names:
                equal |= {name, *PARTS[name].implies}
    if {"last", "first"} <= equal:
        equal.add("names_either_way")
    return equal


def _different_parts(unshared: int, equal: set[str]) -> set[str]:
    different: set[str] = set()
    for i, names in enumerate(_KEYS):
        if unshared >> i & 1:
            open_parts = [n for n in names if n not in equal]
            if len(open_parts) == 1:
                different.add(open_parts[0])
    # where a looser part differs, the stricter ones that imply it differ too
    return different | {p.name for p in PARTS.values() if different & set(p.implies)}


def weigh(records: Records, left: np.ndarray, right: np.ndarray) -> Weighed:
    """Weigh candidate pairs given by row numbers."""
    shared = np.zeros(len(left), dtype=np.int64)
    both = np.zeros(len(left), dtype=np.int64)
    rarest = np.full(len(left), np.iinfo(np.int64).max)
    for i, key in enumerate(MATCH_KEYS):
        codes, sizes = records.codes[key.column], records.sizes[key.column]
        one, other = codes[left], codes[right]
        known = (one != NULL) & (other != NULL)
        same = known & (one == other)
        both |= known.astype(np.int64) << i
        shared |= same.astype(np.int64) << i
        rarest = np.where(same, np.minimum(rarest, sizes[one]), rarest)
    one, other = records.codes[NYSID][left], records.codes[NYSID][right]
    known = (one != NULL) & (other != NULL)
    excess = _excess(rarest, len(records.feed_names))
    chance, family = _by_pattern(shared, both)
    same_nysid = known & (one == other)
    bits = _log_odds(chance - excess, family - excess, same_nysid, records)
    return Weighed(bits, shared, same_nysid, known & (one != other))


def _excess(rarest: np.ndarray, feeds: int) -> np.ndarray:
    """log₂ of how many times more records share the rarest token than one person has, in whole bits."""
    ordinary = max(2, feeds)
    none = rarest == np.iinfo(np.int64).max
    return np.where(none, 0.0, np.ceil(np.log2(np.maximum(1.0, rarest / ordinary))))


def _by_pattern(shared: np.ndarray, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    width = len(MATCH_KEYS)
    patterns, place = np.unique(shared << width | both, return_inverse=True)
    judged = [evidence(int(p) >> width, int(p) & ((1 << width) - 1)) for p in patterns]
    chance = np.array([e.chance for e in judged], dtype=np.float64)
    family = np.array([e.family for e in judged], dtype=np.float64)
    return chance[place], family[place]


def _log_odds(
    chance: np.ndarray, family: np.ndarray, same_nysid: np.ndarray, records: Records
) -> np.ndarray:
    """log₂ posterior odds; the number of pairs of one person is estimated on the way."""
    against_chance = np.exp2(-chance) * records.possible_pairs()
    against_family = np.exp2(-family) * RELATIVES
    people = len(records) / 2 or 1.0
    for _ in range(_ROUNDS):
        odds = people / (against_chance + people * against_family)
        posterior = np.where(same_nysid, 1.0, odds / (1.0 + odds))
        people = max(1.0, float(np.sort(posterior).sum()))
    bits = np.log2(people / (against_chance + people * against_family))
    return np.where(same_nysid, NYSID_BITS, bits)


def key_names(shared: int, *, nysid: bool) -> str:
    """The rule of a pair: names of its shared keys, joined by "+"."""
    names = [k.name for i, k in enumerate(MATCH_KEYS) if shared >> i & 1]
    return "+".join((["nysid"] if nysid else []) + names)
