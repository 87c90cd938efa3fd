"""What differs between databases, in one place; `connectors.sql` knows none of it.

A dialect opens one connection, holds one read-only snapshot, writes the few statements that a night
needs, gives rows as Arrow batches of text, and says what an error of the driver means to us.
`connectors.postgresql` is the one in use. SQLite proves the seam: a driver of the plain DB-API kind
(PEP 249).
"""

from __future__ import annotations

import contextlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from connectors.base import Connection
from leadhub.foundation.errors import LeadhubError, TerminalError, TransientError

NOT_AS_AGREED = "the table is not as agreed; agree on the change and adapt the feed"
#: seconds that one statement may take; extra [statement_timeout_seconds] of the connection overrides it
STATEMENT_SECONDS = 900


@dataclass(frozen=True)
class TableRead:
    """What is read of one table; every name is the source's. `since`: rows changed after it (None: all)."""

    source: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    watermark: str | None = None
    since: datetime | None = None

    @property
    def order(self) -> tuple[str, ...]:
        return (self.watermark, *self.key) if self.watermark else self.key


@dataclass(frozen=True)
class Tally:
    """Rows that the source holds, rows that must be read, and the newest clock that has passed."""

    held: int
    wanted: int
    mark: str | None


class Dialect(ABC):
    """One connection and one snapshot. The SQL that stands here is what the dialects have in common."""

    #: base of the driver's exceptions
    Error: type[Exception]

    def __init__(self, connection: Connection):
        self.connection = connection
        self.seconds = connection.extra.get("statement_timeout_seconds", STATEMENT_SECONDS)
        if not isinstance(self.seconds, int) or self.seconds < 1:
            raise TerminalError("settings_invalid", "extra [statement_timeout_seconds] is a number from 1")

    @abstractmethod
    def open(self) -> contextlib.AbstractContextManager[None]:
        """Connect and begin the snapshot; at the end roll back and close."""

    @abstractmethod
    def clock(self) -> datetime:
        """The server's clock when the snapshot began, in UTC."""

    @abstractmethod
    def describe(self, source: str) -> tuple[list[str], bool]:
        """Columns that may be read (none: no such table), and whether this login may write to it."""

    @abstractmethod
    def tally(self, read: TableRead) -> Tally: ...

    @abstractmethod
    def batches(self, query: str, columns: Sequence[str], what: str) -> Iterator[pa.RecordBatch]:
        """Rows of a query, every cell text, null and empty told apart; memory does not grow with rows."""

    @abstractmethod
    def literal(self, value: str) -> str: ...

    @abstractmethod
    def moment(self, value: datetime) -> str: ...

    @abstractmethod
    def first(self, rows: int) -> str:
        """Clause that ends a page, with the rows that tie with its last where the product can say so."""

    @abstractmethod
    def classify(self, error: Exception, what: str) -> LeadhubError:
        """What the error means to us. Its own text is never quoted: it may hold values."""

    @staticmethod
    def quote(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def table(self, source: str) -> str:
        """`table` or `schema.table`, quoted."""
        return ".".join(map(self.quote, source.split(".", 1)))

    def names(self, columns: Sequence[str]) -> str:
        return ", ".join(map(self.quote, columns))

    def _unordered(self, read: TableRead) -> str:
        """Rows without watermark or key have no place in the order of pages."""
        return " OR ".join(f"{self.quote(c)} IS NULL" for c in read.order)

    def _changed(self, read: TableRead) -> str:
        if read.watermark is None or read.since is None:
            return "1 = 1"
        return f"{self.quote(read.watermark)} > {self.moment(read.since)}"

    def page(self, read: TableRead, after: Sequence[str] | None, rows: int) -> str:
        """The next page in the order (watermark, key); `after` is the order of the last row so far."""
        order = self.names(read.order)
        where = f"NOT ({self._unordered(read)}) AND {self._changed(read)}"
        if after is not None:
            where += f" AND ({order}) > ({', '.join(map(self.literal, after))})"
        return (
            f"SELECT {self.names(read.columns)} FROM {self.table(read.source)} "
            f"WHERE {where} ORDER BY {order} {self.first(rows)}"
        )

    def unordered(self, read: TableRead) -> str:
        return (
            f"SELECT {self.names(read.columns)} FROM {self.table(read.source)} "
            f"WHERE {self._unordered(read)} ORDER BY {self.names(read.columns)}"
        )

    def keys(self, read: TableRead) -> str:
        key = self.names(read.key)
        return f"SELECT {key} FROM {self.table(read.source)} ORDER BY {key}"

    def _tally(self, read: TableRead, mark: str) -> str:
        wanted = f"{self._unordered(read)} OR {self._changed(read)}"
        return (
            f"SELECT count(*), count(CASE WHEN {wanted} THEN 1 END), {mark} FROM {self.table(read.source)}"
        )


class SQLite(Dialect):
    """A database file (the connection's `schema`). Its timestamps are text: 2026-11-20T08:00:00.000000Z."""

    Error = sqlite3.Error
    #: seconds to wait for a lock
    PATIENCE = 10.0

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        where = f"file:{self.connection.schema}?mode=ro"
        self._driver = sqlite3.connect(where, uri=True, timeout=self.PATIENCE, isolation_level=None)
        try:
            self._driver.execute("BEGIN")
            yield
        finally:
            self._driver.close()

    def clock(self) -> datetime:
        now = self._driver.execute("SELECT strftime('%Y-%m-%dT%H:%M:%fZ')").fetchone()[0]
        return datetime.fromisoformat(now)

    def describe(self, source: str) -> tuple[list[str], bool]:
        found = self._driver.execute("SELECT name FROM pragma_table_info(?)", [source]).fetchall()
        return [name for (name,) in found], False

    def tally(self, read: TableRead) -> Tally:
        mark = "NULL"
        if read.watermark:
            clock = self.quote(read.watermark)
            mark = f"max({clock}) FILTER (WHERE {clock} <= strftime('%Y-%m-%dT%H:%M:%fZ'))"
        return Tally(*self._driver.execute(self._tally(read, mark)).fetchone())

    def batches(self, query: str, columns: Sequence[str], what: str) -> Iterator[pa.RecordBatch]:
        cursor = self._driver.execute(query)
        while rows := cursor.fetchmany(10_000):
            cells = [[None if v is None else str(v) for v in column] for column in zip(*rows)]
            yield pa.record_batch([pa.array(c, pa.string()) for c in cells], names=list(columns))

    def literal(self, value: str) -> str:
        return "'" + value.replace("'", "''") + "'"

    def moment(self, value: datetime) -> str:
        return self.literal(value.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))

    def first(self, rows: int) -> str:
        return f"LIMIT {rows}"

    def classify(self, error: Exception, what: str) -> LeadhubError:
        code = getattr(error, "sqlite_errorname", "") or ""
        if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return TransientError("source_timeout", f"{what}: the database is locked")
        if code.startswith("SQLITE_ERROR"):
            return TerminalError("schema_drift", f"{what}: {NOT_AS_AGREED}")
        return TransientError("source_unreachable", f"{what}: the database cannot be read ({code})")


def dialect(name: str | None, connection: Connection) -> Dialect:
    """Raises: TerminalError `feed_invalid`."""
    if name == "postgresql":
        from connectors.postgresql import PostgreSQL

        return PostgreSQL(connection)
    if name == "sqlite":
        return SQLite(connection)
    raise TerminalError("feed_invalid", f"dialect [{name}] is neither postgresql nor sqlite")
