"""A steward at seven, a clerk before a drop: the command line on a real night's state."""

import csv
import json
import re
import shutil
import sys

import polars as pl
import pytest
import typer

from connectors.base import connection_from_environment
from leadhub import cli, cli_operators, cli_review
from leadhub.foundation.settings import Settings
from leadhub.identity import sealing
from leadhub.release import accounting
from leadhub.steps import review, run_night
from leadhub.steps.site import open_site

pytestmark = pytest.mark.timeout(300)
CLINIC = "harbor_case_management"


@pytest.fixture
def leadhub(nights, after, monkeypatch, capsys):
    """The command, as typed: (exit code, what it printed)."""
    nights.restore(after)
    monkeypatch.setenv("LEADHUB_VAR", str(nights.var))

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["leadhub", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return ended.value.code or 0, said.out + said.err

    monkeypatch.setattr(cli.console, "_width", 200)
    return run


def test_status_names_nights_and_what_waits(leadhub, nights):
    code, said = leadhub("status")
    assert code == 0
    for word in (nights.night(1), CLINIC, "complete", "quarantine show da_cases", "district_attorney"):
        assert word in said


def test_quarantine_list_and_show_agree(leadhub):
    code, listed = leadhub("quarantine", "list")
    assert code == 0
    assert "unparsable_date" in listed
    code, shown = leadhub("quarantine", "show", CLINIC)
    assert code == 0
    assert "date_of_birth" in shown
    of_clinic = [int(line.split()[-1]) for line in listed.splitlines() if line.startswith(f" {CLINIC}")]
    assert sum(of_clinic) == sum(1 for line in shown.splitlines() if re.search(r"\b20\d\d-", line)) > 0


def test_the_same_night_again_is_done_already(leadhub, nights):
    code, _ = leadhub("night", "--date", nights.night(1))
    assert code == 0


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (["night", "--date", "2026-13-45"], 43, "a date such as"),
        (["drop", "list", "nowhere"], 44, "there is no feed [nowhere]"),
        (["drop", "release", "da_cases", "ffff"], 70, "leadhub drop list da_cases"),
        (["quarantine", "show", "nowhere"], 44, "feeds/*.yaml"),
        (["quarantine", "replay", "da_cases", "ffff"], 70, "leadhub drop list da_cases"),
        (["ledger", "verify", "nobody"], 70, "there are: district_attorney"),
        (["check", "a.csv", "--feed", "nowhere"], 44, "there are: da_cases"),
        (["check", "a.csv", "--feed", "police_records"], 44, "read from its agency's system"),
        (["check", "a.csv", "--feed", CLINIC], 64, "}_YYYYMMDD_NN.csv, or say --table"),
        (["check", "clients_20261101_01.csv", "--feed", CLINIC], 55, "No such file"),
        (["check", "clients_20261101_01.csv.pgp", "--feed", CLINIC], 55, "before you encrypt"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_a_users_mistake_is_one_clear_line(leadhub, command, code, says):
    found, said = leadhub(*command)
    assert found == code
    assert says in " ".join(said.split())


def test_without_a_state_the_next_step_is_told(leadhub, monkeypatch, tmp_path):
    monkeypatch.setenv("LEADHUB_VAR", str(tmp_path))
    code, said = leadhub("status")
    assert code == 41
    assert "leadhub init" in said


def test_check_says_before_the_drop_what_the_hub_says_after_it(leadhub, nights, after):
    sent = nights.before / "sftp" / CLINIC / "inbox"
    code, said = leadhub("check", *(str(p) for p in sorted(sent.glob("*.csv"))), "--feed", CLINIC)
    assert code == 1
    before = set(re.findall(r"^(\S+): row (\d+), (.+?): ([a-z_:]+): ", said, re.MULTILINE))
    [report] = (after / "sftp" / CLINIC / "outbox" / "rejections").glob("*.csv")
    with report.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    told = {(r["file"], r["row"], r["column"] or "as a whole", r["rule"]) for r in rows}
    assert before == told != set()


def test_what_is_sealed_and_what_should_be(leadhub, nights):
    code, said = leadhub("seals", "list")
    assert code == 0
    assert re.search(r"[1-9]\d* seals stand", said)
    assert "CPL_160_50" in said
    numbers = set(nights.stage.county.sources(1).da["cases"]["caseNumber"])
    code, said = leadhub("seals", "due")
    assert code == 0
    due = set(re.findall(r"da_cases\s+(\S+)", said))
    assert due
    assert due <= numbers, "the office's own numbers, so that it can be asked"
    code, said = leadhub("seals", "lift", "ffff", "--by", "a steward", "--why", "none begins so")
    assert code == 70


def test_check_of_good_rows_passes(leadhub, nights, tmp_path):
    [sent] = (nights.before / "sftp" / CLINIC / "inbox").glob("clients_*.csv")
    header, first = sent.read_text().splitlines()[:2]
    path = tmp_path / "mine.csv"
    path.write_text(f"{header}\n{first}\n")
    code, said = leadhub("check", str(path), "--feed", CLINIC, "--table", "clients")
    assert (code, said.strip()) == (0, "mine.csv: 1 rows, 1 accepted, 0 refused")


def test_a_replay_applies_what_a_corrected_mapping_lets_pass(leadhub, nights, tmp_path, monkeypatch):
    """The District Attorney has a new decision code: agreed, mapped, judged again; nothing else changes."""
    shutil.copytree(Settings().feeds, tmp_path / "feeds")
    mapping = tmp_path / "feeds" / "da_cases.yaml"
    mapping.write_text(mapping.read_text().replace('{"LEAD":', '{"GRANTED": "DIVERTED_LEAD", "LEAD":'))
    monkeypatch.setenv("LEADHUB_FEEDS", str(tmp_path / "feeds"))
    site = open_site(connection_from_environment, Settings(var=nights.var, feeds=tmp_path / "feeds"))
    [drop] = site.landing.drops("da_cases")

    def held() -> tuple[pl.DataFrame, pl.DataFrame]:
        tables = site.lake.night(site.lake.nights()[-1])["tables"]
        names = ("core_da_cases__decisions", "quarantine_da_cases")
        return tuple(pl.DataFrame(pl.from_arrow(site.lake.read(n, tables[n]))) for n in names)

    decisions, opened = held()
    code, said = leadhub("quarantine", "replay", "da_cases", drop.drop_id[:8])
    assert code == 0
    assert f"{opened['row'].len()} rows will be judged again" in said
    assert "; 1 pass now" in said
    run_night(site, nights.night(2))
    again, still = held()
    assert again.height == decisions.height + 1
    assert decisions.join(again, on="record_id", how="anti").height == 0, "none is lost"
    assert opened.height - still.height == 1
    assert "unknown_code" not in still.filter(table="decisions")["reason"].to_list()
    closed = site.lake.night(nights.night(2))["feeds"]["da_cases"]
    assert closed["counts"] == {"read": opened.height, "accepted": 1, "quarantined": still.height}
    assert closed["keys"] == site.lake.night(nights.night(1))["feeds"]["da_cases"]["keys"]
    receipt = site.lake.receipt(nights.night(2), "da_cases", "land")
    assert receipt["replays"] == [drop.drop_id]
    code, said = leadhub("quarantine", "replay", CLINIC, drop.drop_id)
    assert code == 70


def test_what_a_steward_decides_about_a_pair_holds_from_the_next_night_on(leadhub, nights, monkeypatch):
    monkeypatch.setattr(cli_review.console, "_width", 200)
    site = open_site(connection_from_environment, Settings(var=nights.var))
    tied = review.pairs(site, ("linked",)).filter(~pl.col("evidence").str.starts_with("nysid"))
    tables = site.lake.night(nights.night(1))["tables"]
    crosswalk = site.lake.read("crosswalk", tables["crosswalk"])
    person = dict(zip(crosswalk["record_id"].to_pylist(), crosswalk["person_id"].to_pylist()))
    told = set().union(*(persons for _, persons in accounting.deliveries(site.settings.var)))
    tied = tied.filter(pl.col("left").replace_strict(person).is_in(told))
    parted, kept = tied.unique("left").unique("right").sort("weight_bits").head(2).to_dicts()
    code, shown = leadhub("review", "show", parted["pair"])
    assert code == 0
    assert f"{parted['weight_bits']:.1f} bits" in shown
    assert parted["evidence"].split(" ")[0] in shown
    total = sum(bits for _, _, bits in review.waterfall(site, parted))
    assert total == pytest.approx(parted["weight_bits"], abs=0.01)
    why = ("--by", "a steward", "--why", "both agencies called")
    for pair, verdict in ((parted, "two"), (kept, "two"), (kept, "one")):
        assert leadhub("review", "decide", pair["pair"], verdict, *why)[0] == 0
    assert [d["verdict"] for d in review.made(site)].count("two") == 2
    for wrong in (("ffffffffffff", "one", *why), (kept["pair"], "three", *why)):
        assert leadhub("review", "decide", *wrong)[0] == 72
    run_night(site, nights.night(2))
    tables = site.lake.night(nights.night(2))["tables"]
    crosswalk = site.lake.read("crosswalk", tables["crosswalk"])
    person = dict(zip(crosswalk["record_id"].to_pylist(), crosswalk["person_id"].to_pylist()))
    assert person[parted["left"]] != person[parted["right"]]
    assert person[kept["left"]] == person[kept["right"]]
    estimated = review.estimate(site)
    assert 0.9 < estimated["precision"] <= 1
    assert 0.5 < estimated["recall"] <= 1
    assert estimated["clerical"] == {"decided": 2, "confirmed": 1, "low": 0.0945, "high": 0.9055}
    assert leadhub("linkage", "estimate")[0] == 0
    code, listed = leadhub("review", "list", "--limit", "1000")
    assert code == 0
    assert parted["pair"] not in listed
    assert kept["pair"] not in listed
    _history_of(leadhub, nights, site, parted)
    code, said = leadhub("review", "check")
    assert code == 0, said
    assert "2 of 2 decisions hold" in said
    assert "gives the same persons" in said


def _history_of(leadhub, nights, site, parted):
    """A split is told with its decision, the deliveries that told of either person, what replaced them."""
    code, said = leadhub("review", "history", "--json")
    assert code == 0
    [event] = [e for e in json.loads(said) if e["decision"] and e["decision"]["pair"] == parted["pair"]]
    assert (event["night"], event["kind"], event["decision"]["verdict"]) == (
        nights.night(2),
        "split",
        "two",
    )
    told = {
        (d["partner"], d["dataset"], d["sequence"], d["night"], d["status"])
        for person in (event["from"], event["to"])
        for d in accounting.disclosures(site.settings.var, person)
        if d["night"] == nights.night(1)
    }
    assert {tuple(d.values()) for d in event["deliveries"]} == told != set()
    for correction in event["corrections"]:
        assert correction["by"]["night"] == nights.night(2)
    code, said = leadhub("review", "history", event["from"][:8], "--night", nights.night(2))
    assert code == 0
    assert "by a steward: both agencies called" in said
    assert f"1 delivered, {nights.night(1)}; replaced by that of {nights.night(2)}" in said
    code, said = leadhub("review", "history", "--since", "2099-01-01")
    assert (code, said.strip()) == (0, "No person id was merged, split or given back.")


# who looked -------------------------------------------------------------------------------------------


def test_every_command_on_the_hub_is_written_down_and_names_no_participant(leadhub, nights):
    site = open_site(connection_from_environment, Settings(var=nights.var))
    feed = site.feeds[CLINIC]
    held = site.lake.night(nights.night(1))["feeds"][CLINIC]["tables"]["clients"]["version"]
    sealed = site.lake.read(f"core_{CLINIC}__clients", held)["client_id"].slice(0, 2)
    one, other = sealing.open_sealed(sealed, feed.agency, site.keys).to_pylist()
    for number in (one, one, other):
        leadhub("accounting", "--agency", feed.agency, "--local-id", number)
    assert leadhub("drop", "release", CLINIC, "0000")[0] == 70, "what fails was tried all the same"
    leadhub("quarantine", "show", CLINIC)
    told = json.loads(leadhub("operators", "--json")[1])
    assert [t["command"] for t in told] == [
        *["accounting"] * 3,
        "drop release",
        "quarantine show",
        "operators",
    ]
    assert {t["by"] for t in told} == {cli_operators.login()}
    assert json.loads(told[3]["about"]) == {"feed": CLINIC, "drop": "0000"}
    written = cli_operators.chain(Settings(var=nights.var)).read_text()
    assert one not in written
    assert other not in written
    looked = json.loads(leadhub("operators", "--agency", feed.agency, "--local-id", one, "--json")[1])
    assert [t["command"] for t in looked] == ["accounting", "accounting", "operators"]


def test_what_cannot_be_written_down_does_not_run(leadhub, nights):
    leadhub("status")
    path = cli_operators.chain(Settings(var=nights.var))
    path.write_text(path.read_text().replace('"status"', '"doctor"'))
    code, said = leadhub("quarantine", "list")
    assert code == 62
    assert "unparsable_date" not in said


def test_only_what_touches_no_state_goes_unwritten():
    """Every command is written down or is named in the list of those that are not."""

    def leaves(command, words=""):
        below = getattr(command, "commands", None)
        if below is None:
            return {words}
        return {leaf for n, c in below.items() for leaf in leaves(c, f"{words} {n}".strip())}

    every = leaves(typer.main.get_command(cli.app))
    assert every >= cli_operators.ELSEWHERE
    assert {"accounting", "breach", "seals lift", "review decide", "keys rotate"} <= every - (
        cli_operators.ELSEWHERE
    )
