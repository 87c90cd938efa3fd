"""The county: what agencies offer is what contracts ask for, but for the rows that are bad on purpose."""

import hashlib
import time

import polars as pl
import pytest

from leadhub.intake import tabular, validation
from schemas.contract import facts, tables_of
from simulation.county import PERSON_TABLES, County
from tests.simulation.county_reader import (
    CONTRACTS,
    FEEDS,
    NIGHT,
    county,
    drops_of,
    judged,
    of_drop,
    read_nights,
)

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
