"""The connector for databases against a real PostgreSQL (and SQLite, as the proof of the seam)."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.base import Connection
from connectors.dialects import SQLite
from connectors.postgresql import PostgreSQL
from connectors.sql import SqlConnector
from leadhub.foundation.errors import LeadhubError, TerminalError, TransientError
from leadhub.foundation.keys import Keys
from leadhub.foundation.settings import REPOSITORY
from leadhub.foundation.vocabulary import ColumnFacts, Protection, Sensitivity, TableFacts
from leadhub.intake import mapping, tabular
from leadhub.intake.feeds import Feed, TableMapping
from leadhub.intake.landing import Drop, Landing
from simulation.police_db import PoliceDatabase

NIGHT = "2026-11-20"
CANARY = "Quetzalhammer"
UTC_TIME = pl.Datetime("us", "UTC")
EARLY = datetime(2026, 11, 1, 8, tzinfo=UTC)
KEY = {"persons": ["person_no"], "charges": ["arrest_no", "charge_seq"]}
#: contract column → source column
COLUMNS = {
    "persons": {
        "person_no": "MNI No",
        "last_name": "last",
        "born": "dob",
        "flag": "flag",
        "updated_at": "ts",
    },
    "charges": {"arrest_no": "arrest_no", "charge_seq": "charge_seq", "updated_at": "ts"},
}


def _facts(table: str) -> TableFacts:
    types = {"born": "date", "flag": "boolean", "charge_seq": "integer", "updated_at": "timestamp"}
    columns = (
        ColumnFacts(c, types.get(c, "string"), True, Sensitivity.FACT, Protection.PUBLIC, c)
        for c in COLUMNS[table]
    )
    return TableFacts(table, table, tuple(KEY[table]), tuple(columns))


FACTS = {table: _facts(table) for table in COLUMNS}


def persons(count: int = 10, *, first: int = 0, changed: datetime | None = EARLY) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "MNI No": [f"P{i:06d}" for i in range(first, first + count)],
            "last": CANARY,
            "dob": date(1990, 2, 28),
            "flag": True,
            "ts": changed,
        },
        schema_overrides={
            **dict.fromkeys(("MNI No", "last"), pl.String),
            "dob": pl.Date,
            "flag": pl.Boolean,
            "ts": UTC_TIME,
        },
    )


def charges(count: int = 3) -> pl.DataFrame:
    return pl.DataFrame(
        {"arrest_no": "A1", "charge_seq": range(1, count + 1), "ts": EARLY},
        schema_overrides={"arrest_no": pl.String, "charge_seq": pl.Int64, "ts": UTC_TIME},
    )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoliceDatabase]:
    with PoliceDatabase(tmp_path_factory.mktemp("police") / "records") as running:
        yield running


@pytest.fixture
def database(server: PoliceDatabase) -> PoliceDatabase:
    put(server, persons(), charges())
    return server


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path, Keys(b"k" * 32))


def put(server: PoliceDatabase, people: pl.DataFrame, charged: pl.DataFrame | None = None) -> None:
    tables = {"persons": people} | ({} if charged is None else {"charges": charged})
    server.apply(tables, {"persons": ["MNI No"], "charges": KEY["charges"]})


def connection(server: PoliceDatabase, **changes) -> Connection:
    given = server.connection()
    fields = {k: given[k] for k in ("host", "port", "login", "password", "schema")}
    return Connection(**{**fields, **changes})


def feed(page_rows: int = 4, dialect: str = "postgresql", prefix: str = "lead.", **sources: str) -> Feed:
    return Feed(
        id="police_records",
        title="Police",
        agency="police",
        connector="sql",
        dialect=dialect,
        connection="police_records",
        contract="police",
        watermark="updated_at",
        overlap_minutes=60,
        page_rows=page_rows,
        tables={t: TableMapping(source=sources.get(t, prefix + t), columns=c) for t, c in COLUMNS.items()},
    )


def read(
    where: PoliceDatabase | Connection,
    landing: Landing,
    since: dict[str, str] | None = None,
    *,
    facts: Feed | None = None,
) -> Drop:
    target = where if isinstance(where, Connection) else connection(where)
    [arrival] = SqlConnector(facts or feed(), FACTS, target).read(landing, NIGHT, since or {})
    assert arrival.status == "landed"
    return arrival.drop


def member(landing: Landing, drop: Drop, role: str, table: str = "persons") -> pl.DataFrame:
    [found] = drop.of(role, table)
    rows = pa.ipc.open_stream(landing.read(drop, found)).read_all()
    assert found.rows == rows.num_rows
    assert set(rows.schema.types) == {pa.string()}
    return pl.from_arrow(rows)


def numbers(landing: Landing, drop: Drop, role: str = "rows") -> list[str]:
    return sorted(member(landing, drop, role)["MNI No"].to_list())


def between_batches(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> None:
    """`act(n)` is called before batch n of a night is taken from the driver."""
    original, seen = PostgreSQL.batches, 0

    def batches(self, *arguments):
        nonlocal seen
        for batch in original(self, *arguments):
            act(seen)
            seen += 1
            yield batch

    monkeypatch.setattr(PostgreSQL, "batches", batches)


def refused(where, landing: Landing, family: type[LeadhubError], reason: str, **given) -> str:
    """The call fails for that reason, nothing is landed or left, and no value is told."""
    with pytest.raises(family) as caught:
        read(where, landing, **given)
    assert caught.value.reason == reason
    assert landing.drops("police_records") == []
    assert not list(landing.root.rglob(".staging-*"))
    told = "".join(traceback.format_exception(caught.value))
    assert CANARY not in told
    return caught.value.message


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


# faults -----------------------------------------------------------------------------------------------

ENDED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'leadhub'"


@pytest.mark.parametrize("at", [0, 1, 3, 4])
def test_f26_a_connection_that_drops_mid_extract_lands_nothing(database, landing, monkeypatch, at):
    def cut(number: int) -> None:
        if number == at:
            with database.owner() as owner:
                assert owner.execute(ENDED).fetchall() == [(True,)]

    between_batches(monkeypatch, cut)
    refused(database, landing, TransientError, "source_unreachable")
    monkeypatch.undo()
    assert len(numbers(landing, read(database, landing))) == 10


def test_f26_a_connection_that_drops_within_a_page(database, landing, monkeypatch):
    put(database, persons(300_000))
    monkeypatch.setattr("connectors.postgresql.BATCH_BYTES", 1 << 16)

    def cut(number: int) -> None:
        if number == 2:
            with database.owner() as owner:
                owner.execute(ENDED)

    between_batches(monkeypatch, cut)
    refused(database, landing, TransientError, "source_unreachable", facts=feed(page_rows=10**6))


def test_f26_a_killed_server_is_unreachable(tmp_path, landing):
    with PoliceDatabase(tmp_path / "own") as own:
        put(own, persons(), charges())
        target = connection(own)
    refused(target, landing, TransientError, "source_unreachable")


def test_f29_a_slow_statement_is_given_up(database, landing):
    with database.owner() as owner, owner.transaction():
        owner.execute("LOCK TABLE lead.persons IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        slow = connection(database, extra={"statement_timeout_seconds": 1})
        refused(slow, landing, TransientError, "source_timeout")
    assert time.monotonic() - began < 10


def test_f29_one_read_only_connection_under_our_name(database, landing, monkeypatch):
    seen = []

    def look(number: int) -> None:
        with database.owner() as owner:
            found = owner.execute("SELECT usename FROM pg_stat_activity WHERE application_name = 'leadhub'")
            seen.extend(found.fetchall())

    between_batches(monkeypatch, look)
    read(database, landing, facts=feed(page_rows=1000))
    assert seen == [("leadhub_reader",)] * 4


def test_f29_a_login_that_may_write_is_refused(database, landing):
    message = refused(
        connection(database, **{k: database.connection("records_owner")[k] for k in ("login", "password")}),
        landing,
        TerminalError,
        "credentials_refused",
    )
    assert "lead.persons" in message


def test_the_reader_cannot_write_even_if_it_tries(database):
    given = connection(database)
    with psycopg.connect(
        host=given.host, port=given.port, user=given.login, password=given.password, dbname=given.schema
    ) as own:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            own.execute("DELETE FROM lead.persons")
        own.rollback()
        own.execute("SET TRANSACTION READ WRITE")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            own.execute("DELETE FROM lead.persons")


@pytest.mark.parametrize("changes", [{"password": CANARY}, {"login": "stranger"}])
def test_a_wrong_password_is_not_tried_again(database, landing, changes):
    refused(connection(database, **changes), landing, TerminalError, "credentials_refused")


def test_a_wrong_database_needs_a_person(database, landing):
    with pytest.raises(TerminalError):
        read(connection(database, schema="elsewhere"), landing)


def test_g13_another_machine_must_prove_its_name(database, landing):
    other = connection(database, host="records.example", extra={"sslmode": "require"})
    refused(other, landing, TerminalError, "settings_invalid")


def test_g13_a_server_without_tls_is_refused_where_tls_was_agreed(database, landing):
    strict = connection(database, extra={"sslmode": "verify-full"})
    refused(strict, landing, TerminalError, "host_key_changed")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ('ALTER TABLE lead.persons RENAME COLUMN "last" TO surname', ["lost ['last']", "new ['surname']"]),
        ("ALTER TABLE lead.persons DROP COLUMN dob", ["lost ['dob']"]),
        ("ALTER TABLE lead.persons ADD COLUMN height int", ["new ['height']"]),
        ("ALTER TABLE lead.persons ALTER COLUMN ts TYPE boolean USING true", ["not as agreed"]),
        ("DROP TABLE lead.persons", ["is not there"]),
        ("ALTER TABLE lead.persons RENAME TO people", ["is not there"]),
        (
            "REVOKE SELECT ON lead.persons FROM leadhub_reader",
            ["is not there, or the login may not read it"],
        ),
    ],
)
def test_f12_schema_drift_names_what_changed(database, landing, change, told):
    with database.owner() as owner:
        owner.execute(change)
    try:
        message = refused(
            database, landing, TerminalError, "schema_drift", since={"persons": "2026-11-01T00:00:00Z"}
        )
    finally:
        with database.owner() as owner:
            owner.execute("DROP TABLE IF EXISTS lead.persons, lead.people")
    assert "lead.persons" in message
    assert all(part in message for part in told)


def test_a_known_column_that_is_not_taken_is_no_drift(database, landing):
    with database.owner() as owner:
        owner.execute("ALTER TABLE lead.persons ADD COLUMN height int")
    facts = feed()
    ignoring = facts.tables["persons"].model_copy(update={"ignore": ["height"]})
    facts = facts.model_copy(update={"tables": {**facts.tables, "persons": ignoring}})
    assert member(landing, read(database, landing, facts=facts), "rows").width == 5


def test_an_identifier_is_no_statement(database, landing):
    evil = 'persons"; DROP TABLE lead.persons; --'
    refused(database, landing, TerminalError, "schema_drift", facts=feed(persons=f"lead.{evil}"))
    assert len(numbers(landing, read(database, landing))) == 10


def test_a_key_is_no_statement(database, landing):
    names = ["a'b", 'a"b', "a\\b", "a%sb", "'; DROP TABLE lead.persons; --", "$1", "ä"]
    put(database, persons(len(names)).with_columns(pl.Series("MNI No", names)))
    drop = read(database, landing, facts=feed(page_rows=1))
    assert numbers(landing, drop) == sorted(names)


def test_bad_input_77_latin_1_bytes_in_a_database_without_encoding(database, landing):
    with database.owner() as owner:
        owner.execute("CREATE DATABASE legacy ENCODING 'SQL_ASCII' TEMPLATE template0")
    try:
        with database.owner("legacy") as legacy:
            legacy.execute("CREATE SCHEMA lead")
            legacy.execute("GRANT USAGE ON SCHEMA lead TO leadhub_reader")
            legacy.execute(
                'CREATE TABLE lead.persons ("MNI No" text, last text, dob date, flag bool, ts timestamptz)'
            )
            legacy.execute("CREATE TABLE lead.charges (arrest_no text, charge_seq int, ts timestamptz)")
            legacy.execute(
                "INSERT INTO lead.persons VALUES ('P1', E'Quetzalhammer\\xE9', now(), true, now())"
            )
            legacy.execute("GRANT SELECT ON ALL TABLES IN SCHEMA lead TO leadhub_reader")
        message = refused(connection(database, schema="legacy"), landing, TerminalError, "unreadable_file")
        assert "lead.persons" in message
    finally:
        with database.owner() as owner:
            owner.execute("DROP DATABASE legacy WITH (FORCE)")


def test_f40_a_row_of_monstrous_size_is_refused(database, landing):
    with database.owner() as owner:
        owner.execute("UPDATE lead.persons SET last = repeat('x', 17 << 20) WHERE \"MNI No\" = 'P000003'")
    refused(database, landing, TerminalError, "too_large")


def test_f3_a_full_disk_while_landing(database, landing, monkeypatch):
    from leadhub.foundation import envelope

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(envelope.EnvelopeWriter, "_emit", full)
    refused(database, landing, TransientError, "disk_full")


def test_g10_an_error_of_arrow_may_quote_a_row(database, landing, monkeypatch):
    options = pyarrow.csv.ParseOptions
    monkeypatch.setattr("pyarrow.csv.ParseOptions", lambda **given: options(**given, delimiter="0"))
    refused(database, landing, TransientError, "bad_response")


def test_g10_nothing_is_logged(database, landing, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        read(database, landing)
        refused_by = connection(database, password=CANARY)
        with pytest.raises(TerminalError):
            read(refused_by, landing)
    assert CANARY not in caplog.text + "".join(capfd.readouterr())
    assert CANARY not in repr(connection(database, password=CANARY))
    log = (database.folder / "cluster" / "server.log").read_text()
    assert CANARY not in log


def test_memory_does_not_grow_with_the_table(database, landing):
    """200 000 rows pass in batches; what Arrow holds at any time is a few batches."""
    pool = pa.default_memory_pool()
    put(database, persons(200_000))
    before = pool.bytes_allocated()
    peaks = []

    original = PostgreSQL.batches

    def watched(self, *arguments):
        for batch in original(self, *arguments):
            peaks.append(pool.bytes_allocated() - before)
            yield batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostgreSQL, "batches", watched)
        patch.setattr("connectors.postgresql.BATCH_BYTES", 1 << 18)
        drop = read(database, landing, facts=feed(page_rows=10**6))
    assert drop.of("rows", "persons")[0].rows == 200_000
    assert len(peaks) > 20
    assert max(peaks) < 8 << 20


# the seam: another product ----------------------------------------------------------------------------


@pytest.fixture
def file_database(tmp_path: Path) -> Path:
    path = tmp_path / "records.db"
    with sqlite3.connect(path) as own:
        own.execute('CREATE TABLE persons ("MNI No" TEXT, last TEXT, dob TEXT, flag INT, ts TEXT)')
        own.execute("CREATE TABLE charges (arrest_no TEXT, charge_seq INT, ts TEXT)")
        rows = [
            (f"P{i}", None if i else "", "1990-02-28", 1, f"2026-11-0{i + 1}T08:00:00.000000Z")
            for i in range(5)
        ]
        own.executemany(
            "INSERT INTO persons VALUES (?, ?, ?, ?, ?)", [*rows, ("P9", CANARY, None, 0, None)]
        )
    return path


def test_another_dialect_needs_nothing_but_its_dialect(file_database, landing):
    facts = feed(page_rows=2, dialect="sqlite", prefix="")
    target = Connection(host="", port=0, schema=str(file_database))
    first = read(target, landing, facts=facts)
    assert member(landing, first, "rows").sort("MNI No")["last"].to_list() == [
        "",
        None,
        None,
        None,
        None,
        CANARY,
    ]
    assert first.watermark == {"persons": "2026-11-05T08:00:00.000000Z"}
    with sqlite3.connect(file_database) as own:
        own.execute("DELETE FROM persons WHERE \"MNI No\" = 'P0'")
        own.execute("UPDATE persons SET ts = '2026-11-06T08:00:00.000000Z' WHERE \"MNI No\" = 'P1'")
    second = read(target, landing, first.watermark, facts=facts)
    assert numbers(landing, second) == ["P1", "P4", "P9"]
    assert numbers(landing, second, "keys") == ["P1", "P2", "P3", "P4", "P9"]


def test_another_dialect_has_its_own_errors(file_database, landing):
    facts = feed(dialect="sqlite", prefix="")
    gone = Connection(host="", port=0, schema=str(file_database) + ".gone")
    refused(gone, landing, TransientError, "source_unreachable", facts=facts)
    with sqlite3.connect(file_database, isolation_level=None) as own:
        own.execute("BEGIN EXCLUSIVE")
        target = Connection(host="", port=0, schema=str(file_database))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SQLite, "PATIENCE", 0)
            refused(target, landing, TransientError, "source_timeout", facts=facts)


def test_an_unknown_dialect_is_a_fault_of_the_feed(database, landing):
    refused(database, landing, TerminalError, "feed_invalid", facts=feed(dialect="oracle"))


# the simulated agency ---------------------------------------------------------------------------------


def test_the_agency_finds_its_tables_after_a_restart(tmp_path):
    server = PoliceDatabase(tmp_path / "records")
    server.start()
    put(server, persons(5), charges())
    server.start()
    server.stop()
    server.stop()
    # a process that died left its server behind
    server.start()
    PoliceDatabase(tmp_path / "records").start()
    again = PoliceDatabase(tmp_path / "records")
    with again, again.owner() as owner:
        assert owner.execute("SELECT count(*) FROM lead.persons").fetchone() == (5,)


def test_the_agency_makes_its_tables_equal_to_the_frames(server):
    def now() -> pl.DataFrame:
        with server.owner() as owner:
            found = owner.execute('SELECT * FROM lead.persons ORDER BY "MNI No"').fetchall()
        return pl.DataFrame(found, schema=persons().schema, orient="row")

    put(server, persons(5))
    with server.owner() as owner:
        untouched = "SELECT xmin::text FROM lead.persons WHERE \"MNI No\" = 'P000003'"
        before = owner.execute(untouched).fetchone()
        changed = persons(6, first=1).with_columns(
            last=pl.when(pl.col("MNI No") == "P000002").then(pl.lit("")).otherwise("last"),
            dob=pl.when(pl.col("MNI No") == "P000001").then(None).otherwise("dob"),
        )
        put(server, changed)
        assert now().equals(changed.sort("MNI No"))
        assert owner.execute(untouched).fetchone() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="tries to be somebody else")
def test_the_agency_starts_for_an_ordinary_user(tmp_path_factory):
    folder = Path("/tmp") / f"leadhub-test-{os.getpid()}"  # noqa: S108 - pytest's own is root's alone
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    code = (
        "from pathlib import Path; from simulation.police_db import PoliceDatabase\n"
        f"with PoliceDatabase(Path({str(folder)!r}) / 'records') as d: print(d.connection()['login'])"
    )
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", code]
    try:
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)
    assert done.stdout == "leadhub_reader\n", done.stderr
