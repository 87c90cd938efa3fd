"""`python -m benchmarks.linkage.encoding`: records per second and core, leadhub beside clkhash.

The same records from memory, in a process on one core each, per CPU second; the systems take turns, and the
median of three rounds counts. clkhash makes one 1,024-bit filter of the same columns, without validating
them, by the quicker of its two hashes. A process encodes its records once: clkhash keeps hashes of n-grams
that it met lately, and a second pass over the same records takes it half the time.

leadhub hashes each distinct value once, so its rate grows with the table; clkhash's does not. So leadhub is
measured on a larger set besides, beside clkhash's rate on the first.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.linkage import datasets, measure

#: a field's n-grams: their length, whether they are positional, and bits that the field sets: in all about
#: 1,024 · ln 2, so that half of the filter's bits are set
FEATURES = {
    "last_name": (2, False, 120),
    "first_name": (2, False, 120),
    "middle_name": (2, False, 40),
    "suffix": (2, False, 10),
    "date_of_birth": (1, True, 140),
    "sex": (1, False, 20),
    "address_line": (2, False, 110),
    "city": (2, False, 50),
    "zip": (1, True, 50),
    "phone": (1, True, 50),
}
SYSTEMS = ("tokens", "fields", "doubleHash", "blakeHash")
ROUNDS = 3
TARGETS = {"tokens": 8.0, "fields": 20.0}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--set", default="households_100k", help="its first table")
    options.add_argument("--larger", default="households_1M", help="for leadhub alone; none: leave it out")
    options.add_argument("--one", choices=SYSTEMS, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.one:
        print(json.dumps((leadhub if chosen.one in TARGETS else clkhash)(chosen.set, chosen.one)))
        return
    before = measure.load()
    turns = [(system, chosen.set) for system in SYSTEMS]
    if chosen.larger != "none":
        turns += [(tier, chosen.larger) for tier in TARGETS]
    rounds = [[_measured(*turn) for turn in turns] for _ in range(ROUNDS)]
    rates = {turn: statistics.median(r[i]["rate"] for r in rounds) for i, turn in enumerate(turns)}
    for (system, name), rate in rates.items():
        print(f"median: {system:12s} {name:20s} {rate:10,.0f} records/s/core")
    peer = max(rates[hashing, chosen.set] for hashing in ("doubleHash", "blakeHash"))
    ratios = [
        measure.Ratio(f"encoding, {system}: leadhub / clkhash", rate / peer, TARGETS[system], True, name)
        for (system, name), rate in rates.items()
        if system in TARGETS
    ]
    measure.show(ratios)
    measure.keep(
        "encoding", {"set": chosen.set, "load": [before, measure.load()], "rounds": rounds}, ratios
    )


def _measured(system: str, name: str) -> dict[str, Any]:
    python = measure.LEADHUB if system in TARGETS else measure.PEERS
    order = ("benchmarks.linkage.encoding", "--set", name, "--one", system)
    found = measure.child(python, *order, one_core=True)
    print(
        f"{system:12s} {found['records']:9,} records {found['cpu']:7.2f} s cpu {found['wall']:7.2f} s wall "
        f"{found['rate']:10,.0f} records/s/core",
        flush=True,
    )
    return found


def leadhub(name: str, tier: str) -> dict[str, Any]:
    """`tokens.tokenise` of the hub: normalisation, parts, keyed hashes, a sorted Arrow table."""
    from leadhub.foundation.keys import Keys
    from leadhub.foundation.vocabulary import IDENTIFIER_KINDS
    from leadhub.identity import tokens
    from leadhub.steps import labelled

    source = labelled.read(datasets.CACHE / f"{name}.1.parquet", {}, keep=["truth"], prefix="1:")
    kinds = [k for k in IDENTIFIER_KINDS if k in source.identifiers.columns]
    given, keys = source.identifiers.select("record_id", *kinds).to_arrow(), Keys(bytes(range(32)))
    return _answer(given, lambda rows: tokens.tokenise(rows, feed="a", keys=keys, tier=tier))


def clkhash(name: str, hashing: str) -> dict[str, Any]:
    """`generate_clks` in one process."""
    from clkhash.clk import generate_clks
    from clkhash.schema import from_json_dict

    table = datasets.load(name).tables[0]
    columns = [c for c in FEATURES if c in table.columns]
    records = table.select(columns).fill_null("").rows()
    schema = from_json_dict(clk_schema(columns, hashing))
    return _answer(
        records, lambda rows: generate_clks(rows, schema, "secret", validate=False, max_workers=1)
    )


def clk_schema(columns: list[str], hashing: str = "blakeHash") -> dict[str, Any]:
    """A linkage schema (version 3) for FEATURES."""
    features = []
    for name in columns:
        length, positional, bits = FEATURES[name]
        features.append(
            {
                "identifier": name,
                "format": {"type": "string", "encoding": "utf-8"},
                "hashing": {
                    "comparison": {"type": "ngram", "n": length, "positional": positional},
                    "strategy": {"bitsPerFeature": bits},
                    "hash": {"type": hashing},
                },
            }
        )
    derivation = {"type": "HKDF", "hash": "SHA256", "salt": "", "info": "", "keySize": 64}
    return {"version": 3, "clkConfig": {"l": 1024, "kdf": derivation}, "features": features}


def _answer(rows: Any, encode: Callable[[Any], Any]) -> dict[str, Any]:
    """After a few rows that load what is loaded on first use."""
    encode(rows[:1000])
    spent = measure.timed(lambda: encode(rows), 1)
    return {"records": len(rows), "wall": spent.wall, "cpu": spent.cpu, "rate": len(rows) / spent.cpu}


if __name__ == "__main__":
    main()
