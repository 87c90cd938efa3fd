"""Whoever leaves an agency's tables: which person they were, for as long as an accounting reaches.

Nights and their tables are kept for weeks, accountings of disclosures for years (42 CFR 2.25, 45 CFR
164.528). Of a person whom an agency no longer names there stay the agency's own number, sealed under that
agency's key as it is in every accounting, and the person id; nothing else of the record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.foundation.vocabulary import Sensitivity
from leadhub.identity import keyed, sealing
from leadhub.steps import tables
from leadhub.steps.site import Site

TABLE = "departed"
#: `number`: the agency's own, sealed; `until`: the first night without it
COLUMNS: dict[str, Any] = {
    "agency": pl.String,
    "number": pl.String,
    "person_id": pl.String,
    "until": pl.String,
}
#: 42 CFR 2.25(a) and 45 CFR 164.528 as amended for electronic records: three years, a leap year among them
REACH = timedelta(days=3 * 365 + 1)


def numbered(site: Site, feeds: Mapping[str, Any], agency: str = "") -> Iterator[tuple[str, pl.DataFrame]]:
    """Of each agency's tables of persons (of one `agency`): the agency; record_id and sealed `number`.

    `feeds`: what a night's manifest, or its closed feeds, say of them.
    """
    for feed in site.feeds.values():
        if feed.id in feeds and feed.agency == (agency or feed.agency):
            for name, column in _persons(site, feed.id):
                if name in feeds[feed.id]["tables"]:
                    yield feed.agency, _read(site, feed.id, name, column, feeds)


def tonight(site: Site, night: str, feeds: Mapping[str, Any], base: Mapping[str, Any]) -> pa.Table:
    """`COLUMNS` of all who left until this night, within `REACH`. `base`: the committed night before."""
    known = base["tables"].get(TABLE) if base["night"] else None
    before = pl.DataFrame(schema=COLUMNS)
    if known is not None:
        before = keyed.to_frame(site.lake.read(TABLE, known))
    since = (date.fromisoformat(night) - REACH).isoformat()
    left = [before.filter(pl.col("until") >= since)]
    for feed in site.feeds.values() if base["night"] else ():
        for name, column in _persons(site, feed.id):
            if not feeds[feed.id]["tables"].get(name, {}).get("removed"):
                continue
            then, now = (_read(site, feed.id, name, column, known) for known in (base["feeds"], feeds))
            gone = then.join(now, on="record_id", how="anti")
            walk = keyed.to_frame(site.lake.read("crosswalk", base["tables"]["crosswalk"]))
            told = gone.join(walk.select("record_id", "person_id"), on="record_id")
            who = told.select(pl.lit(feed.agency).alias("agency"), "number", "person_id")
            left.append(who.with_columns(until=pl.lit(night)))
    return keyed.to_arrow(pl.concat(left).unique().sort(*COLUMNS))


def of_agency(site: Site, manifest: Mapping[str, Any], agency: str) -> pl.DataFrame:
    """`COLUMNS` of whom an agency no longer names, with the `number` opened. Raises: TerminalError
    `wrong_key`."""
    version = manifest["tables"].get(TABLE)
    if version is None:
        return pl.DataFrame(schema=COLUMNS)
    mine = keyed.to_frame(site.lake.read(TABLE, version)).filter(pl.col("agency") == agency)
    opened = sealing.open_sealed(mine.get_column("number").to_arrow(), agency, site.keys)
    return mine.with_columns(number=pl.Series(opened.to_pylist(), dtype=pl.String))


def _persons(site: Site, feed_id: str) -> Iterator[tuple[str, str]]:
    """Tables of persons in a feed, each with the column of its own number."""
    for name, facts in site.facts(site.feeds[feed_id]).items():
        own = [c.name for c in facts.of(Sensitivity.LOCAL_ID) if c.name in facts.key]
        if facts.holds_persons and own:
            yield name, own[0]


def _read(site: Site, feed_id: str, name: str, column: str, feeds: Mapping[str, Any]) -> pl.DataFrame:
    version = feeds[feed_id]["tables"][name]["version"]
    table = tables.read(site, feed_id, name, version, ["record_id", column])
    return keyed.to_frame(table).rename({column: "number"})
