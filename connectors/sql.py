"""Feeds behind a database: one read-only snapshot of all tables, page by page.

What a night lands:

- `<table>.arrow` (role rows): rows whose clock stands after the watermark less the overlap, as an Arrow
  IPC stream; every column is text under its name at the source, null and empty text are told apart.
- `<table>.keys.arrow` (role keys): the key columns of *every* row in the snapshot; a key that is absent
  here was deleted at the source.
- `extract.json` (role extract): `{"night", "since": {table: ISO|null}, "dialect"}`; no clock in it,
  so that the same rows read again for the same night are the same drop.

Nothing is lost to a source's wrong clock: a row without clock or key is read every night; a row from the
future is read until its time has come, and never moves the watermark, which is the newest clock that had
passed when the snapshot began. Where the source's clock was set back behind the watermark, the table is
read whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from connectors import dialects
from connectors.base import Arrival, Connector
from connectors.dialects import Dialect, TableRead
from leadhub.foundation import clock, files
from leadhub.foundation.errors import TerminalError
from leadhub.intake.landing import DropWriter, Landing, Role

_COMPRESSED = pa.ipc.IpcWriteOptions(compression="zstd")


class SqlConnector(Connector):
    """Reads a feed of connector `sql`. `mapping.source` of a table is `table` or `schema.table`."""

    def read(self, landing: Landing, night: str, since: Mapping[str, str]) -> list[Arrival]:
        """One delta drop of all tables as of one moment; see the module for its members.

        Raises: TransientError `source_unreachable`, `source_timeout`, `bad_response`; TerminalError
        `credentials_refused` (also where the login may write), `host_key_changed`, `schema_drift`,
        `counts_differ`, `unreadable_file`, `too_large`, `feed_invalid`, `settings_invalid`.
        """
        clock.check_night(night)
        known = {drop.drop_id for drop in landing.drops(self.feed.id)}
        source = dialects.dialect(self.feed.dialect, self.connection)
        writer = landing.writer(self.feed.id, night)
        self._at = f"feed [{self.feed.id}]"
        try:
            with source.open():
                watermark = self._land(source, writer, night, since)
            drop = writer.commit(mode="delta", watermark=watermark, origin=self._origin())
        except (source.Error, pa.ArrowException) as error:
            writer.abandon()
            raise source.classify(error, self._at) from None
        except BaseException:
            writer.abandon()
            raise
        return [Arrival("duplicate" if drop.drop_id in known else "landed", drop.origin, drop)]

    def _origin(self) -> tuple[str, ...]:
        return tuple(mapping.source for mapping in self.feed.tables.values())

    def _land(
        self, source: Dialect, writer: DropWriter, night: str, since: Mapping[str, str]
    ) -> dict[str, str]:
        """Every member of the drop. Gives the watermark of each table."""
        until = source.clock().astimezone(UTC)
        begins = {table: self._begin(table, since.get(table), until) for table in self.feed.tables}
        watermark: dict[str, str] = {}
        for table, begin in begins.items():
            self._at = f"table [{self.feed.tables[table].source}] of feed [{self.feed.id}]"
            read = self._plan(table, begin)
            self._check(source, table, read)
            mark = self._land_table(source, writer, table, read)
            # nothing stands after the old mark: it stays, but for a clock that was set back
            marks = [m for m in (since.get(table), mark) if m]
            if marks:
                watermark[table] = _iso(min(until, max(map(_moment, marks))))
        extract = {
            "night": night,
            "since": {table: begin and _iso(begin) for table, begin in begins.items()},
            "dialect": self.feed.dialect,
        }
        with writer.member("extract.json", table=None, role="extract", format="json") as handle:
            handle.write(files.canonical_json(extract))
        return watermark

    def _begin(self, table: str, mark: str | None, until: datetime) -> datetime | None:
        """The moment after which rows are read; None: all of them."""
        if mark is None or self.feed.watermark is None:
            return None
        try:
            last = _moment(mark)
        except ValueError:
            raise TerminalError("state_invalid", f"the watermark of table [{table}] is no moment") from None
        return None if last > until else last - timedelta(minutes=self.feed.overlap_minutes)

    def _plan(self, table: str, begin: datetime | None) -> TableRead:
        columns = self.feed.tables[table].columns
        clocked = self.feed.watermark
        needed = [*self.tables[table].key, *([clocked] if clocked else [])]
        missing = [c for c in needed if c not in columns]
        if missing:
            raise TerminalError(
                "feed_invalid", f"table [{table}] of [{self.feed.id}] does not map {missing}"
            )
        return TableRead(
            source=self.feed.tables[table].source,
            columns=tuple(dict.fromkeys(columns.values())),
            key=tuple(columns[c] for c in self.tables[table].key),
            watermark=columns[clocked] if clocked else None,
            since=begin,
        )

    def _check(self, source: Dialect, table: str, read: TableRead) -> None:
        present, may_write = source.describe(read.source)
        if not present:
            raise TerminalError(
                "schema_drift", f"{self._at} is not there, or the login may not read it; ask the agency"
            )
        lost = sorted(set(read.columns) - set(present))
        new = sorted(set(present) - set(read.columns) - set(self.feed.tables[table].ignore))
        if lost or new:
            told = [f"lost {lost}"] * bool(lost) + [f"new {new}"] * bool(new)
            raise TerminalError(
                "schema_drift", f"{self._at}: {', '.join(told)}; agree on it and adapt the feed"
            )
        if may_write:
            raise TerminalError(
                "credentials_refused",
                f"{self._at}: the login may write to it; ask for one that may SELECT alone",
            )

    def _land_table(self, source: Dialect, writer: DropWriter, table: str, read: TableRead) -> str | None:
        """Rows, then keys; each is counted against the same snapshot. Gives the newest clock."""
        tally = source.tally(read)
        rows = _write(writer, f"{table}.arrow", table, "rows", read.columns, self._rows(source, read))
        keys = source.batches(source.keys(read), read.key, self._at)
        held = _write(writer, f"{table}.keys.arrow", table, "keys", read.key, keys)
        if (rows, held) != (tally.wanted, tally.held):
            raise TerminalError(
                "counts_differ",
                f"{self._at}: {tally.wanted} rows and {tally.held} keys stand in the snapshot, "
                f"{rows} and {held} were read; rows with equal keys, or a view without a snapshot?",
            )
        return tally.mark

    def _rows(self, source: Dialect, read: TableRead) -> Iterator[pa.RecordBatch]:
        size = self.feed.page_rows
        after: list[str] | None = None
        while True:
            count, last = 0, None
            for batch in source.batches(source.page(read, after, size), read.columns, self._at):
                count, last = count + batch.num_rows, batch.slice(batch.num_rows - 1)
                yield batch
            if last is None or count < size:
                break
            after = [last.column(c)[0].as_py() for c in read.order]
        yield from source.batches(source.unordered(read), read.columns, self._at)


def _write(
    writer: DropWriter,
    name: str,
    table: str,
    role: Role,
    columns: tuple[str, ...],
    batches: Iterator[pa.RecordBatch],
) -> int:
    """Batches into a member, one at a time. Gives the rows written."""
    schema = pa.schema([(c, pa.string()) for c in columns])
    count = 0
    with writer.member(name, table=table, role=role, format="arrow") as handle:
        with pa.ipc.new_stream(handle, schema, options=_COMPRESSED) as stream:
            for batch in batches:
                stream.write_batch(batch)
                count += batch.num_rows
        handle.rows = count  # type: ignore[attr-defined]
    return count


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return moment


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
