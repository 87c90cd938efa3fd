"""`python -m benchmarks.linkage.nights`: do person ids last? Thirty nights of a county with known truth.

Every night records come, are put right, follow a move or a marriage, are mixed up with another person's
and put right later, vanish and return; stewards decide about pairs, sometimes wrongly, and take it back.
Each night goes the production's way: tokens → `incremental.link_changes` under the first night's model and
limits → `crosswalk.assign`. Every few nights everything is linked as well, and must give the same.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from benchmarks.linkage import measure, nights_measures
from benchmarks.linkage.nights_county import SLOTS, VERSIONS
from benchmarks.linkage.nights_plot import plot
from leadhub.foundation.keys import Keys
from leadhub.identity import crosswalk, linkage, tokens
from leadhub.identity.linkage import decisions
from leadhub.identity.linkage.incremental import link_changes

NIGHTS, PERSONS, SEED, FULL_EVERY = 30, 10_000, 7, 5
#: persons of a county who appear after the first night, a share of those of the first
NEWCOMERS = 0.2
FEEDS = [slot.removesuffix("_again") for slot in SLOTS]
#: which slots hold a person at the first night
COVERAGE = (0.70, 0.10, 0.50, 0.35, 0.25)
#: feeds that hold a person once: all but the police
ONCE = frozenset(FEEDS) - {"police"}
#: what happens in a night, a share of the county's persons
ARRIVE, AGAIN, CORRECTED, REKEYED, LATER = 0.006, 0.012, 0.010, 0.003, 0.006
MIXED_UP, GONE, DECIDED, DECIDED_WRONGLY = 0.003, 0.004, 0.003, 0.001
RETURN = 0.5
PLOT = measure.REPOSITORY / "docs" / "img" / "linkage-nights.svg"


@dataclass
class Record:
    """Whose it is, in which slot, and what stands in it: a version of somebody, mostly of its person."""

    person: int
    slot: int
    shown: int
    version: int


@dataclass
class County:
    """Its records, and what is still to happen to them. `of`: persons; those from `born` on have not
    come yet."""

    of: int
    born: int
    rng: np.random.Generator
    records: dict[str, Record] = field(default_factory=dict)
    later: dict[int, list[tuple[str, Record]]] = field(default_factory=dict)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    reversals: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def begin(self) -> set[str]:
        has = self.rng.random((self.born, len(SLOTS))) < COVERAGE
        has[:, 0] |= ~has.any(axis=1)
        return {self._write(int(p), int(s)) for p, s in np.argwhere(has)}

    def night(self, number: int) -> set[str]:
        """What happens; the ids of new and changed records, and of those that are gone."""
        touched = {record for record, _ in self.later.get(number, [])}
        self.records |= dict(self.later.pop(number, []))
        come = min(self._count(ARRIVE), self.of - self.born)
        for person in range(self.born, self.born + come):
            touched.add(self._write(person, int(self.rng.integers(len(SLOTS)))))
        self.born += come
        for person in self.rng.integers(self.born, size=self._count(AGAIN)).tolist():
            slot = int(self.rng.integers(len(SLOTS)))
            if record_id(person, slot) not in self.records:
                touched.add(self._write(person, slot))
        for share, version in ((CORRECTED, "corrected"), (REKEYED, "rekeyed"), (LATER, "later")):
            for record in self._some(share):
                was = self.records[record]
                self.records[record] = Record(was.person, was.slot, was.person, VERSIONS.index(version))
                touched.add(record)
        for record in self._some(MIXED_UP):
            was = self.records[record]
            other = int(self.rng.integers(self.born))
            self.records[record] = Record(was.person, was.slot, other, was.version)
            self._soon(number, record, was)
            touched.add(record)
        for record in self._some(GONE):
            was = self.records.pop(record)
            if self.rng.random() < RETURN:
                self._soon(number, record, was)
            touched.add(record)
        return touched

    def decide(self, number: int, pairs: pa.Table) -> set[str]:
        """What stewards decide after a night; the records of the pairs. A wrong decision is taken back
        some nights later."""
        made = self.reversals.pop(number, [])
        known = {(d["left"], d["right"]) for d in self.decisions}
        frame = pl.DataFrame(pl.from_arrow(pairs)).select("left", "right", "status")
        same = [
            self.records[a].person == self.records[b].person
            for a, b in frame.select("left", "right").rows()
        ]
        linked = (frame["status"] == "linked").to_numpy()
        for share, rightly in ((DECIDED, True), (DECIDED_WRONGLY, False)):
            wrong = (linked != np.array(same, dtype=bool)) == rightly
            chosen = self.rng.permutation(np.flatnonzero(wrong))[: self._count(share)]
            for left, right, status in frame[chosen].rows():
                if (left, right) in known:
                    continue
                verdict = "two" if status == "linked" else "one"
                said = {"left": left, "right": right}
                made.append(said | {"verdict": verdict})
                if not rightly:
                    back = said | {"verdict": "one" if verdict == "two" else "two"}
                    self.reversals.setdefault(number + int(self.rng.integers(2, 6)), []).append(back)
        start = len(self.decisions)
        self.decisions += [d | {"number": start + i + 1} for i, d in enumerate(made)]
        return {d[side] for d in made for side in ("left", "right")}

    def table(self, encoded: pa.Table) -> pa.Table:
        """The night's token table: of each record the row of what stands in it."""
        rows = [(r.shown * len(SLOTS) + r.slot) * len(VERSIONS) + r.version for r in self.records.values()]
        chosen = encoded.take(pa.array(rows, pa.int64()))
        return chosen.set_column(0, "record_id", pa.array(list(self.records), pa.string()))

    def truth(self) -> pl.DataFrame:
        """record_id, truth."""
        rows = [(record, r.person) for record, r in self.records.items()]
        return pl.DataFrame(rows, schema={"record_id": pl.String, "truth": pl.Int64}, orient="row")

    def _write(self, person: int, slot: int) -> str:
        record = record_id(person, slot)
        self.records[record] = Record(person, slot, person, 0)
        return record

    def _soon(self, number: int, record: str, what: Record) -> None:
        self.later.setdefault(number + int(self.rng.integers(2, 7)), []).append((record, what))

    def _count(self, share: float) -> int:
        return int(self.rng.poisson(share * self.born))

    def _some(self, share: float) -> list[str]:
        everyone = sorted(self.records)
        chosen = self.rng.integers(len(everyone), size=self._count(share))
        return list(dict.fromkeys(everyone[i] for i in chosen))


def record_id(person: int, slot: int) -> str:
    return hashlib.sha256(f"{person} {slot}".encode()).hexdigest()[:16]


def encode(versions: pl.DataFrame, keys: Keys) -> pa.Table:
    """The token table of every version, in the versions' order."""
    named = versions.drop("person").with_row_index("record_id")
    slot = pl.col("record_id") // len(VERSIONS) % len(SLOTS)
    named = named.with_columns(pl.col("record_id").cast(pl.String).str.zfill(9), slot=slot)
    made = [
        tokens.stored(tokens.tokenise(named.filter(slot=s).drop("slot").to_arrow(), feed=feed, keys=keys))
        for s, feed in enumerate(FEEDS)
    ]
    return pa.concat_tables(made).sort_by("record_id")


def run(
    versions: pl.DataFrame,
    persons: int,
    *,
    nights: int = NIGHTS,
    seed: int = SEED,
    full_every: int = FULL_EVERY,
) -> Iterator[dict[str, Any]]:
    """A night's figures after the other (`nights_measures.Watch.night`). `versions`: as
    `nights_county.versions` gives them, of at least `persons` persons."""
    keys = Keys(bytes(range(32)))
    encoded = encode(versions, keys)
    of = len(versions) // (len(SLOTS) * len(VERSIONS))
    county, watch = County(of, persons, np.random.default_rng(seed)), nights_measures.Watch()
    touched = county.begin()
    linked = linkage.link(county.table(encoded), one_per_person=ONCE)
    frozen = {"one_per_person": ONCE, "model": linked.model, "limits": linked.limits}
    assigned = None
    for number in range(1, nights + 1):
        how = "all"
        if number > 1:
            touched |= county.night(number)
            table = county.table(encoded)
            asked = {"changed": touched, "before": linked, "decided": county.decisions}
            some = link_changes(table, **asked, **frozen)
            how = "changes" if some else "grown"
            if not some or number % full_every == 0:
                whole = linkage.link(table, decided=county.decisions, **frozen)
                if some:
                    assert some.clusters.equals(whole.clusters), f"night {number}: clusters differ"
                    assert some.pairs.equals(whole.pairs), f"night {number}: pairs differ"
                    how = "both, equal"
                linked = whole
            else:
                linked = some
        assigned = crosswalk.assign(
            assigned.crosswalk if assigned else None,
            linked.clusters,
            night=f"{number:03d}",
            counter=assigned.counter if assigned else 0,
            keys=keys,
            decided=county.decisions,
        )
        found = watch.night(assigned, linked, county.truth(), touched)
        holds = decisions.held(assigned.crosswalk, county.decisions)["holds"].drop_nulls()
        broken = {"decisions": len(holds), "broken": int((~holds).sum())}
        yield {"night": number, "linked": how, "touched": len(touched), **broken, **found}
        touched = county.decide(number, linked.pairs)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--persons", type=int, default=PERSONS)
    options.add_argument("--nights", type=int, default=NIGHTS)
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--plot", type=Path, default=PLOT)
    chosen = options.parse_args()
    of = str(round(chosen.persons * (1 + NEWCOMERS)))
    path = measure.child(measure.PEERS, "benchmarks.linkage.nights_county", of, str(chosen.seed))
    versions, found = pl.read_parquet(path), []
    for night in run(versions, chosen.persons, nights=chosen.nights, seed=chosen.seed):
        print(" ".join(f"{name} {value}" for name, value in night.items()), flush=True)
        found.append(night)
    total = nights_measures.total(found)
    for name, value in total.items():
        print(f"{name:40s} {value}")
    measure.keep("nights", {"nights": found, "total": total}, [])
    chosen.plot.parent.mkdir(parents=True, exist_ok=True)
    chosen.plot.write_text(plot(found))


if __name__ == "__main__":
    main()
