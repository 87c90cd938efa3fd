"""What the measurements of speed share: children in either environment, times, ratios beside targets.

leadhub lives in `.venv`, its peers in `.venv-bench`: each runs in a process of its own and answers with one
line of JSON. The parents load no data: on Linux a child's peak memory is never below what its parent held.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / "var" / "bench" / "linkage"
LEADHUB = REPOSITORY / ".venv" / "bin" / "python"
PEERS = REPOSITORY / ".venv-bench" / "bin" / "python"
#: load average below which a machine of two cores is quiet
QUIET = 1.2


@dataclass(frozen=True)
class Spent:
    """Wall and CPU seconds; CPU counts all threads."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Ratio:
    """`figure` should be at least (`least`) or at most the target."""

    what: str
    figure: float
    target: float
    least: bool
    note: str = ""

    @property
    def reached(self) -> bool:
        return self.figure >= self.target if self.least else self.figure <= self.target


def timed(function: Callable[[], Any], times: int = 3) -> Spent:
    """Medians over some calls."""
    walls, cpus = [], []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return Spent(statistics.median(walls), statistics.median(cpus))


def child(python: Path, module: str, *arguments: str, one_core: bool = False) -> dict[str, Any]:
    """What `python -m module arguments` answers on its last line. `one_core`: it may use one core alone, so
    that neither its threads nor the pools of its libraries share that core's caches with a second."""
    order = [str(python), "-m", module, *arguments]
    if one_core:
        order = ["taskset", "--cpu-list", str(max(os.sched_getaffinity(0))), *order]
    said = subprocess.run(order, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(said.stdout.splitlines()[-1])


def load() -> float:
    """The load average of the last minute: what else the machine did."""
    return os.getloadavg()[0]


def wait_until_quiet(minutes: float) -> bool:
    """Whether the load average fell below QUIET within some minutes."""
    end = time.monotonic() + 60 * minutes
    while load() >= QUIET:
        if time.monotonic() >= end:
            return False
        time.sleep(min(60.0, max(0.0, end - time.monotonic())))
    return True


def keep(name: str, facts: dict[str, Any], ratios: list[Ratio]) -> Path:
    """Facts and ratios as var/bench/linkage/<name>.json."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"{name}.json"
    path.write_text(json.dumps({**facts, "ratios": [asdict(r) for r in ratios]}, indent=1))
    return path


def show(ratios: list[Ratio], title: str | None = None) -> None:
    table = Table("ratio", "measured", "target", "", "note", title=title)
    for r in ratios:
        bound = f"{'≥' if r.least else '≤'} {r.target:.3g}"
        table.add_row(r.what, f"{r.figure:.3g}", bound, "reached" if r.reached else "missed", r.note)
    Console(width=140).print(table)
