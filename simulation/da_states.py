"""States of the simulated case system: rows as lines of JSON, made once a load and not once a request."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

#: states that are kept for readers who began earlier
KEPT = 3


@dataclass(frozen=True)
class Collection:
    """A resource in one state: each row and each key as a line of JSON, ordered by key."""

    rows: list[bytes]
    keys: list[bytes]
    changed: pl.Series
    etag: str


class States:
    """The last states by `as_of`, oldest first. `changed_column` says when a row was last changed."""

    def __init__(self, changed_column: str):
        self._changed_column = changed_column
        self._held: dict[str, dict[str, Collection]] = {iso(datetime.fromtimestamp(0, UTC)): {}}

    @property
    def latest(self) -> str:
        return next(reversed(self._held))

    def get(self, as_of: str) -> dict[str, Collection] | None:
        return self._held.get(as_of)

    def load(
        self, resources: Mapping[str, pl.DataFrame], keys: Mapping[str, list[str]], at: datetime | None
    ) -> str:
        """Add a state; see `DaServer.load`."""
        state = {
            name: _collection(frame, keys[name], self._changed_column) for name, frame in resources.items()
        }
        last = datetime.fromisoformat(self.latest)
        changes = [c.changed.max() for c in state.values() if c.changed.max() is not None]
        # what is loaded later is another state, even in the same moment
        moment = max(at or max(changes, default=last), last + timedelta(microseconds=1))
        self._held = dict([*self._held.items(), (iso(moment), state)][-KEPT:])
        return iso(moment)


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _collection(frame: pl.DataFrame, key: list[str], changed_column: str) -> Collection:
    frame = frame.sort(key).with_columns(
        pl.col(name).dt.convert_time_zone("UTC")
        if dtype.time_zone
        else pl.col(name).dt.replace_time_zone("UTC")
        for name, dtype in frame.schema.items()
        if isinstance(dtype, pl.Datetime)
    )
    text = frame.with_columns(
        pl.col(name).dt.to_string("%Y-%m-%d" if dtype == pl.Date else "%Y-%m-%dT%H:%M:%S%.fZ")
        for name, dtype in frame.schema.items()
        if dtype in (pl.Date, pl.Datetime)
    )
    rows = _lines(text)
    digest = hashlib.sha256(b"\n".join(rows)).hexdigest()[:32]
    return Collection(rows, _lines(text.select(key)), _changed(frame, changed_column), f'W/"{digest}"')


def _lines(frame: pl.DataFrame) -> list[bytes]:
    sink = io.BytesIO()
    frame.write_ndjson(sink)
    return sink.getvalue().split(b"\n")[:-1]


def _changed(frame: pl.DataFrame, column: str) -> pl.Series:
    """When each row was last changed; null where it does not say, and such rows are always given."""
    if column not in frame.columns:
        return pl.Series(column, [None] * frame.height, pl.Datetime("us", "UTC"))
    if frame.schema[column] == pl.String:
        return frame[column].str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    return frame[column].dt.cast_time_unit("us")
