"""The seam for another product: SQLite needs nothing but its dialect."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from connectors.base import Connection
from connectors.dialects import SQLite
from leadhub.foundation.errors import TerminalError, TransientError
from tests.connectors.sql.police_records import CANARY, feed, member, numbers, read, refused


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
