"""The people of thirty nights, each as every agency might write them: `versions`, one table made once.

It is made by the peers' environment, which has the census's names: `python -m
benchmarks.linkage.nights_county PERSONS SEED` writes it and says where.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import polars as pl

from benchmarks.linkage import measure, population, synthetic
from benchmarks.linkage.errors import Mix

#: where a person may have a record; the police write a second one of those whom they meet again
SLOTS = ("police", "police_again", "da", "harbor", "clinic")
#: as first written; put right; after a move or a marriage; keyed anew with other errors
VERSIONS = ("written", "corrected", "later", "rekeyed")
MIXES = {
    "written": Mix(),
    "corrected": Mix(errors=0.0, nicknames=0.0, missing=0.5),
    "later": Mix(errors=0.05),
    "rekeyed": Mix(errors=0.2),
}
MOVED, RENAMED_WOMEN, NEW_PHONE = 0.7, 0.3, 0.5
KIND = replace(
    synthetic.KINDS["households"],
    columns=tuple(c for c in synthetic.KINDS["households"].columns if c != "race"),
)


def versions(persons: int, seed: int) -> pl.DataFrame:
    """A row for each person, slot and version, in this order; dates are dates, impossible ones missing.

    Columns: person and those of identifier kinds. Persons are numbered in no order of theirs.
    """
    rng = np.random.default_rng(seed)
    who = population.people(rng, persons)
    where = population.place(rng, persons)
    homes = int(who.household[-1]) + 1
    dwelling = population.addresses(rng, where, homes)
    fresh = population.addresses(rng, where, homes + len(who.born))
    later, dwelling = synthetic.moved(rng, who, fresh, dwelling, MOVED)
    new = rng.random(persons) < NEW_PHONE
    phone = np.where(new, rng.integers(2_012_000_000, 9_899_999_999, persons), who.phone)
    changed = replace(synthetic.renamed(rng, who, RENAMED_WOMEN), phone=phone)
    order = rng.permutation(persons)
    numbers = _numbers(rng, persons)
    made = []
    for s, slot in enumerate(SLOTS):
        for v, version in enumerate(VERSIONS):
            is_later = version == "later"
            them, there = (changed, later) if is_later else (who, dwelling[who.household])
            columns = synthetic.written(rng, them, order, there, KIND, MIXES[version])
            place = pl.DataFrame({"person": np.arange(persons), "slot": s, "version": v})
            made.append(place.with_columns(**columns, **numbers[slot]))
    whole = pl.concat(made).sort("person", "slot", "version").drop("slot", "version")
    return whole.with_columns(pl.col("date_of_birth").str.to_date(strict=False))


def _numbers(rng: np.random.Generator, persons: int) -> dict[str, dict[str, pl.Series]]:
    """Half of the people have a NYSID, which police and DA mostly write down; some agencies ask for the
    last digits of the social security number."""
    nysid = pl.Series(rng.permutation(10_000_000 + np.arange(persons))).cast(pl.String) + "Q"
    ssn4 = pl.Series(rng.integers(1, 10_000, persons)).cast(pl.String).str.zfill(4)
    fingerprinted = rng.random(persons) < 0.5
    found = {}
    for slot in SLOTS:
        justice = slot.startswith(("police", "da"))
        known = fingerprinted & (rng.random(persons) < (0.7 if justice else 0.0))
        asked = rng.random(persons) < {"da": 0.0, "police": 0.4}.get(slot, 0.6)
        found[slot] = {
            "nysid": pl.select(pl.when(pl.Series(known)).then(nysid)).to_series(),
            "ssn4": pl.select(pl.when(pl.Series(asked)).then(ssn4)).to_series(),
        }
    return found


def main() -> None:
    persons, seed = map(int, sys.argv[1:])
    path = measure.CACHE / f"nights_{persons}_{seed}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    versions(persons, seed).write_parquet(path)
    print(json.dumps(str(path)))


if __name__ == "__main__":
    main()
