"""`python -m benchmarks.linkage.splink_1m`: 1M × 1M records, leadhub's tiers beside tuned Splink.

Each in a process of its own, one after another: from the records of both tables to scored pairs (Splink),
or to persons and how good they are (leadhub). Encoding and Splink's preparation of columns are in the whole
and not in linking alone. Memory is the process's peak, with the tables in it.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.linkage import growth, measure

THREADS = 2
#: at most this share of tuned Splink's
WHOLE, MEMORY, LINKING = 1 / 4, 0.4, 1 / 8


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--set", default="households_1M")
    options.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.one:
        print(json.dumps(splink(chosen.set)))
        return
    before = measure.load()
    found = {"splink tuned": measure.child(measure.PEERS, _MODULE, "--set", chosen.set, "--one")}
    paths = sorted(map(str, measure.CACHE.glob(f"{chosen.set}.[12].parquet")))
    for tier in growth.TIERS:
        run = growth.evaluated(paths, tier)
        steps = run["steps"]
        # persons are decided and judged in one step: the pairs are scored before it
        found[f"leadhub {tier}"] = {
            **run,
            "link": steps["link"]["wall"],
            "link_and_decide": steps["link"]["wall"] + steps["decide"]["wall"],
        }
    _show(found)
    peer = found["splink tuned"]
    ratios = [
        measure.Ratio(f"{chosen.set}, {tier}: {what}", ours[key] / peer[of], target, False, note)
        for tier, ours in ((t, found[f"leadhub {t}"]) for t in growth.TIERS)
        for what, key, of, target, note in (
            ("wall / Splink's", "wall", "wall", WHOLE, "with encoding, decisions, judging"),
            ("peak memory / Splink's", "memory_mb", "memory_mb", MEMORY, ""),
            ("linking alone / Splink's", "link", "link", LINKING, "tokens to scored pairs"),
            ("linking to persons / Splink's", "link_and_decide", "link", LINKING, "and judging"),
        )
    ]
    measure.show(ratios)
    measure.keep("splink_1m", {"set": chosen.set, "load": [before, measure.load()], "runs": found}, ratios)


_MODULE = "benchmarks.linkage.splink_1m"


def splink(name: str) -> dict[str, Any]:
    """Splink's own process: preparing columns, training, predicting; then how good it was."""
    from benchmarks.linkage import datasets, splink_peer, truth

    dataset = datasets.load(name)
    wall, cpu = time.perf_counter(), time.process_time()
    outcome = splink_peer.tuned(dataset, THREADS)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    judged = truth.evaluate(truth.truth_of(dataset), outcome.pairs, outcome.threshold)
    return {
        "wall": wall,
        "cpu": cpu,
        "link": outcome.notes["train_seconds"] + outcome.notes["predict_seconds"],
        "memory_mb": memory,
        "pairs": judged.pairs,
        "f1": judged.raw.chosen.f1,
        **outcome.notes,
    }


def _show(found: dict[str, dict[str, Any]]) -> None:
    table = Table("system", "wall s", "cpu s", "link s", "MB", "pairs", "F1, raw, own threshold")
    for system, f in found.items():
        seconds = (f"{f[k]:.1f}" for k in ("wall", "cpu", "link"))
        table.add_row(system, *seconds, f"{f['memory_mb']:,}", f"{f['pairs']:,}", f"{f['f1']:.4f}")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
