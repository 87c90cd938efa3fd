"""`make demo`: two nights of a synthetic county, through real servers and Airflow's own DAGs.

`python -m simulation.demo --persons 5000 [--keep-running]`. State goes to `var/`, made anew.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from leadhub.foundation import clock, files, roles
from leadhub.foundation.settings import REPOSITORY, Settings
from simulation import closing
from simulation.approvers import APPROVES, PROPOSES, Approvers
from simulation.embedded_airflow import EmbeddedAirflow
from simulation.stage import Stage, free_port

#: a pipe has no width: nothing may be cut off there
console = Console(width=None if sys.stdout.isatty() else 160)


def expected_dags(airflow_free_feeds: list[str], partners: list[str]) -> set[str]:
    """The exact DAG ids of a site with these feeds and partners."""
    return {
        *(f"ingest_{f}" for f in airflow_free_feeds),
        "reconcile",
        *(f"publish_{p}" for p in partners),
        "retention",
    }


def run_night(
    airflow: EmbeddedAirflow,
    feeds: list[str],
    partners: list[str],
    night: str,
    tick: Callable[[int, int], None],
    approvers: Approvers | None = None,
) -> float:
    """Trigger every ingest for the night, let the approvers answer what they are asked, wait until every
    partner was served; seconds it took.

    Raises: RuntimeError naming the DAGs that failed or did not finish.
    """
    began = time.monotonic()
    for feed in feeds:
        airflow.trigger(f"ingest_{feed}", night)
    wanted = expected_dags(feeds, partners) - {"retention"}
    while True:
        if approvers:
            approvers.answer()
        states = airflow.states(night)
        finished = {d for d, s in states.items() if s in ("success", "failed")}
        tick(len(finished & wanted), len(wanted))
        failed = sorted(d for d in finished if states[d] == "failed")
        if failed:
            raise RuntimeError(f"night {night}: {', '.join(failed)} failed; see {airflow.home}/logs")
        if wanted <= finished:
            return time.monotonic() - began
        if time.monotonic() - began > 1800:
            raise RuntimeError(f"night {night} did not finish: {sorted(wanted - finished)}")
        time.sleep(0.5)


def main(
    persons: Annotated[int, typer.Option(help="persons in the county")] = 5000,
    seed: Annotated[int, typer.Option(help="seed of the county")] = 20261,
    keep_running: Annotated[bool, typer.Option(help="keep servers and Airflow up afterwards")] = False,
    night: Annotated[str, typer.Option(help="the first night (default: yesterday)")] = "",
    var: Annotated[Path, typer.Option(help="where the state goes; made anew")] = REPOSITORY / "var",
    try_alone: Annotated[
        bool, typer.Option(help="first let one person alone approve what they proposed: it is asked again")
    ] = False,
    dump_airflow: Annotated[
        Path | None, typer.Option(help="write Airflow's database there as text")
    ] = None,
) -> None:
    """Two nights of a synthetic county, through real servers and real DAGs."""
    settings = Settings(var=var)
    today = date.fromisoformat(clock.tonight(settings.time_zone))
    first = date.fromisoformat(night) if night else today - timedelta(days=1)
    began = time.monotonic()
    _clear(var)
    os.environ["LEADHUB_VAR"] = str(var)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(f"a county of {persons:,} persons", total=None, note="")
        with Stage(var, persons=persons, seed=seed, night=first) as stage:
            progress.update(bar, description="the agencies' servers are up")
            environment = stage.environment()
            os.environ.update(environment)
            url = stage.database.url("airflow")
            airflow = EmbeddedAirflow(var, url, free_port(), environment)
            try:
                airflow.start(lambda what: progress.update(bar, description=what))
                site = closing.site()
                feeds, partners = list(site.feeds), closing.partners(site)
                airflow.wait_for_dags(expected_dags(feeds, partners))
                seconds, approvers = {}, Approvers(airflow, try_alone=try_alone)
                for number in (1, 2):
                    tonight = (first + timedelta(days=number - 1)).isoformat()
                    stage.prepare(number, lambda what: progress.update(bar, description=what))
                    progress.update(bar, description=f"night {number} ({tonight})", completed=0)

                    def tick(done: int, total: int) -> None:
                        progress.update(bar, completed=done, total=total, note=f"{done} of {total} DAGs")

                    seconds[tonight] = run_night(airflow, feeds, partners, tonight, tick, approvers)
                progress.update(bar, description="both nights are done", note="")
                progress.stop()
                summary = closing.summary(site, stage.county, seconds)
                for said in summary["nights"]:
                    said["task_seconds"] = airflow.task_times(said["night"])
                summary["approvals"] = approvers.answers
                files.write_json(var / "demo" / "summary.json", summary)
                closing.show(summary, console)
                console.print(
                    f"each dataset's first delivery was proposed by {PROPOSES} and approved by {APPROVES}, "
                    "through Airflow's API"
                )
                console.print(
                    f"[dim]in all {time.monotonic() - began:.0f} s; also var/demo/summary.json[/dim]"
                )
                if dump_airflow:
                    airflow.dump(dump_airflow)
                if keep_running:
                    _stay(airflow)
            finally:
                airflow.stop()


def _clear(var: Path) -> None:
    """A new county needs a new state; only what a demo made is removed."""
    made = {Path(folder.path).parts[0] for folder in roles.FOLDERS if folder.path != "."}
    for name in (*sorted(made), "agencies", "airflow", "demo", "sftp"):
        shutil.rmtree(var / name, ignore_errors=True)


def _stay(airflow: EmbeddedAirflow) -> None:
    console.print(f"\nAirflow: [bold]{airflow.url}[/bold]")
    for user, password in airflow.passwords.items():
        console.print(f"  login [bold]{user}[/bold]  password [bold]{password}[/bold]")
    console.print("Ctrl-C stops everything.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("stopping …")


if __name__ == "__main__":
    typer.run(main)
