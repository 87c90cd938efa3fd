"""T6: of the counts that leave, no small one can be worked out: not from one delivery, nor from all.

A county large enough that some counts are shown; its last quarter closes on the second night.
"""

import csv
import io
import re
import shutil
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
import yaml
from scipy.optimize import linprog

from connectors.base import connection_from_environment
from leadhub.foundation import files, ledger, openpgp
from leadhub.foundation.settings import Settings
from leadhub.steps import approvals
from leadhub.steps.site import open_site
from schemas import codes
from tests.night.conftest import county

pytestmark = pytest.mark.timeout(600)
PARTNER, DATASET = "policy_coordinating_group", "referred_persons"
AXES = (codes.RACE_ETHNICITY, codes.REFERRAL_STATUS)


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counts")
    with county(folder / "county", 12_000) as nights:
        agreements = folder / "agreements"
        shutil.copytree(Settings().agreements, agreements)
        close_on(agreements, date.fromisoformat(nights.night(2)))
        assert nights.run(1, agreements=agreements) == 0
        nights.stage.prepare(2)
        seal_some(nights)
        assert nights.run(2, agreements=agreements) == 0
        yield nights, agreements


def close_on(agreements, night: date) -> None:
    """The last quarter that is over is counted on this night, and not on the one before."""
    path = agreements / "statistics" / f"{DATASET}.yaml"
    this_quarter = date(night.year, (night.month - 1) // 3 * 3 + 1, 1)
    days = (night - (this_quarter - timedelta(days=1))).days
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"closes_after_days": days}))


def seal_some(nights) -> None:
    """Cases behind counts that have left are sealed."""
    folder = next((nights.var / "sftp" / "district_attorney" / "outbox" / "diversion_status").iterdir())
    secret = nights.stage.agencies / "district_attorney" / "openpgp.pgp"
    told = openpgp.decrypt((folder / "diversion_status.csv.pgp").read_bytes(), secret)
    counted = [
        r for r in csv.DictReader(io.StringIO(told.decode())) if "2026-01" <= r["referral_on"] < "2026-07"
    ]
    sources = nights.stage.county.sources(2)
    orders = sources.da["sealOrders"]
    late = max(f["updated_at"].max() for f in sources.da.values() if f.height) + timedelta(minutes=1)
    new = pl.DataFrame({"caseNumber": [r["da_case_no"] for r in counted[:15]]}).with_columns(
        orderRef="ORD" + pl.col("caseNumber"),
        provision=pl.lit("CPL_160_50"),
        effectiveDate=pl.lit("2026-07-02").str.to_date(),
        scope=pl.lit("CASE"),
        updated_at=pl.lit(late, orders.schema["updated_at"]),
    )
    told_now = pl.concat([orders, new], how="diagonal_relaxed")
    nights.stage.da.load({**sources.da, "sealOrders": told_now}, sources.da_keys)


def delivered(nights) -> list[dict[tuple[str, str, str], int | None]]:
    """Every delivery, as its reader reads it: period, race, status → persons."""
    found = []
    for folder in sorted((nights.var / "sftp" / PARTNER / "outbox" / DATASET).iterdir()):
        rows = csv.DictReader(io.StringIO((folder / f"{DATASET}.csv").read_text()))
        found.append(
            {
                (r["period"], r["race_ethnicity"], r["referral_status"]): int(r["persons"])
                if r["persons"]
                else None
                for r in rows
            }
        )
    return found


def truth(nights, number: int) -> dict[tuple[str, str, str], int]:
    """Counted again, one person after the other, from what the hub held on a night."""
    site = open_site(connection_from_environment, Settings(var=nights.var))
    manifest = site.lake.night(nights.night(number))
    read = lambda name: site.lake.read(name, manifest["tables"][name]).to_pylist()  # noqa: E731
    race = {r["person_no"]: r["race_ethnicity"] for r in read("core_police_records__persons")}
    whose = {r["record_id"]: r["person_no"] for r in read("core_police_records__referrals")}
    last: dict[tuple[str, str], tuple] = {}
    for row in read("diversions"):
        if row["sealed_under"] is None:
            day = row["referral_on"]
            key = (f"{day.year}Q{(day.month + 2) // 3}", whose[row["diversion_id"]])
            said = (day, row["diversion_id"], row["referral_status"])
            last[key] = max(last.get(key, said), said)
    counts: dict[tuple[str, str, str], int] = {}
    for (period, person), (_, _, status) in last.items():
        for one in (race[person], codes.ALL):
            for other in (status, codes.ALL):
                counts[period, one, other] = counts.get((period, one, other), 0) + 1
    return counts


def test_t6_no_small_count_of_any_quarter_can_be_worked_out_from_all_deliveries(two_nights):
    nights, _ = two_nights
    first, second = delivered(nights)
    counted = {1: {p for p, _, _ in first}, 2: {p for p, _, _ in second} - {p for p, _, _ in first}}
    assert len(counted[1]) >= 2
    assert len(counted[2]) == 1
    known = {**first, **second}
    for number, periods in counted.items():
        true = truth(nights, number)
        for period in sorted(periods):
            shown = {cell: n for cell, n in known.items() if cell[0] == period and n is not None}
            assert shown, "a county large enough to show something"
            assert all(n == true[cell] >= 11 for cell, n in shown.items())
            for cell in (c for c in known if c[0] == period and true.get(c, 0) < 11):
                low, high = attacked(shown, cell)
                assert low <= 1e-6, cell
                assert high >= 11 - 1e-6, cell


def attacked(shown: dict[tuple[str, str, str], int], cell: tuple[str, str, str]) -> tuple[float, float]:
    """Least and most persons in a cell, for whoever can do linear programming on what is shown."""
    inner = [(race, status) for race in AXES[0] for status in AXES[1]]

    def sums(of) -> list[int]:
        return [int(all(c in (codes.ALL, i) for c, i in zip(of[1:], one))) for one in inner]

    left, right = [sums(c) for c in shown], list(shown.values())
    target = np.array(sums(cell))
    low = linprog(target, A_eq=left, b_eq=right, bounds=(0, None))
    high = linprog(-target, A_eq=left, b_eq=right, bounds=(0, None))
    return low.fun, np.inf if high.status == 3 else -high.fun


def test_t6_a_quarter_that_has_left_never_changes_whatever_is_sealed_or_corrected(two_nights):
    nights, _ = two_nights
    first, second = delivered(nights)
    assert {cell: second[cell] for cell in first} == first
    before, now = truth(nights, 1), truth(nights, 2)
    assert sum(n != now.get(c, 0) for c, n in before.items() if c in first) > 3, (
        "counted anew it would have"
    )
    changes = next((nights.var / "sftp" / PARTNER / "outbox" / DATASET).glob("000002_*")) / (
        f"{DATASET}_changes.csv"
    )
    assert {r["op"] for r in csv.DictReader(io.StringIO(changes.read_text()))} == {"insert"}


def test_nobody_stands_in_it_and_nothing_comes_where_nothing_is_new(two_nights):
    nights, agreements = two_nights
    held = list((nights.var / "releases" / PARTNER / DATASET).glob("*/inside/accounting.parquet"))
    assert held
    assert all(pl.read_parquet(path).is_empty() for path in held)
    kept = files.read_json(next((nights.var / "statistics" / DATASET).glob("*.json")))
    assert set(kept) == {"dataset", "period", "night", "rows"}
    site = open_site(connection_from_environment, Settings(var=nights.var, agreements=agreements))
    seen = approvals.preview(site, f"{PARTNER}__{DATASET}", nights.night(2))["markdown"]
    assert re.search(r"\*\*\d+ counts\*\*, of which [1-9]\d* are shown", seen)
    assert nights.run(3, agreements=agreements) == 0
    assert len(delivered(nights)) == 2
    told = [e.kind for e in ledger.entries(nights.var / "ledger" / f"{PARTNER}.jsonl")]
    assert told == ["proposed", "approved", "intent", "committed", "intent", "committed"]


def test_a_table_that_cannot_be_made_keeps_nothing_else_from_leaving(two_nights, tmp_path):
    nights, agreements = two_nights
    shutil.copytree(agreements, tmp_path / "agreements")
    (tmp_path / "agreements" / "statistics" / f"{DATASET}.yaml").unlink()
    assert nights.run(4, agreements=tmp_path / "agreements") != 0
    assert len(delivered(nights)) == 2
    for partner in ("district_attorney", "police", "harbor_case_management"):
        assert list((nights.var / "sftp" / partner / "outbox").glob(f"*/*_{nights.night(4)}")), partner


def test_counts_that_have_left_and_are_made_anew_do_not_leave(two_nights):
    """The folder was not restored with the backup, and later data give other counts."""
    nights, agreements = two_nights
    kept, aside = nights.var / "statistics", nights.var / "aside"
    shutil.move(kept, aside)
    try:
        assert nights.run(5, agreements=agreements) != 0
        assert len(delivered(nights)) == 2
        log = (nights.var.parent / "runs.log").read_text()
        assert "restore var/statistics" in log
    finally:
        shutil.rmtree(kept, ignore_errors=True)
        shutil.move(aside, kept)
