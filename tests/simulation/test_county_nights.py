"""The county's two nights and its story: what changes, what comes late, what hangs together."""

import hashlib
import json
from datetime import timedelta

import polars as pl
import pytest

from simulation.county import PERSON_TABLES
from tests.simulation.county_reader import NIGHT, SEAL, START, county

# --- the two nights ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2])
def test_nothing_is_dated_after_its_night(number):
    night = START + timedelta(days=number - 1)
    for feed, tables in county().shown(number).items():
        for table, frame in tables.items():
            for column, dtype in frame.schema.items():
                if isinstance(dtype, pl.Datetime):
                    assert (frame[column].drop_nulls() < night).all(), (feed, table, column)
                if dtype == pl.Date and column not in (
                    "expires_on",
                    "charges_held_until",
                    "abeyance_until",
                ):
                    assert (frame[column].drop_nulls() < night.date()).all(), (feed, table, column)


def test_rows_that_changed_say_so():
    """What a watermark with overlap does not see has not changed; what is gone is gone from the keys."""
    first, second = county().sources(1), county().sources(2)
    for before, after, keys, clock in (
        (first.police, second.police, first.police_keys, "last_chg_ts"),
        (first.da, second.da, first.da_keys, "updated_at"),
    ):
        for table in keys:
            mark = before[table][clock].max() - timedelta(minutes=60)
            unseen = after[table].filter(pl.col(clock) < mark)
            assert unseen.join(before[table], on=unseen.columns, nulls_equal=True, how="anti").is_empty(), (
                table
            )


def test_some_commits_come_late_so_that_only_the_overlap_finds_them():
    first, second = county().sources(1), county().sources(2)
    mark = first.police["arrests"]["last_chg_ts"].max()
    new = second.police["arrests"].join(first.police["arrests"], on="arr_no", how="anti")
    late = new.filter(pl.col("last_chg_ts") < mark)
    assert late.height == 2
    assert (late["last_chg_ts"] > mark - timedelta(minutes=60)).all()


def test_between_the_nights_each_kind_of_change_happens():
    one, two = county().shown(1), county().shown(2)

    def lost(feed, table, key):
        return one[feed][table].join(two[feed][table], on=key, how="anti").height

    def new(feed, table, key):
        return two[feed][table].join(one[feed][table], on=key, how="anti").height

    assert lost("police_records", "persons", "person_no") >= 1
    assert lost("police_records", "arrests", "arrest_no") >= 1
    assert lost("police_records", "referrals", "referral_no") == 1
    assert lost("da_cases", "cases", "da_case_no") >= 1
    assert lost("harbor_case_management", "intakes", "intake_id") >= 1
    assert lost("riverside_treatment", "clients", "client_id") == 1
    assert new("police_records", "arrests", "arrest_no") >= 3
    assert new("police_records", "referrals", "referral_no") >= 1
    assert new("da_cases", "cases", "da_case_no") >= 1
    assert new("harbor_case_management", "consents", "consent_id") >= 1
    for feed in ("police_records", "da_cases", "harbor_case_management", "riverside_treatment"):
        table, key = PERSON_TABLES[feed]
        names = one[feed][table].join(two[feed][table], on=key, suffix="_after")
        changed = names.select(
            pl.any_horizontal(
                pl.col(c).ne_missing(pl.col(f"{c}_after"))
                for c in ("last_name", "first_name", "date_of_birth")
            )
        )
        assert changed.to_series().sum() >= 1, feed
    revoked = [s["riverside_treatment"]["consents"]["revoked_at"].count() for s in (one, two)]
    assert revoked[1] > revoked[0]


def test_drops_are_uploaded_with_their_proof_of_completeness_last():
    sources = county().sources(2, encrypt=lambda data: SEAL + data)
    for drop in sources.drops:
        names = [name for name, _ in drop.files]
        files = dict(drop.files)
        stems = [n for n in names if n.endswith((".csv", ".csv.pgp"))]
        if drop.feed == "riverside_treatment":
            for name in stems:
                assert names.index(f"{name}.sha256") == names.index(name) + 1
                stated = files[f"{name}.sha256"].decode()
                assert stated == f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n"
                assert files[name].startswith(SEAL)
            continue
        assert names[-1].endswith(".manifest.json")
        manifest = json.loads(files[names[-1]])
        assert [f["name"] for f in manifest["files"]] == stems
        for stated in manifest["files"]:
            data = files[stated["name"]]
            assert (stated["bytes"], stated["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
            assert stated["rows"] == data.count(b"\n") - 1
    order = [(d.feed, d.files[0][0]) for d in sources.drops]
    assert order == [
        ("harbor_case_management", "clients_20261120_02.csv"),
        ("harbor_case_management", "clients_20261121_01.csv"),
        ("riverside_treatment", "clients_20261120_02.csv.pgp"),
        ("riverside_treatment", "clients_20261121_01.csv.pgp"),
        ("da_disputes", "disputes_20261121_01.csv"),
    ]


def test_disputes_are_about_cases_that_the_office_holds_for_lead():
    rows = county().shown(2)["da_disputes"]["disputes"]
    cases = county().shown(1)["da_cases"]["cases"]
    pairs = set(cases.select("da_case_no", "defendant_id").iter_rows())
    assert rows.height >= 3
    assert set(rows.select("da_case_no", "da_defendant_id").iter_rows()) <= pairs


# --- the story --------------------------------------------------------------------------------------


def test_the_story_hangs_together():
    """DOMAIN 1.5: a diversion has its arrest, its case, its intake; they quote one another's numbers."""
    shown = county(3000).shown(1)
    police, da = shown["police_records"], shown["da_cases"]
    referrals = police["referrals"].join(police["arrests"], on="arrest_no", how="left", suffix="_arrest")
    taken = referrals.filter((pl.col("referral_door") == "ARREST_DIVERSION") & pl.col("accepted"))
    assert taken.height > 50
    assert taken["diverted"].all()
    assert taken["charges_held_until"].null_count() == 0
    assert police["arrests"]["diverted"].sum() == taken.height
    cases = da["cases"].filter(pl.col("arrest_no").is_in(taken["arrest_no"].implode()))
    assert cases.height > 0.85 * taken.height
    held = da["decisions"].filter(decision="HELD_IN_ABEYANCE")
    assert held.join(da["cases"], on="da_case_no", how="anti").is_empty()
    assert cases.join(held, on="da_case_no").height > 0.85 * cases.height
    decisions = set(da["decisions"]["decision"])
    assert decisions >= {"HELD_IN_ABEYANCE", "DIVERTED_LEAD", "DECLINED", "FILED", "PENDING_REVIEW"}
    numbers = set(police["referrals"]["referral_no"])
    for feed in ("harbor_case_management", "riverside_treatment"):
        quoted = shown[feed]["intakes"]["referral_no"].drop_nulls()
        assert quoted.len() > 20
        assert set(quoted) <= numbers


def test_consents_are_of_every_kind_that_a_release_must_tell_apart():
    consents = pl.concat(
        county(3000).shown(1)[f]["consents"] for f in ("harbor_case_management", "riverside_treatment")
    )
    status = consents.filter(info_category="PROGRAMME_STATUS")
    assert set(status["recipient"]) >= {"district_attorney", "police"}
    assert set(consents["consent_type"]) >= {"LEAD_ROI", "PART2_SPECIFIC", "PART2_CJ_2_35", "PART2_TPO"}
    assert (consents["expires_on"] < NIGHT).sum() > 10
    assert consents["revoked_at"].count() > 5
    own = consents.filter(info_category="JUSTICE_EVENTS")
    assert set(own["recipient"]) == {"harbor_case_management", "riverside_treatment"}
    with_part2 = status.filter(consent_type="PART2_SPECIFIC")["client_id"]
    roi_alone = status.filter(
        (pl.col("consent_type") == "LEAD_ROI") & ~pl.col("client_id").is_in(with_part2.implode())
    )
    assert roi_alone.height > 5
