"""A small police database, the feed that reads it, and what a reading lands."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import UTC, date, datetime

import polars as pl
import pyarrow as pa
import pytest

from connectors.base import Connection
from connectors.postgresql import PostgreSQL
from connectors.sql import SqlConnector
from leadhub.foundation.errors import LeadhubError
from leadhub.foundation.vocabulary import ColumnFacts, Protection, Sensitivity, TableFacts
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
