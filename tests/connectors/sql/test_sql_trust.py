"""The connector for databases: whom it talks to, what it may do there, and what it says of it."""

from __future__ import annotations

import logging

import polars as pl
import psycopg
import pytest

from leadhub.foundation.errors import TerminalError
from tests.connectors.sql.police_records import (
    CANARY,
    between_batches,
    connection,
    feed,
    numbers,
    persons,
    put,
    read,
    refused,
)


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


def test_an_identifier_is_no_statement(database, landing):
    evil = 'persons"; DROP TABLE lead.persons; --'
    refused(database, landing, TerminalError, "schema_drift", facts=feed(persons=f"lead.{evil}"))
    assert len(numbers(landing, read(database, landing))) == 10


def test_a_key_is_no_statement(database, landing):
    names = ["a'b", 'a"b', "a\\b", "a%sb", "'; DROP TABLE lead.persons; --", "$1", "ä"]
    put(database, persons(len(names)).with_columns(pl.Series("MNI No", names)))
    drop = read(database, landing, facts=feed(page_rows=1))
    assert numbers(landing, drop) == sorted(names)


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
