"""The demo at a small size, through Airflow: exact DAGs, assets, deliveries; no identifier anywhere.

One run of `make demo`'s own program serves every test of this module.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leadhub.foundation import ledger
from leadhub.foundation.settings import REPOSITORY
from simulation import demo
from simulation.approvers import APPROVES, PROPOSES
from simulation.county import County
from tests import leaks

pytestmark = pytest.mark.timeout(900)
PERSONS, SEED = 400, 5
DAGS = {
    "ingest_da_cases",
    "ingest_da_disputes",
    "ingest_harbor_case_management",
    "ingest_police_records",
    "ingest_riverside_treatment",
    "publish_district_attorney",
    "publish_harbor_case_management",
    "publish_police",
    "publish_policy_coordinating_group",
    "reconcile",
    "retention",
}
COUNTS = ("policy_coordinating_group", "referred_persons")
DELIVERED = {
    ("district_attorney", "diversion_status"),
    ("harbor_case_management", "client_justice_events"),
    ("police", "referral_outcomes"),
    COUNTS,
}


@pytest.fixture(scope="module")
def var(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "simulation.demo", "--persons", str(PERSONS), "--seed", str(SEED)]
    command += ["--var", str(folder / "var"), "--dump-airflow", str(folder / "dump"), "--try-alone"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "LEADHUB"))}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return folder / "var"


@pytest.fixture(scope="module")
def summary(var):
    return json.loads((var / "demo" / "summary.json").read_text())


def test_the_dags_are_exactly_these():
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(REPOSITORY / "dags"))
    assert bag.import_errors == {}
    assert (
        set(bag.dag_ids)
        == DAGS
        == demo.expected_dags(
            [d.removeprefix("ingest_") for d in DAGS if d.startswith("ingest_")],
            [d.removeprefix("publish_") for d in DAGS if d.startswith("publish_")],
        )
    )
    outlets = {
        asset.name for dag in bag.dags.values() for task in dag.tasks for asset in (task.outlets or [])
    }
    feeds = {f"feed_{d.removeprefix('ingest_')}" for d in DAGS if d.startswith("ingest_")}
    assert outlets == feeds | {"reconciled_night"} | {f"release_{p}__{d}" for p, d in DELIVERED}


def test_every_feed_was_complete_and_its_counts_add_up(summary):
    assert len(summary["nights"]) == 2
    for night in summary["nights"]:
        for feed, said in night["feeds"].items():
            assert said["status"] == "complete", feed
            assert said["read"] == said["accepted"] + said["quarantined"]
    first = summary["nights"][0]["feeds"]
    assert all(first[f]["quarantined"] > 0 for f in first if f != "da_disputes")


def test_the_deliveries_are_exactly_these(summary, var):
    for number, night in enumerate(summary["nights"], start=1):
        assert {(d["partner"], d["dataset"]) for d in night["deliveries"]} == DELIVERED
        for delivery in night["deliveries"]:
            of_counts = (delivery["partner"], delivery["dataset"]) == COUNTS
            assert delivery["sequence"] == (1 if of_counts else number), (
                "counts come when there are new ones"
            )
            assert delivery["rows"] > 0
            assert (var / delivery["where"] / "manifest.json").exists()


def test_two_users_of_airflow_let_each_first_delivery_leave_and_one_alone_does_not(summary, var):
    datasets = sorted(d for _, d in DELIVERED)
    # where Airflow loses an answer (`approvers`), it asks again
    answers = {tuple(a) for a in summary["approvals"]}
    [alone] = [task for task, user in answers if task.startswith("approve_") and user == PROPOSES]
    assert answers == {
        *((f"propose_{d}", PROPOSES) for d in datasets),
        (alone, PROPOSES),
        *((f"approve_{d}", APPROVES) for d in datasets),
    }
    for partner, dataset in DELIVERED:
        told = [e for e in ledger.entries(var / "ledger" / f"{partner}.jsonl") if e.dataset == dataset]
        assert [e.kind for e in told] == [
            "proposed",
            "approved",
            *["intent", "committed"] * (1 if (partner, dataset) == COUNTS else 2),
        ]
        assert [e.by for e in told[:2]] == [PROPOSES, APPROVES]
        assert told[0].preview_sha256 == told[1].preview_sha256 is not None


def test_people_are_found(summary):
    for night in summary["nights"]:
        assert night["linkage"]["precision"] > 0.99
        assert night["linkage"]["recall"] > 0.95
        assert night["linkage"]["barred"] > 0, "sealed cases alone"


def test_sums_hold_in_every_delivery(summary, var):
    for night in summary["nights"]:
        for delivery in night["deliveries"]:
            folder = var / delivery["where"]
            done = subprocess.run(
                ["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, check=False
            )
            assert done.returncode == 0, done.stderr


def _sinks(var: Path, workspace: Path) -> list[Path]:
    """Everything but the agencies' own systems and inboxes."""
    decoded = workspace / "decoded"
    assert leaks.decode(var, decoded) > 20
    shutil.copytree(var.parent / "dump", decoded / "airflow")
    own = [p for p in var.iterdir() if p.name not in ("agencies", "sftp")]
    return [*own, decoded, *(var / "sftp").glob("*/outbox")]


def _identifiers(var: Path) -> tuple[list[str], list[str]]:
    said = json.loads((var / "demo" / "summary.json").read_text())
    first = date.fromisoformat(said["nights"][0]["night"])
    county = County.make(persons=PERSONS, seed=SEED, night=first)
    return county.identifiers(), county.canaries()


def test_g10_no_identifier_outside_landing_and_agreed_columns(var, tmp_path):
    identifiers, canaries = _identifiers(var)
    assert len(identifiers) > PERSONS
    found = leaks.search(_sinks(var, tmp_path), [*identifiers, *canaries], tmp_path)
    agreed = _agreed_ids(var)
    leaked = {name: what - agreed for name, what in found.items() if what - agreed}
    assert {n: len(w) for n, w in leaked.items()} == {}


def _agreed_ids(var: Path) -> set[str]:
    """Values of the columns that agreements name as the partner's own ids, from what stands in outboxes."""
    agreed = set()
    for path in (var / "sftp").glob("*/outbox/referral_outcomes/*/referral_outcomes*.csv"):
        with path.open(newline="") as handle:
            agreed |= {row["referral_no"] for row in csv.DictReader(handle)}
    return agreed


def test_the_scan_finds_what_is_planted(var, tmp_path):
    _, canaries = _identifiers(var)
    planted = tmp_path / "var"
    (planted / "logs").mkdir(parents=True)
    (planted / "logs" / "task.log").write_text(f"INFO something about {canaries[0]}\n")
    pq.write_table(pa.table({"note": [canaries[1]]}), planted / "t.parquet", compression="zstd")
    leaks.decode(planted, tmp_path / "decoded")
    found = leaks.search([planted, tmp_path / "decoded"], canaries, tmp_path / "w")
    assert {frozenset(w) for w in found.values()} >= {frozenset({canaries[0]}), frozenset({canaries[1]})}


def test_a_second_demo_finds_nothing_of_the_first(var, tmp_path):
    """Another county has another root key: an older register of seals, or counts that have left, would
    stop it."""
    made = {path.name for path in var.iterdir() if path.is_dir()}
    assert {"seals", "lake", "sftp", "agencies"} <= made
    for name in made:
        (tmp_path / name).mkdir()
    demo._clear(tmp_path)
    assert list(tmp_path.iterdir()) == []
