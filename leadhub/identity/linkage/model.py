"""A linkage model: what each level of each field is worth, in bits, and how the bits become odds.

Evidence is weighed (Fellegi and Sunter 1969) against the explanation that two records agree by *chance*,
and, where the model says so, against a second one, that they are *family*, who share surname, address and
telephone anyway. `weight_bits` is log₂ of the odds that the pair is one person:

    odds = M / (T·2^−chance + F·2^−family)

with M pairs of one person and F pairs of relatives among all possible pairs T. A self-trained model needs
no second explanation: its weights were learnt against the rivals that are really there.

A model is frozen and named by its fingerprint: the same pair has the same weight every night.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from leadhub.identity.linkage.levels import GRADES, grades, may_be, spans, together
from leadhub.identity.linkage.schema import Field, LinkageSchema, Tier

#: to start with, pairs of relatives for each pair of one person: a household of three in the same feeds
RELATIVES = 4.0
#: rarity that tells nothing against relatives: they share a rare surname, or place that they come from, as
#: they would a common one
INHERITED = ("last", "birth_place", "beyond")
#: the same fingerprint-based number: beyond doubt, whatever else differs
NYSID_BITS = 64.0


@dataclass(frozen=True)
class Model:
    """`chance`, `family`: field → bits by code (`levels.code_names`), 0 for "unknown"; `family` is
    empty in a trained model. `together`: two fields → bits by their grades (`levels.together`), learnt
    beside `chance`. `rarity`: feature → factor on its bits. `people`: M.
    `relatives`: F. `possible`: T. `learnt_prior_bits`: instead of
    log₂ M/T in a self-trained model. `raise_bits`: what winning its place adds to a pair (`graph`)."""

    schema: str
    tier: Tier
    how: str
    chance: dict[str, tuple[float, ...]]
    family: dict[str, tuple[float, ...]]
    rarity: dict[str, float]
    people: float
    relatives: float
    possible: float
    learnt_prior_bits: float | None = None
    raise_bits: float = 0.0
    together: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def prior_bits(self) -> float:
        if self.learnt_prior_bits is not None:
            return self.learnt_prior_bits
        return math.log2(self.people / self.possible)

    def weigh(self, schema: LinkageSchema, codes: np.ndarray, rarity: dict[str, np.ndarray]) -> np.ndarray:
        """log₂ odds of pairs; `codes` is (fields, pairs), `rarity` feature → bits a pair."""
        chance = _sum(schema, self.chance, codes)
        rare = self._rare(rarity)
        if not self.family:
            joint = together(schema, self.tier, codes) if self.together else {}
            for name, table in self.together.items():
                chance += np.array(table, dtype=np.float32)[joint[name]]
            return chance + rare + np.float32(self.prior_bits)
        by_chance, by_family = self.rivals(schema, codes, rare, self._rare(rarity, INHERITED))
        return (np.log2(self.people) - np.log2(by_chance + by_family)).astype(np.float32)

    def at_most(self, schema: LinkageSchema, several: Collection[str] = ()) -> Model:
        """The model that weighs a pair of which only some is known as the heaviest that it may turn out to
        be (`levels.may_be`)."""
        reached = {name: may_be(schema, name, self.tier, several) for name in schema.fields}
        chance = {
            name: tuple(float(np.array(self.chance[name])[row].max()) for row in rows)
            for name, rows in reached.items()
        }
        return replace(
            self,
            chance=chance,
            # a second explanation makes a pair no likelier
            family={},
            learnt_prior_bits=self.prior_bits,
            together={} if self.family else self._together_at_most(schema, reached),
        )

    def _together_at_most(
        self, schema: LinkageSchema, reached: dict[str, np.ndarray]
    ) -> dict[str, tuple[float, ...]]:
        found = {}
        for pair, bits in self.together.items():
            table = np.array(bits).reshape(GRADES, GRADES)
            one, other = (_grades_reached(schema, f, self.tier, reached[f]) for f in pair.split("+"))
            found[pair] = tuple(
                float(table[np.ix_(a, b)].max(initial=-math.inf)) for a in one for b in other
            )
        return found

    def _rare(self, rarity: dict[str, np.ndarray], but: tuple[str, ...] = ()) -> np.ndarray | np.float32:
        told = (self.rarity.get(name, 0.0) * bits for name, bits in rarity.items() if name not in but)
        return sum(told, np.float32(0))

    def rivals(
        self,
        schema: LinkageSchema,
        codes: np.ndarray,
        rare: np.ndarray | np.float32,
        rare_in_family: np.ndarray | np.float32,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weight of the two rival explanations, chance and family, where one person's is M."""
        by_chance = self.possible * np.exp2(-(_sum(schema, self.chance, codes) + rare).astype(np.float64))
        if not self.family:
            return by_chance, np.zeros_like(by_chance)
        by_family = self.relatives * np.exp2(
            -(_sum(schema, self.family, codes) + rare_in_family).astype(np.float64)
        )
        return by_chance, by_family

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def _grades_reached(schema: LinkageSchema, name: str, tier: Tier, reached: np.ndarray) -> list[np.ndarray]:
    """By grade: those that a code of this grade may turn out to have."""
    of = grades(schema.fields[name], tier)
    return [np.unique(of[reached[of == grade].any(axis=0)]) for grade in range(GRADES)]


def from_facts(facts: dict[str, Any]) -> Model:
    tables = {k: {f: tuple(w) for f, w in facts[k].items()} for k in ("chance", "family", "together")}
    return Model(**{**facts, **tables})


def _sum(schema: LinkageSchema, weights: dict[str, tuple[float, ...]], codes: np.ndarray) -> np.ndarray:
    """By the schema's order of fields: a model that was kept as JSON has another."""
    total = np.zeros(codes.shape[1], dtype=np.float32)
    for name, column in zip(schema.fields, codes):
        total += np.array(weights[name], dtype=np.float32)[column]
    return total


def declared(
    schema: LinkageSchema, tier: Tier, *, people: float, possible: float, rarity: dict[str, float]
) -> Model:
    """The model that the schema declares: what holds where there is too little to learn from."""
    same, chance, family = (odds(schema, which) for which in ("same", "chance", "family"))
    return Model(
        schema=schema.fingerprint,
        tier=tier,
        how="declared",
        chance=tables(schema, tier, same, chance),
        family=tables(schema, tier, same, family),
        rarity=rarity,
        people=people,
        relatives=RELATIVES * people,
        possible=possible,
    )


def odds(schema: LinkageSchema, which: str) -> dict[str, np.ndarray]:
    """Declared probability of each level, from "differ" on; they sum to one."""
    found = {}
    for name, facts in schema.fields.items():
        stated = np.array([getattr(o, which) for o in facts.odds], dtype=np.float64)
        share = stated if which == "same" else np.exp2(-stated)
        found[name] = share / share.sum()
    return found


def tables(
    schema: LinkageSchema, tier: Tier, same: dict[str, np.ndarray], other: dict[str, np.ndarray]
) -> dict[str, tuple[float, ...]]:
    """Bits by code: how much likelier a level is at one person's records than at the others."""
    made = {}
    for name, facts in schema.fields.items():
        bits = [
            np.log2(same[name][lo : hi + 1].sum()) - np.log2(other[name][lo : hi + 1].sum())
            for lo, hi in spans(facts, tier)
        ]
        made[name] = bounded(facts, bits)
    return made


def bounded(facts: Field, bits: list[float]) -> tuple[float, ...]:
    """A field's bits, rounded; none says more against a match than the schema lets it."""
    least = -math.inf if facts.most_against is None else -facts.most_against
    return tuple(round(max(least, float(b)), 4) for b in bits)
