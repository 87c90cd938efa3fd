"""`make bench-privacy`: attacks on a lake of synthetic people, each beside the quality that the tier gives.

The set's first table is the feed attacked, without the people whom the second does not hold, so that a roll
can cover all of it; the second is the other feed, and what an independent roll says. Facts go to
var/bench/privacy.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.linkage import measure
from benchmarks.privacy import suite, thief
from benchmarks.privacy.roll import Knowledge, People, known, read, shared
from benchmarks.privacy.suite import Finding
from leadhub.foundation.keys import Keys
from leadhub.identity.linkage.schema import LinkageSchema, Tier, person

OUT = measure.REPOSITORY / "var" / "bench" / "privacy.json"
KEYS = Keys(bytes(range(32)))
SEED = 20_261_123
KNOWLEDGE = (
    Knowledge(None),
    *(Knowledge(share) for share in (0.2, 0.8, 1.0)),
    *(Knowledge(share, as_recorded=True) for share in (0.2, 0.8, 1.0)),
    Knowledge(1.0, as_recorded=True, strangers=False),
)
#: of the curve: public lists, and rolls of everybody
SOME = tuple(k for k in KNOWLEDGE if k.covers in (None, 1.0))
QUICK, CURVE = 2_000, 8_000
GATES = (8.0, 10.0, 12.0, 15.0, 20.0)
#: no more of a night's records than this without any key may be named beyond chance
BOUND = 0.001


@dataclass(frozen=True)
class Lake:
    name: str
    tier: Tier = "tokens"
    bits: float = person().least_bits
    records: int | None = None


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--set", default="households_20k")
    options.add_argument("--show", action="store_true", help="the table of the last run again")
    options.add_argument("--quick", action="store_true", help=f"{QUICK} records, and no curve")
    chosen = options.parse_args()
    if chosen.show:
        show(json.loads(OUT.read_text()))
        return
    whole = [Lake(chosen.set, tier) for tier in ("tokens", "fields")]
    runs = []
    for lake in [*whole, *(() if chosen.quick else curve(chosen.set))]:
        feeds = feeds_of(lake.name, QUICK if chosen.quick else lake.records)
        runs.append(run(lake, feeds, KNOWLEDGE if lake.records is None else SOME))
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(json.dumps(runs, indent=1))
    show(runs)


def curve(name: str) -> list[Lake]:
    """The default tier at other gates, on fewer records."""
    return [Lake(name, "tokens", bits, CURVE) for bits in GATES]


def feeds_of(name: str, most: int | None = None) -> list[People]:
    """The two tables of a set, made by `.venv-bench` where they are not there yet."""
    paths = [measure.CACHE / f"{name}.{i}.parquet" for i in (1, 2)]
    if not all(p.exists() for p in paths):
        make = f"from benchmarks.linkage import datasets; datasets.load({name!r})"
        subprocess.run([measure.PEERS, "-c", make], cwd=measure.REPOSITORY, check=True)
    one, other = shared(*(read(p) for p in paths))
    if most is None:
        return [one, other]
    some = one.only(np.arange(min(most, len(one))))
    strangers = np.flatnonzero(~np.isin(other.person, one.person))[: most // 4]
    same = np.flatnonzero(np.isin(other.person, some.person))
    return [some, other.only(np.sort(np.concatenate([same, strangers])))]


def gated(bits: float) -> LinkageSchema:
    """The schema in force at another gate, without the keys that no value could pass it with."""
    schema = person()
    kept = tuple(k for k in schema.match_keys if schema.most_bits(k) >= bits)
    return LinkageSchema.model_validate(
        schema.model_dump(by_alias=True) | {"least_bits": bits, "match_keys": kept}
    )


def run(lake: Lake, feeds: list[People], knowledge: tuple[Knowledge, ...]) -> dict[str, Any]:
    """Every attack on one lake, and what linking it is worth."""
    held = thief.hold(feeds, keys=KEYS, tier=lake.tier, schema=gated(lake.bits))
    people = feeds[0].only(held.order)
    found: list[Finding] = []
    for what in knowledge:
        roll = known(what, feeds[0], feeds[1], np.random.default_rng(SEED))
        target = suite.Target(held, people, roll, what, KEYS)
        print(f"{lake}: {what.name} …", file=sys.stderr, flush=True)
        found += suite.operator(target)
        if lake.records is None:
            found += suite.columns(target)
        if what.covers is not None:
            found.append(suite.with_key(target))
        if not what.strangers:
            found += suite.disks(target, [roll, feeds[1]])
    return {
        **asdict(lake),
        "attacked": len(people),
        "keys": len(held.schema.match_keys),
        "f1": held.quality,
        "findings": [asdict(f) | {"beyond": f.leak.beyond} for f in found],
    }


#: attack → its column; of several attacks in one column the one that names most
COLUMNS = {
    "frequency, salt unknown": "column",
    "frequency, sex and race known": "salted",
    "frequency, birth year known too": "salted",
    "frequency, all columns": "frequency",
    "pattern mining": "patterns",
    "sex and race": "patterns",
    "crosswalk": "graph",
    "scored pairs": "together",
    "graph matching": "graph",
    "all together": "together",
    "dictionary": "together",
}
HEADS = {
    "column": "frequency, best column",
    "salted": "salt known",
    "frequency": "frequency, all columns",
    "patterns": "patterns",
    "graph": "graph",
    "together": "together",
}


def show(runs: list[dict[str, Any]]) -> None:
    """One line a lake, adversary and knowledge: % of records named (of the surest 1 %) beside quality."""
    table = Table("lake", "F1 raw | 1-1", "adversary", "knows", *HEADS.values(), "chance at most", "0.1 %")
    for r in runs:
        by_who: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for f in r["findings"]:
            if f["target"] in ("person", "full name", "value"):
                by_who.setdefault((f["adversary"], f["knowledge"]), []).append(f)
        for who, found in by_who.items():
            table.add_row(
                f"{r['tier']}, {r['bits']:g} bits, {r['attacked']:,}",
                f"{r['f1']['raw']:.3f} | {r['f1']['one_to_one']:.3f}",
                *who,
                *(_cell(found, column) for column in HEADS),
                f"{100 * max(f['leak']['chance'] for f in found if f['target'] != 'value'):.2f}",
                _verdict(found),
            )
    Console(width=190).print(table)


def _cell(found: list[dict[str, Any]], column: str) -> str:
    told = [f for f in found if COLUMNS.get(f["attack"]) == column]
    if not told:
        return ""
    best = max(told, key=lambda f: f["beyond"])["leak"]
    return f"{100 * best['right']:.2f} ({100 * best['surest']:.0f})"


def _verdict(found: list[dict[str, Any]]) -> str:
    named = max(
        f["beyond"] for f in found if f["target"] != "value" or f["attack"].endswith("salt unknown")
    )
    return "below" if named < BOUND else "above"


if __name__ == "__main__":
    main()
