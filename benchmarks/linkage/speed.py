"""`make bench-linkage-speed`: every measurement of linkage's speed, and one table of ratios with targets.

One after another, each in processes of its own: encoding beside clkhash, comparing beside anonlink, growth,
1M × 1M beside tuned Splink, a night's changes beside the full run. On a machine of two cores about half an
hour; `--quick` takes small sets, to see that all works.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys

from benchmarks.linkage import measure

INCREMENT = 1 / 20
_NIGHT = re.compile(r"changes / \(encode, (.*)\): ([\d.]+) wall, ([\d.]+) cpu")
_EQUAL = re.compile(r"results equal: (\w+)")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--largest", type=int, default=3_000_000, help="records, of the growth")
    options.add_argument("--quick", action="store_true")
    options.add_argument("--wait", type=float, default=0, help="minutes to wait until others have done")
    chosen = options.parse_args()
    if chosen.wait and not measure.wait_until_quiet(chosen.wait):
        print(f"the machine is not quiet: load average {measure.load():.1f}")
    small, large = (
        ("households_20k", "households_20k") if chosen.quick else ("households_100k", "households_1M")
    )
    growth = ["--sizes", "10000", "30000"] if chosen.quick else ["--largest", str(chosen.largest)]
    plot = ["--plot", str(measure.CACHE / "quick.svg")] if chosen.quick else []
    _run("encoding", "--set", small, "--larger", large)
    _run("comparing", "--set", small)
    _run("growth", *growth, *plot)
    _run("splink_1m", "--set", large)
    ratios = [
        measure.Ratio(**ratio)
        for part in ("encoding", "comparing", "growth", "splink_1m")
        for ratio in json.loads((measure.CACHE / f"{part}.json").read_text())["ratios"]
    ]
    # two files of nearly a million, of which as many changed as one in a hundred of one file: to what the
    # rest of the set holds
    records, share = (20_000, 0.01) if chosen.quick else (1_900_000, 10_000 / 1_900_000)
    ratios += [night for tier in ("tokens", "fields") for night in increment(large, records, share, tier)]
    measure.show(ratios, f"linkage, speed; load average at the end {measure.load():.1f}")
    print(measure.keep("speed", {"load": measure.load()}, ratios))
    if not all(r.reached for r in ratios):
        print("not every target is reached")


def increment(name: str, records: int, share: float, tier: str) -> list[measure.Ratio]:
    """A share of records changed, beside encoding and linking all."""
    given = {"set": name, "records": records, "share": share, "tier": tier, "times": 5}
    order = [word for option, value in given.items() for word in (f"--{option}", str(value))]
    said = _printed(str(measure.LEADHUB), "increment", *order)
    equal = _EQUAL.search(said)
    note = f"{records:,} records; results equal: {equal[1] if equal else 'not said'}"
    changed = f"{share * records:,.0f} changed, {tier}"
    return [
        measure.Ratio(f"{changed}: {what} / encode, {run}", float(f), INCREMENT, False, note)
        for run, *figures in _NIGHT.findall(said)
        for what, f in zip(("wall", "cpu"), figures)
    ]


def _run(module: str, *arguments: str) -> None:
    _printed(sys.executable, module, *arguments)


def _printed(python: str, module: str, *arguments: str) -> str:
    """What a module prints, which is shown besides."""
    print(f"— {module} {' '.join(arguments)}; load average {measure.load():.1f}", flush=True)
    order = [python, "-W", "ignore", "-m", f"benchmarks.linkage.{module}", *arguments]
    said = subprocess.run(order, cwd=measure.REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    print(said.stdout, flush=True)
    return said.stdout


if __name__ == "__main__":
    main()
