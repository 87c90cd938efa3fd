"""`python -m benchmarks.linkage.comparing`: pairs compared per second and core, leadhub beside anonlink.

Three tasks, for anonlink compares blocks and leadhub compares lists of pairs:

- which pairs of two blocks of 5,000 records are alike, and how much: what both are used for. anonlink
  takes every pair; leadhub finds those that share a match key, and compares them. All pairs count as
  settled, though leadhub does not look at most of them;

- every pair of the same blocks: anonlink's C++ kernel for Dice coefficients of 1,024-bit filters at
  threshold 0.8; leadhub's levels of every field, without a threshold, a slice at a time, for a fifth of the
  pairs;
- each tier's own candidate pairs of the whole set, scattered over it. anonlink has no call for a list of
  pairs (its blocking compares block by block); numpy gathers the filters of tier `fields`' pairs and counts
  their bits.

A Dice coefficient is one figure a pair; leadhub's comparison gives the level of each field. Per CPU second,
each in a process on one core, the systems taking turns, the median of three rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any

import numpy as np

from benchmarks.linkage import datasets, encoding, measure

BLOCK, SLICE = 5_000, 250
LEADHUB_ROWS = BLOCK // 5
THRESHOLD = 0.8
SYSTEMS = ("fields", "tokens", "anonlink")
TASKS = ("alike", "blocks", "candidates")
ROUNDS = 3
TARGET = 1.5
_CHUNK = 1 << 13
PAIRS = measure.CACHE / "comparing_pairs.npy"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--set", default="households_100k")
    options.add_argument("--one", choices=SYSTEMS, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.one:
        print(
            json.dumps(
                anonlink(chosen.set) if chosen.one == "anonlink" else leadhub(chosen.set, chosen.one)
            )
        )
        return
    before = measure.load()
    rounds = [{system: _measured(system, chosen.set) for system in SYSTEMS} for _ in range(ROUNDS)]
    rates = {
        (system, task): statistics.median(r[system][task]["rate"] for r in rounds)
        for system in SYSTEMS
        for task in TASKS
    }
    for (system, task), rate in rates.items():
        print(f"median: {system:9s} {task:11s} {rate / 1e6:8.2f} M pairs/s/core")
    note = {
        "alike": "the alike pairs of two blocks",
        "blocks": "all pairs of two blocks",
        "candidates": "same pairs, numpy for anonlink",
    }
    ratios = [
        measure.Ratio(
            f"comparing, {system}, {task}: leadhub / anonlink",
            rate / rates["anonlink", task],
            TARGET,
            True,
            note[task],
        )
        for (system, task), rate in rates.items()
        if system != "anonlink"
    ]
    measure.show(ratios)
    measure.keep(
        "comparing", {"set": chosen.set, "load": [before, measure.load()], "rounds": rounds}, ratios
    )


def _measured(system: str, name: str) -> dict[str, Any]:
    python = measure.PEERS if system == "anonlink" else measure.LEADHUB
    order = ("benchmarks.linkage.comparing", "--set", name, "--one", system)
    found = measure.child(python, *order, one_core=True)
    for task, f in found.items():
        print(f"{system:9s} {task:11s} {f['pairs']:11,} pairs {f['cpu']:7.3f} s cpu", flush=True)
    return found


def leadhub(name: str, tier: str) -> dict[str, Any]:
    """`comparison.compare` on the two tasks; the candidates of tier `fields` are kept for the peer."""
    import dataclasses

    import pyarrow as pa

    from leadhub.foundation.keys import Keys
    from leadhub.foundation.vocabulary import IDENTIFIER_KINDS
    from leadhub.identity import tokens
    from leadhub.identity.linkage import candidates
    from leadhub.identity.linkage.comparison import compare
    from leadhub.identity.linkage.records import encode
    from leadhub.identity.linkage.schema import person

    made, keys = [], Keys(bytes(range(32)))
    for i in (1, 2):
        source = labelled_table(name, i)
        kinds = [k for k in IDENTIFIER_KINDS if k in source.columns]
        given = source.select("record_id", *kinds).to_arrow()
        made.append(tokens.stored(tokens.tokenise(given, feed=f"f{i}", keys=keys, tier=tier)))
    records = encode(pa.concat_tables(made), frozenset(("f1", "f2")), person())
    found = candidates.find(records)
    if tier == "fields":
        np.save(PAIRS, np.stack([found.left, found.right]))
    half = made[0].num_rows
    two = pa.concat_tables([table[:BLOCK] for table in made])
    del made

    def alike() -> int:
        few = encode(two, frozenset(("f1", "f2")), person())
        compare(few, candidates.find(few))
        return BLOCK * BLOCK

    def blocks() -> int:
        """Feed 1 holds the first rows, feed 2 those from `half` on."""
        for at in range(0, LEADHUB_ROWS, SLICE):
            left = np.repeat(np.arange(at, at + SLICE), BLOCK)
            right = np.tile(np.arange(half, half + BLOCK), SLICE)
            compare(records, dataclasses.replace(found, left=left, right=right))
        return LEADHUB_ROWS * BLOCK

    def listed() -> int:
        compare(records, found)
        return len(found.left)

    return {"alike": _answer(alike), "blocks": _answer(blocks), "candidates": _answer(listed)}


def labelled_table(name: str, number: int) -> Any:
    from leadhub.steps import labelled

    path = datasets.CACHE / f"{name}.{number}.parquet"
    return labelled.read(path, {}, keep=["truth"], prefix=f"{number}:").identifiers


def anonlink(name: str) -> dict[str, Any]:
    """anonlink's candidate generation on the blocks; numpy on the candidates."""
    from anonlink.candidate_generation import find_candidate_pairs
    from anonlink.similarities import dice_coefficient_accelerated
    from clkhash.clk import generate_clks
    from clkhash.schema import from_json_dict

    filters = []
    for table in datasets.load(name).tables:
        columns = [c for c in encoding.FEATURES if c in table.columns]
        schema = from_json_dict(encoding.clk_schema(columns))
        rows = table.select(columns).fill_null("").rows()
        filters.append(generate_clks(rows, schema, "secret", validate=False, max_workers=1))
    two = [some[:BLOCK] for some in filters]
    words = np.frombuffer(b"".join(f.tobytes() for some in filters for f in some), dtype=np.uint64)
    words = words.reshape(-1, 1024 // 64)
    left, right = np.load(PAIRS)

    def blocks() -> int:
        find_candidate_pairs(two, dice_coefficient_accelerated, THRESHOLD)
        return BLOCK * BLOCK

    def listed() -> int:
        counts = np.bitwise_count(words).sum(axis=1, dtype=np.int32)
        dice = np.empty(len(left), dtype=np.float32)
        for at in range(0, len(left), _CHUNK):
            part = slice(at, at + _CHUNK)
            one, other = words.take(left[part], axis=0), words.take(right[part], axis=0)
            both = np.bitwise_count(one & other).sum(axis=1, dtype=np.int32)
            dice[part] = 2 * both / (counts[left[part]] + counts[right[part]])
        np.flatnonzero(dice >= THRESHOLD)
        return len(left)

    settled = _answer(blocks)
    return {"alike": settled, "blocks": settled, "candidates": _answer(listed)}


def _answer(task: Any) -> dict[str, Any]:
    pairs: list[int] = []
    spent = measure.timed(lambda: pairs.append(task()))
    return {"pairs": pairs[0], "wall": spent.wall, "cpu": spent.cpu, "rate": pairs[0] / spent.cpu}


if __name__ == "__main__":
    main()
