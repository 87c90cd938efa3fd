"""An interface with a few rows of a prosecutor, read as a night reads it."""

from __future__ import annotations

import json
from collections.abc import Callable

import polars as pl
import pytest

from connectors.base import Connection
from connectors.http_session import Budget
from connectors.rest import RestConnector
from leadhub.foundation.errors import LeadhubError
from leadhub.intake.feeds import Feed, TableMapping
from leadhub.intake.landing import Drop, Landing
from schemas import da
from schemas.contract import facts, tables_of
from simulation.da_api import DaServer

NIGHT = "2026-11-20"
CANARY = "Quetzalhammer"
CONTRACTS = {name: facts(model) for name, model in tables_of(da).items()}
KEYS = {"defendants": ["defendant_id"], "cases": ["da_case_no"]}
QUICK = Budget(
    attempts=3,
    backoff=0.01,
    backoff_limit=0.05,
    waiting=5,
    connect=1,
    read=1,
    request=3,
    response_bytes=1 << 20,
)


def defendants(
    count: int = 10, *, surname: str = CANARY, changed: str = "2026-11-20T08:00:00Z"
) -> pl.DataFrame:
    ids = [f"D{i:04d}" for i in range(count)]
    return pl.DataFrame({"defendant_id": ids, "last_name": surname, "updated_at": changed})


def cases(count: int = 3, *, changed: str = "2026-11-20T08:00:00Z") -> pl.DataFrame:
    ids = [f"C{i:04d}" for i in range(count)]
    return pl.DataFrame({"da_case_no": ids, "defendant_id": "D0000", "updated_at": changed})


def connection(server: DaServer, **extra: str) -> Connection:
    given = server.connection()
    return Connection(
        given["host"], given["port"], given["login"], given["password"], extra={**given["extra"], **extra}
    )


def feed(*tables: str, page_rows: int = 4) -> Feed:
    mappings = {t: TableMapping(source=t, columns={k: k for k in KEYS[t]}) for t in tables}
    return Feed(
        id="da_cases",
        title="Cases",
        agency="district_attorney",
        connector="rest",
        connection="da_api",
        contract="da",
        page_rows=page_rows,
        tables=mappings,
    )


def read(
    where: DaServer | Connection,
    landing: Landing,
    *tables: str,
    since: dict[str, str] | None = None,
    budget: Budget = QUICK,
    page_rows: int = 4,
    night: str = NIGHT,
) -> Drop:
    target = where if isinstance(where, Connection) else connection(where)
    given = feed(*(tables or ("defendants",)), page_rows=page_rows)
    (arrival,) = RestConnector(given, CONTRACTS, target, budget=budget).read(landing, night, since or {})
    assert arrival.drop is not None
    return arrival.drop


def refused(landing: Landing, act: Callable[[], object]) -> LeadhubError:
    """The error of an act that must land nothing and say no value."""
    with pytest.raises(LeadhubError) as caught:
        act()
    assert landing.drops("da_cases") == []
    assert not [p for p in landing.root.rglob("*") if p.is_file()]
    assert CANARY not in f"{caught.value!r}{caught.value.__cause__!r}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def rows(landing: Landing, drop: Drop, table: str = "defendants", role: str = "rows") -> list[dict]:
    (member,) = drop.of(role, table)  # type: ignore[arg-type]
    pages = [json.loads(line) for line in landing.read(drop, member).splitlines()]
    found = [row for page in pages for row in page["data"]]
    assert member.rows == len(found)
    return found


def asked(server: DaServer, path: str) -> list[str]:
    return [query for _, called, query in server.requests if called == path]
