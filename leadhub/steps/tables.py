"""A feed's state tables in the lake, with ids of the newest key version (`identity.rekeying`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from leadhub.identity import rekeying
from leadhub.steps.site import Site


def core_table(feed_id: str, table: str) -> str:
    """Name in the lake."""
    return f"core_{feed_id}__{table}"


def read(site: Site, feed_id: str, table: str, version: int, columns: list[str] | None = None) -> pa.Table:
    """One version of a feed's table. Raises: TerminalError `state_invalid`, `wrong_key`."""
    held = site.lake.read(core_table(feed_id, table), version, columns)
    feed = site.feeds.get(feed_id)
    facts = site.facts(feed).get(table) if feed and site.keys.versions else None
    if feed is None or facts is None:
        return held
    return rekeying.up_to_date(held, facts, agency=feed.agency, keys=site.keys)


def brought_up(
    site: Site, name: str, rows: list[dict[str, Any]], columns: Iterable[str]
) -> list[dict[str, Any]]:
    """Text `columns` of rows that were taken from a table `name` of their `feed`, with ids of the newest
    key version. A feed that is gone, or has the table no longer, keeps what it has."""
    schema = pa.schema([(column, pa.string()) for column in columns])
    found = [{column: row[column] for column in schema.names} for row in rows]
    for feed in {row["feed"] for row in rows} & site.feeds.keys():
        places = [i for i, row in enumerate(rows) if row["feed"] == feed]
        held = pa.Table.from_pylist([found[i] for i in places], schema)
        agency, facts = site.feeds[feed].agency, site.facts(site.feeds[feed]).get(name)
        if facts is None:
            continue
        current = rekeying.up_to_date(held, facts, agency=agency, keys=site.keys)
        for place, row in zip(places, current.to_pylist(), strict=True):
            found[place] = row
    return found
