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


def later(resources):
    """A moment after every change so far."""
    latest = max(frame["updated_at"].max() for frame in resources.values())
    return pl.lit(latest + timedelta(minutes=1), resources["cases"].schema["updated_at"])


def forgetful(resources):
    """An older extract, or another clerk: no disposition says that it is sealed."""
    rows = resources["dispositions"]
    nothing = pl.lit(None, rows.schema["sealProvision"])
    forgotten = rows.with_columns(sealProvision=nothing, updated_at=later(resources))
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
    late = later(resources)
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


@pytest.fixture(scope="module")
def sealed(nights, after, tmp_path_factory):
    """The state after a second night, on which three cases of diverted arrests are sealed, and how the DA's
    system comes to say so."""
    chosen = sorted(delivered(nights, 1)["district_attorney"])[:3]

    def sealing(resources):
        rows = resources["dispositions"]
        like = rows.filter(pl.col("sealProvision").is_not_null()).head(1)
        new = [
            like.with_columns(
                dispositionRef=pl.lit(f"SEAL{n}", rows.schema["dispositionRef"]),
                caseNumber=pl.lit(case, rows.schema["caseNumber"]),
                updated_at=later(resources),
            )
            for n, case in enumerate(chosen)
        ]
        return {**resources, "dispositions": pl.concat([rows, *new])}

    loaded(nights, 1, sealing)
    assert nights.run(2) == 0
    where = tmp_path_factory.mktemp("sealed")
    nights.save(where)
    yield where, sealing
    nights.restore()
    loaded(nights, 1)


@pytest.fixture
def site(nights, sealed):
    nights.restore(sealed[0])
    return open_site(connection_from_environment, Settings(var=nights.var))


def test_a_sealed_case_leaves_every_delivery(nights, site):
    first, second = delivered(nights, 1), delivered(nights, 2)
    for partner in DATASETS:
        assert second[partner] < first[partner]
    assert len(first["district_attorney"]) - len(second["district_attorney"]) == 3


@pytest.mark.parametrize("change", [forgetful, emptied, renumbered])
def test_t1_seal_then_backfill_never_resurrects(nights, site, sealed, change):
    before = delivered(nights, 2)
    loaded(nights, 1, lambda resources: change(sealed[1](resources)))
    assert nights.run(3) == 0
    assert delivered(nights, 3) == before


def test_t1_a_backup_from_before_the_seal_does_not_resurrect_it(nights, site, after):
    before = delivered(nights, 2)
    kept = nights.var / "seals"
    shutil.copytree(kept, nights.var / "aside")
    nights.restore(after)
    for path in (nights.var / "aside").glob("*.json"):
        shutil.copy(path, kept / path.name)
    shutil.rmtree(nights.var / "aside")
    loaded(nights, 1, forgetful)
    assert nights.run(2) == 0
    assert delivered(nights, 2) == before


def test_t1_would_notice_and_a_steward_can_lift_a_mistaken_seal(nights, site, sealed):
    first, before = delivered(nights, 1), delivered(nights, 2)
    with pytest.raises(TerminalError, match="state_invalid"):
        seals.lift(site, "", by="a steward", why="all of them?")
    for seal in seals.known(site):
        seals.lift(site, seal["seal"], by="a steward", why="entered by mistake, the office wrote")
    assert seals.known(site) == []
    loaded(nights, 1, lambda resources: forgetful(sealed[1](resources)))
    assert nights.run(3) == 0
    again = delivered(nights, 3)
    assert again["police"] >= first["police"] > before["police"]
    assert seals.known(site) == []
