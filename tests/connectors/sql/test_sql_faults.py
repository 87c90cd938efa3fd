"""The connector for databases: connections that drop, tables that drift, rows too large; nothing lands."""

from __future__ import annotations

import time

import pyarrow as pa
import pyarrow.csv
import pytest

from connectors.postgresql import PostgreSQL
from leadhub.foundation.errors import TerminalError, TransientError
from simulation.police_db import PoliceDatabase
from tests.connectors.sql.police_records import (
    between_batches,
    charges,
    connection,
    feed,
    member,
    numbers,
    persons,
    put,
    read,
    refused,
)

# connections and time ---------------------------------------------------------------------------------

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


# tables, rows, room -----------------------------------------------------------------------------------


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
