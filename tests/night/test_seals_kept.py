"""T1: what was sealed stays sealed, whatever the office forgets, sends again, or a backup brings back."""

import csv
import io
import shutil
from datetime import timedelta

import polars as pl
import pytest

from connectors.base import connection_from_environment
from leadhub.foundation import files, openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import Settings
from leadhub.steps import recalls, rotation, seals
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
    latest = max(frame["updated_at"].max() for frame in resources.values() if frame.height)
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
    backup_comes_back(nights, after)
    loaded(nights, 1, forgetful)
    assert nights.run(2) == 0
    assert delivered(nights, 2) == before


def backup_comes_back(nights, backup):
    """The state of an earlier day, and the register of seals as it is now."""
    kept = nights.var / "seals"
    shutil.copytree(kept, nights.var / "aside")
    nights.restore(backup)
    shutil.copytree(nights.var / "aside", kept, dirs_exist_ok=True)
    shutil.rmtree(nights.var / "aside")


def test_t1_nor_does_a_backup_from_before_the_key_was_rotated(nights, sealed, after):
    """The seals are under a version that the backup does not know of; the register does."""
    nights.restore(after)
    rotation.rotate(open_of(nights), "ids")
    loaded(nights, 1, sealed[1])
    assert nights.run(2) == 0
    before = delivered(nights, 2)
    backup_comes_back(nights, after)
    loaded(nights, 1, forgetful)
    assert open_of(nights).keys.versions == {"ids": 2}
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
    assert all(s["order_id"] for s in seals.known(site)), "what the office still orders stands"


# orders ------------------------------------------------------------------------------------------------


def ordering(*cases: str, **told):
    """The court seals these cases; the office enters it."""

    def change(resources):
        rows = resources["sealOrders"]
        new = pl.DataFrame(
            {
                "orderRef": [f"ORD{case}" for case in cases],
                "provision": "CPL_160_50",
                "effectiveDate": "2026-11-01",
                "scope": "CASE",
                "caseNumber": list(cases),
                **told,
            }
        ).with_columns(
            pl.col(name).str.to_date() for name in ("effectiveDate", *(told.keys() & {"vacatedDate"}))
        )
        late = later(resources)
        held = pl.concat([rows, new], how="diagonal_relaxed").with_columns(
            updated_at=pl.when(pl.col("updated_at").is_null()).then(late).otherwise("updated_at")
        )
        return {**resources, "sealOrders": held}

    return change


def touched(resources):
    """A busy day at the office: one row that is refused is a small share of what changed."""
    rows = resources["charges"].with_row_index("n")
    late = pl.when(pl.col("n") < 40).then(later(resources)).otherwise("updated_at")
    return {**resources, "charges": rows.with_columns(updated_at=late).drop("n")}


def test_t1_an_order_takes_rows_back_and_its_loss_does_not_bring_them_again(nights, after):
    nights.restore(after)
    before = delivered(nights, 1)
    *chosen, mistyped = sorted(before["district_attorney"])[:3]
    unread = ordering(mistyped, provision="CPL 16O.50")
    loaded(nights, 1, lambda resources: touched(unread(ordering(*chosen)(resources))))
    assert nights.run(2) == 0
    sealed_now = delivered(nights, 2)
    assert not sealed_now["district_attorney"] & {*chosen, mistyped}, "nobody can read that it seals none"
    assert before["district_attorney"] - sealed_now["district_attorney"] >= set(chosen)
    assert len(before["police"] - sealed_now["police"]) >= 2, "the arrest's referral is the police's row"
    open_recalls = {r["partner"]: r["rows"] for r in recalls.listed(open_of(nights))}
    assert open_recalls["district_attorney"] >= 2
    loaded(nights, 1)
    assert nights.run(3) == 0
    still = delivered(nights, 3)["district_attorney"]
    assert not still & {*chosen, mistyped}, "the order is gone, the seal is not"
    assert mistyped not in {s["da_case_no"] for s in seals.known(open_of(nights))}
    loaded(nights, 1, ordering(*chosen, mistyped, vacatedDate="2026-11-20"))
    assert nights.run(4) == 0
    assert {*chosen, mistyped} <= delivered(nights, 4)["district_attorney"], "by the office's own word"
    assert not {s["da_case_no"] for s in seals.known(open_of(nights))} & set(chosen), "nor is it remembered"
    nights.restore()
    loaded(nights, 1)


def open_of(nights):
    return open_site(connection_from_environment, Settings(var=nights.var))


def test_the_counter_of_outcomes_counts_each_case_once_and_shows_no_few(nights, site, monkeypatch):
    counted = files.read_json(nights.var / "seals" / "outcomes" / "counter.json")
    cases = sum(counted["cases"].values())
    sealed_cases = {(s["feed"], s["da_case_no"]) for s in seals.known(site) if s["da_case_no"]}
    assert 0 < cases <= len(sealed_cases)
    assert nights.run(3) == 0
    again = files.read_json(nights.var / "seals" / "outcomes" / "counter.json")
    assert again["cases"] == counted["cases"], "nothing new was sealed"
    told = seals.counted_outcomes(site)
    assert all(cell["cases"] is None or cell["cases"] >= 11 for cell in told["cells"])
    assert "no count" in told["bias"]
    assert "s1:" not in str(counted)
