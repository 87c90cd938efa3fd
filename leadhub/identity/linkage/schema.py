"""Match keys, as versioned data: which parts of an identity make a token, and what each is worth.

A **part** is one comparison level of one field (the surname; its Soundex; its first letters). A
**match key** joins parts of several fields and becomes one token: two records share it where all its
parts are equal. Which keys two records share, and which not, tells how far each field agrees
(`weights`), without any field being stored by itself.

Three figures belong to each part, in bits (−log₂ of a probability). How often two *different* people agree:

- `chance`: two people of the county taken at random. Surnames ≈ 10, given names ≈ 7, from the sum of
  squared shares in the US Census 2010 surname and SSA given-name tables; dates from counting days.
- `family`: two members of one household. They share surname, address and telephone for nothing; twins
  (3 in 100 births) share the birth date, parents and children the given name.

And how often two records of *one* person agree there and no stricter:

- `rare`: clerks' errors, marriages, moves; none for the strictest part.

All are declared, not learnt: they hold for a county of any size, and a night with few records cannot
spoil them.

**Least entropy.** A key whose parts give fewer than `LEAST_BITS` could be inverted by frequency, as names
alone or a birth date (with the sex or without) can; such a key cannot be declared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from leadhub.identity import normalise

LEAST_BITS = 22.0


@dataclass(frozen=True)
class Part:
    """One comparison level. Where it is equal, the parts it `implies` are equal too."""

    name: str
    field: str
    chance: float
    family: float
    rare: float
    implies: tuple[str, ...] = ()


#: strictest first within a field: the first that is equal is the field's level
PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        Part("last", "last", 10.0, 0.5, 0.0, ("last_sound", "last_head", "last_tail")),
        Part("names_either_way", "last", 16.0, 9.0, 6.0),
        Part("last_head", "last", 7.5, 0.0, 4.5),
        Part("last_tail", "last", 7.5, 0.0, 4.5),
        Part("last_sound", "last", 7.5, 0.0, 4.5),
        Part("first", "first", 7.0, 5.0, 0.0, ("nickname", "first_head", "first_sound", "first_initial")),
        Part("nickname", "first", 6.5, 5.0, 3.0),
        Part("first_head", "first", 6.0, 4.5, 4.0, ("first_initial",)),
        Part("first_sound", "first", 6.0, 4.5, 4.0, ("first_initial",)),
        Part("first_initial", "first", 3.6, 3.0, 5.5),
        Part(
            "dob", "dob", 14.0, 6.0, 0.0, ("dob_unordered", "year_month", "year_day", "month_day", "year")
        ),
        Part("dob_unordered", "dob", 13.5, 9.0, 6.0, ("year",)),
        Part("year_day", "dob", 11.0, 10.0, 6.5, ("year",)),
        Part("year_month", "dob", 9.5, 9.0, 6.0, ("year",)),
        Part("month_day", "dob", 8.5, 8.5, 6.5),
        Part("year", "dob", 6.0, 5.0, 6.5),
        Part("middle_initial", "middle", 3.6, 3.0, 0.0),
        Part("address", "address", 13.0, 0.0, 0.0, ("house",)),
        Part("house", "address", 8.5, 0.0, 1.0),
        Part("zip", "address", 4.0, 0.0, 1.0),
        Part("phone", "phone", 18.0, 0.5, 0.0),
        Part("ssn4", "ssn4", 13.0, 13.0, 0.0),
        Part("suffix", "suffix", 1.0, 2.0, 0.0),
    )
}

#: `rare` of a field that differs at every level
DIFFERENT: dict[str, float] = {
    "last": 4.0,
    "first": 5.0,
    "dob": 7.5,
    "middle": 3.0,
    "address": 1.0,
    "phone": 1.0,
    "ssn4": 4.0,
    "suffix": 6.0,
}


@dataclass(frozen=True)
class MatchKey:
    """A token over several parts; null for a record that lacks any of them.

    Raises: ValueError for unknown parts, too few bits, or a birth date alone.
    """

    name: str
    parts: tuple[str, ...]

    def __post_init__(self) -> None:
        unknown = [p for p in self.parts if p not in PARTS]
        if unknown:
            raise ValueError(f"match key [{self.name}] names unknown parts {unknown}")
        if self.bits < LEAST_BITS:
            raise ValueError(f"match key [{self.name}] has {self.bits} bits, fewer than {LEAST_BITS}")
        if {PARTS[p].field for p in self.parts} <= {"dob"}:
            raise ValueError(f"match key [{self.name}] holds a birth date alone")

    @property
    def bits(self) -> float:
        """Chance bits, the strictest part of each field counted once."""
        best: dict[str, float] = {}
        for part in (PARTS[p] for p in self.parts):
            best[part.field] = max(best.get(part.field, 0.0), part.chance)
        return sum(best.values())

    @property
    def column(self) -> str:
        return f"k_{self.name}"


MATCH_KEYS: tuple[MatchKey, ...] = (
    MatchKey("name_dob", ("last", "first", "dob")),
    MatchKey("nickname_dob", ("last", "nickname", "dob")),
    MatchKey("initial_dob", ("last", "first_initial", "dob")),
    MatchKey("sound_dob", ("last_sound", "first_sound", "dob")),
    MatchKey("sound_initial_dob", ("last_sound", "first_initial", "dob")),
    MatchKey("head_dob", ("last_head", "first_head", "dob")),
    MatchKey("tail_dob", ("last_tail", "nickname", "dob")),
    MatchKey("swapped_names_dob", ("names_either_way", "dob")),
    MatchKey("name_day_month", ("last", "nickname", "dob_unordered")),
    MatchKey("name_year_month", ("last", "nickname", "year_month")),
    MatchKey("name_year_day", ("last", "nickname", "year_day")),
    MatchKey("name_month_day", ("last", "nickname", "month_day")),
    MatchKey("name_year_zip", ("last", "nickname", "year", "zip")),
    MatchKey("name_address", ("last", "nickname", "address")),
    MatchKey("given_dob_zip", ("nickname", "dob", "zip")),
    MatchKey("given_dob_house", ("nickname", "dob", "house")),
    MatchKey("surname_dob", ("last", "dob")),
    MatchKey("surname_dob_address", ("last", "dob", "address")),
    MatchKey("ssn4_dob_initial", ("ssn4", "dob", "first_initial")),
    MatchKey("ssn4_name", ("ssn4", "last", "nickname")),
    MatchKey("ssn4_given_year", ("ssn4", "nickname", "year")),
    MatchKey("phone_given", ("phone", "nickname")),
    MatchKey("phone_dob", ("phone", "dob")),
    MatchKey("given_middle_dob", ("nickname", "middle_initial", "dob")),
    MatchKey("surname_middle_dob", ("last", "middle_initial", "dob")),
    MatchKey("name_suffix_zip", ("last", "first", "suffix", "zip")),
)


def fingerprint() -> str:
    """Four hex digits that change with any match key or normalising rule; each token carries them."""
    keys = ";".join(f"{k.name}={'+'.join(k.parts)}" for k in MATCH_KEYS)
    return hashlib.sha256(f"{normalise.RULES}|{keys}".encode()).hexdigest()[:4]
