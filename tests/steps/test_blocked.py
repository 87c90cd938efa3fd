"""Which licences a broken document stops, what is said of it, and that its partner keeps its tasks."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from leadhub.cli import app
from leadhub.foundation import keys as key_ring
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import REPOSITORY, Settings
from leadhub.steps import blocked
from tests.documents import edit

DA, COUNTS = "district_attorney__diversion_status", "policy_coordinating_group__referred_persons"
ALL = {p.stem for p in (REPOSITORY / "agreements").glob("*.yaml")}


@pytest.fixture
def settings(tmp_path):
    shutil.copytree(REPOSITORY / "agreements", tmp_path / "agreements")
    return Settings(agreements=tmp_path / "agreements", var=tmp_path / "var")


@pytest.mark.parametrize(
    ("name", "old", "new", "stopped", "said"),
    [
        (f"{DA}.yaml", "purpose: ", "purpose:: ", {DA}, "not YAML at line|purpose"),
        (f"{DA}.yaml", "retention_days: 90", "retention_days: ninety", {DA}, r"\[retention_days\]"),
        (f"{DA}.yaml", "  - diversion_status", "  - diagnosis", {DA}, "columns must be among"),
        (
            "sharing/riverside_treatment_data.yaml",
            "valid_until: .*",
            "valid_until: 2031-02-30",
            {DA, "police__referral_outcomes"},
            "a date that does not exist",
        ),
        ("sharing/police_data.yaml", r"feeds: \[police_records\]", "feeds: [da_cases]", ALL, "of another"),
        ("memoranda/lead.yaml", "principles:", "principle:", ALL, r"\[principles\] Field required"),
        (f"statistics/{COUNTS.split('__')[1]}.yaml", "11", "10", {COUNTS}, r"\[shown_from\]"),
    ],
)
def test_a_broken_document_stops_exactly_the_licences_that_need_it(
    settings, monkeypatch, name, old, new, stopped, said
):
    assert blocked.told(settings) == []
    edit(settings.agreements, name, old, new)
    assert set(blocked.licences(settings)) == stopped
    told = blocked.told(settings)
    assert all(re.search(said, line) for line in told)
    assert (
        set(re.findall(r"\w+__\w+", " ".join(line.partition("leaves under ")[2] for line in told)))
        == stopped
    )
    monkeypatch.setenv("LEADHUB_AGREEMENTS", str(settings.agreements))
    tried = CliRunner().invoke(app, ["check"])
    assert isinstance(tried.exception, TerminalError)
    assert tried.exception.message.splitlines() == told


def test_a_document_that_no_licence_needs_is_told_of(settings, monkeypatch):
    (settings.agreements / "sharing" / "court_data.yaml").write_text("id: court_data\n")
    [told] = blocked.told(settings)
    assert "[court_data.yaml]" in told
    assert told.endswith("No licence needs it")
    (settings.agreements / f"{DA}.yaml").write_text("id: [")
    key_ring.load(settings.root_key, create=True)
    monkeypatch.setenv("LEADHUB_AGREEMENTS", str(settings.agreements))
    monkeypatch.setenv("LEADHUB_VAR", str(settings.var))
    shown = CliRunner().invoke(app, ["status"]).output
    assert re.search(rf"{DA} +cannot be read", shown)
    for said in ("[court_data.yaml]", f"[{DA}.yaml] is not YAML"):
        assert said in " ".join(shown.split())


def test_every_partner_keeps_its_tasks_whatever_is_written_in_its_file(settings):
    (settings.agreements / f"{DA}.yaml").write_text("id: [")
    (settings.var / "ledger" / "approved" / "court__sealed_cases").mkdir(parents=True)
    script = (
        "import json, runpy\n"
        "found = runpy.run_path('dags/publish.py')\n"
        "dags = {n: sorted(d.task_ids) for n, d in found.items() if n.startswith('publish_') and "
        "hasattr(d, 'task_ids')}\n"
        "print(json.dumps(dags))\n"
    )
    environment = {"LEADHUB_AGREEMENTS": str(settings.agreements), "LEADHUB_VAR": str(settings.var)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin", "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    dags = json.loads(done.stdout.splitlines()[-1])
    assert set(dags) == {f"publish_{name.split('__')[0]}" for name in ALL} | {"publish_court"}
    assert "stage_diversion_status" in dags["publish_district_attorney"]
    assert "stage_sealed_cases" in dags["publish_court"]
