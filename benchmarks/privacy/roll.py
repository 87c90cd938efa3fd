"""What an attacker knows beforehand: a clear-text roll of people, or public name frequencies alone.

He runs the production code on it under a key of his own (Kerckhoffs: the schema is public). What does not
depend on the key (which tokens are missing, how often each occurs, who shares which) is the same in his
mirror and in the lake: every attack matches the two by that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from leadhub.foundation.vocabulary import IDENTIFIER_KINDS
from leadhub.identity import rarity
from leadhub.steps import labelled

FACTS = ("sex", "race")


@dataclass(frozen=True)
class People:
    """Clear-text records, row by row: `identifiers` (columns named by kind), `facts` (sex and race, which
    core tables hold as they are), `person` (text; equal for records of one person)."""

    identifiers: pl.DataFrame
    facts: pl.DataFrame
    person: np.ndarray

    def __len__(self) -> int:
        return len(self.person)

    def only(self, rows: np.ndarray) -> People:
        return People(self.identifiers[rows], self.facts[rows], self.person[rows])

    def and_(self, other: People) -> People:
        return People(
            pl.concat([self.identifiers, other.identifiers], how="diagonal"),
            pl.concat([self.facts, other.facts]),
            np.concatenate([self.person, other.person]),
        )


@dataclass(frozen=True)
class Knowledge:
    """How an attacker's roll covers the people in the lake. `as_recorded`: the very text that the agency
    has, as its own clerk could know it; else an independent recording, with errors, moves and changed
    names. `covers` None: no roll, but public name frequencies. `strangers`: it holds
    others besides."""

    covers: float | None
    as_recorded: bool = False
    strangers: bool = True

    @property
    def name(self) -> str:
        if self.covers is None:
            return "public name lists"
        if not self.strangers:
            return "agency's own table, whole"
        kind = "agency's own text" if self.as_recorded else "independent roll"
        return f"{kind}, {self.covers:.0%}"


def read(path: Path) -> People:
    """A labelled file (columns as `leadhub linkage evaluate` reads them, and `truth`)."""
    source = labelled.read(path, {}, keep=["truth"], prefix="", also=FACTS)
    kinds = [k for k in IDENTIFIER_KINDS if k in source.identifiers.columns]
    stated = [pl.col(f) if f in source.others.columns else pl.lit(None, pl.String).alias(f) for f in FACTS]
    facts = source.others.select("truth", *stated).drop("truth")
    return People(source.identifiers.select(kinds), facts, source.others.get_column("truth").to_numpy())


def shared(one: People, other: People) -> tuple[People, People]:
    """`one` without those who do not stand in `other`, and `other`: so that a roll can cover all of a
    lake."""
    return one.only(np.flatnonzero(np.isin(one.person, other.person))), other


def known(what: Knowledge, lake: People, other: People, rng: np.random.Generator) -> People:
    """The attacker's roll, in random order: the people that it covers, and the strangers of `other`."""
    if what.covers is None:
        return drawn(len(lake), rng)
    everyone = np.unique(lake.person)
    covered = rng.choice(everyone, round(what.covers * len(everyone)), replace=False)
    source = lake if what.as_recorded else other
    strangers = other.only(np.flatnonzero(~np.isin(other.person, everyone)))
    found = source.only(np.flatnonzero(np.isin(source.person, covered)))
    found = found.and_(strangers) if what.strangers else found
    return found.only(rng.permutation(len(found)))


def drawn(count: int, rng: np.random.Generator) -> People:
    """People as public figures alone let one imagine them, commonest names first: names drawn by the census
    list, every other identifier filled in at random (its token is then there, and tells nothing)."""
    names = {k: _drawn(k, count, rng) for k in ("last_name", "first_name")}
    days = rng.integers(0, 30_000, count)
    text = {
        "date_of_birth": pl.Series(np.datetime64("1930-01-02") + days).cast(pl.Date),
        "zip": pl.Series(rng.integers(10_000, 10_024, count)).cast(pl.String),
        "city": pl.Series(["ALBANY"]).new_from_index(0, count),
        "address_line": pl.format(
            "{} {} ST", pl.Series(rng.integers(1, 2_000, count)), pl.Series(rng.integers(1, 200, count))
        ),
    }
    frame = pl.select(**names, middle_name=_drawn("first_name", count, rng), **text)
    common = pl.len().over("last_name") * pl.len().over("first_name")
    frame = frame.sort(common, "last_name", "first_name", descending=[True, False, False])
    facts = pl.select(**{f: pl.Series([None], dtype=pl.String).new_from_index(0, count) for f in FACTS})
    return People(frame, facts, np.char.mod("nobody%d", np.arange(count)).astype(object))


def _drawn(kind: str, count: int, rng: np.random.Generator) -> pl.Series:
    listed = rarity.common().filter(pl.col("kind") == kind)
    share = listed.get_column("percent").to_numpy()
    return listed.get_column("name").gather(rng.choice(len(share), count, p=share / share.sum()))
