"""T1: what was sealed stays sealed, whatever the office forgets, sends again, or a backup brings back."""

import csv
import io
import shutil
from datetime import timedelta

import polars as pl
import pytest

from connectors.base import connection_from_environment
from leadhub.foundation import openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import Settings
from leadhub.steps import seals
from leadhub.steps.site import open_site

pytestmark = pytest.mark.timeout(300)
DATASETS = {
    "district_attorney": ("diversion_status", "da_case_no"),
    "police": ("referral_outcomes", "referral_no"),
}


def loaded(nights, number: int, change=lambda resources: resources) -> dict[str, pl.DataFrame]:
    """The DA's system as `change` leaves it, changed rows later than all others."""
    sources = nights.stage.county.sources(number)
    found = change(dict(sources.da))
    nights.stage.da.load(found, sources.da_keys)
    return found


def forgetful(resources):
    """An older extract, or another clerk: no disposition says that it is sealed."""
    rows = resources["dispositions"]
    late = pl.col("updated_at").max() + timedelta(minutes=1)
    forgotten = rows.with_columns(sealProvision=pl.lit(None, rows.schema["sealProvision"]), updated_at=late)
    return {**resources, "dispositions": forgotten}


def emptied(resources):
    """The office takes what is sealed out of its system."""
    rows = resources["dispositions"]
    gone = rows.filter(pl.col("sealProvision").is_not_null()).select("caseNumber").unique()
    tables = ("cases", "charges", "decisions", "dispositions")
    return {**resources, **{t: resources[t].join(gone, on="caseNumber", how="anti") for t in tables}}


def renumbered(resources):
    """Entered anew, under other numbers, and not sealed."""
    resources = forgetful(resources)
    tables = ("cases", "charges", "decisions", "dispositions")
    anew = pl.col("caseNumber") + "R"
    late = pl.col("updated_at").max() + timedelta(minutes=1)
    return {**resources, **{t: resources[t].with_columns(caseNumber=anew, updated_at=late) for t in tables}}


def delivered(nights, number: int) -> dict[str, set[str]]:
    """Partner → keys of its rows in a night's delivery."""
    found = {}
    for partner, (dataset, key) in DATASETS.items():
        [folder] = (nights.var / "sftp" / partner / "outbox" / dataset).glob(f"*_{nights.night(number)}")
        path = next(p for p in folder.iterdir() if p.name.startswith(f"{dataset}.csv"))
        data = path.read_bytes()
        if path.suffix == ".pgp":
            data = openpgp.decrypt(data, nights.stage.agencies / partner / "openpgp.pgp")
        found[partner] = {row[key].removesuffix("R") for row in csv.DictReader(io.StringIO(data.decode()))}
    return found


@pytest.fixture
def site(nights, after):
    nights.restore(after)
    yield open_site(connection_from_environment, Settings(var=nights.var))
    nights.restore()
    loaded(nights, 1)


@pytest.mark.parametrize("change", [forgetful, emptied, renumbered])
def test_t1_seal_then_backfill_never_resurrects(nights, site, change):
    before = delivered(nights, 1)
    assert len(seals.known(site)) > 3
    loaded(nights, 1, change)
    assert nights.run(2) == 0
    again = delivered(nights, 2)
    for partner in DATASETS:
        assert again[partner] <= before[partner], "nothing came back"
        assert again[partner], "the others are still told of"
    assert again["police"] == before["police"]


def test_t1_a_backup_from_before_the_seal_does_not_resurrect_it(nights, site):
    before = delivered(nights, 1)
    kept = nights.var / "seals"
    shutil.copytree(kept, nights.var / "aside")
    nights.restore()
    assert not kept.exists()
    (nights.var / "aside").rename(kept)
    loaded(nights, 1, forgetful)
    assert nights.run(1) == 0
    assert delivered(nights, 1) == before


def test_t1_would_notice_and_a_steward_can_lift_a_mistaken_seal(nights, site):
    before = delivered(nights, 1)
    with pytest.raises(TerminalError, match="state_invalid"):
        seals.lift(site, "", by="a steward", why="all of them?")
    for seal in seals.known(site):
        seals.lift(site, seal["seal"], by="a steward", why="entered by mistake, the office wrote")
    assert seals.known(site) == []
    loaded(nights, 1, forgetful)
    assert nights.run(2) == 0
    assert delivered(nights, 2)["police"] > before["police"]
    assert seals.known(site) == []
    assert nights.run(2) == 0
