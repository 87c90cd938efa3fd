"""The linkage schema, as versioned data (`person.yaml`): what is compared, at which levels, by which keys.

A **part** is one comparable value of a person (the surname; its Soundex). A **field** is compared by
itself, at the strictest of its **levels** whose parts are equal. A **match key** is a token over several
parts: two records share it where all of them are equal.

**Tiers.** `tokens` (the default) stores one token for each match key and nothing by field: which keys two
records share, and which not, tells how far each field agrees. `fields` stores one token for each part: it
compares more exactly, and tells whoever holds it and the key-less lake how often each value occurs.

**Least entropy.** A token whose value more than one person in 2^`least_bits` share could be inverted by
frequency. So it is not made: J. Smith gets no token over surname and initial, a rarer name does (`rarity`).
In tier `tokens` the rarity of a value that two records share counts, up to `rarest_bits`.
A match key that no value could pass, as a birth date (with the sex or without), is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field as Key
from pydantic import field_validator, model_validator

from leadhub.foundation import facts_file
from leadhub.foundation.facts_file import Facts
from leadhub.identity import normalise

Tier = Literal["tokens", "fields"]
_BIRTH_AND_SEX = (("date_of_birth",), ("birth_year",), ("sex",))
TIERS: tuple[Tier, ...] = ("tokens", "fields")
PERSON = Path(__file__).with_name("person.yaml")

#: rules that give several values; two records agree where they share one of them
MANY = ("one_letter_off", "one_digit_off", "within_two_years", "words")

#: bits of a name that is not listed in `common_names.csv`, in the steps of `rarity`: fewer than 0.003 %
#: (surnames) or 0.006 % have it
UNLISTED_BITS = {"last_name": 14.0, "first_name": 14.0, "middle_name": 14.0}

#: codes of a field's level: not comparable; comparable and different; then the levels, loosest first
UNKNOWN, DIFFER = 0, 1
#: which keys two records share are two machine words
MOST_KEYS = 128
#: so many candidate keys, and one for NYSIDs, have numbers of one byte (`nearby`)
MOST_CANDIDATES = 253

#: kinds that say the same: their bits do not add up
_SAME_SOURCE = {"birth_year": "date_of_birth", "city": "zip", "city_alone": "zip", "street_side": "zip"}


class Part(Facts):
    """One comparable value, made from normalised identifier kinds by a rule of `parts`. Where two records
    agree on it, they agree on the parts that it `implies`."""

    of: tuple[str, ...]
    rule: str = Key(default="itself", alias="as")
    bits: float
    implies: tuple[str, ...] = ()

    @property
    def by_value(self) -> bool:
        """Whether its values have bits of their own (`rarity`): names are far from equally common."""
        return all(kind in UNLISTED_BITS for kind in self.of) and not self.many

    @property
    def most_bits(self) -> float:
        return sum(UNLISTED_BITS[kind] for kind in self.of) if self.by_value else self.bits

    @property
    def many(self) -> bool:
        """Has several values a record: no match key can hold it."""
        return self.rule in MANY

    @field_validator("of", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value


class Odds(Facts):
    """`same`: probability at one person's records; `chance`, `family`: bits at strangers and relatives."""

    same: float = Key(gt=0, lt=1)
    chance: float = Key(ge=0)
    family: float = Key(ge=0)


def _joined(odds: Odds, same: float, chance: float, family: float) -> dict[str, float]:
    return {
        "same": odds.same + same,
        "chance": -math.log2(2**-odds.chance + chance),
        "family": -math.log2(2**-odds.family + family),
    }


class Level(Odds):
    """Reached where all parts of one of the `equal` alternatives are equal."""

    equal: tuple[tuple[str, ...], ...]


class Field(Facts):
    """Comparable where both records have one of the parts `known_by`; not compared at all where the field
    `unless_known` is comparable, or where another field stands at the level that `void_where` names.
    `rare`: in tier `fields`, the part whose frequency is weighed where two agree at the strictest level.
    `most_against`: the most bits that it may say against a match, whatever is learnt."""

    known_by: tuple[str, ...]
    unless_known: str | None = None
    void_where: dict[str, str] = Key(default_factory=dict)
    rare: str | None = None
    most_against: float | None = Key(default=None, gt=0)
    differ: Odds
    levels: dict[str, Level]

    @property
    def names(self) -> tuple[str, ...]:
        """Level names by code: unknown, differ, then loosest to strictest."""
        return ("unknown", "differ", *reversed(self.levels))

    @property
    def odds(self) -> tuple[Odds, ...]:
        """By code, from `differ` on."""
        return (self.differ, *reversed(self.levels.values()))

    def code(self, level: str) -> int:
        return self.names.index(level)


class LinkageSchema(Facts):
    """A checked linkage schema; see the module."""

    name: str
    version: int
    rules: int
    parts: dict[str, Part]
    fields: dict[str, Field]
    together: tuple[tuple[str, str], ...] = ()
    least_bits: float
    rarest_bits: float
    match_keys: tuple[tuple[str, ...], ...]
    candidate_keys: tuple[tuple[str, ...], ...]

    @model_validator(mode="after")
    def _check(self) -> LinkageSchema:
        if self.rules != normalise.RULES:
            raise ValueError(
                f"is written for normalising rules {self.rules}; this is {normalise.RULES}: install the "
                "version of leadhub that the schema was agreed for"
            )
        for where, names in self._named_parts():
            unknown = sorted(set(names) - set(self.parts))
            if unknown:
                raise ValueError(f"{where} names unknown parts {unknown}")
        strange = sorted({f for pair in self.together for f in pair} - set(self.fields))
        if strange:
            raise ValueError(f"[together] names unknown fields {strange}")
        self._check_beside()
        self._check_several()
        many = sorted(
            {p for k in (*self.match_keys, *self.candidate_keys) for p in k if self.parts[p].many}
        )
        if many:
            raise ValueError(f"has keys with parts {many}, which have several values; use them in levels")
        if len(self.match_keys) > MOST_KEYS:
            raise ValueError(f"has {len(self.match_keys)} match keys; at most {MOST_KEYS} can be compared")
        if len(self.candidate_keys) > MOST_CANDIDATES:
            raise ValueError(
                f"has {len(self.candidate_keys)} candidate keys; at most {MOST_CANDIDATES} can be looked at"
            )
        for key in self.match_keys:
            if self.most_bits(key) < self.least_bits:
                raise ValueError(
                    f"match key {list(key)} has {self.most_bits(key):g} bits at most, fewer than "
                    f"{self.least_bits:g}: it could be inverted by frequency; add a part"
                )
            if all(self.parts[p].of in _BIRTH_AND_SEX for p in key):
                raise ValueError(
                    f"match key {list(key)} holds no more than birth date and sex, whose frequencies are "
                    "public; add a part"
                )
        return self

    def several(self, field: str, level: str) -> set[str]:
        """Parts with several values that a level rests on."""
        equal = self.fields[field].levels[level].equal
        return {part for parts in equal for part in parts if self.parts[part].many}

    def with_several(self, field: str, but: Collection[str] = ()) -> list[str]:
        """A field's levels that rest on parts with several values, other than some."""
        return [level for level in self.fields[field].levels if self.several(field, level) - set(but)]

    def _check_beside(self) -> None:
        """A field counts, or not, by fields that are compared before it."""
        before: list[str] = []
        for name, field in self.fields.items():
            for other in filter(None, (field.unless_known, *field.void_where)):
                if other not in before:
                    raise ValueError(
                        f"field [{name}] counts or not by [{other}], which is no earlier field"
                    )
                level = field.void_where.get(other)
                if level is not None and level not in self.fields[other].levels:
                    raise ValueError(f"field [{name}] names [{other}.{level}], which is no level")
            before.append(name)

    def _check_several(self) -> None:
        """Parts with several values are looked at last, where a pair may be one person: until then it is to
        be known which fields count, and by what frequency."""
        for name, field in self.fields.items():
            several = [part for part in field.known_by if self.parts[part].many]
            if several:
                raise ValueError(f"field [{name}] is known by {several}, which have several values")
            if field.rare and (self.parts[field.rare].many or not self._rests_on(field, field.rare)):
                raise ValueError(
                    f"field [{name}] weighs how rare [{field.rare}] is, which has several values, or need "
                    "not be equal at its strictest level"
                )
            for other, level in field.void_where.items():
                stricter = [*self.fields[other].levels]
                stricter = stricter[: stricter.index(level) + 1]
                if set(stricter) & set(self.with_several(other)):
                    raise ValueError(
                        f"field [{name}] counts or not by level [{other}.{level}], which parts with "
                        "several values can replace"
                    )

    def _rests_on(self, field: Field, part: str) -> bool:
        """Whether a part is equal wherever the field stands at its strictest level."""
        strictest = next(iter(field.levels.values()))
        return all(
            part in {*parts, *(i for p in parts for i in self.parts[p].implies)}
            for parts in strictest.equal
        )

    def _named_parts(self) -> list[tuple[str, tuple[str, ...]]]:
        named = [(f"part [{n}]", p.implies) for n, p in self.parts.items()]
        for name, field in self.fields.items():
            named.append((f"field [{name}]", (*field.known_by, *filter(None, [field.rare]))))
            named += [
                (f"level [{name}.{n}]", parts) for n, level in field.levels.items() for parts in level.equal
            ]
        return named + [(f"key {list(k)}", k) for k in (*self.match_keys, *self.candidate_keys)]

    def sources(self, key: tuple[str, ...]) -> list[tuple[str, str]]:
        """The parts of a key whose bits count, each with what it is made from: bits of parts from one
        source do not add up, and a part of two sources covers both."""
        joint = [name for name in key if len(self.parts[name].of) > 1]
        covered = {source for name in joint for source in self.parts[name].of}
        counted = []
        for name in key:
            source = _SAME_SOURCE.get(self.parts[name].of[0], self.parts[name].of[0])
            if name in joint or source not in covered:
                counted.append(("+".join(self.parts[name].of) if name in joint else source, name))
        return counted

    def most_bits(self, key: tuple[str, ...]) -> float:
        """Bits of the key's rarest value."""
        return self._bits(key, {name: self.parts[name].most_bits for name in key})

    def usual_bits(self, key: tuple[str, ...]) -> float:
        """Bits of agreement on the key by chance."""
        return self._bits(key, {name: self.parts[name].bits for name in key})

    def _bits(self, key: tuple[str, ...], each: dict[str, float]) -> float:
        best: dict[str, float] = {}
        for source, name in self.sources(key):
            best[source] = max(best.get(source, 0.0), each[name])
        return sum(best.values())

    def seen_in(self, tier: Tier) -> LinkageSchema:
        """The schema without the levels that a tier cannot tell from the next looser ones, which take over
        how often they occur. Tier `tokens` holds no parts with several values."""
        if tier == "fields":
            return self
        return self.model_copy(update={"fields": {n: self._coarser(f) for n, f in self.fields.items()}})

    def _coarser(self, field: Field) -> Field:
        kept: dict[str, Level] = {}
        more_same, chance, family = 0.0, 0.0, 0.0
        differ = field.differ
        for name, level in field.levels.items():
            fine = all(any(self.parts[p].many for p in parts) for parts in level.equal)
            if fine:
                more_same += level.same
                chance, family = chance + 2**-level.chance, family + 2**-level.family
                continue
            kept[name] = level.model_copy(update=_joined(level, more_same, chance, family))
            more_same, chance, family = 0.0, 0.0, 0.0
        differ = field.differ.model_copy(update=_joined(field.differ, more_same, chance, family))
        return field.model_copy(update={"levels": kept, "differ": differ})

    @cached_property
    def fingerprint(self) -> str:
        """Eight hex digits that change with any fact of the schema or rule of normalising."""
        facts = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:8]

    @cached_property
    def key_names(self) -> tuple[str, ...]:
        return tuple("+".join(k) for k in self.match_keys)

    def closure(self, parts: set[str]) -> set[str]:
        """The parts and all that they imply."""
        return parts | {q for p in parts for q in self.parts[p].implies}

    def columns(self, tier: Tier) -> tuple[str, ...]:
        """Token columns of a tier's table."""
        if tier == "tokens":
            return tuple(f"k_{n}" for n in self.key_names)
        return tuple(f"p_{n}" for n in self.parts)


def load(path: Path = PERSON) -> LinkageSchema:
    """Raises: TerminalError `linkage_schema_invalid` that names file, key and what was expected."""
    return facts_file.read(path, LinkageSchema, "linkage_schema_invalid")


@cache
def person() -> LinkageSchema:
    """The schema in force."""
    return load()
