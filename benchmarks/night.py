"""`make bench-night`: one full night of a county through the DAGs, beside its floor, in one run.

The floor reads the same rows from the same servers and writes them as Parquet, nothing else. The figure
to watch is the ratio of the two; wall seconds are this machine's. Results go to var/bench/night/night.json.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import psutil
import typer

from benchmarks import floor
from leadhub.foundation import clock, files
from leadhub.foundation.settings import REPOSITORY, Settings
from leadhub.steps import licensed
from leadhub.steps.site import Site
from simulation import closing, demo
from simulation.approvers import approve_all
from simulation.embedded_airflow import EmbeddedAirflow
from simulation.stage import Stage, free_port


class Memory(threading.Thread):
    """Largest proportional set size (MiB) of a process and its descendants: shared pages count once."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.root, self.peak, self._stop_asked = psutil.Process(pid), 0.0, threading.Event()

    def run(self) -> None:
        while not self._stop_asked.wait(1.0):
            total = 0
            for process in [self.root, *self.root.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
            self.peak = max(self.peak, total / 2**20)

    def stop(self) -> float:
        self._stop_asked.set()
        self.join()
        return self.peak


def gating(site: Site, night: str) -> float:
    """Seconds that judging takes over all agreements: consents, seals, evidence, columns, grounds."""
    began = time.perf_counter()
    for agreement_id in site.agreements:
        licence = licensed.prepare(site, agreement_id, night)
        licensed.check(site, licence)
        licensed.content(site, licence)
    return time.perf_counter() - began


def main(
    persons: Annotated[int, typer.Option(help="persons in the county")] = 200_000,
    var: Annotated[Path, typer.Option(help="where the state goes; made anew")] = REPOSITORY
    / "var"
    / "bench"
    / "night",
) -> None:
    """One night of a county, timed beside its floor."""
    shutil.rmtree(var, ignore_errors=True)
    today = date.fromisoformat(clock.tonight(Settings().time_zone))
    night = (today - timedelta(days=1)).isoformat()
    with Stage(var, persons=persons, seed=20261, night=date.fromisoformat(night)) as stage:
        environment = stage.environment()
        os.environ.update(environment)
        airflow = EmbeddedAirflow(var, stage.database.url("airflow"), free_port(), environment)
        try:
            airflow.start()
            site = closing.site()
            feeds, partners = list(site.feeds), closing.partners(site)
            airflow.wait_for_dags(demo.expected_dags(feeds, partners))
            stage.prepare(1)
            # an ordinary night asks nobody
            approve_all(site)
            below, rows = floor.run(site.feeds, var / "floor", site.settings.decryption_key)
            print(f"floor: {rows:,} rows in {below:.1f} s", flush=True)
            memory = Memory(airflow.pid)
            memory.start()
            took = demo.run_night(airflow, feeds, partners, night, lambda done, total: None)
            peak = memory.stop()
            tasks = airflow.task_times(night)
            judged = gating(site, night)
        finally:
            airflow.stop()
    linked = closing.linkage_quality(site, stage.county.truth(1), night)
    result = {
        "persons": persons,
        "rows": rows,
        "floor_seconds": round(below, 2),
        "night_seconds": round(took, 2),
        "ratio": round(took / below, 2),
        "gating_seconds": round(judged, 2),
        "gating_share": round(judged / took, 4),
        "peak_memory_mib": round(peak),
        "task_seconds": tasks,
        "linkage": linked,
    }
    files.write_json(var / "night.json", result)
    for name, seconds in sorted(tasks.items(), key=lambda item: -item[1])[:16]:
        print(f"{seconds:8.1f} s  {name}")
    print(
        f"night: {took:.1f} s, {took / below:.2f} times the floor ({below:.1f} s); "
        f"peak {peak:,.0f} MiB (PSS); judging what may leave: {judged:.2f} s, {judged / took:.1%} of it"
    )


if __name__ == "__main__":
    typer.run(main)
