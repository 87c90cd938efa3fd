"""T2: after a revocation nothing that rested on the consent is in the next release, nor kept for later."""

import io
import json
import shutil

import polars as pl
import pytest

from connectors.base import connection_from_environment
from leadhub import cli_quarantine
from leadhub.foundation import openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import Settings
from leadhub.steps import doubts, ingest, licensed, upkeep
from leadhub.steps.site import open_site
from tests.night.clinic import CLINIC, send, sent

pytestmark = pytest.mark.timeout(300)
DA, DATASET = "district_attorney", "diversion_status"
KEY = ["da_case_no", "da_defendant_id"]


def delivered(nights, number: int, name: str = DATASET) -> pl.DataFrame:
    """A file of the DA's delivery of a night, opened."""
    [folder] = (nights.var / "sftp" / DA / "outbox" / DATASET).glob(f"*_{nights.night(number)}")
    secret = nights.stage.agencies / DA / "openpgp.pgp"
    text = openpgp.decrypt((folder / f"{name}.csv.pgp").read_bytes(), secret)
    return pl.read_csv(io.BytesIO(text), infer_schema=False)


def site_of(nights):
    return open_site(connection_from_environment, Settings(var=nights.var))


def spoken(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("diversion_status") != "NO_INFORMATION")


def revoked(tables):
    """Every line for the DA, taken back long before the night."""
    lines = [
        r | {"revoked_at": "2026-11-01T09:00:00Z"} if r["recipient"] == DA else r
        for r in tables["consents"]
    ]
    return {**tables, "consents": lines}


def without(tables):
    return {**tables, "consents": [r for r in tables["consents"] if r["recipient"] != DA]}


def data_files(nights) -> list[str]:
    """Files with rows of releases to the DA that the hub still has, by release and name."""
    releases = nights.var / "releases" / DA / DATASET
    kept = [p for p in releases.rglob("*") if p.suffix in (".pgp", ".csv", ".parquet")]
    dictionary = ("data_dictionary.csv", "accounting.parquet")
    return sorted(
        f"{p.relative_to(releases).parts[0][:6]}/{p.name}" for p in kept if p.name not in dictionary
    )


def test_t2_after_a_revocation_zero_rows_speak_and_each_is_withdrawn(nights, after):
    first = spoken(delivered(nights, 1))
    nights.restore(after)
    send(nights, without(sent(nights)))
    assert nights.run(2) == 0
    never = delivered(nights, 2)
    ours = first.join(spoken(never), on=KEY, how="anti")
    assert ours.height > 2, "what Harbor's consents let be said"

    nights.restore(after)
    send(nights, revoked(sent(nights)))
    assert nights.run(2) == 0
    assert delivered(nights, 2).equals(never), "as if there never had been a consent"
    changes = delivered(nights, 2, f"{DATASET}_changes")
    withdrawn = changes.filter(pl.col("op") == "withdraw").select(KEY)
    assert ours.join(withdrawn, on=KEY, how="anti").height == 0
    anew = changes.filter(pl.col("op") == "insert").join(ours, on=KEY, how="semi")
    assert spoken(anew).height == 0
    assert data_files(nights) == ["000002/rows_sealed.parquet"], "the last rows are the only ones kept"


def test_t2_what_was_staged_before_the_revocation_is_gone_after_it(nights, after):
    nights.restore(after)
    assert nights.run(2, failpoint="release.staged:kill") == -9
    assert any(name.startswith("000002/diversion_status.csv") for name in data_files(nights))
    send(nights, revoked(sent(nights)), 3)
    assert nights.run(3) == 0
    assert len(data_files(nights)) == 1
    assert data_files(nights)[0].endswith("rows_sealed.parquet")
    outbox = nights.var / "sftp" / DA / "outbox" / DATASET
    assert [p.name[7:] for p in sorted(outbox.iterdir())] == [nights.night(1), nights.night(3)]


def test_a_revocation_is_not_forgotten_with_its_row(nights, after, tmp_path):
    """A client had signed twice, and took the second back; then the first paper alone is sent."""
    first = spoken(delivered(nights, 1))
    nights.restore(after)
    tables = sent(nights)
    again = [
        r | {"consent_id": r["consent_id"] + "B", "revoked_at": f"{nights.night(1)}T09:00:00Z"}
        for r in tables["consents"]
        if r["recipient"] == DA and not r["revoked_at"]
    ]
    send(nights, {**tables, "consents": [*tables["consents"], *again]})
    assert nights.run(2) == 0
    second = spoken(delivered(nights, 2))
    assert second.height < first.height
    send(nights, tables, 3)
    assert nights.run(3) == 0
    assert spoken(delivered(nights, 3)).equals(second), "absence lifts nothing"
    remembered = nights.var / "seals"
    shutil.copytree(remembered, tmp_path / "seals")
    nights.restore(after)
    shutil.copytree(tmp_path / "seals", remembered, dirs_exist_ok=True)
    send(nights, tables)
    assert nights.run(2) == 0
    assert spoken(delivered(nights, 2)).equals(second), "nor does a backup from before it"


def test_a_refused_row_that_names_nobody_withholds_every_consent_of_its_feed(nights, after):
    first = spoken(delivered(nights, 1))
    nights.restore(after)
    tables = sent(nights)
    line = next(r for r in tables["consents"] if r["recipient"] == DA and not r["revoked_at"])
    mistyped = line | {
        "consent_id": "NEW",
        "client_id": "HC999999",
        "revoked_at": f"{nights.night(1)}T09:00Z",
    }
    send(nights, {**tables, "consents": [*tables["consents"], mistyped]})
    assert nights.run(2) == 0
    assert 0 < spoken(delivered(nights, 2)).height < first.height
    licence = licensed.prepare(site_of(nights), f"{DA}__{DATASET}", nights.night(2))
    assert set(licence.active["feed"]) == {"riverside_treatment"}


def test_a_drop_with_an_unread_key_does_not_lift_the_doubt_about_a_row_that_is_gone(nights, after):
    """The state keeps the line as it was before the row that was refused: what may revoke it stays open."""
    nights.restore(after)
    tables, site = sent(nights), site_of(nights)
    line, *others = tables["consents"]
    unread = [line | {"revoked_at": "yesterday"}, *others]
    send(nights, {**tables, "consents": unread})
    somebody = others[0] | {"consent_id": ""}
    send(nights, {**tables, "consents": [somebody, *others[1:]]}, sequence=2)
    ingest.land(site, CLINIC, nights.night(2))
    version = ingest.validate(site, CLINIC, nights.night(2))["quarantine"]["version"]
    opened = site.lake.read(f"quarantine_{CLINIC}", version).to_pylist()
    assert "revoked_at" in {r["column"] for r in opened if r["table"] == "consents"}


def test_stewards_and_the_agency_are_told_of_it_until_a_steward_dismisses_it(nights, after):
    nights.restore(after)
    tables = sent(nights)
    wrong = tables["consents"][0] | {"consent_id": "NEW", "client_id": "", "revoked_at": ""}
    send(nights, {**tables, "consents": [*tables["consents"], wrong]})
    site, row = (
        open_site(connection_from_environment, Settings(var=nights.var)),
        len(tables["consents"]) + 2,
    )
    ingest.land(site, CLINIC, nights.night(2))
    ingest.validate(site, CLINIC, nights.night(2))
    with pytest.raises(
        TerminalError, match=f"restriction_unread.* row {row} of .consents.*client_id: missing"
    ):
        ingest.acknowledge(site, CLINIC, nights.night(2))
    [told] = (nights.var / "sftp" / CLINIC / "outbox" / "acknowledgements").glob(f"{nights.night(2)}*")
    assert [u["row"] for u in json.loads(told.read_text())["urgent"]] == [row]
    assert nights.run(2) == 0
    [drop] = site.landing.drops(CLINIC, nights.night(2))
    with pytest.raises(TerminalError, match="is not open"):
        upkeep.dismiss_row(site, CLINIC, drop.drop_id, "consents", row + 1, by="a steward", why="asked")
    with pytest.raises(TerminalError, match="say --by and --why"):
        upkeep.dismiss_row(site, CLINIC, drop.drop_id, "consents", row, by="a steward", why=" ")
    assert any(f"IN DOUBT: {CLINIC}" in line for line in cli_quarantine.summary(site))
    cli_quarantine.dismiss(CLINIC, drop.drop_id[:12], "consents", row, "a steward", "a test entry")
    assert [r["row"] for r in doubts.nameless(upkeep.opened(site, CLINIC))] == [row]
    landed = {"drops": [], "replays": [], "arrivals": []}
    site.lake.put_receipt(nights.night(3), CLINIC, "land", landed)
    after_it = ingest.validate(site, CLINIC, nights.night(3))["quarantine"]["version"]
    assert doubts.nameless(site.lake.read(f"quarantine_{CLINIC}", after_it)) == []
