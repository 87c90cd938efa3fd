"""`python -m benchmarks.linkage.growth`: how linking's time and memory grow with the number of records.

`leadhub linkage evaluate` on synthetic households, from the given identifiers to persons, in a process of
its own for each size and tier. The time is of encoding, linking and deciding; memory is the process's peak.
The exponent is the slope of a least-squares line through the logarithms.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.linkage import measure
from benchmarks.linkage.growth_plot import Line, plot

SIZES = (100_000, 300_000, 1_000_000, 3_000_000)
TIERS = ("tokens", "fields")
SEED = 20_261_124
TARGET = 1.15
PLOT = measure.REPOSITORY / "docs" / "img" / "linkage-growth.svg"
#: MiB that must be free for each million records, with room to spare
ROOM = 4_000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--largest", type=int, default=1_000_000, help="records in both files together")
    options.add_argument("--sizes", type=int, nargs="+", default=SIZES, help=argparse.SUPPRESS)
    options.add_argument("--plot", type=Path, default=PLOT)
    options.add_argument("--make", type=int, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.make:
        from benchmarks.linkage import datasets

        print(json.dumps(list(map(str, datasets.generated("households", chosen.make, SEED)))))
        return
    before, runs = measure.load(), []
    for size in (s for s in chosen.sizes if s <= chosen.largest):
        free = _free_mb()
        if free < ROOM * size / 1e6:
            print(f"{size:,} records: left out, [{free:,.0f} MiB] are free")
            continue
        paths = measure.child(measure.PEERS, "benchmarks.linkage.growth", "--make", str(size))
        runs += [{"records": size, "tier": tier, **evaluated(paths, tier)} for tier in TIERS]
    exponents = {f"{t} {m}": _exponent(runs, t, m) for t in TIERS for m in ("wall", "cpu")}
    last = {name: _exponent(runs[-2 * len(TIERS) :], *name.split()) for name in exponents}
    _show(runs)
    ratios = [
        measure.Ratio(f"growth, {n}: exponent", e, TARGET, False, f"{last[n]:.2f} between the largest two")
        for n, e in exponents.items()
    ]
    measure.show(ratios)
    facts = {"load": [before, measure.load()], "runs": runs, "exponents": exponents, "last": last}
    measure.keep("growth", facts, ratios)
    lines = [
        Line(f"{t}, {m} s", [(r["records"], r[m]) for r in runs if r["tier"] == t], exponents[f"{t} {m}"])
        for t in TIERS
        for m in ("wall", "cpu")
    ]
    chosen.plot.parent.mkdir(parents=True, exist_ok=True)
    chosen.plot.write_text(plot(lines))


def evaluated(paths: list[str], tier: str) -> dict[str, Any]:
    """Wall, CPU, seconds by step, peak memory and F1 of one run."""
    leadhub = measure.LEADHUB.with_name("leadhub")
    order = [str(leadhub), "linkage", "evaluate", *paths, "--truth", "truth", "--tier", tier, "--json"]
    load = measure.load()
    said = subprocess.run(order, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(said.stdout)
    spent = found["seconds"]
    print(f"{found['records']:,} {tier}: {spent['all']['wall']:.1f} s wall", flush=True)
    return {
        **spent["all"],
        "steps": spent,
        "memory_mb": found["peak_memory_mb"],
        "pairs": found["candidate_pairs"],
        "f1": found["raw"]["chosen"]["f1"],
        "load": load,
    }


def _free_mb() -> float:
    """Memory that processes may still take, from /proc/meminfo."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return next(float(words[1]) for words in lines if words[0] == "MemAvailable:") / 1024


def _exponent(runs: list[dict[str, Any]], tier: str, measured: str) -> float:
    points = [(r["records"], r[measured]) for r in runs if r["tier"] == tier]
    records, spent = np.log(np.array(points)).T
    return float(np.polyfit(records, spent, 1)[0])


def _show(runs: list[dict[str, Any]]) -> None:
    steps = ("encode", "link", "decide")
    table = Table("records", "tier", "wall s", "cpu s", *(f"{s} s" for s in steps), "MB", "pairs", "load")
    for r in runs:
        by_step = (f"{r['steps'][s]['wall']:.1f}" for s in steps)
        figures = (f"{r['wall']:.1f}", f"{r['cpu']:.1f}", *by_step)
        rest = (f"{r['memory_mb']:,}", f"{r['pairs']:,}", f"{r['load']:.1f}")
        table.add_row(f"{r['records']:,}", r["tier"], *figures, *rest)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
