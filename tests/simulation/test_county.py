"""The county: what agencies offer is what contracts ask for, but for the rows that are bad on purpose."""

import hashlib
import json
import time
from datetime import UTC, date, datetime, timedelta
from functools import cache

import polars as pl
import pytest

import schemas.da
import schemas.disputes
import schemas.police
import schemas.provider
from leadhub.foundation.settings import REPOSITORY
from leadhub.intake import feeds, mapping, tabular, validation
from schemas.contract import facts, tables_of
from simulation.agencies import da_form
from simulation.county import PERSON_TABLES, County
from simulation.da_states import States

NIGHT = date(2026, 11, 20)
START = datetime(2026, 11, 20, tzinfo=UTC)
SEAL = b"sealed\n"
CONTRACTS = {
    "police_records": schemas.police,
    "da_cases": schemas.da,
    "harbor_case_management": schemas.provider,
    "riverside_treatment": schemas.provider,
    "da_disputes": schemas.disputes,
}
FEEDS = feeds.load_all(REPOSITORY / "feeds")


@cache
def county(persons=600, seed=3):
    return County.make(persons=persons, seed=seed, night=NIGHT)


def drops_of(sources, feed):
    return [d for d in sources.drops if d.feed == feed]


# --- as a reader would see it -----------------------------------------------------------------------


def of_database(tables, since):
    """Text, as the records system gives it; only rows that changed after `since`."""
    out = {}
    for table, frame in tables.items():
        changed = frame if since is None else frame.filter(pl.col("last_chg_ts") > since)
        text = changed.with_columns(
            pl.col(pl.Datetime).dt.strftime("%Y-%m-%d %H:%M:%S+00"), pl.col(pl.Date).dt.strftime("%Y-%m-%d")
        ).cast(pl.String)
        sink = text.write_ipc_stream(None, compat_level=pl.CompatLevel.oldest()).getvalue()
        out[table] = ("arrow", sink)
    return out


def of_interface(resources, keys, since):
    states = States("updated_at")
    collections = states.get(states.load(resources, keys, None))
    out = {}
    tables = {resource: table for table, resource in da_form.RESOURCES.items()}
    for resource, collection in collections.items():
        table = tables.get(resource, resource)
        changed = (
            [True] * len(collection.rows) if since is None else (collection.changed >= since).to_list()
        )
        rows = [r for r, c in zip(collection.rows, changed) if c]
        page = b'{"data":[' + b",".join(rows) + b'],"next":null,"total":%d,"as_of":"x"}' % len(rows)
        out[table] = ("jsonl", page + b"\n")
    return out


def of_drop(drop):
    return {
        name.split("_2")[0]: ("csv", data.removeprefix(SEAL))
        for name, data in drop.files
        if name.endswith((".csv", ".csv.pgp"))
    }


def read_nights():
    """(night, feed) → list of (members, keys of the source by table), as a nightly reader takes them."""
    taken = {}
    for number in (1, 2):
        sources = county().sources(number, encrypt=lambda data: SEAL + data)
        overlap = None
        if number == 2:
            overlap = START - timedelta(minutes=61)
        all_police = of_database(sources.police, None)
        all_da = of_interface(sources.da, sources.da_keys, None)
        taken[number, "police_records"] = [(of_database(sources.police, overlap), all_police)]
        last = max(f["updated_at"].max() for f in county().sources(1).da.values())
        since = last - timedelta(minutes=60) if number == 2 else None
        taken[number, "da_cases"] = [(of_interface(sources.da, sources.da_keys, since), all_da)]
        for feed in ("harbor_case_management", "riverside_treatment", "da_disputes"):
            taken[number, feed] = [(of_drop(d), None) for d in drops_of(sources, feed)]
    return taken


def judged(feed_id, members, whole):
    feed, models = FEEDS[feed_id], tables_of(CONTRACTS[feed_id])
    known = {table: facts(models[table]) for table in feed.tables}

    def mapped(parts):
        out = {}
        for table, (form, data) in parts.items():
            rules = feed.drop
            parsed = tabular.parse(
                data,
                form,
                name=table,
                delimiter=rules.delimiter if rules else ",",
                encoding=rules.encoding if rules else "utf-8",
            )
            out[table] = mapping.apply(parsed, known[table], feed.tables[table], name=table)
        return out

    keys = {}
    if whole is not None:
        for table, m in mapped(whole).items():
            keys[table] = mapping.to_arrow(m.frame.select(known[table].key).drop_nulls(), known[table])
    return validation.judge(mapped(members), models, known, keys)


# --- contracts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2])
def test_every_row_that_is_meant_well_fits_its_contract(number):
    for feed, tables in county().shown(number).items():
        models = tables_of(CONTRACTS[feed])
        assert set(tables) == set(models)
        for table, model in models.items():
            frame = tables[table].select(list(model.to_schema().columns))
            model.validate(frame, lazy=True)
            key = facts(model).key
            assert frame.select(key).is_duplicated().sum() == 0, (feed, table)
            for reference in facts(model).references:
                child = frame.drop_nulls(reference.column)
                parent = tables[reference.table].select(reference.parent_column)
                orphans = child.join(
                    parent, left_on=reference.column, right_on=reference.parent_column, how="anti"
                )
                assert orphans.is_empty(), (feed, table, reference)


def test_a_nightly_reader_refuses_exactly_the_rows_that_were_announced():
    for (number, feed), drops in read_nights().items():
        expected = {}
        for refusal in county().sources(number).refusals:
            if refusal.feed == feed:
                expected.setdefault(refusal.table, []).append(refusal.reason)
        found, rows = {}, {}
        for members, whole in drops:
            for table, result in judged(feed, members, whole).items():
                found.setdefault(table, []).extend(result.refused["reason"].to_pylist())
                rows[table] = rows.get(table, 0) + result.refused_rows
        assert {t: sorted(r) for t, r in found.items() if r} == {
            t: sorted(r) for t, r in expected.items()
        }, (
            number,
            feed,
        )
        counted = county().sources(number).expected_refusals.get(feed, {})
        assert {t: n for t, n in rows.items() if n} == counted


def test_no_batch_is_stopped_for_its_bad_rows():
    for persons in (100, 250, 1000):
        small = County.make(persons=persons, seed=5, night=NIGHT)
        for number in (1, 2):
            sources = small.sources(number)
            for feed, tables in sources.expected_refusals.items():
                limit = FEEDS[feed].refused_share_limit
                rows = {t: small.shown(number)[feed][t].height for t in small.shown(number)[feed]}
                assert sum(tables.values()) / sum(rows.values()) <= limit, (persons, number, feed)
                for table, count in tables.items():
                    assert rows[table] < validation.SMALL_TABLE or count / rows[table] <= limit


# --- truth and stability ----------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_bytes_and_another_seed_does_not():
    def fingerprint(seed):
        made = County.make(persons=300, seed=seed, night=NIGHT)
        sha = hashlib.sha256()
        for number in (1, 2):
            sources = made.sources(number)
            for frame in (*sources.police.values(), *sources.da.values()):
                sha.update(frame.write_csv().encode())
            for drop in sources.drops:
                for name, data in drop.files:
                    sha.update(name.encode() + data)
            sha.update(repr(sources.refusals).encode())
        return sha.hexdigest()

    assert fingerprint(4) == fingerprint(4)
    assert fingerprint(4) != fingerprint(5)


@pytest.mark.parametrize("number", [1, 2])
def test_truth_names_every_person_record_once(number):
    truth = county().truth(number)
    sources = county().sources(number)
    assert truth.select("feed", "local_id").is_duplicated().sum() == 0
    assert truth["person"].is_between(1, county().persons).all()
    held = {
        "police_records": sources.police["persons"]["mni_no"],
        "da_cases": sources.da["defendants"]["defendantRef"],
    }
    for feed in ("harbor_case_management", "riverside_treatment"):
        last = of_drop(drops_of(sources, feed)[-1])["clients"][1]
        rules = FEEDS[feed].drop
        parsed = tabular.parse(last, "csv", name=feed, delimiter=rules.delimiter, encoding=rules.encoding)
        held[feed] = pl.DataFrame(parsed.table)[FEEDS[feed].tables["clients"].columns["client_id"]]
    for feed, ids in held.items():
        named = truth.filter(feed=feed)
        assert set(named["local_id"]) == set(ids)
        assert named["table"].unique().to_list() == [PERSON_TABLES[feed][0]]


def test_feeds_say_truthfully_whether_they_hold_a_person_once():
    for number in (1, 2):
        for feed, records in county().truth(number).group_by("feed"):
            twice = records["person"].n_unique() < records.height
            assert twice != FEEDS[feed[0]].one_record_per_person, feed


def test_people_stand_in_several_agencies_and_are_written_differently():
    truth = county(3000).truth(1)
    agencies = truth.group_by("person").agg(pl.col("feed").n_unique())["feed"]
    assert (agencies >= 2).sum() > 500
    assert (agencies >= 3).sum() > 100
    shown = county(3000).shown(1)
    both = shown["police_records"]["persons"].join(
        shown["da_cases"]["defendants"], on="person", suffix="_da"
    )
    same_name = both["last_name"] == both["last_name_da"].str.to_uppercase()
    same_birth = both["date_of_birth"] == both["date_of_birth_da"]
    assert 0.8 < same_name.mean() < 0.98
    assert 0.9 < same_birth.mean() < 0.99


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


# --- canaries ---------------------------------------------------------------------------------------


def test_canaries_are_in_every_feed_and_are_identifiers_too():
    canaries, identifiers = set(county().canaries()), set(county().identifiers())
    sources = [county().sources(n) for n in (1, 2)]
    feeds_as_text = {
        "police_records": "".join(f.write_csv() for s in sources for f in s.police.values()),
        "da_cases": "".join(f.write_csv() for s in sources for f in s.da.values()),
    }
    for feed in ("harbor_case_management", "riverside_treatment"):
        blobs = [data for s in sources for d in drops_of(s, feed) for _, data in d.files]
        feeds_as_text[feed] = b"".join(blobs).decode("latin-1")
    for feed, text in feeds_as_text.items():
        assert sum(f"QXCANARY{i}" in text for i in range(6)) == 6, feed
        assert sum(c in text for c in canaries) > 20, feed
    assert {c for c in canaries if " " in c} <= identifiers
    assert len(identifiers) > county().persons
    assert all(len(i) >= 5 for i in identifiers)


def test_errors_in_arguments_are_told():
    with pytest.raises(ValueError, match="at least"):
        County.make(persons=10, seed=1, night=NIGHT)
    with pytest.raises(ValueError, match="nights 1 and 2"):
        county().sources(3)


def test_a_county_of_50_000_is_made_in_seconds(capsys):
    began = time.perf_counter()
    made = County.make(persons=50_000, seed=1, night=NIGHT)
    first, second = made.sources(1), made.sources(2)
    seconds = time.perf_counter() - began
    rows = sum(f.height for t in made.shown(1).values() for f in t.values())
    with capsys.disabled():
        print(f"\n{made.persons:,} persons, {rows:,} rows, both nights: {seconds:.1f} s")
    assert rows > 2.5 * made.persons
    assert len(first.drops) == 2
    assert len(second.drops) == 5
    assert seconds < 15
