"""Every attack by every adversary on one lake, with what he knows beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import pyarrow as pa

from benchmarks.privacy import frequency, graph_matching, patterns, scored_pairs
from benchmarks.privacy.matching import Guesses, Leak, judge, match
from benchmarks.privacy.roll import FACTS, Knowledge, People
from benchmarks.privacy.thief import MIRROR, Held, mirror
from leadhub.foundation.keys import Keys
from leadhub.identity import parts
from leadhub.identity.linkage.schema import person

#: how often, as the attacker supposes, the right person's record shows something else
AS_RECORDED, ANEW, PUBLIC = 0.01, 0.15, 0.05
_NAMES = {"surname": ["last"], "given name": ["first"], "full name": ["last", "first"]}


@dataclass(frozen=True)
class Finding:
    """`target`: what counts as right: the person, a name, or the value of the column that `note` names."""

    adversary: str
    tier: str
    knowledge: str
    attack: str
    target: str
    leak: Leak
    note: str = ""


@dataclass(frozen=True)
class Target:
    """One feed of a lake (`people`: its clear text in the order of its tokens, for the judge alone), and an
    attacker's roll."""

    held: Held
    people: People
    roll: People
    knowledge: Knowledge
    keys: Keys

    @property
    def public(self) -> bool:
        return self.knowledge.covers is None

    @property
    def slip(self) -> float:
        return PUBLIC if self.public else AS_RECORDED if self.knowledge.as_recorded else ANEW

    @cached_property
    def mirror(self) -> pa.Table:
        """The roll under a key of the attacker's own."""
        return mirror(self.roll, self.held.tier, self.held.schema, MIRROR)

    @cached_property
    def opened(self) -> pa.Table:
        """The roll under the lake's key: for the judge, and for whoever has that key."""
        return mirror(self.roll, self.held.tier, self.held.schema, self.keys)

    @cached_property
    def groups(self) -> np.ndarray:
        """What everybody knows of a record: sex and race."""
        return self.held.core.select(pl.struct(FACTS).rank("dense").fill_null(0)).to_series().to_numpy()

    def facts(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Sex and race as features."""
        told = {
            f: pl.when(pl.col(f).is_not_null()).then(pl.col(f).hash(seed=0)).otherwise(0) for f in FACTS
        }
        return self.held.core.select(**told), self.roll.facts.select(**told)

    def judged(
        self, attack: str, guesses: Guesses, adversary: str = "operator", note: str = ""
    ) -> Iterator[Finding]:
        """By person, or where nothing but names is known, by names."""
        for target, truth, said in self._targets():
            guess = np.where(guesses.row >= 0, said[guesses.row], "")
            leak = judge(guess, truth, self.groups, guesses.margin)
            yield Finding(adversary, self.held.tier, self.knowledge.name, attack, target, leak, note)

    def _targets(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        if not self.public:
            yield "person", self.people.person, self.roll.person
            return
        for target, columns in _NAMES.items():
            yield target, *(_text(p, columns) for p in (self.people, self.roll))


def _text(people: People, columns: list[str]) -> np.ndarray:
    named = parts.text(people.identifiers, person())
    return named.select(pl.concat_str(columns, separator=" ").fill_null("")).to_series().to_numpy()


def operator(target: Target) -> Iterator[Finding]:
    """Attacks on whole records by their tokens, without the linkage key."""
    lake, roll = target.held.tokens, target.mirror
    schema, tier = target.held.schema, target.held.tier
    often = [frequency.features(t, schema, tier) for t in (lake, roll)]
    mined = [
        patterns.features(t, schema, tier, as_recorded=target.knowledge.as_recorded) for t in (lake, roll)
    ]
    if tier == "fields" and not target.public:
        yield chained(target)
    facts = target.facts()
    yield from target.judged("frequency, all columns", _match(target, facts, often))
    yield from target.judged("pattern mining", _match(target, facts, mined))
    if target.public:
        yield from target.judged("all together", _match(target, facts, often, mined))
        return
    graphs = [graph_matching.edges(t, schema) for t in (lake, roll)]
    nodes = [graph_matching.features(g, t.num_rows) for g, t in zip(graphs, (lake, roll))]
    for attack, features in (("graph matching", [nodes]), ("all together", [mined, nodes])):
        start = _match(target, facts, *features)
        yield from target.judged(attack, graph_matching.spread(start, *graphs))


def _match(target: Target, *features: tuple[pl.DataFrame, ...] | list[pl.DataFrame]) -> Guesses:
    lake, roll = (
        pl.concat([f[side].rename(f"{i} {{}}".format) for i, f in enumerate(features)], how="horizontal")
        for side in (0, 1)
    )
    return match(lake, roll, target.slip)


def columns(target: Target) -> Iterator[Finding]:
    """Alignment column by column; of each salt, the column that gives most beyond chance."""
    schema, tier = target.held.schema, target.held.tier
    salts = dict(_salts(target))
    for salt, (mine, theirs) in salts.items():
        found = []
        for column in frequency.single(schema, tier):
            lake, roll = (frequency.words(t, column) for t in (target.held.tokens, target.mirror))
            truth, said = lake, frequency.words(target.opened, column)
            row = frequency.align(lake, roll, mine, theirs)
            guess = np.where(row >= 0, said[row], np.uint64(0))
            # what is granted is no merit of the attack: chance knows it too
            groups = target.groups if mine is None else pl.Series(mine).rank("dense").to_numpy()
            leak = judge(guess, truth, groups, frequency.counts(lake))
            found.append(
                Finding(
                    "operator", tier, target.knowledge.name, f"frequency, {salt}", "value", leak, column
                )
            )
        yield max(found, key=lambda f: f.leak.right - f.leak.chance)
        if tier == "fields":
            yield from (f for f in found if f.note in ("p_last", "p_first"))


def chained(target: Target) -> Finding:
    """Birth years from the chain that lists of neighbouring years make."""
    year = pl.col("date_of_birth").dt.year().fill_null(0)
    truth, known = (p.identifiers.select(year).to_series().to_numpy() for p in (target.people, target.roll))
    guess = patterns.anchored(patterns.years(target.held.tokens), known).astype(np.uint64)
    leak = judge(guess, truth.astype(np.uint64), target.groups, np.zeros(len(guess)))
    tier = target.held.tier
    return Finding("operator", tier, target.knowledge.name, "pattern mining", "birth year", leak, "p_years")


def _salts(target: Target) -> Iterator[tuple[str, tuple[np.ndarray | None, np.ndarray | None]]]:
    """What the attacker knows of each record besides: nothing; what core tables say; what is granted to
    him."""
    yield "salt unknown", (None, None)
    if target.public:
        return
    people = (target.people, target.roll)
    facts = pl.concat_str(FACTS, ignore_nulls=True)
    one, other = (p.facts.select(facts).to_series().to_numpy() for p in people)
    yield "sex and race known", (one, other)
    if "date_of_birth" not in target.people.identifiers.columns:
        return
    year = pl.col("date_of_birth").dt.to_string("%Y ").fill_null("")
    born, known = (p.identifiers.select(year).to_series().to_numpy() for p in people)
    yield "birth year known too", (born + one, known + other)


def disks(target: Target, feeds: list[People]) -> Iterator[Finding]:
    """Without any key: sex, race, and which records are one person; with the storage key, scored pairs. All
    beside those of an attacker who has the text of `feeds`, the first of which is his roll."""
    schema, tier = target.held.schema, target.held.tier
    mirror, theirs = scored_pairs.mirrored(feeds, tier, schema)
    mine, facts = target.held.core.get_column("record_id"), target.facts()
    who = tuple(scored_pairs.company(h.persons, i) for h, i in ((target.held, mine), (mirror, theirs)))
    pairs = tuple(
        scored_pairs.features(h.pairs, i, schema) for h, i in ((target.held, mine), (mirror, theirs))
    )
    yield from target.judged("sex and race", _match(target, facts), "disks")
    yield from target.judged("crosswalk", _match(target, facts, who), "disks")
    yield from target.judged("scored pairs", _match(target, facts, pairs), "operator")


def with_key(target: Target) -> Finding:
    """Who has the linkage key tokenises the roll under it: the record of the roll with most tokens in
    common."""
    votes: list[pl.DataFrame] = []
    for column in frequency.single(target.held.schema, target.held.tier):
        lake, roll = (frequency.words(t, column) for t in (target.held.tokens, target.opened))
        one = pl.DataFrame({"token": lake, "row": np.arange(len(lake))}).filter(pl.col("token") != 0)
        other = pl.DataFrame({"token": roll, "guess": np.arange(len(roll))}).filter(pl.col("token") != 0)
        # blocks of common values would be pairs without number
        rare = other.filter(pl.len().over("token") <= graph_matching.MOST)
        votes.append(one.join(rare, on="token").select("row", "guess"))
    counted = pl.concat(votes).group_by("row", "guess").len().sort("row", "len", "guess")
    best = counted.group_by("row", maintain_order=True).last()
    row, margin = np.full(len(target.people), -1), np.zeros(len(target.people))
    row[best.get_column("row").to_numpy()] = best.get_column("guess").to_numpy()
    margin[best.get_column("row").to_numpy()] = best.get_column("len").to_numpy()
    return next(target.judged("dictionary", Guesses(row, margin), "everything"))
