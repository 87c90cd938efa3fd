"""`make bench-linkage`: leadhub's two tiers beside Splink 5 on clear text, in one run.

Every system gets the same records, in a process of its own, one after another. F1 over all true pairs: at
the best threshold, and at the one that the system itself would take without labels; raw, and one-to-one or,
where one table is searched for duplicates, as persons.
Times are wall and CPU seconds; memory is the process's peak.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.linkage import datasets, splink_peer, truth

SETS = ("households_20k", "voter_20k", "namesdob_20k", "febrl4", "historical_50k")
IN_ONE = ("households_20k_in_one", "voter_20k_in_one", "namesdob_20k_in_one", "febrl4_in_one")
HOLDOUT = ("households_20k_holdout", "voter_20k_holdout", "namesdob_20k_holdout")
SYSTEMS = ("splink default", "splink tuned", "leadhub tokens", "leadhub fields")
#: columns of the sets that the linkage schema knows
_OURS = ("last_name", "first_name", "middle_name", "suffix", "date_of_birth", "birth_year", "ssn4", "phone")
_OURS += ("address_line", "city", "zip", "sex", "birth_place", "occupation")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--set", dest="sets", action="append", help=f"default: {', '.join(SETS)}")
    for option, sets, told in (
        ("--holdout", HOLDOUT, "the sets kept for reporting alone"),
        ("--in-one", IN_ONE, "sets of two tables as one, for duplicates"),
    ):
        options.add_argument(
            option, dest="group", action="store_const", const=sets, default=SETS, help=told
        )
    options.add_argument("--json", type=Path, default=datasets.CACHE / "results.json")
    options.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.one:
        print(json.dumps(_splink(*chosen.one)))
        return
    results = []
    for name in chosen.sets or chosen.group:
        datasets.load(name)
        for system in SYSTEMS:
            print(f"{name}: {system} …", file=sys.stderr, flush=True)
            results.append({"set": name, "system": system, **_run(name, system)})
    chosen.json.write_text(json.dumps(results, indent=1))
    _show(results)


def _run(name: str, system: str) -> dict[str, Any]:
    kind, which = system.split()
    if kind == "splink":
        order = [sys.executable, "-m", "benchmarks.linkage", "--one", name, which]
        said = subprocess.run(order, cwd=datasets.REPOSITORY, capture_output=True, text=True, check=True)
        return json.loads(said.stdout.splitlines()[-1])
    tables = sorted(datasets.CACHE.glob(f"{name}.[12].parquet"))
    columns = datasets.load(name).fields
    mapping = ",".join(f"{c}={c}" for c in _OURS if c in columns)
    leadhub = datasets.REPOSITORY / ".venv" / "bin" / "leadhub"
    order = [leadhub, "linkage", "evaluate", *tables, "--truth", "truth", "--tier", which, "--json"]
    order += ["--map", mapping]
    said = subprocess.run(list(map(str, order)), capture_output=True, text=True, check=True)
    found = json.loads(said.stdout)
    sides = {side: found[side] for side in ("raw", "one_to_one") if side in found}
    return {
        **{side: {at: f[at]["f1"] for at in ("best", "chosen")} for side, f in sides.items()},
        # at leadhub's own threshold alone: it makes persons by other rules than chains of pairs
        **({} if "one_to_one" in found else {"persons": {"chosen": found["persons"]["f1"]}}),
        "block_recall": found["block_recall"],
        "wall": found["seconds"]["all"]["wall"],
        "cpu": found["seconds"]["all"]["cpu"],
        "memory_mb": found["peak_memory_mb"],
    }


def _splink(name: str, which: str) -> dict[str, Any]:
    dataset = datasets.load(name)
    wall, cpu = time.perf_counter(), time.process_time()
    outcome = {"default": splink_peer.default, "tuned": splink_peer.tuned}[which](dataset, 2)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    report = truth.evaluate(truth.truth_of(dataset), outcome.pairs, outcome.threshold)
    sides = {"raw": report.raw, "one_to_one": report.one_to_one}
    return {
        **{
            side: {"best": s.best.f1, "chosen": s.chosen.f1, "interval": s.best.interval}
            for side, s in sides.items()
            if s
        },
        **({"persons": asdict(report.persons)} if report.persons else {}),
        "block_recall": report.block_recall,
        "wall": wall,
        "cpu": cpu,
        "memory_mb": memory,
    }


def _show(results: list[dict[str, Any]]) -> None:
    columns = ("set", "system", "raw best", "own", "one-to-one or persons best", "own", "blocks")
    table = Table(*columns, "wall s", "cpu s", "MB")
    for r in results:
        one = r.get("one_to_one") or r["persons"]
        figures = (
            r["raw"]["best"],
            r["raw"]["chosen"],
            one.get("best"),
            one.get("chosen"),
            r["block_recall"],
        )
        shown = ["–" if f is None else f"{f:.4f}" for f in figures]
        table.add_row(
            r["set"], r["system"], *shown, f"{r['wall']:.1f}", f"{r['cpu']:.1f}", f"{r['memory_mb']:,}"
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
