"""The connector for databases against a real PostgreSQL: what a night lands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.postgresql import PostgreSQL
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.intake import mapping, tabular
from leadhub.intake.landing import Landing
from simulation.police_db import PoliceDatabase
from tests.connectors.sql.police_records import (
    CANARY,
    COLUMNS,
    EARLY,
    FACTS,
    KEY,
    NIGHT,
    between_batches,
    charges,
    feed,
    member,
    numbers,
    persons,
    put,
    read,
    refused,
)

# what a night lands -----------------------------------------------------------------------------------


def test_the_first_night_reads_everything(database, landing):
    drop = read(database, landing)
    assert (drop.mode, drop.origin) == ("delta", ("lead.persons", "lead.charges"))
    rows = member(landing, drop, "rows")
    assert rows.columns == list(COLUMNS["persons"].values())
    assert rows.sort("MNI No").row(0) == ("P000000", CANARY, "1990-02-28", "t", "2026-11-01 08:00:00+00")
    assert member(landing, drop, "keys").columns == ["MNI No"]
    assert member(landing, drop, "keys", "charges").columns == KEY["charges"]
    assert drop.watermark == {t: "2026-11-01T08:00:00.000000Z" for t in COLUMNS}
    [extract] = drop.of("extract")
    told = json.loads(landing.read(drop, extract))
    assert told["since"] == {"persons": None, "charges": None}
    assert (told["night"], told["dialect"]) == (NIGHT, "postgresql")


def test_what_landed_can_be_parsed_and_typed(database, landing):
    drop = read(database, landing)
    [rows], [keys] = drop.of("rows", "persons"), drop.of("keys", "persons")
    rules = feed().tables["persons"]
    parsed = tabular.parse(landing.read(drop, rows), rows.format, name=rows.name)
    mapped = mapping.apply(parsed, FACTS["persons"], rules, name=rows.name)
    assert mapped.faults.is_empty()
    assert mapped.frame["updated_at"].to_list() == [EARLY] * 10
    parsed = tabular.parse(landing.read(drop, keys), keys.format, name=keys.name)
    assert mapping.keys(parsed, FACTS["persons"], rules, name=keys.name).num_rows == 10


def test_the_second_night_reads_what_changed(database, landing):
    first = read(database, landing)
    put(database, pl.concat([persons(8), persons(3, first=8, changed=EARLY + timedelta(days=1))]))
    second = read(
        database,
        landing,
        first.watermark,
        facts=feed(page_rows=2).model_copy(update={"overlap_minutes": 0}),
    )
    assert numbers(landing, second) == ["P000008", "P000009", "P000010"]
    assert len(numbers(landing, second, "keys")) == 11
    assert second.watermark == {
        "persons": "2026-11-02T08:00:00.000000Z",
        "charges": first.watermark["charges"],
    }


def test_a_deletion_is_seen_through_the_keys(database, landing):
    first = read(database, landing)
    put(database, persons(7))
    second = read(database, landing, first.watermark)
    gone = set(numbers(landing, first, "keys")) - set(numbers(landing, second, "keys"))
    assert gone == {"P000007", "P000008", "P000009"}


def test_an_empty_source_lands_empty_members(database, landing):
    put(database, persons(0), charges(0))
    drop = read(database, landing)
    assert numbers(landing, drop) == numbers(landing, drop, "keys") == []
    assert drop.watermark == {}


def test_g2_same_state_same_members(database, landing, tmp_path):
    drops = [read(database, landing), read(database, Landing(tmp_path / "other", Keys(b"o" * 32)))]
    hashes = [{m.name: m.sha256 for m in d.members if m.role != "extract"} for d in drops]
    assert hashes[0] == hashes[1]


_TEXT = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_TEXT, st.none() | st.booleans()), max_size=12), st.integers(1, 5))
def test_every_cell_comes_as_it_stands(server, tmp_path_factory, cells, page_rows):
    """Null is not empty text; quotes, commas, line breaks and backslashes are no format."""
    people = persons(len(cells)).with_columns(
        pl.Series("last", [c[0] for c in cells], pl.String),
        pl.Series("flag", [c[1] for c in cells], pl.Boolean),
    )
    put(server, people, charges())
    landing = Landing(tmp_path_factory.mktemp("cells"), Keys(b"k" * 32))
    rows = member(landing, read(server, landing, facts=feed(page_rows)), "rows").sort("MNI No")
    assert rows["last"].to_list() == people["last"].to_list()
    assert rows["flag"].to_list() == [None if f is None else "ft"[f] for f in people["flag"]]


# clocks -----------------------------------------------------------------------------------------------


def test_f28_a_late_commit_below_the_watermark_is_read_again(database, landing):
    first = read(database, landing)
    late = persons(2, first=50, changed=EARLY - timedelta(minutes=59))
    lost = persons(1, first=60, changed=EARLY - timedelta(minutes=61))
    put(database, pl.concat([persons(), late, lost]))
    second = read(database, landing, first.watermark)
    assert {"P000050", "P000051"} < set(numbers(landing, second))
    assert "P000060" not in numbers(landing, second)
    assert "P000060" in numbers(landing, second, "keys")


def test_bad_input_80_a_row_from_the_future_is_read_and_moves_no_watermark(database, landing):
    future = datetime.now(UTC) + timedelta(days=400)
    put(database, pl.concat([persons(3), persons(1, first=3, changed=future)]))
    first = read(database, landing)
    assert len(numbers(landing, first)) == 4
    assert first.watermark["persons"] == "2026-11-01T08:00:00.000000Z"
    put(database, pl.concat([persons(3), persons(1, first=3, changed=future), persons(1, first=4)]))
    second = read(database, landing, first.watermark)
    assert {"P000003", "P000004"} <= set(numbers(landing, second))


def test_bad_input_81_a_row_without_clock_or_far_off_is_read_every_night(database, landing):
    put(database, pl.concat([persons(3), persons(2, first=3, changed=None)]))
    with database.owner() as owner:
        owner.execute("UPDATE lead.persons SET ts = 'infinity' WHERE \"MNI No\" = 'P000002'")
        owner.execute("UPDATE lead.persons SET ts = '-infinity' WHERE \"MNI No\" = 'P000001'")
    first = read(database, landing)
    assert len(numbers(landing, first)) == 5
    second = read(database, landing, first.watermark)
    assert {"P000002", "P000003", "P000004"} <= set(numbers(landing, second))


def test_f30_a_source_clock_that_was_set_back_loses_nothing(database, landing):
    ahead = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    drop = read(database, landing, {"persons": ahead, "charges": ahead})
    assert len(numbers(landing, drop)) == 10
    assert datetime.fromisoformat(drop.watermark["persons"]) <= datetime.now(UTC)


def test_a_watermark_never_goes_back_by_deletion(database, landing):
    drop = read(database, landing, {"persons": "2026-11-05T00:00:00Z"})
    assert drop.watermark["persons"] == "2026-11-05T00:00:00.000000Z"


def test_a_damaged_watermark_stops(database, landing):
    refused(database, landing, TerminalError, "state_invalid", since={"persons": "yesterday"})


# pages and counts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page_rows", [1, 2, 3, 5, 10, 11, 1000])
def test_g3_no_row_is_lost_or_read_twice_at_page_ends(database, landing, page_rows):
    drop = read(database, landing, facts=feed(page_rows))
    assert numbers(landing, drop) == [f"P{i:06d}" for i in range(10)]
    assert member(landing, drop, "rows", "charges")["charge_seq"].to_list() == ["1", "2", "3"]


@pytest.fixture
def view(database: PoliceDatabase) -> Iterator[PoliceDatabase]:
    """A view that repeats keys (bad input 78) and leaves some empty (bad input 72)."""
    with database.owner() as owner:
        owner.execute(
            'CREATE VIEW lead.persons_view AS SELECT * FROM lead.persons UNION ALL SELECT "MNI No", '
            "'again', dob, flag, ts FROM lead.persons UNION ALL SELECT NULL, 'keyless', dob, flag, ts "
            "FROM lead.persons"
        )
        yield database
        owner.execute("DROP VIEW lead.persons_view")


@pytest.mark.parametrize("page_rows", [1, 3, 7])
def test_bad_input_72_78_repeated_and_empty_keys_go_to_validation(view, landing, page_rows):
    drop = read(view, landing, facts=feed(page_rows, persons="lead.persons_view"))
    rows = member(landing, drop, "rows")
    assert rows.height == 30
    assert rows["last"].value_counts().sort("last")["count"].to_list() == [10, 10, 10]
    assert member(landing, drop, "keys").height == 30


def test_f27_rows_that_change_during_the_extract_are_not_mixed_in(database, landing, monkeypatch):
    def write(number: int) -> None:
        put(database, persons(2 + number, first=100 * (1 + number)), charges(0))

    between_batches(monkeypatch, write)
    drop = read(database, landing, facts=feed(page_rows=2))
    assert numbers(landing, drop) == numbers(landing, drop, "keys") == [f"P{i:06d}" for i in range(10)]
    assert member(landing, drop, "keys", "charges").height == 3
    with database.owner() as owner:
        assert owner.execute("SELECT count(*) FROM lead.charges").fetchone() == (0,)


def test_g3_a_count_that_differs_stops(database, landing, monkeypatch):
    original = PostgreSQL.batches
    monkeypatch.setattr(PostgreSQL, "batches", lambda *a: (b.slice(1) for b in original(*a)))
    refused(database, landing, TerminalError, "counts_differ")
